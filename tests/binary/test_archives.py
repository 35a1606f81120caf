"""Wheels and zip files read in place, and trees of files."""

from __future__ import annotations

import os
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import pytest

from doctor.binary import zip_archive
from doctor.binary.reader import Damaged, Memory, Reader, open_file
from doctor.binary.record import BinaryFile
from doctor.binary.scan import scan, scan_file
from doctor.binary.zip_archive import Inflated, members, open_member
from tests.binary import AMD, CUDA, reader


def wheel(path: Path, method: int, contents: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def facts(file: BinaryFile) -> tuple[object, ...]:
    return (file.kind, file.soname, file.needed, file.needs_versions, file.cubin, file.ptx, file.gfx, file.images)


CONTENTS = {
    "pkg/mixed.so": (CUDA / "mixed.so").read_bytes(),
    "pkg/none.so": (CUDA / "mode_none.so").read_bytes(),
    "pkg/code.hsaco": (AMD / "o_gfx1100.hsaco").read_bytes(),
    "pkg/__init__.py": b"x = 1\n",
    "pkg-1.dist-info/RECORD": b"pkg/mixed.so,,\n",
}


def test_members_without_end_are_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_archive, "MAX_MEMBERS", 3)
    path = wheel(tmp_path / "many.zip", zipfile.ZIP_STORED, CONTENTS)
    with open_file(path) as archive, pytest.raises(Damaged, match="more than 3 members"):
        list(members(archive))
    *inner, whole = scan(str(path))
    assert ([file.kind for file in inner], whole.kind) == (["shared-object", "shared-object", "code-object"], "zip")
    assert "more than 3 members" in whole.unreadable[0].reason


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_members_are_what_the_files_are(tmp_path: Path, method: int) -> None:
    path = wheel(tmp_path / "a.whl", method, CONTENTS)
    *inner, whole = scan(str(path))
    assert [file.path for file in inner] == [
        f"{path}!{name}" for name in ("pkg/mixed.so", "pkg/none.so", "pkg/code.hsaco")
    ]
    for file, data in zip(inner, CONTENTS.values(), strict=False):
        assert facts(file) == facts(scan_file(reader(data), file.path))
        assert file.size == len(data)
    assert (whole.kind, whole.unreadable) == ("zip", ())


def test_bytes_before_the_archive_and_zip64(tmp_path: Path) -> None:
    buffer = BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a/mixed.so", "w", force_zip64=True) as out,
    ):
        out.write(CONTENTS["pkg/mixed.so"])
    path = tmp_path / "z.whl"
    path.write_bytes(buffer.getvalue())
    assert [file.cubin for file in scan(str(path))] == [("sm_80", "sm_86", "sm_90a"), ()]
    data = b"#!/bin/sh\nexit\n" + buffer.getvalue()
    file = Reader(Memory(data))
    member = next(members(file))
    assert open_member(file, member).read_at(0, 4) == b"\x7fELF"


def zip64_directory(marked: bool) -> bytes:
    """An archive with a zip64 record, which its end record sends the reader to if `marked`.

    As for more than 65,535 files or 4 GB; without the mark, as PyTorch writes every archive.
    """
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.so", CONTENTS["pkg/mixed.so"])
    data = buffer.getvalue()
    end = data.rindex(b"PK\x05\x06")
    size, offset = struct.unpack_from("<II", data, end + 12)
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, size, offset)
    place = b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1)
    tail = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return data[:end] + record + place + (tail if marked else data[end:])


@pytest.mark.parametrize("marked", [True, False])
@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\n"])
def test_zip64_directory(marked: bool, before: bytes) -> None:
    file = Reader(Memory(before + zip64_directory(marked)))
    (member,) = members(file)
    assert (member.name, open_member(file, member).read_at(0, 4)) == ("x.so", b"\x7fELF")


def test_zip64_record_that_is_not_there() -> None:
    data = zip64_directory(marked=False).replace(b"PK\x06\x06", b"PK\x06\x00")
    with pytest.raises(Damaged, match="zip64 directory record"):
        list(members(Reader(Memory(data))))
    with pytest.raises(Damaged, match="without its locator"):
        list(members(Reader(Memory(zip64_directory(marked=True).replace(b"PK\x06\x07", b"PK\x06\x00")))))


def test_random_access_into_a_deflated_member() -> None:
    content = b"".join(
        struct.pack("<I", n * 2654435761 % 2**32) for n in range(3_000_000)
    )  # 12 MB, hardly compressible
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    inflated = Inflated(Memory(packed), len(content))
    for offset in (0, 11_999_990, 5_000_001, 5_000_002, 11_000_000, 3, 9_999_999, 4 << 20, (4 << 20) + 1, 11_999_999):
        assert inflated.read_at(offset, 10) == content[offset : offset + 10]
    assert inflated.read_at(2_000_000, 3_000_000) == content[2_000_000:5_000_000]


def test_a_bomb_is_refused_by_its_ratio() -> None:
    packed = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = packed.compress(bytes(1 << 20)) + packed.flush()
    with pytest.raises(Damaged, match="inflate"):
        Inflated(Memory(data), 1 << 40)


