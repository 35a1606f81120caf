"""The container did not overrun its shared memory.

A process that writes past the end of /dev/shm is ended by SIGBUS: exit code 128 + 7. A shell above it prints
"Bus error" and may go on to exit 0, so the log counts as well.
"""

from doctor.check import Verdict, check
from doctor.facts import ContainerFacts
from doctor.finding import Evidence, Finding, Sureness

SIGBUS = 128 + 7
DEFAULT = 64 << 20


@check("container", needs=["container"], faults=["container-shm-too-small"])
def container_shared_memory(container: ContainerFacts) -> Verdict:
    size = f"{container.shm_size >> 20} MB"
    shares_host = container.ipc == "host"
    if container.exit_code != SIGBUS or shares_host:
        return "shared memory of the host" if shares_host else f"/dev/shm has {size}; no bus error in the exit code"
    state = f"exit code {SIGBUS} (SIGBUS), /dev/shm has {size}"
    evidence = Evidence("engine", f"state of {container.name}", state, says="ended by a bus error")
    sure: Sureness = "likely" if container.shm_size <= DEFAULT else "possible"
    return Finding("container-shm-too-small", (evidence,), {"size": size}, sure=sure, subject=container.name)
