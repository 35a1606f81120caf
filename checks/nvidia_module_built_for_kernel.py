"""The NVIDIA kernel module exists for the running kernel.

After a kernel update DKMS builds it anew; where that failed, other kernels have it and this one does not.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ModuleFacts, PciFacts
from doctor.finding import Evidence, Finding


@check(
    "driver",
    needs=["pci", "modules.loaded"],
    uses=["modules"],
    faults=["nvidia-driver-build-failed"],
)
def nvidia_module_built_for_kernel(pci: PciFacts, loaded: tuple[str, ...], modules: ModuleFacts) -> Verdict:
    if not pci.nvidia:
        return NotApplicable("no NVIDIA GPU is on the PCI bus")
    here = modules.installed["nvidia"]
    if here or "nvidia" in loaded:
        return f"the module is there for kernel {modules.kernel}"
    versions = modules.dkms["nvidia"]
    if not versions:
        return NotApplicable("DKMS has no NVIDIA driver here")
    elsewhere = modules.dkms_kernels("nvidia")
    if modules.kernel in elsewhere:
        return f"DKMS has the module for kernel {modules.kernel}"
    built = f"built for: {', '.join(elsewhere) or 'no kernel'}"
    evidence = Evidence(
        "file", f"/var/lib/dkms/nvidia/{next(iter(versions))}", built, says=f"the running kernel is {modules.kernel}"
    )
    return Finding(
        "nvidia-driver-build-failed",
        (evidence,),
        {"kernel": modules.kernel, "driver": next(iter(versions))},
        sure="likely",
    )
