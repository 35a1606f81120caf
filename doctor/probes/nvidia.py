"""NVIDIA's driver on the host, by the files it shows: module, libraries, device nodes, Fabric Manager, WSL, Jetson."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.probes import Probe
from doctor.probes.system import System
from doctor.snapshot import Reading, Target

PROC = "/proc/driver/nvidia"
LIBRARIES = r"lib(?:cuda|nvidia-ml|nvidia-ptxjitcompiler|nvidia-container|cuda_wrapper|dxcore)\.so"
# Where distributions, the runfile installer, the GPU Operator, NixOS, WSL and Jetson keep them.
FOLDERS = (
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/lib/x86_64-linux-gnu/nvidia/current",
    "/usr/lib64/nvidia",
    "/usr/lib/nvidia",
    "/usr/lib/wsl/lib",
    "/usr/lib/aarch64-linux-gnu/nvidia",
    "/usr/lib/aarch64-linux-gnu/tegra",
    "/run/opengl-driver/lib",
    "/run/nvidia/driver/usr/lib/x86_64-linux-gnu",
    "/run/nvidia/driver/usr/lib64",
    "/usr/local/nvidia/lib64",
    "/usr/local/cuda/compat",
    "/.singularity.d/libs",
    "/home/kubernetes/bin/nvidia/lib64",
)
GPUS = 64


def nvidia(system: System, target: Target) -> Iterator[Reading]:
    yield system.file("/proc/sys/kernel/osrelease")
    yield system.names(PROC)
    yield system.file(f"{PROC}/version")
    yield system.file(f"{PROC}/params")
    for folder in FOLDERS:
        reading = system.names(folder, LIBRARIES)
        if reading.state != "missing":
            yield reading
    for path in (
        "/usr/bin/nvidia-smi",
        "/usr/lib/wsl/lib/nvidia-smi",
        "/usr/local/nvidia/bin/nvidia-smi",
        "/run/nvidia/driver/usr/bin/nvidia-smi",
        "/run/current-system/sw/bin/nvidia-smi",
        "/usr/bin/nv-fabricmanager",
    ):
        yield system.node(path)
    yield from _nodes(system)
    yield system.file("/etc/nv_tegra_release")
    yield system.data("/proc/device-tree/compatible", 256)
    yield system.names("/etc/nvidia-container-runtime/host-files-for-container.d")
    yield system.command(
        "systemctl", "show", "--property=Id,LoadState,ActiveState,Result", "nvidia-fabricmanager.service"
    )
    if system.node("/usr/bin/nv-fabricmanager").state == "ok":
        yield system.command("nv-fabricmanager", "--version")
    listed = system.names(f"{PROC}/gpus")
    yield listed
    # Last: these wait for the GPU, and a lost one may not answer.
    for address in listed.text.split()[:GPUS]:
        yield system.file(f"{PROC}/gpus/{address}/information")


def _nodes(system: System) -> Iterator[Reading]:
    yield system.file("/proc/devices")
    listed = system.names("/dev", r"(?:nvidia|dxg$|nvhost|nvmap|nvgpu)")
    yield listed
    for name in listed.text.split():
        yield system.node(f"/dev/{name}")
    caps = system.names("/dev/nvidia-caps")
    if caps.state != "missing":
        yield caps
    for name in caps.text.split():
        yield system.node(f"/dev/nvidia-caps/{name}")


PROBES = (
    Probe("nvidia", "NVIDIA's driver: its module, libraries, device nodes (none is opened) and Fabric Manager", nvidia),
)
