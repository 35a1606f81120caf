"""Kernel images of CUDA files: as cuobjdump lists them, and beyond it."""

from __future__ import annotations

import json
import re
import struct
from collections import Counter
from pathlib import Path

import pytest

from doctor.binary.device_code import Depth
from doctor.binary.record import RELOCATABLE, BinaryFile, Images, loadable
from doctor.binary.scan import scan_file
from tests.binary import CUDA, reader

LISTED = json.loads((CUDA / "cuobjdump.json").read_text())
# cuobjdump finds nothing without section headers, and of two LTO-IR forms prints neither as ELF nor as PTX.
UNSEEN_BY_CUOBJDUMP = {"no_sections.so"}


def scanned(path: Path, depth: Depth = Depth.KNOWN) -> BinaryFile:
    return scan_file(reader(path.read_bytes()), str(path), depth)


def listed(file: BinaryFile, kind: str, relocatable: bool) -> Counter[str]:
    found: Counter[str] = Counter()
    for images in file.images:
        if images.kind == kind and (relocatable or images.listed):
            # cuobjdump drops the f of machine code, and calls PTX by sm_ too.
            target = images.target.removesuffix("f") if kind == "cubin" else images.target
            found[target.replace("compute_", "sm_")] += images.number
    return found


@pytest.mark.parametrize("name", sorted(set(LISTED) - UNSEEN_BY_CUOBJDUMP))
def test_images_as_cuobjdump_lists_them(name: str) -> None:
    file = scanned(CUDA / name)
    for relocatable, how in ((False, "plain"), (True, "all")):
        assert listed(file, "cubin", relocatable) == Counter([f.removesuffix("f") for f in LISTED[name][how]["elf"]])
        assert listed(file, "ptx", relocatable) == Counter(LISTED[name][how]["ptx"])
    assert file.unreadable == ()


@pytest.mark.parametrize("path", sorted(CUDA.glob("k*.cubin")), ids=lambda path: path.stem)
def test_loose_cubin_has_its_exact_target(path: Path) -> None:
    file = scanned(path)
    assert (file.kind, file.machine) == ("cubin", "cuda")
    assert file.cubin == (path.stem.replace("k", "sm_"),)


@pytest.mark.parametrize(
    ("name", "cubin", "ptx"),
    [
        ("mixed", ("sm_80", "sm_86", "sm_90a"), ("compute_80", "compute_90a")),
        ("family", ("sm_100f", "sm_103a", "sm_103f"), ("compute_110f",)),
        ("family_code", ("sm_100f", "sm_103f"), ("compute_100f",)),
        ("plain_and_a", ("sm_90", "sm_90a", "sm_100", "sm_100a"), ()),
        ("twelve", ("sm_120a", "sm_120f", "sm_121", "sm_121a"), ("compute_121",)),
        ("debug", ("sm_80",), ("compute_80",)),
        ("lineinfo", ("sm_80",), ("compute_80",)),
        ("mode_none", ("sm_80", "sm_90a"), ("compute_80",)),
        ("mode_speed", ("sm_80", "sm_90a"), ("compute_80",)),
        ("mode_size", ("sm_80", "sm_90a"), ("compute_80",)),
        ("stripped", ("sm_80", "sm_86", "sm_90a"), ("compute_80", "compute_90a")),
        ("renamed", ("sm_80", "sm_86", "sm_90a"), ("compute_80", "compute_90a")),
        ("no_sections", ("sm_80", "sm_86", "sm_90a"), ("compute_80", "compute_90a")),
    ],
)
def test_suffixes_compression_and_hidden_sections(name: str, cubin: tuple[str, ...], ptx: tuple[str, ...]) -> None:
    file = scanned(CUDA / f"{name}.so")
    assert file.cubin == cubin
    assert file.ptx == ptx
    assert {version for _, version in file.ptx_modules()} <= {"9.0"}


def test_every_form_of_ptx_target() -> None:
    targets = {target for target, _ in scanned(CUDA / "ptx_all.so").ptx_modules()}
    assert targets == {f"compute_{name}" for name in ["75", "90", "90a", "100", "100a", "100f", "120f"]}


def test_images_found_without_section_headers_are_told_apart() -> None:
    assert {(images.place, images.listed) for images in scanned(CUDA / "no_sections.so").images} == {("segment", False)}


def test_link_time_code_is_not_machine_code() -> None:
    file = scanned(CUDA / "lto.fatbin")
    assert (file.cubin, file.ptx) == ((), ())
    assert [(images.kind, images.target) for images in file.images] == [("lto-ir", "lto_80")]


def test_relocatable_code_counts_only_alone() -> None:
    alone = scanned(CUDA / "relocatable.o")
    assert {images.place for images in alone.images} == {RELOCATABLE}
    assert alone.cubin == ("sm_80", "sm_90a")
    linked = scanned(CUDA / "linked.so")
    assert {images.place for images in linked.images if not images.listed} == {RELOCATABLE}
    assert {images.place for images in linked.images if images.listed} == {".nv_fatbin"}
    assert (linked.cubin, linked.ptx, linked.ptx_modules()) == (("sm_80", "sm_90a"), (), ())
    assert linked.relocatable_ptx() == (("compute_80", "9.0"),)
    assert alone.relocatable_ptx() == ()


