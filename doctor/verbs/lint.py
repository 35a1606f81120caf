"""GPU requests in Dockerfiles, compose files and Kubernetes manifests that cannot work, each with the corrected lines.

Which kind a file is shows by its content. Nothing is built, started or changed; the first fix of a finding is a diff
that `patch` takes.

examples:
  gpu-doctor lint Dockerfile compose.yaml k8s/*.yaml
  helm template . | gpu-doctor lint -
  gpu-doctor lint --format sarif --output lint.sarif Dockerfile
"""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Sequence

from doctor.errors import UsageError
from doctor.input import demand_once, said, whole
from doctor.lint.examine import UNKNOWN, lint
from doctor.lint.yaml_lines import LARGEST
from doctor.render.lint import lint_text
from doctor.report import Report
from doctor.text import one_line
from doctor.verbs import options as shared


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="a Dockerfile, compose file or manifest; - is standard input"
    )
    parser.add_argument(
        "--ignore-unknown", action="store_true", help="pass over files of no known kind, as a hook names them too"
    )
    shared.knowledge(parser)
    shared.output(parser, ("text", "json", "jsonl", "markdown", "html", "sarif", "junit", "csv"))


def run(options: argparse.Namespace) -> int:
    demand_once(options.files)
    base, _ = shared.base(options)
    reports = [lint(said(name), _read(name), base) for name in options.files]
    if options.ignore_unknown:
        reports = [report for report in reports if report.not_examined != (UNKNOWN,)]
    if reports and not any(report.examined for report in reports):
        raise UsageError(_unreadable(reports))
    code = shared.answer(reports, options, {"text": lint_text})
    # A file that is no such file beside others that are is no reason to fail.
    return 0 if code == 3 else code


def _unreadable(reports: Sequence[Report]) -> str:
    """Why none of the files could be examined: of one its reason, of several the first one's."""
    first = reports[0]
    more = f" (and {len(reports) - 1} more)" if reports[1:] else ""
    return f"{one_line(first.name, 400)} cannot be checked: {one_line(first.not_examined[0])}{more}"


def _read(name: str) -> bytes:
    """Raises UsageError."""
    if os.path.isdir(name):
        raise UsageError(f"{name} is a folder: name its files, as {shlex.quote(name.rstrip('/'))}/*.yaml")
    return whole(name, LARGEST, "a Dockerfile, compose file or manifest", is_text=True)
