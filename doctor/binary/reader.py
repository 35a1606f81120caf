"""Random access to bytes that cannot be trusted: every read is clamped to the file and paid from a budget.

A `Reader` wraps anything with a `size` and a `read_at`: a plain file (`open_file`), bytes in memory
(`Memory`), a part of another source (`Part`: a stored zip member, an object in a static archive, a file in
an image layer). Format modules raise `Damaged`; `doctor.binary.scan` turns it into an `Unreadable` in the
result.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol

# The largest real library (542 MB, 5,737 images) takes 6,000 reads and 0.5 MB; a search through data takes
# more.
READS = 1 << 20
BYTES = 1 << 29


class Unreadable(NamedTuple):
    """A part of a file that could not be read or understood; `offset` in bytes from the file's start."""

    offset: int
    reason: str


class Problems:
    """What could not be read so far. A file that is broken in a million places takes no more room than `LIMIT`."""

    LIMIT = 64

    __slots__ = ("_beyond", "_records")

    def __init__(self) -> None:
        self._records: list[Unreadable] = []
        self._beyond = 0

    def add(self, offset: int, reason: str) -> None:
        if len(self._records) < self.LIMIT:
            self._records.append(Unreadable(offset, reason))
        else:
            self._beyond += 1

    def records(self) -> tuple[Unreadable, ...]:
        if not self._beyond:
            return tuple(self._records)
        more = Unreadable(self._records[-1].offset, f"and {self._beyond} more places after this one")
        return (*self._records, more)


class Damaged(Exception):
    """The bytes at `offset` are not what the format says, or reading them would cost too much."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"at offset {offset}: {reason}")
        self.offset = offset
        self.reason = reason


class Source(Protocol):
    """Where bytes come from. `read_at` may give fewer bytes than asked; it gets no range outside `size`."""

    @property
    def size(self) -> int: ...

    def read_at(self, offset: int, size: int) -> bytes: ...


class Reader:
    """Clamped, counted reads from a `Source`. `reads` and `bytes_read` say what was spent so far."""

    __slots__ = ("_byte_limit", "_read_limit", "_source_read", "bytes_read", "reads", "size", "source")

    def __init__(self, source: Source, reads: int = READS, size_limit: int = BYTES) -> None:
        self.source = source
        self.size = source.size
        self._source_read = source.read_at
        self._read_limit = reads
        self._byte_limit = size_limit
        self.reads = 0
        self.bytes_read = 0

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes at `offset`: fewer at the end of the file, none outside it.

        Raises Damaged when the budget is spent or the medium fails.
        """
        if offset + size > self.size:
            size = self.size - offset
        if size <= 0 or offset < 0:
            return b""
        self.reads += 1
        self.bytes_read += size
        if self.reads > self._read_limit or self.bytes_read > self._byte_limit:
            raise Damaged(offset, f"gave up after {self.reads} reads and {self.bytes_read} bytes")
        try:
            return self._source_read(offset, size)
        except OSError as error:
            raise Damaged(offset, error.strerror or type(error).__name__) from error

    def exactly(self, offset: int, size: int, what: str) -> bytes:
        """`size` bytes at `offset`. Raises Damaged when the file ends inside them; `what` names them then."""
        data = self.read_at(offset, size)
        if len(data) != size:
            raise Damaged(offset, f"the file ends inside {what}")
        return data


class File:
    """An open regular file, by descriptor; no seek position, so that it may be shared."""

    __slots__ = ("_descriptor", "size")

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size

    def read_at(self, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, offset)


class Memory:
    """Bytes that are already here."""

    __slots__ = ("_data", "size")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read_at(self, offset: int, size: int) -> bytes:
        return self._data[offset : offset + size]


class Part:
    """A range of another source, such as a stored zip member or an object in a static archive."""

    __slots__ = ("_source", "_start", "size")

    def __init__(self, source: Source, start: int, size: int) -> None:
        self._source = source
        self._start = start
        self.size = max(0, min(size, source.size - start))

    def read_at(self, offset: int, size: int) -> bytes:
        return self._source.read_at(self._start + offset, size)


@contextmanager
def open_file(path: str | os.PathLike[str]) -> Iterator[Reader]:
    """A reader of a regular file. Raises OSError; also for a pipe or device, which is never waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "not a regular file", os.fspath(path))
        yield Reader(File(descriptor, status.st_size))
    finally:
        os.close(descriptor)


def find(reader: Reader, needles: tuple[bytes, ...], at: int, end: int) -> tuple[int, bytes] | None:
    """The first place in [at, end) where one of the needles stands, and which one; None if there is none.

    Reads a little first, then a MiB at a time, because in real files the next hit is either very near or
    very far.
    """
    overlap = max(map(len, needles)) - 1
    size = 4096
    while at < end:
        data = reader.read_at(at, min(size, end - at))
        hits = [(place, needle) for needle in needles if (place := data.find(needle)) >= 0]
        if hits:
            place, needle = min(hits)
            return at + place, needle
        if len(data) <= overlap:
            return None
        at += len(data) - overlap
        size = 1 << 20
    return None
