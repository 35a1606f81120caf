"""The host as recorded: system, user, GPU device nodes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from doctor.facts.read import assignments, is_there, text_of
from doctor.facts.unknown import Unknown
from doctor.snapshot import Snapshot

# platform.machine() to the names that images use (https://github.com/opencontainers/image-spec/blob/main/config.md).
GOARCH = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "armv7l": "arm", "ppc64le": "ppc64le"}
# /etc/os-release ID and ID_LIKE to the package family that a fix names.
FAMILIES = {
    "debian": "debian", "ubuntu": "ubuntu", "linuxmint": "ubuntu", "pop": "ubuntu", "rhel": "rhel", "centos": "rhel",
    "rocky": "rhel", "almalinux": "rhel", "ol": "rhel", "amzn": "fedora", "fedora": "fedora", "suse": "suse",
    "opensuse": "suse", "sles": "suse", "arch": "arch", "manjaro": "arch", "nixos": "nixos",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class HostFacts:
    system: str
    machine: str
    kernel: str
    uid: int
    groups: tuple[int, ...]
    """Numbers of the groups of the calling process."""
    environment: dict[str, str]
    distribution: str
    """PRETTY_NAME of os-release, or empty."""
    family: str
    """Package family for fixes (debian, ubuntu, rhel …), or empty."""
    group_names: dict[int, str] = field(default_factory=dict)
    inside_container: bool = False
    listed_groups: tuple[int, ...] = ()
    """Numbers of the groups that the group file lists this user in: a login may be older than that."""

    @property
    def goarch(self) -> str:
        return GOARCH.get(self.machine, self.machine)


@dataclass(frozen=True, slots=True)
class Node:
    """What stands at a path below /dev."""

    path: str
    kind: str
    mode: int
    uid: int
    gid: int
    major: int | None = None
    minor: int | None = None

    def permits(self, uid: int, groups: tuple[int, ...]) -> bool:
        """Whether a process with these ids may read and write it by its mode bits; root may."""
        bits = self.mode >> 6 if uid == self.uid else self.mode >> 3 if self.gid in groups else self.mode
        return uid == 0 or bits & 6 == 6


@dataclass(frozen=True, slots=True)
class DeviceFacts:
    nodes: dict[str, Node]
    """By path: what is there."""
    names: tuple[str, ...]
    """Names in /dev."""

    @property
    def kfd(self) -> Node | None:
        return self.nodes.get("/dev/kfd")

    @property
    def render(self) -> tuple[Node, ...]:
        return tuple(node for path, node in sorted(self.nodes.items()) if path.startswith("/dev/dri/render"))

    @property
    def nvidia(self) -> tuple[str, ...]:
        """NVIDIA GPU nodes, /dev/nvidia0 and so on."""
        return tuple(f"/dev/{name}" for name in self.names if name[:6] == "nvidia" and name[6:].isdigit())

    @property
    def amd_groups(self) -> tuple[int, ...]:
        """Group numbers that own /dev/kfd and the render nodes."""
        owners = [node.gid for node in (self.kfd, *self.render) if node]
        return tuple(dict.fromkeys(owners))


def host(snapshot: Snapshot) -> HostFacts | Unknown:
    reading = snapshot.get("host:system")
    if reading is None or reading.state != "ok":
        return Unknown("the host was not recorded", "host:system")
    content = json.loads(reading.text)
    release = assignments(text_of(snapshot, "file:/etc/os-release") or "")
    ids = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    return HostFacts(
        system=content["system"],
        machine=content["machine"],
        kernel=content["kernel"],
        uid=content["uid"],
        groups=tuple(content["groups"]),
        environment=content["environment"],
        distribution=release.get("PRETTY_NAME", ""),
        family=next((FAMILIES[name] for name in ids if name in FAMILIES), ""),
        group_names=_groups(text_of(snapshot, "file:/etc/group") or ""),
        inside_container=any(is_there(snapshot, f"node:{path}") for path in ("/.dockerenv", "/run/.containerenv")),
        listed_groups=tuple(content.get("listed") or ()),
    )


def devices(snapshot: Snapshot) -> DeviceFacts | Unknown:
    names = snapshot.get("names:/dev")
    if names is None or names.state != "ok":
        return Unknown(names.why_not if names else "/dev was not recorded", "names:/dev")
    nodes = {}
    for key in snapshot.keys("node:/dev/"):
        reading = snapshot.readings[key]
        if reading.state == "ok":
            content = json.loads(reading.text)
            path = key.removeprefix("node:")
            nodes[path] = Node(
                path=path,
                kind=content["kind"],
                mode=content["mode"],
                uid=content["uid"],
                gid=content["gid"],
                major=content.get("major"),
                minor=content.get("minor"),
            )
    return DeviceFacts(nodes, tuple(names.text.split("\n")))


def _groups(text: str) -> dict[int, str]:
    """Numbers and names out of /etc/group."""
    rows = (line.split(":") for line in text.splitlines())
    return {int(row[2]): row[0] for row in rows if len(row) >= 3 and row[2].isdigit()}
