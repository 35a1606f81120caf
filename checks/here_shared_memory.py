"""This container's /dev/shm is larger than the engine's default of 64 MB, and has room."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import LimitFacts
from doctor.finding import Evidence, Finding, Severity

DEFAULT = 64 << 20
FULL = 1 << 20


@check("here", needs=["limits", "limits.shm_size", "limits.shm_free"], faults=["container-shm-too-small"])
def here_shared_memory(limits: LimitFacts, size: int, free: int) -> Verdict:
    if not limits.inside:
        if free >= FULL:
            return NotApplicable("this is no container")
        evidence = Evidence("file", "/dev/shm", f"{free >> 10} KB of {size >> 20} MB free", says="it is full")
        return Finding(
            "container-shm-too-small", (evidence,), {"size": f"{size >> 20} MB"}, sure="likely", severity="warning"
        )
    if size > DEFAULT and free >= FULL:
        return f"/dev/shm has {size >> 20} MB, {free >> 20} free"
    evidence = Evidence(
        "file",
        "/dev/shm",
        f"{free >> 20} of {size >> 20} MB free",
        says="worker processes and NCCL share data through it",
    )
    severity: Severity | None = None if free < FULL else "note"
    return Finding(
        "container-shm-too-small", (evidence,), {"size": f"{size >> 20} MB"}, sure="possible", severity=severity
    )
