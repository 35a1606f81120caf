"""Every NVIDIA GPU on NVSwitches is registered with the fabric.

Until then CUDA answers "system not yet initialized" (802).
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import NvmlFacts
from doctor.finding import Evidence, Finding, Sureness


@check("driver", needs=["nvml"], faults=["nvidia-fabric-manager"])
def nvidia_fabric_ready(nvml: NvmlFacts) -> Verdict:
    linked = [gpu for gpu in nvml.answering if gpu.fabric]
    if not linked:
        return NotApplicable("no GPU tells of a fabric")
    waiting = [gpu for gpu in linked if gpu.fabric != "completed" or gpu.fabric_status]
    if not waiting:
        return f"{len(linked)} GPU(s) registered with the fabric"
    evidence = tuple(
        Evidence("command", nvml.way, f"GPU {gpu.index}: fabric {gpu.fabric}, status {gpu.fabric_status}")
        for gpu in waiting[:4]
    )
    sure: Sureness = "likely" if all(gpu.fabric == "in progress" for gpu in waiting) else "certain"
    return Finding("nvidia-fabric-manager", evidence, {"driver": nvml.driver}, sure=sure)
