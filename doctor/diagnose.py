"""Findings and knowledge to a diagnosis: join, set aside, fold consequences under causes, rank."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from doctor.finding import SEVERITIES, SURENESS, Finding, Severity
from doctor.knowledge import Base, Entry, Fix, fill

# Values that stand in commands, and what a shell acts on. None of these is in a library's, package's or target's name.
COMMANDED = frozenset((
    "library", "library_stem", "soname_major", "needed_by", "node", "path", "package", "pip_package", "apt_package",
    "required", "arch", "target", "compute_capability", "pci", "container", "image", "service", "device", "module",
))  # fmt: skip
ACTIVE = re.compile(r"[`;|\n]|\$\(|\$\{|&&|[<>] *[/&(]")

Role = Literal["cause", "consequence", "also"]
THINGS = ("library", "symbol", "arch", "xid")
"""Values that say what the other values of a finding are about."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A finding with the words of its entry."""

    finding: Finding
    entry: Entry
    severity: Severity
    role: Role
    explains: tuple[str, ...]
    """Fault ids of its consequences among the findings."""
    title: str
    explanation: str
    fixes: tuple[Fix, ...]
    """Those that hold here, filled with the values."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A finding that stepped back for another."""

    finding: Finding
    yields_to: str


@dataclass(frozen=True, slots=True)
class Diagnoses:
    ranked: tuple[Diagnosis, ...]
    set_aside: tuple[SetAside, ...]


def diagnose(findings: Iterable[Finding], base: Base, circumstances: dict[str, str] | None = None) -> Diagnoses:
    """Rank findings, with the words of their entries filled in.

    `circumstances` tells what is known of the place (engine, distro, vendor, cluster); fixes for another are left out,
    and so are those for a GPU that is older, or newer, than the code where the finding tells which it is.
    """
    joined = _joined(_copyable(finding) for finding in findings if finding.fault in base.entries)
    faults = {finding.fault: finding for finding in joined}
    aside = [SetAside(finding, to) for finding in joined if (to := _yields_to(finding, faults, base))]
    stepped_back = {id(item.finding) for item in aside}
    standing = [finding for finding in joined if id(finding) not in stepped_back]
    explained = _explained(standing, base)
    ranked = sorted(standing, key=lambda finding: (finding.fault in explained, *_rank(finding, base)))
    made = []
    for position, finding in enumerate(ranked):
        role: Role = "consequence" if finding.fault in explained else "also" if position else "cause"
        explains = tuple(sorted(fault for fault, by in explained.items() if finding.fault in by))
        made.append(_worded(finding, base.entries[finding.fault], role, explains, circumstances or {}))
    return Diagnoses(tuple(made), tuple(aside))


def weighed(finding: Finding, said: Collection[Finding]) -> Finding:
    """What an image's files lack counts where the program's own words, whose findings are `said`, say the same.

    An image holds many programs, and one of them ran: a library that another misses is a note beside the cause.
    """
    alone = finding.fault not in {other.fault for other in said}
    if alone and finding.fault.startswith("lib-") and all(item.source == "image" for item in finding.evidence):
        return replace(finding, sure="possible", severity="note")
    return finding


def _copyable(finding: Finding) -> Finding:
    """Without values that a shell would act on: logs and images are untrusted, and commands are copied and run."""
    kept = {name: value for name, value in finding.values.items() if name not in COMMANDED or not ACTIVE.search(value)}
    return finding if len(kept) == len(finding.values) else replace(finding, values=kept)


def severity_of(finding: Finding, base: Base) -> Severity:
    return finding.severity or base.entries[finding.fault].severity


def _joined(findings: Iterable[Finding]) -> list[Finding]:
    """One finding a fault and subject: evidence of machine, image and log about the same thing stands together.

    A finding from a log has no subject; it joins the others of its fault, whose values come first: they were read,
    not pasted.
    """
    joined: dict[tuple[str, str], Finding] = {}
    for finding in sorted(findings, key=lambda f: not f.subject):
        key = (finding.fault, finding.subject)
        if not finding.subject:
            key = next((k for k in joined if k[0] == finding.fault), key)
        before = joined.get(key)
        joined[key] = _join(before, finding) if before else finding
    return list(joined.values())


def _join(one: Finding, other: Finding) -> Finding:
    return replace(
        one,
        evidence=one.evidence + tuple(item for item in other.evidence if item not in one.evidence),
        values={**other.values, **one.values} if _of_one_thing(one, other) else one.values,
        sure=min(one.sure, other.sure, key=SURENESS.index),
        severity=_graver(one.severity, other.severity),
    )


def _of_one_thing(one: Finding, other: Finding) -> bool:
    """Whether the values of both describe the same thing: what is told of one library is not true of another."""
    both = (one.values, other.values)
    return all(len({values[name] for values in both if name in values}) < 2 for name in THINGS)


def _graver(one: Severity | None, other: Severity | None) -> Severity | None:
    return None if one is None or other is None else min(one, other, key=SEVERITIES.index)


def _yields_to(finding: Finding, faults: dict[str, Finding], base: Base) -> str | None:
    """The fault that this finding steps back for. What is certain does not step back for what is only possible."""
    for fault in base.entries[finding.fault].yields_to:
        other = faults.get(fault)
        if other and not (finding.sure == "certain" and other.sure == "possible"):
            return fault
    return None


def _explained(findings: list[Finding], base: Base) -> dict[str, set[str]]:
    """Consequence to its causes, among these findings."""
    present = {finding.fault for finding in findings}
    explained: dict[str, set[str]] = {}
    for finding in findings:
        for fault in base.entries[finding.fault].explains:
            if fault in present and fault != finding.fault and finding.sure != "possible":
                explained.setdefault(fault, set()).add(finding.fault)
    return explained


def _rank(finding: Finding, base: Base) -> tuple[int, int, int, int, str, str]:
    """Severity, sureness, breadth of evidence (kinds of source), earliest line, then the id for a stable order."""
    kinds = len({item.source for item in finding.evidence})
    first = min((item.line for item in finding.evidence if item.line), default=0)
    severity = SEVERITIES.index(severity_of(finding, base))
    return severity, SURENESS.index(finding.sure), -kinds, first, finding.fault, finding.subject


def _worded(
    finding: Finding, entry: Entry, role: Role, explains: tuple[str, ...], circumstances: dict[str, str]
) -> Diagnosis:
    values = finding.values
    known = {**circumstances, **({"gpu": values["gpu_age"]} if "gpu_age" in values else {})}
    return Diagnosis(
        finding=finding,
        entry=entry,
        severity=finding.severity or entry.severity,
        role=role,
        explains=explains,
        title=fill(entry.title, values),
        explanation=fill(entry.text, values),
        fixes=tuple(_filled(fix, values) for fix in entry.fixes if holds(fix, known)),
    )


def holds(fix: Fix, circumstances: dict[str, str]) -> bool:
    """Whether nothing that is known speaks against the fix."""
    return all(circumstances.get(name, allowed[0]) in allowed for name, allowed in fix.when.items())


def _filled(fix: Fix, values: dict[str, str]) -> Fix:
    return replace(
        fix,
        title=fill(fix.title, values),
        text=fill(fix.text, values),
        commands=tuple(fill(command, values) for command in fix.commands),
        verify=tuple(fill(command, values) for command in fix.verify),
        undo=tuple(fill(command, values) for command in fix.undo),
    )
