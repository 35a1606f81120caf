"""Some NVIDIA GPU has memory left.

A GPU that other programs have filled makes the next one fail with "out of memory" at its first allocation.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import NvmlFacts
from doctor.finding import Evidence, Finding

LITTLE = 0.03
"""Share of the memory below which hardly a context fits: one takes some hundred MB."""


@check("driver", needs=["nvml"], faults=["cuda-out-of-memory"])
def nvidia_memory_free(nvml: NvmlFacts) -> Verdict:
    known = [
        (gpu, gpu.total - (gpu.used or 0), gpu.total) for gpu in nvml.answering if gpu.total and gpu.used is not None
    ]
    if not known:
        return NotApplicable("no GPU told its memory")
    if any(free > LITTLE * total for _, free, total in known):
        return "; ".join(f"GPU {gpu.index}: {free >> 20} of {total >> 20} MB free" for gpu, free, total in known[:8])
    gpu, free, total = max(known, key=lambda row: row[1])
    holders = ", ".join(str(pid) for pid, _ in gpu.processes or ())
    told = f"GPU {gpu.index}: {free >> 20} of {total >> 20} MB free" + (f", processes {holders}" if holders else "")
    evidence = Evidence("command", nvml.way, told, says="the most that any GPU has free")
    values = {"free": f"{free >> 20} MB", "size": f"{total >> 20} MB", "index": str(gpu.index)}
    return Finding("cuda-out-of-memory", (evidence,), values, sure="possible", severity="warning")
