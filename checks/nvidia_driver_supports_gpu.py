"""The NVIDIA driver's branch supports every NVIDIA GPU here.

Each branch drops old architectures and the first branch for a new one is known (doctor/data/cuda_driver.json).
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.data.cuda import driver_branches_for, version
from doctor.facts import NvidiaFacts, PciFacts
from doctor.finding import Evidence, Finding


@check("driver", needs=["pci", "nvidia"], faults=["nvidia-driver-no-longer-supports-gpu"])
def nvidia_driver_supports_gpu(pci: PciFacts, nvidia: NvidiaFacts) -> Verdict:
    if not pci.nvidia:
        return NotApplicable("no NVIDIA GPU is on the PCI bus")
    if not version(nvidia.driver):
        return NotApplicable("no single driver version is installed")
    branch = version(nvidia.driver)[0]
    found, seen = [], []
    for gpu in pci.nvidia:
        model = gpu.model
        span = driver_branches_for(model.compute_capability or "") if model else None
        if model is None or span is None or span.unverified:
            continue
        seen.append(f"{model.name} ({model.generation})")
        too_new, too_old = bool(span.last and branch > span.last), bool(span.first and branch < span.first)
        if too_new or too_old:
            wanted = f"branch {span.last} or older" if too_new else f"branch {span.first} or newer"
            evidence = Evidence(
                "file",
                f"/sys/bus/pci/devices/{gpu.address}",
                gpu.name,
                says=f"it needs {wanted}; driver {nvidia.driver} is here",
            )
            values = {"driver": nvidia.driver, "pci": gpu.address, "device": model.name, "required": wanted}
            found.append(Finding("nvidia-driver-no-longer-supports-gpu", (evidence,), values, subject=gpu.address))
    if found:
        return found
    if not seen:
        return NotApplicable("which branches support this GPU is not in the tables")
    return f"branch {branch} supports {', '.join(dict.fromkeys(seen))}"
