"""A report as Markdown, for a ticket."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from doctor.diagnose import Diagnosis, Suspect, in_words
from doctor.finding import Evidence
from doctor.knowledge import Fix
from doctor.report import Report
from doctor.text import plain
from doctor.words import UNEXPLAINED_TEXT


def report_markdown(report: Report) -> str:
    """The whole report."""
    rows = [f"# {escaped(report.kind)} {escaped(report.name)}", ""]
    if report.verdict != "fault":
        rows += [f"{report.headline[1]}.", ""]
    if report.unexplained:
        rows += [*(_quoted(evidence) for evidence in report.unexplained), "", UNEXPLAINED_TEXT, ""]
    for item in report.diagnoses:
        rows += diagnosis_markdown(item)
    if report.corrected:
        rows += ["## The container's own line, corrected", ""]
        rows += _fence("\n".join((*report.corrected.first, report.corrected.run)), "sh")
        rows += ["", *(f"{escaped(remark)}  " for remark in report.corrected.remarks), ""]
        rows += [*_fence(report.corrected.compose, "yaml"), ""]
    if report.set_aside:
        rows += ["## Set aside", ""]
        rows += [f"- `{item.finding.fault}` yields to `{item.yields_to}`" for item in report.set_aside]
        rows.append("")
    if report.not_examined:
        rows += ["## Not looked at", "", *(f"- {escaped(row)}" for row in report.not_examined), ""]
    return "\n".join(rows)


def _quoted(evidence: Evidence) -> str:
    place = escaped(evidence.name) + (f" line {evidence.line}" if evidence.line else "")
    return f"- {place}: {_code(evidence.text)}" + (f" ({escaped(evidence.says)})" if evidence.says else "")


def diagnosis_markdown(item: Diagnosis) -> Iterator[str]:
    """One finding, as a support engineer pastes it."""
    yield f"## {escaped(item.title)}"
    yield ""
    yield f"`{item.finding.fault}` · {item.severity} · {item.finding.sure} · {item.role}"
    yield ""
    yield item.explanation if not item.finding.values else _kept_code(item.explanation)
    yield ""
    yield "Evidence:"
    yield ""
    yield from map(_quoted, item.finding.evidence)
    yield ""
    if item.role != "consequence":
        yield from _suspects(item.causes)
        for fix in item.fixes:
            yield from _fix(fix)
    yield from (f"- {source.address}" for source in item.entry.sources)
    yield ""


def _suspects(suspects: Sequence[Suspect]) -> Iterator[str]:
    for heading, seen, suspect in in_words(suspects):
        yield from (f"### {escaped(heading)}", "") if suspect else (f"{escaped(heading)}.", "")
        yield from (f"Seen: {escaped(seen)}", "") if seen else ()
        yield from _told(suspect.cause.text, suspect.cause.commands, "sh") if suspect else ()


def _fix(fix: Fix) -> Iterator[str]:
    yield from (f"### Fix: {escaped(fix.title)} ({fix.where}, risk: {fix.risk})", "")
    yield from _told(fix.text, fix.commands, fix.language)
    yield from _told("Verify:" if fix.verify else "", fix.verify, "sh")
    yield from _told("Undo:" if fix.undo else "", fix.undo, "sh")


def _told(text: str, commands: Iterable[str], language: str) -> Iterator[str]:
    if text:
        yield from (_kept_code(text), "")
    for command in commands:
        yield from (*_fence(command, language), "")


def _fence(text: str, language: str) -> list[str]:
    """A fence longer than any run of backticks inside."""
    text = plain(text).rstrip("\n")
    mark = "```"
    while mark in text:
        mark += "`"
    return [f"{mark}{language}", text, mark]


def _code(text: str) -> str:
    text = " ".join(plain(text).split())
    mark = "`"
    while mark in text:
        mark += "`"
    pad = " " if len(mark) > 1 else ""
    return f"{mark}{pad}{text}{pad}{mark}"


def escaped(text: str) -> str:
    """Untrusted words in prose: no link, emphasis, mention or HTML."""
    text = " ".join(plain(text).split())
    return "".join(f"\\{char}" if char in "\\`*_[]<>#|!~@" else char for char in text)


def _kept_code(text: str) -> str:
    """Our own prose with values filled in: code spans stay, HTML does not."""
    return plain(text).replace("<", "&lt;") if "`" not in text else plain(text)
