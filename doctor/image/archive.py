"""Tar archives, read in place: layers, and the archives that `docker save` and OCI tools write around them.

Own code, because the standard library's reader takes a header of any size into memory, and because a layer must be
read in one pass. Formats: https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html (ustar, pax),
https://www.gnu.org/software/tar/manual/html_node/Standard.html (GNU long names, sparse files).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from doctor.binary.reader import Memory, Part, Source
from doctor.image.examination import Examination, LimitReached
from doctor.image.layers import OPAQUE, WHITEOUT, Entry, Layer, look
from doctor.image.unpacked import Broken
from doctor.tree import MAX_LINKS, MAX_NAME, MAX_PATH, Kind, join, parent

BLOCK = 512
PIECE = 4 << 20
# Bytes of a long name or of pax records; real ones are short, but for extended attributes.
_EXTRA = 1 << 20
_KINDS: dict[bytes, Kind] = {
    b"0": "file", b"\0": "file", b"7": "file", b"1": "file", b"2": "symlink", b"3": "other", b"4": "other", b"5": "dir",
    b"6": "other", b"S": "file",
}  # fmt: skip
_DEVICES = (b"3", b"4")
_HARD_LINK = b"1"
_SPARSE = b"S"


class NotTar(Exception):
    """The bytes are no tar archive. The text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member: its name and link target as they stand there, and where its bytes lie."""

    name: str
    type: bytes
    size: int
    link: str
    at: int
    sparse: bool


def members(source: Source) -> Iterator[Member]:
    """The members in order. Raises NotTar, and Broken where the archive ends inside a member."""
    at = 0
    pax: dict[str, str] = {}
    everywhere: dict[str, str] = {}
    last = 0
    while True:
        header = source.read_at(at, BLOCK)
        if len(header) < BLOCK or not header.strip(b"\0"):
            if at == 0 and header.strip(b"\0"):
                raise NotTar("too short for a tar archive")
            # Many writers leave the two empty blocks at the end off; then the last member must at least be whole.
            if at and (0 < len(header) < BLOCK or (not header and last and not source.read_at(last - 1, 1))):
                raise Broken(0, "the archive ends inside a member")
            return
        if not _sums_up(header):
            raise NotTar("not a tar archive" if at == 0 else f"no tar header at byte {at}")
        type_ = header[156:157]
        size = _number(header[124:136])
        at += BLOCK
        if type_ in (b"x", b"g", b"L", b"K"):
            if size > _EXTRA:
                raise Broken(0, f"a header of {size} bytes")
            data = _exactly(source, at, size)
            if type_ == b"x":
                pax |= _records(data)
            elif type_ == b"g":
                everywhere |= _records(data)
            else:
                pax["path" if type_ == b"L" else "linkpath"] = os.fsdecode(data.rstrip(b"\0"))
            at += _padded(size)
            continue
        told = {**everywhere, **pax}
        pax = {}
        if told.get("size", "").isdigit():
            size = int(told["size"][:20])
        if type_ in (b"1", b"2", b"3", b"4", b"5", b"6"):
            size = 0
        sparse = type_ == _SPARSE or "GNU.sparse.major" in told or "GNU.sparse.map" in told
        data_at = at
        if type_ == _SPARSE:
            data_at = _after_sparse_headers(source, at, header)
        name = told.get("GNU.sparse.name") or told.get("path") or _name(header)
        yield Member(
            name=name,
            type=type_,
            size=size,
            link=told.get("linkpath") or _text(header[157:257]),
            at=data_at,
            sparse=sparse,
        )
        last = data_at + size
        at = data_at + _padded(size)


def _after_sparse_headers(source: Source, at: int, header: bytes) -> int:
    more = header[482:483]
    for _ in range(1000):
        if more in (b"", b"\0"):
            return at
        block = _exactly(source, at, BLOCK)
        at += BLOCK
        more = block[504:505]
    raise Broken(0, "a sparse file of more pieces than can be")


def _exactly(source: Source, at: int, size: int) -> bytes:
    data = source.read_at(at, size)
    if len(data) < size:
        raise Broken(0, "the archive ends inside a member")
    return data


def _sums_up(header: bytes) -> bool:
    try:
        stated = int(header[148:156].strip(b" \0") or b"0", 8)
    except ValueError:
        return False
    without = sum(header[:148]) + 8 * 32 + sum(header[156:])
    if stated == without:
        return True
    # Old writers summed signed bytes.
    high = sum(byte >= 128 for byte in header[:148] + header[156:])
    return stated == without - 256 * high


def _number(data: bytes) -> int:
    """Octal digits, or GNU's base 256. Raises Broken for a negative or a malformed one."""
    if data[0] & 0x80:
        value = int.from_bytes(bytes([data[0] & 0x7F]) + data[1:], "big")
        if data[0] & 0x40 or value >= 1 << 60:
            raise Broken(0, "a size or owner that cannot be")
        return value
    text = data.split(b"\0")[0].strip()
    if not text:
        return 0
    if not re.fullmatch(rb"[0-7]+", text):
        raise Broken(0, "a number in a tar header that is none")
    return int(text, 8)


