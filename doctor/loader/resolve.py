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
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

from doctor.binary.elf import ElfFile
from doctor.loader import driver
from doctor.loader.files import Files, Header
from doctor.loader.frameworks import Preloaded, Preloads, optional, packages_folder
from doctor.loader.ldconfig import configured_folders
from doctor.loader.process import Lists, Object, Process
from doctor.loader.resolution import Edge, EdgeKind, Place, Resolution
from doctor.loader.search import MAX_PLACES, MUSL_ITSELF, Allowance, GaveUp, Hit, Rules, Search, Step, expand, rules_of
from doctor.loader.versions import Versions
from doctor.tree import Paths, Tree, join

# Edges followed in all processes together. A large image with torch, ROCm and a desktop has some hundred thousand.
MAX_EDGES = 3_000_000
# An image has one or two loaders; what a library asks of one makes it some more.
MAX_LOADERS = 200
MAX_ELSEWHERE = 20

LastResort = Callable[[str], Preloaded | None]


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
    session = _Session(tree, environment, working_directory, headers or {})
    files = session.files.runnable(paths, machine)
    return session.result(lambda: session.follow_each(files.items()))


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

    `paths` are the ELF files of the tree by canonical path, if they are known; otherwise the tree is walked, which
    raises TooLarge for one beyond all measure. The rest is as for `resolve`.
    """
    session = _Session(tree, environment, working_directory, headers or {})
    paths = session.files.candidates() if paths is None else paths
    # The answer does not depend on the order in which the files are given.
    files = session.files.runnable(sorted(paths), machine)
    session.remember_names(files)
    return session.result(lambda: session.follow_all(files))


class _Session:
    """One examination of one tree."""

    def __init__(
        self, tree: Tree, environment: Mapping[str, str], working_directory: str, known: Mapping[str, ElfFile]
    ) -> None:
        self._paths = Paths(tree)
        self.files = Files(self._paths, known)
        self._lists = Lists(working_directory)
        self._preloads = Preloads(self._paths, self.files, self._closure)
        self._library_path = environment.get("LD_LIBRARY_PATH", "")
        self._working_directory = working_directory
        self._rules: dict[tuple[object, ...], tuple[Rules, Search]] = {}
        self._configured: tuple[tuple[str, str], ...] | None = None
        self._files_by_name: dict[str, list[str]] = {}
        self._versions = Versions(self._paths)
        self._roots: dict[str, None] = {}
        self._seen: set[str] = set()
        self._edges: dict[tuple[str, str, str | None, str], Edge] = {}
        self._loaders_allowed = Allowance(MAX_LOADERS, f"more than {MAX_LOADERS} loaders: the rest was not followed")
        self._edges_allowed = Allowance(MAX_EDGES, f"more than {MAX_EDGES} edges: the rest was not followed")
        self._places_allowed = Allowance(MAX_PLACES, f"more than {MAX_PLACES} places: the rest was not searched")

    def remember_names(self, files: Mapping[str, Header]) -> None:
        """Remembers files by what a program may ask for, to say where a missing library lies instead."""
        for file, header in files.items():
            for name in {file.rpartition("/")[2], header.soname or ""} - {""}:
                self._files_by_name.setdefault(name, []).append(file)
                self._versions.remember(name, file)

    def follow_all(self, files: Mapping[str, Header]) -> None:
        """Follows programs, then libraries that nothing else loads, then what is loaded only in a circle."""
        self.follow_each(file for file in files.items() if file[1].interpreter)
        loaded = self._found_by_others(files)
        self.follow_each(file for file in files.items() if file[0] not in loaded and file[0] not in self._seen)
        self.follow_each(file for file in files.items() if file[0] not in self._seen)

    def follow_each(self, files: Iterable[tuple[str, Header]]) -> None:
        """Follows each file as a process of its own and keeps the edges."""
        for root, header in files:
            self._roots[root] = None
            process = self._start(root, header)
            for edge in self._load(process, partial(self._preloads.find, root, process.needs)):
                self._edges.setdefault((edge.needed, edge.by, edge.found, edge.how), edge)
            self._seen.update(process.by_file)

    def _found_by_others(self, files: Mapping[str, Header]) -> set[str]:
        """The files that at least one other file finds when it is loaded on its own."""
        found: set[str] = set()
        for file, header in files.items():
            process = self._process(file, header)
            steps = process.steps(process.load(file, file, header, ()))
            hits = [process.search.find(needed, steps)[0] for needed in header.needed if "/" not in needed]
            found.update(hit.file for hit in hits if hit is not None and hit.file != file)
        return found

    def result(self, follow: Callable[[], None]) -> Resolution:
        """What `follow` finds, as far as it comes."""
        incomplete = None
        try:
            follow()
        except GaveUp as limit:
            incomplete = str(limit)
        problems = tuple(self.files.problems.values())
        return Resolution(tuple(self._roots), tuple(self._edges.values()), problems, incomplete)

    def _process(self, root: str, header: Header) -> Process:
        # All that the choice of a loader depends on, so that it is made once for all files alike.
        named = tuple(
            name for name in header.needed if name == "libc.so" or name.startswith(("libc.musl-", "libc.so.6"))
        )
        key = (header.machine, header.bits, header.little_endian, header.interpreter, named)
        if key not in self._rules:
            self._loaders_allowed.spend()
            rules = rules_of(self._paths, header)
            self._rules[key] = (rules, Search(self._paths, rules, self.files.header, self._places_allowed))
        rules, search = self._rules[key]
        return Process(root, header.interpreter is not None, rules, search, self._lists, self._library_path)

    def _start(self, root: str, header: Header) -> Process:
        """A process with what is in it before anything is asked for: the program or library, and the loader."""
        process = self._process(root, header)
        above = () if header.interpreter else self._python_lists(root, process.rules)
        process.load(root, root, header, above)
        if process.rules.interpreter is not None:
            hit, _ = process.search.open(process.rules.interpreter, "as written", "loader")
            if hit is not None:
                process.load(hit.path, hit.file, hit.header, ())
        return process

    def _python_lists(self, root: str, rules: Rules) -> tuple[Step, ...]:
        """What the Python program hands down that would load this extension module: conda's has an RPATH."""
        match = re.fullmatch(r"(.*)/lib(?:64)?/(python[0-9.]+)/[^/]+", packages_folder(root) or "")
        if match is None:
            return ()
        program = self.files.at(f"{match[1]}/bin/{match[2]}")
        if program is None:
            return ()
        found, header = program
        return self._lists.load(found.path, found.path, header, (), rules).down

    def _load(self, process: Process, last_resort: LastResort) -> Iterator[Edge]:
        """Loads all that is needed by what is in the process, breadth first, until nothing new comes up."""
        queue = list(process.by_file.values())
        for loaded in queue:
            for needed in loaded.header.needed:
                self._edges_allowed.spend()
                edge, new = self._edge(process, loaded, needed, last_resort)
                yield edge
                if new is not None:
                    queue.append(new)

    def _edge(
        self, process: Process, loaded: Object, needed: str, last_resort: LastResort
    ) -> tuple[Edge, Object | None]:
        """The edge from an object to one library, and the object if it is new to the process."""
        rules = process.rules
        if rules.musl and needed.startswith("lib") and needed[3:].startswith(MUSL_ITSELF):
            itself = rules.interpreter
            how = "musl's loader is its own C library"
            return Edge(needed, loaded.path, process.root, process.program, itself, itself, "loader", how), None
        edge_to = partial(_edge_to, process, loaded, needed)
        known = process.by_name.get(needed)
        if known is not None and known.path == rules.interpreter:
            return edge_to(known, "loader", "the loader itself"), None
        if known is not None:
            return edge_to(known, "already loaded", f"{known.path} is already loaded"), None
        hit, places = self._find(process, loaded, needed)
        if hit is not None and hit.file in process.by_file:
            known = process.by_file[hit.file]
            process.know(known, needed)
            return edge_to(known, hit.kind, hit.how, places), None
        if hit is not None:
            new = process.load(hit.path, hit.file, hit.header, loaded.down, needed)
            return edge_to(new, hit.kind, hit.how, places), new
        preloaded = last_resort(needed)
        if preloaded is not None:
            new = process.load(preloaded.path, preloaded.file, preloaded.header, (), needed)
            return edge_to(new, "preloaded", preloaded.how, places), new
        return self._missing(process, loaded, needed, places), None

    def _find(self, process: Process, loaded: Object, needed: str) -> tuple[Hit | None, tuple[Place, ...]]:
        if "/" not in needed:
            return process.search.find(needed, process.steps(loaded))
        path = expand(needed, loaded.path.rpartition("/")[0] or "/", process.rules)
        path = path if path.startswith("/") else join(self._working_directory, path)
        return process.search.open(path, "as written", f"by its path, in {loaded.path}")

    def _missing(self, process: Process, loaded: Object, needed: str, places: tuple[Place, ...]) -> Edge:
        elsewhere = tuple(self._files_by_name.get(needed, ())[:MAX_ELSEWHERE])
        elsewhere = elsewhere or self._versions.elsewhere(needed, places)
        kind: EdgeKind = "missing"
        how = "not found"
        capability = driver.capability(needed)
        configured = None if process.rules.musl or "/" in needed else self._configured_folder(process, needed)
        plug_in = optional(process.root)
        if capability is not None:
            kind = "from-driver"
            how = f"from the driver: put in when the container starts (driver capability: {capability})"
        elif configured is not None:
            kind = "after-ldconfig"
            how = f"in {configured[0]}, which {configured[1]} names, but ldconfig has not run since"
            elsewhere = (join(configured[0], needed),)
        elif plug_in is not None:
            kind = "optional"
            how = f"not found; needed only by {plug_in}"
        others = () if capability is not None else self._versions.others(needed, places)
        return Edge(
            needed, loaded.path, process.root, process.program, None, None, kind, how, places, (), elsewhere, others
        )

    def _configured_folder(self, process: Process, needed: str) -> tuple[str, str] | None:
        """The folder of /etc/ld.so.conf that has the library, and the file that names the folder."""
        if self._configured is None:
            self._configured = configured_folders(self._paths)
        for folder, file in self._configured:
            listing = self._paths.listing(folder)
            if listing is not None and needed not in listing:
                continue
            hit, _ = process.search.open(join(folder, needed), "as written", file)
            if hit is not None:
                return folder, file
        return None

    def _closure(self, root: str, last_resort: LastResort) -> list[Preloaded]:
        """Everything that is loaded along with the library `root`, for the frameworks."""
        library = self.files.at(root)
        if library is None:
            return []
        process = self._start(library[0].path, library[1])
        deque(self._load(process, last_resort), maxlen=0)
        return [Preloaded(item.path, item.file, item.header, "") for item in process.by_file.values()]


def _edge_to(
    process: Process,
    loaded: Object,
    needed: str,
    to: Object,
    kind: EdgeKind,
    how: str,
    places: tuple[Place, ...] = (),
) -> Edge:
    asked = loaded.header.needs_versions.get(needed, ())
    has = to.header.defines_versions
    # A library without version nodes is taken as it is; musl does not look at them at all.
    absent = tuple(node for node in asked if node not in has) if has and not process.rules.musl else ()
    return Edge(needed, loaded.path, process.root, process.program, to.path, to.file, kind, how, places, absent)
