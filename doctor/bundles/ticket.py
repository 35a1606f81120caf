"""One ticket before it is examined: where its text is, or why it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Leaf:
    """One text that came out of something that holds many."""

    name: str
    data: bytes
    cut: bool = False
    """`data` is only the beginning of it."""
    problem: str = ""
    """Why there is no text."""
    is_bundle: bool = False
    """`data` is an archive that is one ticket as a whole."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What becomes one report. Small enough to hand to another process."""

    name: str
    """As given, or with what is inside after a colon: `week.zip:4711.log`."""
    path: str = ""
    """The file or bundle to read; empty where `leaf` holds the text."""
    leaf: Leaf | None = None
    is_bundle: bool = False
    """A folder or archive that is one ticket as a whole."""
    size: int = 0
    """Bytes on disk, or of the text."""

    @property
    def problem(self) -> str:
        """Why it cannot be read; empty where it can."""
        return self.leaf.problem if self.leaf else ""
