"""A sign, a word and a style for each state, so that colour is never needed; and the ASCII form of all of them."""

from __future__ import annotations

import locale
import os
from typing import NamedTuple

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter


class Sign(NamedTuple):
    mark: str
    word: str
    style: str
    """Name of a style of `Rows`."""

    @property
    def text(self) -> str:
        """Mark and word in six cells."""
        return f"{self.mark} {self.word:<4}"


SIGNS = {
    "error": Sign("✗", "FAIL", "error"),
    "warning": Sign("!", "WARN", "warning"),
    "note": Sign("i", "note", "note"),
    "passed": Sign("✓", "pass", "success"),
    "skipped": Sign("–", "skip", "muted"),
    "running": Sign("…", "run", ""),
    "waiting": Sign("…", "wait", "muted"),
    "crashed": Sign("#", "BUG", "error"),
    "unsure": Sign("?", "?", "warning"),
    "none": Sign("–", "none", "muted"),
}

ASCII = str.maketrans(
    {
        "✗": "x", "✓": "+", "–": "-", "—": "-", "…": ".", "◆": "*", "┃": "|", "┆": ":", "▐": "[", "▌": "]", "▶": ">",
        "▼": "v", "❯": ">", "·": "-", "•": "*", "×": "x", "≠": "!", "→": ">", "←": "<", "↑": "^", "↓": "v", "›": ">",
        "’": "'", "‘": "'", "“": '"', "”": '"', "≥": ">", "≤": "<", "─": "-", "━": "=", "│": "|", "╭": "+", "╮": "+",
        "╰": "+", "╯": "+", "┌": "+", "┐": "+", "└": "+", "┘": "+", "├": "+", "┤": "+", "┏": "+", "┓": "+", "┗": "+",
        "┛": "+", "█": "#", "▏": "|", "▕": "|", "▁": "_", "▔": "-", "▎": "|", "▊": "|", "▍": "|", "⎯": "-",
        "▇": "#", "▆": "#", "▅": "#", "▄": "#", "▃": "_", "▂": "_", "▉": "#", "▋": "|", "▖": ".", "╸": "=",
    }
)  # fmt: skip


class AsciiFilter(LineFilter):
    """Everything that is drawn, in ASCII: the last step before the terminal, so that no widget can forget it."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.control or segment.text.isascii() else Segment(in_ascii(segment.text), segment.style)
            for segment in segments
        ]


def in_ascii(text: str) -> str:
    """The text in ASCII, as wide in cells as before."""
    from rich.cells import cell_len

    text = text.translate(ASCII)
    return text if text.isascii() else "".join(c if c.isascii() else "?" * cell_len(c) for c in text)


def wants_ascii() -> bool:
    """Whether the terminal shows ASCII alone: it was asked for, or the locale is not UTF-8."""
    if asked := os.environ.get("GPU_DOCTOR_ASCII"):
        return asked != "0"
    return "utf" not in locale.getpreferredencoding(False).lower()
