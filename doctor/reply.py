"""The answer to the customer, drafted: what is wrong, what to type, how to see that it worked, what to send."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from doctor.diagnose import Diagnosis
from doctor.knowledge import fill
from doctor.report import Report
from doctor.text import plain

ASK_MACHINE = "gpu-doctor record -o snapshot.gz"
ASK_CONTAINER = "gpu-doctor record -o snapshot.gz --container <container>"
ASK_LOG = "docker logs <container> > container.log 2>&1"
SHOWS = {"certain": "shows", "likely": "most likely shows", "possible": "may show"}


def missing_evidence(report: Report) -> tuple[str, ...]:
    """Commands whose output would settle what the report leaves open; none where it is certain."""
    if not report.diagnoses:
        return (ASK_LOG, ASK_CONTAINER)
    first = report.diagnoses[0]
    if first.finding.sure == "certain":
        return ()
    asked = tuple(fill(command, first.finding.values) for command in first.entry.ask)
    return asked or (ASK_MACHINE,)


def draft(report: Report) -> str:
    """The reply as plain text; a person reads it before it is sent."""
    return plain("\n".join(_answer(report.diagnoses[0], report) if report.diagnoses else _nothing(report)))


def _nothing(report: Report) -> Iterator[str]:
    yield "Hello,"
    yield ""
    if report.examined:
        yield "what you sent does not show a fault that we know. Please send the whole log of the container:"
    else:
        reason = "; ".join(report.not_examined) or "it is empty"
        yield f"what you sent could not be read ({reason}). Please send the whole log of the container as a text file:"
    yield from ("", f"    {ASK_LOG}", "", "and a snapshot of the machine, in which secrets and names are replaced:", "")
    yield f"    {ASK_CONTAINER}"


def _answer(first: Diagnosis, report: Report) -> Iterator[str]:
    yield "Hello,"
    yield ""
    yield f"what you sent {SHOWS[first.finding.sure]} this: {first.title}."
    for item in first.finding.evidence[:1]:
        place = f"   (line {item.line})" if item.line else ""
        yield f"    {item.text.splitlines()[0] if item.text else item.says}{place}"
    yield ""
    yield " ".join(first.explanation.split("\n\n")[0].split())
    for fix in first.fixes[:1]:
        yield ""
        yield f"{fix.title[:1].upper()}{fix.title[1:]} (on the {fix.where}, risk: {fix.risk}):"
        yield ""
        yield from _indented(fix.commands)
        if fix.verify:
            yield from ("", "To see that it worked:", "")
            yield from _indented(fix.verify)
    if asked := missing_evidence(report):
        yield from ("", "To be surer, please send the output of:", "")
        yield from _indented(asked)


def _indented(commands: Iterable[str]) -> list[str]:
    return [f"    {line}" for command in commands for line in command.split("\n")]
