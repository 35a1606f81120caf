"""No process of the container was killed for memory.

The engine sets the flag for any process of the container, so a killed child can leave exit code 0.
"""

from doctor.check import Verdict, check
from doctor.facts import ContainerFacts
from doctor.finding import Evidence, Finding


@check("container", needs=["container"], faults=["container-oom-killed"])
def container_killed_for_memory(container: ContainerFacts) -> Verdict:
    limit = f"{container.memory >> 20} MB" if container.memory else "none"
    if not container.oom_killed:
        return f"no process was killed for memory; memory limit: {limit}"
    state = f"OOMKilled true, exit code {container.exit_code}, memory limit: {limit}"
    evidence = Evidence("engine", f"state of {container.name}", state, says="the kernel killed a process for memory")
    values = {"size": limit} if container.memory else {}
    return Finding("container-oom-killed", (evidence,), values, subject=container.name)
