"""Clang offload bundles, plain and compressed: how HIP programs carry code objects in `.hip_fatbin`.

Sources: https://clang.llvm.org/docs/ClangOffloadBundler.html (plain),
https://clang.llvm.org/doxygen/unionRawCompressedBundleHeader.html (compressed, versions 1 to 3). In real
files each bundle starts at a multiple of 4096 and zeros lie between; a plain bundle does not say how long it
is.

The target ids of a compressed bundle are inside the compressed data. They stand at its very start, so its
first block is enough, and no more than `MAX_COMPRESSED` bytes in and `MAX_INFLATED` out are ever handled.
"""

from __future__ import annotations

import re
import struct
import sys
import zlib

from doctor.binary.magic import BUNDLE as PLAIN
from doctor.binary.magic import COMPRESSED_BUNDLE as COMPRESSED
from doctor.binary.reader import Damaged, Problems, Reader, find
from doctor.binary.record import Counts

# Real files have up to 111 bundles with tens of entries each.
MAX_BUNDLES = 4_096
MAX_ENTRIES = 4_096
MAX_ID = 512
MAX_HEAD = 1 << 20
MAX_INFLATED = 1 << 18

_ALIGNMENT = 4096
_ENTRY = struct.Struct("<QQQ")
# Header of a compressed bundle after magic, version and method, and how long the header is in all.
_COMPRESSED_HEADERS = {1: 20, 2: 24, 3: 32}
_ZLIB, _ZSTD = 0, 1
# https://llvm.org/docs/AMDGPUUsage.html#code-object-v2-to-v3-target-id
_OLD_FEATURE = re.compile(r"\+(xnack|sram-?ecc)(?=\+|$)")
_DEVICE = re.compile(r"-(gfx[0-9a-f].*|sm_\d+[af]?|amdgcnspirv)$")


def count_bundles(reader: Reader, start: int, end: int, counts: Counts, problems: Problems) -> None:
    """Adds the device entries of every bundle in [start, end) to `counts`; anything else there is a problem.

    Raises Damaged when the reader's budget is spent.
    """
    at = start
    for _ in range(MAX_BUNDLES):
        bundle = _next_bundle(reader, at, end)
        if bundle is None:
            if reader.read_at(at, min(64, end - at)).strip(b"\0"):
                problems.add(at, "no offload bundle from here to the end of the section")
            return
        try:
            at = bundle + count_bundle(reader, bundle, end, counts)
        except Damaged as damage:
            problems.add(damage.offset, damage.reason)
            at = bundle + len(COMPRESSED)
    problems.add(at, f"more than {MAX_BUNDLES} offload bundles")


def count_bundle(reader: Reader, at: int, end: int, counts: Counts) -> int:
    """Adds the device entries of the bundle at `at` to `counts`; gives its length in bytes. Raises Damaged."""
    if reader.read_at(at, 4) == COMPRESSED:
        entries, size = _compressed(reader, at, end)
    else:
        entries, size = _plain(reader, at, end)
    for entry_id in entries:
        add_entry(entry_id, counts)
    return size


def add_entry(entry_id: str, counts: Counts) -> None:
    """Counts an entry by its id, such as `hipv4-amdgcn-amd-amdhsa--gfx90a:xnack-`; host entries are left out.

    Code objects before version 4 wrote features as `gfx906+xnack+sram-ecc`: what is named is on.
    """
    hit = _DEVICE.search(entry_id)
    if hit is None:
        return
    target = _OLD_FEATURE.sub(lambda feature: f":{feature[1].replace('-', '')}+", hit[1])
    processor, *features = target.split(":")
    kind = {"sm_": "cubin", "gfx": "code-object"}.get(processor[:3], "spirv")
    name = (kind, ":".join([processor, *sorted(features)]), None)
    counts[name] = counts.get(name, 0) + 1


def _next_bundle(reader: Reader, at: int, end: int) -> int | None:
    for place in (at, at + -at % _ALIGNMENT):
        magic = reader.read_at(place, min(len(PLAIN), end - place))
        if magic == PLAIN or magic[:4] == COMPRESSED:
            return place
    hit = find(reader, (PLAIN, COMPRESSED), at, end)
    return None if hit is None else hit[0]


