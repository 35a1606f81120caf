"""The report: what a front end shows, and its JSON form (doctor/report.schema.json; ../CONTRIBUTING.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from doctor.diagnose import Diagnosis, SetAside, Suspect
from doctor.finding import SEVERITIES, Evidence, Outcome, Severity
from doctor.knowledge import Fix, fill
from doctor.words import NOTHING_WRONG, UNEXAMINED, UNEXPLAINED

SCHEMA = "gpu-doctor/report/1"
Verdict = Literal["fault", "none", "unknown"]


@dataclass(frozen=True, slots=True)
class Corrected:
    """The container's own command line, with what is missing or wrong changed."""

    run: str
    compose: str
    changes: tuple[str, ...]
    """What was changed, in words."""
    unread: tuple[str, ...] = ()
    """Variables whose value was not read: the shell that runs the line must have them."""
    service: str = ""
    """The container's compose service, if compose made it."""
    first: tuple[str, ...] = ()
    """Commands to type before `run`: the container that failed has its name."""
    left_out: tuple[str, ...] = ()
    """What else the container has and the line has not, in words."""
    remarks: tuple[str, ...] = ()
    """Sentences to show beside it, about the above."""

    @property
    def forms(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """(title, what to copy), in the form first that the container was made in."""
        forms = (("As a docker run line", (*self.first, self.run)), ("As a compose service", (self.compose,)))
        return forms[::-1] if self.service else forms


@dataclass(frozen=True, slots=True)
class Report:
    kind: str
    """What was examined: log, container, machine, image, snapshot."""
    name: str
    created: str = field(compare=False)
    """When, in UTC; of a replay when the snapshot was taken. The same findings of another day are an equal report."""
    tool_version: str
    diagnoses: tuple[Diagnosis, ...] = ()
    set_aside: tuple[SetAside, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    not_examined: tuple[str, ...] = ()
    """What could not be looked at, and why."""
    notes: tuple[str, ...] = ()
    """Facts worth a line, such as the containers that failed lately."""
    corrected: Corrected | None = None
    examined: bool = True
    """False: so little could be read that silence means nothing."""
    state: str = ""
    """How it fares, or what it is, in a few words: `exited with code 1`."""
    failures: tuple[Evidence, ...] = ()
    """Lines of the logs that their programs call an error, known or not."""
    extra: dict[str, Any] = field(default_factory=dict)
    """Further parts of the JSON form, such as `image`."""

    @property
    def first(self) -> Diagnosis | None:
        """The diagnosis; None where nothing, or nothing but notes, was found."""
        return next((item for item in self.diagnoses if item.severity != "note"), None)

    @property
    def unexplained(self) -> tuple[Evidence, ...]:
        """Errors that no entry knows, where there is no diagnosis: nothing known is wrong, and yet something failed."""
        return () if self.first else self.failures

    @property
    def headline(self) -> tuple[str, str]:
        """The sign (a severity, `unsure` or `passed`) and the words that a report begins with."""
        if self.first:
            return self.first.severity, self.first.title
        if self.verdict == "unknown":
            return "warning", UNEXAMINED
        if self.unexplained:
            return "unsure", UNEXPLAINED
        return "passed", NOTHING_WRONG + (" with this machine" if self.kind == "machine" else "")

    @property
    def verdict(self) -> Verdict:
        if self.first:
            return "fault"
        return "none" if self.examined else "unknown"

    def count(self, severity: Severity) -> int:
        return sum(item.severity == severity for item in self.diagnoses)


def exit_code(report: Report, fail_on: Severity | Literal["never"]) -> int:
    """0 nothing at or above `fail_on` (error, warning or never), 1 findings, 3 too little examined to tell."""
    if fail_on != "never":
        threshold = SEVERITIES.index(fail_on)
        if any(SEVERITIES.index(item.severity) <= threshold for item in report.diagnoses):
            return 1
    return 3 if report.verdict == "unknown" else 0


def to_json(report: Report) -> dict[str, Any]:
    """The report as the contract's JSON object."""
    return {
        "schema": SCHEMA,
        "tool_version": report.tool_version,
        "created": report.created,
        "subject": {"kind": report.kind, "name": report.name, **({"state": report.state} if report.state else {})},
        "summary": {
            "verdict": report.verdict,
            "errors": report.count("error"),
            "warnings": report.count("warning"),
            "notes": report.count("note"),
            "not_examined": len(report.not_examined),
        },
        "findings": [_diagnosis(item) for item in report.diagnoses],
        "set_aside": [
            {
                "fault": item.finding.fault,
                "yields_to": item.yields_to,
                "evidence": [_evidence(evidence) for evidence in item.finding.evidence],
            }
            for item in report.set_aside
        ],
        "unexplained": [_evidence(evidence) for evidence in report.unexplained],
        "corrected": _corrected(report.corrected),
        "checks": [
            {
                "id": item.check,
                "area": item.area,
                "state": item.state,
                "says": item.says,
                "reason": item.reason,
            }
            for item in report.outcomes
        ],
        "notes": list(report.notes),
        "not_examined": list(report.not_examined),
        **report.extra,
    }


def _diagnosis(item: Diagnosis) -> dict[str, Any]:
    return {
        "fault": item.finding.fault,
        "title": item.title,
        "severity": item.severity,
        "confidence": item.finding.sure,
        "role": item.role,
        "subject": item.finding.subject,
        "explains": list(item.explains),
        "values": dict(sorted(item.finding.values.items())),
        "evidence": [_evidence(evidence) for evidence in item.finding.evidence],
        "explanation": item.explanation,
        "causes": [_suspect(suspect) for suspect in item.causes],
        "fixes": [_fix(fix) for fix in item.fixes],
        "ask": [fill(command, item.finding.values) for command in item.entry.ask],
        "sources": [source.address for source in item.entry.sources],
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "source": evidence.source,
        "name": evidence.name,
        "line": evidence.line,
        "text": evidence.text,
        "says": evidence.says,
    }


def _suspect(suspect: Suspect) -> dict[str, Any]:
    return {
        "title": suspect.cause.title,
        "text": suspect.cause.text,
        "commands": list(suspect.cause.commands),
        "state": suspect.state,
        "seen": suspect.seen,
    }


def _fix(fix: Fix) -> dict[str, Any]:
    return {
        "title": fix.title,
        "where": fix.where,
        "risk": fix.risk,
        "text": fix.text,
        "commands": list(fix.commands),
        "verify": list(fix.verify),
        "undo": list(fix.undo),
    }


def _corrected(corrected: Corrected | None) -> dict[str, Any] | None:
    if corrected is None:
        return None
    return {
        "run": corrected.run,
        "compose": corrected.compose,
        "changes": list(corrected.changes),
        "unread": list(corrected.unread),
        "service": corrected.service,
        "first": list(corrected.first),
        "left_out": list(corrected.left_out),
    }
