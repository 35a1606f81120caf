"""No setting keeps the NVIDIA kernel module from loading."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ModuleFacts, PciFacts
from doctor.finding import Evidence, Finding


@check("driver", needs=["pci", "modules.loaded"], uses=["modules"], faults=["nvidia-driver-not-loaded"])
def nvidia_module_not_blacklisted(pci: PciFacts, loaded: tuple[str, ...], modules: ModuleFacts) -> Verdict:
    if not pci.nvidia:
        return NotApplicable("no NVIDIA GPU is on the PCI bus")
    setting = modules.kept_away("nvidia")
    words = (pci.cmdline or "").split()
    listed = [word for word in words if word.startswith(("module_blacklist=", "modprobe.blacklist="))]
    barred = [word for word in listed if "nvidia" in word.partition("=")[2].split(",")]
    if "nvidia" in loaded or not (setting or barred):
        return "the module is loaded" if "nvidia" in loaded else "no modprobe.d file and no kernel option bars nvidia"
    place, line = (setting.path, setting.line) if setting else ("/proc/cmdline", barred[0])
    evidence = Evidence("file", place, line, says="this keeps the module from loading")
    return Finding("nvidia-driver-not-loaded", (evidence,), {"kernel": modules.kernel, "path": place})
