"""Secure Boot lets the GPU's kernel module load."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import KernelFacts, ModuleFacts, PciFacts
from doctor.finding import Evidence, Finding


@check(
    "driver",
    needs=["pci", "modules.loaded", "kernel"],
    uses=["modules"],
    faults=["nvidia-secure-boot-module-rejected"],
)
def nvidia_module_signature_accepted(
    pci: PciFacts, loaded: tuple[str, ...], kernel: KernelFacts, modules: ModuleFacts
) -> Verdict:
    if not pci.nvidia:
        return NotApplicable("no NVIDIA GPU is on the PCI bus")
    if "nvidia" in loaded:
        return f"the module is loaded; Secure Boot is {_words(modules.secure_boot)}"
    refused = [event for event in kernel.of("module-rejected") if "amd" not in event.values.get("module", "")]
    if not refused:
        return "the kernel log has no refused module"
    evidence = Evidence("kernel", f"kernel log ({kernel.source})", refused[-1].text, refused[-1].line)
    return Finding(
        "nvidia-secure-boot-module-rejected", (evidence,), sure="certain" if modules.secure_boot else "likely"
    )


def _words(secure_boot: object) -> str:
    return {True: "on", False: "off"}.get(secure_boot, "not known") if isinstance(secure_boot, bool) else "not known"
