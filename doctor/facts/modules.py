"""Kernel modules as recorded.

Forms: kernel/module/procfs.c and kernel/module/sysfs.c of Linux (/proc/modules, /sys/module), dkms(8), modprobe.d(5),
and the UEFI variable SecureBoot as efivarfs shows it: four bytes of attributes, then the value
(https://docs.kernel.org/filesystems/efivarfs.html).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from doctor.facts.read import lines_of, text_of
from doctor.facts.unknown import Unknown
from doctor.snapshot import Snapshot

SECURE_BOOT = "data:/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
SYSFS = ("nvidia", "nvidia_uvm", "nouveau", "nova_core", "amdgpu")
DRIVERS = ("nvidia", "amdgpu")


@dataclass(frozen=True, slots=True)
class Setting:
    """A line of a modprobe.d file."""

    path: str
    line: str

    def keeps_away(self, module: str) -> bool:
        """Whether it stops the module from loading: a blacklist, or an install line that does nothing."""
        words = self.line.split()
        if len(words) < 2 or words[1].replace("-", "_") != module:
            return False
        return words[0] == "blacklist" or (words[0] == "install" and words[-1] in ("/bin/true", "/bin/false"))


@dataclass(frozen=True, slots=True)
class Installed:
    """What modinfo says of the module for the running kernel."""

    path: str
    version: str
    license: str


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    kernel: str
    """Release of the running kernel."""
    loaded: tuple[str, ...] | Unknown
    versions: dict[str, str]
    """Of loaded modules that state one; amdgpu does only where it is built by DKMS."""
    installed: dict[str, Installed | Unknown | None]
    """By module: for the running kernel; None where there is none."""
    dkms: dict[str, dict[str, tuple[str, ...]]]
    """By module: source version to the kernels that it is installed for."""
    kernels: tuple[str, ...]
    """Kernels that have a module folder."""
    settings: tuple[Setting, ...]
    secure_boot: bool | Unknown

    def kept_away(self, module: str) -> Setting | None:
        return next((one for one in self.settings if one.keeps_away(module)), None)

    def dkms_kernels(self, module: str) -> tuple[str, ...]:
        """The kernels for which DKMS has any version of the module."""
        return tuple(dict.fromkeys(one for kernels in self.dkms[module].values() for one in kernels))


def modules(snapshot: Snapshot) -> ModuleFacts | Unknown:
    release = text_of(snapshot, "file:/proc/sys/kernel/osrelease")
    if not isinstance(release, str):
        return Unknown(release.reason, release.reading)
    kernel = release.strip()
    return ModuleFacts(
        kernel=kernel,
        loaded=_loaded(snapshot),
        versions={name: text.strip() for name in SYSFS if (text := _version(snapshot, name))},
        installed={name: _installed(snapshot, name, kernel) for name in DRIVERS},
        dkms={name: _dkms(snapshot, name) for name in DRIVERS},
        kernels=lines_of(snapshot, "names:/lib/modules"),
        settings=tuple(_settings(snapshot)),
        secure_boot=_secure_boot(snapshot),
    )


def _version(snapshot: Snapshot, name: str) -> str:
    return text_of(snapshot, f"file:/sys/module/{name}/version") or ""


def _loaded(snapshot: Snapshot) -> tuple[str, ...] | Unknown:
    """Those of /proc/modules that are live, and those that are built in: they show in /sys/module alone."""
    text = text_of(snapshot, "file:/proc/modules")
    if not isinstance(text, str):
        return text
    rows = [line.split() for line in text.splitlines()]
    names = [row[0] for row in rows if len(row) < 5 or row[4] == "Live"]
    names += [name for name in SYSFS if _built_in(snapshot, name)]
    return tuple(dict.fromkeys(names))


def _built_in(snapshot: Snapshot, name: str) -> bool:
    items = lines_of(snapshot, f"names:/sys/module/{name}")
    return bool(items) and "initstate" not in items


def _installed(snapshot: Snapshot, name: str, kernel: str) -> Installed | Unknown | None:
    filename = snapshot.get(f"command:modinfo -F filename {name}")
    if filename and filename.state == "ok":
        version = text_of(snapshot, f"command:modinfo -F version {name}") or ""
        licence = text_of(snapshot, f"command:modinfo -F license {name}") or ""
        return Installed(filename.text.strip(), version.strip(), licence.strip())
    for key in snapshot.keys(f"names:/lib/modules/{kernel}/"):
        files = [one for one in lines_of(snapshot, key) if one.split(".")[0] == name]
        if files:
            return Installed(f"{key.removeprefix('names:').partition(' like')[0]}/{files[0]}", "", "")
    if filename and filename.state == "failed" and "not found" in filename.error:
        return None
    return Unknown(filename.why_not if filename else "modinfo was not run", "command:modinfo")


def _dkms(snapshot: Snapshot, name: str) -> dict[str, tuple[str, ...]]:
    """Kernels by source version: the tree is <module>/<version>/<kernel>/<machine>."""
    found: dict[str, tuple[str, ...]] = {}
    for version in lines_of(snapshot, f"names:/var/lib/dkms/{name}"):
        if version[:1].isdigit():
            below = lines_of(snapshot, f"names:/var/lib/dkms/{name}/{version}")
            found[version] = tuple(one for one in below if re.match(r"\d+\.\d+", one))
    return found


def _settings(snapshot: Snapshot) -> list[Setting]:
    found = []
    for key in snapshot.keys("file:"):
        if "/modprobe.d/" in key:
            found += [Setting(key.removeprefix("file:"), line.strip()) for line in lines_of(snapshot, key)]
    return found


def _secure_boot(snapshot: Snapshot) -> bool | Unknown:
    text = text_of(snapshot, SECURE_BOOT)
    if isinstance(text, str):
        return text[8:10] == "01"
    reading = snapshot.get(SECURE_BOOT)
    # Without UEFI variables the machine started by BIOS, which knows no Secure Boot.
    return False if reading and reading.state == "missing" else text
