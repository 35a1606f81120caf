"""Does this code run on this device? The rules for sm_* and gfx* targets, over the tables of `doctor.data`.

Everything here is a pure function of target names. Names that are not understood, and cases where public sources
are silent or disagree, are answered "unknown". `Answer.rule` names the rule in `doctor.data.rules`, with its sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from doctor import data
from doctor.data.cuda import cuda_for_driver, cuda_reads_ptx, driver_supports_cuda, version

Runs = Literal["yes", "jit", "no", "unknown"]

# CUDA 12.8 and 12.9 call Thor 10.1, later ones 11.0.
RENAMED = {"10.1", "11.0"}

# What wins when one file holds several kernel images: the loader takes the best that fits.
_ORDER: dict[Runs, int] = {"yes": 0, "jit": 1, "unknown": 2, "no": 3}


_CUDA = re.compile(r"(?:sm_|compute_)?([0-9]{1,2})([0-9])([af]?)")
_CAPABILITY = re.compile(r"([0-9]{1,2})\.([0-9])([af]?)")
_PROCESSOR = re.compile(r"gfx(?:[0-9]{1,2}[0-9a-f]{2}|[0-9]{1,2}(?:-[0-9])?-generic)")
_FEATURE = re.compile(r"([a-z][a-z0-9-]*)([+-])")


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether code runs on a device, by which kernel image, and why.

    yes: machine code for the device. jit: PTX that the driver compiles, or AMD's code for a generic target.
    `by` is the target that decides, None for "no". `rule` is the id of the rule it rests on.
    """

    runs: Runs
    by: str | None
    because: str
    rule: str = ""


@dataclass(frozen=True, slots=True)
class CudaTarget:
    """A target such as sm_90a: compute capability (major, minor) and suffix: "", "a" or "f"."""

    major: int
    minor: int
    suffix: str

    @property
    def capability(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True)
class AmdTargetId:
    """A target id such as gfx90a:sramecc+:xnack-: processor, and the mode ("+" or "-") of each named feature."""

    processor: str
    features: tuple[tuple[str, str], ...] = ()

    def mode(self, feature: str) -> str | None:
        return dict(self.features).get(feature)


def cuda_target(text: str) -> CudaTarget | None:
    """Reads "sm_90a", "compute_100f", "90a" or a compute capability "9.0". None if it is none of these."""
    found = _CUDA.fullmatch(text.strip().lower()) or _CAPABILITY.fullmatch(text.strip().lower())
    if not found or not int(found.group(1)):
        return None
    return CudaTarget(int(found.group(1)), int(found.group(2)), found.group(3))


def amd_target(text: str) -> AmdTargetId | None:
    """Reads a target id, with or without features. None if it is none."""
    processor, *features = text.strip().lower().split(":")
    if not _PROCESSOR.fullmatch(processor):
        return None
    modes = [_FEATURE.fullmatch(feature) for feature in features]
    if not all(modes):
        return None
    return AmdTargetId(processor, tuple(sorted((mode.group(1), mode.group(2)) for mode in modes if mode)))


# ---- NVIDIA ----------------------------------------------------------------------------------------------------


def cubin_runs(target: str, device: str) -> Answer:
    """Whether a cubin ("sm_86", "sm_90a", "sm_100f") runs on a device ("8.6" or "sm_86")."""
    code, gpu = cuda_target(target), cuda_target(device)
    if code is None or gpu is None:
        return Answer("unknown", target, f"{target} or {device} is no target known here")
    here, there = gpu.capability, code.capability
    if {here, there} == RENAMED:
        return Answer("unknown", target, "10.1 and 11.0 are two names of one chip", "renamed-thor")
    if code.suffix == "a":
        return _only_itself(target, here == there, here)
    if here == there:
        return Answer("yes", target, f"{target} is machine code for {here}", "cubin")
    if code.suffix == "f":
        return _family(target, code, gpu, "yes")
    if code.major != gpu.major:
        return Answer("no", None, f"{target} runs on {code.major}.x only, the device is {here}", "cubin")
    if code.minor > gpu.minor:
        return Answer("no", None, f"{target} needs {there} or a later {code.major}.x, the device is {here}", "cubin")
    return _between_minors(target, here, there)


def _only_itself(target: str, same: bool, here: str) -> Answer:
    if same:
        return Answer("yes", target, f"{target} is machine code for exactly {here}", "architecture-specific")
    return Answer(
        "no",
        None,
        f"{target} runs on exactly that architecture, the device is {here}",
        "architecture-specific",
    )


