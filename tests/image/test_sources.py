"""Every wrapping of one image gives the same contents; platforms, names and the cache."""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from doctor.errors import UsageError
from doctor.image import engines, planned, record
from doctor.image.examination import Examination
from doctor.image.inventory import examine
from doctor.image.record import Contents
from tests.image.conftest import Layout, cuda, saved, tar, torch_layer, zstd

BASE = tar({"etc/os-release": b'NAME="Made"\nPRETTY_NAME="Made Linux 1"\n', "usr/lib/libold.so": cuda("twelve.so")})
TORCH = torch_layer("2.5.1+cu124", cuda("mixed.so"), "12.4")
UPPER = tar({"usr/lib/.wh.libold.so": b"", "opt/app/libapp.so": cuda("family.so")})
LAYERS = (BASE, TORCH, UPPER)


def same(contents: Contents) -> Contents:
    """What must not depend on the wrapping."""
    return replace(contents, reference="", how_read="", digest="", environment={}, platform="")


def look(reference: object, platform: str = "linux/amd64") -> Contents:
    return examine(str(reference), platform, Examination())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The image unpacked by tarfile, whiteouts applied by hand."""
    place = tmp_path / "root"
    for layer in (BASE, TORCH, tar({"opt/app/libapp.so": cuda("family.so")})):
        path = tmp_path / "layer.tar"
        path.write_bytes(layer)
        with tarfile.open(path) as archive:
            archive.extractall(place, filter="fully_trusted") if hasattr(
                tarfile, "data_filter"
            ) else archive.extractall(place)
    (place / "usr/lib/libold.so").unlink()
    return place


def test_every_wrapping_is_the_same_image(root: Path, tmp_path: Path) -> None:
    wanted = same(look(f"fs://{root}"))
    assert [one.file.rpartition("/")[2] for one in wanted.code] == ["libtorch_cuda.so", "libapp.so"]
    archive = tmp_path / "saved.tar"
    archive.write_bytes(saved(LAYERS))
    packed = tmp_path / "saved.tar.gz"
    packed.write_bytes(gzip.compress(saved(LAYERS), 1))
    squeezed = tmp_path / "saved.tar.zst"
    squeezed.write_bytes(zstd(saved(LAYERS)))
    exported = tmp_path / "exported.tar"
    with tarfile.open(exported, "w") as tape:
        tape.add(root, arcname=".")
    found = {
        place: same(look(place))
        for place in (archive, f"archive://{archive}:made:1", packed, f"archive://{squeezed}", exported)
    }
    for packing in ("", "+gzip", "+zstd"):
        layout = Layout(tmp_path / f"layout{packing}")
        layout.image(LAYERS, packing)
        place = layout.write()
        found[f"oci-dir://{place}"] = same(look(place))
    assert {str(place) for place, contents in found.items() if contents != wanted} == set()


def test_stream_of_an_engine_is_the_same_image(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is a stand-in here: only its answers matter. tests/image/test_engine.py has a real one."""

    streams = []

    class Elsewhere:
        address = "tcp://elsewhere:2375"

        def save(self, name: str) -> Iterator[bytes]:
            streams.append(name)
            data = saved(LAYERS)
            return (data[at : at + 999] for at in range(0, len(data), 999))

    content = {"Id": "sha256:1", "Architecture": "amd64", "Os": "linux"}
    monkeypatch.setattr(engines, "ask", lambda *_: (Elsewhere(), content))
    contents = look("trainer:2.3")
    assert contents.how_read == "the engine's save stream"
    assert same(contents) == same(look(f"fs://{root}"))
    assert look("trainer:2.3") == contents
    assert streams == ["sha256:1"], "the same image is streamed once"


