"""Output of well-known tools in a text, as the readings that a probe would have made."""

from __future__ import annotations

from dataclasses import dataclass

from doctor.finding import Finding
from doctor.snapshot import Reading


@dataclass(frozen=True, slots=True)
class Pasted:
    """What one tool's output tells."""

    tool: str
    readings: tuple[Reading, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    """Values that every finding of the ticket may have."""
    findings: tuple[Finding, ...] = ()
    """What the output itself shows to be wrong."""


def pasted(data: bytes, name: str) -> list[Pasted]:
    return []
