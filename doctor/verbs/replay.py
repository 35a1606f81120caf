"""Diagnose a recorded snapshot, as if it were this machine.

examples:
  gpu-doctor replay snapshot.gz
  gpu-doctor replay snapshot.gz --format markdown --output ticket.md
  ssh gpu-07 gpu-doctor record -o - | gpu-doctor replay -
"""

from __future__ import annotations

import argparse

from doctor.engine import judge
from doctor.snapshot import load
from doctor.verbs import options as shared


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="what `gpu-doctor record` wrote; - is standard input")
    shared.selection(parser)
    shared.knowledge(parser)
    shared.output(parser, ("text", "json", "jsonl", "markdown"))


def run(options: argparse.Namespace) -> int:
    checks = shared.checks(options)
    snapshot = load(options.file)
    base, patterns = shared.base(options)
    return shared.answer([judge(snapshot, checks, base, patterns)], options)
