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
import shlex
import sys
from pathlib import Path

from doctor.errors import UsageError
from doctor.lint.examine import lint
from doctor.lint.yaml_lines import LARGEST
from doctor.render.lint import lint_text
from doctor.verbs import options as shared


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", metavar="FILE", nargs="+", help="a Dockerfile, compose file or manifest; - is standard input"
    )
    shared.knowledge(parser)
    shared.output(parser, ("text", "json", "jsonl", "markdown", "html", "sarif", "junit", "csv"))


def run(options: argparse.Namespace) -> int:
    base, _ = shared.base(options)
    reports = [lint("standard input" if name == "-" else name, _read(name), base) for name in options.files]
    code = shared.answer(reports, options, {"text": lint_text})
    # A file that is no such file beside others that are is no reason to fail.
    return 0 if code == 3 and any(report.examined for report in reports) else code


def _read(name: str) -> bytes:
    """Raises UsageError."""
    if name == "-":
        return sys.stdin.buffer.read(LARGEST + 1)
    if Path(name).is_dir():
        raise UsageError(f"{name} is a folder: name its files, as {shlex.quote(name.rstrip('/'))}/*.yaml")
    try:
        with Path(name).open("rb") as file:
            return file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{name} cannot be read: {getattr(error, 'strerror', None) or error}") from None
