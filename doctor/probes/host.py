"""The host: what system it is, who we are, which GPU device nodes are there."""

from __future__ import annotations

import json
import os
import platform
import pwd
from collections.abc import Iterator
from dataclasses import replace

from doctor.probes import Probe
from doctor.probes.system import System
from doctor.snapshot import Reading, Target

ENVIRONMENT = (
    "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_REQUIRE_CUDA", "NVIDIA_DISABLE_REQUIRE", "CUDA_VERSION", "LD_LIBRARY_PATH", "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "HSA_OVERRIDE_GFX_VERSION", "HSA_XNACK", "ROCM_PATH", "CUDA_HOME",
    "AMD_VISIBLE_DEVICES",
)  # fmt: skip
"""The environment variables that may enter a snapshot: names that GPU programs read, none that hold secrets."""


FIRST_PERSON = 1000
"""GID_MIN of login.defs(5)."""


def host(system: System, target: Target) -> Iterator[Reading]:
    content = {
        "system": platform.system(),
        "machine": _of(system, "arch") or platform.machine(),
        "kernel": _of(system, "osrelease") or platform.release(),
        "uid": os.getuid(),
        "groups": sorted(set(os.getgroups())),
        "listed": _listed(),
        "environment": {name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
    }
    yield system.reading("host:system", "ok", json.dumps(content, sort_keys=True))
    yield system.file("/etc/os-release")
    yield system.file("/proc/version")
    yield system.file("/proc/modules")
    yield _groups(system)
    yield system.node("/.dockerenv")
    yield system.node("/run/.containerenv")
    yield system.file("/proc/self/cgroup")


def _of(system: System, name: str) -> str:
    """What the kernel says of itself; under another root, that is where it is said (`arch`: Linux 6.1 and later)."""
    return "" if system.live else system.file(f"/proc/sys/kernel/{name}").text.strip()


def _groups(system: System) -> Reading:
    """Names and numbers of the system's own groups. Members, and groups of one person, are nobody's business."""
    whole = system.file("/etc/group")
    rows = (line.split(":") for line in whole.text.splitlines())
    kept = [f"{row[0]}:x:{row[2]}:" for row in rows if len(row) > 2 and row[2].isdigit() and int(row[2]) < FIRST_PERSON]
    return replace(whole, text="\n".join(kept))


def _listed() -> list[int]:
    """The groups that this user has by the system's own lists, whatever this session began with."""
    try:
        user = pwd.getpwuid(os.getuid())
        return sorted(set(os.getgrouplist(user.pw_name, user.pw_gid)))
    except (KeyError, OSError):
        return []


def devices(system: System, target: Target) -> Iterator[Reading]:
    yield system.names("/dev")
    for path in ("/dev/kfd", "/dev/dri", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia0", "/dev/dxg"):
        yield system.node(path)
    nodes = system.names("/dev/dri")
    yield nodes
    for name in nodes.text.split("\n"):
        if name.startswith(("render", "card")):
            yield system.node(f"/dev/dri/{name}")


PROBES = (
    Probe("host", "the kernel, the distribution, your user and group numbers, GPU environment variables", host),
    Probe("devices", "names, owners and permissions of GPU device nodes below /dev; none is opened", devices),
)
