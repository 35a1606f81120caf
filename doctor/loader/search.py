"""Where a loader looks for a library, in its order, and which file it takes.

glibc: RPATH of the object that needs the library, then of the one that loaded that object, and so on up to the program,
unless the object has a RUNPATH; LD_LIBRARY_PATH; RUNPATH of the object alone; /etc/ld.so.cache; the folders built into
the loader. In each folder the glibc-hwcaps folders of the processor come first. A file of another class or machine is
passed over; any other unusable file ends the search.
musl: LD_LIBRARY_PATH; RPATH or RUNPATH, which are one, of the object and of those that loaded it; the folders of
/etc/ld-musl-ARCH.path or its built-in ones. The first file that can be opened is taken.

Sources: https://man7.org/linux/man-pages/man8/ld.so.8.html, glibc elf/dl-load.c
(https://sourceware.org/git/?p=glibc.git;a=blob;f=elf/dl-load.c), musl ldso/dynlink.c
(https://git.musl-libc.org/cgit/musl/tree/ldso/dynlink.c).
Not followed: the hardware folders that glibc gave up in 2.37, DF_1_NODEFLIB, LD_PRELOAD, and all that only concerns
set-user-ID programs.
"""

from __future__ import annotations

import errno
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

from doctor.binary.elf import ET_DYN, ET_EXEC
from doctor.binary.reader import Damaged, Reader
from doctor.loader.files import Header
from doctor.loader.ldconfig import CACHE, by_name, parse_cache, read_text
from doctor.loader.resolution import Place
from doctor.tree import Found, Paths, join

Kind = Literal["rpath", "LD_LIBRARY_PATH", "runpath", "ld.so.cache", "ld-musl path", "default path", "as written"]

# The folders of glibc-hwcaps that a processor of the last ten years supports, best first: every host of a data-centre
# GPU has x86-64-v3. Which processor an image will meet is not known; a library in such a folder has a plain twin.
# https://gitlab.com/x86-psABIs/x86-64-ABI, glibc sysdeps/x86_64/dl-hwcaps_subdirs.c
HWCAPS = {("x86_64", 64): ("x86-64-v3", "x86-64-v2")}

# What the kernel calls the processor (AT_PLATFORM), for $PLATFORM.
PLATFORMS = {"i386": "i686", "arm": "v7l", "ppc64": "power9", "s390x": "z900"}

# Loaders by machine and class. https://sourceware.org/glibc/wiki/ABIList
LOADERS = {
    ("x86_64", 64): ("/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"),
    ("x86_64", 32): ("/libx32/ld-linux-x32.so.2", "/lib/ld-musl-x32.so.1"),
    ("i386", 32): ("/lib/ld-linux.so.2", "/lib/ld-musl-i386.so.1"),
    ("aarch64", 64): ("/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-aarch64.so.1"),
    ("arm", 32): ("/lib/ld-linux-armhf.so.3", "/lib/ld-musl-armhf.so.1"),
    ("ppc64", 64): ("/lib64/ld64.so.2", "/lib/ld-musl-powerpc64le.so.1"),
    ("s390x", 64): ("/lib/ld64.so.1", "/lib/ld-musl-s390x.so.1"),
    ("riscv", 64): ("/lib/ld-linux-riscv64-lp64d.so.1", "/lib/ld-musl-riscv64.so.1"),
    ("loongarch", 64): ("/lib64/ld-linux-loongarch-lp64d.so.1", "/lib/ld-musl-loongarch64.so.1"),
}

# Debian's folders by machine. https://wiki.debian.org/Multiarch/Tuples
MULTIARCH = {
    ("x86_64", 64): "x86_64-linux-gnu",
    ("x86_64", 32): "x86_64-linux-gnux32",
    ("i386", 32): "i386-linux-gnu",
    ("aarch64", 64): "aarch64-linux-gnu",
    ("arm", 32): "arm-linux-gnueabihf",
    ("ppc64", 64): "powerpc64le-linux-gnu",
    ("s390x", 64): "s390x-linux-gnu",
    ("riscv", 64): "riscv64-linux-gnu",
    ("loongarch", 64): "loongarch64-linux-gnu",
}

MUSL_FOLDERS = ("/lib", "/usr/local/lib", "/usr/lib")
# The libraries that musl is itself, by the part of the name after "lib".
MUSL_ITSELF = ("c.", "pthread.", "rt.", "m.", "dl.", "util.", "xnet.")

