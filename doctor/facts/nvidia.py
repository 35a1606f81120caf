"""NVIDIA's driver on this system, by the files it shows.

Forms: /proc/driver/nvidia of
https://github.com/NVIDIA/open-gpu-kernel-modules/blob/main/kernel-open/nvidia/nv-procfs.c , library names and device
nodes of https://download.nvidia.com/XFree86/Linux-x86_64/550.54.14/README/installedcomponents.html ,
majors of /proc/devices (fs/proc/devices.c of Linux).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Literal

from doctor.facts.host import Node
from doctor.facts.read import assignments, is_there, lines_of, text_of
from doctor.facts.unknown import Unknown
from doctor.snapshot import Snapshot

LIBRARY = re.compile(r"(?P<name>lib[\w-]+)\.so\.(?P<version>\d{3}\.\d+(?:\.\d+)?)$")
FABRIC = "command:systemctl show --property=Id,LoadState,ActiveState,Result nvidia-fabricmanager.service"


@dataclass(frozen=True, slots=True)
class Module:
    """The loaded kernel module."""

    version: str
    kind: Literal["open", "proprietary", ""]
    line: str
    """What /proc/driver/nvidia/version says."""


@dataclass(frozen=True, slots=True)
class Library:
    path: str
    name: str
    """Without .so and version: libcuda."""
    version: str


@dataclass(frozen=True, slots=True)
class FabricManager:
    """The service that sets up NVSwitches."""

    installed: bool | Unknown
    active: str
    """systemd's word: active, inactive, failed …; empty where it was not asked."""
    version: str


@dataclass(frozen=True, slots=True)
class NvidiaFacts:
    module: Module | Unknown | None
    """None: no module is loaded."""
    libraries: tuple[Library, ...]
    """Driver libraries with a version in their name."""
    sonames: dict[str, tuple[str, ...]]
    """Folder to the driver libraries' names in it, links too."""
    nodes: dict[str, Node]
    names: tuple[str, ...] | Unknown
    """Names of NVIDIA's nodes in /dev."""
    majors: dict[str, int] | Unknown
    """Device majors that the kernel gave out."""
    gpus: dict[str, dict[str, str]]
    """PCI address to what the module tells of the GPU."""
    has_smi: bool | Unknown
    fabric: FabricManager
    wsl: bool
    tegra: str
    """What a Jetson says of itself, or empty."""
    csv_files: tuple[str, ...]
    """The lists of host files that the toolkit mounts on a Jetson."""

    @property
    def driver(self) -> str:
        """The driver's version: the module's, else that of its libraries where they agree, else empty."""
        if self.module:
            return self.module.version
        versions = self.versions
        return versions[0] if len(versions) == 1 else ""

    @property
    def versions(self) -> tuple[str, ...]:
        """Versions of the driver's libraries; cuda-compat's folder does not count."""
        own = [one.version for one in self.libraries if "/compat" not in one.path]
        return tuple(dict.fromkeys(own))

    def library(self, name: str) -> str | None:
        """A path at which the loader finds a library by its SONAME, such as libcuda.so.1."""
        return next((f"{folder}/{name}" for folder, names in self.sonames.items() if name in names), None)

    def nodes_of_gpus(self) -> tuple[str, ...]:
        """/dev/nvidia0 and so on."""
        return tuple(sorted(path for path in self.nodes if re.fullmatch(r"/dev/nvidia\d+", path)))


def nvidia(snapshot: Snapshot) -> NvidiaFacts | Unknown:
    if not snapshot.keys("names:/proc/driver/nvidia"):
        return Unknown("NVIDIA's driver was not looked at", "names:/proc/driver/nvidia")
    sonames = {
        key.removeprefix("names:").partition(" like ")[0]: lines_of(snapshot, key)
        for key in snapshot.keys("names:/")
        if " like lib(?:cuda|" in key
    }
    release = text_of(snapshot, "file:/proc/sys/kernel/osrelease") or ""
    return NvidiaFacts(
        module=_module(snapshot),
        libraries=tuple(_libraries(sonames)),
        sonames=sonames,
        nodes=_nodes(snapshot),
        names=_names(snapshot),
        majors=_majors(snapshot),
        gpus=_gpus(snapshot),
        has_smi=_has_smi(snapshot),
        fabric=_fabric(snapshot),
        wsl="microsoft" in release.lower(),
        tegra=_tegra(snapshot),
        csv_files=lines_of(snapshot, "names:/etc/nvidia-container-runtime/host-files-for-container.d"),
    )


