"""A read-only file system seen from its own root: an unpacked image, an image in layers, a recorded one, the live host.

Paths are absolute POSIX paths inside the tree, text as `os.fsdecode` gives it. A tree answers for one path without
following anything; symbolic links are followed here, in `Paths`, by the rules of the kernel and inside the root only:
an absolute target starts again at the tree's root and `..` cannot leave it, so a link in an image never leads to the
host.

"Is not there" is None. "Could not look" is an OSError, never None.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, Protocol

from doctor.binary.reader import File, Memory, Source

# The kernel's limits: MAXSYMLINKS in include/linux/namei.h, PATH_MAX and NAME_MAX in include/uapi/linux/limits.h.
MAX_LINKS = 40
MAX_PATH = 4096
MAX_NAME = 255

# Kernel file systems: endless, changing, and empty in every image.
KERNEL_FOLDERS = ("/dev", "/proc", "/sys")

Kind = Literal["file", "dir", "symlink", "other"]


@dataclass(frozen=True, slots=True)
class Node:
    """One entry as `lstat` tells it. `size` in bytes; `mode` is the permission bits; `target` is a link's own text."""

    kind: Kind
    size: int = 0
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    target: str | None = None


class Tree(Protocol):
    """What every tree can do. Paths are canonical: absolute, without `.`, `..`, doubled or trailing slashes.

    No method follows a symbolic link, wherever in the path it stands. All raise OSError where they could not look.
    """

    def lookup(self, path: str) -> Node | None:
        """The entry itself, or None if there is none."""
        ...

    def names(self, path: str) -> Sequence[str]:
        """The names in a folder, in any order. Raises NotADirectoryError or FileNotFoundError for anything else."""
        ...

    def open(self, path: str) -> AbstractContextManager[Source]:
        """The bytes of a regular file, readable until the context ends."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """Where a path leads: `path` is free of links, and `node` is never a symbolic link."""

    path: str
    node: Node


def join(folder: str, name: str) -> str:
    return folder + name if folder.endswith("/") else f"{folder}/{name}"


def parent(path: str) -> str:
    return path.rpartition("/")[0] or "/"


class Paths:
    """Follows paths through one tree and remembers every folder it passed, so that the next path there is one look-up.

    For a tree that does not change: a new one for every examination.
    """

    __slots__ = ("_folders", "_names", "tree")

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._folders: dict[str, Found | None] = {}
        self._names: dict[str, frozenset[str] | None] = {}

    def resolve(self, path: str) -> Found | None:
        """The file or folder that `path` leads to, all symbolic links followed; None if there is none.

        Raises OSError: ELOOP after 40 links, ENAMETOOLONG, or whatever kept the tree from looking.
        """
        folder, _, name = path.rpartition("/")
        if not name or name in (".", "..") or not path.startswith("/"):
            return self._follow(path)
        if folder not in self._folders:
            self._folders[folder] = self._follow(folder or "/")
        place = self._folders[folder]
        if place is None or place.node.kind != "dir":
            return None
        if len(path) > MAX_PATH or len(name) > MAX_NAME:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path[:80])
        found = join(place.path, name)
        node = self.tree.lookup(found)
        if node is None or node.kind != "symlink":
            return None if node is None else Found(found, node)
        return self._follow(path)

    def listing(self, folder: str) -> frozenset[str] | None:
        """The names in the folder that `folder` leads to; empty if it is not there, None if it cannot be listed.

        A folder that may be entered but not listed still has files that can be opened by name.
        """
        if folder not in self._names:
            self._names[folder] = self._list(folder)
        return self._names[folder]

    def _list(self, folder: str) -> frozenset[str] | None:
        try:
            found = self.resolve(folder)
            if found is None or found.node.kind != "dir":
                return frozenset()
            return frozenset(self.tree.names(found.path))
        except OSError:
            return None

    def _follow(self, path: str) -> Found | None:
        if len(path) > MAX_PATH:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path[:80])
        rest = path.split("/")[::-1]
        at: list[str] = []
        node = self.tree.lookup("/")
        links = 0
        while rest:
            name = rest.pop()
            # Even `.` and a trailing slash ask for a folder.
            if node is None or node.kind != "dir":
                return None
            if name in ("", "."):
                continue
            if name == "..":
                del at[-1:]
                node = self.tree.lookup("/" + "/".join(at))
                continue
            if len(name) > MAX_NAME:
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), name[:80])
            at.append(name)
            node = self.tree.lookup("/" + "/".join(at))
            if node is not None and node.kind == "symlink":
                links += 1
                target = node.target or ""
                if links > MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path[:80])
                if not target or len(target) > MAX_PATH:
                    return None
                del at[0 if target.startswith("/") else -1 :]
                rest += target.split("/")[::-1]
                node = self.tree.lookup("/" + "/".join(at))
        return None if node is None else Found("/" + "/".join(at), node)


def resolve(tree: Tree, path: str) -> Found | None:
    """Where `path` leads in `tree`; see `Paths.resolve`. For many paths keep one `Paths`."""
    return Paths(tree).resolve(path)


class TooLarge(Exception):
    """A tree has more entries, or is deeper, than a walk may visit."""


def walk(
    tree: Tree,
    top: str = "/",
    *,
    skip: Collection[str] = KERNEL_FOLDERS,
    entries: int = 5_000_000,
    depth: int = 200,
    denied: list[str] | None = None,
) -> Iterator[tuple[str, Node]]:
    """Every entry under the folder `top`, which must not be a link, a folder before its contents and names in order.

    No link is followed. `skip` names folders that are given but not entered. A folder that cannot be read is added to
    `denied`, or raises OSError where no such list is given. Raises TooLarge beyond `entries` entries or `depth` levels.
    """
    pending = [(top, 0)]
    seen = 0
    while pending:
        folder, level = pending.pop()
        try:
            names = sorted(tree.names(folder))
        except OSError:
            if denied is None:
                raise
            denied.append(folder)
            continue
        inner = []
        for name in names:
            seen += 1
            if seen > entries:
                raise TooLarge(f"more than {entries} entries")
            path = join(folder, name)
            try:
                node = tree.lookup(path)
            except OSError:
                if denied is None:
                    raise
                denied.append(path)
                continue
            if node is None:
                continue
            yield path, node
            if node.kind == "dir" and path not in skip:
                inner.append((path, level + 1))
        if inner and level >= depth:
            raise TooLarge(f"more than {depth} levels of folders")
        pending += reversed(inner)


_KINDS: dict[int, Kind] = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink"}


class DirectoryTree:
    """A tree in a folder of this machine: an unpacked image, or the live host with `/`.

    Every component is opened by descriptor without following links, so a link inside cannot lead outside, not even one
    that is put in place while we look. Nothing but a regular file is ever opened for reading: a pipe cannot hold us up.
    The descriptor of one folder is kept, since most looks go where the last one went; `close` gives it back.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        """Raises OSError if `root` is not a folder that can be entered. `root` itself may be a link."""
        # O_PATH needs no read permission; where there is none (macOS), reading the folder is the next best.
        self._flags = os.O_DIRECTORY | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
        self._root = os.open(root, self._flags)
        self._last = ("/", self._root)

    def close(self) -> None:
        """Closes the descriptors. The tree cannot be used afterwards."""
        if self._root >= 0:
            self._leave_last()
            os.close(self._root)
            self._root = -1

    def __enter__(self) -> DirectoryTree:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # `__init__` may have failed before there was anything to close.
        if hasattr(self, "_last"):
            self.close()

    def lookup(self, path: str) -> Node | None:
        if path == "/":
            return _node(os.stat(self._root), None)
        folder, name = parent(path), path.rpartition("/")[2]
        try:
            descriptor = self._folder(folder)
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            target = os.readlink(name, dir_fd=descriptor) if stat.S_ISLNK(status.st_mode) else None
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _node(status, target)

    def names(self, path: str) -> Sequence[str]:
        # A descriptor from O_PATH cannot be listed: the folder is opened once more, through itself.
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._folder(path))
        try:
            return os.listdir(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def open(self, path: str) -> Iterator[Source]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path.rpartition("/")[2], flags, dir_fd=self._folder(parent(path)))
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            yield File(descriptor, status.st_size)
        finally:
            os.close(descriptor)

    def _folder(self, path: str) -> int:
        """A descriptor of the folder, ours to keep. Raises NotADirectoryError if a link stands in the way."""
        if path == self._last[0]:
            return self._last[1]
        descriptor = self._root
        for name in path.split("/"):
            if name:
                descriptor = self._enter(descriptor, name)
        self._leave_last()
        self._last = (path, descriptor)
        return descriptor

    def _enter(self, descriptor: int, name: str) -> int:
        try:
            return os.open(name, self._flags | os.O_NOFOLLOW, dir_fd=descriptor)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name) from error
            raise
        finally:
            if descriptor != self._root:
                os.close(descriptor)

    def _leave_last(self) -> None:
        if self._last[1] != self._root:
            os.close(self._last[1])
        self._last = ("/", self._root)


