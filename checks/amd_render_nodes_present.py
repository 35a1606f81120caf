"""Every GPU of the kfd topology has its render node in /dev/dri."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import AmdFacts, LimitFacts
from doctor.finding import Evidence, Finding


@check("amd", needs=["amd", "limits"], faults=["amd-dri-missing"])
def amd_render_nodes_present(amd: AmdFacts, limits: LimitFacts) -> Verdict:
    if not amd.gpus or limits.inside or not amd.kfd:
        return NotApplicable("this is a container" if limits.inside else "ROCm has no GPU here")
    there = {node.path for node in amd.render}
    wanted = [f"/dev/dri/renderD{gpu.render_minor}" for gpu in amd.gpus if gpu.render_minor]
    missing = [path for path in wanted if path not in there]
    if not missing:
        return ", ".join(dict.fromkeys(wanted)) or "the topology names no render node"
    evidence = Evidence("file", missing[0], "not there", says="the topology names it")
    return Finding("amd-dri-missing", (evidence,), {"path": missing[0]})
