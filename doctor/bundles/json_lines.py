"""Exports of ticket systems: a JSON object a line (https://jsonlines.org), one of whose fields holds the text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from doctor.bundles.archives import TEXT
from doctor.bundles.ticket import Leaf

FIELDS = ("text", "body", "description", "content", "message", "log")
"""Where the text stands unless an option says so; only in files that are called .jsonl or .ndjson."""
SUFFIXES = (".jsonl", ".ndjson")
ENGINE = {"log", "stream", "time"}
"""Keys of the engine's json-file logs, which are logs and no exports."""
DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Fields:
    """Which fields of an export hold what; dots lead into objects."""

    text: str = ""
    identity: str = ""


def is_export(name: str, head: bytes, fields: Fields) -> bool:
    """Whether a file is such an export, from its name and its first bytes."""
    if head.lstrip()[:1] != b"{":
        return False
    if fields.text:
        return True
    return name.lower().endswith(SUFFIXES) and not _is_engine_log(head)


def _is_engine_log(head: bytes) -> bool:
    line = head.split(b"\n")[0]
    try:
        content = json.loads(line)
    except ValueError:
        return line.startswith(b'{"log":')
    return isinstance(content, dict) and content.keys() >= ENGINE


def texts(name: str, stream: BinaryIO, fields: Fields) -> Iterator[Leaf]:
    """The text of each line, named by the file and the line or the field that identifies it."""
    number = 0
    while line := stream.readline(TEXT + 1):
        number += 1
        if len(line) > TEXT and not line.endswith(b"\n"):
            while (rest := stream.readline(1 << 20)) and not rest.endswith(b"\n"):
                pass
            yield Leaf(f"{name}:{number}", b"", problem=f"a line of more than {TEXT >> 20} MB")
        elif line.strip():
            yield _of_line(name, number, line, fields)


def _of_line(name: str, number: int, line: bytes, fields: Fields) -> Leaf:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        return Leaf(f"{name}:{number}", b"", problem="this line is not JSON")
    if not isinstance(content, dict):
        return Leaf(f"{name}:{number}", b"", problem="this line is not a JSON object")
    named = f"{name}:{_at(content, fields.identity) or number}"
    wanted = (fields.text,) if fields.text else FIELDS
    found = [_words(value) for field in wanted if (value := _at(content, field)) is not None]
    if not found:
        told = f"no field {fields.text!r}" if fields.text else "no field with text; --text-field names it"
        return Leaf(named, b"", problem=told)
    return Leaf(named, found[0].encode("utf-8", "replace"))


def _at(content: Any, path: str) -> Any:
    if not path:
        return None
    if isinstance(content, dict) and path in content:
        return content[path]
    for part in path.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content


def _words(value: Any, depth: int = DEEPEST) -> str:
    """The strings of a value, one below the other: a text, or a thread of them."""
    if isinstance(value, str):
        return value
    if depth and isinstance(value, list | dict):
        return "\n".join(_words(one, depth - 1) for one in (value.values() if isinstance(value, dict) else value))
    return "" if value is None or isinstance(value, list | dict) else str(value)
