"""What a check or a matcher found: a fault id, the values it drew out, and its evidence. No prose."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Sureness = Literal["certain", "likely", "possible"]
Severity = Literal["error", "warning", "note"]
CheckState = Literal["passed", "found", "skipped", "crashed"]

SURENESS: tuple[Sureness, ...] = ("certain", "likely", "possible")
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was seen, and where."""

    source: str
    """What kind of thing was read: log, command, file, engine, image, kernel."""
    name: str
    """Which one: a log's name, the command as typed, a path."""
    text: str
    """The quoted line, made plain (see doctor/text.py)."""
    line: int | None = None
    """Line number in the source, from 1."""
    says: str = ""
    """What it tells, in our words, where the quote does not speak for itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault that the evidence shows. Its words live in knowledge/<fault>.md."""

    fault: str
    evidence: tuple[Evidence, ...]
    values: dict[str, str] = field(default_factory=dict)
    sure: Sureness = "certain"
    severity: Severity | None = None
    """None: the severity of the fault's knowledge entry."""
    subject: str = ""
    """What it is about (a container, a device, a file), where one fault can hold for several."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one check."""

    check: str
    area: str
    state: CheckState
    says: str = ""
    """Passed: what was seen. Found: its evidence in a line. Else what is true when all is well."""
    reason: str | None = None
    """Why it was skipped, or the traceback of a crash."""
