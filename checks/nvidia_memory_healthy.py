"""No NVIDIA GPU has memory errors that were not repaired.

Uncorrectable errors, rows or pages that wait for a reset to be replaced, and rows that could not be replaced:
https://docs.nvidia.com/deploy/a100-gpu-mem-error-mgmt/
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import NvmlFacts
from doctor.facts.nvml import NvmlGpu
from doctor.finding import Evidence, Finding, Severity


@check("driver", needs=["nvml"], faults=["nvidia-xid-hardware"])
def nvidia_memory_healthy(nvml: NvmlFacts) -> Verdict:
    telling = [
        gpu for gpu in nvml.answering if gpu.rows or gpu.pages_pending is not None or gpu.uncorrected is not None
    ]
    if not telling:
        return NotApplicable("no GPU here tells of memory errors (no ECC, or nvidia-smi was asked)")
    found = []
    for gpu in telling:
        says, severity = _trouble(gpu)
        if says:
            evidence = Evidence("command", nvml.way, f"GPU {gpu.index} {gpu.name}: {says}")
            values = {"index": str(gpu.index), **({"pci": gpu.pci} if gpu.pci else {})}
            found.append(Finding("nvidia-xid-hardware", (evidence,), values, severity=severity, subject=gpu.pci))
    on = sum(bool(gpu.ecc) for gpu in telling)
    return found or f"{len(telling)} GPU(s) without unrepaired memory errors, ECC on for {on}"


def _trouble(gpu: NvmlGpu) -> tuple[str, Severity | None]:
    if gpu.rows and gpu.rows[3]:
        return "a faulty memory row could not be replaced", None
    if gpu.uncorrected:
        return f"{gpu.uncorrected} uncorrectable memory error(s) since the driver was loaded", None
    if (gpu.rows and gpu.rows[2]) or gpu.pages_pending:
        return "faulty memory waits for a reset to be replaced", "warning"
    return "", None
