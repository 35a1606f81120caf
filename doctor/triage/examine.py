"""A ticket to its report. Nothing here raises for what a ticket holds: the report says what is wrong with it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

from doctor.bundles.ticket import Ticket
from doctor.check import Check
from doctor.errors import UsageError
from doctor.knowledge import Base
from doctor.logs import explain_stream, now
from doctor.match import Patterns
from doctor.report import Report
from doctor.version import __version__

SNAPSHOT_SIGN = b'"readings"'


@dataclass(frozen=True, slots=True)
class Bench:
    """What an examination needs; one a thread, since a scan changes the patterns' state."""

    base: Base
    patterns: Patterns
    checks: Sequence[Check]


def examine(ticket: Ticket, bench: Bench) -> Report:
    """The report of one ticket, whatever it holds."""
    if ticket.problem:
        return _not_read(ticket, ticket.problem)
    try:
        return _examined(ticket, bench)
    except UsageError as error:
        return _not_read(ticket, str(error))
    except OSError as error:
        return _not_read(ticket, error.strerror or "cannot be read")
    except Exception as error:  # a mistake of ours costs this ticket, never the rest
        return _not_read(ticket, f"examining it failed: {type(error).__name__}: {error}")


def _examined(ticket: Ticket, bench: Bench) -> Report:
    with open(ticket.path, "rb") if ticket.data is None else io.BytesIO(ticket.data) as stream:
        head = stream.read(512)
        stream.seek(0)
        if head.startswith(b"\x1f\x8b") or head.lstrip()[:1] == b"{":
            data = stream.read()
            if head.startswith(b"\x1f\x8b") or SNAPSHOT_SIGN in data:
                return _replayed(ticket, data, bench)
            stream.seek(0)
        return explain_stream(stream, ticket.name, bench.base, bench.patterns)


def _replayed(ticket: Ticket, data: bytes, bench: Bench) -> Report:
    from doctor.engine import judge
    from doctor.snapshot import loads

    report = judge(loads(data, ticket.name), bench.checks, bench.base, bench.patterns)
    return replace(report, kind="snapshot", name=ticket.name)


def _not_read(ticket: Ticket, reason: str) -> Report:
    return Report(
        kind="ticket",
        name=ticket.name,
        created=now(),
        tool_version=__version__,
        not_examined=(reason,),
        examined=False,
    )
