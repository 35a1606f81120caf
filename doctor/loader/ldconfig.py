"""What ldconfig wrote, `/etc/ld.so.cache`, and what it reads, `/etc/ld.so.conf`.

The loader itself reads the cache alone: a folder in the configuration counts only after ldconfig ran.

Sources: https://sourceware.org/git/?p=glibc.git;a=blob;f=sysdeps/generic/dl-cache.h (both formats, the extensions),
elf/dl-cache.c (look-up order), sysdeps/generic/ldconfig.h and sysdeps/**/dl-cache.h (flags by machine),
elf/ldconfig.c and https://man7.org/linux/man-pages/man8/ldconfig.8.html (configuration).
"""

from __future__ import annotations

import fnmatch
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from doctor.binary.reader import Damaged, Reader
from doctor.tree import Paths, join

CACHE = "/etc/ld.so.cache"
CONFIGURATION = "/etc/ld.so.conf"

# Real caches have some thousand entries and some hundred kilobytes.
MAX_CACHE = 32 << 20
MAX_ENTRIES = 200_000
MAX_TEXT = 4096
MAX_CONFIGURATION = 1 << 20
MAX_FILES = 1_000
MAX_DEPTH = 10

_OLD_MAGIC = b"ld.so-1.7.0"
_NEW_MAGIC = b"glibc-ld.so.cache1.1"
_OLD_HEADER = 16
_NEW_HEADER = 48
_EXTENSION_MAGIC = 0xEAA42174
_TAG_GENERATOR = 0
_TAG_HWCAPS = 1
# In the upper half of an entry's hwcap: bit 62 says that the lower half names a glibc-hwcaps folder; ten bits are
# an ISA level.
_HWCAP_EXTENSION = 1 << 30
_ISA_LEVEL = (1 << 10) - 1

# The flags that a loader accepts. Where 1 is accepted too, that is a library older than glibc 2.
FLAGS = {
    ("x86_64", 64): (0x0303,),
    ("x86_64", 32): (0x0803,),
    ("i386", 32): (1, 0x0003),
    ("aarch64", 64): (0x0A03,),
    ("arm", 32): (1, 0x0003, 0x0903, 0x0B03),
    ("ppc64", 64): (0x0503,),
    ("s390x", 64): (0x0403,),
    ("sparc64", 64): (0x0103,),
    ("riscv", 64): (0x1003, 0x0F03),
    ("loongarch", 64): (0x1203, 0x1103),
}


