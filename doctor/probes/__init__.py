"""The only code that touches a system. Each probe has a time limit and a size limit, and changes nothing."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from doctor.probes.system import System
from doctor.snapshot import Reading, Target

Run = Callable[[System, Target], Iterator[Reading]]


@dataclass(frozen=True, slots=True)
class Probe:
    """A group of readings about one area."""

    area: str
    """The field of Facts that its readings serve (doctor/facts)."""
    reads: str
    """What it looks at, as a person who is asked for consent would want it said."""
    run: Run
    timeout: float = 10.0
    """Seconds for the whole probe; each command in it has its own, shorter limit."""
    needs_container: bool = False
    """Whether it has something to do only when a container was named."""

    @property
    def name(self) -> str:
        return self.run.__name__


def discover() -> tuple[Probe, ...]:
    """Every probe: each module of this package may have a tuple PROBES."""
    probes: list[Probe] = []
    for module in pkgutil.iter_modules(__path__):
        probes += getattr(importlib.import_module(f"{__name__}.{module.name}"), "PROBES", ())
    return tuple(probes)
