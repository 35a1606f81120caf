"""Wheels and zip files read in place: a stored member by seeks, a deflated one as a stream with a bounded window.

Source: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT (4.3: end of central directory, zip64, headers).
The standard library's `zipfile` is not used because it holds the whole directory of an archive in memory and cannot go
back in a deflated member without starting over.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from doctor.binary.magic import ZIP
from doctor.binary.reader import BYTES, Damaged, Part, Reader, Source

_END = struct.Struct("<4s4H2IH")
_END_64_PLACE = struct.Struct("<4sIQI")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 1

_WINDOW = 1 << 20
# A copy of the decompressor's state at every so many bytes lets a read go back without starting over.
_CHECKPOINTS = 64
_MIN_STRIDE = 4 << 20
# Real libraries deflate to a third; 1000 is what a bomb has.
_MAX_RATIO = 200
_RATIO_FREE = 64 << 20
# The largest wheels have some 20,000 files.
MAX_MEMBERS = 500_000


@dataclass(frozen=True, slots=True)
class Member:
    """One file in a zip archive; `offset` is that of its local header."""

    name: str
    offset: int
    size: int
    packed_size: int
    method: int
    encrypted: bool


def members(reader: Reader) -> Iterator[Member]:
    """The files of the archive in the order of its directory. Raises Damaged."""
    at, end, base = _directory(reader)
    left = MAX_MEMBERS
    while at < end:
        window = reader.read_at(at, min(_WINDOW, end - at))
        place = 0
        while True:
            member, step = _entry(window, place, at, base)
            if step == 0:
                break
            place += step
            left -= 1
            if left < 0:
                raise Damaged(at + place, f"more than {MAX_MEMBERS} members in a zip archive")
            if not member.name.endswith("/"):
                yield member
        if place == 0:
            raise Damaged(at, "the directory of a zip archive ends inside an entry")
        at += place


def open_member(reader: Reader, member: Member) -> Reader:
    """A reader, with a budget of its own, of a member's content. Raises Damaged if it cannot be had."""
    if member.encrypted:
        raise Damaged(member.offset, "an encrypted member of a zip archive")
    local = reader.exactly(member.offset, _LOCAL.size, "a member's header")
    signature, *_, name_size, extra_size = _LOCAL.unpack(local)
    if signature != ZIP:
        raise Damaged(member.offset, "no member of a zip archive where its directory has one")
    data = Part(reader.source, member.offset + _LOCAL.size + name_size + extra_size, member.packed_size)
    if data.size < member.packed_size:
        raise Damaged(member.offset, "a member of a zip archive is cut off")
    if member.method == _STORED:
        return Reader(data)
    if member.method == _DEFLATED:
        return Reader(Inflated(data, member.size))
    raise Damaged(member.offset, f"a member of a zip archive packed by method {member.method}")


class Inflated:
    """A deflated stream read at any offset in flat memory.

    Going forward inflates; going back resumes from the nearest of a few dozen saved states (about 50 KB each). A
    stream that inflates to more than 200 times its size, or further than its directory entry says, is refused.
    """

    __slots__ = ("_at", "_checkpoints", "_data", "_input_at", "_position", "_spent", "_stream", "_stride", "size")

    def __init__(self, data: Source, size: int) -> None:
        self._data = data
        if size > _RATIO_FREE and size > _MAX_RATIO * data.size:
            raise Damaged(0, f"says that {data.size} bytes inflate to {size}")
        self.size = size
        self._stride = max(_MIN_STRIDE, size // _CHECKPOINTS)
        self._stream = zlib.decompressobj(-15)
        self._input_at = 0
        self._position = 0
        self._spent = 0
        # (place in the output, place in the input, state)
        self._checkpoints = [(0, 0, self._stream.copy())]

    def read_at(self, offset: int, size: int) -> bytes:
        self._go_to(offset)
        chunks = []
        left = size
        while left > 0:
            chunk = self._inflate(min(left, _WINDOW))
            if not chunk:
                break
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks)

    def _go_to(self, offset: int) -> None:
        saved = max((state for state in self._checkpoints if state[0] <= offset), key=lambda state: state[0])
        if offset < self._position or saved[0] > self._position:
            self._position, self._input_at, stream = saved
            self._stream = stream.copy()
        while self._position < offset:
            if not self._inflate(min(offset - self._position, _WINDOW)):
                return

    def _inflate(self, size: int) -> bytes:
        """The next bytes, at most `size`; none at the end of the stream."""
        if self._position - self._checkpoints[-1][0] >= self._stride:
            self._checkpoints.append((self._position, self._input_at, self._stream.copy()))
        try:
            while not self._stream.eof:
                packed = self._stream.unconsumed_tail
                if not packed:
                    packed = self._data.read_at(self._input_at, min(65_536, self._data.size - self._input_at))
                    self._input_at += len(packed)
                data = self._stream.decompress(packed, size)
                if data:
                    return self._account(data)
                if not packed:
                    break
        except zlib.error as error:
            raise Damaged(self._position, f"a deflated member that zlib cannot read: {error}") from error
        return b""

    def _account(self, data: bytes) -> bytes:
        self._position += len(data)
        self._spent += len(data)
        # Reading the headers of a library takes one pass to its end and one back; a few more are granted.
        if self._spent > 4 * self.size + BYTES:
            raise Damaged(self._position, "gave up inflating after four times the size of the member")
        return data


