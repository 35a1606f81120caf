"""Container toolkits and what engines are told about GPUs.

config.toml: https://github.com/NVIDIA/nvidia-container-toolkit/blob/main/internal/config/config.go ; daemon.json:
https://docs.docker.com/reference/cli/dockerd/#daemon-configuration-file ; containerd's runtimes:
https://github.com/containerd/containerd/blob/main/docs/cri/config.md ; CRI-O's:
https://github.com/cri-o/cri-o/blob/main/docs/crio.conf.5.md
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import tomli

from doctor.facts import cdi
from doctor.facts.cdi import CdiSpec
from doctor.facts.read import is_there, lines_of, text_of
from doctor.facts.unknown import Unknown
from doctor.snapshot import Snapshot

CONFIG = "/etc/nvidia-container-runtime/config.toml"
DAEMON = ("/etc/docker/daemon.json", "~/.config/docker/daemon.json")
CONTAINERD = (
    "/etc/containerd/config.toml",
    "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
    "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
)
CRIO = ("/etc/crio/crio.conf",)


@dataclass(frozen=True, slots=True)
class Broken:
    """A configuration file that its program cannot read. It is falsy."""

    path: str
    error: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class ToolkitConfig:
    """NVIDIA's config.toml, with the toolkit's defaults where it says nothing."""

    no_cgroups: bool
    ldconfig: str
    """As written: @ before a path of the host."""
    root: str
    mode: str


@dataclass(frozen=True, slots=True)
class DaemonConfig:
    path: str
    runtimes: dict[str, str]
    """Name to program."""
    default_runtime: str
    cdi: bool | None
    """features.cdi; None: not said."""
    cgroup_driver: str


@dataclass(frozen=True, slots=True)
class ToolkitFacts:
    programs: frozenset[str]
    """Paths of programs, and of what config.toml names, that are there."""
    absent: frozenset[str]
    """Paths looked for that are not there; of others we cannot tell."""
    version: str
    """NVIDIA Container Toolkit."""
    library: str
    """libnvidia-container."""
    amd_version: str
    config: ToolkitConfig | Broken | Unknown | None
    """None: no config.toml, and the toolkit's defaults hold."""
    daemon: DaemonConfig | Broken | Unknown | None
    containerd: tuple[str, ...] | Broken | Unknown | None
    """Names of the runtimes that containerd's CRI plug-in knows; None: no configuration file."""
    crio: tuple[str, ...] | Broken | Unknown | None
    """The same of CRI-O."""
    specs: tuple[CdiSpec, ...]
    cdi_folders: tuple[str, ...]
    """Where specifications were looked for."""
    nodes: dict[str, bool]
    """Device nodes that the specifications name: whether they are there."""
    lists: dict[str, tuple[str, ...]]
    """Apptainer's lists of driver files that are there, by path: the names in them."""

    @property
    def has_nvidia(self) -> bool:
        return any("/nvidia-container-runtime" in path or "/nvidia-ctk" in path for path in self.programs)

    @property
    def has_amd(self) -> bool:
        return any("/amd-c" in path for path in self.programs)

    @property
    def names(self) -> tuple[str, ...]:
        """All CDI names."""
        return tuple(dict.fromkeys(name for spec in self.specs for name in spec.names))


def toolkit(snapshot: Snapshot) -> ToolkitFacts | Unknown:
    programs = [key for key in snapshot.keys("node:/") if not key.startswith("node:/dev/")]
    if "node:/usr/bin/nvidia-ctk" not in programs:
        return Unknown("the container toolkits were not looked at", "node:/usr/bin/nvidia-ctk")
    seen = {key.removeprefix("node:"): is_there(snapshot, key) for key in programs}
    cli = text_of(snapshot, "command:nvidia-container-cli --version") or ""
    return ToolkitFacts(
        programs=frozenset(path for path, there in seen.items() if there),
        absent=frozenset(path for path, there in seen.items() if there is False),
        version=_version(text_of(snapshot, "command:nvidia-ctk --version") or ""),
        library=_version(cli.partition("lib-version:")[2]),
        amd_version=_version(text_of(snapshot, "command:amd-ctk --version") or ""),
        config=_config(snapshot),
        daemon=_daemon(snapshot),
        containerd=_containerd(snapshot),
        crio=_crio(snapshot),
        specs=cdi.specs(snapshot),
        cdi_folders=cdi.folders(snapshot),
        nodes=_nodes(snapshot),
        lists=_lists(snapshot),
    )


def _version(text: str) -> str:
    found = re.search(r"\d+\.\d+\.\d+(?:[-~]rc\.?\d+)?", text)
    return found.group() if found else ""


