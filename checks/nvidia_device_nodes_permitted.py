"""The user who runs this may open the NVIDIA device nodes, by their owner, group and mode.

NVreg_DeviceFileUID, GID and Mode set them; the driver's own mode is 0666.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import HostFacts, NvidiaFacts
from doctor.finding import Evidence, Finding


@check("driver", needs=["nvidia", "host"], faults=["nvidia-nvml-permission"])
def nvidia_device_nodes_permitted(nvidia: NvidiaFacts, host: HostFacts) -> Verdict:
    paths = ("/dev/nvidiactl", "/dev/nvidia-uvm", *nvidia.nodes_of_gpus())
    nodes = [nvidia.nodes[path] for path in paths if path in nvidia.nodes]
    if not nodes:
        return NotApplicable("there is no NVIDIA device node")
    closed = [node for node in nodes if not node.permits(host.uid, host.groups)]
    if not closed:
        return f"user {host.uid} may open {', '.join(node.path for node in nodes)}"
    node = closed[0]
    evidence = Evidence(
        "file", node.path, f"mode {node.mode:04o}, owner {node.uid}:{node.gid}", says=f"user {host.uid} may not open it"
    )
    return Finding("nvidia-nvml-permission", (evidence,), {"path": node.path, "gid": str(node.gid)})
