"""A rootless engine may make user namespaces."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import HostFacts, LimitFacts
from doctor.finding import Evidence, Finding

PLACE = "/proc/sys/user/max_user_namespaces"


@check("engine", needs=["limits.user_namespaces", "host", "limits"], faults=["container-user-namespaces-off"])
def user_namespaces_allowed(most: int | None, host: HostFacts, limits: LimitFacts) -> Verdict:
    if limits.inside:
        return NotApplicable("this is a container")
    if most is None or most > 0:
        return f"a user may make {most if most is not None else 'any number of'} user namespaces"
    evidence = Evidence("file", PLACE, str(most), says="rootless Docker, Podman and Apptainer cannot start containers")
    # An engine that runs with root rights needs none.
    return Finding(
        "container-user-namespaces-off",
        (evidence,),
        {"path": PLACE},
        sure="likely",
        severity="note" if host.uid == 0 else "warning",
    )
