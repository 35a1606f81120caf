"""Layers make the tree that an engine would show: whiteouts, opaque folders, links, replaced entries."""

from __future__ import annotations

import random
import tarfile
from io import BytesIO

import pytest

from doctor.binary.reader import Memory
from doctor.image.archive import LayerReader
from doctor.image.examination import Examination
from doctor.image.layers import Layer, LayeredTree
from doctor.tree import Paths, walk
from tests.image.conftest import cuda, tar


def layer(data: bytes, examination: Examination | None = None) -> Layer:
    return LayerReader("a layer", Memory(data), 0, examination or Examination()).read(0)


def tree(*layers: bytes) -> LayeredTree:
    return LayeredTree(layer(one) for one in layers)


def paths(one: LayeredTree) -> list[str]:
    return [path for path, _ in walk(one, skip=())]


def text(one: LayeredTree, path: str) -> bytes:
    with one.open(path) as source:
        return source.read_at(0, source.size)


def test_upper_file_replaces_lower() -> None:
    one = tree(tar({"a/x": b"old"}), tar({"a/x": b"newer"}))
    assert text(one, "/a/x") == b"newer"
    assert paths(one) == ["/a", "/a/x"]


def test_whiteout_removes_file_and_folder() -> None:
    one = tree(tar({"a/x": b"1", "a/y": b"2", "b/c/d": b"3"}), tar({"a/.wh.x": b"", ".wh.b": b""}))
    assert paths(one) == ["/a", "/a/y"]
    assert one.lookup("/b/c/d") is None


def test_whiteout_spares_what_the_same_layer_adds() -> None:
    """The order of members in a layer does not matter: a whiteout speaks of lower layers only."""
    for upper in (tar({"a/.wh.x": b"", "a/x": b"new"}), tar({"a/x": b"new", "a/.wh.x": b""})):
        assert text(tree(tar({"a/x": b"old"}), upper), "/a/x") == b"new"


def test_opaque_folder_hides_all_below_it() -> None:
    one = tree(tar({"a/x": b"1", "a/deep/y": b"2"}), tar({"a/.wh..wh..opq": b"", "a/z": b"3"}))
    assert paths(one) == ["/a", "/a/z"]


def test_file_over_folder_and_folder_over_link() -> None:
    lower = tar({"a/x": b"1", "usr/lib/y": b"2"}, {"lib": "usr/lib"})
    one = tree(lower, tar({"a": b"now a file"}), tar({"lib/z": b"3"}))
    assert text(one, "/a") == b"now a file"
    assert one.lookup("/a/x") is None
    # As overlayfs does it: the upper folder takes the link's place.
    node = one.lookup("/lib")
    assert node is not None
    assert node.kind == "dir"
    assert list(one.names("/lib")) == ["z"]


def test_member_below_a_link_of_its_own_layer_lies_where_the_link_leads() -> None:
    data = BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        link = tarfile.TarInfo("lib")
        link.type, link.linkname = tarfile.SYMTYPE, "/usr/lib"
        archive.addfile(link)
        member = tarfile.TarInfo("lib/libx.so")
        member.size = 3
        archive.addfile(member, BytesIO(b"abc"))
    one = tree(data.getvalue())
    assert text(one, "/usr/lib/libx.so") == b"abc"


def test_hard_link_shares_bytes_and_gpu_code() -> None:
    found = layer(tar({"a/libk.so": cuda("mixed.so")}, hard={"b/libother.so": "a/libk.so"}))
    one = LayeredTree([found])
    assert text(one, "/b/libother.so") == cuda("mixed.so")
    assert found.binaries["/b/libother.so"].cubin == found.binaries["/a/libk.so"].cubin != ()


def test_links_stay_inside() -> None:
    one = tree(
        tar({"etc/os-release": b"ID=made"}, {"out": "../../../../etc", "loop": "loop", "abs": "/etc/os-release"})
    )
    seen = Paths(one)
    assert seen.resolve("/out/os-release") is not None
    found = seen.resolve("/abs")
    assert found is not None
    assert found.path == "/etc/os-release"
    with pytest.raises(OSError, match=r"(?i)symbolic links"):
        seen.resolve("/loop")


def test_random_layers_match_a_plain_model() -> None:
    """The model: a dictionary that each layer is applied to, as the specification words it."""
    random.seed(20)
    names = ["a", "b", "a/x", "a/y", "b/x", "a/x/deep", "b/x/deep/er"]
    for _ in range(150):
        model: dict[str, bytes] = {}
        layers = []
        for number in range(random.randint(1, 4)):
            files: dict[str, bytes | None] = {}
            for name in random.sample(names, random.randint(1, 3)):
                if any(one != name and (one.startswith(name + "/") or name.startswith(one + "/")) for one in files):
                    continue
                files[name] = f"{number}{name}".encode()
            gone = [name for name in random.sample(names, random.randint(0, 2)) if name not in files]
            marks = {}
            for name in gone:
                folder, _, last = name.rpartition("/")
                marks[f"{folder}/.wh.{last}".lstrip("/")] = b""
            if any(one.startswith(name + "/") or name.startswith(one + "/") for one in files for name in gone):
                continue
            for name in gone:
                model = {path: data for path, data in model.items() if path != name and not path.startswith(name + "/")}
            for name, data in files.items():
                assert data is not None
                model = {
                    path: old
                    for path, old in model.items()
                    if path != name and not path.startswith(name + "/") and not name.startswith(path + "/")
                }
                model[name] = data
            layers.append(tar({**marks, **files}))
        one = tree(*layers)
        got = {path[1:]: text(one, path) for path, node in walk(one, skip=()) if node.kind == "file"}
        assert got == model
