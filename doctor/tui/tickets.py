"""A folder of tickets as the triage screen sees it: groups by cause, and how far each answer is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tomli

from doctor.bundles.sources import STATES_FILE
from doctor.errors import UsageError
from doctor.output import writing
from doctor.triage.answer import Answer, answer

if TYPE_CHECKING:
    import threading

    from doctor.diagnose import Diagnosis
    from doctor.live import Doctor
    from doctor.report import Report

State = Literal["open", "answered", "unsure"]
STATES: tuple[State, ...] = ("open", "answered", "unsure")
UNSURE, NOTHING, UNREAD, ALL = "?unsure", "?nothing", "?unread", "?all"
GROUP_OF = {"unsure": UNSURE, "nothing": NOTHING, "unread": UNREAD}


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket, examined."""

    name: str
    """Its path inside the folder."""
    received: float
    """When its file was last written, seconds since 1970; 0: not known."""
    size: int
    report: Report
    answer: Answer

    @property
    def first(self) -> Diagnosis | None:
        """What its answer speaks of."""
        return next((item for item in self.report.diagnoses if item.finding.fault == self.answer.fault), None)

    @property
    def cause(self) -> str:
        """The group it stands in: a fault id, or one of the groups that are none."""
        return GROUP_OF.get(self.answer.state, self.answer.fault)

    @property
    def reply(self) -> str:
        """The draft."""
        return str(self.report.extra["ticket"]["reply"])


@dataclass(frozen=True, slots=True)
class Group:
    """Tickets of one cause."""

    cause: str
    count: int
    severity: str


def groups(tickets: Sequence[Ticket]) -> list[Group]:
    """The causes, the commonest first; then what is unsure, clean or unread; then all."""
    counts = Counter(ticket.cause for ticket in tickets)
    severities = {ticket.cause: ticket.answer.severity for ticket in tickets}
    causes = sorted((cause for cause in counts if not cause.startswith("?")), key=lambda one: (-counts[one], one))
    rest = [cause for cause in GROUP_OF.values() if cause in counts]
    made = [Group(cause, counts[cause], severities[cause] or "none") for cause in [*causes, *rest]]
    return [*made, Group(ALL, len(tickets), "none")]


def read(folder: Path, doctor: Doctor, stop: threading.Event) -> Iterator[Ticket]:
    """Every ticket of a folder, in the order of their names. Raises UsageError when the folder cannot be read."""
    try:
        next(folder.iterdir(), None)
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from None
    for found, report in doctor.tickets(folder, stop):
        try:
            received = Path(found.path).stat().st_mtime if found.path else 0.0
        except OSError:
            received = 0.0
        name = found.name.removeprefix(f"{folder}/")
        yield Ticket(name, received, found.size, report, answer(report, "never"))


def load_states(folder: Path) -> dict[str, State]:
    """How far each answer is, from the folder's own file; nothing where there is none. Raises UsageError."""
    path = folder / STATES_FILE
    try:
        content = tomli.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    tickets = content.get("tickets")
    if not isinstance(tickets, dict):
        return {}
    return {str(name): state for name, state in tickets.items() if state in STATES}


def save_states(folder: Path, changed: dict[str, State]) -> dict[str, State]:
    """Note these states beside those that stand in the file now (somebody else may work on it); all of them, sorted.

    Raises UsageError.
    """
    states = {**load_states(folder), **changed}
    rows = [f"{json.dumps(name)} = {json.dumps(state)}" for name, state in sorted(states.items()) if state != "open"]
    part = folder / f".{STATES_FILE}.part"
    with writing(folder / STATES_FILE):
        part.write_text("\n".join(["# gpu-doctor: how far each ticket is", "[tickets]", *rows, ""]), encoding="utf-8")
        part.replace(folder / STATES_FILE)
    return states
