"""GPU requests in Dockerfiles, compose files and Kubernetes manifests that cannot work, each with the corrected lines.

Which kind a file is shows by its content. Nothing is built, started or changed; the first fix of a finding is a diff
that `patch` takes.

examples:
  gpu-doctor lint Dockerfile compose.yaml k8s/*.yaml
  gpu-doctor lint --format sarif --output lint.sarif Dockerfile
"""

from __future__ import annotations

import argparse
from pathlib import Path

from doctor.errors import UsageError
from doctor.lint.examine import lint
from doctor.lint.yaml_lines import LARGEST
from doctor.report import Report
from doctor.verbs import options as shared


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", help="a Dockerfile, compose file or manifest")
    shared.knowledge(parser)
    shared.output(parser, ("text", "json", "jsonl", "markdown", "html", "sarif", "junit", "csv"))


def run(options: argparse.Namespace) -> int:
    base, _ = shared.base(options)
    reports: list[Report] = []
    for name in options.files:
        try:
            with Path(name).open("rb") as file:
                data = file.read(LARGEST + 1)
        except (OSError, ValueError) as error:
            raise UsageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
        reports.append(lint(name, data, base))
    return shared.answer(reports, options)
