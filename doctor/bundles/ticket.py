"""One ticket before it is examined: where its text is, or why it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ticket:
    """A file, or text that came out of something that holds many. Small enough to hand to another process."""

    name: str
    """As given, or with what is inside after a colon: `week.zip:4711.log`."""
    path: str = ""
    """The file or bundle to read; empty where `data` holds the text."""
    data: bytes | None = None
    problem: str = ""
    """Why it cannot be read."""
    is_bundle: bool = False
    """A folder or archive that is one ticket as a whole."""
    key: str = ""
    """Names the content too: what changes when the ticket does."""
    cut: bool = False
    """`data` is only the beginning."""
