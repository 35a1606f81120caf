"""Folders of this machine as layers: an overlay's diff folders, and unpacked roots.

Each folder is entered by descriptor without following links, so that nothing that is swapped meanwhile leads elsewhere.
An overlay marks a removed entry with a character device 0:0 and an opaque folder with an extended attribute:
https://docs.kernel.org/filesystems/overlayfs.html ("whiteouts and opaque directories", "redirect_dir").
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from doctor.binary.reader import File, Source
from doctor.image.examination import Examination, LimitReached
from doctor.image.layers import Entry, Layer, is_candidate, is_kept, look
from doctor.tree import KERNEL_FOLDERS, DirectoryTree, Kind, join

_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_REDIRECT = ("trusted.overlay.redirect", "user.overlay.redirect")
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_KINDS: dict[int, Kind] = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink"}


class FolderReader:
    """Makes a `Layer` out of a folder."""

    def __init__(self, name: str, root: str, examination: Examination, overlay: bool) -> None:
        """`overlay`: whether overlayfs keeps its marks in it."""
        self._root = root
        self._examination = examination
        self._overlay = overlay and hasattr(os, "getxattr")
        self._layer = Layer(name)
        self._bytes = 0
        self._seen = 0
        # Hard links name one file: it is scanned once.
        self._linked: dict[tuple[int, int], str] = {}

    def read(self) -> Layer:
        """The layer. Raises OSError if the folder itself cannot be read, and Cancelled."""
        root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._walk(root, "/", 0)
        except LimitReached as limit:
            self._examination.leave_out(self._layer.name, str(limit))
        finally:
            os.close(root)
        self._layer.open = self._open
        return self._layer

    @contextmanager
    def _open(self, path: str, entry: Entry) -> Iterator[Source]:
        with DirectoryTree(self._root) as tree, tree.open(path) as source:
            yield source

    def _walk(self, folder: int, path: str, depth: int) -> None:
        inner = []
        with os.scandir(folder) as rows:
            for row in rows:
                self._examination.member()
                self._seen += 1
                if self._seen % 512 == 0:
                    self._examination.progress(self._layer.name, self._bytes)
                place = join(path, row.name)
                try:
                    status = row.stat(follow_symlinks=False)
                    target = os.readlink(row.name, dir_fd=folder) if stat.S_ISLNK(status.st_mode) else None
                except OSError as error:
                    self._examination.leave_out(place, error.strerror or type(error).__name__)
                    continue
                if self._is_whiteout(status):
                    self._layer.removed.add(place)
                    continue
                self._add(folder, row.name, place, status, target)
                if stat.S_ISDIR(status.st_mode) and (self._overlay or place not in KERNEL_FOLDERS):
                    inner.append((row.name, place))
        for name, place in inner:
            self._enter(folder, name, place, depth)

    def _enter(self, folder: int, name: str, place: str, depth: int) -> None:
        if depth >= self._examination.limits.depth:
            self._examination.leave_out(place, f"folders nested deeper than {self._examination.limits.depth}")
            return
        try:
            descriptor = os.open(name, _FLAGS, dir_fd=folder)
        except OSError as error:
            self._examination.leave_out(place, error.strerror or type(error).__name__)
            return
        try:
            if self._overlay:
                self._read_marks(descriptor, place)
            self._walk(descriptor, place, depth + 1)
        except OSError as error:
            self._examination.leave_out(place, error.strerror or type(error).__name__)
        finally:
            os.close(descriptor)

    def _is_whiteout(self, status: os.stat_result) -> bool:
        return self._overlay and stat.S_ISCHR(status.st_mode) and status.st_rdev == 0

    def _read_marks(self, descriptor: int, place: str) -> None:
        try:
            names = os.listxattr(descriptor)
        except OSError:
            return
        for name in names:
            if name in _OPAQUE and os.getxattr(descriptor, name) == b"y":
                self._layer.opaque.add(place)
            elif name in _REDIRECT:
                self._examination.leave_out(place, "a folder that overlayfs shows from another place")

    def _add(self, folder: int, name: str, path: str, status: os.stat_result, target: str | None) -> None:
        kind = _KINDS.get(stat.S_IFMT(status.st_mode), "other")
        self._layer.entries[path] = Entry(
            kind, status.st_size, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, target, 0
        )
        if kind != "file":
            return
        self._bytes += status.st_size
        if not (is_candidate(path, status.st_size) or is_kept(path, status.st_size)):
            return
        if status.st_nlink > 1 and not self._first_of(path, status):
            return
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            self._examination.leave_out(path, error.strerror or type(error).__name__)
            return
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                look(path, File(descriptor, status.st_size), self._layer, self._examination)
        except OSError as error:
            self._examination.leave_out(path, error.strerror or type(error).__name__)
        finally:
            os.close(descriptor)

    def _first_of(self, path: str, status: os.stat_result) -> bool:
        """Whether this is the first name of a file; another name takes over what was found under the first."""
        first = self._linked.setdefault((status.st_dev, status.st_ino), path)
        if first == path:
            return True
        if first in self._layer.binaries:
            self._layer.binaries[path] = self._layer.binaries[first]._replace(path=path)
        # What is kept is kept by name: another name of the same file may be one that is.
        return is_kept(path, status.st_size) and first not in self._layer.contents
