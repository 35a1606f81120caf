"""LLVM offload binaries: device images with a small string table each, in `.llvm.offloading` of host objects.

Source: https://llvm.org/docs/CommandGuide/llvm-offload-binary.html and LLVM
`llvm/include/llvm/Object/OffloadBinary.h` (versions 1 to 3; version 3 may be compressed as a whole). Offsets
count from the start of each binary; several may follow one another.
"""

from __future__ import annotations

import struct

from doctor.binary.magic import OFFLOAD_BINARY
from doctor.binary.reader import Damaged, Problems, Reader, find
from doctor.binary.record import Counts

# size, offset of the entries, size of the entry (version 1) or number of entries
_HEADER = struct.Struct("<4sIQQQ")
# image kind, offload kind, flags, offset and number of strings, offset and size of the image
_ENTRY = struct.Struct("<HHIQQQQ")
_BITCODE, _CUBIN, _FATBINARY, _PTX = 2, 3, 4, 5

MAX_ENTRIES = 4_096
MAX_STRINGS = 64


def count_offload_images(reader: Reader, start: int, end: int, counts: Counts, problems: Problems) -> None:
    """Adds the device images of every offload binary in [start, end) to `counts`.

    Raises Damaged when the reader's budget is spent.
    """
    at = start
    for _ in range(MAX_ENTRIES):
        hit = find(reader, (OFFLOAD_BINARY,), at, end)
        if hit is None:
            return
        try:
            at = hit[0] + _count_one(reader, hit[0], end, counts)
        except Damaged as damage:
            problems.add(damage.offset, damage.reason)
            at = hit[0] + len(OFFLOAD_BINARY)


def _count_one(reader: Reader, at: int, end: int, counts: Counts) -> int:
    _, version, size, entries_at, number = _HEADER.unpack(reader.exactly(at, _HEADER.size, "an offload binary"))
    if version not in (1, 2, 3) or not _HEADER.size <= size <= end - at:
        raise Damaged(at, f"an offload binary of version {version} says {size} bytes, {end - at} are left")
    if version == 3 and int.from_bytes(reader.read_at(at + _HEADER.size, 8), "little"):
        raise Damaged(at, "a compressed offload binary: its targets are not known")
    count = 1 if version == 1 else number
    if count > MAX_ENTRIES:
        raise Damaged(at, f"an offload binary with {count} entries")
    for index in range(count):
        place = entries_at + index * _ENTRY.size
        if place + _ENTRY.size > size:
            raise Damaged(at, "an entry of an offload binary lies outside it")
        entry = _ENTRY.unpack(reader.exactly(at + place, _ENTRY.size, "an offload binary"))
        _count_entry(reader, at, size, entry, 16 if version == 1 else 24, counts)
    return int(size)


def _count_entry(reader: Reader, at: int, size: int, entry: tuple[int, ...], row_size: int, counts: Counts) -> None:
    kind, _, _, strings_at, strings, _, _ = entry
    found: dict[bytes, bytes] = {}
    for index in range(min(strings, MAX_STRINGS)):
        row = strings_at + index * row_size
        if row + 16 > size:
            raise Damaged(at, "the strings of an offload binary lie outside it")
        key, value = struct.unpack("<QQ", reader.exactly(at + row, 16, "an offload binary"))
        found[_string(reader, at, size, key)] = _string(reader, at, size, value)
    target = found.get(b"arch", b"").decode("ascii", "replace")
    if not target:
        return
    name = (_kind(kind, target), target.replace("sm_", "compute_") if kind == _PTX else target, None)
    counts[name] = counts.get(name, 0) + 1


def _kind(image_kind: int, target: str) -> str:
    if image_kind == _BITCODE:
        return "bitcode"
    if image_kind == _PTX:
        return "ptx"
    if image_kind in (_CUBIN, _FATBINARY) or target.startswith("sm_"):
        return "cubin"
    return "code-object" if target.startswith("gfx") else "object"


def _string(reader: Reader, at: int, size: int, offset: int) -> bytes:
    return reader.read_at(at + offset, min(256, size - offset)).split(b"\0", 1)[0] if offset < size else b""
