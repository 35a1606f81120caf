"""Events in the kernel log.

Who prints them. NVIDIA: https://github.com/NVIDIA/open-gpu-kernel-modules (kernel-open/nvidia/nv.c, nv-pci.c,
src/nvidia/src/kernel/diagnostics/journal.c); Xid codes: https://docs.nvidia.com/deploy/xid-errors/ .
AMD: drivers/gpu/drm/amd/amdgpu (amdgpu_job.c, amdgpu_device.c, amdgpu_drv.c, gmc_v*.c, amdgpu_ucode.c) of Linux.
Module signatures: kernel/module/signing.c and main.c. Refusals: security/selinux/avc.c, security/apparmor/audit.c.
Kills for want of memory: mm/oom_kill.c and, before Linux 5.0, mm/memcontrol.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from doctor.facts.unknown import Unknown
from doctor.snapshot import Snapshot

PATTERNS: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("xid", r"NVRM: Xid \(PCI:(?P<pci>[0-9a-fA-F:.]+)\): (?P<xid>\d{1,3})\b"),
        ("fell-off", r"NVRM: .*(?:has fallen off the bus|GPU is lost)"),
        ("mismatch", r"NVRM: API mismatch: .*version (?P<library>\d+\.\d+(?:\.\d+)?)"),
        ("nvidia-init", r"NVRM: GPU (?P<pci>[0-9a-fA-F:.]+): RmInitAdapter failed!(?: \((?P<code>[^)]*)\))?"),
        ("nvidia-needs-open", r"NVRM: .*(?:requires use of the NVIDIA open kernel modules|not supported by open)"),
        ("nvidia-unsupported", r"NVRM: +(?:installed in this system is(?: not supported by.*)?$"
                               r"|supported through the NVIDIA \S+ Legacy)"),
        ("module-rejected", r"(?:\b(?P<module>nvidia\w*|amdgpu|amdkcl)\b.*)?(?:Loading of (?:unsigned )?module.{0,24} is rejected"
                            r"|Key was rejected by service|unsigned module loading is restricted)"),
        ("amd-hang", r"amdgpu.*\bring (?P<ring>\S+) timeout"),
        ("amd-reset", r"amdgpu.*GPU reset(?: begin| failed|\(\d+\) (?:failed|succeeded)| end)"),
        ("amd-page-fault", r"amdgpu.*(?:\[\w+\] (?:no-retry |retry )?page fault|VM fault \()"),
        ("amd-firmware", r"amdgpu.*Direct firmware load for (?P<file>amdgpu/\S+) failed"),
        ("amd-init", r"amdgpu.*(?:Fatal error during GPU init|probe of (?P<pci>[0-9a-f:.]+) failed with error -\d+"
                     r"|probe with driver amdgpu failed with error -\d+)"),
        ("oom", r"oom-kill:.*\btask_memcg=(?P<cgroup>\S*?),task=(?P<process>[^,]*),pid=(?P<pid>\d+)"
                r"|Task in (?P<old_cgroup>\S+) killed as a result of limit of"),
        ("selinux", r"avc: +denied +\{ (?P<wanted>[^}]+) \}.*\bname=\"?(?P<name>[^\" ]+)"),
        ("apparmor", r"apparmor=\"DENIED\".*\bname=\"(?P<name>[^\"]+)\""),
    )
)  # fmt: skip
GPU_NAMES = re.compile(r"nvidia|\bkfd\b|renderD|\bdri\b|\bcard\d|libcuda|dxg")


@dataclass(frozen=True, slots=True)
class KernelEvent:
    kind: str
    line: int
    """Number in the recorded text, from 1."""
    text: str
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KernelFacts:
    source: str
    """The command that told."""
    events: tuple[KernelEvent, ...]
    lines: int

    def of(self, *kinds: str) -> tuple[KernelEvent, ...]:
        return tuple(one for one in self.events if one.kind in kinds)

    def oom_kill(self, container: str) -> KernelEvent | None:
        """The last kill for want of memory in the cgroup of the container with this id."""
        told = [one for one in self.of("oom") if container in "".join(one.values.values())]
        return told[-1] if told else None


def kernel(snapshot: Snapshot) -> KernelFacts | Unknown:
    keys = ("command:dmesg", *snapshot.keys("command:journalctl --dmesg"))
    readings = [snapshot.get(key) for key in keys]
    for reading in readings:
        # Without rights journalctl ends well and shows nothing.
        if reading and reading.state == "ok" and (reading.text or reading.key == "command:dmesg"):
            lines = reading.text.split("\n")
            return KernelFacts(reading.key.removeprefix("command:").split()[0], tuple(_events(lines)), len(lines))
    told = next((one.why_not for one in readings if one), "it was not looked at")
    return Unknown(f"the kernel log cannot be read ({told})", "command:dmesg")


def _events(lines: list[str]) -> Iterator[KernelEvent]:
    for number, line in enumerate(lines, 1):
        for kind, pattern in PATTERNS:
            found = pattern.search(line[:2000])
            if found and (kind not in ("selinux", "apparmor") or GPU_NAMES.search(found["name"])):
                values = {name: value for name, value in found.groupdict().items() if value}
                yield KernelEvent(kind, number, line.strip()[:300], values)
                break
