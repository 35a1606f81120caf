"""A report as text: what is wrong, why we think so, what to do, in that order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from doctor.diagnose import Diagnosis, Suspect, in_words
from doctor.finding import Evidence, Outcome
from doctor.knowledge import Fix
from doctor.render.appearance import Appearance
from doctor.render.prose import wrapped
from doctor.report import Corrected, Report
from doctor.text import plain
from doctor.words import MORE_WORDS, SURE_WORDS, UNEXPLAINED_STEPS, UNEXPLAINED_TEXT

SHOWN = 2
"""Fixes of the diagnosis that are shown in full."""
OPENED = 4
"""Causes that are told in full where nothing decides between them."""


def report_text(report: Report, look: Appearance) -> str:
    """The whole report."""
    notes = ["\n".join(_notes(report))] if report.notes else []
    blocks = [_headline(report, look)]
    if report.kind == "machine":
        blocks += notes
    blocks += ["\n".join(_diagnosis(item, report, look)) for item in report.diagnoses]
    blocks += ["\n".join(_unexplained(report, look))] if report.unexplained else []
    blocks += ["\n".join(block) for block in (_aside(report), _checks(report, look), _unseen(report)) if block]
    if report.kind != "machine":
        blocks += notes
    blocks.append(_last_line(report, look))
    return _fitting("\n\n".join(blocks), look) + "\n"


def _fitting(text: str, look: Appearance) -> str:
    """ASCII where the terminal's locale has no more."""
    if look.unicode:
        return text
    for sign, ascii_sign in (
        ("…", "..."),
        ("·", "-"),
        ("–", "-"),
        ("┃", "|"),
        ("┆", "|"),
        ("’", "'"),
        ("≥", ">="),
        ("×", "x"),
    ):
        text = text.replace(sign, ascii_sign)
    return text.encode("ascii", "replace").decode()


def _headline(report: Report, look: Appearance) -> str:
    subject = plain(f"{report.kind} {report.name}" if report.kind != "machine" else report.name)
    subject += f": {plain(report.state)}" if report.state else ""
    sign, words = report.headline
    return look.paint(f"{look.sign(sign)}  {plain(words)}", sign) + f"\n{subject}"


def _diagnosis(item: Diagnosis, report: Report, look: Appearance) -> Iterator[str]:
    first = item is report.diagnoses[0] and report.verdict == "fault"
    if not first:
        role = {"consequence": "follows from it", "also": "also", "cause": ""}[item.role]
        yield look.paint(f"{look.sign(item.severity)}  {plain(item.title)}", item.severity) + (
            f"  ({role})" if role else ""
        )
    yield look.paint(f"   {item.finding.fault} · {SURE_WORDS[item.finding.sure]}", "dim")
    if item.severity == "note" and not look.verbose:
        # Beside the point as a rule; who wants it all asks for it.
        for evidence in item.finding.evidence[:1]:
            yield from _evidence(evidence, look)
        return
    yield ""
    yield from wrapped(item.explanation if look.verbose else item.explanation.split("\n\n")[0], look.width, "   ")
    yield ""
    yield "   Why we think so"
    for evidence in item.finding.evidence[: None if look.verbose else 4]:
        yield from _evidence(evidence, look)
    if item.role == "consequence" and not look.verbose:
        return
    corrected = report.corrected if first else None
    if corrected:
        yield ""
        yield from _corrected(corrected, look)
    # The container's own line settles which of the causes it is.
    if look.verbose or not corrected:
        yield from _suspects(item.causes, look)
    yield from _fixes(item.fixes, SHOWN if first else 1, look)
    if look.verbose:
        yield ""
        yield "   Sources"
        yield from (f"   - {source.address} : {source.says}" for source in item.entry.sources)


def _fixes(fixes: tuple[Fix, ...], shown: int, look: Appearance) -> Iterator[str]:
    """The likeliest in full, the others by title."""
    shown = len(fixes) if look.verbose else shown
    for number, fix in enumerate(fixes[:shown], 1):
        yield ""
        yield from _fix(number, fix, look)
    if rest := fixes[shown:]:
        yield ""
        yield "   Or (--verbose shows how): " + "; ".join(plain(fix.title) for fix in rest)


def _evidence(evidence: Evidence, look: Appearance) -> Iterator[str]:
    place = plain(evidence.name) + (f", line {evidence.line}" if evidence.line else "")
    yield f"   - {place}" + (f": {plain(evidence.says)}" if evidence.says else "")
    for line in plain(evidence.text).splitlines()[:4]:
        yield look.paint(f"     ┆ {line}", "dim")


