"""Paths lead where the kernel says they lead, and never out of the root."""

from __future__ import annotations

import errno
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from doctor.tree import DirectoryTree, Found, Node, Paths, RecordedTree, TooLarge, Tree, resolve, walk

NAMES = st.sampled_from(["a", "b", "c"])
TARGETS = st.lists(st.sampled_from(["a", "b", "c", "..", ".", "", "/"]), min_size=1, max_size=5).map("/".join)
PLACES = st.lists(NAMES, min_size=1, max_size=3).map(tuple)
# What stands at a place: a folder, a file, or a link with this target.
LAYOUT = st.dictionaries(PLACES, st.one_of(st.just(None), st.just(b"x"), TARGETS), max_size=10)
ASKED = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "..", "."]), max_size=6).map("/".join), min_size=1, max_size=8
)


def build(folder: Path, layout: dict[tuple[str, ...], object]) -> None:
    """Makes as much of the layout as fits: what is in the way of another stays."""
    for place, what in sorted(layout.items()):
        path = folder.joinpath(*place)
        try:
            if any(up.is_symlink() for up in path.parents if up != folder and folder in up.parents):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            if what is None:
                path.mkdir(exist_ok=True)
            elif isinstance(what, bytes):
                path.write_bytes(what)
            else:
                path.symlink_to(str(what))
        except OSError:
            continue


def recorded(folder: Path) -> RecordedTree:
    """The same tree in memory, by way of `walk`."""
    with DirectoryTree(folder) as tree:
        return RecordedTree(dict(walk(tree)), {})