def _family(target: str, code: CudaTarget, gpu: CudaTarget, fits: Runs) -> Answer:
    """Code with suffix f on another device than its own."""
    row = next((row for row in data.families() if row.target == f"{code.major}{code.minor}"), None)
    if row and gpu.capability in row.members:
        return Answer(fits, target, f"{gpu.capability} is of the family of {target}", "family-specific")
    if code.major != gpu.major or gpu.minor < code.minor:
        return Answer("no", None, f"{gpu.capability} is not of the family of {target}", "family-specific")
    return Answer(
        "unknown",
        target,
        f"whether {gpu.capability} is of the family of {target} is not known",
        "family-specific",
    )


def _between_minors(target: str, here: str, there: str) -> Answer:
    """Plain code of the same major and a lower minor: it runs, unless one of the two is an integrated GPU."""
    rows = [row for row in data.integrated() if row.compute_capability in (here, there)]
    if not rows:
        return Answer("yes", target, f"{target} runs on {here}: same major, later minor", "cubin")
    if rows[0].unverified:
        return Answer(
            "unknown",
            target,
            f"what kind of GPU {rows[0].compute_capability} is, is not known",
            "cubin-integrated",
        )
    because = f"{rows[0].compute_capability} ({rows[0].device}) is an integrated GPU, which shares no machine code"
    return Answer("no", None, because, "cubin-integrated")


def ptx_runs(target: str, isa: str | None, device: str, driver: str | None) -> Answer:
    """Whether PTX ("compute_90", its ISA version such as "8.4") can be compiled for a device by a driver.

    Without a driver the answer is about the device alone, given a driver that is new enough.
    """
    code, gpu = cuda_target(target), cuda_target(device)
    if code is None or gpu is None:
        return Answer("unknown", target, f"{target} or {device} is no target known here")
    fits = _ptx_fits(target, code, gpu)
    return _with_driver(fits, isa, driver) if fits.runs == "jit" and driver is not None else fits


def _ptx_fits(target: str, code: CudaTarget, gpu: CudaTarget) -> Answer:
    here, there = gpu.capability, code.capability
    if code.suffix and {here, there} == RENAMED:
        return Answer("unknown", target, "10.1 and 11.0 are two names of one chip", "renamed-thor")
    if code.suffix == "a" and here != there:
        return _only_itself(target, False, here)
    if code.suffix == "f" and here != there:
        return _family(target, code, gpu, "jit")
    if (gpu.major, gpu.minor) < (code.major, code.minor):
        return Answer("no", None, f"PTX for {target} needs {there} or newer, the device is {here}", "ptx")
    return Answer("jit", target, f"the driver compiles PTX for {target} when the program starts", "ptx")


def _with_driver(fits: Answer, isa: str | None, driver: str) -> Answer:
    have, need = cuda_for_driver(driver), cuda_reads_ptx(isa) if isa else None
    if have is None or need is None:
        missing = f"driver {driver}" if have is None else f"PTX version {isa}" if isa else "its PTX version"
        return Answer("unknown", fits.by, f"{fits.because}, but {missing} is not known here", "ptx-driver")
    if driver_supports_cuda(driver, need) == "yes":
        return Answer("jit", fits.by, fits.because, "ptx-driver")
    because = f"PTX {isa} needs a driver for CUDA {need}"
    # A driver newer than the facts, or one whose CUDA version is not confirmed, may well read it.
    if version(have) >= version(need) or version(driver)[0] > data.driver_branches()[-1].branch:
        return Answer("unknown", fits.by, f"{because}; whether driver {driver} is one is not known", "ptx-driver")
    return Answer("no", None, f"{because}, driver {driver} is for {have}", "ptx-driver")


def cuda_code_runs(
    cubins: Iterable[str], ptx: Iterable[tuple[str, str | None]], device: str, driver: str | None = None
) -> Answer:
    """Whether a file's CUDA code runs on a device: the best answer of all its kernel images.

    `ptx` are pairs of target and PTX ISA version (None if not recorded), `driver` is a Linux driver version.
    """
    cubins = sorted(set(cubins), key=lambda target: (_closeness(target), target))
    ptx = sorted(set(ptx), key=lambda pair: (_closeness(pair[0]), pair[0], pair[1] or ""))
    answers = [cubin_runs(target, device) for target in cubins]
    answers += [ptx_runs(target, isa, device, driver) for target, isa in ptx]
    if not answers:
        return Answer("no", None, "there is no CUDA code in it")
    best = min(answers, key=lambda answer: (_ORDER[answer.runs], -_closeness(answer.by)))
    if best.runs != "no" or len(answers) == 1:
        return best
    telling = next((answer for answer in answers if answer.rule in ("ptx-driver", "cubin-integrated")), None)
    because = _none_fits(cubins, ptx, device) + (f"; {telling.because}" if telling else "")
    return Answer("no", None, because, telling.rule if telling else best.rule)


