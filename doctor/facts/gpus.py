"""The GPUs of this machine and its NVIDIA driver, by NVML, by AMD's topology, or else by the PCI bus."""

from __future__ import annotations

from dataclasses import replace

from doctor.facts.amd import AmdFacts
from doctor.facts.nvidia import NvidiaFacts
from doctor.facts.nvml import NvmlFacts
from doctor.facts.pci import PciFacts
from doctor.facts.unknown import Unknown
from doctor.gpus import Gpu, find_gpu


def present(pci: PciFacts | Unknown, nvml: NvmlFacts | Unknown, amd: AmdFacts | Unknown) -> tuple[Gpu, ...]:
    """The GPUs that are there, each kind once, by name and target. Boards that no table knows are left out."""
    found = [*_nvidia(pci, nvml), *_amd(pci, amd)]
    return tuple({(gpu.name, gpu.target): gpu for gpu in found}.values())


def _nvidia(pci: PciFacts | Unknown, nvml: NvmlFacts | Unknown) -> list[Gpu]:
    if nvml and nvml.gpus:
        told = [(one.name, find_gpu(one.capability)) for one in nvml.gpus if one.capability]
        found = [replace(gpu, name=name or gpu.name) for name, gpu in told if isinstance(gpu, Gpu)]
        if found:
            return found
    return [model for one in pci.nvidia if (model := one.model)] if pci else []


def _amd(pci: PciFacts | Unknown, amd: AmdFacts | Unknown) -> list[Gpu]:
    if amd and amd.gpus:
        names = {one.address: one.model.name for one in pci.amd if one.model} if pci else {}
        told = [(names.get(one.address, ""), find_gpu(one.gfx)) for one in amd.gpus if one.gfx]
        return [replace(gpu, name=name or gpu.name) for name, gpu in told if isinstance(gpu, Gpu)]
    return [model for one in pci.amd if (model := one.model)] if pci else []


def nvidia_driver(nvidia: NvidiaFacts | Unknown, nvml: NvmlFacts | Unknown) -> str:
    """The version of the NVIDIA driver of this machine, or empty."""
    if nvml and nvml.driver:
        return nvml.driver
    return nvidia.driver if nvidia else ""
