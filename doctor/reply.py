"""The answer to the customer, drafted: what is wrong, what to type, how to see that it worked, what to send."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from doctor.diagnose import Diagnosis
from doctor.knowledge import fill
from doctor.report import Report
from doctor.text import plain

ASK_MACHINE = "gpu-doctor record -o snapshot.gz"
ASK_CONTAINER = "gpu-doctor record -o snapshot.gz --container <container>"
ASK_LOG = "docker logs <container> > container.log 2>&1"
FILL_IN = "What stands in <angle brackets> is for you to fill in."
SHOWS = {"certain": "shows", "likely": "most likely shows", "possible": "may show"}


PLACES = {"host": "on the host", "container": "in the container", "dockerfile": "in the Dockerfile",
          "compose": "in the compose file", "cluster": "in the cluster"}  # fmt: skip
RISKS = {"restart": "this restarts it", "reboot": "this needs a reboot", "destructive": "this cannot be undone"}
BLANK = re.compile(r"<[a-zA-Z][^<>\n]*>")


def missing_evidence(report: Report) -> tuple[str, ...]:
    """Commands whose output would settle what the report leaves open; none where it is certain."""
    first = report.first
    if first is None:
        return (ASK_LOG, ASK_CONTAINER)
    if first.finding.sure == "certain":
        return ()
    asked = tuple(fill(command, first.finding.values) for command in first.entry.ask)
    return asked or (ASK_MACHINE,)


def draft(report: Report) -> str:
    """The reply as plain text; a person reads it before it is sent."""
    return plain("\n".join(_answer(report.first, report) if report.first else _nothing(report)))


def _nothing(report: Report) -> Iterator[str]:
    yield "Hello,"
    yield ""
    if report.unexplained:
        one = report.unexplained[0]
        yield "what you sent does not show a fault that we know. It tells of an error that we cannot place:"
        yield from ("", f"    {one.text}   (line {one.line})", "", "Please send the whole log of the container:")
    elif report.examined:
        yield "what you sent does not show a fault that we know. Please send the whole log of the container:"
    else:
        reason = "; ".join(report.not_examined) or "it is empty"
        yield f"what you sent could not be read: {reason}. Please send the whole log of the container as a text file:"
    yield from ("", f"    {ASK_LOG}", "", "and a snapshot of the machine, in which secrets and names are replaced:", "")
    yield f"    {ASK_CONTAINER}"
    yield from ("", FILL_IN, "", "Kind regards")


def _answer(first: Diagnosis, report: Report) -> Iterator[str]:
    yield "Hello,"
    yield ""
    yield f"what you sent {SHOWS[first.finding.sure]} this: {first.title}."
    for item in first.finding.evidence[:1]:
        place = f"   (line {item.line})" if item.line else ""
        yield from ("", f"    {item.text.splitlines()[0] if item.text else item.says}{place}")
    yield ""
    yield " ".join(first.explanation.split("\n\n")[0].split())
    told = list(_fix(first, report))
    asked = missing_evidence(report)
    if asked:
        told += ["", "To be surer, please send the output of:", "", *_indented(asked)]
    yield from told
    if any(BLANK.search(row) for row in told if row.startswith("    ")):
        yield from ("", FILL_IN)
    yield from ("", "If it still fails after that, please send the new log.", "", "Kind regards")


def _fix(first: Diagnosis, report: Report) -> Iterator[str]:
    """The first fix; where the container's own command line is known, that line corrected."""
    corrected = report.corrected
    if corrected and corrected.changes:
        yield from ("", f"Your own command line, corrected ({'; '.join(corrected.changes)}):", "")
        yield from _indented([corrected.run])
    fixes = first.fixes[:1]
    for fix in fixes:
        risk = f"; {RISKS[fix.risk]}" if fix.risk in RISKS else ""
        if not corrected:
            yield from ("", f"{fix.title[:1].upper()}{fix.title[1:]} ({PLACES[fix.where]}{risk}):", "")
            yield from _indented(fix.commands)
        if fix.verify:
            yield from ("", "To see that it worked:", "")
            yield from _indented(fix.verify)
    if others := [fix.title for fix in first.fixes[1:4] if fix.title != first.fixes[0].title]:
        yield from ("", f"Other ways: {'; '.join(dict.fromkeys(others))}.")


def _indented(commands: Iterable[str]) -> list[str]:
    return [f"    {line}" for command in commands for line in command.split("\n")]