def _plain(reader: Reader, at: int, end: int) -> tuple[list[str], int]:
    size = 4096
    while True:
        head = reader.read_at(at, min(size, end - at))
        entries = _entries(head, at)
        if entries is not None:
            break
        if len(head) < size or size >= MAX_HEAD:
            raise Damaged(at, "the file ends inside the header of an offload bundle")
        size *= 16
    header = len(PLAIN) + 8 + sum([_ENTRY.size + len(entry_id) for _, _, entry_id in entries])
    length = max([header, *[offset + size for offset, size, _ in entries]])
    if length > end - at:
        raise Damaged(at, f"an offload bundle says {length} bytes, but only {end - at} are left")
    return [entry_id for _, _, entry_id in entries], length


def _entries(head: bytes, at: int) -> list[tuple[int, int, str]] | None:
    """(offset, size, id) of the entries of the plain bundle that starts with `head`; None if `head` is too short."""
    place = len(PLAIN) + 8
    if len(head) < place:
        return None
    count = int.from_bytes(head[len(PLAIN) : place], "little")
    if head[: len(PLAIN)] != PLAIN or count > MAX_ENTRIES:
        raise Damaged(at, "the header of an offload bundle makes no sense")
    entries = []
    for _ in range(count):
        if len(head) < place + _ENTRY.size:
            return None
        offset, size, id_size = _ENTRY.unpack_from(head, place)
        place += _ENTRY.size
        if id_size > MAX_ID:
            raise Damaged(at, f"the id of an offload bundle entry has {id_size} bytes")
        if len(head) < place + id_size:
            return None
        entries.append((offset, size, head[place : place + id_size].decode("ascii", "replace")))
        place += id_size
    return entries


def _compressed(reader: Reader, at: int, end: int) -> tuple[list[str], int]:
    head = reader.read_at(at, min(32, end - at))
    version, method = struct.unpack_from("<HH", head, 4) if len(head) >= 8 else (0, 0)
    payload = _COMPRESSED_HEADERS.get(version)
    if payload is None or len(head) < payload:
        raise Damaged(at, f"a compressed offload bundle of version {version} or one cut off")
    left = end - at
    if version == 1:
        # Version 1 does not say how long it is: what follows can only be searched for.
        following = find(reader, (COMPRESSED, PLAIN), at + payload, end)
        length = left if following is None else following[0] - at
    else:
        length = int.from_bytes(head[8:12] if version == 2 else head[8:16], "little")
    if not payload <= length <= left:
        raise Damaged(at, f"a compressed offload bundle says {length} bytes, but only {left} are left")
    size = 4096
    while True:
        data = reader.read_at(at + payload, min(size, length - payload))
        entries = _entries(_inflate(data, method, at), at)
        if entries is not None:
            return [entry_id for _, _, entry_id in entries], length
        if len(data) < size or size >= MAX_HEAD:
            raise Damaged(at, "a compressed offload bundle whose header cannot be inflated")
        size *= 4


def _inflate(data: bytes, method: int, at: int) -> bytes:
    """The start of what `data` inflates to. A fresh decompressor each time: the retry is rare and the data short."""
    if method == _ZLIB:
        try:
            return zlib.decompressobj().decompress(data, MAX_INFLATED)
        except zlib.error as error:
            raise Damaged(at, f"a compressed offload bundle that zlib cannot read: {error}") from error
    if method != _ZSTD:
        raise Damaged(at, f"a compressed offload bundle of unknown method {method}")
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    # A frame may ask for a window as large as its content, often more than the 128 MiB that zstd grants by
    # default; the memory is only touched as far as data comes out, which is MAX_INFLATED.
    options = {int(zstd.DecompressionParameter.window_log_max): 31}
    try:
        head: bytes = zstd.ZstdDecompressor(options=options).decompress(data, MAX_INFLATED)
    except (zstd.ZstdError, MemoryError) as error:
        raise Damaged(at, f"a compressed offload bundle that zstd cannot read: {error}") from error
    return head
