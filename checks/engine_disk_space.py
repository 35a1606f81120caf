"""The engine's data folder has room.

Judged by free space and free inodes of the file system that holds it.
"""

from doctor.check import Verdict, check
from doctor.facts import DiskFacts
from doctor.finding import Evidence, Finding

FEW_BYTES = 100 << 20
FEW_INODES = 1000


@check("engine", needs=["disk"], faults=["container-no-space"])
def engine_disk_space(disk: DiskFacts) -> Verdict:
    seen = f"{disk.free >> 20} MB and {disk.free_inodes} inodes free in {disk.path}"
    if disk.free >= FEW_BYTES and (disk.free_inodes >= FEW_INODES or disk.inodes == 0):
        return seen
    evidence = Evidence("file", disk.path, seen, says="the engine has no room for images and containers")
    return Finding(
        "container-no-space", (evidence,), {"path": disk.path, "free": f"{disk.free >> 20} MB"}, sure="likely"
    )