def _text(data: bytes) -> str:
    return os.fsdecode(data.split(b"\0")[0])


def _name(header: bytes) -> str:
    name = _text(header[:100])
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _padded(size: int) -> int:
    return (size + BLOCK - 1) // BLOCK * BLOCK


def _records(data: bytes) -> dict[str, str]:
    """pax records, "LENGTH KEY=VALUE" and a newline each. What does not parse ends the reading."""
    found = {}
    while data:
        length, space, _ = data.partition(b" ")
        if not space or not length.isdigit() or len(length) > 8:
            break
        size = int(length)
        record = data[len(length) + 1 : size - 1]
        key, equals, value = record.partition(b"=")
        if not equals or size > len(data):
            break
        found[key.decode("ascii", "replace")] = os.fsdecode(value)
        data = data[size:]
    return found


class LayerReader:
    """Makes a `Layer` out of a tar archive in one pass."""

    def __init__(self, name: str, source: Source, whole: int, examination: Examination) -> None:
        """`whole`: files up to this size are read whole before they are scanned, where going back is dear."""
        self._source = source
        self._whole = whole
        self._examination = examination
        self._layer = Layer(name)
        self._folders: dict[str, str | None] = {"": ""}

    def read(self, total: int) -> Layer:
        """The layer, as far as it could be read: damage and limits are noted as not examined. Raises NotTar, Cancelled.

        `total` is the size in bytes that progress is told against, 0 if it is not known.
        """
        layer, examination = self._layer, self._examination
        count = 0
        try:
            for member in members(self._source):
                examination.member()
                self._add(member)
                count += 1
                if count % 64 == 0:
                    examination.progress(layer.name, member.at, total)
        except Broken as error:
            examination.leave_out(layer.name, f"the layer is damaged or cut short: {error.strerror}")
        except LimitReached as limit:
            examination.leave_out(layer.name, str(limit))
        except NotTar as error:
            if not count:
                raise
            examination.leave_out(layer.name, str(error))
        layer.open = self._open
        return layer

    def _open(self, path: str, entry: Entry) -> AbstractContextManager[Source]:
        return nullcontext(self._bytes_of(entry))

    def _bytes_of(self, entry: Entry) -> Source:
        if entry.at < 0:
            raise OSError(0, "a sparse file is not read")
        part = Part(self._source, entry.at, entry.size)
        if self._whole and entry.size <= self._whole:
            return Memory(part.read_at(0, entry.size))
        return part

    def _add(self, member: Member) -> None:
        path = self._place(member.name)
        if path is None:
            return
        name = path.rpartition("/")[2]
        if name.startswith(WHITEOUT):
            self._whiteout(path, name)
            return
        kind = _KINDS.get(member.type)
        if kind is None:
            self._examination.leave_out(path, f"a tar member of unknown type {member.type!r}")
            return
        if member.type in _DEVICES and not path.startswith("/dev/"):
            self._examination.leave_out(path, "a device node: not opened")
        if path == "/":
            return
        if member.type == _HARD_LINK:
            self._hard_link(path, member)
            return
        target = member.link if kind == "symlink" else None
        entry = Entry(kind, member.size, target, -1 if member.sparse else member.at)
        self._set(path, entry)
        if kind == "file":
            self._look(path, entry)

    def _set(self, path: str, entry: Entry) -> None:
        before = self._layer.entries.get(path)
        if before is not None and "dir" in (before.kind, entry.kind) and before.kind != entry.kind:
            # A later member takes the place of a folder, or a folder that of a link: what was known of it is stale.
            self._folders = {"": ""}
            for below in [one for one in self._layer.entries if one.startswith(f"{path}/")]:
                self._forget(below)
        self._forget(path)
        self._layer.entries[path] = entry
        self._layer.removed.discard(path)

    def _forget(self, path: str) -> None:
        self._layer.entries.pop(path, None)
        self._layer.contents.pop(path, None)
        self._layer.binaries.pop(path, None)

    def _look(self, path: str, entry: Entry) -> None:
        if entry.at < 0:
            self._examination.leave_out(path, "a sparse file is not read")
            return
        part = Part(self._source, entry.at, entry.size)
        try:
            look(path, _Lazily(part, self._whole), self._layer, self._examination)
        except Broken:
            # The archive ends here; the entry says more than there is.
            self._forget(path)
            raise

    def _whiteout(self, path: str, name: str) -> None:
        folder = parent(path)
        if name == OPAQUE:
            self._layer.opaque.add(folder)
        elif name.startswith(WHITEOUT + WHITEOUT):
            # AUFS's own files (.wh..wh.plnk and the like) mean nothing here.
            return
        else:
            self._layer.removed.add(join(folder, name[len(WHITEOUT) :]))

    def _hard_link(self, path: str, member: Member) -> None:
        target = self._place(member.link)
        entry = self._layer.entries.get(target) if target else None
        if target is None or entry is None or entry.kind == "dir":
            self._examination.leave_out(path, "a hard link to a file that the layer does not have")
            return
        self._set(path, entry)
        for known in (self._layer.contents, self._layer.binaries):
            if target in known:
                known[path] = known[target]  # type: ignore[assignment]
        if target in self._layer.binaries:
            self._layer.binaries[path] = self._layer.binaries[target]._replace(path=path)

    def _place(self, name: str) -> str | None:
        """Where a member lies in the image, links of this layer on the way followed; None if that is nowhere in it."""
        parts = [part for part in name.split("/") if part not in ("", ".")]
        if ".." in parts:
            self._examination.leave_out(name, "a path that leads out of its folder")
            return None
        if len(name) > MAX_PATH or any(len(part) > MAX_NAME for part in parts) or "\0" in name:
            self._examination.leave_out(name, "a path longer than any file system takes")
            return None
        if len(parts) > self._examination.limits.depth:
            self._examination.leave_out(name, f"folders nested deeper than {self._examination.limits.depth}")
            return None
        if not parts:
            return "/"
        folder = self._folder("/".join(parts[:-1]))
        if folder is None:
            self._examination.leave_out(name, "lies below a link that leads in a circle or nowhere")
            return None
        return f"{folder}/{parts[-1]}"

    def _folder(self, text: str, links: int = 0) -> str | None:
        """The folder that a path without a leading slash leads to in this layer, without a trailing slash."""
        if text in self._folders:
            return self._folders[text]
        above, _, name = text.rpartition("/")
        folder = self._folder(above, links)
        found = None if folder is None else f"{folder}/{name}"
        entry = self._layer.entries.get(found) if found else None
        if found is not None and entry is not None and entry.kind == "symlink":
            found = self._follow(parent(found), entry.target or "", links + 1)
        if links == 0:
            self._folders[text] = found
        return found

    def _follow(self, folder: str, target: str, links: int) -> str | None:
        if links > MAX_LINKS or len(target) > MAX_PATH:
            return None
        at = [] if target.startswith("/") else [part for part in folder.split("/") if part]
        for part in target.split("/"):
            if part == "..":
                del at[-1:]
            elif part not in ("", "."):
                at.append(part)
        return self._folder("/".join(at), links)


class _Lazily:
    """A part of a source that is read whole when more than its first bytes are asked for, up to a size."""

    __slots__ = ("_all", "_part", "_whole", "size")

    def __init__(self, part: Part, whole: int) -> None:
        self._part = part
        self._whole = whole
        self._all: bytearray | None = None
        self.size = part.size

    def read_at(self, offset: int, size: int) -> bytes:
        if offset + size <= 64 and self._all is None:
            return self._part.read_at(offset, size)
        if self.size > self._whole:
            return self._part.read_at(offset, size)
        if self._all is None:
            self._all = self._read()
        return bytes(self._all[offset : offset + size])

    def _read(self) -> bytearray:
        """All of it, taken in piece by piece: in one go it would take twice the room."""
        data = bytearray()
        while len(data) < self.size:
            piece = self._part.read_at(len(data), min(PIECE, self.size - len(data)))
            if not piece:
                raise Broken(0, "the archive ends inside a member")
            data += piece
        return data
