"""The three ways to look at a system: files under a root, commands of a list, and the engine's API.

Nothing else in the program touches the system. Every reading is bounded in time and size, made plain and freed of
secrets before it exists.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from doctor.redact import Redactor
from doctor.snapshot import Reading, State
from doctor.text import plain
from doctor.tree import DirectoryTree, Paths

FILE_LIMIT = 1 << 20
OUTPUT_LIMIT = 2 << 20
NAMES_LIMIT = 4096
COMMAND_SECONDS = 5.0
GRACE_SECONDS = 0.5

# What a command of ours may see of the environment: enough to find itself and the user's engine, no secrets.
ENVIRONMENT = ("PATH", "HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "LD_LIBRARY_PATH",
               "DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST", "KUBECONFIG")  # fmt: skip
# Where system tools lie that a plain user's PATH often lacks (modinfo, dmesg).
SYSTEM_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


class System:
    """A system seen through its files below `root` and, where that is the live one, its commands."""

    def __init__(self, root: str = "/", patience: float = 1.0, redactor: Redactor | None = None) -> None:
        self.root = Path(root)
        self.live = root == "/"
        """Commands and the engine's API speak of the machine they run on: only of the live root."""
        self.patience = patience
        """Factor on every time limit."""
        self.redactor = redactor or Redactor()
        self._own = threading.local()

    def reading(
        self,
        key: str,
        state: State,
        text: str = "",
        error: str = "",
        *,
        exit_code: int | None = None,
        seconds: float = 0.0,
        truncated: bool = False,
    ) -> Reading:
        """The one door through which text enters a snapshot."""
        clean = self.redactor.secrets
        return Reading(
            key=plain(key),
            state=state,
            text=clean(plain(text)),
            error=clean(plain(error))[:4000],
            exit_code=exit_code,
            seconds=round(seconds, 3),
            truncated=truncated,
        )

    def below(self, path: str) -> Path:
        """The place of a path: links lead where the system under `root` would be led, never out of it.

        Raises OSError: FileNotFoundError for what is not there, whatever kept us from looking otherwise.
        """
        if self.live:
            return Path(path)
        found = self._paths().resolve(path)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return self.root / found.path.lstrip("/")

    def _entry(self, path: str) -> Path:
        """The place of what stands at a path itself: a link as the last part is not followed."""
        folder, _, name = path.rpartition("/")
        return self.below(folder or "/") / name

    def _paths(self) -> Paths:
        """Probes run side by side, and a tree serves one thread."""
        if not hasattr(self._own, "paths"):
            self._own.paths = Paths(DirectoryTree(self.root))
        paths: Paths = self._own.paths
        return paths

    def file(self, path: str, limit: int = FILE_LIMIT) -> Reading:
        """A regular file's text, up to `limit` bytes."""
        key = f"file:{path}"
        try:
            descriptor = os.open(self.below(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return self._no(key, error)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return self.reading(key, "failed", error="not a regular file")
            with os.fdopen(descriptor, "rb", closefd=False) as stream:
                data = stream.read(limit + 1)
        except OSError as error:
            return self._no(key, error)
        finally:
            os.close(descriptor)
        return self.reading(key, "ok", data[:limit].decode("utf-8", "replace"), truncated=len(data) > limit)

    def lines(self, path: str, keep: str) -> Reading:
        """Those lines of a text file in which the regular expression is found."""
        whole = self.file(path)
        return replace(whole, text=kept(whole.text, keep))

    def data(self, path: str, limit: int = 64) -> Reading:
        """The first bytes of a file that is no text, in hexadecimal."""
        key = f"data:{path}"
        try:
            descriptor = os.open(self.below(path), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            return self._no(key, error)
        try:
            return self.reading(key, "ok", os.read(descriptor, limit).hex())
        except OSError as error:
            return self._no(key, error)
        finally:
            os.close(descriptor)

    def names(self, path: str, like: str = "") -> Reading:
        """The names in a folder, sorted, one a line; with `like`, those that the regular expression begins."""
        key = f"names:{path}" + (f" like {like}" if like else "")
        wanted = re.compile(like).match
        try:
            with os.scandir(self.below(path)) as entries:
                matching = (entry.name for entry in entries if wanted(entry.name))
                names = [name for _, name in zip(range(NAMES_LIMIT + 1), matching, strict=False)]
        except OSError as error:
            return self._no(key, error)
        return self.reading(key, "ok", "\n".join(sorted(names[:NAMES_LIMIT])), truncated=len(names) > NAMES_LIMIT)

    def node(self, path: str) -> Reading:
        """What stands at a path, as JSON: kind, mode, uid, gid, major, minor, link, size. Nothing is opened."""
        key = f"node:{path}"
        try:
            place = self._entry(path)
            found = os.lstat(place)
            link = os.readlink(place) if stat.S_ISLNK(found.st_mode) else None
        except OSError as error:
            return self._no(key, error)
        content: dict[str, Any] = {
            "kind": _kind(found.st_mode),
            "mode": stat.S_IMODE(found.st_mode),
            "uid": found.st_uid,
            "gid": found.st_gid,
            "size": found.st_size,
        }
        if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
            content |= {"major": os.major(found.st_rdev), "minor": os.minor(found.st_rdev)}
        if link is not None:
            content["link"] = link
        return self.reading(key, "ok", json.dumps(content, sort_keys=True))

    def space(self, path: str) -> Reading:
        """Room in the file system that holds a path, as JSON: bytes and inodes, in all and free for users."""
        key = f"space:{path}"
        try:
            found = os.statvfs(self.below(path))
        except OSError as error:
            return self._no(key, error)
        content = {
            "size": found.f_blocks * found.f_frsize,
            "free": found.f_bavail * found.f_frsize,
            "inodes": found.f_files,
            "free_inodes": found.f_favail,
        }
        return self.reading(key, "ok", json.dumps(content, sort_keys=True))

    def command(self, *argv: str, seconds: float = COMMAND_SECONDS, keep: str = "") -> Reading:
        """Run a command that only reads, without a shell, in its own process group.

        At its time limit the group is killed; what cannot be killed (a process in an uninterruptible wait) is left
        behind and said so: that is evidence in itself. With `keep`, only lines in which the regular expression is
        found are recorded: the rest is nobody's business.
        """
        key = f"command:{' '.join(argv)}"
        if not self.live:
            return self.reading(key, "missing", error="commands are not run for another root")
        program = shutil.which(argv[0], path=f"{os.environ.get('PATH', '')}:{SYSTEM_PATH}")
        if program is None:
            return self.reading(key, "missing", error=f"{argv[0]} is not installed (not in PATH)")
        return self._run(key, [program, *argv[1:]], seconds * self.patience, keep)

    def child(self, module: str, seconds: float = COMMAND_SECONDS) -> Reading:
        """Run a module of ours in a process of its own: what it loads may crash, or hang in the kernel."""
        key = f"child:{module}"
        if not self.live:
            return self.reading(key, "missing", error="libraries are not loaded for another root")
        if not sys.executable:
            return self.reading(key, "failed", error="the Python interpreter's own path is not known")
        path = os.pathsep.join(filter(None, sys.path))
        return self._run(key, [sys.executable, "-B", "-m", module], seconds * self.patience, "", PYTHONPATH=path)

    def _run(self, key: str, argv: Sequence[str], limit: float, keep: str, **more: str) -> Reading:
        start = time.monotonic()
        environment = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
        try:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**environment, "LC_ALL": "C", "LANG": "C", **more},
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            return self._no(key, error)
        out, err = _Drain(process.stdout), _Drain(process.stderr)
        state: State = "ok"
        note = ""
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            state, note = "timeout", _kill(process, limit)
        for drain in (out, err):
            drain.join(GRACE_SECONDS)
        code = process.returncode
        if state == "ok" and code != 0:
            state = "failed"
        told = f"{note}\n{err.text()}".strip()
        return self.reading(
            key,
            state,
            kept(out.text(), keep),
            told or ("" if state == "ok" else f"exit code {code}"),
            exit_code=code,
            seconds=time.monotonic() - start,
            truncated=out.full or err.full,
        )

    def _no(self, key: str, error: OSError) -> Reading:
        state: State = "failed"
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            state = "missing"
        elif isinstance(error, PermissionError):
            state = "denied"
        return self.reading(key, state, error=error.strerror or str(error))


def kept(text: str, keep: str) -> str:
    """The lines in which the regular expression is found; all where there is none."""
    if not keep:
        return text
    wanted = re.compile(keep).search
    return "\n".join(line for line in text.splitlines() if wanted(line))


class _Drain(threading.Thread):
    """Reads a child's output up to the limit, then on without keeping it, so that the child is not blocked."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self._data = bytearray()
        self.full = False
        self.start()

    def run(self) -> None:
        if self._stream is None:
            return
        try:
            while piece := self._stream.read1(65536):  # type: ignore[attr-defined]
                room = OUTPUT_LIMIT - len(self._data)
                self._data += piece[:room]
                self.full = self.full or len(piece) > room
        except (OSError, ValueError):
            self.full = True

    def text(self) -> str:
        return bytes(self._data).decode("utf-8", "replace")


def _kill(process: subprocess.Popen[bytes], limit: float) -> str:
    """Kill the group; say what became of it."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        process.wait(GRACE_SECONDS)
        return f"no answer within {limit:g} s; killed"
    except subprocess.TimeoutExpired:
        left = f"process {process.pid} (state {_state(process.pid)})"
        return f"no answer within {limit:g} s; still there after SIGKILL as {left}"


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "unknown"


def _kind(mode: int) -> str:
    for test, kind in (
        (stat.S_ISREG, "file"),
        (stat.S_ISDIR, "folder"),
        (stat.S_ISLNK, "link"),
        (stat.S_ISCHR, "character device"),
        (stat.S_ISBLK, "block device"),
        (stat.S_ISSOCK, "socket"),
    ):
        if test(mode):
            return kind
    return "other"
