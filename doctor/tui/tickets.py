"""A folder of tickets as the triage screen sees it: what each shows first, and how far its answer is."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import tomli

from doctor.diagnose import Diagnosis
from doctor.errors import UsageError
from doctor.report import Report
from doctor.text import plain

if TYPE_CHECKING:
    from doctor.live import Doctor

State = Literal["open", "answered", "unsure"]
STATES: tuple[State, ...] = ("open", "answered", "unsure")
SUFFIXES = (".log", ".txt", ".out", ".err", ".json", ".gz", "")
STATE_FILE = "triage.toml"
MOST = 100_000
FILES = 50
"""Files of a sub-folder that are read for its one ticket."""
UNSURE, NOTHING, UNREADABLE, ALL = "?unsure", "?nothing", "?unreadable", "?all"


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket: a log, a snapshot, or a sub-folder of them."""

    name: str
    received: float
    """When its file was last written, seconds since 1970."""
    size: int
    kind: str
    report: Report | None
    problem: str = ""
    """Why it could not be read."""

    @property
    def first(self) -> Diagnosis | None:
        return self.report.diagnoses[0] if self.report and self.report.diagnoses else None

    @property
    def cause(self) -> str:
        """The group it stands in: a fault id, or one of the groups that are none."""
        if self.report is None:
            return UNREADABLE
        if self.first is None:
            return NOTHING
        return UNSURE if self.first.finding.sure == "possible" else self.first.finding.fault

    @property
    def also(self) -> tuple[str, ...]:
        return tuple(item.finding.fault for item in self.report.diagnoses[1:]) if self.report else ()


@dataclass(frozen=True, slots=True)
class Group:
    """Tickets of one cause."""

    cause: str
    count: int
    severity: str


def groups(tickets: Sequence[Ticket]) -> list[Group]:
    """The causes, the commonest first; then what is unsure, clean or unreadable; then all."""
    counts: dict[str, int] = {}
    severity: dict[str, str] = {}
    for ticket in tickets:
        counts[ticket.cause] = counts.get(ticket.cause, 0) + 1
        if ticket.first:
            severity.setdefault(ticket.cause, ticket.first.severity)
    causes = sorted((cause for cause in counts if not cause.startswith("?")), key=lambda one: (-counts[one], one))
    last = [cause for cause in (UNSURE, NOTHING, UNREADABLE) if cause in counts]
    made = [Group(cause, counts[cause], severity.get(cause, "none")) for cause in [*causes, *last]]
    return [*made, Group(ALL, len(tickets), "none")]


def read(folder: Path, doctor: Doctor, stop: threading.Event) -> Iterator[Ticket]:
    """Every ticket of a folder, in the order of their names. Raises UsageError when the folder cannot be read."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder))[:MOST]
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from None
    for name in names:
        if stop.is_set():
            return
        path = folder / name
        if name.startswith(".") or name == STATE_FILE:
            continue
        if path.is_dir():
            yield _of_folder(path, doctor)
        elif path.suffix in SUFFIXES and path.is_file():
            yield _of_file(path, name, doctor)


def _of_file(path: Path, name: str, doctor: Doctor) -> Ticket:
    try:
        status = path.stat()
        with path.open("rb") as stream:
            head = stream.read(64)
            stream.seek(0)
            if _is_snapshot(path, head):
                from doctor.snapshot import load

                return Ticket(name, status.st_mtime, status.st_size, "snapshot", doctor.replay(load(path)))
            return Ticket(name, status.st_mtime, status.st_size, "log", doctor.explain(stream, name))
    except UsageError as error:
        return Ticket(name, 0, 0, "file", None, plain(str(error)))
    except OSError as error:
        return Ticket(name, 0, 0, "file", None, error.strerror or "cannot be read")


def _is_snapshot(path: Path, head: bytes) -> bool:
    return path.suffix == ".gz" or (path.suffix == ".json" and head.lstrip()[:1] == b"{")


def _of_folder(path: Path, doctor: Doctor) -> Ticket:
    """A sub-folder is one ticket: what its gravest file shows."""
    files = [one for one in sorted(path.rglob("*")) if one.is_file() and one.suffix in SUFFIXES][:FILES]
    read = [_of_file(one, f"{path.name}/{one.relative_to(path)}", doctor) for one in files]
    telling = sorted((one for one in read if one.first), key=_gravity)
    best = next(iter(telling), None) or next((one for one in read if one.report), None)
    if best is None:
        return Ticket(path.name, 0, 0, "folder", None, "no log or snapshot in it")
    size = sum(one.size for one in read)
    return Ticket(path.name, best.received, size, f"{len(files)} files", best.report)


def _gravity(ticket: Ticket) -> tuple[int, int]:
    from doctor.finding import SEVERITIES, SURENESS

    first = ticket.first
    return (SEVERITIES.index(first.severity), SURENESS.index(first.finding.sure)) if first else (9, 9)


def load_states(folder: Path) -> dict[str, State]:
    """How far each answer is, from the folder's own file. What cannot be read there is open."""
    try:
        content = tomli.loads((folder / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    tickets = content.get("tickets")
    if not isinstance(tickets, dict):
        return {}
    return {str(name): state for name, state in tickets.items() if state in STATES}


def save_states(folder: Path, states: dict[str, State]) -> None:
    """Write the states, sorted, so that two people can share the file through git. Raises UsageError."""
    rows = [f"{json.dumps(name)} = {json.dumps(state)}" for name, state in sorted(states.items()) if state != "open"]
    part = folder / f".{STATE_FILE}.part"
    try:
        part.write_text("\n".join(["# gpu-doctor: how far each ticket is", "[tickets]", *rows, ""]), encoding="utf-8")
        part.replace(folder / STATE_FILE)
    except OSError as error:
        raise UsageError(f"{folder / STATE_FILE} cannot be written: {error.strerror}") from None


def reply(ticket: Ticket) -> str:
    """A draft of the answer: what is wrong, what to type, how to see that it worked."""
    item = ticket.first
    if item is None:
        return "\n".join(_asking())
    return plain("\n".join(_answer(item)))


def _asking() -> Iterable[str]:
    yield "Hello,"
    yield ""
    yield "the log does not show a fault that we know. Please send a snapshot of the machine:"
    yield ""
    yield "    gpu-doctor record -o snapshot.gz --container <container>"


def _answer(item: Diagnosis) -> Iterable[str]:
    sure = {"certain": "shows", "likely": "most likely shows", "possible": "may show"}[item.finding.sure]
    yield "Hello,"
    yield ""
    yield f"the log {sure} this: {item.title}."
    for one in item.finding.evidence[:1]:
        yield f"    {one.text}" + (f"   (line {one.line})" if one.line else "")
    for fix in item.fixes[:1]:
        yield ""
        yield f"{fix.title[:1].upper()}{fix.title[1:]} ({fix.where}, risk: {fix.risk}):"
        yield from _indented(fix.commands)
        if fix.verify:
            yield ""
            yield "To see that it worked:"
            yield from _indented(fix.verify)
    if item.finding.sure != "certain" and item.entry.ask:
        yield ""
        yield "To be surer, please send the output of:"
        yield from _indented(item.entry.ask)
    yield ""
    yield f"(gpu-doctor: {item.finding.fault}, {item.finding.sure})"


def _indented(commands: Iterable[str]) -> Iterable[str]:
    return [f"    {line}" for command in commands for line in command.split("\n")]
