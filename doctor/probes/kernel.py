"""The kernel log, those lines of it that speak of GPUs, and of accesses that were refused."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.probes import Probe
from doctor.probes.system import System
from doctor.snapshot import Reading, Target

GPU_LINES = (
    r"NVRM|nvidia|nouveau|\bnova|amdgpu|\bkfd\b|\[drm|Xid|fabricmanager|[Ss]ecure ?[Bb]oot|Lockdown:|"
    r"rejected|module verification|AMD-Vi|DMAR|AER:|pcieport.*error|apparmor=\"DENIED\"|avc: +denied|"
    r"oom-kill:|killed as a result of limit|Out of memory: Killed|BAR \d+.*(?:failed|no space|assign)"
)
LINES = "5000"


def kernel(system: System, target: Target) -> Iterator[Reading]:
    ring = system.command("dmesg", keep=GPU_LINES)
    yield ring
    if ring.state != "ok":
        # The journal shows it to members of systemd-journal and adm where kernel.dmesg_restrict is set.
        yield system.command(
            "journalctl",
            "--dmesg",
            "--boot",
            "--quiet",
            "--no-pager",
            "--output=short-monotonic",
            "--lines",
            LINES,
            keep=GPU_LINES,
        )
    yield system.file("/proc/sys/kernel/dmesg_restrict")


PROBES = (Probe("kernel", "lines of the kernel log about GPUs and refused accesses", kernel, timeout=12.0),)
