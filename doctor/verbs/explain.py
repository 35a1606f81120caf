"""Diagnose error logs; no machine needed.

A file, several, or - for standard input. Nothing but the text is looked at.

examples:
  gpu-doctor explain train.log
  docker logs trainer 2>&1 | gpu-doctor explain -
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import BinaryIO

from doctor.errors import UsageError
from doctor.logs import explain_stream
from doctor.report import Report
from doctor.verbs import options as shared


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="*", default=["-"], help="a log; - is standard input")
    shared.knowledge(parser)
    shared.output(parser, ("text", "json", "jsonl", "markdown"))


def run(options: argparse.Namespace) -> int:
    base, patterns = shared.base(options)
    reports: list[Report] = []
    for name in options.files:
        with _opened(name) as stream:
            reports.append(explain_stream(stream, "standard input" if name == "-" else name, base, patterns))
    return shared.answer(reports, options)


def _opened(name: str) -> BinaryIO:
    """The log as bytes. Raises UsageError."""
    if name == "-":
        if sys.stdin.isatty():
            print("paste the log, then press Ctrl-D on a line of its own", file=sys.stderr)
        return sys.stdin.buffer
    path = Path(name)
    if path.is_dir():
        raise UsageError(f"{name} is a folder; for many logs use `gpu-doctor triage {name}`")
    try:
        return path.open("rb")
    except OSError as error:
        raise UsageError(f"{name} cannot be read: {error.strerror}") from None
