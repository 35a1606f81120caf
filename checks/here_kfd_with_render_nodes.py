"""In this container, /dev/kfd comes with a render node."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import AmdFacts, LimitFacts
from doctor.finding import Evidence, Finding


@check("here", needs=["limits", "amd"], faults=["amd-dri-missing", "amd-kfd-missing"])
def here_kfd_with_render_nodes(limits: LimitFacts, amd: AmdFacts) -> Verdict:
    if not limits.inside or not (amd.kfd or (amd.render and amd.rocm)):
        return NotApplicable("this is no container" if not limits.inside else "this container has no AMD device node")
    if amd.kfd and amd.render:
        return f"/dev/kfd and {', '.join(node.path for node in amd.render)} in this container"
    here, missing, fault = (
        ("/dev/kfd", "/dev/dri", "amd-dri-missing") if amd.kfd else (amd.render[0].path, "/dev/kfd", "amd-kfd-missing")
    )
    evidence = Evidence("file", here, "is here", says=f"{missing} is not")
    return Finding(fault, (evidence,), {"path": missing}, sure="likely")
