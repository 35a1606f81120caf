"""Container toolkits of both vendors and what engines are told about GPUs: programs, settings, CDI specifications."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace

from doctor.probes import Probe, cdi
from doctor.probes.system import System
from doctor.snapshot import Reading, Target

PROGRAMS = (
    "/usr/bin/nvidia-ctk",
    "/usr/bin/nvidia-cdi-hook",
    "/usr/bin/nvidia-container-cli",
    "/usr/bin/nvidia-container-runtime",
    "/usr/bin/nvidia-container-runtime-hook",
    "/usr/local/nvidia/toolkit/nvidia-container-runtime",
    "/usr/bin/amd-ctk",
    "/usr/bin/amd-container-runtime",
    "/usr/bin/apptainer",
    "/usr/bin/singularity",
    "/usr/local/bin/apptainer",
)
CONFIG = "/etc/nvidia-container-runtime/config.toml"
DAEMON = "/etc/docker/daemon.json"
# What they name on the host: the driver's root, ldconfig (with @ before it), programs.
NAMED = re.compile(r"\b(?:root|ldconfig|path)\"?\s*[=:]\s*\"@?(/[^\"\n]{1,200})\"")
FILES = (
    CONFIG,
    DAEMON,
    "/etc/containerd/config.toml",
    "/var/lib/rancher/k3s/agent/etc/containerd/config.toml",
    "/var/lib/rancher/rke2/agent/etc/containerd/config.toml",
    "/etc/crio/crio.conf",
    "/etc/containers/containers.conf",
    "/etc/apptainer/nvliblist.conf",
    "/etc/apptainer/rocmliblist.conf",
    "/etc/singularity/nvliblist.conf",
    "/etc/singularity/rocmliblist.conf",
    "/usr/local/etc/apptainer/nvliblist.conf",
)
FOLDERS = ("/etc/crio/crio.conf.d", "/etc/containerd/conf.d")
SNIPPETS = 32
NAMES = 32


def toolkit(system: System, target: Target) -> Iterator[Reading]:
    for path in PROGRAMS:
        yield system.node(path)
    folders = [*cdi.FOLDERS]
    for path in FILES:
        reading = system.file(path)
        yield reading
        folders += cdi.folders_told(reading.text)
        if path in (CONFIG, DAEMON):
            for named in NAMED.findall(reading.text)[:NAMES]:
                yield system.node(named)
    home = os.environ.get("HOME", "")
    if system.live and home:
        # A rootless engine reads its own; where it lies is the person's business, not the reading's.
        for path in (".config/docker/daemon.json", ".config/containers/containers.conf"):
            reading = replace(system.file(f"{home}/{path}"), key=f"file:~/{path}")
            yield reading
            folders += cdi.folders_told(reading.text)
    for folder in FOLDERS:
        for reading in _folder(system, folder):
            yield reading
            folders += cdi.folders_told(reading.text)
    yield from cdi.specifications(system, folders)
    if system.node("/usr/bin/nvidia-ctk").state == "ok":
        yield system.command("nvidia-ctk", "--version")
    if system.node("/usr/bin/nvidia-container-cli").state == "ok":
        yield system.command("nvidia-container-cli", "--version")
    if system.node("/usr/bin/amd-ctk").state == "ok":
        yield system.command("amd-ctk", "--version")


def _folder(system: System, folder: str) -> Iterator[Reading]:
    names = system.names(folder, r".*\.(?:conf|toml)$")
    yield names
    for name in names.text.split("\n")[:SNIPPETS] if names.text else ():
        yield system.file(f"{folder}/{name}")


PROBES = (
    Probe(
        "toolkit",
        "NVIDIA's and AMD's container toolkits, the engines' configuration files, CDI specifications",
        toolkit,
    ),
)
