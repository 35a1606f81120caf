"""A paste of megabytes in one piece: Textual's parser of the input takes it a character at a time (10 MB: 9 s).

Between the marks of a bracketed paste (xterm, ctlseqs, "Bracketed Paste Mode") nothing is a key, so that what stands
there is kept as it comes. What is outside goes to Textual as before; should its parser change, this one stands aside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from textual._xterm_parser import XTermParser
from textual.events import Paste
from textual.message import Message

BEGIN, END = "\x1b[200~", "\x1b[201~"


class Pastes:
    """One terminal's input: finds the pastes in it."""

    def __init__(self) -> None:
        self._inside = False
        self._pieces: list[str] = []
        """What came of the present paste."""
        self._tail = ""
        """Its last characters, which may be the begin of the end mark."""

    def split(self, data: str) -> Iterator[tuple[bool, str]]:
        """(whether it is a whole paste, text) for a piece of input, in order."""
        while data:
            if not self._inside:
                before, mark, data = data.partition(BEGIN)
                self._inside = bool(mark)
                if before:
                    yield False, before
                continue
            text, mark, data = (self._tail + data).partition(END)
            if mark:
                whole = "".join([*self._pieces, text])
                self._inside, self._pieces, self._tail = False, [], ""
                yield True, whole
            else:
                kept = max(0, len(text) - len(END) + 1)
                self._pieces.append(text[:kept])
                self._tail = text[kept:]


_feed = XTermParser.feed


def feed(self: XTermParser, data: str) -> Iterable[Message]:
    """In place of `XTermParser.feed`."""
    pastes: Pastes = self.__dict__.setdefault("_doctor_pastes", Pastes())
    if not data:
        yield from _feed(self, data)
    for is_paste, text in pastes.split(data):
        if is_paste:
            yield Paste(text.replace("\x00", ""))
        else:
            yield from _feed(self, text)


def take_pastes_whole() -> None:
    """For every terminal of this process."""
    XTermParser.feed = feed  # type: ignore[method-assign]
