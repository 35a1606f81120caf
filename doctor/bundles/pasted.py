"""What one tool's output in a ticket tells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from doctor.finding import Evidence, Finding
from doctor.snapshot import Reading
from doctor.text import one_line


@dataclass(frozen=True, slots=True)
class Pasted:
    tool: str
    readings: tuple[Reading, ...] = ()
    """As if a probe had made them."""
    values: tuple[tuple[str, str], ...] = ()
    """Values that every finding of the ticket may have."""
    circumstances: tuple[tuple[str, str], ...] = ()
    """What is known of the place, such as the distribution."""
    findings: tuple[Finding, ...] = ()
    """What the output shows to be wrong by itself."""


def pairs(**values: str) -> tuple[tuple[str, str], ...]:
    """Values without those that are not known."""
    return tuple((name, value) for name, value in values.items() if value)


def same(found: Iterable[str]) -> str:
    """What all of them say; empty where they differ."""
    different = set(found)
    return different.pop() if len(different) == 1 else ""


def evidence(text: str, name: str, at: int, says: str = "") -> Evidence:
    """The line of a text that holds the place `at`."""
    begin = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    line = text[begin : end if end >= 0 else len(text)]
    return Evidence("log", name, one_line(line), text.count("\n", 0, begin) + 1, says)
