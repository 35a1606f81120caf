"""The module nvidia-uvm is loaded and its device node is the kernel's.

CUDA opens /dev/nvidia-uvm first; its major number changes from start to start, so an old node leads nowhere.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import LimitFacts, NvidiaFacts
from doctor.facts.nvidia import Module
from doctor.finding import Evidence, Finding

NODE = "/dev/nvidia-uvm"


@check(
    "driver",
    needs=["nvidia.module", "nvidia.majors", "modules.loaded", "limits"],
    uses=["nvidia"],
    faults=["nvidia-uvm-not-loaded"],
)
def nvidia_uvm_ready(
    module: Module | None, majors: dict[str, int], loaded: tuple[str, ...], limits: LimitFacts, nvidia: NvidiaFacts
) -> Verdict:
    if module is None or nvidia.tegra:
        return NotApplicable("no NVIDIA kernel module is loaded" if module is None else "a Jetson has no such node")
    node = nvidia.nodes.get(NODE)
    if "nvidia_uvm" not in loaded:
        evidence = Evidence(
            "file", "/proc/modules", "no module nvidia_uvm", says=f"module nvidia {module.version} is loaded"
        )
        return Finding("nvidia-uvm-not-loaded", (evidence,), {"module": "nvidia-uvm", "path": NODE})
    if node is None:
        if limits.inside:
            return NotApplicable("this container was not given it")
        evidence = Evidence("file", NODE, "not there", says="the module is loaded, its node is missing")
        return Finding("nvidia-uvm-not-loaded", (evidence,), {"module": "nvidia-uvm", "path": NODE})
    if node.major != majors.get("nvidia-uvm", node.major):
        told = f"major {node.major}; the kernel's is {majors['nvidia-uvm']}"
        return Finding("nvidia-uvm-not-loaded", (Evidence("file", NODE, told, says="an old node"),), {"path": NODE})
    return f"nvidia-uvm is loaded, {NODE} has major {node.major}"
