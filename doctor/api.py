"""The Python API (see doctor/__init__.py): each function is one of the command's verbs, on what is already in memory.

Pure but for the date in the report, which does not count when reports are compared: nothing is read but the shipped
knowledge, and the folders that are named; compiled patterns are kept in the user's cache folder. A thread has patterns
of its own, so all of this may be called from many threads at once; results are immutable and can be pickled.
"""

from __future__ import annotations

import io
import threading
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Any

from doctor.errors import UsageError
from doctor.knowledge import Base, load
from doctor.logs import explain_stream
from doctor.report import Report
from doctor.report import to_json as _to_json
from doctor.triage.examine import Bench, examine

Folders = tuple[str | PathLike[str], ...]
_own = threading.local()


def diagnose_log(log: str | bytes, name: str = "log", *, knowledge: Folders = ()) -> Report:
    """What a log shows, as `gpu-doctor explain` tells it.

    `name` stands in the evidence. `knowledge` names folders with entries of your own beside the shipped ones.
    `report.diagnoses` is ranked, its first is the cause; it is empty where nothing known is wrong, and then
    `report.unexplained` has what the log calls an error all the same. Raises UsageError, with one line, where the log
    is no text or a folder is not there.
    """
    bench = _bench(knowledge)
    return explain_stream(io.BytesIO(_bytes(log)), name, bench.base, bench.patterns)


def diagnose_ticket(content: str | bytes, name: str = "ticket", *, knowledge: Folders = ()) -> Report:
    """What a ticket shows, as `gpu-doctor triage` tells it: a log, a mail, a snapshot, or all that people paste.

    Output of docker inspect, kubectl describe, nvidia-smi, rocminfo, collect_env and the like is joined with the errors
    beside it. Beyond those of `diagnose_log` the report has `fingerprint_of`, `missing_evidence_of` and
    `draft_reply_of`. Never raises for what the content is: `report.examined` is False where nothing could be read, and
    `report.not_examined` says why.
    """
    from doctor.bundles.ticket import Leaf, Ticket

    data = _bytes(content)
    return examine(Ticket(name, leaf=Leaf(name, data), size=len(data)), _bench(knowledge))


def diagnose_snapshot(snapshot: bytes, name: str = "snapshot", *, knowledge: Folders = ()) -> Report:
    """The report of a machine that `gpu-doctor record` recorded, as `gpu-doctor replay` tells it. Raises UsageError."""
    from doctor.engine import judge
    from doctor.snapshot import loads

    bench = _bench(knowledge)
    return judge(loads(snapshot, name), bench.checks, bench.base, bench.patterns)


def lint_file(text: str | bytes, name: str) -> Report:
    """The GPU requests of a Dockerfile, compose file or Kubernetes manifest that cannot work, as `gpu-doctor lint`."""
    from doctor.lint.examine import lint

    return lint(name, _bytes(text), _bench(()).base)


def to_json(report: Report) -> dict[str, Any]:
    """A report as plain data for `json`; doctor/report.schema.json describes it."""
    return _to_json(report)


def fingerprint_of(report: Report) -> str:
    """Equal for the same fault with the same telling values, on any machine: `1:lib-cudart-missing:9f1c2ab4`."""
    from doctor.fingerprint import fingerprint

    return fingerprint(report)


def missing_evidence_of(report: Report) -> tuple[str, ...]:
    """Commands whose output would settle what a report leaves open; empty where it is certain."""
    from doctor.reply import missing_evidence

    return missing_evidence(report)


def draft_reply_of(report: Report) -> str:
    """An answer to the customer, as plain text, for a person to read before it is sent."""
    from doctor.reply import draft

    return draft(report)


def _bytes(content: str | bytes) -> bytes:
    return content.encode("utf-8", "replace") if isinstance(content, str) else content


def _bench(folders: Folders) -> Bench:
    """This thread's own, made once for each set of folders."""
    from doctor.check import discover
    from doctor.match import patterns_of

    mine: dict[tuple[Path, ...], Bench] = _own.__dict__.setdefault("benches", {})
    key = tuple(Path(folder) for folder in folders)
    if key not in mine:
        base = _base(key)
        mine[key] = Bench(base, patterns_of(base), discover())
    return mine[key]


@lru_cache(maxsize=8)
def _base(folders: tuple[Path, ...]) -> Base:
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder}: no such folder")
    return load(folders)
