"""AMD code objects: target ids from headers, bundles plain and compressed, offload binaries, kernel library names."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from doctor.binary.bundle import add_entry
from doctor.binary.codeobject import target_in_name
from doctor.binary.record import BinaryFile, Counts
from doctor.binary.scan import scan_file
from tests.binary import AMD, reader

BUNDLED = ("gfx1100", "gfx90a:xnack+", "gfx90a:xnack-", "gfx942:sramecc-:xnack+")
E_FLAGS = [line.replace(",", " ").split() for line in (AMD / "e_flags.txt").read_text().splitlines()]


def scanned(path: Path) -> BinaryFile:
    return scan_file(reader(path.read_bytes()), str(path))


@pytest.mark.parametrize(("target", "flags", "abi"), E_FLAGS, ids=[row[0] for row in E_FLAGS])
def test_every_processor_clang_builds_for(target: str, flags: str, abi: str) -> None:
    path = AMD / f"o_{target}.hsaco"
    assert struct.unpack_from("<I", path.read_bytes(), 48)[0] == int(flags, 16)
    file = scanned(path)
    assert (file.kind, file.machine) == ("code-object", "amdgpu")
    assert file.gfx == (target,)
    assert file.unreadable == ()


@pytest.mark.parametrize("path", sorted(AMD.glob("f_*.hsaco")), ids=lambda path: path.stem)
def test_features_in_every_code_object_version(path: Path) -> None:
    assert scanned(path).gfx == (path.stem[2:].rpartition("_v")[0].replace(",", ":"),)


@pytest.mark.parametrize(
    ("flags", "target"), [(0x12C, "gfx900:xnack+"), (0x330, "gfx908:sramecc+:xnack+"), (0x3F, "gfx90a")]
)
def test_code_object_version_3(flags: int, target: str) -> None:
    # No compiler at hand writes it: version and flags put into the header of a newer one.
    data = bytearray((AMD / "o_gfx900.hsaco").read_bytes())
    data[8] = 1
    struct.pack_into("<I", data, 48, flags)
    assert scan_file(reader(bytes(data)), "old.hsaco").gfx == (target,)


@pytest.mark.parametrize(("at", "value"), [(8, 0), (48, 0xFE)])
def test_a_processor_that_is_not_known_is_said_to_be_so(at: int, value: int) -> None:
    data = bytearray((AMD / "o_gfx900.hsaco").read_bytes())
    data[at] = value
    file = scan_file(reader(bytes(data)), "new.hsaco")
    assert file.gfx == ()
    assert [part.offset for part in file.unreadable] == [48]


@pytest.mark.parametrize("name", ["b_plain", "b_c_default", "b_c_v1", "b_c_v1hand", "b_c_v2", "b_c_v3"])
def test_one_bundle(name: str) -> None:
    file = scanned(AMD / f"{name}.hipfb")
    assert (file.kind, file.gfx, file.unreadable) == ("bundle", BUNDLED, ())
    assert {images.number for images in file.images} == {1}


@pytest.mark.parametrize(("name", "bundles"), [("cat_plain", 3), ("cat_tight", 3), ("cat_v1", 3), ("cat_mix", 4)])
def test_bundles_one_after_another(name: str, bundles: int) -> None:
    file = scanned(AMD / f"{name}.hipfb")
    assert (file.gfx, file.unreadable) == (BUNDLED, ())
    assert {images.number for images in file.images} == {bundles}


def compressed(content: bytes, method: int = 0, version: int = 2, says: int | None = None) -> bytes:
    """A bundle compressed with zlib, which no compiler at hand writes any more."""
    body = zlib.compress(content)
    total = 24 + len(body) if says is None else says
    return b"CCOB" + struct.pack("<HHIIQ", version, method, total, len(content) & 0xFFFFFFFF, 0) + body


@pytest.mark.parametrize(
    ("entry", "target"),
    [
        ("hipv4-amdgcn-amd-amdhsa--gfx90a:xnack-:sramecc+", "gfx90a:sramecc+:xnack-"),
        ("hip-amdgcn-amd-amdhsa-gfx906+xnack", "gfx906:xnack+"),
        ("hip-amdgcn-amd-amdhsa--gfx908+xnack+sram-ecc", "gfx908:sramecc+:xnack+"),
        ("hip-amdgcn-amd-amdhsa--gfx908+sramecc", "gfx908:sramecc+"),
        ("hipv4-amdgcn-amd-amdhsa--gfx9-4-generic:xnack+", "gfx9-4-generic:xnack+"),
        ("host-x86_64-unknown-linux--", None),
    ],
)
def test_ids_of_bundle_entries(entry: str, target: str | None) -> None:
    counts: Counts = {}
    add_entry(entry, counts)
    assert counts == ({("code-object", target, None): 1} if target else {})


def test_bundle_compressed_with_zlib() -> None:
    file = scan_file(reader(compressed((AMD / "b_plain.hipfb").read_bytes())), "z.hipfb")
    assert (file.gfx, file.unreadable) == (BUNDLED, ())


def test_many_long_ids_need_more_than_the_first_block() -> None:
    ids = [f"hipv4-amdgcn-amd-amdhsa--gfx{900 + n % 90:x}:xnack+" for n in range(3000)]
    entries = b"".join(struct.pack("<QQQ", 0, 0, len(text)) + text.encode() for text in ids)
    plain = b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<Q", len(ids)) + entries
    for data in (plain, compressed(plain)):
        file = scan_file(reader(data), "many.hipfb")
        assert sum(images.number for images in file.images) == 3000
        assert file.unreadable == ()


@pytest.mark.parametrize(
    "data",
    [
        compressed(b"\0" * (64 << 20)),  # a bomb: 64 MiB of zeros from 64 KB
        compressed(b"nothing of a bundle"),
        compressed((AMD / "b_plain.hipfb").read_bytes(), says=1 << 31),
        compressed((AMD / "b_plain.hipfb").read_bytes(), says=3),
        compressed((AMD / "b_plain.hipfb").read_bytes(), method=1),
        compressed((AMD / "b_plain.hipfb").read_bytes(), method=9),
        compressed((AMD / "b_plain.hipfb").read_bytes(), version=7),
        (AMD / "b_c_v3.hipfb").read_bytes()[:200],
        b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<Q", 1 << 60),
        b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<QQQQ", 1, 0, 0, 1 << 62),
        b"__CLANG_OFFLOAD_BUNDLE__" + struct.pack("<QQQQ", 1, (1 << 64) - 8, 16, 1) + b"x",
    ],
    ids=["bomb", "text", "too-long", "too-short", "no-zstd", "method", "version", "cut", "count", "id", "offset"],
)
def test_a_damaged_bundle_is_named_with_its_place(data: bytes) -> None:
    file = scan_file(reader(data), "bad.hipfb")
    assert file.gfx == ()
    assert file.unreadable
    assert file.unreadable[0].offset == 0


def test_after_a_damaged_bundle_the_next_is_found() -> None:
    bad = (b"CCOB" + b"\xff" * 100).ljust(4096, b"\0")
    file = scan_file(reader(bad + (AMD / "b_c_v3.hipfb").read_bytes()), "mixed.hipfb")
    assert file.gfx == BUNDLED
    assert len(file.unreadable) == 1


@pytest.mark.parametrize("name", ["packed.offload", "offload.o"])
def test_offload_binary(name: str) -> None:
    file = scanned(AMD / name)
    assert file.gfx == ("gfx1100", "gfx90a:xnack-")
    assert file.cubin == ("sm_90a",)
    assert file.unreadable == ()


def test_a_compressed_offload_binary_says_that_its_targets_are_unknown() -> None:
    data = b"\x10\xff\x10\xad" + struct.pack("<IQQQQ", 3, 100, 40, 1, 5000) + bytes(60)
    file = scan_file(reader(data), "new.offload")
    assert file.gfx == ()
    assert "compressed" in file.unreadable[0].reason


NAMES = {
    # Names as rocBLAS, hipBLASLt, hipSPARSELt and MIOpen ship them; sources at target_in_name.
    "TensileLibrary_lazy_gfx1100.dat": "gfx1100",
    "Kernels.so-000-gfx1100.hsaco": "gfx1100",
    "Kernels.so-000-gfx906-xnack-.hsaco": "gfx906:xnack-",
    "Kernels.so-000-gfx90a-xnack+.hsaco": "gfx90a:xnack+",
    "TensileLibrary_Type_HH_Contraction_l_Ailk_Bjlk_Cijk_Dijk_fallback_gfx1030.hsaco": "gfx1030",
    "TensileLibrary_lazy_gfx950.dat.zlib": "gfx950",
    "TensileLiteLibrary_lazy_gfx1250_Mapping.dat.zlib": "gfx1250",
    "TensileLibrary_I8I8_II_Contraction_gfx942.co": "gfx942",
    "extop_gfx1151.co": "gfx1151",
    "TensileLibrary_lazy_gfx11-generic.dat": "gfx11-generic",
    "Kernels.so-000-gfx9-4-generic.hsaco": "gfx9-4-generic",
    "gfx90a68.kdb": "gfx90a",
    "gfx1030_36.kdb": "gfx1030",
    "gfx942130.kdb.bz2": "gfx942",
}


@pytest.mark.parametrize(("name", "target"), NAMES.items())
def test_kernel_library_by_its_name(name: str, target: str) -> None:
    assert target_in_name(name) == target
    file = scan_file(reader(b"\x81\xa7kernels"), f"library/{name}")
    assert (file.kind, file.gfx) == ("kernel-library", (target,))
    assert {(images.place, images.listed) for images in file.images} == {("name", True)}


@pytest.mark.parametrize("name", ["TensileLibrary_fallback.dat", "gfxinfo.dat", "gfx1100.db.txt", "notes-gfx1100.md"])
def test_other_names_tell_no_target(name: str) -> None:
    assert scan_file(reader(b"\x81\xa7kernels"), name).kind == "other"


def test_contents_count_more_than_the_name() -> None:
    assert scan_file(reader((AMD / "o_gfx942.hsaco").read_bytes()), "Kernels.so-000-gfx1100.hsaco").gfx == ("gfx942",)
