"""The kfd topology, which ROCm reads, has the GPUs that amdgpu drives.

Nodes of processors alone mean that kfd left the GPU out: no PCIe atomics, an unsupported one, or a failed start.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import AmdFacts, PciFacts
from doctor.facts.amd import KfdNode
from doctor.finding import Evidence, Finding

PLACE = "/sys/class/kfd/kfd/topology/nodes"


@check("amd", needs=["pci", "amd.topology", "amd"], faults=["amd-no-hip-device", "amd-device-not-permitted"])
def amd_topology_has_gpus(pci: PciFacts, topology: tuple[KfdNode, ...], amd: AmdFacts) -> Verdict:
    driven = [gpu for gpu in pci.amd if gpu.driver == "amdgpu"]
    if not driven:
        return NotApplicable("amdgpu drives no GPU here")
    if amd.gpus:
        return ", ".join(f"node {gpu.number}: {gpu.gfx} at {gpu.address}" for gpu in amd.gpus)
    denied = [node for node in topology if node.denied]
    if denied:
        told = f"node {denied[0].number}: reading its properties is refused"
        evidence = Evidence("file", PLACE, told, says="the devices cgroup of this container does not permit the GPU")
        return Finding("amd-device-not-permitted", (evidence,), {"path": "/dev/kfd"}, sure="likely")
    evidence = Evidence(
        "file", PLACE, f"{len(topology)} node(s), all of processors", says=f"amdgpu drives {driven[0].name}"
    )
    return Finding("amd-no-hip-device", (evidence,), {"pci": driven[0].address}, sure="likely")
