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
from doctor.image.layers import FOLDER, PLAIN, Entry, Layer, is_candidate, is_kept, look, may_matter
from doctor.tree import KERNEL_FOLDERS, DirectoryTree

_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")
_REDIRECT = ("trusted.overlay.redirect", "user.overlay.redirect")
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class FolderReader:
    """Makes a `Layer` out of a folder."""

    def __init__(self, name: str, root: str, examination: Examination, overlay: bool, sizes: bool) -> None:
        """`overlay`: whether overlayfs keeps its marks in it. `sizes`: whether the size of every file is asked for."""
        self._root = root
        self._examination = examination
        self._overlay = overlay and hasattr(os, "getxattr")
        self._sizes = sizes
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
        above = path if path.endswith("/") else f"{path}/"
        with os.scandir(folder) as rows:
            for row in rows:
                self._examination.member()
                self._seen += 1
                if self._seen % 512 == 0:
                    self._examination.progress(self._layer.name, self._bytes)
                place = above + row.name
                try:
                    is_folder = self._add(folder, row, place)
                except OSError as error:
                    self._examination.leave_out(place, error.strerror or type(error).__name__)
                    continue
                if is_folder and (self._overlay or place not in KERNEL_FOLDERS):
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

    def _add(self, folder: int, row: os.DirEntry[str], path: str) -> bool:
        """Takes an entry in, and tells whether it is a folder. Raises OSError.

        The kind comes with the name; asking for the rest costs more than all else that is done for a file of text.
        """
        entries = self._layer.entries
        if row.is_dir(follow_symlinks=False):
            entries[path] = FOLDER
            return True
        if row.is_symlink():
            target = os.readlink(row.name, dir_fd=folder)
            entries[path] = Entry("symlink", len(target), target, 0)
        elif not row.is_file(follow_symlinks=False):
            status = row.stat(follow_symlinks=False)
            if self._overlay and stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                self._layer.removed.add(path)
            else:
                entries[path] = Entry("other", 0, None, 0)
        elif self._sizes or may_matter(path):
            status = row.stat(follow_symlinks=False)
            size = status.st_size
            entries[path] = Entry("file", size, None, 0)
            self._bytes += size
            if is_candidate(path, size) or is_kept(path, size):
                self._look(folder, row.name, path, status)
        else:
            entries[path] = PLAIN
        return False

    def _look(self, folder: int, name: str, path: str, status: os.stat_result) -> None:
        if status.st_nlink > 1 and not self._first_of(path, status):
            return
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                look(path, File(descriptor, status.st_size), self._layer, self._examination)
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
