"""The kernel module amdgpu is loaded where there is an AMD GPU."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ModuleFacts, PciFacts
from doctor.finding import Evidence, Finding


@check("amd", needs=["pci", "modules.loaded"], uses=["modules"], faults=["amd-driver-not-loaded"])
def amd_driver_loaded(pci: PciFacts, loaded: tuple[str, ...], modules: ModuleFacts) -> Verdict:
    if not pci.amd:
        return NotApplicable("no AMD GPU is on the PCI bus")
    if "amdgpu" in loaded:
        version = modules.versions.get("amdgpu")
        return f"amdgpu {version} (DKMS) is loaded" if version else f"amdgpu of kernel {modules.kernel} is loaded"
    if all(gpu.driver.startswith("vfio") for gpu in pci.amd):
        return NotApplicable("every AMD GPU is handed to virtual machines (vfio-pci)")
    kept = modules.kept_away("amdgpu")
    place, line = (kept.path, kept.line) if kept else ("/proc/modules", "no module amdgpu")
    evidence = (
        Evidence("file", place, line, says="amdgpu is not in the running kernel"),
        Evidence("file", f"/sys/bus/pci/devices/{pci.amd[0].address}", pci.amd[0].name, says="the GPU is there"),
    )
    return Finding("amd-driver-not-loaded", evidence, {"kernel": modules.kernel, "pci": pci.amd[0].address})
