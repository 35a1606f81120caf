"""Programs here may lock memory for RDMA where InfiniBand devices are."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import LimitFacts
from doctor.finding import Evidence, Finding, Severity

ENOUGH = 1 << 30


@check("here", needs=["limits.memlock", "limits"], faults=["container-memlock-or-ulimit"])
def here_memory_lockable(memlock: int | None, limits: LimitFacts) -> Verdict:
    if not limits.infiniband:
        return NotApplicable("no InfiniBand device is here")
    if memlock is None or memlock >= ENOUGH:
        return f"memlock is {'unlimited' if memlock is None else f'{memlock >> 20} MB'}"
    evidence = Evidence(
        "file", "/proc/self/limits", f"Max locked memory {memlock >> 10} KB", says="RDMA pins its buffers"
    )
    severity: Severity | None = "warning" if limits.inside else "note"
    return Finding(
        "container-memlock-or-ulimit", (evidence,), {"reason": "locked memory"}, sure="likely", severity=severity
    )
