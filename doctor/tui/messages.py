"""The protocol of the app: what its jobs tell its screens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from doctor.check import Check
    from doctor.engine import Event
    from doctor.image.record import Contents
    from doctor.knowledge import Entry
    from doctor.live import LiveEvent
    from doctor.report import Report


@dataclass
class Ready(Message):
    """The knowledge base and the checks are loaded."""

    checks: tuple[Check, ...]
    entries: int
    errors: tuple[str, ...]


@dataclass
class Examined(Message):
    """The engine of the doctor told something while it examined."""

    event: Event


@dataclass
class EngineTold(Message):
    """The container engine told something."""

    event: LiveEvent


@dataclass
class LogExplained(Message):
    """The log on screen was diagnosed."""

    report: Report | None
    error: str = ""
    version: int = 0


@dataclass
class LogRead(Message):
    """So much of a file is indexed, or of a container's log has arrived."""

    lines: int
    size: int
    of: int
    done: bool

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, LogRead)


@dataclass
class Sought(Message):
    """Lines of the log that hold the words looked for."""

    lines: tuple[int, ...]
    complete: bool


@dataclass
class EntriesFound(Message):
    """Entries for what was typed."""

    text: str
    entries: tuple[Entry, ...]
    meanings: tuple[str, ...] = ()
    """Of the error codes that no entry is about."""


@dataclass
class ImagesListed(Message):
    """The engine's images: (reference, bytes)."""

    images: tuple[tuple[str, int], ...]


@dataclass
class ImageProgress(Message):
    """So much of an image is read; `total` 0: not known."""

    what: str
    done: int
    total: int

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ImageProgress)


@dataclass
class ImageInspected(Message):
    """An image was read, or could not be."""

    contents: Contents | None
    report: Report | None
    error: str = ""
