"""The kernel log has no NVIDIA GPU that fell off the bus."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import KernelFacts, PciFacts
from doctor.finding import Evidence, Finding


@check("driver", needs=["pci", "kernel"], faults=["nvidia-gpu-fell-off-bus"])
def nvidia_no_gpu_fell_off(pci: PciFacts, kernel: KernelFacts) -> Verdict:
    lost = [*kernel.of("fell-off"), *(event for event in kernel.of("xid") if event.values["xid"] == "79")]
    if not pci.nvidia and not lost:
        return NotApplicable("no NVIDIA GPU is on the PCI bus")
    if not lost:
        return f"no GPU fell off the bus in {kernel.lines} lines about GPUs"
    evidence = tuple(Evidence("kernel", f"kernel log ({kernel.source})", one.text, one.line) for one in lost[:3])
    pci_id = next((one.values["pci"] for one in lost if one.values.get("pci")), "")
    return Finding("nvidia-gpu-fell-off-bus", evidence, {"pci": pci_id} if pci_id else {})
