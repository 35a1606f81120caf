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
    ("vllm", "nvidia"): "vllm/vllm-openai",
    ("tensorflow", "nvidia"): "tensorflow/tensorflow",
    ("torch", "amd"): "rocm/pytorch",
    ("vllm", "amd"): "rocm/vllm",
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
    names = _rule(_CUDA_BASE)
    published = [tag.strip() for tag in names.example.split(",")]
    known_tags = [tag for tag in published if _short(tag) in fits]
    sources = (*names.sources, *sources)
    if known_tags:
        # What the driver knows itself goes before what it takes by compatibility.
        tag = max(known_tags, key=lambda tag: (not [*_minor(machine, _short(tag))], version(_short(tag))))
        limits += _minor(machine, _short(tag))
        return _Choice(f"{_CUDA_BASE}:{tag}", line, False, tuple(limits), sources)
    last = max(fits, key=version)
    limits.append(
        f"tags of {_CUDA_BASE} are {names.pattern}; put the patch release of CUDA {last} and your distribution in"
    )
    return _Choice(f"{_CUDA_BASE}:<{last}.Z>-runtime-<distribution>", line, True, tuple(limits), sources)


def _short(tag: str) -> str:
    return ".".join(tag.split("-")[0].split(".")[:2])


def _driver_takes(machine: Machine, cuda: str) -> bool:
    return not machine.driver or driver_supports_cuda(machine.driver, cuda) in ("yes", "minor-compat", "unknown")


def _cuda_framework(
    gpus: Sequence[Gpu], framework: str, machine: Machine, line: str, limits: list[str], sources: tuple[str, ...]
) -> _Choice:
    builds, surely = _builds(gpus, framework, ("yes", "jit")), True
    if not builds:
        builds, surely = _newest(_builds(gpus, framework, ("unknown",)), gpus, framework), False
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
    limits += _minor(machine, best.cuda)
    if not surely:
        limits.append(
            f"which GPUs {framework} {best.version} holds code for is not published: ask `gpu-doctor image` about it, "
            f"with --gpu, before you rely on it"
        )
    line = f"{framework} {best.version} built for CUDA {best.cuda}"
    image = _IMAGES.get((framework, "nvidia"))
    if image is None:
        base = _for_nvidia(gpus, "none", machine)
        limits.append(
            f"the tables know no official image of {framework}: install the build into a CUDA image (the wheel itself)"
        )
        return _Choice(base.image, line, base.formed, tuple(limits), (*best.sources, *base.sources, *sources))
    row = _rule(image)
    limits.append(_formed(row))
    return _Choice(
        f"{image}:{_tag(framework, best)}", line, True, tuple(limits), (*row.sources, *best.sources, *sources)
    )


def _tag(framework: str, build: data.Build) -> str:
    """The tag by the rule of the official image (image_names)."""
    full = build.version if build.version.count(".") == 2 else f"{build.version}.0"
    if framework == "vllm":
        return f"v{full}"
    if framework == "tensorflow":
        return f"{full}-gpu"
    return f"{full}-cuda{build.cuda}-cudnn{build.cudnn.split('.')[0] or '9'}-runtime"


def _rule(image: str) -> data.ImageName:
    return next(row for row in data.image_names() if row.image.startswith(image))


def _formed(row: data.ImageName) -> str:
    return f"the tag is formed by the rule {row.pattern}; `docker manifest inspect` tells whether it was published"


def _newest(builds: list[data.Build], gpus: Sequence[Gpu], framework: str) -> list[data.Build]:
    """Builds of the newest release alone, of a CUDA that writes code for the GPUs.

    None where that release has lost the GPU: what it lost, an older one may lack.
    """
    name = "onnxruntime-gpu" if framework == "onnxruntime" else framework
    last = max(version(row.version) for row in data.framework_builds() if row.framework == name)
    writes = [set(toolkits_for(gpu.target)) for gpu in gpus]
    return [
        build for build in builds if version(build.version) == last and all(build.cuda in known for known in writes)
    ]


def _minor(machine: Machine, cuda: str) -> Iterator[str]:
    """What a driver that is older than the CUDA release, though of the same major version, cannot do."""
    if machine.driver and driver_supports_cuda(machine.driver, cuda) == "minor-compat":
        yield (
            f"CUDA {cuda} is newer than driver {machine.driver}: machine code runs (minor-version compatibility),"
            " PTX is not compiled, and what needs a newer driver fails"
        )


def _builds(gpus: Sequence[Gpu], framework: str, answers: Sequence[str]) -> list[data.Build]:
    """Builds of which the sources give one of these answers for every one of the GPUs."""
    name = "onnxruntime-gpu" if framework == "onnxruntime" else framework
    fits: list[data.Build] = []
    for number, gpu in enumerate(gpus):
        own = [one.build for one in framework_builds_for(name, "", gpu) if one.answer.runs in answers]
        fits = own if number == 0 else [build for build in fits if build in own]
    return [build for build in fits if not build.unverified]


