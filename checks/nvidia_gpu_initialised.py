"""The NVIDIA driver could initialise every GPU, by the kernel log."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import KernelFacts, PciFacts
from doctor.finding import Evidence, Finding


@check(
    "driver",
    needs=["pci", "kernel"],
    faults=["nvidia-xid-hardware", "nvidia-driver-no-longer-supports-gpu"],
)
def nvidia_gpu_initialised(pci: PciFacts, kernel: KernelFacts) -> Verdict:
    if not pci.nvidia:
        return NotApplicable("no NVIDIA GPU is on the PCI bus")
    place = f"kernel log ({kernel.source})"
    unsupported = kernel.of("nvidia-unsupported", "nvidia-needs-open")
    if unsupported:
        one = unsupported[0]
        evidence = Evidence("kernel", place, one.text, one.line)
        values = {"pci": one.values["pci"]} if "pci" in one.values else {}
        return Finding("nvidia-driver-no-longer-supports-gpu", (evidence,), values)
    failed = kernel.of("nvidia-init")
    if not failed:
        return "no GPU failed to initialise"
    return [
        Finding(
            "nvidia-xid-hardware",
            (Evidence("kernel", place, one.text, one.line),),
            {"pci": one.values["pci"], "code": one.values.get("code", "not given")},
            subject=one.values["pci"],
        )
        for one in {event.values["pci"]: event for event in failed}.values()
    ]
