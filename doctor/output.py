"""Where an answer goes: standard output, or a file that is written whole or not at all."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO

from doctor.errors import UsageError
from doctor.text import one_line

STDOUT = "standard output"


@contextmanager
def writing(name: str | os.PathLike[str]) -> Iterator[None]:
    """Whatever is written to `name` in here: raises UsageError, with the reason, where that fails.

    A reader that left (BrokenPipeError) is no failure, and goes on to whoever called.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"{one_line(os.fspath(name), 400)} cannot be written: {error.strerror or error}") from None


@contextmanager
def answering(path: str | os.PathLike[str] | None) -> Iterator[TextIO]:
    """A stream for the answer: of the file, or standard output where there is none. Raises UsageError."""
    if path is not None:
        with written(path) as stream:
            yield stream
        return
    with writing(STDOUT):
        yield sys.stdout
        sys.stdout.flush()


def to_stdout(data: bytes) -> None:
    """Bytes to standard output. Raises UsageError."""
    with writing(STDOUT):
        stream: BinaryIO = sys.stdout.buffer
        stream.write(data)
        stream.flush()


@contextmanager
def written(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    """A stream that becomes the file when all is written. A device or a pipe is written to as it is.

    Raises UsageError where the file cannot be written.
    """
    place = os.path.realpath(path)  # a link stays a link
    part = None
    try:
        with writing(path):
            if not os.path.exists(place) or stat.S_ISREG(os.stat(place).st_mode):
                part = f"{place}.part"
            with open(part or place, "w", encoding="utf-8", newline="") as stream:
                yield stream
            if part:
                os.replace(part, place)
                part = None
    finally:
        if part and os.path.lexists(part):
            os.unlink(part)


def destination(word: str) -> Path | None:
    """What --output names: a file, or None for standard output, which `-` means. Raises UsageError."""
    if not word:
        raise UsageError("--output was given an empty name; is a variable not set?")
    return None if word == "-" else Path(word)
