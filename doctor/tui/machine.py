"""What the top line says of the machine, from its facts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from doctor.facts import Facts
from doctor.text import one_line


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
    return Machine(
        host=one_line(host, 40),
        gpus=_gpus(facts),
        looked_for_gpus=bool(facts.devices),
        driver=one_line(_driver(facts), 60),
        engine=engine,
        notes=tuple(notes),
        looked_at=_looked_at(facts),
    )


def _gpus(facts: Facts) -> tuple[str, ...]:
    """Names of GPUs where a driver told them, else how many device nodes there are."""
    names = [one_line(str(one.name), 40) for part in ("nvidia", "amd") for one in _named(facts, part)]
    counted = [f"{count} × {name}" for name, count in Counter(names).items()]
    if counted or not facts.devices:
        return tuple(counted)
    nvidia, amd = len(facts.devices.nvidia), len(facts.devices.render) if facts.devices.kfd else 0
    words = [f"{nvidia} × NVIDIA"] if nvidia else []
    return tuple(words + ([f"{amd} × AMD"] if amd else []))


def _named(facts: Facts, part: str) -> list[Any]:
    known = getattr(facts, part, None)
    return [one for one in getattr(known, "gpus", None) or () if getattr(one, "name", "")] if known else []


def _driver(facts: Facts) -> str:
    """The driver's version; both where kernel and libraries differ."""
    known: Any = getattr(facts, "nvidia", None)
    if not known:
        return ""
    kernel = str(getattr(known, "module_version", "") or "")
    libraries = str(getattr(known, "library_version", "") or "")
    if kernel and libraries and kernel != libraries:
        return f"{kernel} ≠ {libraries}"
    return kernel or libraries


def _looked_at(facts: Facts) -> tuple[str, ...]:
    """Where GPUs were looked for, when none was found."""
    if not facts.devices:
        return ()
    return ("/dev/nvidia*", "/dev/kfd", "/dev/dri", "/dev/dxg")
