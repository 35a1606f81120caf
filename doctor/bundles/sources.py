"""The tickets in what was named on the command line, in order."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from doctor.bundles.ticket import Ticket
from doctor.text import one_line

DEEPEST = 32
"""Folders within folders that are walked into."""


def tickets(paths: Iterable[str]) -> Iterator[Ticket]:
    """Every ticket: files as given, the files of folders by name. Nothing raises: what cannot be read says why."""
    for path in paths:
        yield from _of_path(path, path, DEEPEST)


def _of_path(path: str, name: str, deeper: int) -> Iterator[Ticket]:
    try:
        status = os.stat(path)
    except (OSError, ValueError) as error:
        yield unreadable(name, _why(error))
        return
    if stat.S_ISDIR(status.st_mode):
        yield from _of_folder(path, name, deeper)
    elif stat.S_ISREG(status.st_mode):
        yield Ticket(name, path, key=f"{path}\0{status.st_size}\0{status.st_mtime_ns}")
    else:
        yield unreadable(name, "not a file or folder")


def _of_folder(path: str, name: str, deeper: int) -> Iterator[Ticket]:
    if not deeper:
        yield unreadable(name, f"folders are nested more than {DEEPEST} deep")
        return
    try:
        names = sorted(os.listdir(path))
    except OSError as error:
        yield unreadable(name, _why(error))
        return
    for inner in names:
        whole = os.path.join(path, inner)
        # A link to a folder may lead back here.
        if not inner.startswith(".") and not (os.path.islink(whole) and os.path.isdir(whole)):
            yield from _of_path(whole, os.path.join(name, inner), deeper - 1)


def unreadable(name: str, reason: str) -> Ticket:
    return Ticket(name, problem=one_line(reason, 200), key=f"{name}\0{reason}")


def _why(error: Exception) -> str:
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else "the name cannot be a path"
