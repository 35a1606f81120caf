"""Archives that lie, bomb, break off or lead elsewhere: refused in one line, or counted as not examined."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
import tarfile
import threading
import tracemalloc
from pathlib import Path

import pytest

from doctor.binary.reader import Memory
from doctor.errors import UsageError
from doctor.gpus import Gpu, find_gpu
from doctor.image.archive import LayerReader
from doctor.image.examination import Cancelled, Examination, Limits
from doctor.image.inventory import examine
from doctor.image.planned import read_layer
from doctor.image.verdict import judge
from tests.image.conftest import Layout, cuda, saved, tar, zstd


def read(data: bytes, limits: Limits | None = None) -> tuple[dict[str, object], tuple[str, ...]]:
    """Entries of a layer and what was not examined."""
    examination = Examination(limits)
    layer = read_layer(Memory(data), True, "a layer", examination)
    return dict(layer.entries), examination.not_examined()


def member(name: str, **values: object) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.GNU_FORMAT) as archive:
        entry = tarfile.TarInfo(name)
        for key, value in values.items():
            setattr(entry, key, value)
        archive.addfile(entry, io.BytesIO(b"x" * entry.size) if entry.isreg() else None)
    return data.getvalue()


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/../../b", "..", "a/b/../../../c"])
def test_paths_that_lead_out_are_not_taken(name: str) -> None:
    entries, left_out = read(member(name, size=3))
    assert entries == {}
    assert "leads out of its folder" in left_out[0]


def test_absolute_names_lie_inside() -> None:
    assert list(read(member("/etc/shadow", size=1))[0]) == ["/etc/shadow"]


@pytest.mark.parametrize("name", ["a/" * 200 + "x", "n" * 300, "d/" * 2100 + "x"])
def test_deep_and_long_names(name: str) -> None:
    entries, left_out = read(member(name, size=1))
    assert entries == {}
    assert len(left_out) == 1


def test_looping_links_on_the_way() -> None:
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as archive:
        for name, to in (("a", "b"), ("b", "a")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, to
            archive.addfile(link)
        archive.addfile(tarfile.TarInfo("a/file"))
    entries, left_out = read(layer.getvalue())
    assert set(entries) == {"/a", "/b"}
    assert "circle" in left_out[0]


def test_device_nodes_are_listed_but_never_opened() -> None:
    entries, left_out = read(member("opt/zero", type=tarfile.CHRTYPE, devmajor=1, devminor=5))
    assert entries["/opt/zero"].kind == "other"  # type: ignore[attr-defined]
    assert "device node" in left_out[0]


def test_hard_link_to_nowhere() -> None:
    entries, left_out = read(tar({}, hard={"a": "not/there"}))
    assert entries == {}
    assert "hard link" in left_out[0]


def test_unknown_member_type() -> None:
    data = bytearray(member("x"))
    data[156:157] = b"Z"
    data[148:156] = b"        "
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    entries, left_out = read(bytes(data))
    assert entries == {}
    assert "unknown type" in left_out[0]


def test_sparse_file_is_not_read() -> None:
    """A sparse file of a petabyte in a kilobyte: known by name and size, and its bytes are left alone."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo("lib/liblarge.so")
        entry.size = 512
        entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 50)}
        archive.addfile(entry, io.BytesIO(b"1\n0\n512\n".ljust(512, b"\0")))
    entries, left_out = read(data.getvalue())
    assert "/lib/liblarge.so" in entries
    assert "sparse" in left_out[0]


