"""No process of the container was killed for memory.

The engine sets the flag for any process of the container, so a killed child can leave exit code 0. It hears of the
kill a moment late, and where the container is gone by then the flag is lost: the kernel log and the engine's events
tell too.
"""

from doctor.check import Verdict, check
from doctor.facts import ContainerFacts, KernelFacts, Unknown
from doctor.finding import Evidence, Finding

SIGKILL = 128 + 9


@check("container", needs=["container"], uses=["kernel"], faults=["container-oom-killed"])
def container_killed_for_memory(container: ContainerFacts, kernel: KernelFacts | Unknown) -> Verdict:
    limit = f"memory limit: {f'{container.memory >> 20} MB' if container.memory else 'none'}"
    evidence = _told(container, kernel, limit)
    killed = container.exit_code == SIGKILL
    values = {"size": f"{container.memory >> 20} MB"} if container.memory else {}
    if evidence:
        return Finding("container-oom-killed", tuple(evidence), values, subject=container.name)
    if not killed or container.status == "running":
        return f"no process was killed for memory; {limit}"
    if container.killed_on_request:
        return f"exit code {SIGKILL}, since the engine was asked to stop or kill it; {limit}"
    seen = [one.action for one in container.events]
    asked = (
        "nobody asked the engine to stop it" if "die" in seen else "the engine no longer knows whether it was asked to"
    )
    silent = "; the kernel log does not tell of it" if kernel else ""
    state = f"exit code {SIGKILL} (SIGKILL), no OOM flag, {limit}"
    evidence = [Evidence("engine", f"state of {container.name}", state, says=f"{asked}{silent}")]
    return Finding("container-oom-killed", tuple(evidence), values, sure="possible", subject=container.name)


def _told(container: ContainerFacts, kernel: KernelFacts | Unknown, limit: str) -> list[Evidence]:
    """What says that the kernel killed a process of the container for memory."""
    says = "the kernel killed a process for memory"
    told = []
    if container.oom_killed:
        state = f"OOMKilled true, exit code {container.exit_code}, {limit}"
        told.append(Evidence("engine", f"state of {container.name}", state, says=says))
    elif any(one.action == "oom" for one in container.events):
        event = f"event oom, exit code {container.exit_code}, {limit}"
        told.append(Evidence("engine", f"events of {container.name}", event, says=says))
    kill = kernel.oom_kill(container.id) if kernel else None
    if kernel and kill:
        told.append(
            Evidence(
                "kernel",
                f"kernel log ({kernel.source})",
                kill.text,
                kill.line,
                says="a process in the container's cgroup",
            )
        )
    return told