def _node(status: os.stat_result, target: str | None) -> Node:
    kind = _KINDS.get(stat.S_IFMT(status.st_mode), "other")
    return Node(kind, status.st_size, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, target)


class RecordedTree:
    """A tree held in memory: one recorded in a snapshot, where few files have contents, or one made for a test."""

    __slots__ = ("_contents", "_names", "_nodes")

    def __init__(self, nodes: Mapping[str, Node], contents: Mapping[str, bytes]) -> None:
        """`nodes` by canonical path; folders that are not named but needed are put in. `contents` of regular files."""
        self._nodes = {"/": Node("dir", mode=0o755), **nodes}
        self._contents = contents
        self._names: dict[str, list[str]] = {}
        for path in list(self._nodes):
            self._enter(path)

    @classmethod
    def of(cls, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> RecordedTree:
        """A tree of these files, by their bytes, and these symbolic links, by their targets."""
        nodes = {path: Node("file", len(data), 0o755) for path, data in files.items()}
        nodes |= {path: Node("symlink", len(to), 0o777, target=to) for path, to in (links or {}).items()}
        return cls(nodes, files)

    def _enter(self, path: str) -> None:
        """Puts `path` in the folder above it, and that one in the next, up to one that is already there."""
        while path != "/":
            folder, name = parent(path), path.rpartition("/")[2]
            known = folder in self._names
            self._names.setdefault(folder, []).append(name)
            self._nodes.setdefault(folder, Node("dir", mode=0o755))
            if known:
                return
            path = folder

    def lookup(self, path: str) -> Node | None:
        return self._nodes.get(path)

    def names(self, path: str) -> Sequence[str]:
        node = self._nodes.get(path)
        if node is None or node.kind != "dir":
            problem = errno.ENOENT if node is None else errno.ENOTDIR
            raise OSError(problem, os.strerror(problem), path)
        return self._names.get(path, [])

    def open(self, path: str) -> AbstractContextManager[Source]:
        node = self._nodes.get(path)
        if node is None or node.kind != "file":
            problem = errno.ENOENT if node is None else errno.EINVAL
            raise OSError(problem, os.strerror(problem), path)
        if path not in self._contents:
            raise OSError(errno.ENODATA, "the contents were not recorded", path)
        return nullcontext(Memory(self._contents[path]))
