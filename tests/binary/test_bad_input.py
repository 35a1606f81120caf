"""Damaged and hostile files: the part that cannot be read is named with its offset, the rest is given, at little cost."""

from __future__ import annotations

import json
import random
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doctor.binary.device_code import Depth
from doctor.binary.elf import read_elf
from doctor.binary.reader import Damaged, Memory, Problems, Reader, find, open_file
from doctor.binary.record import BinaryFile, from_json, to_json
from doctor.binary.scan import scan, scan_file
from tests.binary import AMD, CUDA, reader
from tests.fuzz.binary_readers import TARGETS, mutated, seeds

SEEDS = [
    (path.read_bytes(), path.stem.removeprefix("o_gfx"))
    for path in (
        CUDA / "mixed.so",
        CUDA / "k.fatbin",
        CUDA / "k90a.cubin",
        AMD / "b_c_v2.hipfb",
        AMD / "o_gfx942.hsaco",
    )
]


def section(data: bytes, name: str) -> tuple[int, int]:
    return next((row.offset, row.size) for row in read_elf(reader(data)).sections if row.name == name)


@pytest.mark.parametrize(("data", "name"), SEEDS, ids=[name for _, name in SEEDS])
def test_cut_anywhere(data: bytes, name: str) -> None:
    whole = scan_file(reader(data), name)
    for size in range(0, len(data), max(1, len(data) // 97)):
        file = scan_file(reader(data[:size]), name)
        assert set(file.cubin) <= set(whole.cubin)
        assert set(file.ptx) <= set(whole.ptx)
        if file.images != whole.images and file.kind != "other":
            assert file.unreadable, f"cut to {size} bytes and nothing said"


def test_entries_before_the_cut_are_kept() -> None:
    data = (CUDA / "mixed.so").read_bytes()
    start, size = section(data, ".nv_fatbin")
    # Cut inside the fatbin, with the section table put where the file now ends.
    at = struct.unpack_from("<Q", data, 40)[0]
    kept = bytearray(data[: start + size // 2])
    struct.pack_into("<Q", kept, 40, len(kept))
    file = scan_file(reader(bytes(kept) + data[at:]), "cut.so")
    assert file.cubin
    assert len(file.cubin) < 3
    assert any(start <= part.offset for part in file.unreadable)


@pytest.mark.parametrize(
    ("at", "form", "value"),
    [
        (8, "<Q", 0xFFFFFFFFFFFFFFF8),  # size of the region
        (8, "<Q", 1 << 63),
        (16 + 4, "<I", 0xFFFFFFFF),  # header of the first entry
        (16 + 4, "<I", 0),
        (16 + 8, "<Q", 0xFFFFFFFFFFFFFFB0),  # payload: header + payload wraps round to 0 in 64 bits
        (16 + 8, "<Q", 1 << 40),
        (16 + 0x1C, "<I", 0xFFFFFFFF),  # architecture
    ],
)
def test_fatbin_sizes_that_lie(at: int, form: str, value: int) -> None:
    data = bytearray((CUDA / "mixed.so").read_bytes())
    start, _ = section(bytes(data), ".nv_fatbin")
    struct.pack_into(form, data, start + at, value)
    file = scan_file(reader(bytes(data)), "lies.so")
    assert start <= file.unreadable[0].offset <= start + 16
    assert "fatbin" in file.unreadable[0].reason


def test_one_damaged_region_does_not_hide_the_next() -> None:
    data = bytearray((CUDA / "mixed.so").read_bytes())
    start, _ = section(bytes(data), ".nv_fatbin")
    first = 16 + struct.unpack_from("<Q", data, start + 8)[0]
    struct.pack_into("<I", data, start + 16 + 4, 1)
    bad = bytes(data[start : start + first])
    file = scan_file(reader(bad + (CUDA / "k.fatbin").read_bytes()), "two.fatbin")
    assert file.cubin == ("sm_80",)
    assert [part.offset for part in file.unreadable] == [16]


def sparse(path: Path, size: int, head: bytes) -> Path:
    with path.open("wb") as stream:
        stream.write(head)
        stream.truncate(size)
    return path


def elf_with_section(name: bytes, start: int, size: int, flags: int = 2) -> bytes:
    """An ELF file whose one section is said to lie at `start` and to have `size` bytes."""
    names = b"\0" + name + b"\0.shstrtab\0"
    header = struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 0, 64, 0, 64, 56, 0, 64, 3, 2)
    rows = bytes(64) + struct.pack("<IIQQQQIIQQ", 1, 1, flags, 0, start, size, 0, 0, 8, 0)
    rows += struct.pack("<IIQQQQIIQQ", len(name) + 2, 3, 0, 0, 64 + 192, len(names), 0, 0, 1, 0)
    return b"\x7fELF\x02\x01\x01" + bytes(9) + header + rows + names


@pytest.mark.parametrize("name", [b".nv_fatbin", b".hip_fatbin", b".cask_resource", b".llvm.offloading"])
@pytest.mark.parametrize("depth", [Depth.LISTED, Depth.KNOWN])
def test_four_gigabytes_of_nothing(tmp_path: Path, name: bytes, depth: Depth) -> None:
    path = sparse(tmp_path / "big.so", 4 << 30, elf_with_section(name, 4096, (4 << 30) - 4096))
    with open_file(path) as file:
        limited = Reader(file.source, size_limit=64 << 20)  # as in use, but an eighth of the cost
        found = scan_file(limited, str(path), depth)
        assert limited.bytes_read <= (64 << 20) + (1 << 20)
    assert found.images == ()
    if name != b".cask_resource" or depth is not Depth.LISTED:
        assert "gave up" in found.unreadable[0].reason


@pytest.mark.parametrize(("start", "size"), [(1 << 40, 100), ((1 << 64) - 64, 1 << 63), (0, (1 << 64) - 1)])
def test_sections_outside_the_file(start: int, size: int) -> None:
    data = elf_with_section(b".nv_fatbin", start, size)
    file = scan_file(reader(data), "x.so")
    assert file.kind == "shared-object"
    assert any("ends after the end of the file" in part.reason for part in file.unreadable)


def test_a_region_chain_of_many_entries_is_given_up_in_time() -> None:
    entry = struct.pack("<HHIQIIHHI", 2, 0x101, 64, 0, 0, 0, 7, 1, 80).ljust(64, b"\0")
    data = b"\x50\xed\x55\xba\x01\0\x10\0" + struct.pack("<Q", 64 * 50_000) + entry * 50_000
    limited = Reader(Memory(data), reads=10_000)
    file = scan_file(limited, "many.fatbin")
    assert limited.reads <= 10_001
    assert 9_000 < file.images[0].number < 10_001, "what was counted before must be kept"
    assert "gave up" in file.unreadable[0].reason


def test_endlessly_different_entries_do_not_fill_memory() -> None:
    entries = [
        struct.pack("<HHIQIIHHI", 1, 0x101, 64, 0, 0, 0, n % 65_536, n // 65_536, 80).ljust(64, b"\0")
        for n in range(20_000)
    ]
    regions = [b"\x50\xed\x55\xba\x01\0\x10\0" + struct.pack("<Q", 64) + entry for entry in entries]
    file = scan_file(reader(b"".join(regions)), "different.fatbin")
    assert len(file.images) <= 4_200
    assert "different kinds" in file.unreadable[0].reason


def test_a_file_broken_in_many_places_has_a_short_record() -> None:
    bad = b"\x50\xed\x55\xba\x01\0\x10\0" + struct.pack("<Q", 16) + bytes(16)
    file = scan_file(reader(bad * 5_000), "broken.fatbin")
    assert len(file.unreadable) == Problems.LIMIT + 1
    assert "more places" in file.unreadable[-1].reason


def test_memory_stays_flat_whatever_a_file_says() -> None:
    inputs = [
        elf_with_section(b".nv_fatbin", 0, 1 << 62),
        (CUDA / "mixed.so").read_bytes()[:40] + struct.pack("<Q", 64) + b"\xff" * 200,
        b"!<arch>\n" + b"x" * 48 + b"9999999999`\n",
        b"PK\x03\x04" + bytes(100) + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 9, 9, 0x7FFFFFFF, 0, 0),
    ]
    tracemalloc.start()
    try:
        for data in inputs:
            scan_file(reader(data), "says.so", Depth.ALL)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_a_medium_that_fails_is_an_unreadable_place() -> None:
    class Failing:
        size = 1 << 20

        def read_at(self, offset: int, size: int) -> bytes:
            raise OSError(5, "Input/output error")

    file = scan_file(Reader(Failing()), "/mnt/x.so")
    assert [(part.offset, part.reason) for part in file.unreadable] == [(0, "Input/output error")]


def test_find_across_chunks() -> None:
    data = bytearray(3 << 20)
    for place in (0, 4094, 4096, (1 << 20) + 4093, len(data) - 4):
        data[place : place + 4] = b"CCOB"
        assert find(reader(bytes(data)), (b"XXXXXXXX", b"CCOB"), 0, len(data)) == (place, b"CCOB")
        data[place : place + 4] = bytes(4)
    assert find(reader(bytes(data)), (b"CCOB",), 0, len(data)) is None
    assert find(reader(b"CCO"), (b"CCOB",), 0, 3) is None


@given(offset=st.integers(-10, 200), size=st.integers(-10, 200))
def test_reads_are_clamped(offset: int, size: int) -> None:
    data = bytes(range(100))
    assert reader(data).read_at(offset, size) == (data[offset : offset + size] if offset >= 0 and size > 0 else b"")


@pytest.mark.parametrize("target", TARGETS)
def test_fuzz_targets_with_mutated_files(target: str) -> None:
    source = random.Random(target)
    inputs = seeds(target)
    for _ in range(250):
        TARGETS[target](mutated(source.choice(inputs), source))


@settings(deadline=None, max_examples=150)
@given(
    data=st.binary(max_size=400), magic=st.sampled_from([row[0][:24] for row in SEEDS] + [b"PK\x03\x04", b"!<arch>\n"])
)
def test_any_bytes_behind_a_magic_number(data: bytes, magic: bytes) -> None:
    file = scan_file(reader(magic + data), "any.co")
    assert from_json(json.loads(json.dumps(to_json(file)))) == file


text = st.text(st.characters(codec="utf-8"), max_size=12)
texts = st.lists(text, max_size=4).map(tuple)


@given(
    st.builds(
        BinaryFile, path=text, kind=text, size=st.integers(0), needed=texts, runpath=texts, cubin=texts, gfx=texts
    )
)
def test_records_survive_json(file: BinaryFile) -> None:
    assert from_json(json.loads(json.dumps(to_json(file)))) == file


def test_records_of_real_files_survive_json() -> None:
    files = [file for folder in (CUDA, AMD) for file in scan(str(folder))]
    assert len(files) > 100
    assert [from_json(json.loads(json.dumps(to_json(file)))) for file in files] == files


def test_a_name_that_is_no_utf8_survives() -> None:
    data = bytearray((CUDA / "mixed.so").read_bytes())
    at = data.index(b"libc.so.6\0")
    data[at] = 0xFF
    file = scan_file(reader(bytes(data)), "odd\udcff.so")
    assert "\udcffibc.so.6" in file.needed
    assert from_json(json.loads(json.dumps(to_json(file)))) == file


def test_damage_in_exact_reads_says_what_is_cut() -> None:
    with pytest.raises(Damaged, match="the file ends inside a header"):
        reader(b"abc").exactly(1, 5, "a header")
