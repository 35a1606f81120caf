"""What the desk keeps of a ticket once it is examined: a few words, and the piece of the output that is its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from doctor.finding import Severity
from doctor.knowledge import fill
from doctor.report import Report, exit_code

State = Literal["fault", "unsure", "nothing", "unread"]
STATES: tuple[State, ...] = ("fault", "unsure", "nothing", "unread")
"""In the order in which they are shown."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One ticket, answered."""

    name: str
    state: State
    fault: str
    """Empty where none was found."""
    cause: str
    """What the fault is called whatever the values, for the heading of its group."""
    severity: str
    title: str
    """The diagnosis, or why there is none."""
    sure: str
    line: int | None
    fingerprint: str
    ask: tuple[str, ...]
    also: tuple[str, ...]
    code: int
    """The exit code that this ticket alone would give."""
    piece: str = ""
    """Its part of the output, in the chosen form."""

    @property
    def group(self) -> tuple[int, str]:
        """Tickets of one group stand together."""
        return STATES.index(self.state), self.fault


def answer(report: Report, fail_on: Severity | Literal["never"], piece: str = "") -> Answer:
    """The answer that a report gives."""
    first = report.first
    evidence = first.finding.evidence if first else report.unexplained
    ticket = report.extra.get("ticket", {})
    state: State = "nothing" if report.examined else "unread"
    if first:
        state = "unsure" if first.finding.sure == "possible" else "fault"
    return Answer(
        name=report.name,
        state=state,
        fault=first.finding.fault if first else "",
        cause=fill(first.entry.title, {}) if first else "",
        severity=first.severity if first else "",
        title=first.title if first else _why_none(report),
        sure=first.finding.sure if first else "",
        line=next((item.line for item in evidence if item.line), None),
        fingerprint=ticket.get("fingerprint", ""),
        ask=tuple(ticket.get("missing_evidence", ())),
        also=tuple(item.finding.fault for item in report.diagnoses if item is not first),
        code=exit_code(report, fail_on),
        piece=piece,
    )


def _why_none(report: Report) -> str:
    if not report.examined:
        return "; ".join(report.not_examined)
    unknown = report.unexplained[0].text if report.unexplained else ""
    return f"an error that no entry knows: {unknown}" if unknown else "no known fault shows in it"