_Names = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One library of the cache.

    `hwcaps` names the glibc-hwcaps folder it lies in, if any. `legacy` is set where it asks for a hardware
    capability by the mechanism that glibc 2.37 gave up.
    """

    name: str
    path: str
    flags: int
    hwcaps: str | None = None
    legacy: bool = False


@dataclass(frozen=True, slots=True)
class Cache:
    """A parsed cache. `generator` is what wrote it, such as "ldconfig (GNU libc) stable release version 2.39"."""

    entries: tuple[CacheEntry, ...]
    generator: str | None = None


def parse_cache(reader: Reader) -> Cache:
    """The cache in `reader`: the old format, the new one, or the new one inside the old one.

    Raises Damaged for what the loader would not use either, and for a cache beyond all measure. An entry whose text
    lies outside the file is left out.
    """
    if reader.size > MAX_CACHE:
        raise Damaged(0, f"a cache of {reader.size} bytes is not read")
    data = reader.read_at(0, reader.size)
    if data.startswith(_NEW_MAGIC):
        return _new_cache(data, 0)
    if not data.startswith(_OLD_MAGIC):
        raise Damaged(0, "not an ld.so.cache")
    if len(data) < _OLD_HEADER:
        raise Damaged(0, "the file ends inside the header of the cache")
    order, count = _order(data, 12, (len(data) - _OLD_HEADER) // 12, None)
    end = _OLD_HEADER + 12 * count
    aligned = (end + 7) // 8 * 8
    # i386 aligns to 4 only.
    for start in (aligned, end):
        if data.startswith(_NEW_MAGIC, start):
            return _new_cache(data, start)
    texts = _Texts(data, end)
    rows = struct.iter_unpack(order + "iII", data[_OLD_HEADER:end])
    return Cache(_entries(texts, ((flags, key, value, 0) for flags, key, value in rows), ()))


def _order(data: bytes, at: int, room: int, known: str | None) -> tuple[str, int]:
    """The byte order of the cache and the number of its entries: the order in which they fit into the file."""
    for order in (known,) if known else "<>":
        (count,) = struct.unpack_from(order + "I", data, at)
        if count <= room:
            if count > MAX_ENTRIES:
                raise Damaged(at, f"{count} entries are more than are read")
            return order, count
    raise Damaged(at, "the cache promises more entries than it holds")


def _new_cache(data: bytes, start: int) -> Cache:
    if len(data) < start + _NEW_HEADER:
        raise Damaged(start, "the file ends inside the header of the cache")
    endian = data[start + 28] & 3
    if endian == 1:
        raise Damaged(start + 28, "the cache is marked as invalid")
    order, count = _order(data, start + 20, (len(data) - start - _NEW_HEADER) // 24, {2: "<", 3: ">"}.get(endian))
    (extensions,) = struct.unpack_from(order + "I", data, start + 32)
    sections = _extensions(data, order, extensions)
    # Strings of the entries are counted from the header of the new format, all the rest from the start of the file.
    hwcaps = _hwcaps(data, order, sections.get(_TAG_HWCAPS, b""))
    rows = struct.iter_unpack(order + "iIIIQ", data[start + _NEW_HEADER : start + _NEW_HEADER + 24 * count])
    entries = _entries(
        _Texts(data, start), ((flags, key, value, hwcap) for flags, key, value, _, hwcap in rows), hwcaps
    )
    generator = sections.get(_TAG_GENERATOR)
    return Cache(entries, None if generator is None else generator[:256].decode("utf-8", "replace"))


def _capability(hwcap: int, names: _Names) -> tuple[str | None, bool]:
    if (hwcap >> 32) & ~_ISA_LEVEL != _HWCAP_EXTENSION:
        return None, hwcap != 0
    index = hwcap & 0xFFFFFFFF
    name = names[index] if index < len(names) else None
    # An unknown folder is one that no loader would take either.
    return name, name is None


def _extensions(data: bytes, order: str, at: int) -> dict[int, bytes]:
    """The extension sections by tag; none where the directory is not as it must be, as the loader has it."""
    if at == 0 or at % 4 or at + 8 > len(data):
        return {}
    magic, count = struct.unpack_from(order + "II", data, at)
    if magic != _EXTENSION_MAGIC or at + 8 + 16 * count > len(data):
        return {}
    found = {}
    for tag, _, offset, size in struct.iter_unpack(order + "IIII", data[at + 8 : at + 8 + 16 * count]):
        if offset + size > len(data):
            return {}
        if tag in (_TAG_GENERATOR, _TAG_HWCAPS):
            found[tag] = data[offset : offset + size]
    return found


def _hwcaps(data: bytes, order: str, section: bytes) -> list[str | None]:
    if len(section) % 4:
        return []
    texts = _Texts(data, 0)
    return [texts.at(offset) for (offset,) in struct.iter_unpack(order + "I", section[: 4 * MAX_TEXT])]


class _Texts:
    """The string table of a cache.

    Entries may share text, so what is read in all can exceed the file; in a real cache it is at most twice as much.
    """

    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        self._start = start
        self._left = 4 * len(data)

    def at(self, offset: int) -> str | None:
        """The string at `offset`, or None if it does not begin and end in the file."""
        begin = self._start + offset
        end = self._data.find(b"\0", begin, begin + MAX_TEXT)
        if end < 0:
            return None
        self._left -= end - begin
        if self._left < 0:
            raise Damaged(begin, "the strings of the cache overlap beyond all measure")
        return self._data[begin:end].decode("utf-8", "surrogateescape")


def _entries(texts: _Texts, rows: Iterable[tuple[int, int, int, int]], hwcaps: _Names) -> tuple[CacheEntry, ...]:
    found = []
    for flags, key, value, capability in rows:
        name, path = texts.at(key), texts.at(value)
        if name and path:
            found.append(CacheEntry(name, path, flags, *_capability(capability, hwcaps)))
    return tuple(found)


def by_name(cache: Cache, machine: str, bits: int, hwcaps: Sequence[str]) -> dict[str, str]:
    """The path that a loader takes for each name.

    `hwcaps` are the glibc-hwcaps folders of the processor, best first. Among entries of one name those in such a folder
    win, then the first that the machine can use. For a machine that is not known every flag is taken.
    """
    accepted = FLAGS.get((machine, bits))
    ranks = {name: rank for rank, name in enumerate(hwcaps)}
    plain = len(ranks)
    best: dict[str, tuple[int, str]] = {}
    for entry in cache.entries:
        if entry.legacy or (accepted is not None and entry.flags not in accepted):
            continue
        rank = plain if entry.hwcaps is None else ranks.get(entry.hwcaps)
        if rank is not None and (entry.name not in best or rank < best[entry.name][0]):
            best[entry.name] = (rank, entry.path)
    return {name: path for name, (_, path) in best.items()}


def configured_folders(paths: Paths) -> tuple[tuple[str, str], ...]:
    """The folders of `/etc/ld.so.conf` in order, each with the file that names it; `include` lines are followed.

    What cannot be read is passed over, as ldconfig does.
    """
    found: dict[str, str] = {}
    _Configuration(paths, found).read(CONFIGURATION, 0)
    return tuple(found.items())


class _Configuration:
    def __init__(self, paths: Paths, found: dict[str, str]) -> None:
        self._paths = paths
        self._found = found
        self._files = 0

    def read(self, path: str, depth: int) -> None:
        self._files += 1
        if depth > MAX_DEPTH or self._files > MAX_FILES:
            return
        for line in read_text(self._paths, path).splitlines():
            words = line.partition("#")[0].strip()
            keyword, _, rest = words.replace("\t", " ").partition(" ")
            if keyword == "include":
                for pattern in rest.split():
                    folder = path.rpartition("/")[0]
                    self._include(pattern if pattern.startswith("/") else join(folder, pattern), depth)
            elif words.startswith("/") and len(self._found) < MAX_FILES:
                # "folder=libc6" is an old way to name the type of the libraries there.
                folder = words.rpartition("=")[0] or words
                self._found.setdefault(folder.rstrip("/") or "/", path)

    def _include(self, pattern: str, depth: int) -> None:
        for path in matches(self._paths, pattern):
            self.read(path, depth + 1)


def read_text(paths: Paths, path: str) -> str:
    """The text of a small file, or "" if there is none that can be read."""
    try:
        found = paths.resolve(path)
        if found is None or found.node.kind != "file":
            return ""
        with paths.tree.open(found.path) as source:
            data = source.read_at(0, min(source.size, MAX_CONFIGURATION))
    except (OSError, Damaged):
        return ""
    return data.decode("utf-8", "surrogateescape")


def matches(paths: Paths, pattern: str) -> list[str]:
    """The paths that a shell pattern names, in order; a leading dot must be written out."""
    found = ["/"]
    for part in filter(None, pattern.split("/")):
        if not any(sign in part for sign in "*?["):
            found = [join(path, part) for path in found]
            continue
        found = [
            join(path, name)
            for path in found[:MAX_FILES]
            for name in sorted(paths.listing(path) or ())
            if fnmatch.fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))
        ][:MAX_FILES]
    return found
