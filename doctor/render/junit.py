"""Reports as JUnit XML, which CI systems show as tests: a suite a report, a test a GPU, a check or a finding.

Form: https://github.com/testmoapp/junitxml (there is no standard; this is what the readers share).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import quoteattr

from doctor.diagnose import Diagnosis
from doctor.finding import Outcome
from doctor.render.appearance import Appearance
from doctor.report import Report
from doctor.text import plain

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="gpu-doctor">\n'
TAIL = "</testsuites>\n"


def reports_junit(reports: Sequence[Report], look: Appearance) -> str:
    """The suites. The encoding is ASCII, with every other letter as a reference, so that any reader gets it right."""
    return HEAD + "".join(suite(report) for report in reports) + TAIL


def suite(report: Report) -> str:
    """The suite of one report."""
    cases = list(_cases(report))
    counts = {kind: sum(row[1] == kind for row in cases) for kind in ("failure", "skipped", "error")}
    rows = [
        f'  <testsuite name={_attribute(f"{report.kind} {report.name}")} tests="{len(cases)}"'
        f' failures="{counts["failure"]}" errors="{counts["error"]}" skipped="{counts["skipped"]}"'
        f" timestamp={_attribute(report.created)}>"
    ]
    rows += [row for row, _ in cases]
    return "\n".join([*rows, "  </testsuite>", ""])


def _cases(report: Report) -> Iterator[tuple[str, str]]:
    """Each test case and what became of it: failure, skipped, error or an empty word."""
    yield from (_finding(report, item) for item in report.diagnoses)
    image: dict[str, Any] = report.extra.get("image", {})
    yield from (_verdict(report, verdict) for verdict in image.get("verdicts", ()))
    yield from (_outcome(report, one) for one in report.outcomes if one.state != "found")
    for row in report.not_examined:
        yield _case(report, f"not examined: {row}", "skipped", row, ""), "skipped"


def _finding(report: Report, item: Diagnosis) -> tuple[str, str]:
    kind = "failure" if item.severity != "note" else ""
    evidence = [f"{one.name}: {one.text}" + (f" ({one.says})" if one.says else "") for one in item.finding.evidence]
    fixes = [f"Fix: {fix.title}\n" + "\n".join(fix.commands) for fix in item.fixes]
    name = f"{item.finding.fault} {item.finding.subject}".strip()
    return _case(report, name, kind, item.title, "\n".join((item.explanation, *evidence, *fixes)), item.severity), kind


def _verdict(report: Report, verdict: dict[str, Any]) -> tuple[str, str]:
    # What fails is a finding already; here stands each GPU that was asked about.
    name = f"runs on {verdict['name']} ({verdict['gpu']}): {verdict['runs']}"
    kind = "skipped" if verdict["runs"] == "unknown" else ""
    return _case(report, name, kind, verdict["because"], ""), kind


def _outcome(report: Report, one: Outcome) -> tuple[str, str]:
    kind = {"skipped": "skipped", "crashed": "error"}.get(one.state, "")
    return _case(report, f"{one.area}.{one.check}", kind, one.reason or one.says, one.reason or ""), kind


def _case(report: Report, name: str, kind: str, message: str, text: str, type_: str = "") -> str:
    head = f"    <testcase classname={_attribute(f'gpu-doctor.{report.kind}')} name={_attribute(name)}"
    if not kind:
        return f"{head}/>"
    typed = f" type={_attribute(type_)}" if type_ else ""
    return f"{head}>\n      <{kind} message={_attribute(message)}{typed}>{_escaped(text)}</{kind}>\n    </testcase>"


def _attribute(text: str) -> str:
    return _ascii(quoteattr(" ".join(plain(text).split())))


def _escaped(text: str) -> str:
    return _ascii(plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def _ascii(text: str) -> str:
    """Letters beyond ASCII as references; what XML forbids altogether (surrogates, U+FFFE) as a replacement mark."""
    allowed = "".join("\ufffd" if 0xD800 <= ord(c) < 0xE000 or ord(c) in (0xFFFE, 0xFFFF) else c for c in text)
    return allowed.encode("ascii", "xmlcharrefreplace").decode()
