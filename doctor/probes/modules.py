"""Kernel modules of GPU drivers: loaded, installed for this kernel, built by DKMS, held back by a setting."""

from __future__ import annotations

import os
from collections.abc import Iterator

from doctor.probes import Probe
from doctor.probes.system import System
from doctor.snapshot import Reading, Target

MODULES = ("nvidia", "nvidia_uvm", "nouveau", "nova_core", "amdgpu")
DRIVERS = ("nvidia", "amdgpu")
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# Where distributions and DKMS put modules, below /lib/modules/<release>.
FOLDERS = (
    "updates/dkms", "extra", "kernel/drivers/video", "kernel/drivers/gpu/drm/amd/amdgpu", "updates", "weak-updates",
)  # fmt: skip
MODPROBE = ("/etc/modprobe.d", "/usr/lib/modprobe.d", "/run/modprobe.d")
# Lines that keep a module from loading or set an option of one: modprobe.d(5).
SETTING = r"^\s*(?:blacklist|install|options|alias)\s+(?:nvidia|nouveau|nova|amdgpu|radeon|vfio)"


def modules(system: System, target: Target) -> Iterator[Reading]:
    yield system.file("/proc/modules")
    yield system.file("/proc/sys/kernel/osrelease")
    release = system.file("/proc/sys/kernel/osrelease").text.strip() or os.uname().release
    for name in MODULES:
        yield system.names(f"/sys/module/{name}")
        yield system.file(f"/sys/module/{name}/version")
    yield system.names("/lib/modules")
    for folder in FOLDERS:
        yield system.names(f"/lib/modules/{release}/{folder}", r"(?:nvidia|amdgpu).*\.ko")
    for name in DRIVERS:
        yield from _dkms(system, name)
    for folder in MODPROBE:
        yield from _settings(system, folder)
    yield system.data(SECURE_BOOT)
    yield system.file("/sys/kernel/security/lockdown")
    yield from _modinfo(system)


def _modinfo(system: System) -> Iterator[Reading]:
    """Last, and given up at the first that does not answer: the files have told the rest by then."""
    for name in DRIVERS:
        for item in ("filename", "version", "license"):
            reading = system.command("modinfo", "-F", item, name)
            yield reading
            if reading.state == "timeout":
                return
            if reading.state != "ok":
                break


def _dkms(system: System, name: str) -> Iterator[Reading]:
    """Source versions and the kernels each is built for: <module>/<version>/<kernel>/<machine>, dkms(8)."""
    names = system.names(f"/var/lib/dkms/{name}")
    yield names
    for version in names.text.split():
        if version[0].isdigit():
            yield system.names(f"/var/lib/dkms/{name}/{version}")


def _settings(system: System, folder: str) -> Iterator[Reading]:
    names = system.names(folder, r".*\.conf$")
    if names.state == "ok":
        yield names
    for name in names.text.split("\n")[:200] if names.text else ():
        reading = system.lines(f"{folder}/{name}", SETTING)
        if reading.text or reading.state not in ("ok", "missing"):
            yield reading


PROBES = (
    Probe("modules", "which kernel modules of GPU drivers are loaded, installed and blacklisted; Secure Boot", modules),
)