def _read(snapshot: Snapshot, path: str) -> str | Unknown | None:
    """The text of a configuration file; None: there is none."""
    if is_there(snapshot, f"file:{path}") is False:
        return None
    return text_of(snapshot, f"file:{path}")


def _toml(text: str, path: str) -> dict[str, Any] | Broken:
    try:
        content: dict[str, Any] = tomli.loads(text)
        return content
    except tomli.TOMLDecodeError as error:
        return Broken(path, str(error))


def _config(snapshot: Snapshot) -> ToolkitConfig | Broken | Unknown | None:
    text = _read(snapshot, CONFIG)
    if not isinstance(text, str):
        return text
    content = _toml(text, CONFIG)
    if isinstance(content, Broken):
        return content
    cli, runtime = content.get("nvidia-container-cli") or {}, content.get("nvidia-container-runtime") or {}
    return ToolkitConfig(
        no_cgroups=bool(cli.get("no-cgroups")),
        ldconfig=str(cli.get("ldconfig") or ""),
        root=str(cli.get("root") or ""),
        mode=str(runtime.get("mode") or "auto"),
    )


def _daemon(snapshot: Snapshot) -> DaemonConfig | Broken | Unknown | None:
    """The system's, else the user's own. An empty file counts as none, as it does for dockerd."""
    for path in DAEMON:
        if snapshot.get(f"file:{path}") is None:
            continue
        text = _read(snapshot, path)
        if isinstance(text, Unknown):
            return text
        if text is not None and text.strip():
            return _of_daemon(path, text)
    return None


def _of_daemon(path: str, text: str) -> DaemonConfig | Broken:
    try:
        content = json.loads(text)
    except ValueError as error:
        return Broken(path, str(error))
    if not isinstance(content, dict):
        return Broken(path, "not a JSON object")
    runtimes = content.get("runtimes") or {}
    features, options = content.get("features") or {}, content.get("exec-opts") or []
    driver = [one.partition("=")[2] for one in options if one.startswith("native.cgroupdriver=")]
    return DaemonConfig(
        path=path,
        runtimes={name: str(one.get("path") or one.get("runtimeType") or "") for name, one in runtimes.items()},
        default_runtime=content.get("default-runtime") or "",
        cdi=features.get("cdi"),
        cgroup_driver=driver[0] if driver else "",
    )


def _containerd(snapshot: Snapshot) -> tuple[str, ...] | Broken | Unknown | None:
    """Runtimes by any of the CRI plug-in's names; imported files of conf.d count as well."""
    contents = _tomls(snapshot, CONTAINERD, "/etc/containerd/conf.d/")
    if not isinstance(contents, list):
        return contents
    plugins = [one for content in contents for one in (content.get("plugins") or {}).values()]
    tables = [one.get("containerd") or {} for one in plugins if isinstance(one, dict)]
    return tuple(dict.fromkeys(name for table in tables for name in table.get("runtimes") or {}))


def _crio(snapshot: Snapshot) -> tuple[str, ...] | Broken | Unknown | None:
    contents = _tomls(snapshot, CRIO, "/etc/crio/crio.conf.d/")
    if not isinstance(contents, list):
        return contents
    tables = [((content.get("crio") or {}).get("runtime") or {}).get("runtimes") or {} for content in contents]
    return tuple(dict.fromkeys(name for table in tables for name in table))


def _tomls(snapshot: Snapshot, paths: tuple[str, ...], folder: str) -> list[dict[str, Any]] | Broken | Unknown | None:
    """Configuration files that are there, read; None: there is none."""
    keys = [key for path in paths if snapshot.get(key := f"file:{path}") and is_there(snapshot, key) is not False]
    contents = []
    for key in (*keys, *snapshot.keys(f"file:{folder}")):
        text = text_of(snapshot, key)
        content = _toml(text, key.removeprefix("file:")) if isinstance(text, str) else text
        if not isinstance(content, dict):
            return content
        contents.append(content)
    return contents or None


def _nodes(snapshot: Snapshot) -> dict[str, bool]:
    known = {key.removeprefix("node:"): is_there(snapshot, key) for key in snapshot.keys("node:/dev/")}
    return {path: there for path, there in known.items() if isinstance(there, bool)}


def _lists(snapshot: Snapshot) -> dict[str, tuple[str, ...]]:
    found = {}
    for key in snapshot.keys("file:/"):
        if key.endswith("liblist.conf") and is_there(snapshot, key):
            lines = [line.split("#")[0].strip() for line in lines_of(snapshot, key)]
            found[key.removeprefix("file:")] = tuple(filter(None, lines))
    return found
