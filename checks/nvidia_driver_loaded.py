"""The NVIDIA kernel module is loaded where there is an NVIDIA GPU."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ModuleFacts, NvidiaFacts, PciFacts
from doctor.finding import Evidence, Finding


@check(
    "driver",
    needs=["pci", "modules.loaded", "nvidia.module"],
    uses=["modules", "nvidia"],
    faults=["nvidia-driver-not-loaded"],
)
def nvidia_driver_loaded(
    pci: PciFacts, loaded: tuple[str, ...], module: object, modules: ModuleFacts, nvidia: NvidiaFacts
) -> Verdict:
    if not pci.nvidia:
        return NotApplicable("no NVIDIA GPU is on the PCI bus")
    if "nvidia" in loaded or nvidia.module:
        return f"module nvidia {nvidia.driver} is loaded for {len(pci.nvidia)} GPU(s)"
    if all(gpu.driver.startswith("vfio") for gpu in pci.nvidia):
        return NotApplicable("every NVIDIA GPU is handed to virtual machines (vfio-pci)")
    evidence = (
        Evidence("file", "/proc/modules", "no module nvidia", says="the driver is not in the running kernel"),
        Evidence("file", f"/sys/bus/pci/devices/{pci.nvidia[0].address}", pci.nvidia[0].name, says="the GPU is there"),
    )
    return Finding("nvidia-driver-not-loaded", evidence, {"kernel": modules.kernel, "pci": pci.nvidia[0].address})
