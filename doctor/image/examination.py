"""What one look at an image may spend, how far it is, and what it had to leave out."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from doctor.text import one_line

# Reasons that are kept word for word; more of them are counted.
REASONS = 200


class Cancelled(Exception):
    """Somebody asked to stop."""


class LimitReached(Exception):
    """An image is larger, deeper or denser than an examination may follow. The text says in what way."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one examination. The largest public images have 60 GB, some 600,000 entries and 127 layers."""

    members: int = 1_500_000
    """Entries of all layers together."""
    layers: int = 512
    unpacked: int = 128 << 30
    """Bytes that compressed layers may inflate to, every pass counted."""
    ratio: int = 400
    """Bytes out for each byte in, judged after the first `ratio_from` bytes."""
    ratio_from: int = 1 << 30
    depth: int = 128
    """Folders below one another."""
    kept: int = 256 << 20
    """Bytes of small files whose text is kept."""
    whole: int = 768 << 20
    """Bytes of a file that is read whole where its layer cannot be read at any place: the largest of CUDA and ROCm have
    650 MB, and each larger one costs the stream another time."""
    document: int = 16 << 20
    """Bytes of a manifest, an index or a configuration."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is being read: `done` and `total` in bytes, `total` 0 where it is not known."""

    what: str
    done: int
    total: int


class Examination:
    """One look at one image: its limits, its progress, its end on demand, and what was not examined."""

    def __init__(
        self,
        limits: Limits | None = None,
        tell: Callable[[Progress], None] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._tell = tell
        self._stop = stop
        self._members = 0
        self._unpacked = 0
        self._kept = 0
        self._reasons: dict[str, int] = {}
        self._first: dict[str, str] = {}
        self._beyond = 0

    def progress(self, what: str, done: int, total: int = 0) -> None:
        """Tells how far it is. Raises Cancelled when it was asked to stop."""
        if self._stop is not None and self._stop.is_set():
            raise Cancelled
        if self._tell is not None:
            self._tell(Progress(what, done, total))

    def member(self) -> None:
        """Counts an entry. Raises LimitReached beyond the limit."""
        self._members += 1
        if self._members > self.limits.members:
            raise LimitReached(f"more than {self.limits.members} files and folders; the rest was not looked at")

    def unpack(self, size: int) -> None:
        """Counts bytes that came out of a decompressor. Raises LimitReached beyond the limit."""
        self._unpacked += size
        if self._unpacked > self.limits.unpacked:
            raise LimitReached(f"more than {self.limits.unpacked >> 30} GB came out of compressed layers")

    def keep(self, size: int) -> bool:
        """Whether another file of that size may be kept."""
        if self._kept + size > self.limits.kept:
            return False
        self._kept += size
        return True

    def leave_out(self, what: str, reason: str) -> None:
        """Notes that something was not examined. Equal reasons are counted together with the first thing named."""
        key = one_line(reason, 200)
        if key in self._reasons:
            self._reasons[key] += 1
            return
        if len(self._reasons) >= REASONS:
            self._beyond += 1
            return
        self._reasons[key] = 1
        self._first[key] = one_line(what, 200)

    def not_examined(self) -> tuple[str, ...]:
        """What was left out and why, a line a reason."""
        rows = [
            f"{self._first[reason]}: {reason}" + (f" (and {count - 1} more)" if count > 1 else "")
            for reason, count in self._reasons.items()
        ]
        return (*rows, f"{self._beyond} more that are not listed") if self._beyond else tuple(rows)
