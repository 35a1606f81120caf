"""Layers of an image and the tree that they make together.

Whiteouts: https://github.com/opencontainers/image-spec/blob/main/layer.md ("Whiteouts", "Opaque Whiteout").
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

from doctor.binary import magic
from doctor.binary.reader import Memory, Reader, Source
from doctor.binary.record import BinaryFile
from doctor.binary.scan import scan_file
from doctor.image.examination import Examination
from doctor.tree import Kind, Node, parent

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"


class Entry(NamedTuple):
    """One entry of a layer. `at` is where the bytes of a file lie, in the words of the layer that has it."""

    kind: Kind
    size: int
    target: str | None
    at: int


FOLDER = Entry("dir", 0, None, 0)
# A file of text of which nothing but its name was asked for.
PLAIN = Entry("file", 0, None, 0)
Opener = Callable[[str, Entry], AbstractContextManager[Source]]


@dataclass(slots=True)
class Layer:
    """What one layer holds and removes. Paths are canonical, in the tree of the image.

    `contents` has the bytes of small files that the inventory reads, `binaries` what is in each binary file.
    """

    name: str
    entries: dict[str, Entry] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    """Paths that a lower layer has and the image does not."""
    opaque: set[str] = field(default_factory=set)
    """Folders whose contents in lower layers are gone."""
    contents: dict[str, bytes] = field(default_factory=dict)
    binaries: dict[str, BinaryFile] = field(default_factory=dict)
    open: Opener | None = None


# What the inventory and the loader read as text: small files whose bytes are kept when the layer is read.
_KEPT = re.compile(
    r"/etc/(?:os-release|alpine-release|ld\.so\.conf|ld\.so\.cache|ld\.so\.conf\.d/[^/]+|ld-musl-[^/]+\.path"
    r"|debian_version|redhat-release)"
    r"|/usr/lib/os-release"
    r"|/var/lib/dpkg/status(?:\.d/[^/]+)?|/lib/apk/db/installed|/usr/lib/apk/db/installed"
    r"|.*/(?:site|dist)-packages/[^/]+\.(?:dist-info/(?:METADATA|direct_url\.json)|egg-info(?:/PKG-INFO)?)"
    r"|.*/(?:site|dist)-packages/[^/]+/(?:version|_version|_build_info|build_info|__init__)\.py"
    r"|.*/(?:site|dist)-packages/(?:jax_plugins/[^/]+/__init__|cupy_backends/cuda/libs/__init__"
    r"|tensorflow/python/platform/build_info|onnxruntime/capi/build_and_package_info)\.py"
    r"|.*/conda-meta/[^/]+\.json"
    r"|/usr/local/cuda[^/]*/version\.(?:json|txt)|/opt/rocm[^/]*/\.info/version[^/]*"
    r"|.*/include/(?:[^/]+/)?(?:cudnn_version(?:_v\d+)?|cudnn|nccl|rocm_version|rocm-core/rocm_version)\.h"
    r"|.*/(?:ld-linux[^/]*|ld-musl-[^/]*|ld64|ld-[\d.]+|libgcompat[^/]*)\.so[.\d]*"
)
# How all of these end or what they have in their path: most files are told by this alone.
_KEPT_ENDS = (
    "-release", "/ld.so.conf", "/ld.so.cache", ".path", "/debian_version", "/status", "/installed", "/METADATA",
    ".json", ".egg-info", "/PKG-INFO", "version.py", "build_info.py", "/__init__.py", "_package_info.py",
    "/version.txt", "_version.h", "/cudnn.h", "/nccl.h",
)  # fmt: skip
_KEPT_PARTS = re.compile(r"/(?:ld[-6.]|libgcompat|\.info/|status\.d/|cudnn_version_v)")
_KEPT_SIZE = 4 << 20
# The list of installed packages of a large Debian image.
_KEPT_LONG = ("/var/lib/dpkg/status", "/lib/apk/db/installed", "/usr/lib/apk/db/installed")
_KEPT_LONG_SIZE = 24 << 20
# What the libraries behind Python packages are told by; a plain `__init__.py` matters only for those the loader knows.
_INIT = re.compile(r".*/(?:site|dist)-packages/(?!torch/|triton/|onnxruntime/|jax|cupy)[^/]+/__init__\.py")
# Files that are no binaries, whatever is in them: they are never opened.
_TEXT = (
    ".py .pyc .pyi .pyx .pxd .c .cc .cpp .cxx .cu .cuh .h .hh .hpp .hxx .inl .inc .ipp .def .td .f90 .cmake .sh .js .ts"
    " .css .j2 .jinja .txt .md .rst .html .htm .json .yaml .yml .toml .xml .csv .cfg .ini .typed .svg .png .jpg .gif"
    " .ico .ttf .woff .woff2 .pdf .gz .xz .bz2 .zst .mo .po .pem .crt .conf .list .md5sums .la .pc .pl .pm .rb .lua .ko"
    " .safetensors .gguf .pt .pth .bin .npy .npz .whl .deb .rpm .jar .zip .tar .tgz .log .ipynb .map .a .lib .o"
)
_NOT_BINARY = tuple(_TEXT.split())
_BY_NAME = (".ptx", ".dat", ".dat.zlib", ".co", ".hsaco", ".kdb", ".kdb.bz2")
_HEADS = (magic.ELF, magic.FATBIN, magic.COMPRESSED_BUNDLE, magic.OFFLOAD_BINARY, magic.BUNDLE[:4])
# The smallest ELF header.
_SMALLEST = 52


def may_matter(path: str) -> bool:
    """Whether a file of this name may be kept or a binary; if not, nothing but its name is asked for."""
    return not path.endswith(_NOT_BINARY) or _may_be_kept(path)


def _may_be_kept(path: str) -> bool:
    return path.endswith(_KEPT_ENDS) or _KEPT_PARTS.search(path) is not None


def is_kept(path: str, size: int) -> bool:
    """Whether the bytes of this file are kept for the inventory."""
    if not _may_be_kept(path):
        return False
    if size > _KEPT_SIZE and not (path in _KEPT_LONG and size <= _KEPT_LONG_SIZE):
        return False
    return _KEPT.fullmatch(path) is not None and not _INIT.fullmatch(path)


def is_candidate(path: str, size: int) -> bool:
    """Whether this file may be a binary by its name and size: it must be opened to tell."""
    if size < _SMALLEST or path.startswith(("/proc/", "/sys/", "/usr/share/", "/var/lib/apt/")):
        return False
    return not path.endswith(_NOT_BINARY)


def look(path: str, source: Source, layer: Layer, examination: Examination) -> None:
    """Reads what matters of one regular file into the layer: its bytes if it is kept, its code if it is a binary.

    Raises whatever the source raises.
    """
    size = source.size
    if is_kept(path, size):
        if examination.keep(size):
            layer.contents[path] = source.read_at(0, size)
        else:
            examination.leave_out(path, "too many small files to keep")
    if is_candidate(path, size):
        by_name = path.endswith(_BY_NAME)
        if by_name or source.read_at(0, 4) in _HEADS:
            found = scan_file(Reader(source), path)
            if found.kind not in ("other", "zip", "static-archive"):
                layer.binaries[path] = found


class LayeredTree:
    """The tree that layers make, the lowest first. It is a `doctor.tree.Tree`.

    Where a layer has something else than a folder at a path, or removes the path, all that lower layers have there and
    below it is gone; where both have a folder, the two are one.
    """

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.contents: dict[str, bytes] = {}
        self.binaries: dict[str, BinaryFile] = {}
        self._entries: dict[str, tuple[Entry, Layer | None]] = {"/": (FOLDER, None)}
        self._names: dict[str, dict[str, None]] = {"/": {}}
        self._nodes: dict[str, Node] = {}
        for layer in layers:
            self._add(layer)

    def _add(self, layer: Layer) -> None:
        for path in layer.removed:
            self._remove(path)
        for folder in layer.opaque:
            for name in list(self._names.get(folder, ())):
                self._remove(f"{folder}/{name}" if folder != "/" else f"/{name}")
        for path, entry in layer.entries.items():
            known = self._entries.get(path)
            if known is not None and (known[0].kind == "dir") != (entry.kind == "dir"):
                self._remove(path)
            self._place(path, entry, layer)
        self.contents |= layer.contents
        self.binaries |= layer.binaries

    def _place(self, path: str, entry: Entry, layer: Layer) -> None:
        if path == "/":
            return
        folder = parent(path)
        above = self._entries.get(folder)
        if above is None or above[0].kind != "dir":
            if above is not None:
                self._remove(folder)
            self._place(folder, FOLDER, layer)
        self._entries[path] = (entry, layer)
        self._names.setdefault(folder, {})[path.rpartition("/")[2]] = None
        self.contents.pop(path, None)
        self.binaries.pop(path, None)

    def _remove(self, path: str) -> None:
        """Takes a path and all below it out of the tree."""
        if path == "/":
            return
        self._names.get(parent(path), {}).pop(path.rpartition("/")[2], None)
        gone = [path]
        while gone:
            one = gone.pop()
            self._entries.pop(one, None)
            self.contents.pop(one, None)
            self.binaries.pop(one, None)
            gone += [f"{one}/{name}" for name in self._names.pop(one, ())]

    def lookup(self, path: str) -> Node | None:
        node = self._nodes.get(path)
        if node is None and (known := self._entries.get(path)) is not None:
            kind, size, target, _ = known[0]
            node = self._nodes[path] = Node(kind, size, target=target)
        return node

    def names(self, path: str) -> Sequence[str]:
        known = self._entries.get(path)
        if known is None or known[0].kind != "dir":
            problem = errno.ENOENT if known is None else errno.ENOTDIR
            raise OSError(problem, os.strerror(problem), path)
        return list(self._names.get(path, ()))

    def open(self, path: str) -> AbstractContextManager[Source]:
        known = self._entries.get(path)
        if known is None or known[0].kind != "file":
            problem = errno.ENOENT if known is None else errno.EINVAL
            raise OSError(problem, os.strerror(problem), path)
        if path in self.contents:
            return nullcontext(Memory(self.contents[path]))
        entry, layer = known
        if layer is None or layer.open is None:
            raise OSError(errno.ENODATA, "the bytes of this file were not kept", path)
        return layer.open(path, entry)

    def files(self) -> dict[str, int]:
        """Every regular file of the tree and its size in bytes."""
        return {path: entry.size for path, (entry, _) in self._entries.items() if entry.kind == "file"}
