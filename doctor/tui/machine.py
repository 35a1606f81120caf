"""What the top line says of the machine, from its facts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from doctor.text import one_line

if TYPE_CHECKING:
    from doctor.facts import Facts


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine in a few words. An empty word: not known (yet)."""

    host: str = ""
    gpus: tuple[str, ...] = ()
    looked_for_gpus: bool = False
    """Whether silence about GPUs means that there are none."""
    driver: str = ""
    engine: str = ""
    notes: tuple[str, ...] = field(default=())
    """What the reader must know to read the rest: inside a container, not root, rootless."""
    looked_at: tuple[str, ...] = ()

    @property
    def has_no_gpu(self) -> bool:
        return self.looked_for_gpus and not self.gpus


def machine_of(host: str, facts: Facts) -> Machine:
    """The facts in words."""
    notes = []
    if facts.host and facts.host.inside_container:
        notes.append("inside a container")
    if facts.host and facts.host.uid != 0:
        notes.append("not root")
    engine = ""
    if facts.engine:
        engine = one_line(f"{facts.engine.kind} {facts.engine.version}", 40)
        if facts.engine.rootless:
            notes.append("rootless")
    looked_at = _looked_at(facts)
    return Machine(
        host=one_line(host, 40),
        gpus=_gpus(facts),
        looked_for_gpus=bool(looked_at),
        driver=one_line(_driver(facts), 60),
        engine=engine,
        notes=tuple(notes),
        looked_at=looked_at,
    )


def _gpus(facts: Facts) -> tuple[str, ...]:
    """Names of GPUs: what the drivers told, else what the PCI ids say, else how many device nodes there are."""
    names = [one.get("Model", "") for one in facts.nvidia.gpus.values()] if facts.nvidia else []
    if not any(names) and facts.pci:
        names = [one.model.name if one.model else "NVIDIA GPU" for one in facts.pci.nvidia]
    if facts.pci:
        names += [one.model.name if one.model else "AMD GPU" for one in facts.pci.amd if _is_gpu(one.kind)]
    counted = [f"{count} × {one_line(name, 40)}" for name, count in Counter(filter(None, names)).items()]
    if counted or not facts.devices:
        return tuple(counted)
    nvidia, amd = len(facts.devices.nvidia), len(facts.devices.render) if facts.devices.kfd else 0
    words = [f"{nvidia} × NVIDIA"] if nvidia else []
    words += [f"{amd} × AMD"] if amd else []
    if facts.nvidia and not words and (facts.nvidia.wsl or facts.nvidia.tegra):
        words = ["NVIDIA (WSL)" if facts.nvidia.wsl else "NVIDIA Jetson"]
    return tuple(words)


def _is_gpu(kind: str) -> bool:
    """Whether a PCI class is one of displays and accelerators."""
    return kind.startswith("03") or kind == "1200"


def _driver(facts: Facts) -> str:
    """The driver's version; both where kernel and libraries differ."""
    if facts.nvidia and facts.nvidia.module:
        kernel = facts.nvidia.module.version
        other = [version for version in facts.nvidia.versions if version != kernel]
        return f"{kernel} ≠ {', '.join(other)}" if other else kernel
    if facts.nvidia and facts.nvidia.driver:
        return facts.nvidia.driver
    return f"amdgpu {facts.amd.module_version}" if facts.amd and facts.amd.module_version else ""


def _looked_at(facts: Facts) -> tuple[str, ...]:
    """Where GPUs were looked for; nothing where that says too little to speak of none."""
    if not facts.devices:
        return ()
    bus = ("PCI bus",) if facts.pci else ()
    return (*bus, "/dev/nvidia*", "/dev/kfd", "/dev/dri", "/dev/dxg")
