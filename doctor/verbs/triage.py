"""Diagnose many logs and recorded snapshots at once.

Files and folders of them. A ticket that cannot be read costs its own line and never stops the rest.

examples:
  gpu-doctor triage tickets/
  gpu-doctor triage --format jsonl tickets/*.log > reports.jsonl
"""

from __future__ import annotations

import argparse

from doctor.bundles.sources import tickets
from doctor.check import discover
from doctor.triage.examine import Bench, examine
from doctor.verbs import options as shared


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="+", help="logs, snapshots, or folders of them")
    shared.knowledge(parser)
    shared.output(parser, ("text", "json", "jsonl", "markdown"))


def run(options: argparse.Namespace) -> int:
    base, patterns = shared.base(options)
    bench = Bench(base, patterns, discover())
    return shared.answer([examine(ticket, bench) for ticket in tickets(options.paths)], options)
