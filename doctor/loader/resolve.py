"""Every library that programs need and the file that the loader takes for each, found without running anything.

A process is followed as the loader follows it: breadth first, one object for each file, and a library whose name or
SONAME is already loaded is not searched for again. Whoever loads a file hands down its RPATH. A library that no program
here needs (a Python extension, a plug-in) is followed as a process of its own, with the RPATH of the Python program it
would be loaded by.

Searches are shared by all processes: an image costs one search for each different question, not one for each program.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from doctor.binary.elf import ET_REL, ElfFile, read_elf
from doctor.binary.reader import Damaged, Reader
from doctor.loader import driver
from doctor.loader.frameworks import Preloaded, Preloads, packages_folder
from doctor.loader.ldconfig import configured_folders
from doctor.loader.search import (
    MAX_STEPS,
    MUSL_ITSELF,
    Header,
    Hit,
    Kind,
    Place,
    Rules,
    Search,
    Step,
    expand,
    folders_of,
    rules_of,
)
from doctor.tree import KERNEL_FOLDERS, Found, Paths, Tree, join, walk

EdgeKind = Literal[
    "rpath",
    "LD_LIBRARY_PATH",
    "runpath",
    "ld.so.cache",
    "ld-musl path",
    "default path",
    "as written",
    "loader",
    "already loaded",
    "preloaded",
    "from-driver",
    "after-ldconfig",
    "missing",
]

# Edges followed in all processes together. A large image with torch, ROCm and a desktop has some hundred thousand.
MAX_EDGES = 3_000_000
MAX_ELSEWHERE = 20

# A program of these machines runs on that one too.
_ALSO_RUNS = {"x86_64": ("i386",), "aarch64": ("arm",)}


@dataclass(frozen=True, slots=True)
class Edge:
    """One library that one file needs.

    `found` is the path as the loader opens it and `file` where its symbolic links lead; both None unless there is one.
    `kind`: how it was found, or "loader" (it is the loader itself), "already loaded" (by another file of the process),
    "preloaded" (a framework loads it by hand first), "from-driver" (put in when the container starts),
    "after-ldconfig" (in a folder of /etc/ld.so.conf, but ldconfig has not run since) or "missing".
    `how` says the same in words. `searched` has every place in order where nothing was found, and otherwise only those
    where an unusable file was passed over. `versions_missing` are version nodes that the file found does not define:
    the program would not start. `elsewhere` are files of this name where the loader does not look.
    `root` is the first process in which the edge came up.
    """

    needed: str
    by: str
    root: str
    found: str | None
    file: str | None
    kind: EdgeKind
    how: str
    searched: tuple[Place, ...] = ()
    versions_missing: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def missing(self) -> bool:
        return self.kind in ("missing", "after-ldconfig")


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that was not followed, or only in part, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was found. `roots` are the processes followed; `edges` has each different edge once, in loading order.

    `incomplete` says why not everything was followed; then an edge that is not here may exist all the same.
    """

    roots: tuple[str, ...]
    edges: tuple[Edge, ...]
    problems: tuple[Problem, ...]
    incomplete: str | None = None

    def missing(self) -> tuple[Edge, ...]:
        """The edges that the loader cannot satisfy, those that ldconfig would mend included."""
        return tuple(edge for edge in self.edges if edge.missing)

    def version_faults(self) -> tuple[Edge, ...]:
        """The edges to a file that lacks version nodes."""
        return tuple(edge for edge in self.edges if edge.versions_missing)


def resolve(
    tree: Tree,
    paths: Iterable[str],
    environment: Mapping[str, str],
    machine: str | None = None,
    *,
    working_directory: str = "/",
    headers: Mapping[str, ElfFile] | None = None,
) -> Resolution:
    """The libraries of the programs and libraries `paths`, each followed as a process of its own.

    `environment` is that of the process; LD_LIBRARY_PATH counts. `machine`, as `uname -m` says it, is what the tree
    would run on: files for others become problems. `headers` gives what is already known of files, by their canonical
    path; the rest is read from the tree.
    """
    session = _Session(tree, environment, machine, working_directory, headers or {})
    roots = session.readable(paths)
    for root in roots:
        session.follow(root)
    return session.result()


