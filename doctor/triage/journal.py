"""The state file of a triage: the answers so far, so that a run that was interrupted goes on where it stopped.

A JSON object a line. The first names the program, its knowledge and the form of the output; where they differ the
file is begun anew. A last line that was cut off is forgotten.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from doctor.bundles.ticket import Ticket
from doctor.errors import UsageError
from doctor.knowledge import Base
from doctor.output import writing
from doctor.triage.answer import Answer
from doctor.version import __version__


def key_of(ticket: Ticket) -> bytes:
    """What tells one ticket from another, its content included: path, size and time, or a digest of the text."""
    if ticket.leaf is None:
        try:
            status = os.stat(ticket.path)
            told = f"{ticket.path}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ino}".encode(errors="replace")
        except OSError:
            told = os.urandom(16)
        return hashlib.sha256(told).digest()[:16]
    digest = hashlib.sha256(f"{ticket.name}\0{ticket.leaf.problem}\0".encode("utf-8", "replace"))
    digest.update(ticket.leaf.data)
    return digest.digest()[:16]


def knowledge_of(base: Base) -> str:
    """A digest of the entries in force."""
    return hashlib.sha256(repr(list(base.entries.values())).encode()).hexdigest()[:16]


class Journal:
    """Answers by ticket, on disk."""

    def __init__(self, file: BinaryIO, name: str, head: dict[str, Any]) -> None:
        """Raises UsageError where the file cannot be written."""
        self._file = file
        self._name = name
        self._places: dict[bytes, int] = {}
        with writing(name):
            self._read(head)

    def _read(self, head: dict[str, Any]) -> None:
        """Index what is there; else begin anew."""
        self._file.seek(0)
        first = self._file.readline()
        written = (json.dumps(head, sort_keys=True) + "\n").encode()
        if first != written:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(written)
            return
        place = self._file.tell()
        while (line := self._file.readline()) and line.endswith(b"\n"):
            self._places[bytes.fromhex(line[:32].decode("ascii", "replace"))] = place
            place = self._file.tell()
        self._file.seek(place)
        self._file.truncate()

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: bytes) -> bool:
        return key in self._places

    def get(self, key: bytes) -> Answer:
        """The answer that was given before. Raises KeyError."""
        self._file.seek(self._places[key])
        content = json.loads(self._file.readline()[33:])
        return Answer(**{**content, "ask": tuple(content["ask"]), "also": tuple(content["also"])})

    def put(self, key: bytes, given: Answer) -> None:
        """Note an answer; it is on its way to the disk when this returns. Raises UsageError."""
        with writing(self._name):
            self._places[key] = self._file.seek(0, os.SEEK_END)
            self._file.write(f"{key.hex()} {json.dumps(asdict(given))}\n".encode())
            self._file.flush()


@contextmanager
def journal(path: Path, base: Base, form: str) -> Iterator[Journal]:
    """The state file at a path, made if it is not there. Raises UsageError when it is something else."""
    head = {"gpu-doctor": __version__, "knowledge": knowledge_of(base), "form": form}
    name = f"--state {path}"
    with writing(name):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"{name} is no regular file; choose another name")
    with os.fdopen(descriptor, "r+b") as file:
        begin = file.read(32)
        if begin and not begin.startswith(b'{"form": '):
            raise UsageError(f"{name} is not the state of a triage; choose another name")
        try:
            yield Journal(file, name, head)
        except (ValueError, TypeError, KeyError):
            raise UsageError(f"{name} is damaged; remove it") from None
