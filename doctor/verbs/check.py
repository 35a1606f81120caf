"""Run all checks on this machine, and with --container diagnose one that failed.

The container may run, have ended, or never have started. Its configuration, state, last log lines and image are
read through the engine's API; nothing is started or changed.

With --image the files of that image are read too, and judged with this machine's GPUs and driver.

examples:
  gpu-doctor check
  gpu-doctor check --container trainer
  gpu-doctor check --image trainer:2.3 --log trainer.log
  gpu-doctor check --container trainer --json
"""

from __future__ import annotations

import argparse

from doctor.engine import ReportReady
from doctor.errors import UsageError
from doctor.verbs import options as shared


def arguments(parser: argparse.ArgumentParser) -> None:
    examined(parser)
    shared.selection(parser)
    shared.knowledge(parser)
    shared.output(parser, ("text", "json", "jsonl", "markdown"))


def examined(parser: argparse.ArgumentParser) -> None:
    """What to look at: shared with record."""
    parser.add_argument("--container", metavar="NAME", help="a container's name or id: running, ended or never started")
    parser.add_argument("--image", metavar="REF", help="an image, an archive or a folder, as `gpu-doctor image` takes")
    parser.add_argument(
        "--log",
        metavar="FILE",
        action="append",
        default=[],
        help="a log that belongs to the failure; - is standard input",
    )
    parser.add_argument("--root", metavar="DIR", default="/", help="read the host's files below this folder")
    parser.add_argument("--timeout", metavar="SECONDS", type=float, help="time limit for each command (default: 5)")


def run(options: argparse.Namespace) -> int:
    checks = shared.checks(options)
    base, patterns = shared.base(options)
    for event in shared.examine(options, checks, base, patterns):
        if isinstance(event, ReportReady):
            _demand_container(options, event)
            _demand_image(options, event)
            return shared.answer([event.report], options)
    raise UsageError("the examination ended without a report")


def _advice(told: str) -> str:
    """What to do where the engine does not let us ask."""
    if "ermission denied" in told:
        return "; use sudo, or join the group that owns the socket (`ls -lL` shows it) and log in again"
    if "refused" in told or "No such file" in told:
        return "; is it running? `systemctl status docker`, or `podman system service` for Podman"
    return ""


def _demand_container(options: argparse.Namespace, event: ReportReady) -> None:
    """A container that was named must have been found."""
    if not options.container:
        return
    reading = event.snapshot.get("docker:container")
    if reading and reading.state == "ok":
        return
    if reading is None:
        reasons = [row for row in event.report.not_examined if row.startswith("engine")]
        told = "; ".join(row.removeprefix("engine: ") for row in reasons)
        raise UsageError(f"no container engine could be asked about {options.container!r}: {told}{_advice(told)}")
    failed = [one.name for one in shared.failed_containers(event.snapshot)]
    version = event.snapshot.get("docker:version")
    program = "podman" if version and "Podman" in version.text else "docker"
    known = f"; failed lately: {', '.join(failed)}" if failed else f"; `{program} ps -a` lists all"
    raise UsageError(f"there is no container {options.container!r}{known}")


def _demand_image(options: argparse.Namespace, event: ReportReady) -> None:
    """An image that was named must have been read; one that takes too long is told as not examined."""
    reading = event.snapshot.get("image:contents")
    if options.image and reading and reading.state == "failed":
        raise UsageError(f"--image: {reading.error}")
