"""Diagnose error logs; no machine needed.

A file, several, or - for standard input. Nothing but the text is looked at, unless --image names the image that
printed it: then what is in its files, and whether they run on the GPU, is part of the diagnosis.

examples:
  gpu-doctor explain train.log
  docker logs trainer 2>&1 | gpu-doctor explain -
  gpu-doctor explain train.log --image trainer:2.3 --gpu "RTX 5090" --driver 550.54
"""

from __future__ import annotations

import argparse
import os
import shlex

from doctor.errors import UsageError
from doctor.finding import Finding
from doctor.input import demand_once, opened, said
from doctor.knowledge import Base
from doctor.logs import explain_stream
from doctor.report import Report
from doctor.verbs import options as shared


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="*", default=["-"], help="a log; - is standard input")
    parser.add_argument("--image", metavar="REF", help="the image that printed it, as `gpu-doctor image` takes")
    parser.add_argument(
        "--gpu", metavar="GPU", action="append", default=[], help="where it ran (default: this machine's GPUs)"
    )
    parser.add_argument("--driver", metavar="VERSION", help="NVIDIA driver there (default: this machine's)")
    shared.knowledge(parser)
    shared.output(parser, ("text", "json", "jsonl", "markdown"))


def run(options: argparse.Namespace) -> int:
    base, patterns = shared.base(options)
    demand_once(options.files)
    beside, notes = _of_image(options, base)
    reports: list[Report] = []
    for name in options.files:
        if os.path.isdir(name):
            raise UsageError(f"{name} is a folder; for many logs use `gpu-doctor triage {shlex.quote(name)}`")
        with opened(name, "the log", is_text=True) as stream:
            reports.append(explain_stream(stream, said(name), base, patterns, beside=beside, notes=notes))
    return shared.answer(reports, options)


def _of_image(options: argparse.Namespace, base: Base) -> tuple[list[Finding], list[str]]:
    """What the named image's files show, and what that means for the GPUs in a line each."""
    if not options.image:
        if options.gpu or options.driver:
            raise UsageError("--gpu and --driver tell where --image ran: name the image too")
        return [], []
    from doctor.image.examination import Examination
    from doctor.image.inventory import examine
    from doctor.image.verdict import findings, judge
    from doctor.verbs import image

    gpus, driver = image.where_it_runs(options, base)
    contents = examine(options.image, image.own_platform(), Examination())
    verdicts = [judge(contents, gpu, driver or None) for gpu in gpus]
    notes = [f"image {contents.reference} on {one.gpu.name}: {one.runs}; {one.because}" for one in verdicts]
    left_out = [f"image: {row}" for row in contents.not_examined]
    return list(findings(contents, verdicts, driver or None)), notes + left_out