def test_stream_is_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are larger than any piece of the stream are read from their end to their start, and in memory."""
    large = cuda("mixed.so") + b"\1" * (9 << 20)
    layer = tar({f"opt/lib{number}.so": large for number in range(3)} | {"opt/last.txt": b"x"})
    begun = []

    class Elsewhere:
        address = "tcp://elsewhere:2375"

        def save(self, name: str) -> Iterator[bytes]:
            begun.append(name)
            data = saved([layer])
            return (data[at : at + 65536] for at in range(0, len(data), 65536))

    monkeypatch.setattr(engines, "ask", lambda *_: (Elsewhere(), {"Id": "sha256:2", "Architecture": "amd64"}))
    assert [len(one.cubin) for one in look("large:1").code] == [3, 3, 3]
    assert len(begun) == 1


def test_platform_of_a_multi_platform_index(layout: Layout) -> None:
    layout.image([tar({"etc/os-release": b"PRETTY_NAME=Intel"})])
    layout.image([tar({"etc/os-release": b"PRETTY_NAME=Arm"})], architecture="arm64")
    inner = json.dumps({"schemaVersion": 2, "manifests": layout.manifests}).encode()
    attestation = {**layout.blob(b"{}"), "platform": {"os": "unknown", "architecture": "unknown"}}
    layout.manifests = [attestation, {**layout.blob(inner), "mediaType": "application/vnd.oci.image.index.v1+json"}]
    place = layout.write()
    assert look(place).distribution == "Intel"
    assert look(place, "linux/arm64").distribution == "Arm"
    with pytest.raises(UsageError, match=r"no image for linux/s390x; it has: linux/amd64, linux/arm64"):
        look(place, "linux/s390x")


def test_one_of_several_images_by_name(layout: Layout) -> None:
    layout.image([tar({"etc/os-release": b"PRETTY_NAME=One"})], name="one")
    layout.image([tar({"etc/os-release": b"PRETTY_NAME=Two"})], name="two")
    place = layout.write()
    assert look(f"oci-dir://{place}:two").distribution == "Two"
    with pytest.raises(UsageError, match="it has: one, two"):
        look(f"oci-dir://{place}:three")


def test_missing_blob_is_told(layout: Layout) -> None:
    layout.image([BASE, TORCH])
    place = layout.write()
    largest = max((place / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    largest.unlink()
    contents = look(place)
    assert "is not there" in contents.not_examined[0]
    assert contents.files > 0


def test_second_look_reads_nothing_and_a_changed_archive_is_read_anew(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "saved.tar"
    path.write_bytes(saved(LAYERS))
    first = look(path)
    reads: list[str] = []
    real = planned.read_layer
    monkeypatch.setattr(planned, "read_layer", lambda *words: reads.append(words[2]) or real(*words))
    assert look(path) == first
    assert reads == []
    assert sorted(cache.iterdir())
    path.write_bytes(saved((BASE, TORCH)))
    os.utime(path, ns=(1, 1))
    assert len(look(path).code) == 2
    assert reads


def test_shared_layers_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = Layout(tmp_path / "layout")
    layout.image([BASE, TORCH], name="one")
    layout.image([BASE, TORCH, UPPER], name="two")
    place = layout.write()
    look(f"oci-dir://{place}:one")
    reads: list[str] = []
    real = planned.read_layer
    monkeypatch.setattr(planned, "read_layer", lambda *words: reads.append(words[2]) or real(*words))
    kept = look(f"oci-dir://{place}:two")
    assert reads == ["layer 3 of 3"]
    assert [one.file for one in kept.code][-1] == "/opt/app/libapp.so"


def test_damaged_cache_is_no_cache(tmp_path: Path, cache: Path) -> None:
    path = tmp_path / "saved.tar"
    path.write_bytes(saved(LAYERS))
    first = look(path)
    for kept in cache.iterdir():
        kept.write_bytes(kept.read_bytes()[:50] + b"damage")
    assert look(path) == first


def test_cache_is_bounded(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from doctor.image import cache as kept

    monkeypatch.setattr(kept, "LARGEST", 20_000)
    for number in range(30):
        kept.save(kept.key_of(str(number)), {"text": os.urandom(1_500).hex()})
    assert sum(path.stat().st_size for path in cache.iterdir()) <= 20_000
    assert kept.load(kept.key_of("29")) is not None
    assert not [path for path in cache.iterdir() if path.name.startswith(".part")]


def test_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    path = tmp_path / "saved.tar"
    path.write_bytes(saved(LAYERS))
    assert look(path).files > 0


def test_record_round_trip(root: Path) -> None:
    contents = look(f"fs://{root}")
    assert record.from_json(json.loads(json.dumps(record.to_json(contents)))) == contents


def test_an_engine_that_may_not_be_asked_is_not_one_that_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nowhere.sock")
    with pytest.raises(UsageError, match=r"no engine could be asked for image 'trainer:2.3' .*No such file"):
        examine("trainer:2.3", "linux/amd64", Examination())


def test_over_ssh_the_way_round_is_told_and_no_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "ssh://user@host")
    with pytest.raises(UsageError, match="forward the socket"):
        examine("trainer:2.3", "linux/amd64", Examination())
