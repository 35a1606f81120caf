"""The GPUs of this machine and its NVIDIA driver, by NVML, by AMD's topology, or else by the PCI bus."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from doctor.gpus import Gpu, find_gpu

if TYPE_CHECKING:  # this module is about all facts together, which know nothing of it
    from doctor.facts import Facts


def present(facts: Facts) -> tuple[Gpu, ...]:
    """The GPUs that are there, each kind once, by name and target. Boards that no table knows are left out."""
    found = [*_nvidia(facts), *_amd(facts)]
    return tuple({(gpu.name, gpu.target): gpu for gpu in found}.values())


def _nvidia(facts: Facts) -> list[Gpu]:
    if facts.nvml and facts.nvml.gpus:
        told = [(one.name, find_gpu(one.capability)) for one in facts.nvml.gpus if one.capability]
        found = [replace(gpu, name=name or gpu.name) for name, gpu in told if isinstance(gpu, Gpu)]
        if found:
            return found
    return [model for one in facts.pci.nvidia if (model := one.model)] if facts.pci else []


def _amd(facts: Facts) -> list[Gpu]:
    if facts.amd and facts.amd.gpus:
        names = {one.address: one.model.name for one in facts.pci.amd if one.model} if facts.pci else {}
        told = [(names.get(one.address, ""), find_gpu(one.gfx)) for one in facts.amd.gpus if one.gfx]
        return [replace(gpu, name=name or gpu.name) for name, gpu in told if isinstance(gpu, Gpu)]
    return [model for one in facts.pci.amd if (model := one.model)] if facts.pci else []


def nvidia_driver(facts: Facts) -> str:
    """The version of the NVIDIA driver of this machine, or empty."""
    if facts.nvml and facts.nvml.driver:
        return facts.nvml.driver
    return facts.nvidia.driver if facts.nvidia else ""