MAX_LOADER = 16 << 20
# Limits far above what real files have (a jax wheel for ROCm lists a hundred folders, chains are five deep), so that a
# made-up file costs little.
MAX_STEPS = 64
MAX_FOLDERS = 1_024
MAX_PLACES = 1_000_000


class Step(NamedTuple):
    """A list of folders that is searched in one go. `how` says whose it is: "runpath of /usr/bin/x"."""

    kind: Kind
    how: str
    folders: tuple[str, ...]


class Hit(NamedTuple):
    """The file that is taken: `path` as the loader opens it, `file` where symbolic links lead."""

    path: str
    file: str
    header: Header
    kind: Kind
    how: str


class Target(NamedTuple):
    """What a process can load: everything in it has one machine, class and byte order."""

    machine: str
    bits: int
    little_endian: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """One loader as it is in the tree.

    `cached` is its ld.so.cache by name; `folders` are built in (or from /etc/ld-musl-ARCH.path), searched last.
    """

    musl: bool
    interpreter: str | None
    target: Target
    cached: Mapping[str, str]
    last: Step
    lib: str
    platform: str
    hwcaps: tuple[str, ...]


def rules_of(paths: Paths, root: Header) -> Rules:
    """The rules of the loader that a program names, or that a library would meet in this tree."""
    target = Target(root.machine, root.bits, root.little_endian)
    interpreter = root.interpreter or _likely_loader(paths, root)
    found = _resolve(paths, interpreter) if interpreter else None
    platform = PLATFORMS.get(root.machine, root.machine)
    # Alpine's gcompat stands in the place of glibc's loader and calls musl's.
    names = [path.rpartition("/")[2] for path in (interpreter or "", found.path if found else "")]
    if interpreter and any(name.startswith(("ld-musl", "libgcompat")) for name in names):
        own = interpreter if names[0].startswith("ld-musl") else LOADERS.get(target[:2], ("", ""))[1]
        return Rules(True, interpreter, target, {}, _musl_folders(paths, own), "lib", platform, ())
    folders = _built_in(paths, found) or _usual_folders(paths, target)
    lib = folders[0].removeprefix("/usr").strip("/") or "lib"
    hwcaps = HWCAPS.get(target[:2], ())
    last = Step("default path", "default path", folders)
    return Rules(False, interpreter, target, _cache(paths, target, hwcaps), last, lib, platform, hwcaps)


def _likely_loader(paths: Paths, library: Header) -> str | None:
    loaders = LOADERS.get((library.machine, library.bits))
    if loaders is None:
        return None
    if any(name == "libc.so" or name.startswith("libc.musl-") for name in library.needed):
        return loaders[1]
    if "libc.so.6" in library.needed or _resolve(paths, loaders[0]) or not _resolve(paths, loaders[1]):
        return loaders[0]
    return loaders[1]


def _resolve(paths: Paths, path: str) -> Found | None:
    try:
        return paths.resolve(path)
    except OSError:
        return None


def _built_in(paths: Paths, loader: Found | None) -> tuple[str, ...]:
    """The folders built into glibc's loader: strings one after another, each with a slash at both ends.

    Distributions differ in them (/lib64, /usr/lib/x86_64-linux-gnu, a store), and the loader is at hand.
    """
    if loader is None or loader.node.kind != "file" or loader.node.size > MAX_LOADER:
        return ()
    try:
        with paths.tree.open(loader.path) as source:
            data = source.read_at(0, source.size)
    except OSError:
        return ()
    return _folders_in(data)


@lru_cache(4)
def _folders_in(loader: bytes) -> tuple[str, ...]:
    runs = re.findall(rb"(?<=\0)(?:/(?:[A-Za-z0-9._+-]{1,100}/){1,8}\0)+", loader)
    best = max((run for run in runs if b"/lib" in run), key=len, default=b"")
    return tuple(folder.decode().rstrip("/") for folder in best.split(b"\0") if folder)


