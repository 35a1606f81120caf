"""The kernel log has no page fault of an AMD GPU."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import KernelFacts, PciFacts
from doctor.finding import Evidence, Finding


@check("amd", needs=["pci", "kernel"], faults=["amd-memory-access-fault"])
def amd_no_page_fault(pci: PciFacts, kernel: KernelFacts) -> Verdict:
    if not pci.amd:
        return NotApplicable("no AMD GPU is on the PCI bus")
    events = kernel.of("amd-page-fault")
    if not events:
        return "no page fault in the kernel log"
    evidence = tuple(Evidence("kernel", f"kernel log ({kernel.source})", one.text, one.line) for one in events[-2:])
    return Finding("amd-memory-access-fault", evidence, {"count": str(len(events))}, severity="warning")
