"""torch.utils.collect_env and what builds on it (vLLM, SGLang), and os-release.

https://github.com/pytorch/pytorch/blob/main/torch/utils/collect_env.py ,
https://github.com/vllm-project/vllm/blob/main/vllm/collect_env.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from doctor.builds import framework_builds_for
from doctor.bundles.outputs.nvidia import arch_of, listed, row
from doctor.bundles.pasted import Pasted, evidence, pairs, same
from doctor.data.cuda import cuda_for_driver, driver_supports_cuda, minimum_driver, version
from doctor.facts.host import FAMILIES
from doctor.finding import Evidence, Finding
from doctor.gpus import Gpu, find_gpu

NOTHING = ("", "None", "N/A", "Could not collect", "No CUDA")
GPUS = "GPU models and configuration"
GPU_LINE = re.compile(r"(?:GPU \d+: )?(?P<name>[^\n(]+)(?:\((?P<gfx>gfx[0-9a-f]{3,4})\b)?")
KERNELS = {r"\.el\d": "rhel", r"\.fc\d": "fedora", r"\.amzn\d": "fedora", r"-default\b": "suse"}
"""Words in a kernel's release that tell whose kernel it is."""
CALLED = {"red": "rhel", "amazon": "amzn", "oracle": "ol", "alma": "almalinux"}
"""First words of names of distributions that are not their ID."""
ISSUE = re.compile(r"^\*\*\* /etc/issue\n(?:\*\*\* ls: .*\n)?(?P<name>\w+)", re.MULTILINE)
PUBLISHED = re.compile(r"\d+\.\d+\.\d+(?:\+(?:cu|rocm)[\d.]+)?")


@dataclass(frozen=True, slots=True)
class _Field:
    value: str
    at: int


@dataclass(frozen=True, slots=True)
class _Device:
    name: str
    gfx: str
    at: int


def collected(text: str, name: str) -> Pasted | None:
    """What the report says, and what does not fit together in it."""
    told = {key: _field(text, key) for key in ("PyTorch version", "Is CUDA available", "CUDA used to build PyTorch",
            "ROCM used to build PyTorch", "Nvidia driver version", "OS", "Python platform")}  # fmt: skip
    gpus = list(_gpus(text))
    torch, driver = told["PyTorch version"].value, told["Nvidia driver version"].value.split(" ")[0]
    if not (torch or driver or gpus):
        return None
    device = same(gpu.name for gpu in gpus)
    vendors = {"amd" if gpu.gfx else find_vendor(gpu.name) for gpu in gpus}
    vendor = "nvidia" if driver or vendors == {"nvidia"} else "amd" if vendors == {"amd"} else ""
    # It asked nvidia-smi.
    rows = [row(str(n), gpu.name, "", "", "", "", "", driver) for n, gpu in enumerate(gpus) if driver]
    return Pasted(
        "collect_env",
        listed(rows) if rows else (),
        values=pairs(
            torch=torch,
            cuda=told["CUDA used to build PyTorch"].value,
            rocm=told["ROCM used to build PyTorch"].value,
            driver=driver,
            device=device,
            arch=same(gpu.gfx for gpu in gpus) or arch_of(device),
        ),
        circumstances=(*_distribution(told["OS"].value, told["Python platform"].value), *pairs(vendor=vendor)),
        findings=tuple(_misfits(text, name, told, gpus)),
    )


def _field(text: str, key: str) -> _Field:
    """A field; vLLM's report aligns the colons. What stands in braces is the program's own source."""
    found = re.search(rf"^.{{0,30}}?\b{key} *: *(.*)$", text, re.MULTILINE)
    value = found.group(1).strip() if found else ""
    is_known = value not in NOTHING and not value.startswith(("Could not", "{"))
    return _Field(value if is_known else "", found.start(1) if found else 0)


def _gpus(text: str) -> Iterator[_Device]:
    """The GPUs, which stand on the field's line or on those below."""
    begin = re.search(rf"{GPUS} *:", text)
    if not begin:
        return
    at, is_first = begin.end(), True
    for line in text[at:].split("\n")[:17]:
        words = line.strip().lstrip("|> ")
        found = GPU_LINE.match(words)
        if found and (words.startswith("GPU ") or is_first) and words not in NOTHING and words[0] != "{":
            yield _Device(found["name"].strip(), found["gfx"] or "", at)
        elif words:
            return
        at, is_first = at + len(line) + 1, False


def find_vendor(name: str) -> str:
    """nvidia or amd; empty where a name tells neither."""
    gpu = find_gpu(name)
    return gpu.vendor if isinstance(gpu, Gpu) else ""


def _distribution(system: str, platform: str) -> tuple[tuple[str, str], ...]:
    """The distribution, unless the kernel is another's: then the report is from inside a container."""
    family = _family(system.split(" ")[0].lower())
    kernel = next((one for words, one in KERNELS.items() if re.search(words, platform)), "")
    return family if not kernel or not family or family[0][1] == kernel else ()


def _misfits(text: str, name: str, told: dict[str, _Field], gpus: list[_Device]) -> Iterator[Finding]:
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
    known = [one for field in gpus if isinstance(one := find_gpu(field.name), Gpu)]
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


def _no_code(text: str, name: str, torch: _Field, cuda: str, gpus: list[_Device], first: Evidence) -> Iterator[Finding]:
    """A published build that holds no code for one of the GPUs."""
    if not PUBLISHED.fullmatch(torch.value):
        return
    for field in gpus:
        gpu = find_gpu(field.name)
        if not isinstance(gpu, Gpu) or gpu.vendor != "nvidia":
            continue
        builds = framework_builds_for("torch", torch.value.split("+")[0], gpu)
        fitting = [one for one in builds if version(one.build.cuda)[:2] == version(cuda)[:2]]
        if fitting and all(one.answer.runs == "no" for one in fitting):
            seen = evidence(text, name, field.at, fitting[0].answer.because)
            values = {"torch": torch.value, "cuda": cuda, "device": field.name, "arch": arch_of(field.name)}
            yield _finding("cuda-no-kernel-image", values, first, seen)
            return


def _finding(fault: str, values: dict[str, str], *seen: Evidence) -> Finding:
    return Finding(fault, seen, {name: value for name, value in values.items() if value}, sure="likely")


def system(text: str, name: str) -> Pasted | None:
    """os-release (https://www.freedesktop.org/software/systemd/man/latest/os-release.html)."""
    words = re.findall(r"^(?:ID|ID_LIKE)=\"?([\w -]+)\"?\s*$", text, re.MULTILINE)
    known = _family(*(word for line in words for word in line.split()))
    return Pasted("os-release", circumstances=known) if known else None


def bug_report(text: str, name: str) -> Pasted | None:
    """nvidia-bug-report.sh: the distribution by /etc/issue; its other sections are outputs that have readers."""
    found = ISSUE.search(text)
    known = _family(found["name"].lower()) if found else ()
    return Pasted("nvidia-bug-report", circumstances=(*known, *pairs(vendor="nvidia")))


def _family(*names: str) -> tuple[tuple[str, str], ...]:
    known = (CALLED.get(name, name) for name in names)
    return next(((("distro", FAMILIES[name]),) for name in known if name in FAMILIES), ())
