"""The language in which machines are written down: files below a root, device nodes, answers of commands and engines.

A machine is recorded by the real probes over a real folder. What a test cannot make is stood in for, and only that:
device nodes (making them needs root), commands, the engine's API, and who runs the program.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doctor.probes import discover
from doctor.probes.system import System, kept
from doctor.redact import Redactor
from doctor.snapshot import Reading, Snapshot, State, Target

WHEN = "2026-11-24T12:00:00Z"


@dataclass
class Reply:
    """What a command answers."""

    text: str = ""
    error: str = ""
    state: State = "ok"
    code: int | None = 0


@dataclass
class Machine:
    files: dict[str, str | bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    """Paths that this user may not read."""
    commands: dict[str, Reply] = field(default_factory=dict)
    """By the words of the command, as far as they need to be told apart."""
    spaces: dict[str, dict[str, int]] = field(default_factory=dict)
    refused: dict[str, tuple[State, str]] = field(default_factory=dict)
    """Readings that failed: state and error."""
    readings: dict[str, str] = field(default_factory=dict)
    """Answers of the engine's API, and others that no probe makes below another root."""
    uid: int = 0
    groups: tuple[int, ...] = (0,)
    listed: tuple[int, ...] = (0,)
    environment: dict[str, str] = field(default_factory=dict)
    container: str | None = None

    def file(self, path: str, text: str | bytes = "") -> None:
        self.files[path] = text

    def names(self, folder: str, names: Iterable[str]) -> None:
        """Files of which only the names count."""
        self.folders.add(folder)
        for name in names:
            self.files[f"{folder}/{name}"] = ""

    def drop(self, prefix: str) -> None:
        """Take a file, or everything below a folder, away."""
        for table in (self.files, self.nodes):
            for path in [one for one in table if one == prefix or one.startswith(prefix + "/")]:
                del table[path]
        self.folders = {one for one in self.folders if one != prefix and not one.startswith(prefix + "/")}

    def node(self, path: str, mode: int = 0o666, gid: int = 0, major: int = 195, minor: int = 0) -> None:
        self.nodes[path] = {
            "kind": "character device", "mode": mode, "uid": 0, "gid": gid, "size": 0, "major": major, "minor": minor,
        }  # fmt: skip

    def edit(self, path: str, old: str, new: str) -> None:
        text = self.files[path]
        assert isinstance(text, str)
        assert old in text, (path, old)
        self.files[path] = text.replace(old, new)

    def answer(self, key: str, **changes: Any) -> None:
        """Change fields of an engine's answer."""
        self.readings[key] = json.dumps({**json.loads(self.readings[key]), **changes}, sort_keys=True)

    def lay_out(self, root: Path) -> None:
        for folder in self.folders:
            (root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        for path, text in self.files.items():
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text if isinstance(text, bytes) else text.encode())
        for path in self.nodes:
            place = root / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()

    def record(self, root: Path) -> Snapshot:
        """The snapshot that the real probes make of it."""
        self.lay_out(root)
        stage = Stage(self, root)
        target = Target(container=self.container)
        readings = [reading for probe in discover() for reading in probe.run(stage, target)]
        host = {
            "system": "Linux",
            "machine": self.files["/proc/sys/kernel/arch"],
            "kernel": self.files["/proc/sys/kernel/osrelease"],
            "uid": self.uid,
            "groups": list(self.groups),
            "listed": list(self.listed),
            "environment": self.environment,
        }
        readings.append(stage.reading("host:system", "ok", json.dumps(host, sort_keys=True)))
        readings += [stage.reading(key, "ok", text) for key, text in self.readings.items()]
        readings += [stage.reading(key, state, error=error) for key, (state, error) in self.refused.items()]
        return Snapshot(WHEN, "0.1.0", target, {reading.key: reading for reading in readings})


class Stage(System):
    """The folder as a system: device nodes, refusals and commands are the machine's."""

    def __init__(self, machine: Machine, root: Path) -> None:
        super().__init__(str(root), redactor=Redactor())
        self.machine = machine

    def file(self, path: str, limit: int = 1 << 20) -> Reading:
        return self._refused(f"file:{path}", path) or super().file(path, limit)

    def names(self, path: str, like: str = "") -> Reading:
        return self._refused(f"names:{path}", path) or super().names(path, like)

    def _refused(self, key: str, path: str) -> Reading | None:
        return self.reading(key, "denied", error="Permission denied") if path in self.machine.denied else None

    def node(self, path: str) -> Reading:
        if path in self.machine.nodes:
            return self.reading(f"node:{path}", "ok", json.dumps(self.machine.nodes[path], sort_keys=True))
        return super().node(path)

    def space(self, path: str) -> Reading:
        return self.reading(f"space:{path}", "ok", json.dumps(self.machine.spaces[path], sort_keys=True))

    def command(self, *argv: str, seconds: float = 5.0, keep: str = "") -> Reading:
        words = " ".join(argv)
        reply = next((one for start, one in self.machine.commands.items() if words.startswith(start)), None)
        if reply is None:
            return self.reading(f"command:{words}", "missing", error=f"{argv[0]} is not installed (not in PATH)")
        text = kept(reply.text, keep)
        return self.reading(f"command:{words}", reply.state, text, reply.error, exit_code=reply.code)

    def child(self, module: str, seconds: float = 5.0) -> Reading:
        reply = self.machine.commands.get(f"child {module}", Reply("", "no such module", "failed", 1))
        return self.reading(f"child:{module}", reply.state, reply.text, reply.error, exit_code=reply.code)


@dataclass(frozen=True)
class Case:
    """A machine and what must be found on it, check by check."""

    name: str
    make: Callable[[], Machine]
    found: dict[str, str]
    """Check to the fault that it finds; every other check finds nothing."""
    near: dict[str, str]
    """Checks that pass although the machine comes near their fault, and how near."""
    cause: str | None
    """The first diagnosis; None: there is none."""


CASES: dict[str, Case] = {}


def machine(
    found: dict[str, str] | None = None, near: dict[str, str] | None = None, cause: str | None = None
) -> Callable[[Callable[[], Machine]], Callable[[], Machine]]:
    """Declare a machine, named by its function; without `found` it is healthy."""

    def declare(make: Callable[[], Machine]) -> Callable[[], Machine]:
        name = make.__name__.replace("_", "-")
        assert name not in CASES, name
        faults = found or {}
        first = cause or next(iter(faults.values()), None)
        CASES[name] = Case(name, make, faults, near or {}, first)
        return make

    return declare
