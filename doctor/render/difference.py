"""A comparison as text, Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from doctor.difference import Changed, Comparison, Difference
from doctor.render.appearance import Appearance
from doctor.render.markdown import escaped
from doctor.text import one_line

SCHEMA = "gpu-doctor/diff/1"
FEW = 6
"""Values of one fact that are shown; there may be hundreds."""
Reports = tuple[Mapping[str, Any], Mapping[str, Any]]


def difference_json(reports: Reports, found: Comparison, look: Appearance) -> str:
    """One object: both subjects, and what differs."""
    content = {
        "schema": SCHEMA,
        **{side: _subject(report) for side, report in zip("ab", reports, strict=True)},
        "findings": [_pair("fault", one) for one in found.findings],
        "differences": [
            {"area": one.area, "name": one.name, "a": list(one.a), "b": list(one.b), "telling": one.is_telling}
            for one in found.differences
        ],
        "checks": [_pair("id", one) for one in found.checks],
        "not_compared": [_pair("fact", one) for one in found.not_compared],
    }
    return json.dumps(content, ensure_ascii=not look.unicode, indent=2) + "\n"


def _subject(report: Mapping[str, Any]) -> dict[str, Any]:
    return {**report["subject"], **{key: report[key] for key in ("created", "tool_version")}, **report["summary"]}


def _pair(key: str, one: Changed) -> dict[str, str | None]:
    return {key: one.id, "a": one.a or None, "b": one.b or None}


def difference_text(reports: Reports, found: Comparison, look: Appearance) -> str:
    """For a terminal: the findings that only one has, then the facts, the telling ones first."""
    rows = [f"{side}  {_headline(report)}" for side, report in zip("AB", reports, strict=True)]
    if not found:
        rows += ["", "nothing that was looked at differs"]
    for side, other in (("b", "a"), ("a", "b")):
        mine = [one for one in found.findings if getattr(one, side) and not getattr(one, other)]
        if mine:
            rows += ["", look.paint(f"found only in {side.upper()}", "bold")]
            rows += [f"  {one.id}: {one_line(getattr(one, side), 200)}" for one in mine]
    for title, some in _sections(found.differences):
        rows += ["", look.paint(title, "bold")]
        rows += [row for one in some for row in _fact(one)]
    if found.checks:
        rows += ["", look.paint("checks that judge otherwise", "bold")]
        for one in found.checks:
            rows += [f"  {one.id}", f"    A  {_cut(one.a)}", f"    B  {_cut(one.b)}"]
    if found.not_compared:
        rows += ["", look.paint("known of one only", "bold")]
        rows += [
            f"  {one.id}: {'A' if one.a else 'B'} does not know ({_cut(one.a or one.b)})" for one in found.not_compared
        ]
    text = "\n".join(rows) + "\n"
    return text if look.unicode else text.replace("→", "->").replace("×", "x").encode("ascii", "replace").decode()


def _headline(report: Mapping[str, Any]) -> str:
    findings = report["findings"]
    said = findings[0]["title"] if findings else "nothing known is wrong"
    subject = report["subject"]
    return one_line(f"{subject['kind']} {subject['name']}, {report['created']}: {said}", 300)


def _sections(differences: Sequence[Difference]) -> Iterator[tuple[str, list[Difference]]]:
    """The telling ones together, the others by area; they are in that order already."""
    for title, some in groupby(differences, lambda one: "what the findings rest on" if one.is_telling else one.area):
        yield title, list(some)


def _fact(one: Difference) -> Iterator[str]:
    if len(one.a) <= 1 and len(one.b) <= 1 and not one.both:
        yield f"  {one.name}: {_values(one.a)} → {_values(one.b)}"
        return
    yield f"  {one.name}"
    for side, values in (("A", one.a), ("B", one.b)):
        if values:
            yield f"    only {side}: {_values(values)}"


def _values(values: Sequence[str]) -> str:
    shown = ", ".join(_cut(value) for value in values[:FEW])
    return (shown + (f" and {len(values) - FEW} more" if len(values) > FEW else "")) or "nothing"


def _cut(text: str) -> str:
    return one_line(text, 160)


def difference_markdown(reports: Reports, found: Comparison, look: Appearance) -> str:
    """For a ticket."""
    rows = [
        "# What differs",
        "",
        *(f"- {side}: {escaped(_headline(one))}" for side, one in zip("AB", reports, strict=True)),
    ]
    if not found:
        rows += ["", "Nothing that was looked at differs."]
    if found.findings:
        rows += ["", "## Findings", "", "| fault | A | B |", "|---|---|---|"]
        rows += [f"| `{one.id}` | {escaped(one.a) or '–'} | {escaped(one.b) or '–'} |" for one in found.findings]
    for title, some in _sections(found.differences):
        rows += ["", f"## {title[:1].upper()}{title[1:]}", "", "| fact | A | B |", "|---|---|---|"]
        rows += [f"| {escaped(one.name)} | {escaped(_values(one.a))} | {escaped(_values(one.b))} |" for one in some]
    if found.not_compared:
        rows += ["", "## Known of one only", "", "| fact | A | B |", "|---|---|---|"]
        rows += [
            f"| {escaped(one.id)} | {escaped(one.a) or 'known'} | {escaped(one.b) or 'known'} |"
            for one in found.not_compared
        ]
    return "\n".join(rows) + "\n"
