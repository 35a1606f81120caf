"""Write a redacted snapshot of this machine to send to someone.

It holds readings, not conclusions. What it holds is shown before it is written; secrets and names are replaced.

examples:
  gpu-doctor record -o snapshot.gz --container trainer
  gpu-doctor record -o snapshot.gz --yes        without asking
  ssh gpu-07 gpu-doctor record -o - | gpu-doctor replay -
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from doctor.engine import ReportReady
from doctor.errors import UsageError
from doctor.output import STDOUT, destination, to_stdout
from doctor.snapshot import Snapshot, demand_free, dump, save, without_identities
from doctor.text import one_line
from doctor.verbs import check
from doctor.verbs import options as shared


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", metavar="FILE", type=destination, required=True, help="where to write; - is standard output"
    )
    parser.add_argument("--force", action="store_true", help="overwrite the file if it is there")
    parser.add_argument("--yes", action="store_true", help="write without asking")
    parser.add_argument("--no-redact", action="store_true", help="keep host, user and addresses; secrets still go")
    parser.add_argument("--quiet", action="store_true", help="do not list what it holds")
    parser.add_argument("--verbose", action="store_true", help="list also what was looked for and is not there")
    check.examined(parser)
    shared.knowledge(parser)


def run(options: argparse.Namespace) -> int:
    path: Path | None = options.output
    if path is not None:
        demand_free(path, options.force)
    elif sys.stdout.isatty():
        raise UsageError("a snapshot is compressed, and standard output is a terminal: give a file, or pipe it")
    base, patterns = shared.base(options)
    snapshot = next(
        event.snapshot for event in shared.examine(options, (), base, patterns) if isinstance(event, ReportReady)
    )
    redactor = shared.redactor()
    if not options.no_redact:
        snapshot = without_identities(snapshot, redactor)
    if not options.quiet:
        print(_contents(snapshot, "… | zless" if path is None else f"zless {path}", options.verbose), file=sys.stderr)
    if not options.yes and sys.stdin.isatty() and not _agreed(STDOUT if path is None else str(path)):
        print("not written", file=sys.stderr)
        return 0
    if path is None:
        to_stdout(dump(snapshot))
        return 0
    save(snapshot, path, options.force)
    print(f"{path}: {len(dump(snapshot))} bytes; look inside with `gpu-doctor replay {path}`")
    return 0


def _contents(snapshot: Snapshot, look: str, verbose: bool) -> str:
    """What the file will hold, a line each, and how much was replaced; `look` is how to look inside."""
    read = [one for _, one in sorted(snapshot.readings.items()) if verbose or one.state != "missing"]
    rows = ["The snapshot holds:"]
    for reading in read:
        size = f"{len(reading.text)} characters" if reading.text else "nothing" if reading.state == "ok" else ""
        state = "" if reading.state == "ok" else f"{reading.state}: {one_line(reading.error, 60)}"
        rows.append(f"  {one_line(reading.key, 80):<60} {'; '.join(filter(None, (size, state)))}")
    if not verbose:
        rows.append(f"  and {len(snapshot.readings) - len(read)} things that were looked for and are not there")
    counts = ", ".join(f"{count} × {kind}" for kind, count in snapshot.redactions.items()) or "nothing"
    rows.append(f"Replaced: {counts}. No pattern knows every secret: look before you send it (`{look}`).")
    return "\n".join(rows)


def _agreed(place: str) -> bool:
    print(f"Write to {place}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
