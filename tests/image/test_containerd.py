"""containerd's own store: names, snapshots and blobs, by databases that containerd 1.6 wrote, and damaged ones."""

from __future__ import annotations

import gzip
import hashlib
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import pytest

from doctor.errors import UsageError
from doctor.image import bolt, containerd
from doctor.image.examination import Examination
from doctor.image.inventory import examine
from tests.image.conftest import saved
from tests.image.test_sources import LAYERS
from tests.lab.conftest import _absent

FIXTURES = Path(__file__).parent / "fixtures"
DIGEST = "sha256:9d96a6975c9b1992bd9b31debc5b4807e27fa35200dbcda54aaef59e2daecc29"
CHAIN = "sha256:2f7c36c204c6b46a3c4268188ff7fd8c163bca35c7bc127838672f1f5108f5a7"


@pytest.fixture
def root(tmp_path: Path) -> str:
    """The databases of a containerd that `made:1` with three layers was brought into, and folders for its snapshots."""
    for name, place in (("meta", "metadata.v1.bolt"), ("metadata", "snapshotter.v1.overlayfs")):
        folder = tmp_path / "root" / f"io.containerd.{place}"
        folder.mkdir(parents=True)
        (folder / f"{name}.db").write_bytes(gzip.decompress((FIXTURES / f"{name}.db.gz").read_bytes()))
    for number in (1, 2, 3):
        (folder / "snapshots" / str(number) / "fs").mkdir(parents=True)
    return str(tmp_path / "root")


@pytest.mark.parametrize("name", ["made:1", "library/made:1", "docker.io/library/made:1"])
def test_image_by_name(root: str, name: str) -> None:
    assert containerd.digest_of(root, name) == DIGEST
    assert containerd.digest_of(root, name.replace("made", "other")) == ""


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("alpine", "docker.io/library/alpine:latest"),
        ("team/app", "docker.io/team/app:latest"),
        ("localhost/app:2", "localhost/app:2"),
        ("registry.example:5000/app", "registry.example:5000/app:latest"),
        ("app@sha256:12", "docker.io/library/app@sha256:12"),
    ],
)
def test_names_in_full(name: str, full: str) -> None:
    assert containerd._full_name(name) == full


def test_layer_folders_from_the_lowest(root: str) -> None:
    ids = tuple(f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in LAYERS)
    assert containerd.chain_of(ids) == CHAIN
    found = containerd.folders(root, CHAIN)
    assert [Path(one).parts[-2] for one in found] == ["1", "2", "3"]
    assert containerd.folders(root, "sha256:absent") == []
    shutil.rmtree(found[0])
    assert containerd.folders(root, CHAIN) == [], "a layer that cannot be read is no layer to leave out"


LIMIT = 5000


def count(bucket: bolt.Bucket) -> int:
    """How many entries there are, up to a limit."""
    waiting = [bucket]
    seen = 0
    while waiting and seen < LIMIT:
        values = [value for _, value in islice(waiting.pop().items(), LIMIT - seen)]
        seen += len(values)
        waiting += [value for value in values if isinstance(value, bolt.Bucket)]
    return seen


def test_databases_that_are_whole_are_read_to_their_end(root: str) -> None:
    assert count(bolt.read(f"{root}/io.containerd.metadata.v1.bolt/meta.db")) > 60


def test_damaged_databases_end_in_one_reason(root: str, tmp_path: Path) -> None:
    """Whatever is in the file: an answer or NotBolt, and soon."""
    whole = (Path(root) / "io.containerd.metadata.v1.bolt" / "meta.db").read_bytes()
    path = tmp_path / "damaged.db"
    chance = random.Random(4)
    for round_ in range(300):
        data = bytearray(whole)
        if round_ % 3 == 0:
            del data[chance.randrange(len(data)) :]
        for _ in range(chance.randrange(1, 60)):
            if data:
                data[chance.randrange(len(data))] = chance.choice((0, 1, 2, 255, chance.randrange(256)))
        path.write_bytes(data)
        with suppress(bolt.NotBolt):
            assert count(bolt.read(str(path))) <= LIMIT
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(bolt.NotBolt, match="not a bbolt database"):
        bolt.read(str(path))


def test_store_without_rights_or_sense_is_passed_over(
    root: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (Path(root) / "io.containerd.metadata.v1.bolt" / "meta.db").write_bytes(b"\0" * 100)
    monkeypatch.setattr(containerd, "ROOTS", (root,))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'none.sock'}")
    with pytest.raises(UsageError, match="no engine could be asked for image"):
        examine("made:1", "linux/amd64", Examination())


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of a containerd of its own that has the image, unpacked."""
    if shutil.which("containerd") is None or shutil.which("ctr") is None:
        _absent("containerd is not installed")
    folder = tmp_path_factory.mktemp("containerd")
    socket = folder / "s"
    (folder / "config.toml").write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "{folder}/state"\n'
        f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{socket}"\n'
    )
    (folder / "made.tar").write_bytes(saved(LAYERS))
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(["containerd", "-c", folder / "config.toml"], stdout=log, stderr=log)
    try:
        words = ["ctr", "-a", str(socket), "-n", "k8s.io", "images", "import", str(folder / "made.tar")]
        for _ in range(100):
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
            if done.returncode == 0:
                break
            time.sleep(0.1)
        else:
            _absent(f"containerd took no image: {done.stderr[-300:]}")
        yield folder / "root"
    finally:
        daemon.terminate()
        daemon.wait(30)


@pytest.mark.lab
def test_image_of_a_node_that_has_containerd_alone(real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its daemon runs meanwhile and writes as it likes."""
    monkeypatch.setattr(containerd, "ROOTS", (str(real),))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path / 'none.sock'}")
    archive = tmp_path / "made.tar"
    archive.write_bytes(saved(LAYERS))
    wanted = examine(str(archive), "linux/amd64", Examination())
    by_folders = examine("made:1", "linux/amd64", Examination())
    monkeypatch.setattr(containerd, "folders", lambda *_: [])
    by_blobs = examine("made:1", "linux/amd64", Examination())
    assert (by_folders.how_read, by_blobs.how_read) == ("containerd's snapshots", "blobs of containerd's store")
    for one in (by_folders, by_blobs):
        assert (one.code, one.frameworks, one.files, one.size) == (
            wanted.code, wanted.frameworks, wanted.files, wanted.size,
        )  # fmt: skip
        assert one.not_examined == ()
