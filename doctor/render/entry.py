"""A knowledge entry as a person reads it outside any diagnosis: values stay blanks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from doctor.knowledge import Entry, fill, filled
from doctor.render.prose import wrapped
from doctor.text import plain
from doctor.words import SUSPECT_WORDS


def entry_text(entry: Entry, width: int = 100) -> str:
    """The whole entry as plain text. Commands are never wrapped: they are copied as they stand."""
    rows = [
        fill(entry.title, {}),
        f"{entry.id} · {entry.area} · {entry.severity}",
        "",
        *_prose(fill(entry.text, {}), width),
        "",
    ]
    for cause in (filled(cause, {}) for cause in entry.causes):
        rows += [f"{SUSPECT_WORDS['open']}: {cause.title}", *_prose(cause.text, width)]
        rows += [_indented(command) for command in cause.commands]
        rows.append("")
    for fix in (filled(fix, {}) for fix in entry.fixes):
        holds = "".join(f" · {name}: {', '.join(values)}" for name, values in fix.when.items())
        rows.append(f"Fix: {fix.title}   [{fix.where} · risk: {fix.risk}{holds}]")
        rows += _prose(fix.text, width)
        rows += [_indented(command) for command in fix.commands]
        for label, commands in (("Verify:", fix.verify), ("Undo:", fix.undo)):
            if commands:
                rows += [label, *(_indented(command) for command in commands)]
        rows.append("")
    if entry.ask:
        rows += ["Ask for the output of:", *(_indented(fill(command, {})) for command in entry.ask), ""]
    if entry.codes:
        rows += [f"Error codes: {', '.join(entry.codes)}", ""]
    rows += ["Sources:", *(f"- {source.address} : {source.says}" for source in entry.sources)]
    return plain("\n".join(rows)) + "\n"


def entry_json(entry: Entry) -> dict[str, Any]:
    """The entry as data."""
    return asdict(entry)


def _prose(text: str, width: int) -> Iterator[str]:
    for number, paragraph in enumerate(text.split("\n\n")):
        yield from [""] * bool(number)
        yield from wrapped(paragraph, width)


def _indented(command: str) -> str:
    return "\n".join(f"  {line}" for line in command.splitlines())
