"""AMD's driver on the host: device nodes, the kfd topology, ROCm releases."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.probes import Probe
from doctor.probes.system import System
from doctor.snapshot import Reading, Target

TOPOLOGY = "/sys/class/kfd/kfd/topology/nodes"
NODES = 64
RELEASES = 16


def amd(system: System, target: Target) -> Iterator[Reading]:
    yield system.node("/dev/kfd")
    listed = system.names("/dev/dri")
    yield listed
    for name in listed.text.split():
        if name.startswith(("render", "card")):
            yield system.node(f"/dev/dri/{name}")
    yield system.names("/sys/module/amdgpu")
    yield system.file("/sys/module/amdgpu/version")
    yield system.file("/sys/module/amdgpu/parameters/noretry")
    packaged = system.command("dpkg-query", "--show", "--showformat=${Version}", "amdgpu-dkms")
    yield packaged
    if packaged.state == "missing":
        yield system.command("rpm", "--query", "--queryformat=%{VERSION}", "amdgpu-dkms")
    yield from _topology(system)
    yield from _releases(system)


def _topology(system: System) -> Iterator[Reading]:
    listed = system.names(TOPOLOGY)
    yield listed
    for number in sorted(listed.text.split(), key=lambda text: (len(text), text))[:NODES]:
        for name in ("gpu_id", "name", "properties"):
            yield system.file(f"{TOPOLOGY}/{number}/{name}")


def _releases(system: System) -> Iterator[Reading]:
    listed = system.names("/opt", r"rocm")
    yield listed
    for name in listed.text.split()[:RELEASES]:
        yield system.node(f"/opt/{name}")
        yield system.file(f"/opt/{name}/.info/version")


PROBES = (Probe("amd", "AMD's driver: its device nodes (none is opened), the GPUs that ROCm sees, ROCm releases", amd),)
