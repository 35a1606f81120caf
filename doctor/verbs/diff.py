"""What differs between two snapshots, or two reports in JSON: the machine that works, and the one that does not.

Both are of one kind. What a finding rests on that only one has comes first, then driver, GPUs, toolkit, engine, device
nodes, groups, container and image. The exit code is 1 where B has a finding at or above --fail-on that A has not.

examples:
  gpu-doctor diff works.snapshot.gz fails.snapshot.gz
  gpu-doctor check --json > today.json; gpu-doctor diff yesterday.json today.json
  ssh gpu-07 gpu-doctor record --output - | gpu-doctor diff works.snapshot.gz -
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Any

from doctor.check import discover
from doctor.difference import compare_facts, compare_reports
from doctor.engine import judge
from doctor.errors import UsageError
from doctor.facts import Facts, parse
from doctor.finding import SEVERITIES
from doctor.input import demand_once, said, whole
from doctor.render.difference import difference_json, difference_markdown, difference_text
from doctor.report import SCHEMA, to_json
from doctor.snapshot import LARGEST, loads
from doctor.text import one_line
from doctor.verbs import options as shared

FORMS = {"text": difference_text, "json": difference_json, "markdown": difference_markdown}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", help="a snapshot or JSON report, of the machine that works")
    parser.add_argument(
        "b", metavar="B", help="one of the same kind, of the machine that does not; either may be -, standard input"
    )
    shared.knowledge(parser)
    shared.output(parser, tuple(FORMS))


def run(options: argparse.Namespace) -> int:
    base, patterns = shared.base(options)
    checks = discover()
    demand_once((options.a, options.b))
    sides: list[tuple[Mapping[str, Any], Facts | None]] = []
    for name in (options.a, options.b):
        data = whole(name, LARGEST, "a snapshot or report")
        name = said(name)
        report = _report(data, name)
        if report is None:
            snapshot = loads(data, name)
            judged = to_json(judge(snapshot, checks, base, patterns))
            sides.append(({**judged, "subject": {"kind": "snapshot", "name": name}}, parse(snapshot)))
        else:
            sides.append((report, None))
    (a, of_a), (b, of_b) = sides
    if (of_a is None) != (of_b is None):
        kinds = ["a report" if facts is None else "a snapshot" for _, facts in sides]
        names = map(said, (options.a, options.b))
        told = " and ".join(f"{name} is {kind}" for name, kind in zip(names, kinds, strict=True))
        raise UsageError(f"{told}; compare two of one kind")
    found = compare_reports(a, b)
    if of_a and of_b:
        found = compare_facts(of_a, of_b, checks, found)
    code = _code(a, b, options.fail_on)
    if not (options.quiet and not found):
        shared.write(FORMS[options.format]((a, b), found, shared.look(options)), options)
    return code


def _code(a: Mapping[str, Any], b: Mapping[str, Any], fail_on: str) -> int:
    if fail_on == "never":
        return 0
    grave = SEVERITIES[: SEVERITIES.index("warning" if fail_on == "warning" else "error") + 1]
    known = {one["fault"] for one in a["findings"] if one["severity"] in grave}
    return int(any(one["severity"] in grave and one["fault"] not in known for one in b["findings"]))


def _report(data: bytes, name: str) -> Mapping[str, Any] | None:
    """The report in a file; None where it may be a snapshot. Raises UsageError where it is neither."""
    if data.startswith(b"\x1f\x8b"):
        return None
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        lines = [line for line in data[:4096].splitlines() if line.startswith(b'{"schema"')]
        told = "several reports, a line each; take one out" if lines else "neither a snapshot nor a report in JSON"
        raise UsageError(f"{name} is {told}") from None
    if isinstance(content, list):
        if len(content) != 1:
            raise UsageError(f"{name} holds {len(content)} reports; diff compares one with one")
        content = content[0]
    if not isinstance(content, dict) or "schema" not in content:
        return None
    if content["schema"] != SCHEMA:
        made_by = one_line(str(content.get("tool_version", "an unknown version")), 40)
        told = one_line(str(content["schema"]), 60)
        raise UsageError(f"{name} is of the form {told} (made by gpu-doctor {made_by}); this version reads {SCHEMA}")
    return _whole(content, name)


def _whole(content: dict[str, Any], name: str) -> Mapping[str, Any]:
    """The report, if it has what is compared. Raises UsageError."""
    findings, checks = content.get("findings"), content.get("checks", [])
    is_whole = isinstance(content.get("subject"), dict) and isinstance(content.get("summary"), dict)
    for rows, keys in ((findings, ("fault", "title", "severity")), (checks, ("id", "state", "says"))):
        is_whole &= isinstance(rows, list) and all(isinstance(one, dict) and one.keys() >= set(keys) for one in rows)
    if not is_whole or not content["subject"].keys() >= {"kind", "name"} or "created" not in content:
        raise UsageError(f"{name} is a damaged report: it lacks what {SCHEMA} has")
    return content
