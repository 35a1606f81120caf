"""Every AMD GPU is bound to amdgpu.

A GPU without a driver although amdgpu is loaded failed to initialise; radeon drives old GPUs, without ROCm.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import PciFacts
from doctor.finding import Evidence, Finding


@check("amd", needs=["pci", "modules.loaded"], faults=["amd-driver-init-failed", "amd-driver-not-loaded"])
def amd_gpus_bound(pci: PciFacts, loaded: tuple[str, ...]) -> Verdict:
    if not pci.amd or "amdgpu" not in loaded:
        return NotApplicable("no AMD GPU with a loaded amdgpu is here")
    others = [gpu for gpu in pci.amd if gpu.driver not in ("amdgpu", "vfio-pci", "pci-stub", "xen-pciback")]
    if not others:
        aside = [gpu.address for gpu in pci.amd if gpu.driver != "amdgpu"]
        return f"{len(pci.amd) - len(aside)} AMD GPU(s) bound to amdgpu" + (
            f", {', '.join(aside)} set aside" if aside else ""
        )
    found = []
    for gpu in others:
        told = f"DRIVER={gpu.driver}" if gpu.driver else "no driver bound"
        evidence = Evidence("file", f"/sys/bus/pci/devices/{gpu.address}/uevent", told, says=gpu.name)
        fault = "amd-driver-not-loaded" if gpu.driver else "amd-driver-init-failed"
        found.append(
            Finding(
                fault,
                (evidence,),
                {"pci": gpu.address, "module": gpu.driver or "amdgpu"},
                sure="likely",
                subject=gpu.address,
            )
        )
    return found