def _closeness(target: str | None) -> int:
    """Later targets first: of two images that run, the one made for the newer GPU is loaded."""
    found = cuda_target(target) if target else None
    return found.major * 100 + found.minor if found else 0


def _none_fits(cubins: list[str], ptx: list[tuple[str, str | None]], device: str) -> str:
    held = _few(cubins) or "no machine code"
    rest = f"PTX for {_few([target for target, _ in ptx])}" if ptx else "no PTX"
    found = cuda_target(device)
    return f"the device is {found.capability if found else device}; there is {held} and {rest}"


def _few(names: Iterable[str], most: int = 12) -> str:
    """Names in a row, each once, cut where a file holds more than a reader wants."""
    once = list(dict.fromkeys(names))
    return ", ".join(once[:most]) + (f" and {len(once) - most} more" if len(once) > most else "")


# ---- AMD -------------------------------------------------------------------------------------------------------


def code_object_runs(target: str, device: str) -> Answer:
    """Whether an AMD code object ("gfx90a:xnack+", "gfx11-generic") runs on a device, given as a target id too."""
    code, gpu = amd_target(target), amd_target(device)
    if code is None or gpu is None:
        return Answer("unknown", target, f"{target} or {device} is no target known here")
    if code.processor == gpu.processor:
        return _features(
            target, code, gpu, Answer("yes", target, f"{target} is machine code for {device}", "amd-exact")
        )
    row = next((row for row in data.generic_targets() if row.generic == code.processor), None)
    if row is None and code.processor.endswith("-generic"):
        return Answer("unknown", target, f"which processors {code.processor} covers is not known", "amd-generic")
    if row is None or gpu.processor not in row.members:
        return Answer("no", None, f"{target} does not run on {gpu.processor}", "amd-generic" if row else "amd-exact")
    if row.unverified:
        return Answer("unknown", target, f"{code.processor} seems to cover {gpu.processor}, unconfirmed", "amd-generic")
    return _features(
        target, code, gpu, Answer("jit", target, f"{code.processor} covers {gpu.processor}", "amd-generic")
    )


def _features(target: str, code: AmdTargetId, gpu: AmdTargetId, fits: Answer) -> Answer:
    """The answer once the modes of xnack, sramecc and the like are compared; what is not named fits both modes."""
    verdicts = [_feature(target, feature, mode, gpu) for feature, mode in code.features]
    worst = [verdict for runs in ("no", "unknown") for verdict in verdicts if verdict and verdict.runs == runs]
    return worst[0] if worst else fits


def _feature(target: str, feature: str, mode: str, gpu: AmdTargetId) -> Answer | None:
    """What speaks against the code, or None if its mode of the feature is the device's."""
    have = gpu.mode(feature)
    row = next((r for r in data.feature_modes() if (r.gfx, r.feature) == (gpu.processor, feature)), None)
    if have is None and row and row.default != mode and row.switchable:
        because = f"{target} needs {feature}{mode}; {gpu.processor} is {feature}{row.default} unless HSA_XNACK says so"
        return Answer("unknown", target, because, "amd-features")
    have = have or (row.default if row else None)
    if have is None:
        return Answer(
            "unknown",
            target,
            f"{target} needs {feature}{mode}; the device's mode is not known",
            "amd-features",
        )
    if have != mode:
        return Answer("no", None, f"{target} needs {feature}{mode}, the device is {feature}{have}", "amd-features")
    return None


def amd_code_runs(targets: Iterable[str], device: str) -> Answer:
    """Whether a file's AMD code objects run on a device: the best answer of all. See `override_for` for "no"."""
    targets = sorted(set(targets))
    answers = [code_object_runs(target, device) for target in targets]
    if not answers:
        return Answer("no", None, "there is no AMD code in it")
    best = min(answers, key=lambda answer: _ORDER[answer.runs])
    if best.runs != "no":
        return best
    because = best.because if len(answers) == 1 else f"the device is {device}; there is {_few(targets)}"
    override = override_for(targets, device)
    if override:
        because += f"; HSA_OVERRIDE_GFX_VERSION={override.value} may load code of {override.runs_as} (unsupported)"
    return Answer("no", None, because, best.rule)


def override_for(targets: Iterable[str], device: str) -> data.Override | None:
    """The HSA_OVERRIDE_GFX_VERSION with which a device could load one of the targets, where none fits as it is.

    Always a guess: AMD supports none of them. Only pairs whose instruction sets agree as far as LLVM documents
    them are known; there is none across generations (gfx1010 as gfx1030 is often tried and wrong).
    """
    gpu, held = amd_target(device), list(targets)
    if gpu is None:
        return None
    for row in data.overrides():
        if row.gfx == gpu.processor and any(code_object_runs(t, row.runs_as).runs in ("yes", "jit") for t in held):
            return row
    return None