def resolve_image(
    tree: Tree,
    environment: Mapping[str, str],
    machine: str | None = None,
    *,
    paths: Iterable[str] | None = None,
    working_directory: str = "/",
    headers: Mapping[str, ElfFile] | None = None,
) -> Resolution:
    """The libraries of everything in the tree: programs first, then libraries that nothing else loads.

    `paths` are the ELF files of the tree by canonical path, if they are known; otherwise the tree is walked.
    """
    session = _Session(tree, environment, machine, working_directory, headers or {})
    if paths is None:
        paths = session.candidates()
    files = session.readable(paths)
    session.name_files(files)
    programs = [file for file in files if session.headers[file].interpreter]
    for file in programs:
        session.follow(file)
    loaded = session.found_by_others(files)
    for file in files:
        if file not in loaded and file not in session.seen:
            session.follow(file)
    # What is left is loaded only in a circle.
    for file in files:
        if file not in session.seen:
            session.follow(file)
    return session.result()


class _Object:
    """A file in a process. `path` is how it was opened, `names` what a library must be called to be this one."""

    __slots__ = ("by", "file", "header", "path", "steps_down")

    def __init__(self, path: str, file: str, header: Header, steps_down: tuple[Step, ...]) -> None:
        self.path = path
        self.file = file
        self.header = header
        self.steps_down = steps_down


class _Process:
    """What is loaded so far, by name and by file."""

    def __init__(self, root: str, rules: Rules, search: Search) -> None:
        self.root = root
        self.rules = rules
        self.search = search
        self.by_name: dict[str, _Object] = {}
        self.by_file: dict[str, _Object] = {}
        self.needs: set[str] = set()

    def add(self, loaded: _Object, asked: str | None) -> None:
        self.by_file[loaded.file] = loaded
        self.needs.update(loaded.header.needed)
        self.know(loaded, asked)
        self.by_name.setdefault(loaded.path, loaded)
        # musl knows an object by the name it was found under alone.
        if loaded.header.soname and not self.rules.musl:
            self.by_name.setdefault(loaded.header.soname, loaded)

    def know(self, loaded: _Object, asked: str | None) -> None:
        if asked is not None and (not self.rules.musl or "/" not in asked):
            self.by_name.setdefault(asked, loaded)


