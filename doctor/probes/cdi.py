"""CDI specifications, in whichever folders the engines read: https://github.com/cncf-tags/container-device-interface

The folders' settings: cdi-spec-dirs in Docker's daemon.json, cdi_spec_dirs in containerd's, CRI-O's and Podman's files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from doctor.probes.system import System
from doctor.snapshot import Reading
from doctor.text import without_var

# /var/run is a link to /run, and an absolute one on Debian: under another root it would lead out.
FOLDERS = ("/etc/cdi", "/run/cdi")
TOLD = re.compile(r"cdi[-_]spec[-_]dirs\"?\s*[=:]\s*\[([^\]]{0,2000})\]")
MOST_FOLDERS = 8
MOST_FILES = 32
MOST_NODES = 128
NODE = re.compile(r"[\"'\s]((?:/dev/(?:nvidia|dri/|kfd|dxg)[\w./-]*))")


def folders_told(text: str) -> list[str]:
    """The folders that an engine's configuration file names; of a line that is a comment none."""
    kept = re.sub(r"(?m)^\s*#.*$", "", text)
    return [name for listed in TOLD.findall(kept) for name in re.findall(r"[\"'](/[^\"'\n]{1,200})[\"']", listed)]


def specifications(system: System, folders: Iterable[str]) -> Iterator[Reading]:
    """The specifications in these folders, and the device nodes that they name."""
    nodes: dict[str, None] = {}
    for folder in list(dict.fromkeys(map(without_var, folders)))[:MOST_FOLDERS]:
        names = system.names(folder, r".*\.(?:yaml|json)$")
        yield names
        for name in names.text.split("\n")[:MOST_FILES] if names.text else ():
            reading = system.file(f"{folder}/{name}")
            yield reading
            nodes |= dict.fromkeys(NODE.findall(reading.text))
    for path in list(nodes)[:MOST_NODES]:
        yield system.node(path)
