"""The kernel log has no time-out or reset of an AMD GPU."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import KernelFacts, PciFacts
from doctor.finding import Evidence, Finding, Severity


@check("amd", needs=["pci", "kernel"], faults=["amd-gpu-hang"])
def amd_no_gpu_hang(pci: PciFacts, kernel: KernelFacts) -> Verdict:
    if not pci.amd:
        return NotApplicable("no AMD GPU is on the PCI bus")
    events = kernel.of("amd-hang", "amd-reset")
    if not events:
        return "no ring time-out and no reset in the kernel log"
    failed = [event for event in events if "failed" in event.text]
    evidence = tuple(
        Evidence("kernel", f"kernel log ({kernel.source})", one.text, one.line) for one in (failed or events)[:3]
    )
    # After a reset that succeeded the GPU works; the program that hung it did not.
    severity: Severity | None = None if failed else "warning"
    ring = next((one.values["ring"] for one in events if "ring" in one.values), "")
    return Finding("amd-gpu-hang", evidence, {"process": ring} if ring else {}, severity=severity)
