"""AMD's driver on this system.

Forms: drivers/gpu/drm/amd/amdkfd/kfd_topology.c of Linux (`properties`, `gpu_id`; reading them of a GPU that the
devices cgroup forbids fails with EPERM), /opt/rocm*/.info/version of https://github.com/ROCm/rocm-core .
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from doctor.facts.host import Node
from doctor.facts.read import is_there, text_of
from doctor.facts.unknown import Unknown
from doctor.snapshot import Snapshot

TOPOLOGY = "/sys/class/kfd/kfd/topology/nodes"


@dataclass(frozen=True, slots=True)
class KfdNode:
    """A node of the topology: a processor, or a GPU that ROCm can use."""

    number: int
    denied: bool
    """Its properties may not be read here."""
    properties: dict[str, int]

    @property
    def is_gpu(self) -> bool:
        return self.properties.get("simd_count", 0) > 0

    @property
    def gfx(self) -> str:
        """Its LLVM target: gfx_target_version 90010 is gfx90a."""
        version = self.properties.get("gfx_target_version", 0)
        return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}" if version else ""

    @property
    def render_minor(self) -> int:
        return self.properties.get("drm_render_minor", 0)

    @property
    def address(self) -> str:
        """PCI address: location_id holds bus, device and function."""
        place, domain = self.properties.get("location_id", 0), self.properties.get("domain", 0)
        return f"{domain:04x}:{place >> 8 & 255:02x}:{place >> 3 & 31:02x}.{place & 7}"


@dataclass(frozen=True, slots=True)
class AmdFacts:
    module_loaded: bool | Unknown
    module_version: str
    """Set where amdgpu was built by DKMS (6.12.12); the one of the kernel's own tree states none."""
    release: str
    """The driver release that the package amdgpu-dkms is of, as compatibility matrices name it (6.4.1, 30.10)."""
    kfd: Node | Unknown | None
    """/dev/kfd; None: it is not there."""
    render: tuple[Node, ...]
    cards: tuple[Node, ...]
    topology: tuple[KfdNode, ...] | Unknown
    rocm: dict[str, str]
    """Folder to ROCm release, such as 6.4.1."""
    noretry: int | None
    """Module parameter: 0 retries after page faults (XNACK), 1 does not, -1 leaves it to the driver."""

    @property
    def gpus(self) -> tuple[KfdNode, ...]:
        """The GPUs that ROCm can use, in its order."""
        return tuple(one for one in self.topology if one.is_gpu) if isinstance(self.topology, tuple) else ()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes that a ROCm program opens."""
        return ((self.kfd,) if self.kfd else ()) + self.render


def amd(snapshot: Snapshot) -> AmdFacts | Unknown:
    if snapshot.get("node:/dev/kfd") is None or snapshot.get("names:/sys/module/amdgpu") is None:
        return Unknown("AMD's driver was not looked at", "node:/dev/kfd")
    kfd = is_there(snapshot, "node:/dev/kfd")
    version = text_of(snapshot, "file:/sys/module/amdgpu/version")
    return AmdFacts(
        module_loaded=is_there(snapshot, "names:/sys/module/amdgpu"),
        module_version=version.strip() if isinstance(version, str) else "",
        release=_release(snapshot),
        kfd=_node(snapshot, "/dev/kfd") if kfd else None if kfd is False else kfd,
        render=tuple(_nodes(snapshot, "renderD")),
        cards=tuple(_nodes(snapshot, "card")),
        topology=_topology(snapshot),
        rocm=_releases(snapshot),
        noretry=_parameter(snapshot, "noretry"),
    )


def _parameter(snapshot: Snapshot, name: str) -> int | None:
    text = text_of(snapshot, f"file:/sys/module/amdgpu/parameters/{name}") or ""
    return int(text) if re.fullmatch(r"\s*-?\d+\s*", text) else None


def _release(snapshot: Snapshot) -> str:
    """The last number of the package's version: 60200 in 1:6.8.5.60200-2009582.24.04 is 6.2.0, 30100000 is 30.10.0.

    Seen in https://github.com/ROCm/rocm-install-on-linux/issues/293 ; the module's own version is another count.
    """
    for key in (*snapshot.keys("command:dpkg-query"), *snapshot.keys("command:rpm --query")):
        found = re.search(r"\.(\d{1,2})(\d\d)(\d\d)(?:00)?(?:-|$)", text_of(snapshot, key) or "")
        if found:
            return ".".join(str(int(part)) for part in found.groups())
    return ""


def _node(snapshot: Snapshot, path: str) -> Node:
    content = json.loads(text_of(snapshot, f"node:{path}") or "{}")
    return Node(path, **{name: content.get(name) for name in ("kind", "mode", "uid", "gid", "major", "minor")})


def _nodes(snapshot: Snapshot, prefix: str) -> list[Node]:
    keys = snapshot.keys(f"node:/dev/dri/{prefix}")
    return [_node(snapshot, key.removeprefix("node:")) for key in keys if snapshot.readings[key].state == "ok"]


def _topology(snapshot: Snapshot) -> tuple[KfdNode, ...] | Unknown:
    text = text_of(snapshot, f"names:{TOPOLOGY}")
    if not isinstance(text, str):
        return text
    numbers = sorted(int(name) for name in text.split() if name.isdigit())
    return tuple(_kfd_node(snapshot, number) for number in numbers)


def _kfd_node(snapshot: Snapshot, number: int) -> KfdNode:
    reading = snapshot.get(f"file:{TOPOLOGY}/{number}/properties")
    rows = [line.split() for line in reading.text.splitlines()] if reading else []
    properties = {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].lstrip("-").isdigit()}
    return KfdNode(number, bool(reading and reading.state == "denied"), properties)


def _releases(snapshot: Snapshot) -> dict[str, str]:
    """Folders by their release; a link such as /opt/rocm counts with what it leads to."""
    found = {}
    for key in snapshot.keys("file:/opt/rocm"):
        text = text_of(snapshot, key)
        if isinstance(text, str) and text.strip():
            found[key.removeprefix("file:").removesuffix("/.info/version")] = text.strip().split("-")[0]
    return found