def _usual_folders(paths: Paths, target: Target) -> tuple[str, ...]:
    triplet = MULTIARCH.get(target[:2], "")
    if triplet and (_resolve(paths, f"/usr/lib/{triplet}") or _resolve(paths, f"/lib/{triplet}")):
        return (f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib", "/usr/lib")
    if target.bits == 64 and _resolve(paths, "/usr/lib64"):
        return ("/lib64", "/usr/lib64")
    return ("/lib", "/usr/lib")


def _musl_folders(paths: Paths, interpreter: str) -> Step:
    name = interpreter.rpartition("/")[2]
    machine = name.removeprefix("ld-musl-").partition(".so")[0]
    above = posixpath.dirname(posixpath.dirname(interpreter)).rstrip("/")
    configuration = f"{above}/etc/ld-musl-{machine}.path"
    if _resolve(paths, configuration) is None:
        return Step("default path", "default path", MUSL_FOLDERS)
    folders = tuple(filter(None, re.split("[:\n]", read_text(paths, configuration))))
    return Step("ld-musl path", configuration, folders[:MAX_FOLDERS])


def _cache(paths: Paths, target: Target, hwcaps: tuple[str, ...]) -> dict[str, str]:
    """The cache by name; empty where there is none or none that the loader would use."""
    found = _resolve(paths, CACHE)
    if found is None or found.node.kind != "file":
        return {}
    try:
        with paths.tree.open(found.path) as source:
            return by_name(parse_cache(Reader(source)), target.machine, target.bits, hwcaps)
    except (OSError, Damaged):
        return {}


_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))")


def expand(text: str, origin: str, rules: Rules) -> str:
    """`text` with $ORIGIN, $LIB and $PLATFORM filled in; musl knows $ORIGIN alone and leaves the rest."""
    if "$" not in text:
        return text
    values = {"ORIGIN": origin} if rules.musl else {"ORIGIN": origin, "LIB": rules.lib, "PLATFORM": rules.platform}
    return _TOKEN.sub(lambda match: values.get(match[1] or match[2], match[0]), text)


def folders_of(parts: tuple[str, ...], origin: str, rules: Rules, working_directory: str) -> tuple[str, ...]:
    """A path list as the loader takes it: tokens filled in, each folder once, relative ones from where it runs.

    An empty part is the working directory for glibc and nothing for musl.
    """
    if rules.musl:
        whole = ":".join(parts)
        # With any other token musl drops the whole list.
        if "$" in whole and re.search(r"\$(?!ORIGIN|\{ORIGIN\})", whole):
            return ()
        parts = tuple(filter(None, (part.replace("${ORIGIN}", "$ORIGIN") for part in parts)))
        expanded = [part.replace("$ORIGIN", origin) for part in parts]
    else:
        expanded = [expand(part, origin, rules) for part in parts]
    folders = [posixpath.join(working_directory, part) for part in expanded[:MAX_FOLDERS]]
    return tuple(dict.fromkeys(folder.rstrip("/") or "/" for folder in folders))


class Steps:
    """Where an object looks, in order. Compared by identity: the same lists are always the same object."""

    __slots__ = ("steps",)

    def __init__(self, steps: tuple[Step, ...]) -> None:
        self.steps = steps


class Ends(Exception):
    """The search ends at a file that the loader cannot use and does not pass over."""


class GaveUp(Exception):
    """An examination would take beyond all measure. The text says what of."""