def patched(data: bytes, at_signature: bytes, offset: int, form: str, value: int) -> bytes:
    changed = bytearray(data)
    struct.pack_into(form, changed, data.index(at_signature) + offset, value)
    return bytes(changed)


@pytest.fixture
def deflated(tmp_path: Path) -> bytes:
    return wheel(tmp_path / "d.whl", zipfile.ZIP_DEFLATED, {"a.so": CONTENTS["pkg/mixed.so"]}).read_bytes()


@pytest.mark.parametrize(
    ("signature", "offset", "form", "value", "reason"),
    [
        (b"PK\x01\x02", 8, "<H", 1, "encrypted"),
        (b"PK\x01\x02", 10, "<H", 12, "method 12"),
        (b"PK\x01\x02", 42, "<I", 7, "no member"),
        (b"PK\x01\x02", 20, "<I", 0x7FFFFFFF, "overlap|cut off"),
        (b"PK\x01\x02", 28, "<H", 0xFFFF, "directory of a zip archive ends"),
        (b"PK\x05\x06", 12, "<I", 0x7FFFFFFF, "outside"),
        (b"PK\x05\x06", 0, "<I", 0, "without a directory"),
    ],
)
def test_a_damaged_archive_is_said_to_be_so(
    tmp_path: Path, deflated: bytes, signature: bytes, offset: int, form: str, value: int, reason: str
) -> None:
    path = tmp_path / "bad.whl"
    path.write_bytes(patched(deflated, signature, offset, form, value))
    parts = [part for file in scan(str(path)) for part in file.unreadable]
    assert parts
    assert any(word in part.reason for part in parts for word in reason.split("|"))


def test_members_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    data = wheel(tmp_path / "s.whl", zipfile.ZIP_STORED, {"a.so": CONTENTS["pkg/mixed.so"]}).read_bytes()
    at, end = data.index(b"PK\x01\x02"), data.index(b"PK\x05\x06")
    entries = data[at:end] * 50
    tail = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 50, 50, len(entries), at, 0)
    (tmp_path / "s.whl").write_bytes(data[:at] + entries + tail)
    *inner, whole = scan(str(tmp_path / "s.whl"))
    assert len(inner) < 3
    assert "overlap" in whole.unreadable[0].reason


def test_an_archive_in_an_archive_is_named_not_opened(tmp_path: Path) -> None:
    inner = wheel(tmp_path / "i.whl", zipfile.ZIP_STORED, {"a.so": CONTENTS["pkg/mixed.so"]}).read_bytes()
    path = wheel(tmp_path / "o.zip", zipfile.ZIP_STORED, {"i.whl": inner})
    first, _ = scan(str(path))
    assert (first.path, first.kind) == (f"{path}!i.whl", "zip")
    assert "not opened" in first.unreadable[0].reason


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "site"
    for name, data in {
        "torch/lib/libx.so.23.0git": CONTENTS["pkg/mixed.so"],
        "torch/bin/protoc-3.21.12.0": CONTENTS["pkg/none.so"],
        "torch/__init__.py": b"\x7fELF is not code",
        "rocblas/library/TensileLibrary_lazy_gfx1100.dat": b"\x80",
        "cache/0abc/kernel.cubin": (CUDA / "k90.cubin").read_bytes(),
        "cache/0abc/kernel.ptx": (CUDA / "k90a.ptx").read_bytes(),
        "cache/0abc/kernel.json": b"{}",
        "notes": b"text",
        "empty.so": b"",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    os.symlink(root, root / "loop")
    os.symlink(root / "torch/bin/protoc-3.21.12.0", root / "link.so")
    os.mkfifo(root / "pipe.so")
    return root


def test_a_tree_gives_its_binaries_in_order_and_ends(tree: Path) -> None:
    found = [(os.path.relpath(file.path, tree), file.kind) for file in scan(str(tree))]
    assert found == [
        ("cache/0abc/kernel.cubin", "cubin"),
        ("cache/0abc/kernel.ptx", "ptx"),
        ("rocblas/library/TensileLibrary_lazy_gfx1100.dat", "kernel-library"),
        ("torch/bin/protoc-3.21.12.0", "shared-object"),
        ("torch/lib/libx.so.23.0git", "shared-object"),
    ]


def test_what_cannot_be_opened_is_said_not_skipped(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The tests may run as root, whom no permission stops: the refusal is made up, the rest is real.
    real = os.scandir

    def refusing(path: str) -> object:
        if str(path).endswith("torch"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", refusing)
    refused = [file for file in scan(str(tree)) if file.unreadable]
    assert [(os.path.basename(file.path), file.kind) for file in refused] == [("torch", "folder")]
    assert refused[0].unreadable[0].reason == "Permission denied"


def test_a_pipe_is_not_waited_for(tree: Path) -> None:
    with pytest.raises(OSError, match="not a regular file"), open_file(tree / "pipe.so"):
        pass
