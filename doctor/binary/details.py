"""More of one ELF file than its headers: what its version needs are for, and how it wants to be loaded.

Read by pyelftools, for one file that a person looks at: symbols, notes and flags are its field, and the 0.1 s that its
import and its pace cost do not matter there. A sweep never comes here: `doctor.binary.elf` reads the headers of the
same file thirty times faster (benchmarks/RESULTS-binary.md) and is held equal to pyelftools on every fixture.

pyelftools trusts what it reads. It gets the file through a reader with a small budget, so that no count or string in
the file can make it read, loop or grow without end.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Collection, Iterator
from itertools import islice
from typing import IO, NamedTuple, cast

from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import NoteSection, SymbolTableSection

from doctor.binary.reader import Damaged, Reader

# The largest real need of 120 libraries (libtriton) takes 205,000 reads and 1.5 MB, 1.4 s; libtorch_cpu 49,000.
_READS = 250_000
_BYTES = 64 << 20
_MAX_NODES = 4_096
_MAX_NOTES = 64
_DF_STATIC_TLS = 0x10
_PF_X = 1
_HIDDEN = 0x8000  # of an entry of .gnu.version; the rest is the index of a node


class Node(NamedTuple):
    """A version node that is asked of `library`, and the symbols that it is asked for, in the file's order."""

    library: str
    name: str
    symbols: tuple[str, ...]


class Details(NamedTuple):
    """What the headers do not say. `build_id` is in hex digits, `nodes` are in the order of the file.

    `static_tls`: opened late it may fail with "cannot allocate memory in static TLS block". `executable_stack`: from
    2.41 on glibc refuses to open it late, with "cannot enable executable stack".

    Sources: https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html (DF_STATIC_TLS),
    https://sourceware.org/git/?p=glibc.git;a=blob;f=NEWS (2.41: dlopen and executable stacks).
    """

    build_id: str | None
    static_tls: bool
    executable_stack: bool
    nodes: tuple[Node, ...]


def details(reader: Reader) -> Details:
    """The details of the ELF file in `reader`. Raises Damaged when it cannot be read."""
    try:
        elf = ELFFile(cast(IO[bytes], _Stream(Reader(reader.source, _READS, _BYTES))))
        return Details(_build_id(elf), _static_tls(elf), _executable_stack(elf), _nodes(elf))
    except Damaged:
        raise
    except Exception as error:  # pyelftools has no one error for what a made-up file can do to it
        raise Damaged(0, f"pyelftools cannot read it: {type(error).__name__}: {error}") from error


class _Stream:
    """A reader as the part of a binary stream that pyelftools asks for. Not buffered, so that each read is counted."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._at = 0

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._reader.size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        data = self._reader.read_at(self._at, self._reader.size if size < 0 else size)
        self._at += len(data)
        return data


def _build_id(elf: ELFFile) -> str | None:
    for section in elf.iter_sections():
        if isinstance(section, NoteSection):
            for note in islice(section.iter_notes(), _MAX_NOTES):
                if note["n_type"] == "NT_GNU_BUILD_ID":
                    return str(note["n_desc"])
    return None


def _static_tls(elf: ELFFile) -> bool:
    for segment in elf.iter_segments():
        if isinstance(segment, DynamicSegment):
            return any(bool(tag.entry.d_val & _DF_STATIC_TLS) for tag in segment.iter_tags("DT_FLAGS"))
    return False


def _executable_stack(elf: ELFFile) -> bool:
    return any(
        segment["p_type"] == "PT_GNU_STACK" and bool(segment["p_flags"] & _PF_X) for segment in elf.iter_segments()
    )


def _nodes(elf: ELFFile) -> tuple[Node, ...]:
    needs, symbols = elf.get_section_by_name(".gnu.version_r"), elf.get_section_by_name(".dynsym")
    indices = elf.get_section_by_name(".gnu.version")
    if not isinstance(needs, GNUVerNeedSection) or not isinstance(symbols, SymbolTableSection) or indices is None:
        return ()
    names: dict[int, tuple[str, str, list[str]]] = {}
    asked = ((need.name, node) for need, nodes in needs.iter_versions() for node in nodes)
    for library, node in islice(asked, _MAX_NODES):
        names[node["vna_other"]] = (library or "", node.name, [])
    for number, symbol in _asking(symbols, indices.data(), "<" if elf.little_endian else ">", names):
        names[number][2].append(symbol)
    return tuple(Node(library, name, tuple(found)) for library, name, found in names.values())


def _asking(
    symbols: SymbolTableSection, indices: bytes, order: str, wanted: Collection[int]
) -> Iterator[tuple[int, str]]:
    """Index of the node and name of each symbol that asks for one of the wanted nodes."""
    for place, (index,) in enumerate(struct.iter_unpack(order + "H", indices[: len(indices) // 2 * 2])):
        if index & ~_HIDDEN in wanted:
            yield index & ~_HIDDEN, symbols.get_symbol(place).name
