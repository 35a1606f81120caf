"""Input that was named on the command line: a file, or `-` for standard input."""

from __future__ import annotations

import os
import stat
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from doctor.errors import UsageError
from doctor.output import writing
from doctor.text import one_line

STDIN = "-"
PATIENCE = 1.0
"""Seconds before it is said what is being waited for."""


def said(name: str | os.PathLike[str]) -> str:
    """The input's name as a person knows it."""
    return "standard input" if name == STDIN else os.fspath(name)


def demand_once(names: Sequence[str]) -> None:
    """Raises UsageError where standard input is named twice: what is read the second time would be empty, and wrong."""
    if list(names).count(STDIN) > 1:
        raise UsageError("standard input can be read but once: name it once, and files for the rest")


def pasted(what: str) -> BinaryIO:
    """Standard input; where that is a terminal, after word of how to end it."""
    if sys.stdin.isatty():
        print(f"paste {what}, then press Ctrl-D on a line of its own", file=sys.stderr)
    return sys.stdin.buffer


def piped(what: str) -> BinaryIO:
    """Standard input, for what nobody can paste. Raises UsageError where it is a terminal."""
    if sys.stdin.isatty():
        raise UsageError(f"standard input is a terminal: - reads {what} from a pipe or a file")
    return sys.stdin.buffer


def demand_file(name: str, what: str) -> None:
    """Raises UsageError where standard input is named for something whose parts are read as they are needed."""
    if name == STDIN:
        raise UsageError(f"{what} is read at many places, so not from standard input: write it to a file and name that")


@contextmanager
def spooled(name: str, limit: int) -> Iterator[str]:
    """The path of a file with all of an input that can be read but once; it is there until the context ends.

    Raises UsageError where the input cannot be read, is longer than the limit, or finds no room.
    """
    from tempfile import NamedTemporaryFile  # few need it, and it is slow to import

    with NamedTemporaryFile(prefix="gpu-doctor-") as copy:
        with opened(name, "the log", is_text=True) as stream:
            while piece := stream.read(1 << 20):
                if copy.tell() + len(piece) > limit:
                    raise UsageError(f"{said(name)} has more than {limit >> 30} GB: write it to a file and name that")
                with writing(copy.name):
                    copy.write(piece)
        with writing(copy.name):
            copy.flush()
        yield copy.name


@contextmanager
def _word_of_waiting(name: str) -> Iterator[None]:
    """A pipe opens when somebody writes to it: say so to who waits at a terminal."""
    words = f"waiting for something to write to {one_line(name, 200)}, a pipe; Ctrl-C ends it"
    timer = threading.Timer(PATIENCE, lambda: print(words, file=sys.stderr, flush=True))
    if sys.stderr.isatty() and is_pipe(name):
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def is_pipe(name: str) -> bool:
    """Whether it can be read but once, as what `<(command)` of a shell stands for."""
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)
    except (OSError, ValueError):
        return False


def whole(name: str | os.PathLike[str], limit: int, what: str = "", *, is_text: bool = False) -> bytes:
    """All of the input; of what is longer than the limit, one byte more than that. `what` it should be.

    Raises UsageError where it cannot be read.
    """
    with opened(name, what, is_text=is_text) as stream:
        return stream.read(limit + 1)


@contextmanager
def opened(name: str | os.PathLike[str], what: str = "", *, is_text: bool = False) -> Iterator[BinaryIO]:
    """The input as bytes; `what` it should be. Raises UsageError where it cannot be opened or read to its end."""
    try:
        if name == STDIN:
            yield (pasted if is_text else piped)(what)
            return
        with _word_of_waiting(said(name)):
            file = open(name, "rb")  # noqa: SIM115 - closed below
        with file:
            yield file
    except OSError as error:
        raise UsageError(f"{one_line(said(name), 400)} cannot be read: {error.strerror or error}") from None
