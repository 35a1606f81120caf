"""Options that several verbs share, and what they mean."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from doctor.errors import UsageError
from doctor.input import demand_once
from doctor.knowledge import Base, load
from doctor.match import Patterns, patterns_of
from doctor.output import answering, destination
from doctor.render import RENDERERS, Renderer
from doctor.render.appearance import Appearance, appearance
from doctor.report import Report, exit_code

if TYPE_CHECKING:  # what only machines need is imported where it is used: explaining a log starts faster without
    from doctor.check import Check
    from doctor.engine import Event
    from doctor.facts.engine import ListedContainer
    from doctor.redact import Redactor
    from doctor.snapshot import Snapshot


def output(
    parser: argparse.ArgumentParser,
    formats: Sequence[str],
    *,
    fail_on: str = "exit with 1 from this severity on",
    verbose: str = "show passing checks and sources too",
) -> None:
    """--format, --json, --output, --fail-on and how talkative to be."""
    group = parser.add_argument_group("output")
    group.add_argument("--format", choices=formats, default="text", help="form of the answer (default: text)")
    group.add_argument("--json", action="store_const", const="json", dest="format", help="short for --format json")
    group.add_argument("--output", metavar="FILE", type=destination, help="write the answer to a file, not to stdout")
    group.add_argument(
        "--fail-on",
        choices=("error", "warning", "never"),
        default="error",
        help=fail_on,
    )
    group.add_argument("--quiet", action="store_true", help="say nothing where nothing is wrong")
    group.add_argument("--verbose", action="store_true", help=verbose)
    group.add_argument("--color", choices=("auto", "always", "never"), default="auto", help="colours in text")


def knowledge(parser: argparse.ArgumentParser) -> None:
    """--knowledge."""
    parser.add_argument(
        "--knowledge",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="a folder with more entries",
    )


def selection(parser: argparse.ArgumentParser) -> None:
    """--only and --skip."""
    parser.add_argument("--only", metavar="GLOB", action="append", default=[], help="only checks or areas of this name")
    parser.add_argument("--skip", metavar="GLOB", action="append", default=[], help="not these checks or areas")


def base(options: argparse.Namespace) -> tuple[Base, Patterns]:
    """The knowledge base in force. Raises UsageError when a named folder is not there."""
    loaded = load(folders(options))
    return loaded, patterns_of(loaded)


def folders(options: argparse.Namespace) -> tuple[Path, ...]:
    """The folders with entries beside the shipped ones. Raises UsageError when a named one is not there."""
    for folder in options.knowledge:
        if not os.path.isdir(folder):
            raise UsageError(f"--knowledge {folder}: no such folder")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise UsageError(f"--knowledge {folder} cannot be read: Permission denied")
    own = config_folder() / "knowledge"
    # Path.is_dir would raise for a home that this user may not enter.
    return (*([own] if os.path.isdir(own) else []), *options.knowledge)


def config_folder() -> Path:
    """Where the user's own settings lie (XDG base directory specification)."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.environ.get("HOME") or "/nonexistent", ".config")
    return Path(home) / "gpu-doctor"


def checks(options: argparse.Namespace) -> tuple[Check, ...]:
    """The selected checks. Raises UsageError when --only matches none."""
    from doctor.check import discover
    from doctor.engine import Selection

    chosen = Selection(tuple(options.only), tuple(options.skip)).of(discover())
    if options.only and not chosen:
        raise UsageError(f"--only {' '.join(options.only)} matches no check; see `gpu-doctor checks list`")
    return chosen


def write(text: str, options: argparse.Namespace) -> None:
    """The answer, to where it was asked for. Raises UsageError."""
    with answering(options.output) as stream:
        stream.write(text)


def answer(reports: Sequence[Report], options: argparse.Namespace, own: Mapping[str, Renderer] | None = None) -> int:
    """Render and write reports, in a form of the verb's own where it has one; the exit code of the worst."""
    codes = [exit_code(report, options.fail_on) for report in reports]
    code = 1 if 1 in codes else max(codes, default=0)
    if options.quiet and code == 0:
        return 0
    write({**RENDERERS, **(own or {})}[options.format](reports, look(options)), options)
    return code


def examine(
    options: argparse.Namespace,
    checks: Sequence[Check],
    base: Base,
    patterns: Patterns,
) -> Iterator[Event]:
    """Run the probes on the live system, with progress on stderr where that is a terminal."""
    from doctor import engine
    from doctor.probes import discover
    from doctor.probes.system import COMMAND_SECONDS, System
    from doctor.snapshot import Target

    _demand_sense(options)
    demand_once(options.log)
    for name in options.log:
        _demand_log(name)
    if not os.path.isdir(options.root):
        raise UsageError(f"--root {options.root}: no such folder")
    system = System(options.root, (options.timeout or COMMAND_SECONDS) / COMMAND_SECONDS, redactor())
    target = Target(options.container, options.image, tuple(options.log), options.root)
    progress = _Progress(sys.stderr.isatty() and not options.quiet)
    try:
        for event in engine.run(target, system, discover(), checks, base, patterns):
            progress.show(event)
            yield event
    finally:
        progress.clear()


def _demand_sense(options: argparse.Namespace) -> None:
    """Raises UsageError for what cannot be meant."""
    if options.container == "":
        raise UsageError("--container needs a name; `docker ps -a` lists all")
    if options.container and options.root != "/":
        raise UsageError(
            "--container is asked of the engine of this machine, not of one below --root: give one of them"
        )
    if options.timeout is not None and not options.timeout > 0:
        raise UsageError(f"--timeout {options.timeout:g}: must be more than 0 seconds")


def _demand_log(name: str) -> None:
    """Raises UsageError for what is no log that can be read."""
    from doctor.logs import binary_kind

    try:
        # What is no file can be read but once, and by the probe.
        if name == "-" or (not stat.S_ISREG(mode := os.stat(name).st_mode) and not stat.S_ISDIR(mode)):
            return
        with open(name, "rb") as stream:
            kind = binary_kind(stream.read(8192))
    except OSError as error:
        raise UsageError(f"--log {name} cannot be read: {error.strerror}") from None
    if kind:
        raise UsageError(f"--log {name} is not a log: it is {kind}")


class _Progress:
    """One line on stderr that names what is still being looked at."""

    def __init__(self, on: bool) -> None:
        self._on = on
        self._areas: list[str] = []

    def show(self, event: Event) -> None:
        from doctor.engine import ProbeFinished, ProbeStarted

        if isinstance(event, ProbeStarted):
            self._areas.append(event.area)
        elif isinstance(event, ProbeFinished) and event.area in self._areas:
            self._areas.remove(event.area)
        self._say(f"looking at {', '.join(self._areas)} …" if self._areas else "")

    def clear(self) -> None:
        """The answer, or word of an interruption, begins on a line of its own."""
        self._say("")

    def _say(self, words: str) -> None:
        if self._on:
            print(f"\r\x1b[K{words}", end="", file=sys.stderr, flush=True)


def failed_containers(snapshot: Snapshot) -> list[ListedContainer]:
    """Containers of the engine that failed lately."""
    from doctor.facts import parse

    known = parse(snapshot).engine
    return [one for one in known.containers if one.failed] if known else []


def redactor() -> Redactor:
    """A redactor that knows this host's and this user's name."""
    import socket

    from doctor.redact import Redactor

    user = os.environ.get("SUDO_USER") or os.environ.get("USER") or ""
    return Redactor(socket.gethostname(), user)


def look(options: argparse.Namespace) -> Appearance:
    """How the answer may look where it goes."""
    return appearance(options.color, to_file=options.output is not None, verbose=options.verbose)
