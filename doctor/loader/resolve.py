"""Every library that programs need and the file that the loader takes for each, found without running anything.

A process is followed as the loader follows it: breadth first, one object for each file, and a library whose name or
SONAME is already loaded is not searched for again. Whoever loads a file hands down its RPATH. A library that no program
here needs (a Python extension, a plug-in) is followed as a process of its own, with the RPATH of the Python program it
would be loaded by.

Searches are shared by all processes: an image costs one search for each different question, not one for each program.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from doctor.binary.elf import ElfFile
from doctor.loader import driver
from doctor.loader.files import Files, Header
from doctor.loader.frameworks import Preloaded, Preloads, optional, packages_folder
from doctor.loader.ldconfig import configured_folders
from doctor.loader.process import Lists, Object, Process, environment_steps
from doctor.loader.resolution import Edge, EdgeKind, Place, Resolution
from doctor.loader.search import MUSL_ITSELF, Rules, Search, Step, expand, rules_of
from doctor.tree import Paths, Tree, join

# Edges followed in all processes together. A large image with torch, ROCm and a desktop has some hundred thousand.
MAX_EDGES = 3_000_000
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
    for root, header in session.files.runnable(paths, machine).items():
        session.follow(root, header)
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

    `paths` are the ELF files of the tree by canonical path, if they are known; otherwise the tree is walked, which
    raises TooLarge for one beyond all measure. The rest is as for `resolve`.
    """
    session = _Session(tree, environment, working_directory, headers or {})
    paths = session.files.candidates() if paths is None else paths
    # The answer does not depend on the order in which the files are given.
    files = session.files.runnable(sorted(paths), machine)
    session.remember_names(files)
    for file, header in files.items():
        if header.interpreter:
            session.follow(file, header)
    loaded = session.found_by_others(files)
    for file, header in files.items():
        if file not in loaded:
            session.follow(file, header)
    # What is left is loaded only by others that are loaded only by it.
    for file, header in files.items():
        session.follow(file, header)
    return session.result()


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
        self._roots: dict[str, None] = {}
        self._seen: set[str] = set()
        self._edges: dict[tuple[str, str, str | None, str], Edge] = {}
        self._edges_left = MAX_EDGES

    def remember_names(self, files: Mapping[str, Header]) -> None:
        """Remembers files by what a program may ask for, to say where a missing library lies instead."""
        for file, header in files.items():
            for name in {file.rpartition("/")[2], header.soname or ""} - {""}:
                self._files_by_name.setdefault(name, []).append(file)

    def follow(self, root: str, header: Header) -> None:
        """Follows the process of one program, or of a library that has not come up yet, and keeps its edges."""
        if root in self._seen and not (header.interpreter and root not in self._roots):
            return
        self._roots[root] = None
        process = self._start(root, header)
        for edge in self._load(process, lambda needed: self._preloads.find(root, process.needs, needed)):
            self._edges.setdefault((edge.needed, edge.by, edge.found, edge.how), edge)
        self._seen.update(process.by_file)

    def found_by_others(self, files: Mapping[str, Header]) -> set[str]:
        """The files that at least one other file finds when it is loaded on its own."""
        found: set[str] = set()
        for file, header in files.items():
            process = self._process(file, header)
            steps = process.steps(self._lists.load(file, file, header, (), process.rules))
            hits = [process.search.find(needed, steps)[0] for needed in header.needed if "/" not in needed]
            found.update(hit.file for hit in hits if hit is not None and hit.file != file)
        return found

    def result(self) -> Resolution:
        incomplete = f"more than {MAX_EDGES} edges: the rest was not followed" if self._edges_left < 0 else None
        problems = tuple(self.files.problems.values())
        return Resolution(tuple(self._roots), tuple(self._edges.values()), problems, incomplete)

    def _process(self, root: str, header: Header) -> Process:
        # All that the choice of a loader depends on, so that it is made once for all files alike.
        named = tuple(
            name for name in header.needed if name == "libc.so" or name.startswith(("libc.musl-", "libc.so.6"))
        )
        key = (header.machine, header.bits, header.little_endian, header.interpreter, named)
        if key not in self._rules:
            rules = rules_of(self._paths, header)
            self._rules[key] = (rules, Search(self._paths, rules, self.files.header))
        rules, search = self._rules[key]
        environment = environment_steps(self._library_path, root, rules, self._working_directory)
        return Process(root, rules, search, environment)

    def _start(self, root: str, header: Header) -> Process:
        """A process with what is in it before anything is asked for: the program or library, and the loader."""
        process = self._process(root, header)
        above = () if header.interpreter else self._python_lists(root, process.rules)
        process.add(self._lists.load(root, root, header, above, process.rules), None)
        if process.rules.interpreter is not None:
            hit, _ = process.search.open(process.rules.interpreter, "as written", "loader")
            if hit is not None:
                process.add(self._lists.load(hit.path, hit.file, hit.header, (), process.rules), None)
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

    def _load(self, process: Process, last_resort: LastResort) -> list[Edge]:
        """Loads all that is needed by what is in the process, breadth first, until nothing new comes up."""
        edges: list[Edge] = []
        queue = list(process.by_file.values())
        for loaded in queue:
            for needed in loaded.header.needed:
                self._edges_left -= 1
                if self._edges_left < 0:
                    return edges
                edge, new = self._edge(process, loaded, needed, last_resort)
                edges.append(edge)
                if new is not None:
                    queue.append(new)
        return edges

    def _edge(
        self, process: Process, loaded: Object, needed: str, last_resort: LastResort
    ) -> tuple[Edge, Object | None]:
        """The edge from an object to one library, and the object if it is new to the process."""
        rules = process.rules
        if rules.musl and needed.startswith("lib") and needed[3:].startswith(MUSL_ITSELF):
            itself = rules.interpreter
            how = "musl's loader is its own C library"
            return Edge(needed, loaded.path, process.root, itself, itself, "loader", how), None
        known = process.by_name.get(needed)
        if known is not None and known.path == rules.interpreter:
            return self._edge_to(process, loaded, needed, known, "loader", "the loader itself", ()), None
        if known is not None:
            how = f"{known.path} is already loaded"
            return self._edge_to(process, loaded, needed, known, "already loaded", how, ()), None
        if "/" in needed:
            path = expand(needed, loaded.path.rpartition("/")[0] or "/", rules)
            path = path if path.startswith("/") else join(self._working_directory, path)
            hit, places = process.search.open(path, "as written", f"by its path, in {loaded.path}")
        else:
            hit, places = process.search.find(needed, process.steps(loaded))
        if hit is not None:
            new = process.by_file.get(hit.file)
            if new is not None:
                process.know(new, needed)
                return self._edge_to(process, loaded, needed, new, hit.kind, hit.how, places), None
            new = self._lists.load(hit.path, hit.file, hit.header, loaded.down, rules)
            process.add(new, needed)
            return self._edge_to(process, loaded, needed, new, hit.kind, hit.how, places), new
        preloaded = last_resort(needed)
        if preloaded is None:
            return self._missing(process, loaded, needed, places), None
        new = self._lists.load(preloaded.path, preloaded.file, preloaded.header, (), rules)
        process.add(new, needed)
        return self._edge_to(process, loaded, needed, new, "preloaded", preloaded.how, places), new

    def _edge_to(
        self,
        process: Process,
        loaded: Object,
        needed: str,
        to: Object,
        kind: EdgeKind,
        how: str,
        places: tuple[Place, ...],
    ) -> Edge:
        asked = loaded.header.needs_versions.get(needed, ())
        has = to.header.defines_versions
        # A library without version nodes is taken as it is; musl does not look at them at all.
        absent = tuple(node for node in asked if node not in has) if has and not process.rules.musl else ()
        return Edge(needed, loaded.path, process.root, to.path, to.file, kind, how, places, absent)

    def _missing(self, process: Process, loaded: Object, needed: str, places: tuple[Place, ...]) -> Edge:
        elsewhere = tuple(self._files_by_name.get(needed, ())[:MAX_ELSEWHERE])
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
        return Edge(needed, loaded.path, process.root, None, None, kind, how, places, (), elsewhere)

    def _configured_folder(self, process: Process, needed: str) -> tuple[str, str] | None:
        """The folder of /etc/ld.so.conf that has the library, and the file that names the folder."""
        if self._configured is None:
            self._configured = configured_folders(self._paths)
        for folder, file in self._configured:
            listing = self._paths.listing(folder)
            if (listing is None or needed in listing) and process.search.open(join(folder, needed), "as written", file)[
                0
            ]:
                return folder, file
        return None

    def _closure(self, root: str, last_resort: LastResort) -> list[Preloaded]:
        """Everything that is loaded along with the library `root`, for the frameworks."""
        library = self.files.at(root)
        if library is None:
            return []
        process = self._start(library[0].path, library[1])
        self._load(process, last_resort)
        return [Preloaded(item.path, item.file, item.header, "") for item in process.by_file.values()]
