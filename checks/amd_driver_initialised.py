"""amdgpu could initialise every GPU, by the kernel log."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import KernelFacts, PciFacts
from doctor.finding import Evidence, Finding


@check("amd", needs=["pci", "kernel"], faults=["amd-driver-init-failed"])
def amd_driver_initialised(pci: PciFacts, kernel: KernelFacts) -> Verdict:
    if not pci.amd:
        return NotApplicable("no AMD GPU is on the PCI bus")
    failed = kernel.of("amd-init")
    if not failed:
        # Firmware that is missing for a part the GPU can do without is no failure.
        return "the kernel log tells of no failed initialisation"
    firmware = kernel.of("amd-firmware")
    place = f"kernel log ({kernel.source})"
    evidence = tuple(Evidence("kernel", place, one.text, one.line) for one in (*firmware[:1], *failed[:2]))
    address = next((one.values["pci"] for one in failed if "pci" in one.values), "")
    reason = f"firmware {firmware[0].values['file']} is missing" if firmware and "file" in firmware[0].values else ""
    values = {name: value for name, value in (("pci", address), ("reason", reason)) if value}
    return Finding("amd-driver-init-failed", evidence, values)