def _directory(reader: Reader) -> tuple[int, int, int]:
    """Start and end of the central directory, and how many bytes were put before the archive."""
    tail_size = min(reader.size, _END.size + 65_535)
    tail_at = reader.size - tail_size
    tail = reader.read_at(tail_at, tail_size)
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or place + _END.size > len(tail):
        raise Damaged(tail_at, "a zip archive without a directory")
    end = tail_at + place
    *_, size, offset, _ = _END.unpack_from(tail, place)
    record = _zip64_record(reader, end)
    if record is not None:
        end, size, offset = record
    elif 0xFFFFFFFF in (offset, size):
        raise Damaged(end, "a zip64 archive without its locator")
    base = end - size - offset
    if base < 0:
        raise Damaged(end, "the directory of a zip archive lies outside it")
    return end - size, end, base


def _zip64_record(reader: Reader, end: int) -> tuple[int, int, int] | None:
    """Place of the zip64 record, and size and offset of the directory in it; None if there is none.

    Some writers, PyTorch's among them, make one for small archives too.
    """
    place = end - _END_64_PLACE.size
    locator = reader.read_at(place, _END_64_PLACE.size)
    if locator[:4] != b"PK\x06\x07":
        return None
    # Bytes put before the archive make the place that is written down wrong.
    for at in (_END_64_PLACE.unpack(locator)[2], place - _END_64.size):
        record = reader.read_at(at, _END_64.size)
        if record[:4] == b"PK\x06\x06" and len(record) == _END_64.size:
            *_, size, offset = _END_64.unpack(record)
            return at, size, offset
    raise Damaged(place, "a zip64 directory record is not where it should be")


def _entry(window: bytes, place: int, at: int, base: int) -> tuple[Member, int]:
    """The directory entry at `place` of the window, and its length; a length of 0 says that it is not all there."""
    nothing = Member("", 0, 0, 0, 0, False)
    if len(window) < place + _ENTRY.size:
        return nothing, 0
    fields = _ENTRY.unpack_from(window, place)
    signature, _, _, flags, method, _, _, _, packed, size, name_size, extra_size, comment_size, *_, offset = fields
    if signature != b"PK\x01\x02":
        raise Damaged(at + place, "no entry in the directory of a zip archive where one should be")
    step = _ENTRY.size + name_size + extra_size + comment_size
    if len(window) < place + step:
        return nothing, 0
    name_at = place + _ENTRY.size
    name = window[name_at : name_at + name_size].decode("utf-8", "surrogateescape")
    extra = window[name_at + name_size : name_at + name_size + extra_size]
    if 0xFFFFFFFF in (packed, size, offset):
        size, packed, offset = _zip64(extra, size, packed, offset)
    return Member(name, base + offset, size, packed, method, bool(flags & _ENCRYPTED)), step


def _zip64(extra: bytes, *values: int) -> tuple[int, int, int]:
    """Sizes and offset with those that are too large for 32 bits taken from the extra field."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        if kind == 1:
            wide = iter([number for (number,) in struct.iter_unpack("<Q", extra[place + 4 :][: length // 8 * 8])])
            size, packed, offset = [next(wide, value) if value == 0xFFFFFFFF else value for value in values]
            return size, packed, offset
        place += 4 + length
    size, packed, offset = values
    return size, packed, offset
