"""This container's device rules permit the GPU nodes that are in it.

A node can be there and yet be refused: mounted as a volume, passed by a hook that leaves cgroups alone, or dropped from
the rules by a reload of systemd. Only version 1 of cgroups tells its rules:
https://docs.kernel.org/admin-guide/cgroup-v1/devices.html
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import AmdFacts, LimitFacts, NvidiaFacts
from doctor.finding import Evidence, Finding

RULES = "/sys/fs/cgroup/devices/devices.list"


@check(
    "here",
    needs=["limits", "nvidia", "amd"],
    faults=["nvidia-devices-lost-after-reload", "amd-device-not-permitted"],
)
def here_devices_permitted(limits: LimitFacts, nvidia: NvidiaFacts, amd: AmdFacts) -> Verdict:
    nodes = [node for node in (*nvidia.nodes.values(), *amd.nodes) if node.major is not None]
    if not limits.inside or not nodes:
        return NotApplicable("this is no container" if not limits.inside else "this container has no GPU device node")
    if limits.device_rules is None:
        return NotApplicable("cgroup v2 does not tell its device rules")
    refused = [node for node in nodes if not limits.permits(node.major or 0, node.minor or 0)]
    if not refused:
        return f"the device rules permit {len(nodes)} GPU device node(s)"
    node = refused[0]
    told = f"no rule for c {node.major}:{node.minor} ({node.path})"
    evidence = Evidence("file", RULES, told, says="opening it is answered with Operation not permitted")
    fault = "amd-device-not-permitted" if node in amd.nodes else "nvidia-devices-lost-after-reload"
    return Finding(fault, (evidence,), {"path": node.path}, sure="likely")
