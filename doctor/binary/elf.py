"""ELF headers: what a file is, what it needs, which version nodes it asks for and has, and its sections.

Both classes and both byte orders. The dynamic facts come from the program headers alone, as for the loader,
so a file without section headers loses nothing but its section table. Held equal to pyelftools by
`tests/binary/test_elf.py`; this reader exists because a sweep over thousands of files needs a small part of
what pyelftools reads.

Sources: https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html (headers, dynamic section),
https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html (versions).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from doctor.binary import magic
from doctor.binary.reader import Damaged, Problems, Reader, Unreadable

EM_CUDA = 190
EM_AMDGPU = 224
# Names as `uname -m` has them. https://www.sco.com/developers/gabi/latest/ch4.eheader.html
MACHINES = {
    2: "sparc",
    3: "i386",
    8: "mips",
    20: "ppc",
    21: "ppc64",
    22: "s390x",
    40: "arm",
    43: "sparc64",
    62: "x86_64",
    183: "aarch64",
    EM_CUDA: "cuda",
    EM_AMDGPU: "amdgpu",
    243: "riscv",
    247: "bpf",
    258: "loongarch",
}

ET_REL = 1
ET_EXEC = 2
ET_DYN = 3

SHT_PROGBITS = 1
SHT_NOBITS = 8
SHF_ALLOC = 2
SHF_EXECINSTR = 4

PT_LOAD = 1
PT_DYNAMIC = 2
PT_INTERP = 3
PF_X = 1

DT_NEEDED = 1
DT_STRTAB = 5
DT_STRSZ = 10
DT_SONAME = 14
DT_RPATH = 15
DT_RUNPATH = 29
DT_FLAGS_1 = 0x6FFFFFFB
DT_VERDEF = 0x6FFFFFFC
DT_VERDEFNUM = 0x6FFFFFFD
DT_VERNEED = 0x6FFFFFFE
DT_VERNEEDNUM = 0x6FFFFFFF
DF_1_PIE = 0x08000000

# Limits far above any real file, so that a lying count costs little.
MAX_SECTIONS = 200_000
MAX_SEGMENTS = 4_096
MAX_DYNAMIC = 16_384
MAX_NAMES = 16_384
MAX_STRING = 65_536
MAX_SECTION_NAMES = 16 << 20


class Section(NamedTuple):
    """One row of the section table."""

    name: str
    type: int
    flags: int
    offset: int
    size: int


class Segment(NamedTuple):
    """One program header."""

    type: int
    flags: int
    offset: int
    address: int
    file_size: int


class ElfFile(NamedTuple):
    """The headers of one ELF file.

    `is_program` is set for programs, position-independent ones (ET_DYN with DF_1_PIE) included. `rpath` and `runpath`
    are split at colons and otherwise as written (`$ORIGIN` and empty parts included);
    an absent tag gives no part. `needs_versions` maps a NEEDED file to the version nodes asked of it;
    `defines_versions` includes the base node, which is named like the file. `sections` is empty where the
    section table is gone.
    """

    bits: int
    little_endian: bool
    type: int
    is_program: bool
    machine: str
    os_abi: int
    abi_version: int
    flags: int
    soname: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    interpreter: str | None
    needs_versions: Mapping[str, tuple[str, ...]]
    defines_versions: tuple[str, ...]
    segments: tuple[Segment, ...]
    sections: tuple[Section, ...]
    unreadable: tuple[Unreadable, ...]


class _Layout(NamedTuple):
    """The structures that differ with class and byte order, and the order of their fields."""

    header: struct.Struct
    segment: struct.Struct
    section: struct.Struct
    dynamic: struct.Struct
    half_words: str
    as_segment: Callable[[tuple[Any, ...]], Segment]


def _segment_32(row: tuple[Any, ...]) -> Segment:
    kind, offset, address, _, file_size, _, flags, _ = row
    return Segment(kind, flags, offset, address, file_size)


def _segment_64(row: tuple[Any, ...]) -> Segment:
    kind, flags, offset, address, _, file_size, _, _ = row
    return Segment(kind, flags, offset, address, file_size)


def _layout(bits: int, order: str) -> _Layout:
    if bits == 32:
        return _Layout(
            header=struct.Struct(order + "HHIIIIIHHHHHH"),
            segment=struct.Struct(order + "8I"),
            section=struct.Struct(order + "10I"),
            dynamic=struct.Struct(order + "iI"),
            half_words=order,
            as_segment=_segment_32,
        )
    return _Layout(
        header=struct.Struct(order + "HHIQQQIHHHHHH"),
        segment=struct.Struct(order + "IIQQQQQQ"),
        section=struct.Struct(order + "IIQQQQIIQQ"),
        dynamic=struct.Struct(order + "qQ"),
        half_words=order,
        as_segment=_segment_64,
    )


_LAYOUTS = {(bits, order): _layout(bits, order) for bits in (32, 64) for order in "<>"}


def read_elf(reader: Reader, sections_like: tuple[bytes, ...] = ()) -> ElfFile:
    """The headers of the ELF file in `reader`.

    With `sections_like`, the section table is only given if one of these strings stands among its names: an object
    compiled with a section for each function has thousands, and a static archive has thousands of such objects.

    Raises Damaged when not even the file header can be read or the reader's budget is spent; any other
    damage is recorded in `unreadable` and the rest is still given.
    """
    # One read for the header and the program headers.
    head = reader.read_at(0, 1024)
    if head[:4] != magic.ELF:
        raise Damaged(0, "not an ELF file")
    if len(head) < 16 or head[4] not in (1, 2) or head[5] not in (1, 2):
        raise Damaged(4, "the ELF class or byte order is unknown")
    bits = 32 * head[4]
    layout = _LAYOUTS[bits, "<" if head[5] == 1 else ">"]
    if len(head) < 16 + layout.header.size:
        raise Damaged(16, "the file ends inside the ELF header")
    header = layout.header.unpack_from(head, 16)
    problems = Problems()
    segments, sections = _tables(reader, head, layout, header, sections_like, problems)
    dynamic = _Dynamic(reader, layout, segments, problems)
    return ElfFile(
        bits=bits,
        little_endian=head[5] == 1,
        type=header[0],
        is_program=header[0] == ET_EXEC or (header[0] == ET_DYN and dynamic.has_flag(DT_FLAGS_1, DF_1_PIE)),
        machine=MACHINES.get(header[1], f"machine-{header[1]}"),
        os_abi=head[7],
        abi_version=head[8],
        flags=header[6],
        soname=dynamic.last(DT_SONAME),
        needed=dynamic.strings(DT_NEEDED),
        rpath=_paths(dynamic.last(DT_RPATH)),
        runpath=_paths(dynamic.last(DT_RUNPATH)),
        interpreter=_interpreter(reader, segments, problems),
        needs_versions=dynamic.needs_versions(),
        defines_versions=dynamic.defines_versions(),
        segments=segments,
        sections=sections,
        unreadable=problems.records(),
    )


def _paths(value: str | None) -> tuple[str, ...]:
    return () if value is None else tuple(value.split(":"))


def _text(data: bytes) -> str:
    """Bytes of a name as text that can be turned back into the same bytes, as Python does for file names."""
    return data.decode("utf-8", "surrogateescape")


def _tables(
    reader: Reader,
    head: bytes,
    layout: _Layout,
    header: tuple[Any, ...],
    sections_like: tuple[bytes, ...],
    problems: Problems,
) -> tuple[tuple[Segment, ...], tuple[Section, ...]]:
    *_, segment_at, section_at, _, _, segment_size, segments, section_size, sections, names_index = header
    if section_at and (sections == 0 or names_index == 0xFFFF or segments == 0xFFFF):
        # Counts that do not fit in 16 bits are in the first section header.
        first = reader.read_at(section_at, layout.section.size)
        if len(first) == layout.section.size:
            _, _, _, _, _, first_size, first_link, first_info, _, _ = layout.section.unpack(first)
            sections = sections or first_size
            names_index = first_link if names_index == 0xFFFF else names_index
            segments = first_info if segments == 0xFFFF else segments
        else:
            problems.add(section_at, "the section headers lie outside the file")
    table = _Table("program", segment_at, segments, segment_size, layout.segment, MAX_SEGMENTS)
    found_segments = tuple([layout.as_segment(row) for row in table.rows(reader, head, problems)])
    table = _Table("section", section_at, sections, section_size, layout.section, MAX_SECTIONS)
    if sections_like and not _names_some(reader, table, names_index, layout.section, sections_like):
        return found_segments, ()
    return found_segments, _named(reader, table.rows(reader, head, problems), names_index, problems)


def _names_some(
    reader: Reader, table: _Table, names_index: int, row: struct.Struct, sections_like: tuple[bytes, ...]
) -> bool:
    """Whether one of the strings stands among the section names, or they cannot be told without the whole table."""
    data = reader.read_at(table.offset + names_index * row.size, row.size)
    if len(data) < row.size:
        return True
    _, _, _, _, offset, size, *_ = row.unpack(data)
    names = reader.read_at(offset, min(size, MAX_SECTION_NAMES))
    return any(name in names for name in sections_like)


class _Table(NamedTuple):
    """Where a header says that a table of `count` rows lies."""

    name: str
    offset: int
    entries: int
    row_size: int
    row: struct.Struct
    limit: int

    def rows(self, reader: Reader, head: bytes, problems: Problems) -> list[tuple[Any, ...]]:
        if not self.offset or not self.entries:
            return []
        if self.row_size != self.row.size:
            reason = f"the {self.name} headers have {self.row_size} bytes each instead of {self.row.size}"
            problems.add(self.offset, reason)
            return []
        if self.entries > self.limit:
            reason = f"of {self.entries} {self.name} headers no more than {self.limit} are read"
            problems.add(self.offset, reason)
        size = min(self.entries, self.limit) * self.row_size
        end = self.offset + size
        data = head[self.offset : end] if end <= len(head) else reader.read_at(self.offset, size)
        if len(data) < size:
            problems.add(self.offset, f"the file ends inside the {self.name} headers")
            data = data[: len(data) // self.row_size * self.row_size]
        return list(self.row.iter_unpack(data))


def _named(
    reader: Reader,
    rows: list[tuple[Any, ...]],
    names_index: int,
    problems: Problems,
) -> tuple[Section, ...]:
    names = b""
    if 0 < names_index < len(rows):
        _, kind, _, _, offset, size, *_ = rows[names_index]
        if kind != SHT_NOBITS:
            names = reader.read_at(offset, min(size, MAX_SECTION_NAMES))
            if len(names) < size:
                problems.add(offset, "the file ends inside the section names")
    names += b"\0"
    find = names.find
    return tuple(
        [
            Section(_text(names[name : find(b"\0", name)]), kind, flags, offset, size)
            for name, kind, flags, _, offset, size, *_ in rows
        ]
    )


def _interpreter(reader: Reader, segments: tuple[Segment, ...], problems: Problems) -> str | None:
    for segment in segments:
        if segment.type == PT_INTERP:
            data = reader.read_at(segment.offset, min(segment.file_size, 4096))
            if not data:
                problems.add(segment.offset, "the interpreter's name is not in the file")
                return None
            return _text(data.split(b"\0", 1)[0])
    return None


class _Dynamic:
    """The dynamic section of one file while it is read."""

    def __init__(self, reader: Reader, layout: _Layout, segments: tuple[Segment, ...], problems: Problems) -> None:
        self._reader = reader
        self._order = layout.half_words
        self._problems = problems
        self._loads = [segment for segment in segments if segment.type == PT_LOAD]
        self._values: dict[int, list[int]] = {}
        self._window = _Window(reader)
        self._records_left = MAX_NAMES
        self._read_tags(layout, segments)
        self._strings_at = 0
        self._strings_size = 0
        self._head = b""
        self._find_strings()

    def _read_tags(self, layout: _Layout, segments: tuple[Segment, ...]) -> None:
        segment = next((segment for segment in segments if segment.type == PT_DYNAMIC), None)
        if segment is None or segment.file_size == 0:
            return
        row = layout.dynamic
        size = min(segment.file_size, MAX_DYNAMIC * row.size)
        data = self._reader.read_at(segment.offset, size)
        for tag, value in row.iter_unpack(data[: len(data) // row.size * row.size]):
            if tag == 0:
                return
            self._values.setdefault(tag, []).append(value)
        if len(data) < segment.file_size:
            self._problems.add(segment.offset, "the dynamic section is cut off")

    def _find_strings(self) -> None:
        address = self._values.get(DT_STRTAB)
        if not address:
            return
        place = self._offset(address[-1])
        if place is None:
            self._problems.add(0, "the dynamic strings lie outside the file")
            return
        self._strings_at = place
        self._strings_size = self._values.get(DT_STRSZ, [MAX_STRING])[-1]
        # The strings of a C++ library take tens of MB: of a large table only what is named is read.
        if self._strings_size <= 4096:
            self._head = self._reader.read_at(place, self._strings_size)

    def _offset(self, address: int) -> int | None:
        for load in self._loads:
            if load.address <= address < load.address + load.file_size:
                place = address - load.address + load.offset
                return place if place < self._reader.size else None
        return None

    def _string(self, index: int) -> str | None:
        if not self._strings_at or index >= self._strings_size or 0 < len(self._head) <= index:
            reason = f"dynamic string {index} is outside its table"
            self._problems.add(self._strings_at, reason)
            return None
        if self._head:
            return _text(self._head[index:].split(b"\0", 1)[0])
        at = self._strings_at + index
        size = 64
        while True:
            data = self._reader.read_at(at, min(size, self._strings_size - index))
            end = data.find(b"\0")
            if end >= 0:
                return _text(data[:end])
            if len(data) < size or size >= MAX_STRING:
                self._problems.add(at, "a dynamic string does not end")
                return None
            size *= 16

    def strings(self, tag: int) -> tuple[str, ...]:
        found = [self._string(index) for index in self._values.get(tag, [])[:MAX_NAMES]]
        return tuple([text for text in found if text is not None])

    def last(self, tag: int) -> str | None:
        found = self._values.get(tag)
        return self._string(found[-1]) if found else None

    def has_flag(self, tag: int, flag: int) -> bool:
        return any(value & flag for value in self._values.get(tag, ()))

    def needs_versions(self) -> dict[str, tuple[str, ...]]:
        need, auxiliary = struct.Struct(self._order + "HHIII"), struct.Struct(self._order + "IHHII")
        found: dict[str, tuple[str, ...]] = {}
        for at, (_, count, file, first, _) in self._records(DT_VERNEED, DT_VERNEEDNUM, need):
            names = self._links(auxiliary, at + first, count)
            nodes = [self._string(fields[3]) for _, fields in names]
            name = self._string(file)
            if name is not None:
                found[name] = found.get(name, ()) + tuple([node for node in nodes if node is not None])
        return found

    def defines_versions(self) -> tuple[str, ...]:
        definition, auxiliary = struct.Struct(self._order + "HHHHIII"), struct.Struct(self._order + "II")
        found = []
        for at, (*_, first, _) in self._records(DT_VERDEF, DT_VERDEFNUM, definition):
            # The names of a definition are its own and then its parents': only the first defines.
            found += [self._string(fields[0]) for _, fields in self._links(auxiliary, at + first, 1)]
        return tuple([node for node in found if node is not None])

    def _records(self, tag: int, count_tag: int, record: struct.Struct) -> Iterator[tuple[int, tuple[Any, ...]]]:
        if tag not in self._values:
            return iter(())
        at = self._offset(self._values[tag][-1])
        if at is None:
            self._problems.add(0, "the version nodes lie outside the file")
            return iter(())
        return self._links(record, at, self._values.get(count_tag, [0])[-1])

    def _links(self, record: struct.Struct, at: int, count: int) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Up to `count` records from `at` on; the last field of each is the distance to the next, or 0.

        All records of a file share one allowance, so that crossing chains cannot multiply.
        """
        try:
            for _ in range(count):
                self._records_left -= 1
                if self._records_left < 0:
                    raise Damaged(at, f"more than {MAX_NAMES} version nodes")
                fields = self._window.unpack(record, at)
                yield at, fields
                if fields[-1] == 0:
                    return
                at += fields[-1]
        except Damaged as damage:
            self._problems.add(damage.offset, damage.reason)


class _Window:
    """Small structures near each other, read a KiB at a time: their total size is nowhere written."""

    __slots__ = ("_data", "_reader", "_start")

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._start = 0
        self._data = b""

    def unpack(self, what: struct.Struct, at: int) -> tuple[Any, ...]:
        place = at - self._start
        if place < 0 or place + what.size > len(self._data):
            self._start, self._data, place = at, self._reader.read_at(at, 1024), 0
        if len(self._data) - place < what.size:
            raise Damaged(at, "the file ends inside the version nodes")
        return what.unpack_from(self._data, place)
