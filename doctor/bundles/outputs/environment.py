"""torch.utils.collect_env and what builds on it (vLLM, SGLang), and os-release.

https://github.com/pytorch/pytorch/blob/main/torch/utils/collect_env.py ,
https://github.com/vllm-project/vllm/blob/main/vllm/collect_env.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from doctor.builds import framework_builds_for
from doctor.bundles.outputs.nvidia import arch_of
from doctor.bundles.pasted import Pasted, evidence, pairs
from doctor.data.cuda import cuda_for_driver, driver_supports_cuda, minimum_driver, version
from doctor.facts.host import FAMILIES
from doctor.finding import Evidence, Finding
from doctor.gpus import Gpu, find_gpu

NOTHING = ("", "None", "N/A", "Could not collect", "No CUDA")
GPU_LINE = re.compile(r"(?:GPU \d+: )?(?P<name>[^\n(]+)")
PUBLISHED = re.compile(r"\d+\.\d+\.\d+(?:\+(?:cu|rocm)[\d.]+)?")


@dataclass(frozen=True, slots=True)
class _Field:
    value: str
    at: int


def collected(text: str, name: str) -> Pasted | None:
    """What the report says, and what does not fit together in it."""
    told = {key: _field(text, key) for key in ("PyTorch version", "Is CUDA available", "CUDA used to build PyTorch",
            "ROCM used to build PyTorch", "Nvidia driver version", "OS")}  # fmt: skip
    if not told["PyTorch version"].value:
        return None
    gpus = list(_gpus(text))
    device = gpus[0].value if gpus else ""
    return Pasted(
        "collect_env",
        values=pairs(
            torch=told["PyTorch version"].value,
            cuda=told["CUDA used to build PyTorch"].value,
            rocm=told["ROCM used to build PyTorch"].value,
            driver=told["Nvidia driver version"].value.split()[0] if told["Nvidia driver version"].value else "",
            device=device,
            arch=arch_of(device),
        ),
        circumstances=_family(told["OS"].value.split(" ")[0].lower()),
        findings=tuple(_misfits(text, name, told, gpus)),
    )


def _field(text: str, key: str) -> _Field:
    found = re.search(rf"^.{{0,30}}?\b{key}: *(.*)$", text, re.MULTILINE)
    value = found.group(1).strip() if found else ""
    return _Field("" if value in NOTHING or value.startswith("Could not") else value, found.start(1) if found else 0)


def _gpus(text: str) -> Iterator[_Field]:
    """The GPUs of `GPU models and configuration`, which stand on its line or on those below."""
    begin = text.find("GPU models and configuration:")
    if begin < 0:
        return
    at = begin + len("GPU models and configuration:")
    for line in text[at:].split("\n")[:17]:
        words = line.strip().lstrip("|> ")
        found = GPU_LINE.fullmatch(words.split(" (")[0])
        if words and found and (words.startswith("GPU ") or at == begin + 29) and words not in NOTHING:
            yield _Field(found["name"].strip(), at)
        elif words:
            return
        at += len(line) + 1


def _misfits(text: str, name: str, told: dict[str, _Field], gpus: list[_Field]) -> Iterator[Finding]:
    torch, cuda, rocm = (
        told[key] for key in ("PyTorch version", "CUDA used to build PyTorch", "ROCM used to build PyTorch")
    )
    driver, available = told["Nvidia driver version"].value.split("\n")[0], told["Is CUDA available"]
    said = {"torch": torch.value, "cuda": cuda.value, "driver": driver}
    first = evidence(text, name, torch.at)
    if cuda.value:
        yield from _no_code(text, name, torch, cuda.value, gpus, first)
    if available.value != "False":
        return
    unavailable = evidence(text, name, available.at)
    known = [one for field in gpus if isinstance(one := find_gpu(field.value), Gpu)]
    if rocm.value and any(one.vendor == "nvidia" for one in known):
        yield _finding("framework-wrong-vendor", said, first, evidence(text, name, gpus[0].at), unavailable)
    elif not cuda.value and not rocm.value and (driver or known):
        yield _finding("framework-cpu-only-build", said, evidence(text, name, cuda.at or torch.at), first, unavailable)
    elif cuda.value and driver and driver_supports_cuda(driver, cuda.value) in ("no", "forward-compat-needed"):
        least, offers = minimum_driver(cuda.value), cuda_for_driver(driver)
        says = f"CUDA {cuda.value} needs {least.starts}" if least else ""
        seen = evidence(text, name, told["Nvidia driver version"].at, says)
        more = {"required": least.starts if least else "", "cuda_driver": offers or ""}
        yield _finding("cuda-driver-too-old", {**said, **more}, seen, first, unavailable)


def _no_code(text: str, name: str, torch: _Field, cuda: str, gpus: list[_Field], first: Evidence) -> Iterator[Finding]:
    """A published build that holds no code for one of the GPUs."""
    if not PUBLISHED.fullmatch(torch.value):
        return
    for field in gpus:
        gpu = find_gpu(field.value)
        if not isinstance(gpu, Gpu) or gpu.vendor != "nvidia":
            continue
        builds = framework_builds_for("torch", torch.value.split("+")[0], gpu)
        fitting = [one for one in builds if version(one.build.cuda)[:2] == version(cuda)[:2]]
        if fitting and all(one.answer.runs == "no" for one in fitting):
            seen = evidence(text, name, field.at, fitting[0].answer.because)
            values = {"torch": torch.value, "cuda": cuda, "device": field.value, "arch": arch_of(field.value)}
            yield _finding("cuda-no-kernel-image", values, first, seen)
            return


def _finding(fault: str, values: dict[str, str], *seen: Evidence) -> Finding:
    return Finding(fault, seen, {name: value for name, value in values.items() if value}, sure="likely")


def system(text: str, name: str) -> Pasted | None:
    """os-release (https://www.freedesktop.org/software/systemd/man/latest/os-release.html)."""
    words = re.findall(r"^(?:ID|ID_LIKE)=\"?([\w -]+)\"?\s*$", text, re.MULTILINE)
    known = _family(*(word for line in words for word in line.split()))
    return Pasted("os-release", circumstances=known) if known else None


def _family(*names: str) -> tuple[tuple[str, str], ...]:
    return next(((("distro", FAMILIES[name]),) for name in names if name in FAMILIES), ())