def _suspects(suspects: Sequence[Suspect], look: Appearance) -> Iterator[str]:
    """What may have caused it: the likeliest with what tells them apart, the others by title.

    What speaks for the likely cause and rules others out goes without saying.
    """
    told = {one.seen for one in suspects if one.state == "likely"}
    kept = [one for one in suspects if look.verbose or one.state != "ruled out" or one.seen not in told]
    opened = None if look.verbose else 0 if told else OPENED
    for heading, seen, suspect in in_words(kept, opened):
        yield ""
        how = " (--verbose shows how to tell)" if heading.startswith(MORE_WORDS) else ""
        yield from wrapped(heading + how, look.width, "   ")
        if seen:
            yield from wrapped(f"Seen: {seen}", look.width, "     ")
        if suspect:
            yield from wrapped(suspect.cause.text, look.width, "     ")
            for command in suspect.cause.commands:
                yield from _command(command, look, "     ")


def _fix(number: int, fix: Fix, look: Appearance) -> Iterator[str]:
    yield (
        look.paint(f"   {'Fix' if number == 1 else 'Or'}: {plain(fix.title)}", "bold")
        + f"   [{fix.where} · risk: {fix.risk}]"
    )
    if fix.text:
        yield from wrapped(fix.text, look.width, "   ")
    for command in fix.commands:
        yield from _command(command, look, "   ")
    for label, commands in (("Verify", fix.verify), ("Undo", fix.undo)):
        if commands:
            yield f"   {label}:"
        for command in commands:
            yield from _command(command, look, "   ")


def _command(command: str, look: Appearance, indent: str) -> Iterator[str]:
    """Commands are never wrapped: they are copied as they stand."""
    for line in plain(command).splitlines():
        yield indent + "  " + look.paint(line, "command")


def _corrected(corrected: Corrected, look: Appearance) -> Iterator[str]:
    """In the form that the container was made in; the other for who asks for it."""
    yield look.paint("   The container's own line, corrected", "bold") + f": {'; '.join(corrected.changes)}"
    (_, first), (other, second) = corrected.forms
    for command in first:
        yield from _command(command, look, "   ")
    for remark in corrected.remarks:
        yield from wrapped(remark, look.width, "   ")
    if look.verbose:
        yield f"   {other}:"
        for command in second:
            yield from _command(command, look, "   ")
    else:
        yield f"   (--verbose shows it {other[:1].lower()}{other[1:]})"


def _unexplained(report: Report, look: Appearance) -> Iterator[str]:
    yield "   What failed, in the programs' own words"
    for evidence in report.unexplained:
        yield from _evidence(evidence, look)
    yield ""
    yield from wrapped(UNEXPLAINED_TEXT, look.width, "   ")
    if report.kind not in ("log", "ticket"):  # else it was looked at already
        return
    yield "   To look further, where it failed:"
    for step in UNEXPLAINED_STEPS:
        yield from _command(step, look, "   ")


def _aside(report: Report) -> list[str]:
    if not report.set_aside:
        return []
    rows = []
    for item in report.set_aside:
        line = item.finding.evidence[0].line if item.finding.evidence else None
        rows.append(f"  {item.finding.fault}{f' (line {line})' if line else ''} yields to {item.yields_to}")
    return ["Seen too, and set aside", *rows]


def _checks(report: Report, look: Appearance) -> list[str]:
    if not report.outcomes:
        return []
    counts = {
        state: sum(one.state == state for one in report.outcomes) for state in ("passed", "found", "skipped", "crashed")
    }
    shown = [one for one in report.outcomes if look.verbose or one.state == "crashed"]
    summary = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return [
        f"Checks: {summary}" + ("" if look.verbose else "; --verbose shows each"),
        *(_outcome(one, look) for one in shown),
    ]


def _outcome(one: Outcome, look: Appearance) -> str:
    said = one.says if one.state != "skipped" else f"{one.says}: {one.reason}"
    row = f"  {look.sign(one.state)} {one.area:<10} {one.check:<28} {plain(said)}"
    return row + (f"\n{plain(one.reason or '')}" if one.state == "crashed" else "")


def _unseen(report: Report) -> list[str]:
    return ["Not looked at", *(f"  - {plain(row)}" for row in report.not_examined)] if report.not_examined else []


def _notes(report: Report) -> list[str]:
    return ["Note", *(f"  - {plain(row)}" for row in report.notes)] if report.notes else []


def _last_line(report: Report, look: Appearance) -> str:
    """The conclusion again, where people read: at the bottom."""
    if report.verdict != "fault":
        none = "No known fault was found"
        return {
            "none": f"{none}; what failed is not known here." if report.unexplained else f"{none}.",
            "unknown": "Nothing was found, but too little could be examined.",
        }[report.verdict]
    first = report.diagnoses[0]
    sure = "" if first.finding.sure == "certain" else f" ({SURE_WORDS[first.finding.sure]})"
    return f"Diagnosis{sure}: {plain(first.title)} [{first.finding.fault}]"
