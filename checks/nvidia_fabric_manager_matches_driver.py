"""The Fabric Manager has the driver's own version."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import NvidiaFacts
from doctor.facts.nvidia import Module
from doctor.finding import Evidence, Finding


@check("driver", needs=["nvidia.module"], uses=["nvidia"], faults=["nvidia-fabric-manager"])
def nvidia_fabric_manager_matches_driver(module: Module | None, nvidia: NvidiaFacts) -> Verdict:
    if module is None or not nvidia.fabric.version:
        return NotApplicable("no Fabric Manager beside a loaded driver")
    if nvidia.fabric.version == module.version:
        return f"Fabric Manager and driver are {module.version}"
    evidence = (
        Evidence("command", "nv-fabricmanager --version", nvidia.fabric.version),
        Evidence("file", "/proc/driver/nvidia/version", module.line, says="it must be the same version"),
    )
    return Finding("nvidia-fabric-manager", evidence, {"driver": module.version})