@pytest.mark.parametrize("name", ["libcusparse.so.12", "libonnxruntime_providers_cuda.so", "libplain.so"])
def test_images_among_constants(name: str) -> None:
    """Some libraries are known to keep cubins and fatbins there; they decide only where a file has no other code."""
    fatbin, cubin = (CUDA / "k.fatbin").read_bytes(), (CUDA / "k90a.cubin").read_bytes()
    constants = b"\x50\xed\x55\xba" + bytes(12) + fatbin + bytes(40) + cubin + bytes(8)
    alone = scan_file(reader(in_section(constants, ".rodata")), f"/lib/{name}")
    counted = {(images.place, images.target): images.number for images in alone.images}
    if name == "libplain.so":
        assert counted == {}
        return
    assert counted == {(".rodata", "sm_80"): 1, (".rodata", "compute_80"): 1, (".rodata", "sm_90a"): 1}
    assert (alone.cubin, alone.ptx, alone.unreadable) == (("sm_80", "sm_90a"), ("compute_80",), ())
    listed = Images(".nv_fatbin", "cubin", "sm_75", 1)
    beside = alone._replace(images=(listed, *alone.images))
    assert loadable(beside.images) == [listed]
    assert beside.ptx_modules() == ()
    assert scan_file(reader(in_section(constants, ".rodata")), name, Depth.LISTED).images == ()


@pytest.mark.parametrize("name", ["k75", "k90a"])
def test_loose_ptx(name: str) -> None:
    file = scanned(CUDA / f"{name}.ptx")
    assert file.kind == "ptx"
    assert file.ptx_modules() == ((name.replace("k", "compute_"), "9.0"),)


def test_ptx_target_with_options_after_and_comments_before() -> None:
    text = b"// .version 1.0\n/* .target sm_10 */\n\n.version 7.8\n.target sm_90a, texmode_independent, debug\n"
    assert scan_file(reader(text), "x.ptx").ptx_modules() == (("compute_90a", "7.8"),)


@pytest.mark.parametrize(("flags", "target"), [(0x005A0D5A, "sm_90a"), (0x0050055A, "sm_90"), (0x00560556, "sm_86")])
def test_cubin_of_a_toolkit_before_13(flags: int, target: str) -> None:
    # No such toolkit is at hand: the identification and flags of real old cubins in the header of a new one.
    data = bytearray((CUDA / "k90.cubin").read_bytes())
    data[7:9] = b"\x33\x07"
    struct.pack_into("<I", data, 48, flags)
    assert scan_file(reader(bytes(data)), "old.cubin").cubin == (target,)


def in_section(content: bytes, name: str) -> bytes:
    """mixed.so with its fatbin section renamed and filled with `content`."""
    data = bytearray((CUDA / "mixed.so").read_bytes())
    place = scan_place(bytes(data))
    at = data.index(b".nv_fatbin\0")
    assert len(name) <= len(".nv_fatbin")
    data[at : at + 11] = name.encode().ljust(11, b"\0")
    data[place[0] : place[0] + place[1]] = content.ljust(place[1], b"\0")[: place[1]]
    return bytes(data)


def scan_place(data: bytes) -> tuple[int, int]:
    from doctor.binary.elf import read_elf

    section = next(row for row in read_elf(reader(data)).sections if row.name == ".nv_fatbin")
    return section.offset, section.size


def test_images_that_cuobjdump_does_not_list_are_found_and_told_apart() -> None:
    region = (CUDA / "k.fatbin").read_bytes()
    data = in_section(bytes(24) + region + bytes(16), ".ldata")
    file = scan_file(reader(data), "hidden.so")
    assert file.cubin == ("sm_80",)
    assert {(images.place, images.listed) for images in file.images} == {(".ldata", False)}
    assert scan_file(reader(data), "hidden.so", Depth.LISTED).not_searched == (".ldata",)
    assert scan_file(reader(data), "hidden.so", Depth.LISTED).cubin == ()
    tables = in_section(bytes(64), ".ldata")
    assert scan_file(reader(tables), "some.so").not_searched == (".ldata",)
    assert scan_file(reader(tables), "libcublasLt.so.13").not_searched == ()


def test_bare_cubins_in_data_are_found_by_a_deep_scan_only() -> None:
    cubin = (CUDA / "k90a.cubin").read_bytes()
    data = in_section(b"constants" + bytes(7) + cubin, ".rodata")
    assert scan_file(reader(data), "bare.so").images == ()
    deep = scan_file(reader(data), "bare.so", Depth.ALL)
    assert [(images.place, images.target, images.number) for images in deep.images] == [(".rodata", "sm_90a", 1)]


def test_the_magic_number_among_constants_is_no_image() -> None:
    data = in_section(b"\x50\xed\x55\xba\x02\0\x10\0" * 8 + b"\x50\xed\x55\xba\x01\0\x10\0" + b"\xff" * 60, ".rodata")
    assert scan_file(reader(data), "constants.so", Depth.ALL).images == ()


def test_objects_of_a_static_archive_are_read_in_place() -> None:
    file = scanned(CUDA / "libdevice.a")
    assert (file.kind, file.machine) == ("static-archive", "x86_64")
    assert {(images.kind, images.target): images.number for images in file.images} == {
        ("cubin", "sm_80"): 2,
        ("cubin", "sm_90a"): 2,
        ("ptx", "compute_80"): 2,
    }


def test_targets_are_sorted_by_number() -> None:
    numbers = [int(re.findall(r"\d+", target)[0]) for target in scanned(CUDA / "twelve.so").cubin]
    assert numbers == sorted(numbers)
