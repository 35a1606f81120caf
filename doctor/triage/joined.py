"""What the tools' output in a ticket tells of the machine, brought together with what the log shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from doctor.bundles.pasted import Pasted
from doctor.check import Check, perform
from doctor.facts import Facts, parse
from doctor.finding import Finding, Outcome


@dataclass(frozen=True, slots=True)
class Joined:
    """Facts of a ticket, judged."""

    found: tuple[Finding, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    """Checks for which the ticket told enough."""
    values: dict[str, str] = field(default_factory=dict)
    circumstances: dict[str, str] = field(default_factory=dict)
    facts: Facts | None = None

    def filled(self, finding: Finding) -> Finding:
        """The finding with what else is known of the place; what it has itself stays."""
        return replace(finding, values={**self.values, **finding.values}) if self.values else finding


def joined(parts: Iterable[Pasted], checks: Sequence[Check]) -> Joined:
    """The checks that the readings suffice for, and the values that every finding of the ticket may use."""
    parts = list(parts)
    if not parts:
        return Joined()
    from doctor.engine import circumstances
    from doctor.snapshot import Snapshot, Target
    from doctor.version import __version__

    readings = {reading.key: reading for part in reversed(parts) for reading in part.readings}
    values = {name: value for part in reversed(parts) for name, value in part.values}
    facts = parse(Snapshot("", __version__, Target(), readings))
    performed = [perform(one, facts) for one in checks]
    return Joined(
        found=tuple(finding for part in parts for finding in part.findings)
        + tuple(_beside_log(finding) for _, found in performed for finding in found),
        outcomes=tuple(outcome for outcome, _ in performed if outcome.state != "skipped"),
        values=values,
        circumstances={**_agreed(pair for part in parts for pair in part.circumstances), **circumstances(facts)},
        facts=facts,
    )


def _beside_log(finding: Finding) -> Finding:
    """Without the quotes of the log, which the matchers quote with their line."""
    seen = tuple(item for item in finding.evidence if item.source != "log")
    return replace(finding, evidence=seen or finding.evidence)


def _agreed(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What no two outputs tell differently: a ticket may be about more than one machine."""
    told: dict[str, set[str]] = {}
    for name, value in pairs:
        told.setdefault(name, set()).add(value)
    return {name: values.pop() for name, values in told.items() if len(values) == 1}
