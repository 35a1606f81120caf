"""CUDA fatbins: regions of kernel images (SASS, PTX, LTO-IR) as the CUDA toolkit puts them into binaries.

A region is a 16-byte header and a chain of entries; an entry is a header of 64 bytes or more and a payload.
Only headers are read, nothing is decompressed. Sources: `fatbinary_section.h` of the CUDA toolkit 13.0
(places), https://github.com/n-eiling/cuda-fatbin-decompression and https://github.com/jiegec/fatbinary
(fields). The two suffix bits have no public source: they agree with the `-arch` string that ptxas left
inside the image in all 4,437 images of real wheels that were compared, 912 `a` and 777 `f` among them.
"""

from __future__ import annotations

import struct
from collections import defaultdict

from doctor.binary.magic import FATBIN, FATBIN_VERSION_AND_SIZE
from doctor.binary.reader import Damaged, Problems, Reader, find
from doctor.binary.record import Counts

_REGION = struct.Struct("<8xQ")
# kind, header size, payload size, minor, major, architecture, flags
_ENTRY = struct.Struct("<H2xIQ8xHHI8xQ")
# Both, of a region and its first entry
_START = struct.Struct(_REGION.format + _ENTRY.format[1:])
_FIRST = _REGION.size + _ENTRY.size
# Between the regions of NVIDIA's resource sections are 8 to 24 bytes: one read passes them and gets the
# first entry.
_AHEAD = _FIRST + 24

_ARCHITECTURE_SPECIFIC = 1 << 20
_FAMILY_SPECIFIC = 1 << 21
_SUFFIXES = {0: "", _ARCHITECTURE_SPECIFIC: "a", _FAMILY_SPECIFIC: "f"}
_SUFFIX_BITS = _ARCHITECTURE_SPECIFIC | _FAMILY_SPECIFIC

_PTX, _SASS, _LTO = 1, 2, 8

# Real files have some fifty different (kind, architecture, version); more is damage that would fill memory.
MAX_DISTINCT = 4_096

_Key = tuple[int, int, int, int, int]


def count_images(reader: Reader, start: int, end: int, counts: Counts, problems: Problems, expected: bool) -> None:
    """Adds the images of every fatbin region in [start, end) to `counts`.

    `expected` says that the place holds nothing but regions, so that anything else in it is a problem;
    elsewhere regions are searched for. Raises Damaged when the reader's budget is spent; `counts` then has
    what came before.
    """
    found: dict[_Key, int] = defaultdict(int)
    try:
        # Tried only as long as it helps: the regions of other places have many entries.
        at, tries = start, 0 if expected else 16
        while at < end:
            if tries:
                before, at = at, _single_entries(reader, at, end, found)
                tries -= at == before
            region = _next_region(reader, at, end, problems, expected)
            if region is None:
                return
            at = _count_entries(reader, *region, end, found, problems)
    finally:
        _add(found, counts)


def _single_entries(reader: Reader, at: int, end: int, found: dict[_Key, int]) -> int:
    """Counts regions of one entry each, of which cuFFT has 24,000, while they follow one another; where it stopped."""
    read, unpack, magic = reader.read_at, _START.unpack_from, FATBIN + FATBIN_VERSION_AND_SIZE
    last = end - _AHEAD
    while at < last and len(found) <= MAX_DISTINCT:
        data = read(at, _AHEAD)
        place = data.find(magic)
        if place < 0 or len(data) - place < _FIRST:
            return at
        size, kind, header, payload, minor, major, architecture, flags = unpack(data, place)
        following = at + place + _REGION.size + size
        if size != header + payload or header < 64 or architecture > 999 or following > end:
            return at
        found[kind, minor, major, architecture, flags & _SUFFIX_BITS] += 1
        at = following
    return at


