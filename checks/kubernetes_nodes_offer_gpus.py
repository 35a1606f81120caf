"""Nodes with GPUs offer them to pods.

A node that feature discovery labelled, or that counts GPUs and offers none, has a device plug-in that sees no healthy
GPU.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts.kubernetes import ClusterNode
from doctor.finding import Evidence, Finding, Severity


@check("kubernetes", needs=["kubernetes.nodes"], faults=["k8s-gpu-resource-unavailable"])
def kubernetes_nodes_offer_gpus(nodes: tuple[ClusterNode, ...]) -> Verdict:
    wanted = [node for node in nodes if node.labelled or node.nvidia or node.amd]
    if not wanted:
        return NotApplicable("no node has GPUs, by its own count and its labels")
    dry = [node for node in wanted if not (node.nvidia_free or node.amd_free)]
    if not dry:
        offered = sum(node.nvidia_free + node.amd_free for node in wanted)
        return f"{len(wanted)} node(s) offer {offered} GPU(s)"
    evidence = tuple(
        Evidence("command", "kubectl get nodes", f"{node.name}: capacity {node.nvidia + node.amd}, allocatable 0")
        for node in dry[:4]
    )
    package = "amd.com/gpu" if dry[0].amd else "nvidia.com/gpu"
    severity: Severity | None = None if len(dry) == len(wanted) else "warning"
    return Finding("k8s-gpu-resource-unavailable", evidence, {"package": package}, severity=severity)
