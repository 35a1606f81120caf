"""The ELF files of a tree as the loader reads them: each once, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from doctor.binary.elf import ET_REL, ElfFile, read_elf
from doctor.binary.reader import Damaged, Reader
from doctor.loader.resolution import Problem
from doctor.tree import KERNEL_FOLDERS, Found, Paths, walk

# A program of these machines runs on that one too.
_ALSO_RUNS = {"x86_64": ("i386",), "aarch64": ("arm",)}


class Header(NamedTuple):
    """What the loader reads of a file. The names are those of `ElfFile`."""

    type: int
    machine: str
    bits: int
    little_endian: bool
    soname: str | None
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    interpreter: str | None
    needs_versions: Mapping[str, tuple[str, ...]]
    defines_versions: frozenset[str]

    @classmethod
    def of(cls, elf: ElfFile) -> Header:
        return cls(
            elf.type,
            elf.machine,
            elf.bits,
            elf.little_endian,
            elf.soname,
            elf.needed,
            elf.rpath,
            elf.runpath,
            elf.interpreter,
            elf.needs_versions,
            frozenset(elf.defines_versions),
        )


class Files:
    """Reads headers. `known` gives what has been read of files before, by canonical path."""

    def __init__(self, paths: Paths, known: Mapping[str, ElfFile]) -> None:
        self.problems: dict[str, Problem] = {}
        self._paths = paths
        self._known = known
        self._headers: dict[str, Header] = {}
        self._unusable: dict[str, Damaged | OSError] = {}

    def header(self, found: Found) -> Header:
        """The header of a file. Raises Damaged or OSError, each time anew, for one that cannot be read."""
        path = found.path
        if path in self._unusable:
            raise self._unusable[path]
        if path not in self._headers:
            try:
                self._headers[path] = self._read(found)
            except (Damaged, OSError) as error:
                self._unusable[path] = error
                raise
        return self._headers[path]

    def at(self, path: str) -> tuple[Found, Header] | None:
        """The file that `path` leads to, with its header; None if there is none that can be read."""
        try:
            found = self._paths.resolve(path)
            return None if found is None else (found, self.header(found))
        except (Damaged, OSError):
            return None

    def runnable(self, paths: Iterable[str], machine: str | None) -> dict[str, Header]:
        """By canonical path those files that `machine` could load (any, if it is None); the others become problems."""
        found: dict[str, Header] = {}
        for path in paths:
            try:
                place = self._paths.resolve(path)
                if place is None:
                    self._problem(path, "there is no such file")
                    continue
                header = self.header(place)
            except Damaged as damage:
                self._problem(path, f"{damage.reason} (at offset {damage.offset})")
                continue
            except OSError as error:
                self._problem(path, error.strerror or type(error).__name__)
                continue
            if machine is not None and header.machine != machine and header.machine not in _ALSO_RUNS.get(machine, ()):
                self._problem(path, f"is for {header.machine}, not for {machine}")
            elif header.type != ET_REL:
                found[place.path] = header
        return found

    def candidates(self) -> list[str]:
        """The files of the tree that are ELF by their first bytes, among those that may be run or are named `.so`."""
        denied: list[str] = []
        found = []
        for path, node in walk(self._paths.tree, skip=KERNEL_FOLDERS, denied=denied):
            if node.kind == "file" and node.size >= 52 and (node.mode & 0o111 or ".so" in path.rpartition("/")[2]):
                try:
                    with self._paths.tree.open(path) as source:
                        if source.read_at(0, 4) == b"\x7fELF":
                            found.append(path)
                except OSError as error:
                    self._problem(path, error.strerror or type(error).__name__)
        for path in denied:
            self._problem(path, "could not be read")
        return found

    def _read(self, found: Found) -> Header:
        elf = self._known.get(found.path)
        if elf is None:
            if found.node.kind != "file":
                raise Damaged(0, "not a regular file")
            with self._paths.tree.open(found.path) as source:
                elf = read_elf(Reader(source))
        if elf.unreadable:
            first = elf.unreadable[0]
            self._problem(found.path, f"{first.reason} (at offset {first.offset})")
        return Header.of(elf)

    def _problem(self, path: str, reason: str) -> None:
        self.problems.setdefault(path, Problem(path, reason))
