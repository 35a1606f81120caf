"""Container toolkits of both vendors and what engines are told about GPUs: programs, settings, CDI specifications."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace

from doctor.probes import Probe
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
# /var/run is a link to /run, and an absolute one on Debian: under another root it would lead out.
CDI = ("/etc/cdi", "/run/cdi")
CDI_FILES = 32
NAMES = 32
NODES = 128
NODE = re.compile(r"[\"'\s]((?:/dev/(?:nvidia|dri/|kfd|dxg)[\w./-]*))")


def toolkit(system: System, target: Target) -> Iterator[Reading]:
    for path in PROGRAMS:
        yield system.node(path)
    for path in FILES:
        reading = system.file(path)
        yield reading
        if path in (CONFIG, DAEMON):
            for named in NAMED.findall(reading.text)[:NAMES]:
                yield system.node(named)
    home = os.environ.get("HOME", "")
    if system.live and home:
        # A rootless Docker reads its own; where it lies is the person's business, not the reading's.
        yield replace(system.file(f"{home}/.config/docker/daemon.json"), key="file:~/.config/docker/daemon.json")
    for folder in FOLDERS:
        yield from _folder(system, folder)
    yield from _cdi(system)
    if system.node("/usr/bin/nvidia-ctk").state == "ok":
        yield system.command("nvidia-ctk", "--version")
    if system.node("/usr/bin/nvidia-container-cli").state == "ok":
        yield system.command("nvidia-container-cli", "--version")
    if system.node("/usr/bin/amd-ctk").state == "ok":
        yield system.command("amd-ctk", "--version")


def _folder(system: System, folder: str) -> Iterator[Reading]:
    names = system.names(folder, r".*\.(?:conf|toml)$")
    yield names
    for name in names.text.split("\n")[:CDI_FILES] if names.text else ():
        yield system.file(f"{folder}/{name}")


def _cdi(system: System) -> Iterator[Reading]:
    nodes: dict[str, None] = {}
    for folder in CDI:
        names = system.names(folder, r".*\.(?:yaml|json)$")
        yield names
        for name in names.text.split("\n")[:CDI_FILES] if names.text else ():
            reading = system.file(f"{folder}/{name}")
            yield reading
            nodes |= dict.fromkeys(NODE.findall(reading.text))
    for path in list(nodes)[:NODES]:
        yield system.node(path)


PROBES = (
    Probe(
        "toolkit",
        "NVIDIA's and AMD's container toolkits, the engines' configuration files, CDI specifications",
        toolkit,
    ),
)
