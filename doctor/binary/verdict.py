"""Whether a file has code for a GPU."""

from __future__ import annotations

from typing import NamedTuple

from doctor.arch import amd_code_runs, cuda_code_runs
from doctor.binary.record import BinaryFile
from doctor.gpus import Gpu


class Verdict(NamedTuple):
    """Whether a file has code for a GPU: `runs` is a word of `TOLD`, `by` the target that decides, if one does."""

    gpu: Gpu
    runs: str
    by: str | None
    because: str


# In the order in which files of one folder outdo each other.
TOLD = {
    "yes": "with machine code for it",
    "jit": "with PTX or generic code that fits it",
    "unknown": "that may or may not have code for it",
    "no": "without code for it",
    "wrong-vendor": "for the other vendor",
}


def judge(file: BinaryFile, gpu: Gpu, driver: str | None) -> Verdict:
    """By the rules of doctor/arch.py. `driver`: the NVIDIA driver that would compile PTX; None: not known."""
    if not (file.gfx if gpu.vendor == "amd" else file.cubin or file.ptx):
        return Verdict(gpu, "wrong-vendor", None, "it has code for the other vendor's GPUs only")
    if gpu.vendor == "amd":
        answer = amd_code_runs(file.gfx, gpu.target)
    else:
        ptx = [(target, isa or None) for target, isa in file.ptx_modules()]
        answer = cuda_code_runs(file.cubin, ptx, gpu.target, driver)
    apart = [(target, isa or None) for target, isa in file.relocatable_ptx()]
    if answer.runs == "no" and cuda_code_runs((), apart, gpu.target, driver).runs != "no":
        because = f"{answer.because}; whether its relocatable PTX is linked for the device is not documented"
        return Verdict(gpu, "unknown", None, because)
    if answer.runs == "no" and (file.unreadable or file.not_searched):
        return Verdict(gpu, "unknown", None, f"{answer.because}, as far as the file was read")
    if gpu.unverified and answer.runs != "unknown":
        return Verdict(gpu, "unknown", answer.by, f"that this GPU is {gpu.target} is not confirmed")
    return Verdict(gpu, answer.runs, answer.by, answer.because)
