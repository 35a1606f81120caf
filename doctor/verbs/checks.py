"""Every check, what it needs and what it reads.

examples:
  gpu-doctor checks list
  gpu-doctor checks list --only driver
  gpu-doctor checks list --json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

from doctor.check import Check
from doctor.probes import discover as discover_probes
from doctor.verbs import options as shared


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list",), nargs="?", default="list")
    shared.selection(parser)
    shared.output(parser, ("text", "json"))


def run(options: argparse.Namespace) -> int:
    chosen = shared.checks(options)
    if options.format == "json":
        shared.write(json.dumps(_content(chosen), indent=2) + "\n", options)
        return 0
    rows = []
    for one in chosen:
        rows.append(f"{one.area:<10} {one.id}: {one.says}")
        rows.append(f"{'':<10}   needs {', '.join(one.needs)}; may find {', '.join(one.faults)}")
    rows += ["", "What is looked at:"]
    rows += [f"{probe.area:<10} {probe.reads} (at most {probe.timeout:g} s)" for probe in discover_probes()]
    shared.write("\n".join(rows) + "\n", options)
    return 0


def _content(chosen: Sequence[Check]) -> dict[str, object]:
    checks = [
        {
            "id": one.id,
            "area": one.area,
            "says": one.says,
            "needs": one.needs,
            "uses": one.uses,
            "faults": one.faults,
        }
        for one in chosen
    ]
    probes = [{"area": one.area, "reads": one.reads, "timeout": one.timeout} for one in discover_probes()]
    return {"checks": checks, "probes": probes}
