"""One process while it is loaded: which objects are in it, under which names, and where each of them looks."""

from __future__ import annotations

import re

from doctor.loader.files import Header
from doctor.loader.search import MAX_STEPS, Rules, Search, Step, Steps, folders_of


class Object:
    """A file in a process. `path` is how it was opened, `file` where links lead, `down` the lists it hands down."""

    __slots__ = ("alone", "down", "file", "header", "path", "steps")

    def __init__(self, path: str, file: str, header: Header, down: tuple[Step, ...], alone: tuple[Step, ...]) -> None:
        self.path = path
        self.file = file
        self.header = header
        self.down = down
        self.alone = alone
        self.steps: Steps | None = None


class Lists:
    """The path lists of objects, filled in once for each."""

    def __init__(self, working_directory: str) -> None:
        self._working_directory = working_directory
        self._known: dict[tuple[str, str, bool], tuple[tuple[Step, ...], tuple[Step, ...]]] = {}
        self._same: dict[tuple[Step, ...], Steps] = {}

    def same(self, steps: tuple[Step, ...]) -> Steps:
        """The one object for these steps."""
        return self._same.setdefault(steps, Steps(steps))

    def environment(self, library_path: str, root: str, rules: Rules) -> tuple[Step, ...]:
        """The folders of LD_LIBRARY_PATH; its tokens are those of the program."""
        if not library_path:
            return ()
        parts = tuple(re.split("[:\n]" if rules.musl else "[:;]", library_path))
        folders = folders_of(parts, root.rpartition("/")[0] or "/", rules, self._working_directory)
        return (Step("LD_LIBRARY_PATH", "LD_LIBRARY_PATH", folders),) if folders else ()

    def load(self, path: str, file: str, header: Header, above: tuple[Step, ...], rules: Rules) -> Object:
        """The object that `path` becomes when an object that hands down `above` loads it."""
        key = (path, file, rules.musl)
        if key not in self._known:
            self._known[key] = self._own(path, header, rules)
        down, alone = self._known[key]
        return Object(path, file, header, (down + above)[:MAX_STEPS], alone)

    def _own(self, path: str, header: Header, rules: Rules) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
        """The list that an object hands down, and the one for itself alone: it has one of them at most."""
        # Both loaders leave RPATH alone where there is a RUNPATH.
        parts = header.runpath or header.rpath
        folders = folders_of(parts, path.rpartition("/")[0] or "/", rules, self._working_directory)
        if not folders:
            return (), ()
        if not header.runpath:
            return (Step("rpath", f"rpath of {path}", folders),), ()
        runpath = (Step("runpath", f"runpath of {path}", folders),)
        return (runpath, ()) if rules.musl else ((), runpath)


class Process:
    """What is loaded so far. `needs` is every name that an object in it asks for, `program` whether it can start."""

    def __init__(self, root: str, program: bool, rules: Rules, search: Search, lists: Lists, library_path: str) -> None:
        """`library_path` is the LD_LIBRARY_PATH it starts with."""
        self.root = root
        self.program = program
        self.rules = rules
        self.search = search
        self.by_name: dict[str, Object] = {}
        self.by_file: dict[str, Object] = {}
        self.needs: set[str] = set()
        self._lists = lists
        self._environment = lists.environment(library_path, root, rules)

    def _add(self, loaded: Object, asked: str | None) -> None:
        self.by_file[loaded.file] = loaded
        self.needs.update(loaded.header.needed)
        self.by_name.setdefault(loaded.path, loaded)
        # musl knows an object by the name it was found under alone.
        if loaded.header.soname and not self.rules.musl:
            self.by_name.setdefault(loaded.header.soname, loaded)
        self.know(loaded, asked)

    def know(self, loaded: Object, asked: str | None) -> None:
        """From now on `asked` is this object."""
        if asked is not None:
            self.by_name.setdefault(asked, loaded)

    def load(self, path: str, file: str, header: Header, above: tuple[Step, ...], asked: str | None = None) -> Object:
        """Loads a file for an object that hands down `above`, under the name it was `asked` for."""
        loaded = self._lists.load(path, file, header, above, self.rules)
        self._add(loaded, asked)
        return loaded

    def steps(self, loaded: Object) -> Steps:
        """Where the loader looks for what an object needs, before the cache and the last folders."""
        if loaded.steps is None:
            loaded.steps = self._lists.same(self._steps(loaded))
        return loaded.steps

    def _steps(self, loaded: Object) -> tuple[Step, ...]:
        if self.rules.musl:
            return self._environment + loaded.down
        # Nothing that was handed down counts for an object with a RUNPATH, though it still hands it on.
        if loaded.header.runpath:
            return self._environment + loaded.alone
        return loaded.down + self._environment
