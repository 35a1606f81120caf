"""The container did not fill a memory file system of its own (--tmpfs).

It is small by intention; neither the engine's disk nor a volume is full then.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts, DiskFacts, Unknown
from doctor.finding import Evidence, Finding


@check("container", needs=["container"], uses=["disk"], faults=["container-no-space"])
def container_tmpfs_roomy(container: ContainerFacts, disk: DiskFacts | Unknown) -> Verdict:
    if not container.memory_folders:
        return NotApplicable("the container has no --tmpfs")
    full = container.full_memory_folder
    if full is None:
        return f"the log tells of no write to {', '.join(container.memory_folders)} that found no room"
    folder, number, line = full
    options = f"--tmpfs {folder}:{container.tmpfs.get(folder, '')}".rstrip(":")
    evidence = [
        Evidence("engine", f"configuration of {container.name}", options, says="it is in memory, and small"),
        Evidence("log", f"log of {container.name}", line[:300], number),
    ]
    if disk:
        room = f"{disk.free >> 20} MB free"
        evidence.append(Evidence("file", disk.path, room, says="the engine's disk is not what is full"))
    return Finding("container-no-space", tuple(evidence), {"mount": folder}, subject=container.name)
