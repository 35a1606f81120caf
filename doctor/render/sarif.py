"""Reports as SARIF 2.1.0, which code hosts show beside a change.

Format: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from doctor.diagnose import Diagnosis
from doctor.knowledge import fill
from doctor.render.appearance import Appearance
from doctor.report import Report
from doctor.text import plain

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def reports_sarif(reports: Sequence[Report], look: Appearance) -> str:
    """One run with a result for each finding; what could not be examined stands as notifications."""
    rules = {item.finding.fault: item for report in reports for item in report.diagnoses}
    order = {fault: number for number, fault in enumerate(sorted(rules))}
    run = {
        "tool": {
            "driver": {
                "name": "gpu-doctor",
                "semanticVersion": reports[0].tool_version if reports else "0.0.0",
                "rules": [rule(rules[fault]) for fault in order],
            }
        },
        "invocations": [
            {
                "executionSuccessful": all(report.examined for report in reports),
                "toolExecutionNotifications": [one for report in reports for one in notifications(report)],
            }
        ],
        "results": [result for report in reports for result in results(report, order)],
        "columnKind": "unicodeCodePoints",
    }
    content = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(content, ensure_ascii=not look.unicode, indent=2) + "\n"


def notifications(report: Report) -> list[dict[str, Any]]:
    """What could not be examined."""
    return [
        {"level": "note", "message": {"text": f"{plain(report.name)}: not examined: {plain(row)}"}}
        for row in report.not_examined
    ]


def rule(item: Diagnosis) -> dict[str, Any]:
    """The rule of a fault, in its entry's own words: what one result fills them with holds for that result."""
    made: dict[str, Any] = {
        "id": item.finding.fault,
        "shortDescription": {"text": plain(fill(item.entry.title, {}))},
        "fullDescription": {"text": plain(fill(item.entry.text, {}))},
        "defaultConfiguration": {"level": item.entry.severity},
        "help": {"text": _help(item)},
    }
    if item.entry.sources:
        made["helpUri"] = item.entry.sources[0].address
    return made


def _help(item: Diagnosis) -> str:
    rows = []
    for fix in item.entry.fixes:
        rows.append(f"{plain(fill(fix.title, {}))} ({fix.where}, risk: {fix.risk})")
        rows += [plain(fill(command, {})).rstrip() for command in fix.commands]
    return "\n".join(rows) or plain(fill(item.entry.title, {}))


def results(report: Report, order: dict[str, int]) -> Iterator[dict[str, Any]]:
    """A result for each finding; `order` numbers the rules, where the order of rules is known."""
    for item in report.diagnoses:
        evidence = "; ".join(f"{plain(one.name)}: {plain(one.says or one.text)}" for one in item.finding.evidence[:4])
        yield {
            "ruleId": item.finding.fault,
            **({"ruleIndex": order[item.finding.fault]} if item.finding.fault in order else {}),
            "level": item.severity,
            "message": {"text": f"{plain(report.name)}: {plain(item.title)}. {evidence}"},
            "locations": [_location(report, one.name, one.line) for one in item.finding.evidence[:1]],
            "partialFingerprints": {
                "fault/v1": f"{plain(report.name)}#{item.finding.fault}#{plain(item.finding.subject)}"
            },
            "properties": {"confidence": item.finding.sure, "role": item.role, "subject": plain(report.name)},
        }


def _location(report: Report, name: str, line: int | None) -> dict[str, Any]:
    place = name if name.startswith("/") else report.name
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(plain(place).lstrip("/")) or "unknown"}}
    if line:
        physical["region"] = {"startLine": line}
    return {"physicalLocation": physical, "logicalLocations": [{"fullyQualifiedName": plain(report.name)}]}