def _nvidia_limits(gpus: Sequence[Gpu], machine: Machine) -> Iterator[str]:
    for gpu in {gpu.target: gpu for gpu in gpus}.values():
        span = driver_branches_for(gpu.target)
        known = toolkits_for(gpu.target)
        if span is None or not known:
            yield f"{gpu_label(gpu)} is new to the tables: nothing is known of its limits"
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
    told = {rocm: [rocm_support(gpu.target, rocm) for gpu in gpus] for rocm in _releases()}
    official = [rocm for rocm, answers in told.items() if all(one.status == "supported" for one in answers)]
    sources = tuple(source for answers in told.values() for one in answers for source in one.sources)
    if framework != "none":
        return _rocm_framework(gpus, framework, official, limits, sources)
    if not official:
        limits.append(_unsupported(gpus))
        return _Choice("", "", False, tuple(limits), sources)
    last = official[-1]
    row = _rule("rocm/dev-ubuntu")
    limits.append(_formed(row))
    line = f"ROCm {official[0]} to {last}" if official[0] != last else f"ROCm {last}"
    return _Choice(f"{_ROCM_BASE}:{_trim(last)}-complete", line, True, tuple(limits), (*row.sources, *sources))


def _trim(release: str) -> str:
    return release.removesuffix(".0") if release.count(".") == 2 else release


def _rocm_framework(
    gpus: Sequence[Gpu], framework: str, official: list[str], limits: list[str], sources: tuple[str, ...]
) -> _Choice:
    builds = _builds(gpus, framework, ("yes", "jit"))
    line = f"ROCm {official[0]} to {official[-1]}" if official else ""
    if builds:
        best = max(builds, key=lambda build: version(build.version))
        sources = (*best.sources, *sources)
        wheel = f"{framework} {best.version} as published for ROCm {best.rocm} has code for {_names(gpus)}"
        limits.append(wheel + ("" if official else ", though AMD's matrix does not list it: unsupported"))
    image = _IMAGES.get((framework, "amd"))
    if not official:
        community = [row for row in data.image_names() if any(gpu.target in row.image for gpu in gpus)]
        limits += [f"{row.image}: {row.note}" for row in community]
        limits.append(_unsupported(gpus))
        return _Choice("", line, False, tuple(limits), sources)
    if image is None:
        base = _for_amd(gpus, "none")
        limits.append(f"the tables know no official ROCm image of {framework}: install its ROCm build into this one")
        return _Choice(base.image, line, base.formed, tuple(limits), (*base.sources, *sources))
    tags = [row for row in data.image_tags() if row.image == image]
    newest = version(data.rocm_drivers()[-1].rocm)[:1]
    latest = next((row for row in tags if row.tag == "latest"), None)
    if version(official[-1])[:1] == newest and latest is not None:
        limits.append(
            f"{image}:latest is the {latest.note.partition(' = ')[2] or 'newest release'}; pin a tag once it works"
        )
        return _Choice(f"{image}:latest", line, False, tuple(limits), (*latest.sources, *sources))
    dated = [row for row in tags if row.rocm and all(_supported(gpu, row.rocm) for gpu in gpus)]
    if dated:
        row = max(dated, key=lambda one: (version(one.rocm), version(one.torch)))
        return _Choice(f"{image}:{row.tag}", line, False, tuple(limits), (*row.sources, *sources))
    rule = _rule(image)
    if not rule.unverified and rule.example:
        limits.append(f"tags of {image} are {rule.pattern}, such as {rule.example}: take that of your GPU's family")
        return _Choice(f"{image}:<tag>", line, True, tuple(limits), (*rule.sources, *sources))
    limits.append(f"no published image of {image} that the tables know of supports {_names(gpus)}")
    return _Choice("", line, False, tuple(limits), sources)


def _releases() -> list[str]:
    """The ROCm releases whose images the tables know, the oldest first."""
    releases = [row.rocm for row in data.rocm_drivers()] + [row.rocm for row in data.rocm_systems()]
    return sorted(set(releases), key=version)


def _unsupported(gpus: Sequence[Gpu]) -> str:
    known = _releases()
    return f"the tables know the images of ROCm {known[0]} to {known[-1]}, and none of these supports {_names(gpus)}"


def _supported(gpu: Gpu, rocm: str) -> bool:
    return rocm_support(gpu.target, rocm).status == "supported"


def _amd_limits(gpu: Gpu) -> Iterator[str]:
    row = next((row for row in data.amd_targets() if row.gfx == gpu.target.split(":")[0]), None)
    name = gpu_label(gpu)
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