@pytest.mark.parametrize("pack", [lambda data: data, lambda data: gzip.compress(data, 1), zstd])
def test_truncated_layers_say_so_and_keep_what_came_before(pack) -> None:  # type: ignore[no-untyped-def]
    import random

    noise = random.Random(4).randbytes(400_000)
    whole = pack(tar({"a/libfirst.so": cuda("mixed.so"), "a/noise.dat": noise, "b/last.so": cuda("mixed.so")}))
    entries, left_out = read(whole[: len(whole) * 2 // 3])
    assert "/a/libfirst.so" in entries
    assert "/b/last.so" not in entries
    assert any("cut short" in row or "ends" in row for row in left_out), left_out


def test_lying_size() -> None:
    """A header that claims an exabyte: the archive is cut short there, and nothing is taken into memory for it."""
    data = bytearray(member("lib/liblie.so", size=0))
    data[124:136] = b"\x80" + (1 << 58).to_bytes(11, "big")
    data[148:156] = b"        "
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    tracemalloc.start()
    entries, left_out = read(bytes(data))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20
    assert entries == {} or left_out


def test_header_of_a_gigabyte() -> None:
    data = bytearray(member("././@LongLink", size=0))
    data[156:157] = b"L"
    data[124:136] = b"10000000000\0"
    data[148:156] = b"        "
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    _, left_out = read(bytes(data))
    assert "header of" in left_out[0]


@pytest.mark.parametrize("pack", [lambda data: gzip.compress(data, 9), zstd])
def test_bombs_stop_at_the_limit_in_flat_memory(pack) -> None:  # type: ignore[no-untyped-def]
    bomb = pack(tar({"a/big.so": bytes(48 << 20), "z": b"end"}))
    limits = Limits(ratio=50, ratio_from=4 << 20, whole=1 << 20)
    tracemalloc.start()
    _, left_out = read(bomb, limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "bomb" in left_out[0]
    assert peak < 24 << 20
    _, left_out = read(bomb, Limits(unpacked=8 << 20, whole=1 << 20))
    assert "came out of compressed layers" in left_out[0]


def test_a_million_members_stop_at_the_limit() -> None:
    one = member("x", size=0)[:512]
    entries, left_out = read(one * 60_000, Limits(members=50_000))
    assert len(entries) == 1
    assert "more than 50000" in left_out[0]


@pytest.mark.parametrize(
    "data",
    [b"", b"no tar at all" * 100, b"\0" * 20_000, b"\x1f\x8b\x08garbage", b"\x28\xb5\x2f\xfdgarbage", b"BZh91AY&SY"],
)
def test_what_is_no_layer(data: bytes) -> None:
    entries, _ = read(data)
    assert entries == {}


def test_cancelled() -> None:
    stop = threading.Event()
    stop.set()
    data = tar({f"f{number}": b"" for number in range(100)})
    with pytest.raises(Cancelled):
        LayerReader("a layer", Memory(data), 0, Examination(stop=stop)).read(0)


def refused(reference: str, platform: str = "linux/amd64") -> str:
    with pytest.raises(UsageError) as caught:
        examine(reference, platform, Examination())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_layout_whose_manifest_names_a_path(layout: Layout) -> None:
    layout.image([tar({"a": b"1"})])
    layout.manifests[0]["digest"] = "sha256:../../../etc/passwd"
    assert "holds no image" in refused(str(layout.write()))


def test_layout_link_out_is_not_followed(layout: Layout, tmp_path: Path) -> None:
    row = layout.image([tar({"a": b"1"})])
    blob = layout.root / "blobs" / "sha256" / row["digest"][7:]
    (tmp_path / "elsewhere").write_bytes(blob.read_bytes())
    blob.unlink()
    blob.symlink_to(tmp_path / "elsewhere")
    assert "is not in it" in refused(str(layout.write()))


def test_unknown_media_type_is_left_out(layout: Layout) -> None:
    layout.image([tar({"etc/os-release": b"PRETTY_NAME=Made"})], media="application/x-made-up")
    contents = examine(str(layout.write()), "linux/amd64", Examination())
    assert contents.files == 0
    assert "unknown media type application/x-made-up" in contents.not_examined[0]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "not json", "[" * 100_000, '[{"Config": 3}]', '[{"Config": "absent.json", "Layers": 5}]']
)
def test_damaged_manifests(text: str, tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(tar({"manifest.json": text.encode()}))
    assert refused(str(path))


def test_archive_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"PK\x03\x04" + bytes(2000))
    assert "no image archive" in refused(str(tmp_path / "x.tar"))
    (tmp_path / "empty.tar").write_bytes(b"")
    assert "is empty" in refused(str(tmp_path / "empty.tar"))
    assert "no such file" in refused(str(tmp_path / "absent.tar")).lower()
    assert "no source" in refused("ftp://x")


def test_hostile_names_in_a_report(tmp_path: Path) -> None:
    """Escapes, newlines and markup in file names reach no output as such."""
    nasty = 'opt/\x1b]52;c;aGk=\x07<b>&"[/]\n::error::x.so'
    path = tmp_path / "image.tar"
    path.write_bytes(saved([tar({nasty: cuda("mixed.so")})]))
    for form in ("text", "json", "markdown", "sarif", "junit"):
        done = subprocess.run(
            [sys.executable, "-m", "doctor", "image", str(path), "--gpu", "sm_70", "--format", form],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 1, done.stderr
        assert "\x1b" not in done.stdout
        assert "\n::error::" not in done.stdout
        if form in ("json", "sarif"):
            json.loads(done.stdout)
        if form == "junit":
            import xml.etree.ElementTree as ElementTree

            suites = ElementTree.fromstring(done.stdout)
            assert suites.find(".//failure") is not None


def test_a_binary_that_cannot_be_read_proves_nothing(tmp_path: Path) -> None:
    """Four terabytes of nothing behind the first bytes of an ELF file: told, and no verdict rests on it."""
    root = tmp_path / "root"
    (root / "usr/lib").mkdir(parents=True)
    with (root / "usr/lib/libgpu.so").open("wb") as file:
        file.write(b"\x7fELF")
        file.truncate(1 << 42)
    contents = examine(f"fs://{root}", "linux/amd64", Examination())
    assert "libgpu.so: damaged" in contents.not_examined[0]
    gpu = find_gpu("A100")
    assert isinstance(gpu, Gpu)
    assert judge(contents, gpu).runs == "unknown"
