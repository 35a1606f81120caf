"""Published framework builds and the GPUs they hold code for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from doctor import data
from doctor.arch import Answer, amd_code_runs, cuda_code_runs, cuda_target
from doctor.data.cuda import toolkits_for, version
from doctor.gpus import Gpu


@dataclass(frozen=True, slots=True)
class FittingBuild:
    """A published build and whether its own code runs on a GPU. `answer.by` is a target of the build."""

    build: data.Build
    answer: Answer


def framework_builds_for(framework: str, release: str, gpu: Gpu, platform: str = "x86_64") -> tuple[FittingBuild, ...]:
    """The builds of a framework's release ("2.6", "2.6.0", "2.6.0+cu124"; "" for every one) and how they fit a GPU.

    Builds for the other vendor are left out. Where the targets of a build are not published, the answer is
    "unknown", or "no" where the CUDA toolkit it was made with cannot write code for the GPU.
    """
    wanted = version(release)
    return tuple(
        FittingBuild(build, _fits(build, gpu))
        for build in _of_vendor(gpu)
        if build.framework == framework.lower().replace("_", "-")
        and build.platform == platform
        and (not release or _same_release(version(build.version), wanted))
    )


def _of_vendor(gpu: Gpu) -> Iterator[data.Build]:
    return (build for build in data.framework_builds() if bool(build.cuda) == (gpu.vendor == "nvidia"))


def _same_release(stated: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """A row for 2.6 stands for its patch releases; a row for 2.19.1 for any 2.19 where it is asked for."""
    shorter = min(len(stated), len(wanted), 2)
    return shorter > 0 and stated[:shorter] == wanted[:shorter]


def _fits(build: data.Build, gpu: Gpu) -> Answer:
    if not build.targets:
        return _by_toolkit(build, gpu)
    if gpu.vendor == "amd":
        answer = amd_code_runs(build.targets, gpu.target)
    else:
        cubins = [f"sm_{target.replace('.', '')}" for target in build.targets]
        # The PTX of a build is of its own toolkit, whose driver requirement is `driver_supports_cuda`'s question.
        ptx = [(f"compute_{target.replace('.', '')}", None) for target in build.ptx]
        answer = cuda_code_runs(cubins, ptx, gpu.target)
    if build.unverified and answer.runs != "unknown":
        return replace(answer, runs="unknown", because=f"{answer.because} (the targets of this build are inferred)")
    return answer


def _by_toolkit(build: data.Build, gpu: Gpu) -> Answer:
    """What the CUDA version of a build alone tells: machine code older than its compiler's oldest target is out."""
    device = cuda_target(gpu.target) if gpu.vendor == "nvidia" else None
    writes = next((row for row in data.cuda_toolkits() if version(row.cuda) == version(build.cuda)[:2]), None)
    if device and writes:
        oldest = min((target.major, target.minor) for name in writes.targets if (target := cuda_target(name)))
        if (device.major, device.minor) < oldest:
            last = toolkits_for(gpu.target)[-1:]
            because = f"CUDA {build.cuda} cannot build for {gpu.target}"
            return Answer("no", None, because + (f", {last[0]} was the last that could" if last else ""), "cubin")
    return Answer("unknown", None, f"which GPUs {build.framework} {build.version} holds code for is not published")
