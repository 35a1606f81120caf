"""/dev/kfd, through which ROCm computes, is there where amdgpu drives a GPU."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import LimitFacts, PciFacts
from doctor.facts.host import Node
from doctor.finding import Evidence, Finding


@check("amd", needs=["pci", "amd.kfd", "limits"], faults=["amd-kfd-missing"])
def amd_kfd_present(pci: PciFacts, kfd: Node | None, limits: LimitFacts) -> Verdict:
    driven = [gpu for gpu in pci.amd if gpu.driver == "amdgpu"]
    if not driven or limits.inside:
        return NotApplicable("this is a container" if limits.inside else "amdgpu drives no GPU here")
    if kfd:
        return f"/dev/kfd, mode {kfd.mode:04o}, owner {kfd.uid}:{kfd.gid}"
    evidence = Evidence("file", "/dev/kfd", "not there", says=f"amdgpu drives {driven[0].name}")
    return Finding("amd-kfd-missing", (evidence,), {"path": "/dev/kfd"})
