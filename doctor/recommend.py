"""Which official image fits which GPUs, and how to start it: from the tables alone, nothing that they do not support.

Run lines: https://docs.docker.com/engine/containers/resource_constraints/#gpu ,
https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/latest/docker-specialized.html ,
…/cdi-support.html ,
https://rocm.docs.amd.com/projects/install-on-linux/en/latest/how-to/docker.html . Kubernetes:
https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/ , labels of
https://github.com/NVIDIA/k8s-device-plugin/blob/main/docs/gpu-feature-discovery/README.md and
https://github.com/ROCm/k8s-device-plugin/blob/master/cmd/k8s-node-labeller/README.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from doctor import data
from doctor.builds import framework_builds_for
from doctor.data.cuda import (
    cuda_for_driver,
    driver_branches_for,
    driver_supports_cuda,
    minimum_driver,
    toolkits_for,
    version,
)
from doctor.data.rocm import rocm_support
from doctor.gpus import Gpu
from doctor.runforms import KFD_GROUP, RunLine, as_compose, as_run

FRAMEWORKS = ("none", "torch", "tensorflow", "jax", "vllm", "onnxruntime")
VENDORS = (
    "A CUDA image holds machine code for NVIDIA GPUs and calls NVIDIA's driver, so it cannot run on an AMD GPU, and a"
    " ROCm image cannot run on an NVIDIA one; no option of the container engine changes that.",
    "In PyTorch for ROCm the device is still called torch.cuda: there it means HIP and the AMD GPU, and"
    " torch.version.hip is set where torch.version.cuda is None.",
)
# Images by framework and vendor whose tags the tables know or know how to form.
_CUDA_BASE, _ROCM_BASE = "nvidia/cuda", "rocm/dev-ubuntu-24.04"
_IMAGES = {
    ("torch", "nvidia"): "pytorch/pytorch",
    ("torch", "amd"): "rocm/pytorch",
    ("tensorflow", "amd"): "rocm/tensorflow",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """What is known of the place where the image will run."""

    driver: str = ""
    """NVIDIA driver, or empty."""
    engine: Literal["docker", "podman"] = "docker"
    cdi: bool | None = None
    """Whether the engine itself lists NVIDIA's CDI names; None where it was not seen."""
    runtime: bool | None = None
    """Whether the engine has the nvidia runtime registered; None where it was not seen."""
    groups: tuple[int, ...] = ()
    """Numbers of the groups that own AMD's device nodes on this host."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to start it: its title, the command or file, and when it is the right one."""

    title: str
    text: str
    language: str
    when: str = ""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to run on some GPUs. `image` is empty where the tables support none; then `limits` says why."""

    gpus: tuple[Gpu, ...]
    framework: str
    image: str
    line: str
    """The version line that fits, in words."""
    formed: bool
    """The tag follows from the naming rule; that it was published is not in the tables."""
    limits: tuple[str, ...]
    ways: tuple[Way, ...]
    sources: tuple[str, ...]
    checked: str
    """The day the facts were checked."""


def recommend(gpus: Sequence[Gpu], framework: str, machine: Machine) -> tuple[Advice, ...]:
    """One advice for the GPUs of each vendor, or for each GPU where no one image fits all of them."""
    advice = []
    for vendor in ("nvidia", "amd"):
        group = [gpu for gpu in gpus if gpu.vendor == vendor]
        if not group:
            continue
        whole = _advise(group, framework, machine)
        if whole.image or len({gpu.target for gpu in group}) == 1:
            advice.append(whole)
            continue
        targets = {gpu.target: [one for one in group if one.target == gpu.target] for gpu in group}
        advice += [_advise(some, framework, machine) for some in targets.values()]
    return tuple(advice)


@dataclass(frozen=True, slots=True)
class _Choice:
    image: str
    line: str
    formed: bool
    limits: tuple[str, ...]
    sources: tuple[str, ...]


def _advise(gpus: Sequence[Gpu], framework: str, machine: Machine) -> Advice:
    nvidia = gpus[0].vendor == "nvidia"
    choice = _for_nvidia(gpus, framework, machine) if nvidia else _for_amd(gpus, framework)
    files = ("cuda_arch_support", "cuda_driver") if nvidia else ("amd_gpus", "rocm_driver")
    checked = min(data.checked(name) for name in (*files, "framework_builds"))
    ways = tuple(_ways(choice.image, gpus, machine)) if choice.image else ()
    return Advice(
        tuple(gpus),
        framework,
        choice.image,
        choice.line,
        choice.formed,
        choice.limits,
        ways,
        tuple(dict.fromkeys(choice.sources)),
        checked,
    )


# NVIDIA


def _for_nvidia(gpus: Sequence[Gpu], framework: str, machine: Machine) -> _Choice:
    limits = list(_nvidia_limits(gpus, machine))
    known = [toolkits_for(gpu.target) for gpu in gpus]
    common = [cuda for cuda in known[0] if all(cuda in one for one in known[1:])]
    sources = tuple(source for gpu in gpus for source in gpu.sources[:2])
    sources += tuple(row.sources[0] for row in data.cuda_toolkits() if row.cuda in (common[:1] + common[-1:]))
    if not common:
        limits.append(f"no CUDA release writes code for all of {_names(gpus)}")
        return _Choice("", "", False, tuple(limits), sources)
    line = f"CUDA {common[0]} to {common[-1]}" if common[0] != common[-1] else f"CUDA {common[0]}"
    if framework != "none":
        return _cuda_framework(gpus, framework, machine, line, limits, sources)
    fits = [cuda for cuda in common if _driver_takes(machine, cuda)]
    if not fits:
        limits.append(f"driver {machine.driver} is too old for every CUDA release that knows these GPUs")
        return _Choice("", line, False, tuple(limits), sources)
    tags = [row.example for row in data.image_names() if row.image == _CUDA_BASE]
    published = [tag.strip() for tag in ",".join(tags).split(",") if tag.strip()]
    known_tags = [tag for tag in published if _short(tag) in fits]
    names = next(row for row in data.image_names() if row.image == _CUDA_BASE)
    if known_tags:
        return _Choice(f"{_CUDA_BASE}:{known_tags[-1]}", line, False, tuple(limits), (*sources, *names.sources))
    last = max(fits, key=version)
    limits.append(
        f"tags of {_CUDA_BASE} are {names.pattern}; put the patch release of CUDA {last} and your distribution in"
    )
    return _Choice(
        f"{_CUDA_BASE}:<{last}.Z>-runtime-<distribution>", line, True, tuple(limits), (*sources, *names.sources)
    )


def _short(tag: str) -> str:
    return ".".join(tag.split("-")[0].split(".")[:2])


def _driver_takes(machine: Machine, cuda: str) -> bool:
    return not machine.driver or driver_supports_cuda(machine.driver, cuda) in ("yes", "minor-compat", "unknown")


def _cuda_framework(
    gpus: Sequence[Gpu], framework: str, machine: Machine, line: str, limits: list[str], sources: tuple[str, ...]
) -> _Choice:
    builds = _builds(gpus, framework)
    fitting = [build for build in builds if _driver_takes(machine, build.cuda)]
    if not fitting:
        reason = (
            "that the tables vouch for has code for"
            if not builds
            else f"runs with driver {machine.driver} and has code for"
        )
        limits.append(f"no published build of {framework} {reason} {_names(gpus)}")
        return _Choice("", line, False, tuple(limits), sources)
    newest = max(version(build.version) for build in fitting)
    same = [build for build in fitting if version(build.version) == newest]
    # An older CUDA runs with more drivers; where the driver is known, the newest that it takes.
    best = (max if machine.driver else min)(same, key=lambda build: version(build.cuda))
    line = f"{framework} {best.version} built for CUDA {best.cuda}"
    sources = (*sources, *best.sources)
    image = _IMAGES.get((framework, "nvidia"))
    if image is None:
        base = _for_nvidia(gpus, "none", replace(machine, driver=machine.driver))
        limits.append(
            f"the tables know no official image of {framework}: install the build into a CUDA image (the wheel itself)"
        )
        return _Choice(base.image, line, base.formed, tuple(limits), (*sources, *base.sources))
    row = next(row for row in data.image_names() if row.image == image)
    cudnn = best.cudnn.split(".")[0] or "9"
    full = best.version if best.version.count(".") == 2 else f"{best.version}.0"
    limits.append(
        f"the tag is formed by the rule {row.pattern}; `docker manifest inspect` tells whether it was published"
    )
    return _Choice(
        f"{image}:{full}-cuda{best.cuda}-cudnn{cudnn}-runtime", line, True, tuple(limits), (*sources, *row.sources)
    )


def _builds(gpus: Sequence[Gpu], framework: str) -> list[data.Build]:
    """Builds that have code for every one of the GPUs, by sources that state it."""
    name = "onnxruntime-gpu" if framework == "onnxruntime" else framework
    fits: list[data.Build] = []
    for number, gpu in enumerate(gpus):
        own = [one.build for one in framework_builds_for(name, "", gpu) if one.answer.runs in ("yes", "jit")]
        fits = own if number == 0 else [build for build in fits if build in own]
    return [build for build in fits if not build.unverified]


def _nvidia_limits(gpus: Sequence[Gpu], machine: Machine) -> Iterator[str]:
    for gpu in {gpu.target: gpu for gpu in gpus}.values():
        span = driver_branches_for(gpu.target)
        known = toolkits_for(gpu.target)
        if span is None or not known:
            yield f"{gpu.name} ({gpu.target}) is new to the tables: nothing is known of its limits"
            continue
        newest = data.cuda_toolkits()[-1].cuda
        name = f"{gpu.name} ({span.architecture}, {gpu.target})"
        if known[-1] != newest:
            yield f"{name}: CUDA {known[-1]} was the last with code for it; images of later CUDA releases do not run"
        first = next((row for row in data.first_drivers() if row.compute_capability == gpu.target), None)
        if first is not None and not first.unverified:
            yield f"{name}: needs CUDA {first.first_cuda} or later and a driver of branch {first.first_branch} or later"
        if span.last:
            yield f"{name}: driver branch {span.last} is the last that supports it"
        if span.open_modules == "required":
            yield f"{name}: needs the open kernel modules of the driver"
    if machine.driver:
        yield f"driver {machine.driver} supports CUDA {cuda_for_driver(machine.driver) or 'of a version not known'}"


# AMD


def _for_amd(gpus: Sequence[Gpu], framework: str) -> _Choice:
    limits = [text for gpu in {gpu.target: gpu for gpu in gpus}.values() for text in _amd_limits(gpu)]
    releases = [row.rocm for row in data.rocm_drivers()] + [row.rocm for row in data.rocm_systems()]
    ordered = sorted(set(releases), key=version)
    told = {rocm: [rocm_support(gpu.target, rocm) for gpu in gpus] for rocm in ordered}
    official = [rocm for rocm, answers in told.items() if all(one.status == "supported" for one in answers)]
    sources = tuple(source for answers in told.values() for one in answers for source in one.sources)
    if framework != "none":
        return _rocm_framework(gpus, framework, official, limits, sources)
    if not official:
        return _Choice("", "", False, tuple(limits), sources)
    last = official[-1]
    row = next(row for row in data.image_names() if row.image.startswith("rocm/dev-ubuntu"))
    limits.append(
        f"the tag is formed by the rule {row.pattern}; `docker manifest inspect` tells whether it was published"
    )
    line = f"ROCm {official[0]} to {last}" if official[0] != last else f"ROCm {last}"
    return _Choice(f"{_ROCM_BASE}:{_trim(last)}-complete", line, True, tuple(limits), (*sources, *row.sources))


def _trim(release: str) -> str:
    return release.removesuffix(".0") if release.count(".") == 2 else release


def _rocm_framework(
    gpus: Sequence[Gpu], framework: str, official: list[str], limits: list[str], sources: tuple[str, ...]
) -> _Choice:
    builds = _builds(gpus, framework)
    line = f"ROCm {official[0]} to {official[-1]}" if official else ""
    if builds:
        best = max(builds, key=lambda build: version(build.version))
        sources = (*sources, *best.sources)
        wheel = f"{framework} {best.version} as published for ROCm {best.rocm} has code for {_names(gpus)}"
        limits.append(wheel + ("" if official else ", though AMD's matrix does not list it: unsupported"))
    image = _IMAGES.get((framework, "amd"))
    if image is None:
        limits.append(f"the tables know no official ROCm image of {framework}")
        return _Choice("", line, False, tuple(limits), sources)
    tags = [row for row in data.image_tags() if row.image == image]
    newest = version(data.rocm_drivers()[-1].rocm)[:1]
    latest = next((row for row in tags if row.tag == "latest"), None)
    if official and version(official[-1])[:1] == newest and latest is not None:
        limits.append(
            f"{image}:latest is {latest.note.partition(': ')[2] or 'the newest release'}; pin a tag once it works"
        )
        return _Choice(f"{image}:latest", line, False, tuple(limits), (*sources, *latest.sources))
    dated = [row for row in tags if row.rocm and row.rocm in official]
    if dated:
        row = max(dated, key=lambda one: (version(one.rocm), version(one.torch)))
        return _Choice(f"{image}:{row.tag}", line, False, tuple(limits), (*sources, *row.sources))
    community = [row for row in data.image_names() if any(gpu.target in row.image for gpu in gpus)]
    limits += [f"{row.image}: {row.note}" for row in community]
    limits.append(f"no published image of {image} that the tables know of supports {_names(gpus)}")
    return _Choice("", line, False, tuple(limits), sources)


def _amd_limits(gpu: Gpu) -> Iterator[str]:
    row = next((row for row in data.amd_targets() if row.gfx == gpu.target.split(":")[0]), None)
    name = f"{gpu.name} ({gpu.target})"
    if row is None:
        yield f"{name} is new to the tables: nothing is known of its limits"
        return
    if row.official_from:
        first = "" if row.official_from == "0" else f"from ROCm {row.official_from} "
        ended = bool(row.official_to) and version(row.official_to)[0] < version(data.rocm_drivers()[-1].rocm)[0]
        last = (
            f"to {row.official_to}; later releases dropped it"
            if ended
            else f"on (the tables were read up to {row.official_to})"
        )
        yield f"{name}: in AMD's matrix {first}{last}"
    else:
        yield f"{name}: in no release's matrix: AMD does not support it on Linux, which does not mean that nothing runs"
    if row.note:
        yield f"{name}: {row.note}"
    for override in (one for one in data.overrides() if one.gfx == row.gfx and not one.unverified):
        guess = f"HSA_OVERRIDE_GFX_VERSION={override.value} makes it load code of {override.runs_as}"
        yield f"{name}: {guess}: a guess, unsupported"


def _names(gpus: Sequence[Gpu]) -> str:
    return ", ".join(dict.fromkeys(gpu.name for gpu in gpus))


# How to start it


def _line(engine: str, image: str) -> RunLine:
    return RunLine(
        engine=engine, image=image, name="", command=(), entrypoint=None, environment={}, gpus="", runtime="",
        devices=(), groups=(), volumes=(), ports=(), user="", working_dir="", network="", ipc="", pid="",
        shm_size=0, memory=0,
        cpus=0, security=(), cap_add=(), cap_drop=(), ulimits={}, restart="", platform="", flags=("--rm", "-it"),
        rest=(), service="app",
    )  # fmt: skip


def _ways(image: str, gpus: Sequence[Gpu], machine: Machine) -> Iterator[Way]:
    if gpus[0].vendor == "nvidia":
        yield from _nvidia_ways(image, machine)
    else:
        yield from _amd_ways(image, machine)
    yield Way("Kubernetes", _pod(image, gpus), "yaml", "with the vendor's device plugin on the node")


def _nvidia_ways(image: str, machine: Machine) -> Iterator[Way]:
    gpus = replace(_line("docker", image), gpus="all")
    cdi = replace(_line("docker", image), devices=("nvidia.com/gpu=all",))
    runtime = replace(_line("docker", image), runtime="nvidia", environment={"NVIDIA_VISIBLE_DEVICES": "all"})
    podman = replace(_line("podman", image), devices=("nvidia.com/gpu=all",))
    ways = [
        Way("docker run", as_run(gpus), "sh", "needs the NVIDIA Container Toolkit on the host"),
        Way(
            "docker run, by CDI",
            as_run(cdi),
            "sh",
            "Docker 25 or later with a CDI specification on the host (nvidia-ctk cdi generate)",
        ),
        Way(
            "docker run, by the runtime",
            as_run(runtime),
            "sh",
            "where the nvidia runtime is registered and --gpus is not to be used",
        ),
        Way("podman run", as_run(podman), "sh", "needs a CDI specification on the host (nvidia-ctk cdi generate)"),
    ]
    if machine.engine == "podman":
        ways = [ways[3]]
    elif machine.cdi:
        ways = [ways[1], ways[0], ways[3]]
    elif machine.runtime is False:
        ways = [ways[0], ways[1], ways[3]]
    yield from ways
    yield Way(
        "compose.yaml", as_compose(replace(gpus, flags=())), "yaml", "needs the NVIDIA Container Toolkit on the host"
    )


def _amd_ways(image: str, machine: Machine) -> Iterator[Way]:
    groups = tuple(str(one) for one in machine.groups if one) or (KFD_GROUP,)
    known = (
        "the numbers own the device nodes of this host" if machine.groups else "the shell looks the group's number up"
    )
    note = f"--group-add by number, because the image's own groups differ: {known}; not needed as root"
    engines = ("podman",) if machine.engine == "podman" else ("docker", "podman")
    for engine in engines:
        line = replace(_line(engine, image), devices=("/dev/kfd", "/dev/dri"), groups=groups)
        yield Way(f"{engine} run", as_run(line), "sh", note)
    line = replace(_line("docker", image), devices=("/dev/kfd", "/dev/dri"), groups=groups, flags=())
    yield Way("compose.yaml", as_compose(line), "yaml", "")
    more = replace(line, flags=("--rm", "-it"), shm_size=8 << 30)
    yield Way(
        "several processes",
        as_run(more),
        "sh",
        "data loaders and RCCL share memory: --shm-size, or --ipc=host with its risks",
    )
    debug = replace(line, flags=("--rm", "-it"), cap_add=("SYS_PTRACE",), security=("seccomp=unconfined",))
    yield Way(
        "debuggers and profilers", as_run(debug), "sh", "only they need ptrace and system calls that seccomp forbids"
    )


def _pod(image: str, gpus: Sequence[Gpu]) -> str:
    """A pod with the resource of the device plugin and a node selector by label."""
    resource = "nvidia.com/gpu" if gpus[0].vendor == "nvidia" else "amd.com/gpu"
    rows = ["apiVersion: v1", "kind: Pod", "metadata:", "  name: gpu-app", "spec:", "  restartPolicy: Never"]
    selector = _selector(gpus)
    if selector:
        rows += ["  nodeSelector:", *(f'    {key}: "{value}"' for key, value in selector)]
    rows += ["  containers:", "    - name: app", f'      image: "{image}"', "      resources:", "        limits:"]
    return "\n".join([*rows, f"          {resource}: 1", ""])


def _selector(gpus: Sequence[Gpu]) -> list[tuple[str, str]]:
    """Labels that only nodes with such GPUs have; none where the GPUs differ."""
    if len({gpu.target for gpu in gpus}) > 1:
        return []
    gpu = gpus[0]
    if gpu.vendor == "nvidia" and (match := re.fullmatch(r"(\d+)\.(\d+)", gpu.target)):
        return [("nvidia.com/gpu.compute.major", match[1]), ("nvidia.com/gpu.compute.minor", match[2])]
    ids = [one.partition(":")[2] for one in gpu.pci_ids]
    return [("amd.com/gpu.device-id", ids[0])] if len(ids) == 1 else []


def driver_floor(line: str) -> str:
    """The oldest driver for the CUDA version that a version line ends with, in words; empty for ROCm."""
    match = re.search(r"CUDA (?:\S+ to )?(\d+\.\d+)$", line)
    least = minimum_driver(match[1]) if match else None
    return f"CUDA {match[1]} starts with driver {least.starts} or later" if match and least else ""
