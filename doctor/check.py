"""Checks: pure functions over facts. One file each in checks/, found by walking the folder."""

from __future__ import annotations

import importlib
import pkgutil
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from doctor.facts import ContainerFacts, Facts, Unknown, lookup
from doctor.finding import Evidence, Finding, Outcome
from doctor.knowledge import Entry


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """Why a check has nothing to judge here."""

    reason: str


Verdict = str | Finding | Sequence[Finding] | NotApplicable
"""A sentence (passed: what was seen), what was found, or why there is nothing to judge."""


@dataclass(frozen=True, slots=True)
class Check:
    id: str
    area: str
    needs: tuple[str, ...]
    """Dotted fields of Facts that are passed to the function; if one is Unknown the check is skipped."""
    uses: tuple[str, ...]
    """Fields that are passed after those even when they are Unknown."""
    faults: tuple[str, ...]
    """What it can find."""
    run: Callable[..., Verdict]
    says: str
    """What is true when all is well: the first line of its module."""


def check(
    area: str, *, needs: Sequence[str], faults: Sequence[str], uses: Sequence[str] = ()
) -> Callable[[Callable[..., Verdict]], Callable[..., Verdict]]:
    """Make a function the check of its file."""

    def declare(run: Callable[..., Verdict]) -> Callable[..., Verdict]:
        module: Any = sys.modules[run.__module__]
        says = (module.__doc__ or "").strip().split("\n")[0].rstrip(".")
        module.CHECK = Check(run.__name__, area, tuple(needs), tuple(uses), tuple(faults), run, says)
        return run

    return declare


def said_in(container: ContainerFacts, words: Sequence[str]) -> tuple[Evidence, ...]:
    """The first line of the container's log that holds one of these words; nothing where none does."""
    for number, line in enumerate(container.log.splitlines(), 1):
        if any(one in line for one in words):
            return (Evidence("log", f"log of {container.name}", line[:300], number),)
    return ()


def unknown_checks(entry: Entry) -> list[str]:
    """What is wrong with the checks that the causes and fixes of an entry name, a line each."""
    known = {one.id for one in discover()}
    parts = [(one.title, one.decided_by) for one in entry.causes] + [(one.title, one.decided_by) for one in entry.fixes]
    named = [(title, name) for title, by in parts for name in (*by.check, *by.shown_by)]
    return [f"{entry.file}: {title}: there is no check {name}" for title, name in named if name not in known]


@cache
def discover() -> tuple[Check, ...]:
    """Every check of the checks/ folder, by area and name."""
    import checks

    found = []
    for module in pkgutil.iter_modules(checks.__path__):
        loaded: Any = importlib.import_module(f"checks.{module.name}")
        found.append(loaded.CHECK)
    return tuple(sorted(found, key=lambda one: (one.area, one.id)))


def perform(one: Check, facts: Facts) -> tuple[Outcome, list[Finding]]:
    """Run a check: passed, found, skipped with the reason, or crashed with the traceback. Never raises."""
    values = [lookup(facts, need) for need in (*one.needs, *one.uses)]
    for need, value in zip(one.needs, values, strict=False):
        if isinstance(value, Unknown):
            return Outcome(one.id, one.area, "skipped", one.says, f"needs {need}: {value.reason}"), []
    try:
        verdict = one.run(*values)
    except Exception:  # one check's mistake is one result among results
        return Outcome(one.id, one.area, "crashed", one.says, traceback.format_exc(limit=4)), []
    if isinstance(verdict, NotApplicable):
        return Outcome(one.id, one.area, "skipped", one.says, verdict.reason), []
    if isinstance(verdict, str):
        return Outcome(one.id, one.area, "passed", verdict), []
    findings = [verdict] if isinstance(verdict, Finding) else list(verdict)
    seen = "; ".join(item.says or item.text for finding in findings for item in finding.evidence[:1])
    return Outcome(one.id, one.area, "found", seen), findings
