"""Readings as parsers take them: text or the reason why there is none, and the forms that many files share."""

from __future__ import annotations

import json
from typing import Any

from doctor.facts.unknown import Unknown
from doctor.snapshot import Snapshot


def text_of(snapshot: Snapshot, key: str) -> str | Unknown:
    """The text of a reading, or why there is none."""
    reading = snapshot.get(key)
    if reading is None:
        return Unknown("it was not looked at", key)
    return reading.text if reading.state == "ok" else Unknown(reading.why_not, key)


def is_there(snapshot: Snapshot, key: str) -> bool | Unknown:
    """Whether something stands at a path: False only where we looked and it was not there."""
    reading = snapshot.get(key)
    if reading is None:
        return Unknown("it was not looked at", key)
    if reading.state == "ok":
        return True
    return False if reading.state == "missing" else Unknown(reading.why_not, key)


def lines_of(snapshot: Snapshot, key: str) -> tuple[str, ...]:
    """The lines of a reading; none where it was not read."""
    text = text_of(snapshot, key)
    return tuple(filter(None, text.split("\n"))) if isinstance(text, str) else ()


def content_of(snapshot: Snapshot, key: str) -> Any:
    """The JSON of a reading, or None."""
    text = text_of(snapshot, key)
    return json.loads(text) if isinstance(text, str) else None


def assignments(text: str) -> dict[str, str]:
    """NAME=value and `name: value` lines; quotes around values go."""
    pairs = (line.partition("=" if "=" in line else ":") for line in text.splitlines())
    return {name.strip(): value.strip().strip("\"'") for name, sign, value in pairs if sign}
