"""A container that gets InfiniBand devices may lock memory without limit.

RDMA pins its buffers: https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts
from doctor.finding import Evidence, Finding, Severity, Sureness


@check("container", needs=["container"], faults=["container-memlock-or-ulimit"])
def container_memory_lockable(container: ContainerFacts) -> Verdict:
    rdma = any(device.host.startswith("/dev/infiniband") for device in container.devices)
    if not rdma:
        return NotApplicable("no InfiniBand device is passed")
    if "CAP_IPC_LOCK" in container.cap_add or "IPC_LOCK" in container.cap_add or container.privileged:
        return "IPC_LOCK lifts the limit"
    soft = container.ulimits.get("memlock", (None, None))[0]
    if soft == -1:
        return "memlock is unlimited"
    told = f"memlock {soft} bytes" if soft is not None else "no memlock limit set: the engine's default holds"
    evidence = Evidence("engine", f"configuration of {container.name}", told, says="/dev/infiniband is passed")
    sure: Sureness = "likely" if soft is not None else "possible"
    severity: Severity | None = None if soft is not None else "warning"
    return Finding(
        "container-memlock-or-ulimit",
        (evidence,),
        {"reason": "locked memory"},
        sure=sure,
        severity=severity,
        subject=container.name,
    )