def kernel(folder: Path, asked: Sequence[str]) -> list[list[int] | int]:
    """Device and inode of what each path leads to in a chroot, or the error: the kernel's own answer."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        answers: list[list[int] | int] = []
        os.chroot(folder)
        for path in asked:
            try:
                status = os.stat(path)
                answers.append([status.st_dev, status.st_ino])
            except OSError as error:
                answers.append(error.errno or -1)
        os.write(writer, json.dumps(answers).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return json.loads(data)


def answer(folder: Path, tree: Tree, path: str) -> list[int] | int:
    try:
        found = resolve(tree, path)
    except OSError as error:
        return error.errno or -1
    if found is None:
        return errno.ENOENT
    status = os.lstat(f"{folder}{found.path}")
    return [status.st_dev, status.st_ino]


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="needs root on Linux, for a chroot")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layout=LAYOUT, asked=ASKED)
@example(layout={("a",): "b", ("b",): "a"}, asked=["a", "a/c"])
@example(layout={("a",): "../../../..", ("b",): "/a/a/a"}, asked=["b", "a/../b/.."])
@example(layout={("a", "a"): None, ("b",): b"x", ("c",): "a/"}, asked=["b/", "b/.", "c/a", "c/", "b/.."])
def test_paths_lead_where_the_kernel_says(layout: dict[tuple[str, ...], object], asked: list[str]) -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        build(folder, layout)
        paths = [f"/{path}" for path in asked]
        # Not there and not a folder are one answer for us: there is nothing.
        want = [errno.ENOENT if said == errno.ENOTDIR else said for said in kernel(folder, paths)]
        with DirectoryTree(folder) as tree:
            assert [answer(folder, tree, path) for path in paths] == want
        memory = recorded(folder)
        assert [answer(folder, memory, path) for path in paths] == want
        # One that remembers folders gives the same answers, in any order.
        known = Paths(memory)
        for path, said in zip(paths * 2, want * 2, strict=True):
            if isinstance(said, list):
                assert known.resolve(path) == resolve(memory, path)


def test_a_link_never_leads_to_the_host(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the host")
    folder = tmp_path / "root"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/absolute").symlink_to(tmp_path / "secret")
    (folder / "etc/upward").symlink_to("../../secret")
    (folder / "up").symlink_to("..")
    with DirectoryTree(folder) as tree:
        for path in ("/etc/absolute", "/etc/upward", "/up/secret", "/../secret", "/etc/../../secret"):
            assert resolve(tree, path) is None
        assert resolve(tree, "/up") == Found("/", tree.lookup("/") or Node("other"))
        # Not even the plain methods go through a link.
        assert tree.lookup("/up/etc") is None
        with pytest.raises(NotADirectoryError):
            tree.names("/up")
        with pytest.raises(OSError, match="symbolic links"), tree.open("/etc/absolute"):
            pass


def test_a_folder_that_becomes_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("of the host")
    folder = tmp_path / "root"
    (folder / "inside").mkdir(parents=True)
    (folder / "inside/file").write_text("ours")
    with DirectoryTree(folder) as tree:
        assert tree.lookup("/inside/file") is not None
        tree.lookup("/")
        (folder / "inside/file").unlink()
        (folder / "inside").rmdir()
        (folder / "inside").symlink_to(tmp_path / "outside")
        tree.names("/")
        assert tree.lookup("/inside/file") is None
        with pytest.raises(NotADirectoryError), tree.open("/inside/file"):
            pass


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with DirectoryTree(tmp_path) as tree:
        assert tree.lookup("/pipe") is not None
        with pytest.raises(OSError, match="not a regular file"), tree.open("/pipe"):
            pass


def test_what_cannot_be_read_is_not_absent(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed/file").write_text("")
    (tmp_path / "closed").chmod(0)
    tmp_path.chmod(0o755)
    user = os.geteuid()
    with DirectoryTree(tmp_path) as tree:
        # Root may read everything, so it steps back for a moment.
        if user == 0:
            os.seteuid(65534)
        try:
            assert resolve(tree, "/absent/file") is None
            with pytest.raises(PermissionError):
                resolve(tree, "/closed/file")
            with pytest.raises(PermissionError):
                list(walk(tree))
            denied: list[str] = []
            assert [path for path, _ in walk(tree, denied=denied)] == ["/closed"]
            assert denied == ["/closed"]
        finally:
            os.seteuid(user)
    (tmp_path / "closed").chmod(0o755)


def test_chains_and_loops_of_links_end(tmp_path: Path) -> None:
    links = {f"/l{number}": f"l{number + 1}" for number in range(41)}
    tree = RecordedTree.of({"/l41": b"end"}, links)
    assert resolve(tree, "/l1") == Found("/l41", Node("file", 3, 0o755))
    with pytest.raises(OSError, match="symbolic links"):
        resolve(tree, "/l0")
    with pytest.raises(OSError, match="symbolic links"):
        resolve(RecordedTree.of({}, {"/a": "/a/a"}), "/a")


def test_long_paths_are_refused() -> None:
    tree = RecordedTree.of({"/a/b": b""})
    assert resolve(tree, "/a" + "/." * 2000 + "/b") is not None
    for path in ("/a" + "/." * 3000 + "/b", "/a/" + "n" * 256, "/" + "n" * 300 + "/x"):
        with pytest.raises(OSError, match="too long"):
            resolve(tree, path)
    assert resolve(RecordedTree.of({}, {"/a": "x/" * 4000}), "/a") is None


def test_a_walk_gives_everything_once_in_order_and_follows_nothing(tmp_path: Path) -> None:
    for path in ("b/deep/file", "a/one", "proc/1/root"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    (tmp_path / "b/up").symlink_to("/")
    with DirectoryTree(tmp_path) as tree:
        want = ["/a", "/a/one", "/b", "/b/deep", "/b/deep/file", "/b/up", "/proc"]
        assert sorted(path for path, _ in walk(tree)) == want
        paths = [path for path, _ in walk(tree)]
        assert all(path.rpartition("/")[0] in ("", *paths[:at]) for at, path in enumerate(paths))
        with pytest.raises(TooLarge):
            list(walk(tree, entries=6))
        with pytest.raises(TooLarge):
            list(walk(tree, depth=1))
        assert len(list(walk(tree, entries=7, depth=2))) == 7


def test_a_record_says_what_it_does_not_have() -> None:
    tree = RecordedTree({"/a/file": Node("file", 7)}, {})
    assert tree.lookup("/a") == Node("dir", mode=0o755)
    with pytest.raises(OSError, match="not recorded"), tree.open("/a/file"):
        pass
    with pytest.raises(NotADirectoryError):
        tree.names("/a/file")
    with pytest.raises(FileNotFoundError):
        tree.names("/b")