class _Session:
    """One examination of one tree."""

    def __init__(
        self,
        tree: Tree,
        environment: Mapping[str, str],
        machine: str | None,
        working_directory: str,
        known: Mapping[str, ElfFile],
    ) -> None:
        self.paths = Paths(tree)
        self.headers: dict[str, Header] = {}
        self.seen: set[str] = set()
        self._known = known
        self._unusable: dict[str, Damaged | OSError] = {}
        self._library_path = environment.get("LD_LIBRARY_PATH", "")
        self._machine = machine
        self._working_directory = working_directory
        self._rules: dict[tuple[object, ...], tuple[Rules, Search]] = {}
        self._steps: dict[tuple[str, str, bool], tuple[tuple[Step, ...], tuple[Step, ...]]] = {}
        self._roots: list[str] = []
        self._edges: dict[tuple[str, str, str | None, str], Edge] = {}
        self._problems: dict[str, Problem] = {}
        self._left = MAX_EDGES
        self._named: dict[str, list[str]] = {}
        self._configured: tuple[tuple[str, str], ...] | None = None
        self._preloads = Preloads(self.paths, self.header, self._closure)

    # -- files

    def header(self, found: Found) -> Header:
        """The header of a file. Raises Damaged or OSError, each time anew, for one that cannot be read."""
        path = found.path
        if path in self._unusable:
            raise self._unusable[path]
        if path not in self.headers:
            try:
                self.headers[path] = self._read(found)
            except (Damaged, OSError) as error:
                self._unusable[path] = error
                raise
        return self.headers[path]

    def _read(self, found: Found) -> Header:
        elf = self._known.get(found.path)
        if elf is None:
            if found.node.kind != "file":
                raise Damaged(0, "not a regular file")
            with self.paths.tree.open(found.path) as source:
                elf = read_elf(Reader(source))
        if elf.unreadable:
            first = elf.unreadable[0]
            self._problem(found.path, f"{first.reason} (at offset {first.offset})")
        return Header.of(elf)

    def readable(self, paths: Iterable[str]) -> list[str]:
        """The canonical paths of those files that can be followed; the others become problems."""
        found: dict[str, None] = {}
        for path in paths:
            try:
                place = self.paths.resolve(path)
                if place is None:
                    self._problem(path, "there is no such file")
                    continue
                header = self.header(place)
            except (Damaged, OSError) as error:
                self._problem(path, error.strerror or "" if isinstance(error, OSError) else str(error))
                continue
            if header.type == ET_REL:
                continue
            if self._machine not in (None, header.machine) and header.machine not in _ALSO_RUNS.get(
                self._machine or "", ()
            ):
                self._problem(path, f"is for {header.machine}, not for {self._machine}")
                continue
            found[place.path] = None
        return list(found)

    def candidates(self) -> list[str]:
        """Files of the tree that are ELF by their first bytes, among those that are programs or libraries by name."""
        denied: list[str] = []
        found = []
        for path, node in walk(self.paths.tree, skip=KERNEL_FOLDERS, denied=denied):
            if node.kind == "file" and node.size >= 52 and (node.mode & 0o111 or ".so" in path.rpartition("/")[2]):
                try:
                    with self.paths.tree.open(path) as source:
                        if source.read_at(0, 4) == b"\x7fELF":
                            found.append(path)
                except OSError as error:
                    self._problem(path, error.strerror or type(error).__name__)
        for path in denied:
            self._problem(path, "could not be read")
        return found

    def name_files(self, files: Iterable[str]) -> None:
        """Remembers files by the names a program may ask for, to say where a missing library lies instead."""
        for file in files:
            names = {file.rpartition("/")[2], self.headers[file].soname or ""}
            for name in filter(None, names):
                self._named.setdefault(name, []).append(file)

    def _problem(self, path: str, reason: str) -> None:
        self._problems.setdefault(path, Problem(path, reason))

    # -- processes

    def follow(self, root: str) -> None:
        """Follows the process of one program or library and keeps its edges."""
        process = self._start(root)
        if process is None:
            return
        self._roots.append(root)
        self._run(process, deque(process.by_file.values()), self._preloads_for(process))

    def _start(self, root: str) -> _Process | None:
        header = self.headers[root]
        rules, search = self._rules_for(header)
        process = _Process(root, rules, search)
        main = _Object(root, root, header, ())
        main.steps_down = self._down(main, self._python_steps(root, rules), rules)
        process.add(main, None)
        return process

    def _run(self, process: _Process, queue: deque[_Object], preloads: Callable[[str], Preloaded | None]) -> None:
        self._load_loader(process)
        while queue:
            loaded = queue.popleft()
            self.seen.add(loaded.file)
            for needed in loaded.header.needed:
                self._left -= 1
                if self._left < 0:
                    return
                edge, new = self._edge(process, loaded, needed, preloads)
                self._edges.setdefault((needed, loaded.path, edge.found, edge.how), edge)
                if new is not None:
                    queue.append(new)

    def _rules_for(self, header: Header) -> tuple[Rules, Search]:
        musl_names = any(name == "libc.so" or name.startswith("libc.musl-") for name in header.needed)
        # All that the choice of a loader depends on, so that it is made once for all files alike.
        key = (*header[1:4], header.interpreter, musl_names, "libc.so.6" in header.needed)
        if key not in self._rules:
            rules = rules_of(self.paths, header)
            self._rules[key] = (rules, Search(self.paths, rules, self.header))
        return self._rules[key]

    def _load_loader(self, process: _Process) -> None:
        """The loader is in the process from the start, under the name of its file and its SONAME."""
        interpreter = process.rules.interpreter
        if interpreter is None:
            return
        hit, _ = process.search.open(interpreter, "as written", "loader")
        if hit is not None:
            process.add(_Object(hit.path, hit.file, hit.header, ()), None)

    def _python_steps(self, root: str, rules: Rules) -> tuple[Step, ...]:
        """The RPATH of the Python program that would load this extension module, as conda's has one."""
        packages = packages_folder(root)
        match = re.fullmatch(r"(.*)/lib(?:64)?/(python[0-9.]+)(?:/[^/]+)?", packages or "")
        if match is None or self.headers[root].interpreter:
            return ()
        try:
            found = self.paths.resolve(f"{match[1]}/bin/{match[2]}")
            if found is None or found.path == root:
                return ()
            program = _Object(found.path, found.path, self.header(found), ())
        except (Damaged, OSError):
            return ()
        return self._down(program, (), rules)

    def _own_steps(self, loaded: _Object, rules: Rules) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """The steps of an object's own lists: those it hands down, and those for itself alone."""
        key = (loaded.path, loaded.file, rules.musl)
        if key not in self._steps:
            header = loaded.header
            origin = loaded.path.rpartition("/")[0] or "/"
            rpath = folders_of(header.rpath, origin, rules, self._working_directory)
            runpath = folders_of(header.runpath, origin, rules, self._working_directory)
            down: tuple[Step, ...] = ()
            alone: tuple[Step, ...] = ()
            # glibc does not look at RPATH where there is a RUNPATH; musl takes the one for the other.
            if header.runpath and rules.musl and runpath:
                down = (Step("runpath", f"runpath of {loaded.path}", runpath),)
            elif header.runpath and runpath:
                alone = (Step("runpath", f"runpath of {loaded.path}", runpath),)
            elif not header.runpath and rpath:
                down = (Step("rpath", f"rpath of {loaded.path}", rpath),)
            self._steps[key] = (down, alone)
        return self._steps[key]

    def _down(self, loaded: _Object, above: tuple[Step, ...], rules: Rules) -> tuple[Step, ...]:
        return (self._own_steps(loaded, rules)[0] + above)[:MAX_STEPS]

    def _search_steps(self, process: _Process, loaded: _Object) -> tuple[Step, ...]:
        rules = process.rules
        parts = tuple(re.split("[:\n]" if rules.musl else "[:;]", self._library_path)) if self._library_path else ()
        origin = process.root.rpartition("/")[0] or "/"
        folders = folders_of(parts, origin, rules, self._working_directory) if parts else ()
        environment = (Step("LD_LIBRARY_PATH", "LD_LIBRARY_PATH", folders),) if folders else ()
        if rules.musl:
            return environment + loaded.steps_down
        alone = self._own_steps(loaded, rules)[1]
        return environment + alone if loaded.header.runpath else loaded.steps_down + environment

    def _edge(
        self, process: _Process, loaded: _Object, needed: str, preloads: Callable[[str], Preloaded | None]
    ) -> tuple[Edge, _Object | None]:
        rules = process.rules
        known = process.by_name.get(needed)
        if rules.musl and needed.startswith("lib") and needed[3:].startswith(MUSL_ITSELF):
            path = rules.interpreter
            return Edge(needed, loaded.path, process.root, path, path, "loader", "musl's loader is its C library"), None
        if known is not None:
            return self._edge_to(process, loaded, needed, known, *self._known_as(process, known, needed)), None
        if "/" in needed:
            path = expand(needed, loaded.path.rpartition("/")[0] or "/", rules)
            path = path if path.startswith("/") else join(self._working_directory, path)
            hit, places = process.search.open(path, "as written", f"by its path, in {loaded.path}")
        else:
            hit, places = process.search.find(needed, self._search_steps(process, loaded))
        if hit is not None:
            return self._edge_to_hit(process, loaded, needed, hit, places)
        preloaded = preloads(needed)
        if preloaded is not None:
            new = _Object(preloaded.path, preloaded.file, preloaded.header, ())
            new.steps_down = self._down(new, (), rules)
            process.add(new, needed)
            return self._edge_to(process, loaded, needed, new, "preloaded", preloaded.how, places), new
        return self._missing(process, loaded, needed, places), None

    def _known_as(self, process: _Process, known: _Object, needed: str) -> tuple[EdgeKind, str]:
        if known.path == process.rules.interpreter:
            return "loader", "the loader itself"
        return "already loaded", f"{known.path} is already loaded"

    def _edge_to_hit(
        self, process: _Process, loaded: _Object, needed: str, hit: Hit, places: tuple[Place, ...]
    ) -> tuple[Edge, _Object | None]:
        new = process.by_file.get(hit.file)
        kind: Kind = hit.kind
        if new is not None:
            process.know(new, needed)
            return self._edge_to(process, loaded, needed, new, kind, hit.how, places), None
        new = _Object(hit.path, hit.file, hit.header, ())
        new.steps_down = self._down(new, loaded.steps_down, process.rules)
        process.add(new, needed)
        return self._edge_to(process, loaded, needed, new, kind, hit.how, places), new

    def _edge_to(
        self,
        process: _Process,
        loaded: _Object,
        needed: str,
        to: _Object,
        kind: EdgeKind,
        how: str,
        places: tuple[Place, ...] = (),
    ) -> Edge:
        asked = loaded.header.needs_versions.get(needed, ())
        has = to.header.defines_versions
        # A library without version nodes is taken as it is; musl does not look at them at all.
        absent = tuple(node for node in asked if node not in has) if has and not process.rules.musl else ()
        return Edge(needed, loaded.path, process.root, to.path, to.file, kind, how, places, absent)

    def _missing(self, process: _Process, loaded: _Object, needed: str, places: tuple[Place, ...]) -> Edge:
        capability = driver.capability(needed)
        kind: EdgeKind = "missing"
        how = "not found"
        elsewhere = tuple(self._named.get(needed, [])[:MAX_ELSEWHERE])
        if capability is not None:
            kind = "from-driver"
            how = f"from the driver: put in when the container starts (driver capability: {capability})"
        elif not process.rules.musl and "/" not in needed:
            folder, file = self._in_configured_folder(process, needed)
            if folder is not None:
                kind = "after-ldconfig"
                how = f"in {folder}, which {file} names, but ldconfig has not run since"
                elsewhere = (join(folder, needed),)
        return Edge(needed, loaded.path, process.root, None, None, kind, how, places, (), elsewhere)

    def _in_configured_folder(self, process: _Process, needed: str) -> tuple[str | None, str]:
        if self._configured is None:
            self._configured = configured_folders(self.paths)
        for folder, file in self._configured:
            listing = self.paths.listing(folder)
            if listing is None or needed in listing:
                hit, _ = process.search.open(join(folder, needed), "as written", file)
                if hit is not None:
                    return folder, file
        return None, ""

    # -- frameworks

    def _preloads_for(self, process: _Process) -> Callable[[str], Preloaded | None]:
        return lambda needed: self._preloads.find(process.root, process.needs, needed)

    def _closure(self, root: str, preloads: Callable[[str], Preloaded | None]) -> list[Preloaded]:
        """Everything that is loaded with the library `root`, for the frameworks."""
        try:
            found = self.paths.resolve(root)
            if found is None:
                return []
            self.header(found)
        except (Damaged, OSError):
            return []
        process = self._start(found.path)
        if process is None:
            return []
        seen, edges, left = self.seen, self._edges, self._left
        self.seen, self._edges = set(), {}
        try:
            self._run(process, deque(process.by_file.values()), preloads)
        finally:
            self.seen, self._edges = seen, edges
            self._left = min(left, self._left)
        return [Preloaded(item.path, item.file, item.header, "") for item in process.by_file.values()]

    # -- the answer

    def found_by_others(self, files: Iterable[str]) -> set[str]:
        """The files that at least one other file finds when it is loaded on its own."""
        found = set()
        for file in files:
            header = self.headers[file]
            rules, search = self._rules_for(header)
            process = _Process(file, rules, search)
            loaded = _Object(file, file, header, ())
            loaded.steps_down = self._down(loaded, (), rules)
            steps = self._search_steps(process, loaded)
            for needed in header.needed:
                hit = search.find(needed, steps)[0] if "/" not in needed else None
                if hit is not None and hit.file != file:
                    found.add(hit.file)
        return found

    def result(self) -> Resolution:
        incomplete = f"more than {MAX_EDGES} edges: the rest was not followed" if self._left < 0 else None
        return Resolution(tuple(self._roots), tuple(self._edges.values()), tuple(self._problems.values()), incomplete)
