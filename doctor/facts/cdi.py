"""CDI specifications: https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from doctor.facts import yaml
from doctor.facts.read import text_of
from doctor.facts.unknown import Unknown
from doctor.snapshot import Snapshot
from doctor.text import without_var as without_var  # checks ask facts for it

FOLDERS = ("/etc/cdi", "/run/cdi")
LOOKED_AT = re.compile(r"names:(.*) like \.\*\\\.\(\?:yaml\|json\)\$")
"""Readings of the folders in which specifications were looked for."""
KIND = re.compile(r"[A-Za-z][\w.-]*/[A-Za-z][\w.-]*")
DRIVER_FILE = re.compile(r"lib(?:cuda|nvidia-ml)\.so\.(\d{3}\.\d+(?:\.\d+)?)$")


@dataclass(frozen=True, slots=True)
class CdiSpec:
    path: str
    error: str
    """Why it is not valid, or empty; then the rest is empty too."""
    kind: str = ""
    """Such as nvidia.com/gpu."""
    devices: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    """Device nodes on the host that it passes."""
    driver_versions: tuple[str, ...] = ()
    """Versions in the names of the driver libraries that it mounts."""

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def names(self) -> tuple[str, ...]:
        """Names by which its devices are asked for."""
        return tuple(f"{self.kind}={device}" for device in self.devices)


def folders(snapshot: Snapshot) -> tuple[str, ...]:
    """Where specifications were looked for: the usual folders, then those that an engine's settings name."""
    seen = (found[1] for key in snapshot.keys("names:") if (found := LOOKED_AT.fullmatch(key)))
    return tuple(dict.fromkeys((*FOLDERS, *seen)))


def specs(snapshot: Snapshot) -> tuple[CdiSpec, ...]:
    keys = [key for folder in folders(snapshot) for key in snapshot.keys(f"file:{folder}/")]
    found = [_spec(key.removeprefix("file:"), text_of(snapshot, key)) for key in keys]
    return tuple(one for one in found if one)


@lru_cache(64)
def _spec(path: str, text: str | Unknown) -> CdiSpec | None:
    """Kept, since facts are parsed anew as readings come in, and YAML is slow to read."""
    if not isinstance(text, str):
        return None
    try:
        content = json.loads(text) if path.endswith(".json") else yaml.loads(text)
        return _of_content(path, content)
    except ValueError as error:
        return CdiSpec(path, f"{error}"[:200])
    except (TypeError, AttributeError, KeyError):
        return CdiSpec(path, "not of the form of a CDI specification")


def _of_content(path: str, content: Any) -> CdiSpec:
    if not isinstance(content, dict):
        return CdiSpec(path, "empty" if content is None else "not a mapping")
    kind = content.get("kind") or ""
    if not content.get("cdiVersion") or not KIND.fullmatch(str(kind)):
        return CdiSpec(path, "no cdiVersion" if kind else "no kind")
    devices = content.get("devices") or []
    edits = [content.get("containerEdits") or {}, *((one.get("containerEdits") or {}) for one in devices)]
    nodes = [one.get("hostPath") or one["path"] for edit in edits for one in edit.get("deviceNodes") or ()]
    mounts = [one["hostPath"] for edit in edits for one in edit.get("mounts") or ()]
    versions = [found.group(1) for mount in mounts if (found := DRIVER_FILE.search(mount))]
    return CdiSpec(
        path=path,
        error="" if devices else "it describes no device",
        kind=str(kind),
        devices=tuple(str(one["name"]) for one in devices),
        nodes=tuple(dict.fromkeys(nodes)),
        driver_versions=tuple(dict.fromkeys(versions)),
    )