class Allowance:
    """What one examination may spend on one kind of work."""

    __slots__ = ("_left", "_reason")

    def __init__(self, amount: int, reason: str) -> None:
        self._left = amount
        self._reason = reason

    def spend(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise GaveUp(self._reason)


class Search:
    """Finds libraries by one set of rules, each question once."""

    def __init__(self, paths: Paths, rules: Rules, header: Callable[[Found], Header], places: Allowance) -> None:
        self._paths = paths
        self._rules = rules
        self._header = header
        self._allowance = places
        self._known: dict[tuple[str, Steps], tuple[Hit | None, tuple[Place, ...]]] = {}

    def find(self, name: str, steps: Steps) -> tuple[Hit | None, tuple[Place, ...]]:
        """The file that is taken for `name`, and the places that were tried in vain before.

        `steps` are those of the object; the cache and the last folders, which all objects share, come after them. The
        places are all of them where nothing is found, and otherwise those where an unusable file lay. Raises GaveUp.
        """
        key = (name, steps)
        if key not in self._known:
            self._known[key] = self._find(name, steps.steps)
        return self._known[key]

    def open(self, path: str, kind: Kind, how: str) -> tuple[Hit | None, tuple[Place, ...]]:
        """The file at `path`, for a library that is needed by its path."""
        places: list[Place] = []
        try:
            hit = self._try(path, kind, how, places)
        except (Ends, OSError):
            hit = None
        return hit, tuple(places)

    def _find(self, name: str, steps: tuple[Step, ...]) -> tuple[Hit | None, tuple[Place, ...]]:
        places: list[Place] = []
        hit = None
        with suppress(Ends):
            hit = (
                self._in_steps(name, steps, places)
                or self._in_cache(name, places)
                or self._in_steps(name, (self._rules.last,), places)
            )
        if hit is not None:
            places = [place for place in places if place.outcome not in (ABSENT, NO_FOLDER)]
        return hit, tuple(places)

    def _in_steps(self, name: str, steps: tuple[Step, ...], places: list[Place]) -> Hit | None:
        for step in steps:
            for folder in step.folders:
                try:
                    hit = self._in_folder(folder, name, step, places)
                except OSError as error:
                    # glibc leaves the rest of this list alone and goes on with the next; musl gives up.
                    if self._rules.musl:
                        raise Ends from error
                    break
                if hit is not None:
                    return hit
        return None

    def _in_folder(self, folder: str, name: str, step: Step, places: list[Place]) -> Hit | None:
        self._allowance.spend()
        listing = self._paths.listing(folder)
        if listing is not None and name not in listing and "glibc-hwcaps" not in listing:
            outcome = ABSENT if listing or self._paths.resolve(folder) else NO_FOLDER
            places.append(Place(step.how, join(folder, name), outcome))
            return None
        for inner in self._inner(folder, listing):
            hit = self._try(join(inner, name), step.kind, step.how, places)
            if hit is not None:
                return hit
        return None

    def _inner(self, folder: str, listing: frozenset[str] | None) -> Iterator[str]:
        """The folder itself, and before it those in it that are for this processor."""
        if listing is not None and "glibc-hwcaps" in listing:
            above = join(folder, "glibc-hwcaps")
            present = self._paths.listing(above)
            for name in self._rules.hwcaps:
                if present is None or name in present:
                    yield join(above, name)
        yield folder

    def _in_cache(self, name: str, places: list[Place]) -> Hit | None:
        if self._rules.musl:
            return None
        path = self._rules.cached.get(name)
        if path is None:
            places.append(Place("ld.so.cache", CACHE, "does not list it"))
            return None
        try:
            return self._try(path, "ld.so.cache", "ld.so.cache", places)
        except OSError:
            return None

    def _try(self, path: str, kind: Kind, how: str, places: list[Place]) -> Hit | None:
        """The file at `path` if the loader can use it. Raises Ends or OSError where it does not look further."""
        try:
            found = self._paths.resolve(path)
            if found is None:
                places.append(Place(how, path, ABSENT))
                return None
            if found.node.kind == "dir":
                places.append(Place(how, path, "a folder; the loader gives up here"))
                raise Ends
            header = self._header(found)
        except Damaged as damage:
            places.append(Place(how, path, f"{damage.reason}; the loader gives up here"))
            raise Ends from damage
        except OSError as error:
            places.append(Place(how, path, error.strerror or type(error).__name__))
            if error.errno in (errno.ENOENT, errno.EACCES, errno.ENOTDIR):
                return None
            raise
        problem = self._misfit(header)
        if problem is not None:
            ends = self._rules.musl or not problem.endswith(PASSED_OVER)
            places.append(Place(how, path, problem))
            if ends:
                raise Ends
            return None
        return Hit(path, found.path, header, kind, how)

    def _misfit(self, header: Header) -> str | None:
        target = self._rules.target
        if header.bits != target.bits:
            return f"{header.bits}-bit {header.machine}, not {target.bits}-bit{PASSED_OVER}"
        if header.little_endian != target.little_endian:
            return "of the other byte order; the loader gives up here"
        if header.machine != target.machine:
            return f"for {header.machine}, not {target.machine}{PASSED_OVER}"
        if header.type not in (ET_DYN, ET_EXEC):
            return "neither a library nor a program; the loader gives up here"
        return None


ABSENT = "absent"
NO_FOLDER = "no such folder"
PASSED_OVER = ": passed over"
