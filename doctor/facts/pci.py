"""GPUs on the PCI bus as recorded.

Files and their form: drivers/pci/pci-driver.c (`uevent`) and drivers/pci/pci-sysfs.c (`resource`, links) of Linux,
drivers/gpu/drm/amd/amdgpu/amdgpu_vram_mgr.c (`mem_info_*`).
"""

from __future__ import annotations

from dataclasses import dataclass

from doctor.facts.read import assignments, text_of
from doctor.facts.unknown import Unknown
from doctor.gpus import Gpu, find_gpu
from doctor.snapshot import Snapshot

DEVICES = "/sys/bus/pci/devices"
NVIDIA, AMD = "10de", "1002"


@dataclass(frozen=True, slots=True)
class PciDevice:
    address: str
    """Such as 0000:17:00.0."""
    vendor: str
    device: str
    """Ids of four hexadecimal digits."""
    kind: str
    """Class and subclass, four hexadecimal digits: 0300, 0302 (GPUs), 0380, 1200 (accelerators), 0680 (NVSwitch)."""
    driver: str
    """Kernel driver that is bound to it, or empty."""
    vram: int
    """Bytes of video memory, 0 where the driver does not say."""
    visible_vram: int
    """Bytes of it that the processor can address through the BAR."""

    @property
    def is_switch(self) -> bool:
        return self.kind == "0680"

    @property
    def model(self) -> Gpu | None:
        """What the tables know of its ids."""
        found = find_gpu(f"{self.vendor}:{self.device}")
        return found if isinstance(found, Gpu) else None

    @property
    def name(self) -> str:
        model = self.model
        return f"{model.name} at {self.address}" if model else f"GPU {self.vendor}:{self.device} at {self.address}"


@dataclass(frozen=True, slots=True)
class PciFacts:
    devices: tuple[PciDevice, ...]
    iommus: tuple[str, ...] | Unknown
    """Units of an active IOMMU: dmar0, ivhd0 and so on."""
    cmdline: str | Unknown
    """What the kernel was started with."""

    @property
    def nvidia(self) -> tuple[PciDevice, ...]:
        return tuple(one for one in self.devices if one.vendor == NVIDIA and not one.is_switch)

    @property
    def switches(self) -> tuple[PciDevice, ...]:
        return tuple(one for one in self.devices if one.is_switch)

    @property
    def amd(self) -> tuple[PciDevice, ...]:
        return tuple(one for one in self.devices if one.vendor == AMD)


def pci(snapshot: Snapshot) -> PciFacts | Unknown:
    names = snapshot.get(f"names:{DEVICES}")
    if names is None or names.state != "ok":
        return Unknown(names.why_not if names else "the PCI bus was not looked at", f"names:{DEVICES}")
    iommus = snapshot.get("names:/sys/class/iommu")
    return PciFacts(
        devices=tuple(filter(None, (_device(snapshot, address) for address in names.text.split()))),
        iommus=tuple(iommus.text.split())
        if iommus and iommus.state == "ok"
        else Unknown("/sys/class/iommu was not read"),
        cmdline=text_of(snapshot, "file:/proc/cmdline"),
    )


def _device(snapshot: Snapshot, address: str) -> PciDevice | None:
    event = snapshot.get(f"file:{DEVICES}/{address}/uevent")
    if event is None or event.state != "ok":
        return None
    said = assignments(event.text)
    vendor, _, device = said.get("PCI_ID", "").lower().partition(":")
    return PciDevice(
        address=address,
        vendor=vendor,
        device=device,
        kind=said.get("PCI_CLASS", "").zfill(6)[:4],
        driver=said.get("DRIVER", ""),
        vram=_number(snapshot, address, "mem_info_vram_total"),
        visible_vram=_number(snapshot, address, "mem_info_vis_vram_total"),
    )


def _number(snapshot: Snapshot, address: str, name: str) -> int:
    text = text_of(snapshot, f"file:{DEVICES}/{address}/{name}")
    return int(text) if text and text.strip().isdigit() else 0
