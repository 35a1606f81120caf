"""A ticket to its report. Nothing here raises for what a ticket holds: the report says what is wrong with it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import BinaryIO, cast

from doctor.bundles import mail
from doctor.bundles.compressed import is_compressed, unpacked
from doctor.bundles.contents import bundle_leaves
from doctor.bundles.encodings import readable
from doctor.bundles.pasted import Pasted
from doctor.bundles.recognise import pasted
from doctor.bundles.support import configuration
from doctor.bundles.ticket import Leaf, Ticket
from doctor.check import Check
from doctor.diagnose import diagnose
from doctor.errors import UsageError
from doctor.finding import Evidence, Finding
from doctor.fingerprint import fingerprint
from doctor.knowledge import Base
from doctor.logs import binary_kind, now
from doctor.match import Patterns, findings, whole_lines
from doctor.reply import draft, missing_evidence
from doctor.report import Report
from doctor.runline import correct
from doctor.snapshot import LARGEST
from doctor.triage.joined import joined
from doctor.unexplained import SHOWN, failures
from doctor.values import derive
from doctor.version import __version__

SNAPSHOT_SIGN = b'"readings"'
WHOLE = 16 << 20
"""Bytes of a text that are held at once: what is pasted into it is looked for in so many."""
STREAMED = 4 << 30
"""Bytes that one compressed log may unpack to."""
PARTS = 2000
"""Texts of one bundle that are read."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What an examination needs; one a thread, since a scan changes the patterns' state."""

    base: Base
    patterns: Patterns
    checks: Sequence[Check]


@dataclass(slots=True)
class _Seen:
    """What the texts of a ticket gave so far."""

    name: str
    """Of the ticket."""
    found: list[Finding] = field(default_factory=list)
    failures: list[Evidence] = field(default_factory=list)
    pasted: list[Pasted] = field(default_factory=list)
    snapshots: list[Report] = field(default_factory=list)
    not_examined: list[str] = field(default_factory=list)
    texts: int = 0

    def passed_over(self, name: str, reason: str) -> None:
        """A part was not read; of a ticket that is one text its name goes without saying."""
        self.not_examined.append(reason if name == self.name else f"{name}: {reason}")


def examine(ticket: Ticket, bench: Bench) -> Report:
    """The report of one ticket, whatever it holds."""
    return with_ticket(_report(ticket, bench))


def with_ticket(report: Report) -> Report:
    """The report with what a support desk needs beside it."""
    extra = {
        "fingerprint": fingerprint(report),
        "missing_evidence": list(missing_evidence(report)),
        "reply": draft(report),
    }
    return replace(report, extra={**report.extra, "ticket": extra})


def _report(ticket: Ticket, bench: Bench) -> Report:
    if ticket.problem:
        return not_read(ticket.name, ticket.problem)
    try:
        return _examined(ticket, bench)
    except UsageError as error:
        return not_read(ticket.name, str(error))
    except OSError as error:
        return not_read(ticket.name, error.strerror or "cannot be read")
    except Exception as error:  # a mistake of ours costs this ticket, never the rest
        return not_read(ticket.name, f"examining it failed: {type(error).__name__}: {error}")


def not_read(name: str, reason: str) -> Report:
    """The report of a ticket that could not be read."""
    told = reason.removeprefix(f"{name} ")  # which says who it is about where that is not clear
    return Report("ticket", name, now(), __version__, not_examined=(told,), examined=False)


def _examined(ticket: Ticket, bench: Bench) -> Report:
    seen = _Seen(ticket.name)
    if ticket.is_bundle:
        for number, leaf in enumerate(bundle_leaves(ticket)):
            if number >= PARTS:
                seen.not_examined.append(f"more than {PARTS} files; the rest was not read")
                break
            _take(leaf, bench, seen)
            if (one := configuration(leaf.name, leaf.data)) is not None:
                seen.pasted.append(one)
    elif ticket.leaf:
        _take(ticket.leaf, bench, seen)
    else:
        _take_file(ticket, bench, seen)
    return _judged(ticket, bench, seen)


