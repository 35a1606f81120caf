"""Runs one verb: parses its options, turns errors into one line and an exit code."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NoReturn

from doctor.__main__ import VERBS, leave_pipe
from doctor.errors import UsageError
from doctor.output import answering
from doctor.version import __version__


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal; argparse's own way to ask for that imports shutil and all compressors."""

    def __init__(self, prog: str) -> None:
        try:
            columns = int(os.environ.get("COLUMNS") or os.get_terminal_size(1).columns)
        except (ValueError, OSError):
            columns = 80
        super().__init__(prog, width=max(columns - 2, 40))


class _Parser(argparse.ArgumentParser):
    """Help that begins with what the verb is for and its examples; errors on one line, with what to do."""

    about = ""

    def format_help(self) -> str:
        return f"{self.about}\n\n{super().format_help()}"

    def _print_message(self, message: str, file: Any = None) -> None:
        """Help and version, to standard output; argparse's own is silent where that fails."""
        with answering(None) as stream:
            stream.write(message)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")


def run(verb: str | None, words: list[str]) -> int:
    """Run the verb that the words name; without one, the app on a terminal and `check` elsewhere."""
    try:
        if verb is None:
            return _without_verb(words)
        if verb not in VERBS:
            raise UsageError(_unknown(verb))
        return _verb(verb, words[1:])
    except UsageError as error:
        print(f"gpu-doctor: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        leave_pipe()
        return 0
    except OSError as error:
        # Such as a home that this user may not enter: what was wrong and where, on one line.
        place = f"{error.filename}: " if error.filename else ""
        print(f"gpu-doctor: {place}{error.strerror or error}", file=sys.stderr)
        return 2


def _unknown(verb: str) -> str:
    import difflib

    near = difflib.get_close_matches(verb, VERBS, n=1)
    if near:
        return f"there is no verb {verb!r}; did you mean `gpu-doctor {near[0]}`?"
    if os.path.exists(verb):
        return f"there is no verb {verb!r}; to diagnose a log: `gpu-doctor explain {verb}`"
    return f"there is no verb {verb!r}; see `gpu-doctor --help`"


def _without_verb(words: list[str]) -> int:
    if not words and sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        from importlib.util import find_spec

        if find_spec("doctor.tui"):
            app: Any = importlib.import_module("doctor.tui.app")
            return int(app.run())
    return _verb("check", words)


def parser_of(verb: str, module: Any) -> argparse.ArgumentParser:
    """The parser of a verb: its own options, and those that all verbs have."""
    parser = _Parser(
        prog=f"gpu-doctor {verb}",
        formatter_class=_Formatter,
        allow_abbrev=False,
    )
    more = module.__doc__.partition("\n\n")[2].strip()
    parser.about = f"{VERBS[verb][0].upper()}{VERBS[verb][1:]}.\n\n{more}".strip()
    version = f"gpu-doctor {__version__}"
    parser.add_argument("--version", action="version", version=version, help="show the version and exit")
    module.arguments(parser)
    return parser


def _verb(verb: str, words: list[str]) -> int:
    try:
        module: Any = importlib.import_module(f"doctor.verbs.{verb}")
    except ModuleNotFoundError as error:
        if error.name != f"doctor.verbs.{verb}":
            raise
        raise UsageError(f"{verb} is not part of this version") from None
    parser = parser_of(verb, module)
    if any(not word and not before.startswith("-") for before, word in pairwise((verb, *words))):
        raise UsageError(f"{verb} was given an empty name; is a variable not set?")
    options = parser.parse_args(words)
    call: Callable[[argparse.Namespace], int] = module.run
    return call(options)
