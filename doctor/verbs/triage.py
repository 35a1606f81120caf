"""Diagnose many tickets at once: a line each, grouped by cause, with what to ask for where a ticket tells too little.

PATH is a file, a folder, a pattern such as 'week/*.log', or - for standard input: the contents of such a file, not a
list of names. A ticket is a log, a recorded snapshot, a mail of a mailbox, a line of a JSONL export, or a bundle of a
support tool (sosreport, must-gather, nvidia-bug-report); archives (zip, tar) and compressed files are read in place.
What stands in a ticket of docker inspect, nvidia-smi, rocminfo, collect_env, dmesg and the like is used too. A ticket
that cannot be read costs its own line and never stops the rest.

examples:
  gpu-doctor triage tickets/
  gpu-doctor triage --format html --output report.html week.zip support.mbox
  gpu-doctor triage --format jsonl --text-field fields.description export.jsonl
  fetch-tickets | gpu-doctor triage --text-field body -    an export through a pipe: a JSON object a line
  gpu-doctor triage --state triage.state tickets/       goes on where it was interrupted
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TextIO

from doctor.bundles.json_lines import Fields
from doctor.bundles.sources import Reading, named, tickets
from doctor.bundles.ticket import Ticket
from doctor.errors import UsageError
from doctor.input import STDIN, demand_once, is_pipe, said, spooled
from doctor.output import answering
from doctor.render.desk import FORMATS, write
from doctor.text import one_line
from doctor.triage.answer import Answer
from doctor.triage.journal import Journal, journal, key_of
from doctor.triage.workers import SECONDS, Order, answers, cores
from doctor.verbs import options as shared

LARGEST_INPUT = 4 << 30
"""Bytes that may come through standard input or a pipe: they are kept on disk until all is answered."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", metavar="PATH", nargs="+", help="files, folders, archives, patterns; - is standard input"
    )
    group = parser.add_argument_group("reading")
    group.add_argument("--ticket", choices=("file", "folder"), default="file",
                       help="folder: a folder inside a folder is one ticket (default: each file is one)")  # fmt: skip
    group.add_argument("--text-field", metavar="NAME", default="", help="field of a JSONL export that holds the text; "
                       "dots lead into objects (default: text, body, description …)")  # fmt: skip
    group.add_argument("--id-field", metavar="NAME", default="", help="field of a JSONL export that names the ticket "
                       "(default: its line)")  # fmt: skip
    group.add_argument("--jobs", metavar="N", type=int, default=0, help="processes (default: as many as processors)")
    group.add_argument("--state", metavar="FILE", type=Path, help="note answers here, and take those that stand there")
    group.add_argument("--timeout", metavar="SECONDS", type=float, default=SECONDS,
                       help=f"time limit for each ticket (default: {SECONDS:g})")  # fmt: skip
    shared.knowledge(parser)
    shared.output(parser, FORMATS)


def run(options: argparse.Namespace) -> int:
    if options.jobs < 0 or options.timeout <= 0:
        raise UsageError("--jobs and --timeout take a number above 0")
    demand_once(options.paths)
    once = [path for path in dict.fromkeys(options.paths) if path == STDIN or is_pipe(path)]
    if not once and not any(map(named, options.paths)):
        # One that is missing beside others is a ticket that cannot be read; where all are, it is a slip.
        raise UsageError(f"{one_line(options.paths[0])} cannot be read: {_why_not(options.paths[0])}")
    look = shared.look(options)
    order = Order(shared.folders(options), options.format, options.fail_on, options.timeout, look)
    with ExitStack() as stack:
        copies = {path: stack.enter_context(_copied(path)) for path in once}
        how = Reading(Fields(options.text_field, options.id_field), options.ticket, copies)
        found: Iterable[Ticket] = tickets(options.paths, how)
        jobs = options.jobs or cores()
        if options.state:
            base, _ = shared.base(options)
            form = f"{options.format} {options.fail_on} {look.unicode}"
            given = _with_state(found, order, jobs, stack.enter_context(journal(options.state, base, form)))
        else:
            given = answers(found, order, jobs)
        out = stack.enter_context(answering(options.output))
        return write(_told(given, options.quiet), options.format, out, look, options.quiet)


@contextmanager
def _copied(path: str) -> Iterator[str]:
    """What can be read but once, in a file. Raises UsageError for a list of names: no log would be wrong with it."""
    with spooled(path, LARGEST_INPUT) as copy:
        with open(copy, "rb") as stream:
            lines = [os.fsdecode(line.strip()) for line in stream.read(4096).splitlines()[:20]]
        if lines and all(line and os.path.lexists(line) for line in lines[:-1] or lines):
            raise UsageError(
                f"{said(path)} holds names of files, not what is in them: `… | xargs -d '\\n' gpu-doctor triage`"
            )
        yield copy


def _why_not(path: str) -> str:
    try:
        os.lstat(path)
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or str(error)
    return "no such file or folder"


def _with_state(found: Iterable[Ticket], order: Order, jobs: int, noted: Journal) -> Iterator[Answer]:
    """Answers that are noted are taken, the others made and noted, all in order."""
    if len(noted):
        print(f"{len(noted):,} answers are noted already", file=sys.stderr)
    order_of: deque[tuple[bytes, bool]] = deque()

    def new() -> Iterator[Ticket]:
        for ticket in found:
            key = key_of(ticket)
            is_noted = key in noted
            order_of.append((key, is_noted))
            if not is_noted:
                yield ticket

    for one in answers(new(), order, jobs):
        yield from _noted(order_of, noted)
        key, _ = order_of.popleft()
        if one.state != "unread":  # what could not be read today may be tomorrow
            noted.put(key, one)
        yield one
    yield from _noted(order_of, noted)


def _noted(order_of: deque[tuple[bytes, bool]], noted: Journal) -> Iterator[Answer]:
    """The noted answers that come next."""
    while order_of and order_of[0][1]:
        yield noted.get(order_of.popleft()[0])


def _told(given: Iterable[Answer], quiet: bool) -> Iterator[Answer]:
    """The answers, counted on stderr where that is a terminal."""
    terminal: TextIO | None = sys.stderr if sys.stderr.isatty() and not quiet else None
    for number, one in enumerate(given, 1):
        if terminal and number % 50 == 0:
            print(f"\r\x1b[K{number:,} tickets …", end="", file=terminal, flush=True)
        yield one
    if terminal:
        print("\r\x1b[K", end="", file=terminal, flush=True)
