"""The kind of kernel modules, open or proprietary, fits every NVIDIA GPU here.

Blackwell and later take only the open kernel modules, architectures before Turing only the proprietary ones:
https://developer.nvidia.com/blog/nvidia-transitions-fully-towards-open-source-gpu-kernel-modules/
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.data.cuda import driver_branches_for
from doctor.facts import PciFacts
from doctor.facts.nvidia import Module
from doctor.finding import Evidence, Finding


@check("driver", needs=["pci", "nvidia.module"], faults=["nvidia-driver-no-longer-supports-gpu"])
def nvidia_module_kind_fits_gpu(pci: PciFacts, module: Module | None) -> Verdict:
    if not pci.nvidia or module is None or not module.kind:
        return NotApplicable("no NVIDIA GPU with a loaded module is here")
    wrong = {"open": "unsupported", "proprietary": "required"}[module.kind]
    found = []
    for gpu in pci.nvidia:
        model = gpu.model
        span = driver_branches_for(model.compute_capability or "") if model else None
        if model and span and span.open_modules == wrong:
            needed = "the proprietary kernel modules" if module.kind == "open" else "the open kernel modules"
            evidence = Evidence("file", "/proc/driver/nvidia/version", module.line, says=f"{gpu.name} needs {needed}")
            values = {"driver": module.version, "pci": gpu.address, "device": model.name, "required": needed}
            found.append(Finding("nvidia-driver-no-longer-supports-gpu", (evidence,), values, subject=gpu.address))
    return found or f"{module.kind} kernel modules {module.version}"
