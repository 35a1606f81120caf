"""Readings to facts: one parser per tool, pure. What could not be read is Unknown, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from doctor.facts.amd import AmdFacts, amd
from doctor.facts.engine import (
    ContainerFacts,
    DiskFacts,
    EngineFacts,
    ImageFacts,
    connections,
    container,
    disk,
    engine,
    image,
)
from doctor.facts.host import DeviceFacts, HostFacts, devices, host
from doctor.facts.image_content import Contents, image_content
from doctor.facts.kernel import KernelFacts, kernel
from doctor.facts.kubernetes import KubernetesFacts, kubernetes
from doctor.facts.limits import LimitFacts, limits
from doctor.facts.modules import ModuleFacts, modules
from doctor.facts.nvidia import NvidiaFacts, nvidia
from doctor.facts.nvml import NvmlFacts, nvml
from doctor.facts.pci import PciFacts, pci
from doctor.facts.toolkit import ToolkitFacts, toolkit
from doctor.facts.unknown import Unknown
from doctor.snapshot import Snapshot

__all__ = [
    "AmdFacts",
    "ContainerFacts",
    "Contents",
    "DeviceFacts",
    "DiskFacts",
    "EngineFacts",
    "Facts",
    "HostFacts",
    "ImageFacts",
    "KernelFacts",
    "KubernetesFacts",
    "LimitFacts",
    "ModuleFacts",
    "NvidiaFacts",
    "NvmlFacts",
    "PciFacts",
    "ToolkitFacts",
    "Unknown",
    "lookup",
    "parse",
]

PARSERS: dict[str, Callable[[Snapshot], Any]] = {
    "host": host, "devices": devices, "engine": engine, "connections": connections, "disk": disk,
    "container": container, "image": image, "pci": pci, "modules": modules, "nvidia": nvidia, "nvml": nvml,
    "amd": amd, "kernel": kernel, "toolkit": toolkit, "kubernetes": kubernetes, "limits": limits,
    "image_content": image_content,
}  # fmt: skip
AREAS = {
    "host": "host", "devices": "devices", "engine": "engine", "connections": "engine", "disk": "engine",
    "container": "engine", "image": "engine", "pci": "pci", "modules": "modules", "nvidia": "nvidia", "nvml": "nvml",
    "amd": "amd", "kernel": "kernel", "toolkit": "toolkit", "kubernetes": "kubernetes", "limits": "limits",
    "image_content": "image_content",
}  # fmt: skip
"""Which probe area each field is read by."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known of a machine, each part a dataclass or Unknown."""

    host: HostFacts | Unknown
    devices: DeviceFacts | Unknown
    engine: EngineFacts | Unknown
    connections: tuple[tuple[str, str], ...] | Unknown
    """(address, why not) of engines whose socket is there but that did not answer."""
    disk: DiskFacts | Unknown
    container: ContainerFacts | Unknown
    image: ImageFacts | Unknown
    pci: PciFacts | Unknown
    modules: ModuleFacts | Unknown
    """Kernel modules of GPU drivers."""
    nvidia: NvidiaFacts | Unknown
    nvml: NvmlFacts | Unknown
    """What NVIDIA's driver answered; Unknown too where it was not asked."""
    amd: AmdFacts | Unknown
    kernel: KernelFacts | Unknown
    """The kernel log."""
    toolkit: ToolkitFacts | Unknown
    kubernetes: KubernetesFacts | Unknown
    limits: LimitFacts | Unknown
    """What confines programs here, a container around us among it."""
    image_content: Contents | Unknown
    """What is in the files of the container's image, or of the image that was named."""


def parse(snapshot: Snapshot) -> Facts:
    """The facts of a snapshot. A reading that does not parse makes its part Unknown; it never raises."""
    return Facts(**{field.name: _parsed(field.name, snapshot) for field in fields(Facts)})


def _parsed(name: str, snapshot: Snapshot) -> Any:
    try:
        return PARSERS[name](snapshot)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return Unknown(f"the recorded {name} could not be understood: {type(error).__name__}: {error}")


def lookup(facts: Facts, need: str) -> Any:
    """A dotted need such as `container` or `nvidia.module`: its value, or the Unknown on the way to it."""
    value: Any = facts
    for part in need.split("."):
        value = getattr(value, part)
        if isinstance(value, Unknown):
            return value
    return value
