"""Small programs and libraries, made with the compiler that is here, and the real loader to compare with.

They have no C library: what is loaded is exactly what a test asks for, and compiling one takes some hundredths of a
second. The real loader runs in a chroot, so that the cache and the configuration are those of the made-up root.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

LOADER = "/lib64/ld-linux-x86-64.so.2"
MUSL = "/lib/ld-musl-x86_64.so.1"

HERE = (
    "needs Linux on x86-64" if sys.platform != "linux" or platform.machine() != "x86_64" else "",
    "needs gcc" if shutil.which("gcc") is None else "",
)


@pytest.fixture(scope="session")
def compiler() -> str:
    for reason in HERE:
        if reason:
            pytest.skip(reason)
    return "gcc"


@pytest.fixture(scope="session")
def as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to run the real loader in a chroot")


@pytest.fixture(scope="session")
def compiled(compiler: str, tmp_path_factory: pytest.TempPathFactory) -> Compiled:
    return Compiled(compiler, tmp_path_factory.mktemp("compiled"))


class Compiled:
    """Compiles each different file once and hands out copies, since many tests want a plain library."""

    def __init__(self, compiler: str, folder: Path) -> None:
        self._compiler = compiler
        self._folder = folder
        self._known: dict[tuple[str, ...], Path] = {}
        (folder / "empty.c").write_text("void nothing(void) {}\n")
        (folder / "program.c").write_text("void _start(void) {}\n")

    def library(self, options: tuple[str, ...], source: str = "empty.c") -> Path:
        return self._made(("-shared", *options), source)

    def program(self, options: tuple[str, ...]) -> Path:
        return self._made(("-pie", *options), "program.c")

    def source(self, name: str, text: str) -> str:
        (self._folder / name).write_text(text)
        return str(self._folder / name)

    def _made(self, options: tuple[str, ...], source: str) -> Path:
        key = (*options, source)
        if key not in self._known:
            path = self._folder / f"made-{len(self._known)}"
            command = [self._compiler, "-nostdlib", "-fPIC", "-Wl,--no-as-needed", "-o", str(path)]
            # Names that are needed but not there are the point of many tests.
            command += ["-Wl,--unresolved-symbols=ignore-all", str(self._folder / source), *options]
            subprocess.run(command, check=True, capture_output=True, text=True, cwd=self._folder)
            self._known[key] = path
        return self._known[key]


@dataclass
class Root:
    """A root folder that is put together by a test."""

    folder: Path
    compiled: Compiled
    stubs: dict[str, Path] = field(default_factory=dict)

    def path(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def text(self, path: str, text: str) -> None:
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).write_text(text)

    def link(self, path: str, target: str) -> None:
        self.path(path).parent.mkdir(parents=True, exist_ok=True)
        self.path(path).symlink_to(target)

    def library(
        self,
        path: str,
        needs: Sequence[str] = (),
        *,
        soname: str | None = "",
        rpath: str = "",
        runpath: str = "",
        options: Sequence[str] = (),
        source: str = "empty.c",
    ) -> None:
        """Puts a library at `path`. Its SONAME is its file name unless one is given; None for none."""
        name = path.rpartition("/")[2] if soname == "" else soname
        flags = () if name is None else (f"-Wl,-soname,{name}",)
        made = self.compiled.library((*flags, *options, *self._flags(needs, rpath, runpath)), source)
        self._put(made, path)

    def program(
        self,
        path: str,
        needs: Sequence[str] = (),
        *,
        rpath: str = "",
        runpath: str = "",
        interpreter: str = LOADER,
        options: Sequence[str] = (),
    ) -> None:
        flags = (*self._flags(needs, rpath, runpath), f"-Wl,--dynamic-linker,{interpreter}", *options)
        self._put(self.compiled.program(flags), path)

    def _flags(self, needs: Sequence[str], rpath: str, runpath: str) -> tuple[str, ...]:
        flags = [str(self._stub(name)) for name in needs]
        if rpath:
            flags += ["-Wl,--disable-new-dtags", f"-Wl,-rpath,{rpath}"]
        if runpath:
            flags += ["-Wl,--enable-new-dtags", f"-Wl,-rpath,{runpath}"]
        return tuple(flags)

    def _stub(self, name: str) -> Path:
        """A library that exists only to be linked against, so that its SONAME becomes a NEEDED."""
        if name not in self.stubs:
            self.stubs[name] = self.compiled.library((f"-Wl,-soname,{name}",))
        return self.stubs[name]

    def _put(self, made: Path, path: str) -> None:
        place = self.path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(made, place)
        place.chmod(0o755)

    def glibc(self) -> None:
        """The loader of this machine, at its usual place."""
        self.path(LOADER).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(LOADER, self.path(LOADER))

    def ldconfig(self, *options: str) -> None:
        self.path("/etc").mkdir(exist_ok=True)
        command = ["ldconfig", "-r", str(self.folder), *options]
        if shutil.which("ldconfig", path="/sbin:/usr/sbin:/usr/bin:/bin") is None:
            pytest.skip("needs ldconfig")
        path = {"PATH": "/sbin:/usr/sbin:/usr/bin:/bin"}
        subprocess.run(command, check=True, capture_output=True, text=True, env=path)

    def run(self, command: Sequence[str], environment: dict[str, str]) -> str:
        """What a command prints when it runs in the root."""

        def enter() -> None:
            os.chroot(self.folder)
            os.chdir("/")

        done = subprocess.run(
            list(command),
            env=environment,
            preexec_fn=enter,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=20,
        )
        return done.stdout

    def traced(self, program: str, environment: dict[str, str]) -> str:
        """What the real loader says it would load."""
        # Without /proc in the root the loader cannot ask the kernel where the program lies.
        told = {"LD_TRACE_LOADED_OBJECTS": "1", "LD_WARN": "yes", "LD_ORIGIN_PATH": program.rpartition("/")[0]}
        return self.run([program], {**environment, **told})


def loaded(trace: str) -> list[tuple[str, str | None]]:
    """The libraries of a trace with the file each comes from, in loading order, each once.

    A library that was found in the working directory, which is the root here, is traced by its name alone.
    """
    found: dict[tuple[str, str | None], None] = {}
    for line in trace.splitlines():
        match = re.match(r"\t(\S+) => (?:not found|(\S+) \(0x[0-9a-f]+\))$", line)
        direct = re.match(r"\t(\S+) \(0x[0-9a-f]+\)$", line)
        if match:
            found[match[1], match[2]] = None
        elif direct and direct[1] not in (LOADER, MUSL, "linux-vdso.so.1"):
            found[direct[1], direct[1] if direct[1].startswith("/") else f"/{direct[1]}"] = None
    return list(found)


@pytest.fixture
def root(tmp_path: Path, compiled: Compiled) -> Root:
    made = Root(tmp_path / "root", compiled)
    made.glibc()
    return made


@pytest.fixture
def musl_root(tmp_path: Path, compiled: Compiled) -> Root:
    if not Path(MUSL).exists():
        pytest.skip("needs musl (Debian package musl)")
    made = Root(tmp_path / "root", compiled)
    made.path(MUSL).parent.mkdir(parents=True)
    shutil.copy(MUSL, made.path(MUSL))
    return made


Build = Callable[[Root], dict[str, str]]