def count_region(reader: Reader, at: int, end: int, counts: Counts, problems: Problems) -> int:
    """Adds the images of the one region at `at` to `counts`; where to go on from. Raises Damaged if there is none."""
    head = reader.read_at(at, min(_FIRST, end - at))
    if head[:8] != FATBIN + FATBIN_VERSION_AND_SIZE:
        raise Damaged(at, "no fatbin region")
    found: dict[_Key, int] = defaultdict(int)
    damage = Problems()
    following = _count_entries(reader, at, head, end, found, damage)
    if not found:
        raise Damaged(at, "no fatbin region")
    _add(found, counts)
    for part in damage.records():
        problems.add(part.offset, part.reason)
    return following


def _add(found: dict[_Key, int], counts: Counts) -> None:
    for key, count in found.items():
        name = _name(key)
        counts[name] = counts.get(name, 0) + count


def _name(key: _Key) -> tuple[str, str, str | None]:
    kind, minor, major, architecture, flags = key
    target = f"{architecture}{_SUFFIXES.get(flags, 'af')}"
    if kind == _SASS:
        return "cubin", f"sm_{target}", None
    if kind == _PTX:
        return "ptx", f"compute_{target}", f"{major}.{minor}"
    if kind == _LTO:
        return "lto-ir", f"lto_{target}", None
    return f"kind-{kind}", f"sm_{target}", None


def _next_region(reader: Reader, at: int, end: int, problems: Problems, expected: bool) -> tuple[int, bytes] | None:
    """Where the next region starts, at `at` or later, and its first bytes."""
    searched_from = at
    ahead = _FIRST if expected else _AHEAD
    while at < end:
        data = reader.read_at(at, min(ahead, end - at))
        place = data.find(FATBIN)
        if place < 0:
            hit = find(reader, (FATBIN,), at + max(len(data) - 3, 1), end)
            if hit is None:
                break
            at, place = hit[0], 0
            data = reader.read_at(at, min(_FIRST, end - at))
        at += place
        data = data[place:]
        # Libraries that read fatbins have the magic number among their constants: the whole start must fit.
        if data[4:8] == FATBIN_VERSION_AND_SIZE:
            if expected and at - searched_from > 64:
                problems.add(searched_from, f"{at - searched_from} bytes that are no fatbin region")
            return at, data
        at += 1
    if expected and reader.read_at(searched_from, min(64, end - searched_from)).strip(b"\0"):
        problems.add(searched_from, "no fatbin region from here to the end of the section")
    return None


def _count_entries(
    reader: Reader, region: int, head: bytes, end: int, found: dict[_Key, int], problems: Problems
) -> int:
    """Counts the entries of one region; where to go on from, which is its end unless it is damaged."""
    if len(head) < _FIRST:
        head = reader.read_at(region, min(_FIRST, end - region))
    if len(head) < _REGION.size:
        problems.add(region, "the file ends inside a fatbin header")
        return end
    size: int = _REGION.unpack_from(head)[0]
    at = region + _REGION.size
    region_end = at + size
    if region_end > end:
        problems.add(region, f"a fatbin region says {size} bytes, but only {end - at} are left")
        region_end = end
    read = reader.read_at
    unpack = _ENTRY.unpack
    entry_size = _ENTRY.size
    data = head[_REGION.size : _FIRST]
    while at < region_end:
        if len(data) < entry_size:
            problems.add(at, "the file ends inside a fatbin entry")
            return region_end
        kind, header, payload, minor, major, architecture, flags = unpack(data)
        step = header + payload
        if header < 64 or architecture > 999 or step > region_end - at:
            problems.add(at, "a fatbin entry with impossible sizes")
            # A region whose own size is wrong tells nothing of where the next one is: search from here.
            return region_end if region_end < end else at + 1
        found[kind, minor, major, architecture, flags & _SUFFIX_BITS] += 1
        at += step
        if at < region_end:
            data = read(at, entry_size)
    if len(found) > MAX_DISTINCT:
        raise Damaged(region, f"more than {MAX_DISTINCT} different kinds of fatbin entries")
    return region_end
