"""/dev/kfd and /dev/dri are passed to the container as devices, not as volumes.

A volume shows the node, but the devices cgroup still forbids it: open() fails with EPERM.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts
from doctor.finding import Evidence, Finding

PATHS = ("/dev/kfd", "/dev/dri")


@check("container", needs=["container"], faults=["amd-device-not-permitted"])
def container_kfd_is_device(container: ContainerFacts) -> Verdict:
    bound = [path for path in PATHS if container.binds_device(path)]
    denied = [path for path in bound if not container.has_device(path)]
    if not bound:
        return NotApplicable("no AMD device node is mounted as a volume")
    if not denied or container.privileged or container.device_rules:
        return "device nodes are permitted as well as mounted"
    evidence = tuple(
        Evidence("engine", f"configuration of {container.name}", f"-v {path}", says="mounted, but not permitted")
        for path in denied
    )
    return Finding("amd-device-not-permitted", evidence, {"path": denied[0]}, subject=container.name)