def _take_file(ticket: Ticket, bench: Bench, seen: _Seen) -> None:
    with open(ticket.path, "rb") as stream:
        head = stream.read(512)
        stream.seek(0)
        text = unpacked(stream, head) if is_compressed(head) else stream
        data = text.read(WHOLE)
        rest = _Limited(text) if len(data) == WHOLE else None
        _take_text(ticket.name, data, rest, bench, seen)
        if rest and rest.left <= 0:
            seen.not_examined.append(f"only the first {STREAMED >> 30} GB were read")


class _Limited:
    """The rest of a stream, up to a limit."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.left = STREAMED

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, max(0, self.left)))
        self.left -= len(data)
        return data


def _take(leaf: Leaf, bench: Bench, seen: _Seen) -> None:
    if leaf.problem:
        seen.passed_over(leaf.name, leaf.problem)
        return
    if leaf.cut:
        seen.passed_over(leaf.name, f"only the first {len(leaf.data) >> 20} MB were read")
    _take_text(leaf.name, leaf.data, None, bench, seen)


def _take_text(name: str, data: bytes, rest: _Limited | None, bench: Bench, seen: _Seen) -> None:
    if data[:64].lstrip()[:1] == b"{" and SNAPSHOT_SIGN in data:
        seen.snapshots.append(_replayed(name, data + (rest.read(LARGEST) if rest else b""), bench))
    elif rest is None and mail.is_message(data[:4096]):
        for leaf in mail.texts(name, data):
            if leaf.problem:
                seen.passed_over(leaf.name, leaf.problem)
            else:
                _scan(leaf.name, leaf.data, None, bench, seen)
    else:
        _scan(name, data, rest, bench, seen)


def _scan(name: str, data: bytes, rest: _Limited | None, bench: Bench, seen: _Seen) -> None:
    data = readable(data)
    if rest is None and (not data or data.isspace()):
        seen.passed_over(name, "it is empty")
        return
    if kind := binary_kind(data[:8192]):
        seen.passed_over(name, f"it is {kind}")
        return
    scan = bench.patterns.scan(whole_lines(cast(BinaryIO, _Chained(data, rest))), name)
    seen.found += findings(scan, bench.base)
    seen.failures += failures(scan)
    seen.pasted += pasted(data, name)
    seen.texts += 1


class _Chained:
    """Bytes that are here, and then the rest of their stream."""

    def __init__(self, data: bytes, rest: _Limited | None) -> None:
        self._here = io.BytesIO(data)
        self._rest = rest

    def read(self, size: int) -> bytes:
        return self._here.read(size) or (self._rest.read(size) if self._rest else b"")


def _replayed(name: str, data: bytes, bench: Bench) -> Report:
    from doctor.engine import judge
    from doctor.snapshot import loads

    return judge(loads(data, name), bench.checks, bench.base, bench.patterns)


def _judged(ticket: Ticket, bench: Bench, seen: _Seen) -> Report:
    """One report of all that the ticket gave."""
    if seen.snapshots and not seen.texts:
        return replace(seen.snapshots[0], kind="snapshot", name=ticket.name)
    recorded = [item.finding for report in seen.snapshots for item in report.diagnoses]
    facts = joined(seen.pasted, bench.checks)
    found = [derive(facts.filled(finding)) for finding in (*recorded, *seen.found, *facts.found)]
    diagnoses = diagnose(found, bench.base, facts.circumstances, facts.outcomes)
    return Report(
        kind="ticket" if ticket.is_bundle else "log",
        name=ticket.name,
        created=now(),
        tool_version=__version__,
        diagnoses=diagnoses.ranked,
        set_aside=diagnoses.set_aside,
        failures=tuple(seen.failures[:SHOWN]),
        outcomes=facts.outcomes,
        notes=bench.base.errors,
        corrected=correct(diagnoses.ranked, facts.facts) if facts.facts else None,
        examined=seen.texts > 0,
        not_examined=tuple(seen.not_examined),
    )