def _module(snapshot: Snapshot) -> Module | Unknown | None:
    known = is_there(snapshot, "file:/proc/driver/nvidia/version")
    if known is False:
        return None
    text = text_of(snapshot, "file:/proc/driver/nvidia/version")
    if not isinstance(text, str):
        return text
    line = text.split("\n")[0]
    version = re.search(r"\b(\d{3}\.\d+(?:\.\d+)?)\b", line)
    if not version:
        return Unknown("/proc/driver/nvidia/version has another form", "file:/proc/driver/nvidia/version")
    kind: Literal["open", "proprietary"] = "open" if "Open Kernel Module" in line else "proprietary"
    return Module(version.group(1), kind, " ".join(line.split()))


def _libraries(sonames: dict[str, tuple[str, ...]]) -> list[Library]:
    found = []
    for folder, names in sonames.items():
        matches = ((name, match) for name in names if (match := LIBRARY.match(name)))
        found += [
            Library(f"{folder}/{name}", match["name"], match["version"])
            for name, match in matches
            if match["name"] != "libnvidia-container"
        ]
    return found


def _nodes(snapshot: Snapshot) -> dict[str, Node]:
    found = {}
    for key in snapshot.keys("node:/dev/"):
        text = text_of(snapshot, key)
        path = key.removeprefix("node:")
        if isinstance(text, str) and path.startswith(("/dev/nv", "/dev/dxg")):
            content = json.loads(text)
            names = ("kind", "mode", "uid", "gid", "major", "minor")
            found[path] = Node(path, **{name: content.get(name) for name in names})
    return found


def _names(snapshot: Snapshot) -> tuple[str, ...] | Unknown:
    key = next((one for one in snapshot.keys("names:/dev like (?:nvidia")), "names:/dev")
    text = text_of(snapshot, key)
    return tuple(text.split()) if isinstance(text, str) else text


def _majors(snapshot: Snapshot) -> dict[str, int] | Unknown:
    text = text_of(snapshot, "file:/proc/devices")
    if not isinstance(text, str):
        return text
    rows = [line.split() for line in text.partition("Block devices")[0].splitlines()]
    return {row[1]: int(row[0]) for row in rows if len(row) == 2 and row[0].isdigit()}


def _gpus(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    addresses = lines_of(snapshot, "names:/proc/driver/nvidia/gpus")
    return {
        address: assignments(text_of(snapshot, f"file:/proc/driver/nvidia/gpus/{address}/information") or "")
        for address in addresses
    }


def _has_smi(snapshot: Snapshot) -> bool | Unknown:
    known = [is_there(snapshot, key) for key in snapshot.keys("node:/") if key.endswith("/nvidia-smi")]
    if any(known):
        return True
    return next((one for one in known if isinstance(one, Unknown)), False)


def _fabric(snapshot: Snapshot) -> FabricManager:
    said = assignments(text_of(snapshot, FABRIC) or "")
    version = re.search(r"\d+\.\d+(?:\.\d+)?", text_of(snapshot, "command:nv-fabricmanager --version") or "")
    program = is_there(snapshot, "node:/usr/bin/nv-fabricmanager")
    there = True if said.get("LoadState") == "loaded" else program
    return FabricManager(there, said.get("ActiveState", ""), version.group() if version else "")


def _tegra(snapshot: Snapshot) -> str:
    """/etc/nv_tegra_release, or the device tree's `compatible` (names ending with a zero byte) if it names a Tegra."""
    if release := text_of(snapshot, "file:/etc/nv_tegra_release"):
        return " ".join(release.split("\n")[0].strip("# ").split())
    raw = text_of(snapshot, "data:/proc/device-tree/compatible") or ""
    names = bytes.fromhex(raw).decode("ascii", "replace").split("\0") if re.fullmatch(r"(?:[0-9a-f]{2})*", raw) else []
    return next((name for name in names if name.startswith("nvidia,tegra")), "")
