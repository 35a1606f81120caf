"""Files that an answer is written to: whole or not at all."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from doctor.errors import UsageError
from doctor.text import one_line


@contextmanager
def written(path: str | os.PathLike[str]) -> Iterator[TextIO]:
    """A stream that becomes the file when all is written. A device or a pipe is written to as it is.

    Raises UsageError where the file cannot be written.
    """
    place = os.path.realpath(path)  # a link stays a link
    part = None
    try:
        if not os.path.exists(place) or stat.S_ISREG(os.stat(place).st_mode):
            part = f"{place}.part"
        with open(part or place, "w", encoding="utf-8", newline="") as stream:
            yield stream
        if part:
            os.replace(part, place)
            part = None
    except OSError as error:
        raise UsageError(f"{one_line(os.fspath(path))} cannot be written: {error.strerror}") from None
    finally:
        if part and os.path.lexists(part):
            os.unlink(part)
