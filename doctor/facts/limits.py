"""What confines programs on this system, and the container that this program may be in.

Forms: proc(5) (limits, status, mountinfo), https://docs.kernel.org/admin-guide/sysctl/user.html ,
https://docs.kernel.org/admin-guide/cgroup-v1/devices.html (devices.list), /run/systemd/container of
https://systemd.io/CONTAINER_INTERFACE/ .
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from doctor.facts.read import is_there, lines_of, text_of
from doctor.facts.unknown import Unknown
from doctor.snapshot import Snapshot

Kind = Literal["", "docker", "podman", "kubernetes", "apptainer", "container"]

# Numbers of include/uapi/linux/capability.h; 38 came with Linux 5.8. All before it make a privileged container.
CAPABILITIES = {14: "IPC_LOCK", 19: "SYS_PTRACE", 21: "SYS_ADMIN", 23: "SYS_NICE", 38: "PERFMON"}
ALL = (1 << 38) - 1


@dataclass(frozen=True, slots=True)
class LimitFacts:
    inside: Kind
    """What kind of container this program runs in; empty: none that shows."""
    selinux: bool | Unknown | None
    """Enforcing; None: SELinux is off."""
    selinux_devices: bool | Unknown | None
    """The boolean container_use_devices."""
    apparmor: bool | Unknown
    user_namespaces: int | Unknown | None
    """How many a user may make; None: the kernel has no such limit."""
    memlock: int | Unknown | None
    """Soft limit on locked memory in bytes; None: unlimited."""
    shm_size: int | Unknown
    """Bytes of /dev/shm."""
    shm_free: int | Unknown
    infiniband: tuple[str, ...]
    mounts: tuple[str, ...] | Unknown
    """Where files of the host are mounted over the system's own, out of those that concern GPUs."""
    device_rules: tuple[str, ...] | None
    """What the devices cgroup of version 1 permits; version 2 does not tell."""
    capabilities: tuple[str, ...] | None = None
    """Those of this process that matter to GPU programs, or `all`; None: not told."""

    def permits(self, major: int, minor: int) -> bool | None:
        """Whether the devices cgroup lets a character device be read and written; None: it does not tell."""
        if self.device_rules is None:
            return None
        return any(_covers(rule, major, minor) for rule in self.device_rules)


def _covers(rule: str, major: int, minor: int) -> bool:
    """A line of devices.list such as `c 195:* rwm`."""
    found = re.fullmatch(r"(?P<kind>[abc]) (?P<major>\d+|\*):(?P<minor>\d+|\*) (?P<access>[rwm]+)", rule.strip())
    if not found or found["kind"] == "b":
        return False
    same = found["major"] in ("*", str(major)) and found["minor"] in ("*", str(minor))
    return found["kind"] == "a" or (same and {"r", "w"} <= set(found["access"]))


def limits(snapshot: Snapshot) -> LimitFacts | Unknown:
    if snapshot.get("file:/proc/self/limits") is None:
        return Unknown("limits were not looked at", "file:/proc/self/limits")
    shm = text_of(snapshot, "space:/dev/shm")
    space = json.loads(shm) if isinstance(shm, str) else {}
    nothing = Unknown(shm.reason, shm.reading) if isinstance(shm, Unknown) else Unknown("not told")
    return LimitFacts(
        inside=_inside(snapshot),
        selinux=_switch(snapshot, "file:/sys/fs/selinux/enforce"),
        selinux_devices=_switch(snapshot, "file:/sys/fs/selinux/booleans/container_use_devices"),
        apparmor=(text_of(snapshot, "file:/sys/module/apparmor/parameters/enabled") or "").strip() == "Y",
        user_namespaces=_number(snapshot, "file:/proc/sys/user/max_user_namespaces"),
        memlock=_memlock(snapshot),
        shm_size=space.get("size", nothing),
        shm_free=space.get("free", nothing),
        infiniband=lines_of(snapshot, "names:/dev/infiniband"),
        mounts=_mounts(snapshot),
        device_rules=lines_of(snapshot, "file:/sys/fs/cgroup/devices/devices.list") or None,
        capabilities=_capabilities(snapshot),
    )


def _inside(snapshot: Snapshot) -> Kind:
    signs: tuple[tuple[str, Kind], ...] = (
        ("node:/.singularity.d", "apptainer"),
        ("node:/run/secrets/kubernetes.io", "kubernetes"),
        ("node:/run/.containerenv", "podman"),
        ("node:/.dockerenv", "docker"),
    )
    for key, kind in signs:
        if is_there(snapshot, key):
            return kind
    return "container" if text_of(snapshot, "file:/run/systemd/container") else ""


def _capabilities(snapshot: Snapshot) -> tuple[str, ...] | None:
    found = re.search(r"CapEff:\s*([0-9a-f]{16})", text_of(snapshot, "file:/proc/self/status") or "")
    if not found:
        return None
    bits = int(found.group(1), 16)
    return ("all",) if bits & ALL == ALL else tuple(name for bit, name in CAPABILITIES.items() if bits >> bit & 1)


def _switch(snapshot: Snapshot, key: str) -> bool | Unknown | None:
    """A file that begins with 1 or 0; None where there is no such file."""
    if is_there(snapshot, key) is False:
        return None
    text = text_of(snapshot, key)
    return text.startswith("1") if isinstance(text, str) else text


def _number(snapshot: Snapshot, key: str) -> int | Unknown | None:
    if is_there(snapshot, key) is False:
        return None
    text = text_of(snapshot, key)
    return int(text) if isinstance(text, str) else text


def _memlock(snapshot: Snapshot) -> int | Unknown | None:
    text = text_of(snapshot, "file:/proc/self/limits")
    if not isinstance(text, str):
        return text
    found = re.search(r"Max locked memory\s+(\S+)", text)
    if not found:
        return Unknown("no limit on locked memory is listed", "file:/proc/self/limits")
    return int(found.group(1)) if found.group(1).isdigit() else None


def _mounts(snapshot: Snapshot) -> tuple[str, ...] | Unknown:
    text = text_of(snapshot, "file:/proc/self/mountinfo")
    if not isinstance(text, str):
        return text
    return tuple(row[4] for row in map(str.split, text.splitlines()) if len(row) > 4)
