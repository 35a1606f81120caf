"""The host has nvidia-smi beside its driver."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import LimitFacts
from doctor.facts.nvidia import Module
from doctor.finding import Evidence, Finding


@check("driver", needs=["nvidia.module", "nvidia.has_smi", "limits"], faults=["nvidia-smi-not-installed"])
def nvidia_smi_installed(module: Module | None, has_smi: bool, limits: LimitFacts) -> Verdict:
    if module is None or limits.inside:
        return NotApplicable("this is a container" if limits.inside else "no NVIDIA kernel module is loaded")
    if has_smi:
        return "nvidia-smi is installed"
    evidence = Evidence("file", "/usr/bin/nvidia-smi", "not there", says=f"the driver {module.version} is loaded")
    return Finding("nvidia-smi-not-installed", (evidence,), {"driver": module.version}, sure="likely", severity="note")