def gpu_label(gpu: Gpu) -> str:
    """Its name, and its target where that is something else."""
    return gpu.name if gpu.name == gpu.target else f"{gpu.name} ({gpu.target})"


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
    nvidia = gpus[0].vendor == "nvidia"
    when = "with the vendor's device plugin on the node"
    if _placement(gpus):
        # docs/gpu-feature-discovery of https://github.com/NVIDIA/k8s-device-plugin and cmd/k8s-node-labeller of
        # https://github.com/ROCm/k8s-device-plugin
        labeller = "GPU Feature Discovery" if nvidia else "AMD's node labeller"
        when += f" and the labels of {labeller}: without them the pod stays Pending, so leave the node's choice out"
    if nvidia:
        when += "; runtimeClassName: nvidia where that is not the default runtime"
    yield Way("Kubernetes", _pod(image, gpus), "yaml", when)


def _nvidia_ways(image: str, machine: Machine) -> Iterator[Way]:
    gpus = replace(_line("docker", image), gpus="all")
    cdi = replace(_line("docker", image), devices=("nvidia.com/gpu=all",))
    runtime = replace(_line("docker", image), runtime="nvidia", environment={"NVIDIA_VISIBLE_DEVICES": "all"})
    podman = replace(_line("podman", _qualified(image)), devices=("nvidia.com/gpu=all",))
    ways = [
        Way("docker run", as_run(gpus), "sh", "needs the NVIDIA Container Toolkit on the host"),
        Way(
            "docker run, by CDI",
            as_run(cdi),
            "sh",
            "Docker 28.2 or later, or 25 with the feature cdi switched on; with a CDI specification on the host "
            "(nvidia-ctk cdi generate)",
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


def _qualified(image: str) -> str:
    """With its registry: Podman looks short names up nowhere unless it is told where.

    https://docs.podman.io/en/latest/markdown/podman-pull.1.html ("Unqualified (short) names")
    """
    return image if "." in image.partition("/")[0] else f"docker.io/{image}"


def _amd_ways(image: str, machine: Machine) -> Iterator[Way]:
    groups = tuple(str(one) for one in machine.groups if one) or (KFD_GROUP,)
    known = (
        "the numbers own the device nodes of this host" if machine.groups else "the shell looks the group's number up"
    )
    note = f"--group-add by number, because the image's own groups differ: {known}; not needed as root"
    engines = ("podman",) if machine.engine == "podman" else ("docker", "podman")
    for engine in engines:
        named = _qualified(image) if engine == "podman" else image
        line = replace(_line(engine, named), devices=("/dev/kfd", "/dev/dri"), groups=groups)
        rootless = "; rootless: --group-add=keep-groups instead" if engine == "podman" else ""
        yield Way(f"{engine} run", as_run(line), "sh", note + rootless)
    engine = engines[0]
    line = replace(
        _line(engine, _qualified(image) if engine == "podman" else image),
        devices=("/dev/kfd", "/dev/dri"), groups=groups, flags=(),
    )  # fmt: skip
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
    """A pod with the resource of the device plugin, on nodes whose labels tell such GPUs."""
    resource = "nvidia.com/gpu" if gpus[0].vendor == "nvidia" else "amd.com/gpu"
    rows = ["apiVersion: v1", "kind: Pod", "metadata:", "  name: gpu-app", "spec:", "  restartPolicy: Never"]
    rows += _placement(gpus)
    rows += ["  containers:", "    - name: app", f'      image: "{image}"', "      resources:", "        limits:"]
    return "\n".join([*rows, f"          {resource}: 1", ""])


def _placement(gpus: Sequence[Gpu]) -> list[str]:
    """Which nodes: by one set of labels, or by any of several. Nothing where some GPU has no label that is known."""
    terms = list(dict.fromkeys(tuple(_labels(gpu)) for gpu in gpus))
    if not all(terms):
        return []
    if len(terms) == 1:
        return ["  nodeSelector:", *(f'    {key}: "{value}"' for key, value in terms[0])]
    rows = ["  affinity:", "    nodeAffinity:", "      requiredDuringSchedulingIgnoredDuringExecution:",
            "        nodeSelectorTerms:"]  # fmt: skip
    for term in terms:
        rows.append("          - matchExpressions:")
        rows += [f'              - {{key: {key}, operator: In, values: ["{value}"]}}' for key, value in term]
    return rows


def _labels(gpu: Gpu) -> Iterator[tuple[str, str]]:
    """Labels that only nodes with such a GPU have."""
    if gpu.vendor == "nvidia" and (match := re.fullmatch(r"(\d+)\.(\d+)", gpu.target)):
        yield "nvidia.com/gpu.compute.major", match[1]
        yield "nvidia.com/gpu.compute.minor", match[2]
    ids = [one.partition(":")[2] for one in gpu.pci_ids]
    if gpu.vendor == "amd" and len(ids) == 1:
        yield "amd.com/gpu.device-id", ids[0]


def driver_floor(line: str) -> str:
    """The oldest driver for the CUDA version that a version line ends with, in words; empty for ROCm."""
    match = re.search(r"CUDA (?:\S+ to )?(\d+\.\d+)$", line)
    least = minimum_driver(match[1]) if match else None
    return f"CUDA {match[1]} starts with driver {least.starts} or later" if match and least else ""
