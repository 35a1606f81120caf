"""No process of the container was killed for memory.

The engine sets the flag for any process of the container, so a killed child can leave exit code 0. It hears of the
kill a moment late, and where the container is gone by then the flag is lost: the kernel log and the engine's events
tell too.
"""

from doctor.check import Verdict, check
from doctor.facts import ContainerFacts, EngineFacts, KernelFacts, Unknown
from doctor.finding import Evidence, Finding, Severity

SIGKILL = 128 + 9


@check("container", needs=["container"], uses=["engine", "kernel"], faults=["container-oom-killed"])
def container_killed_for_memory(
    container: ContainerFacts, engine: EngineFacts | Unknown, kernel: KernelFacts | Unknown
) -> Verdict:
    limit = f"memory limit: {f'{container.memory >> 20} MB' if container.memory else 'none'}"
    values = {"size": f"{container.memory >> 20} MB"} if container.memory else {}
    evidence = _told(container, kernel, limit)
    if evidence:
        return Finding("container-oom-killed", tuple(evidence), values, subject=container.name)
    if container.exit_code != SIGKILL or container.status == "running":
        return f"no process was killed for memory; {limit}"
    if container.killed_on_request:
        return f"exit code {SIGKILL}, since the engine was asked to stop or kill it; {limit}"
    state = f"exit code {SIGKILL} (SIGKILL), no OOM flag, {limit}"
    silent = "; the kernel log does not tell of a kill for memory" if kernel else ""
    guess = Evidence("engine", f"state of {container.name}", state, says=_asked(container, engine) + silent)
    severity: Severity | None = "warning" if kernel else None
    return Finding("container-oom-killed", (guess,), values, sure="possible", severity=severity, subject=container.name)


def _asked(container: ContainerFacts, engine: EngineFacts | Unknown) -> str:
    """What is known of a `stop` or `kill` that somebody typed: Docker tells of each, Podman of none."""
    if engine and engine.kind == "docker" and "die" in [one.action for one in container.events]:
        return "nobody asked the engine to stop it"
    return "whether somebody stopped or killed it is not told"


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
