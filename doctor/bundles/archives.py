"""The texts in archives, archives within archives among them. Nothing is unpacked to disk; names are only names.

Every limit that is reached becomes a leaf that says so.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from doctor.binary import zip_archive
from doctor.binary.magic import ZIP
from doctor.binary.reader import Damaged, Reader, Source
from doctor.bundles.compressed import Broken, is_compressed, unpacked
from doctor.bundles.support import is_support_bundle
from doctor.bundles.ticket import Leaf
from doctor.image import archive as tar

DEEPEST = 4
"""Archives within archives that are looked into."""
TEXT = 64 << 20
"""Bytes of one text that are read."""
MEMBERS = 500_000
PAYLOAD = 32 << 30
RATIO, RATIO_FROM = 250, 1 << 30
"""Bytes out for each byte in, judged after so many bytes; logs rarely reach 50."""
TAR_SIGN = (257, b"ustar")
IGNORED = ("__MACOSX/", ".DS_Store")


@dataclass(slots=True)
class Budget:
    """What one file may cost."""

    size: int
    """Bytes that the file has on disk."""
    members: int = 0
    payload: int = 0

    def spend(self, size: int) -> None:
        """Raises Spent."""
        self.members += 1
        self.payload += size
        if self.members > MEMBERS:
            raise Spent(f"more than {MEMBERS:,} files in it; the rest was not read")
        if self.payload > PAYLOAD:
            raise Spent(f"more than {PAYLOAD >> 30} GB came out of it; the rest was not read")
        if self.payload > RATIO_FROM and self.payload > RATIO * self.size:
            raise Spent(f"packed more than {RATIO} to 1: taken for a decompression bomb, the rest was not read")


class Spent(Exception):
    """The budget is used up; the text says which."""


class _Forward:
    """A stream as a source that is read from front to back; a little can be read again."""

    AGAIN = 8192

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._at = 0
        self._kept = b""
        self.size = 1 << 62

    def read_at(self, offset: int, size: int) -> bytes:
        begin = self._at - len(self._kept)
        if offset < begin:
            raise Broken(0, "the archive leads backwards")
        while self._at < offset:
            piece = self._stream.read(min(1 << 20, offset - self._at))
            if not piece:
                return b""
            self._keep(piece)
        begin = self._at - len(self._kept)
        data = self._kept[offset - begin :][:size]
        if len(data) < size:
            more = self._stream.read(size - len(data))
            self._keep(more)
            data += more
        return data

    def _keep(self, piece: bytes) -> None:
        self._at += len(piece)
        self._kept = (self._kept + piece)[-self.AGAIN :] if len(piece) < self.AGAIN else piece[-self.AGAIN :]


def is_archive(head: bytes) -> bool:
    """Whether bytes are the beginning of a zip or tar archive; 262 of them tell."""
    return head.startswith((ZIP, b"PK\x05\x06")) or is_tar(head)


def is_tar(head: bytes) -> bool:
    at, sign = TAR_SIGN
    return head[at : at + len(sign)] == sign


def leaves(name: str, head: bytes, stream: BinaryIO, budget: Budget, depth: int = DEEPEST) -> Iterator[Leaf]:
    """The texts of something: itself, or what an archive or compressed file holds. Raises nothing for its content.

    `stream` is at its beginning and can seek; `head` is its first 512 bytes. `name` is put before the names inside.
    """
    try:
        yield from _leaves(name, head, stream, budget, depth)
    except Spent as limit:
        yield Leaf(name, b"", problem=str(limit))
    except OSError as error:  # Broken among them
        yield Leaf(name, b"", problem=error.strerror or "cannot be read")
    except Damaged as error:
        yield Leaf(name, b"", problem=error.reason)
    except tar.NotTar as error:
        yield Leaf(name, b"", problem=str(error))


def _leaves(name: str, head: bytes, stream: BinaryIO, budget: Budget, depth: int) -> Iterator[Leaf]:
    if is_compressed(head):
        inner = _Forward(unpacked(stream, head))
        if is_tar(inner.read_at(0, 512)):
            yield from _of_tar(name, inner, budget, depth)
            return
        data = inner.read_at(0, TEXT + 1)
        budget.spend(len(data))
        yield from _of_data(name, data, budget, depth)
    elif is_tar(head):
        yield from _of_tar(name, _Forward(stream), budget, depth)
    elif is_archive(head):
        yield from _of_zip(name, _Seekable(stream), budget, depth)
    else:
        data = stream.read(TEXT + 1)
        budget.spend(len(data))
        yield Leaf(name, data[:TEXT], len(data) > TEXT)


def _of_data(name: str, data: bytes, budget: Budget, depth: int) -> Iterator[Leaf]:
    """A member: a text, or an archive again."""
    head = data[:512]
    if not (is_compressed(head) or is_archive(head)):
        yield Leaf(name, data[:TEXT], len(data) > TEXT)
    elif len(data) > TEXT:
        yield Leaf(name, b"", problem=f"an archive of more than {TEXT >> 20} MB inside another")
    elif depth <= 0:
        yield Leaf(name, b"", problem=f"archives within archives more than {DEEPEST} deep")
    elif is_support_bundle(first_names(head, io.BytesIO(data))):
        yield Leaf(name, data, is_bundle=True)
    else:
        try:
            yield from _leaves(name, head, io.BytesIO(data), budget, depth - 1)
        except OSError as error:
            yield Leaf(name, b"", problem=error.strerror or "cannot be read")
        except Damaged as error:
            yield Leaf(name, b"", problem=error.reason)
        except tar.NotTar as error:
            yield Leaf(name, b"", problem=str(error))


def _of_tar(name: str, source: Source, budget: Budget, depth: int) -> Iterator[Leaf]:
    for member in tar.members(source):
        inner = _named(name, member.name)
        if member.type not in (b"0", b"\0", b"7") or _is_ignored(member.name):
            budget.spend(0)
            continue
        if member.sparse:
            budget.spend(0)
            yield Leaf(inner, b"", problem="a sparse file is not read")
            continue
        data = source.read_at(member.at, min(member.size, TEXT + 1))
        budget.spend(len(data))
        if len(data) < min(member.size, TEXT + 1):
            yield Leaf(inner, data, cut=True)
            raise Broken(0, "the archive ends early")
        yield from _of_data(inner, data, budget, depth)


def _of_zip(name: str, source: Source, budget: Budget, depth: int) -> Iterator[Leaf]:
    reader = Reader(source, reads=1 << 40, size_limit=1 << 60)
    for member in zip_archive.members(reader):
        inner = _named(name, member.name)
        if _is_ignored(member.name):
            continue
        try:
            data = zip_archive.open_member(reader, member).read_at(0, TEXT + 1)
        except Damaged as error:
            budget.spend(0)
            yield Leaf(inner, b"", problem="it is encrypted" if member.encrypted else error.reason)
            continue
        budget.spend(len(data))
        yield from _of_data(inner, data, budget, depth)


class _Seekable:
    """A file as a source."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.size = stream.seek(0, io.SEEK_END)

    def read_at(self, offset: int, size: int) -> bytes:
        self._stream.seek(offset)
        return self._stream.read(size)


def _is_ignored(name: str) -> bool:
    return name.startswith(IGNORED[0]) or name.endswith("/" + IGNORED[1]) or name == IGNORED[1]


def _named(outer: str, inner: str) -> str:
    return f"{outer}:{printable(inner)}"


def printable(name: str) -> str:
    """A name whose bytes are no UTF-8 with those bytes written out, since it goes into JSON and onto terminals."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def first_names(head: bytes, stream: BinaryIO, most: int = 64) -> list[str]:
    """The first names in an archive, to see what kind it is; none where it cannot be read. Moves the stream."""
    names: list[str] = []
    try:
        if is_compressed(head):
            inner = _Forward(unpacked(stream, head))
            members = (one.name for one in tar.members(inner)) if is_tar(inner.read_at(0, 512)) else iter(())
        elif is_tar(head):
            members = (one.name for one in tar.members(_Forward(stream)))
        else:
            members = (one.name for one in zip_archive.members(Reader(_Seekable(stream))))
        for name in members:
            names.append(name)
            if len(names) >= most:
                break
    except (OSError, Damaged, tar.NotTar):
        pass
    return names
