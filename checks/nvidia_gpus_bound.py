"""Every NVIDIA GPU is bound to NVIDIA's driver.

A GPU bound to nouveau or nova is lost to CUDA; one bound to vfio-pci was set aside for virtual machines.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import PciFacts
from doctor.finding import Evidence, Finding, Severity

OTHERS = ("nouveau", "nova", "vfio", "pci-stub", "xen-pciback", "efifb", "simple")


@check("driver", needs=["pci"], faults=["nvidia-nouveau-conflict"])
def nvidia_gpus_bound(pci: PciFacts) -> Verdict:
    if not pci.nvidia:
        return NotApplicable("no NVIDIA GPU is on the PCI bus")
    taken = [gpu for gpu in pci.nvidia if gpu.driver.startswith(OTHERS)]
    if not taken:
        bound = sum(gpu.driver == "nvidia" for gpu in pci.nvidia)
        return f"{bound} of {len(pci.nvidia)} NVIDIA GPU(s) bound to nvidia, none to another driver"
    # Where others work, one that is set aside was set aside on purpose.
    deliberate = all(gpu.driver.startswith(("vfio", "pci-stub", "xen")) for gpu in taken) and len(taken) < len(
        pci.nvidia
    )
    severity: Severity | None = "note" if deliberate else None
    return [
        Finding(
            "nvidia-nouveau-conflict",
            (Evidence("file", f"/sys/bus/pci/devices/{gpu.address}/uevent", f"DRIVER={gpu.driver}", says=gpu.name),),
            {"pci": gpu.address, "module": gpu.driver},
            severity=severity,
            subject=gpu.address,
        )
        for gpu in taken
    ]
