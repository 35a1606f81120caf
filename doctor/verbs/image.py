"""What is in an image, and whether it runs on these GPUs: before anything is started.

REF is an image of Docker or Podman, archive://FILE[:TAG] (docker save or OCI), oci-dir://DIR[:NAME], fs://DIR (an
unpacked root), container://NAME, or a plain path to one of these. Nothing is run, pulled or unpacked. Without --gpu
the GPUs of this machine are asked about.

examples:
  gpu-doctor image trainer:2.3
  gpu-doctor image trainer:2.3 --gpu "RTX 5090" --gpu MI300X --gpu gfx1100 --driver 550.54
  gpu-doctor image archive://trainer.tar --gpu sm_90 --format sarif --output trainer.sarif
"""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Callable, Sequence

from doctor.data.cuda import version
from doctor.diagnose import diagnose
from doctor.errors import UsageError
from doctor.gpus import Gpu, gpu_named
from doctor.image.examination import Examination, Progress
from doctor.image.inventory import examine
from doctor.image.record import Contents
from doctor.image.verdict import as_json, findings, judge
from doctor.knowledge import Base, load
from doctor.logs import now
from doctor.match import Patterns, patterns_of
from doctor.report import Report
from doctor.text import one_line
from doctor.values import derive
from doctor.verbs import options as shared
from doctor.version import __version__

# uname -m to the names of image platforms.
_GOARCH = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "ppc64le": "ppc64le"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("references", metavar="REF", nargs="+", help="an image, an archive, a folder or a container")
    parser.add_argument(
        "--gpu",
        metavar="GPU",
        action="append",
        default=[],
        help="a name (RTX 5090), a target (sm_120, gfx1100) or a PCI id; several for a matrix",
    )
    parser.add_argument("--driver", metavar="VERSION", help="NVIDIA driver it will run with (default: this machine's)")
    parser.add_argument(
        "--platform", metavar="OS/ARCH", help="of an image for several platforms (default: this machine's)"
    )
    parser.add_argument(
        "--via-container",
        action="store_true",
        help="where the layers cannot be read: let the engine make a container of it, never started and removed"
        " again, which is quicker than saving the image",
    )
    shared.knowledge(parser)
    shared.output(parser, ("text", "json", "jsonl", "markdown", "sarif", "junit"))


def run(options: argparse.Namespace) -> int:
    base = load(shared.folders(options))
    asked, driver = where_it_runs(options, base)
    tell = _Line(sys.stderr.isatty() and not options.quiet)
    on = options.platform or own_platform()
    reports = [
        examined(reference, asked, driver, on, base, tell, options.via_container) for reference in options.references
    ]
    return shared.answer(reports, options)


def where_it_runs(options: argparse.Namespace, base: Base) -> tuple[list[Gpu], str]:
    """The GPUs and the NVIDIA driver that --gpu and --driver name, else this machine's. Raises UsageError."""
    asked = [gpu_named(text) for text in options.gpu]
    driver = options.driver or ""
    if driver and not version(driver):
        raise UsageError(f"--driver {one_line(driver, 60)!r} is no driver version such as 550.54.15")
    if asked:
        # The driver of this machine says nothing about GPUs that are elsewhere.
        return asked, driver
    here, own = of_this_machine(base, patterns_of(base))
    return here, driver or own


def examined(
    reference: str,
    asked: Sequence[Gpu],
    driver: str,
    on: str,
    base: Base,
    tell: Callable[[Progress | None], None] | None,
    via_container: bool = False,
) -> Report:
    """The report on one image. Raises UsageError where it cannot be read."""
    try:
        contents = examine(reference, on, Examination(tell=tell), via_container)
    finally:
        if tell is not None:
            tell(None)
    return report_on(contents, asked, driver, base)


def report_on(
    contents: Contents, asked: Sequence[Gpu], driver: str, base: Base, elsewhere: Sequence[Gpu] = ()
) -> Report:
    """The report out of what is in an image. Of GPUs `elsewhere` the driver is not known."""
    verdicts = [judge(contents, gpu, driver or None) for gpu in asked] + [judge(contents, gpu) for gpu in elsewhere]
    found = [derive(finding) for finding in findings(contents, verdicts, driver or None)]
    diagnoses = diagnose(found, base)
    notes = [*base.errors]
    if not verdicts:
        notes.append("no GPU was named and this machine shows none: add --gpu NAME to ask whether it runs there")
    return Report(
        kind="image",
        name=contents.reference,
        created=now(),
        tool_version=__version__,
        diagnoses=diagnoses.ranked,
        set_aside=diagnoses.set_aside,
        not_examined=contents.not_examined,
        notes=tuple(notes),
        examined=contents.files > 0,
        extra={"image": as_json(contents, verdicts)},
    )


def of_this_machine(base: Base, patterns: Patterns) -> tuple[list[Gpu], str]:
    """The GPUs of this machine and its NVIDIA driver, as far as they can be seen."""
    from doctor import engine
    from doctor.facts import parse
    from doctor.facts.gpus import nvidia_driver, present
    from doctor.probes import discover
    from doctor.probes.system import System
    from doctor.snapshot import Target

    wanted = [probe for probe in discover() if probe.area in ("pci", "nvidia", "nvml", "amd")]
    for event in engine.run(Target(), System(redactor=shared.redactor()), wanted, (), base, patterns):
        if isinstance(event, engine.ReportReady):
            facts = parse(event.snapshot)
            return list(present(facts.pci, facts.nvml, facts.amd)), nvidia_driver(facts.nvidia, facts.nvml)
    return [], ""


def own_platform() -> str:
    machine = platform.machine()
    return f"linux/{_GOARCH.get(machine, machine)}"


class _Line:
    """Progress on one line of stderr."""

    def __init__(self, on: bool) -> None:
        self._on = on

    def __call__(self, progress: Progress | None) -> None:
        if not self._on:
            return
        words = ""
        if progress is not None:
            words = f"reading {one_line(progress.what, 50)}: {progress.done >> 20} MB"
            words += f" of {progress.total >> 20} MB" if progress.total else ""
        print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)
