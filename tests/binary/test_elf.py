"""Our ELF headers are those of pyelftools, on every fixture, on this machine's libraries and on rare layouts."""

from __future__ import annotations

import io
import os
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection
from elftools.elf.segments import InterpSegment

from doctor.binary.elf import ElfFile, read_elf
from doctor.binary.reader import Damaged, open_file
from tests.binary import AMD, CUDA, reader

FIXTURES = [path for path in sorted([*CUDA.iterdir(), *AMD.iterdir()]) if path.read_bytes()[:4] == b"\x7fELF"]
FOLDERS = [Path("/usr/lib"), Path("/lib64"), Path("/usr/lib/x86_64-linux-gnu"), Path(sys.executable).parent]


def system_libraries() -> list[Path]:
    """Up to 120 libraries and programs of the machine, of every size, each once."""
    found: dict[tuple[int, int], Path] = {}
    for folder in FOLDERS:
        for path in sorted(folder.glob("*")) if folder.is_dir() else []:
            if path.is_file() and os.access(path, os.R_OK):
                with path.open("rb") as stream:
                    if stream.read(4) == b"\x7fELF":
                        found.setdefault((path.stat().st_dev, path.stat().st_ino), path)
    paths = list(found.values())
    return paths[:: max(1, len(paths) // 120)]


def of_pyelftools(stream: Any) -> dict[str, Any]:
    elf = ELFFile(stream)
    tags: dict[str, list[str]] = {"DT_NEEDED": [], "DT_SONAME": [], "DT_RPATH": [], "DT_RUNPATH": []}
    interpreter = None
    for segment in elf.iter_segments():
        if isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                if tag.entry.d_tag in tags:
                    tags[tag.entry.d_tag].append(getattr(tag, tag.entry.d_tag[3:].lower()))
        elif isinstance(segment, InterpSegment):
            interpreter = segment.get_interp_name()
    needs: dict[str, list[str]] = {}
    defines: list[str] = []
    for section in elf.iter_sections():
        if isinstance(section, GNUVerNeedSection):
            for need, names in section.iter_versions():
                needs.setdefault(need.name, []).extend(name.name for name in names)
        elif isinstance(section, GNUVerDefSection):
            defines += [next(iter(names)).name for _, names in section.iter_versions()]
    return {
        "bits": elf.elfclass,
        "little_endian": elf.little_endian,
        "flags": elf.header.e_flags,
        "abi_version": elf.header.e_ident.EI_ABIVERSION,
        "soname": tags["DT_SONAME"][-1] if tags["DT_SONAME"] else None,
        "needed": tuple(tags["DT_NEEDED"]),
        "rpath": tuple(tags["DT_RPATH"][-1].split(":")) if tags["DT_RPATH"] else (),
        "runpath": tuple(tags["DT_RUNPATH"][-1].split(":")) if tags["DT_RUNPATH"] else (),
        "interpreter": interpreter,
        "needs_versions": {name: tuple(nodes) for name, nodes in needs.items()},
        "defines_versions": tuple(defines),
        "sections": [(row.name, row["sh_offset"], row["sh_size"], row["sh_flags"]) for row in elf.iter_sections()],
        "segments": [(row["p_offset"], row["p_vaddr"], row["p_filesz"], row["p_flags"]) for row in elf.iter_segments()],
    }


def of_ours(elf: ElfFile) -> dict[str, Any]:
    names = (
        "bits little_endian flags abi_version soname needed rpath runpath interpreter needs_versions defines_versions"
    )
    return {
        **{name: getattr(elf, name) for name in names.split()},
        "sections": [(row.name, row.offset, row.size, row.flags) for row in elf.sections],
        "segments": [(row.offset, row.address, row.file_size, row.flags) for row in elf.segments],
    }


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_fixture_as_pyelftools_reads_it(path: Path) -> None:
    data = path.read_bytes()
    elf = read_elf(reader(data))
    ours, theirs = of_ours(elf), of_pyelftools(io.BytesIO(data))
    if not elf.sections:
        # pyelftools finds version nodes by section; see test_without_section_headers_the_dynamic_facts_stay.
        theirs["needs_versions"] = ours["needs_versions"]
    assert ours == theirs
    assert elf.unreadable == ()


def test_system_libraries_as_pyelftools_reads_them() -> None:
    paths = system_libraries()
    assert paths, "this machine has no ELF libraries where they should be"
    for path in paths:
        with open_file(path) as file, path.open("rb") as stream:
            ours, theirs = of_ours(read_elf(file)), of_pyelftools(stream)
        assert ours == theirs, path


HEADERS = {32: "HHIIIIIHHHHHH", 64: "HHIQQQIHHHHHH"}
SECTIONS = {32: "10I", 64: "IIQQQQIIQQ"}


def built(bits: int, order: str, machine: int, sections: int = 2, extended: bool = False) -> bytes:
    """An ELF file with nothing but a section table; with `extended`, its counts are in the first section header."""
    header = struct.Struct(order + HEADERS[bits])
    row = struct.Struct(order + SECTIONS[bits])
    start = 16 + header.size
    names = b"\0.odd name\0"
    names_at = start + sections * row.size
    ident = b"\x7fELF" + bytes([bits // 32, 1 if order == "<" else 2, 1]) + bytes(9)
    first = (0, 0, 0, 0, 0, sections, sections - 1, 0, 0, 0) if extended else (0,) * 10
    rows = [first, *[(1, 1, 2, 0, 0, 0, 0, 0, 0, 0)] * (sections - 2), (1, 3, 0, 0, names_at, len(names), 0, 0, 1, 0)]
    count, index = (0, 0xFFFF) if extended else (sections, sections - 1)
    fields = (3, machine, 1, 0, 0, start, 7, start, 0, 0, row.size, count, index)
    return ident + header.pack(*fields) + b"".join(row.pack(*fields) for fields in rows) + names


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
def test_both_classes_and_byte_orders(bits: int, order: str) -> None:
    data = built(bits, order, machine=21)
    elf = read_elf(reader(data))
    assert of_ours(elf) == of_pyelftools(io.BytesIO(data))
    assert (elf.machine, elf.bits, elf.little_endian) == ("ppc64", bits, order == "<")
    assert [section.name for section in elf.sections] == ["", ".odd name"]


def test_counts_that_do_not_fit_in_16_bits() -> None:
    data = built(64, "<", machine=62, sections=70_000, extended=True)
    elf = read_elf(reader(data))
    assert len(elf.sections) == 70_000
    assert {section.name for section in elf.sections} == {"", ".odd name"}
    assert elf.unreadable == ()


def test_sections_are_named_only_on_demand_in_objects() -> None:
    data = (CUDA / "relocatable.o").read_bytes()
    assert read_elf(reader(data), (b"no_such",)).sections == ()
    assert read_elf(reader(data), (b"no_such", b"nv_relfatbin")).sections == read_elf(reader(data)).sections


def test_without_section_headers_the_dynamic_facts_stay() -> None:
    whole = read_elf(reader((CUDA / "mixed.so").read_bytes()))
    cut = read_elf(reader((CUDA / "no_sections.so").read_bytes()))
    assert cut.sections == ()
    assert whole.sections
    for name in ("soname", "needed", "needs_versions", "segments", "interpreter"):
        assert getattr(cut, name) == getattr(whole, name)


@pytest.mark.parametrize(
    "data", [b"", b"\x7fELF", b"\x7fELF\x02\x01", b"\x7fELF\x07\x01" + bytes(60), b"MZ" + bytes(90)]
)
def test_what_is_no_elf_file_is_refused(data: bytes) -> None:
    with pytest.raises(Damaged):
        read_elf(reader(data))


def test_a_version_chain_that_loops_ends() -> None:
    data = bytearray((CUDA / "mixed.so").read_bytes())
    needs = next(row for row in read_elf(reader(bytes(data))).sections if row.name == ".gnu.version_r")
    # The first name's link to the next now leads back to itself through 32-bit wrap-around and a count of 65,535.
    struct.pack_into("<H", data, needs.offset + 2, 0xFFFF)
    first = needs.offset + struct.unpack_from("<I", data, needs.offset + 8)[0]
    struct.pack_into("<I", data, first + 12, 1)
    file = reader(bytes(data))
    elf = read_elf(file)
    assert elf.needed == read_elf(reader((CUDA / "mixed.so").read_bytes())).needed
    assert file.reads < 100_000
