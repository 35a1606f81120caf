"""The block form of YAML that programs write: mappings, sequences and scalars, by indentation.

It is what CDI specifications are written in (sigs.k8s.io/yaml, go-yaml). Anchors, tags, block scalars and other
forms that people write raise ValueError: what is not understood is not guessed. https://yaml.org/spec/1.2.2/
"""

from __future__ import annotations

import json
import re
from typing import Any

DEEPEST = 40
KEY = re.compile(r"(?P<key>\"[^\"]*\"|'[^']*'|[^\s:#\"'\[\]{},&*!|>%@`-][^:#]*?|-[^\s:]+):(?:\s+(?P<value>\S.*))?$")


def loads(text: str) -> Any:
    """The value of a document. Raises ValueError with the line number."""
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        plain = line.rstrip()
        if plain.strip() and plain.strip() not in ("---", "...") and not plain.lstrip().startswith("#"):
            if "\t" in plain[: len(plain) - len(plain.lstrip())]:
                raise ValueError(f"line {number}: a tab in the indentation")
            rows.append((number, len(plain) - len(plain.lstrip()), plain.lstrip()))
    if not rows:
        return None
    value, after = _block(rows, 0, rows[0][1], 0)
    if after < len(rows):
        raise ValueError(f"line {rows[after][0]}: unexpected indentation")
    return value


Rows = list[tuple[int, int, str]]


def _block(rows: Rows, at: int, indent: int, depth: int) -> tuple[Any, int]:
    if depth > DEEPEST:
        raise ValueError(f"line {rows[at][0]}: nested too deep")
    return (_sequence if _is_item(rows[at][2]) else _mapping)(rows, at, indent, depth)


def _is_item(text: str) -> bool:
    return text == "-" or text.startswith("- ")


def _sequence(rows: Rows, at: int, indent: int, depth: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    while at < len(rows) and rows[at][1] == indent and _is_item(rows[at][2]):
        number, _, text = rows[at]
        rest = text[1:].lstrip()
        if rest and (KEY.match(rest) or _is_item(rest)):
            # The item's own block begins on this line, further in.
            rows[at] = (number, indent + len(text) - len(rest), rest)
            value, at = _block(rows, at, rows[at][1], depth + 1)
        elif rest:
            value, at = _scalar(rest, number), at + 1
        else:
            value, at = _below(rows, at + 1, indent, depth)
        items.append(value)
    return items, at


def _mapping(rows: Rows, at: int, indent: int, depth: int) -> tuple[dict[str, Any] | Any, int]:
    found: dict[str, Any] = {}
    while at < len(rows) and rows[at][1] == indent and not _is_item(rows[at][2]):
        number, _, text = rows[at]
        match = KEY.match(text)
        if not match:
            if not found and depth == 0 and len(rows) == 1:
                return _scalar(text, number), at + 1
            raise ValueError(f"line {number}: no `key: value`")
        key = str(_scalar(match["key"].strip(), number))
        if match["value"] and not match["value"].startswith("#"):
            found[key], at = _scalar(match["value"], number), at + 1
        else:
            found[key], at = _below(rows, at + 1, indent, depth)
    return found, at


def _below(rows: Rows, at: int, indent: int, depth: int) -> tuple[Any, int]:
    """The value that the next lines hold; a sequence may stand at its key's own indentation."""
    if at < len(rows) and (
        rows[at][1] > indent or (rows[at][1] == indent and _is_item(rows[at][2]) and not _in_list(rows, at))
    ):
        return _block(rows, at, rows[at][1], depth + 1)
    return None, at


def _in_list(rows: Rows, at: int) -> bool:
    """Whether the line before is an item without a value: then the next item is its neighbour."""
    return rows[at - 1][2] == "-"


def _scalar(text: str, number: int) -> Any:
    if text[0] == '"':
        end = re.match(r'"(?:[^"\\]|\\.)*"', text)
        if not end:
            raise ValueError(f"line {number}: a quote without its end")
        return json.loads(end.group())
    if text[0] == "'":
        end = re.match(r"'(?:[^']|'')*'", text)
        if not end:
            raise ValueError(f"line {number}: a quote without its end")
        return end.group()[1:-1].replace("''", "'")
    if text in ("[]", "{}"):
        return [] if text == "[]" else {}
    if text[0] in "&*!|>%@`[{":
        raise ValueError(f"line {number}: a form of YAML that is not read here")
    plain = text.split(" #")[0].rstrip()
    return {"true": True, "false": False, "null": None, "~": None}.get(plain, plain)
