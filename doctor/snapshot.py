"""A recorded machine: raw readings, not conclusions. Everything after this is a pure function of it."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import stat
import tempfile
import zlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from doctor.errors import UsageError
from doctor.input import said, whole
from doctor.output import writing
from doctor.redact import Redactor
from doctor.text import one_line

FORMAT = 1
LARGEST = 256 << 20
"""Bytes of unpacked JSON that a snapshot may have."""

State = Literal["ok", "missing", "denied", "timeout", "failed"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One thing that was read, as it was read: secrets removed, text made plain.

    `key` says what: `file:/etc/docker/daemon.json`, `names:/dev/dri`, `node:/dev/kfd`, `command:nvidia-smi -L`,
    `docker:container`, `probe:nvidia` (a probe that did not end in time).
    """

    key: str
    state: State
    text: str = ""
    """What was read: a file's text, a command's standard output, or JSON."""
    error: str = ""
    """Why there is none, or a command's standard error."""
    exit_code: int | None = None
    seconds: float = 0.0
    truncated: bool = False

    @property
    def why_not(self) -> str:
        """One line that says why nothing was read."""
        words = {"missing": "not there", "denied": "permission denied", "timeout": "no answer in time"}
        source = self.key.partition(":")[2]
        told = one_line(self.error, 160) or words.get(self.state, self.state)
        return f"{source}: {told}"


@dataclass(frozen=True, slots=True)
class Target:
    """What was asked to be examined."""

    container: str | None = None
    image: str | None = None
    logs: tuple[str, ...] = ()
    root: str = "/"


@dataclass(frozen=True, slots=True)
class Snapshot:
    taken_at: str
    tool_version: str
    target: Target
    readings: dict[str, Reading] = field(default_factory=dict)
    redactions: dict[str, int] = field(default_factory=dict)
    """How many of each kind were replaced."""
    format: int = FORMAT

    def get(self, key: str) -> Reading | None:
        return self.readings.get(key)

    def keys(self, prefix: str) -> list[str]:
        """Keys that begin so, in order."""
        return sorted(key for key in self.readings if key.startswith(prefix))


def without_identities(snapshot: Snapshot, redactor: Redactor) -> Snapshot:
    """The snapshot as it may leave the machine."""
    nodes = snapshot.get("command:kubectl get nodes")
    if nodes and nodes.state == "ok":
        # A cluster's other machines: their names are no less private than this one's.
        redactor.learn("host", [line.split()[0] for line in nodes.text.splitlines() if line.strip()])
    redactor.learn("host", _hosts_of_container(snapshot))
    readings = {}
    for reading in snapshot.readings.values():
        key = redactor.identities(reading.key)
        readings[key] = replace(
            reading, key=key, text=redactor.identities(reading.text), error=redactor.identities(reading.error)
        )
    target = replace(
        snapshot.target,
        container=redactor.identities(snapshot.target.container) if snapshot.target.container else None,
        image=redactor.identities(snapshot.target.image) if snapshot.target.image else None,
    )
    counts = dict(sorted((redactor.counts + _counter(snapshot.redactions)).items()))
    return replace(snapshot, readings=readings, target=target, redactions=counts)


def _hosts_of_container(snapshot: Snapshot) -> list[str]:
    """Hosts that the container is told of, and its own name where it is one of a network, not a word."""
    reading = snapshot.get("docker:container")
    if reading is None or reading.state != "ok":
        return []
    content = json.loads(reading.text)
    extra = content.get("HostConfig", {}).get("ExtraHosts") or ()
    names = [content.get("Config", {}).get("Hostname") or "", *(one.partition(":")[0] for one in extra)]
    return [name for name in names if "." in name]


def _counter(counts: dict[str, int]) -> Any:
    from collections import Counter

    return Counter(counts)


def dump(snapshot: Snapshot) -> bytes:
    """The snapshot as gzip-compressed JSON; equal snapshots give equal bytes."""
    text = json.dumps(asdict(snapshot), ensure_ascii=False, sort_keys=True, indent=1)
    return gzip.compress(text.encode("utf-8", "replace"), mtime=0)


def save(snapshot: Snapshot, path: Path, overwrite: bool = False) -> None:
    """Write a snapshot whole or not at all, readable by its owner alone; follows no link. Raises UsageError."""
    demand_free(path, overwrite)
    written = None
    try:
        with writing(path):
            descriptor, written = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
            with os.fdopen(descriptor, "wb") as file:
                file.write(dump(snapshot))
            demand_free(path, overwrite)
            os.replace(written, path)
    finally:
        if written is not None:
            Path(written).unlink(missing_ok=True)


def demand_free(path: Path, overwrite: bool) -> None:
    """Only a regular file may be overwritten, and only when that was asked for. Raises UsageError."""
    with writing(path):
        if not os.path.isdir(path.parent):
            raise OSError(errno.ENOENT, f"there is no folder {path.parent}")
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    try:
        there = os.lstat(path)
    except OSError:
        return  # writing will tell why
    if not stat.S_ISREG(there.st_mode):
        kind = "a link, and no link is followed" if stat.S_ISLNK(there.st_mode) else "there and is no regular file"
        raise UsageError(f"{path} is {kind}; choose another name")
    if not overwrite:
        raise UsageError(f"{path} exists; choose another name or add --force")


def load(path: str | os.PathLike[str]) -> Snapshot:
    """Read a snapshot; `-` is standard input. Raises UsageError with one line that says what is wrong with it."""
    return loads(whole(path, LARGEST, "a snapshot"), said(path))


def loads(data: bytes, name: str) -> Snapshot:
    """A snapshot from bytes. Raises UsageError."""
    if not data:
        raise UsageError(f"{name} is empty: there is no snapshot in it")
    if len(data) > LARGEST:
        raise UsageError(f"{name} has more than {LARGEST >> 20} MB; it is not a snapshot")
    if data.startswith(b"\x1f\x8b"):
        data = _unpacked(data, name)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise UsageError(f"{name} is not a gpu-doctor snapshot: it is not JSON") from None
    if not isinstance(content, dict) or "readings" not in content or "format" not in content:
        raise UsageError(f"{name} is not a gpu-doctor snapshot: it has no readings")
    if content["format"] != FORMAT:
        made_by = one_line(str(content.get("tool_version", "an unknown version")), 40)
        raise UsageError(
            f"{name} is a snapshot of format {content['format']!r} (made by gpu-doctor {made_by}); "
            f"this version reads format {FORMAT}"
        )
    try:
        return _of_json(content)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise UsageError(f"{name} is a damaged snapshot: {one_line(str(error), 120)}") from None


def _unpacked(data: bytes, name: str) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
            text = stream.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error):
        raise UsageError(f"{name} is a damaged gzip file") from None
    if len(text) > LARGEST:
        raise UsageError(f"{name} unpacks to more than {LARGEST >> 20} MB; it is not a snapshot")
    return text


def _of_json(content: dict[str, Any]) -> Snapshot:
    readings = {}
    for key, value in content["readings"].items():
        reading = Reading(**value)
        if reading.state not in get_args(State) or not isinstance(reading.text, str):
            raise ValueError(f"reading {key!r}")
        readings[str(key)] = reading
    target = Target(**{**content["target"], "logs": tuple(content["target"].get("logs", ()))})
    return Snapshot(
        taken_at=str(content["taken_at"]),
        tool_version=str(content["tool_version"]),
        target=target,
        readings=readings,
        redactions={str(k): int(v) for k, v in content.get("redactions", {}).items()},
    )
