"""Text of others on the screen: shown as it stands, never as markup, and cut and wrapped by terminal cells."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from textual.content import Content

from doctor.text import plain

LONGEST = 4000
"""Characters of one line that are shown; what is beyond is in the raw reading's file."""


def literal(text: str) -> Content:
    """Text for a border title, a label or a notification. Brackets stay brackets."""
    return Content(clean(text))


def clean(text: str) -> str:
    """One line made plain: no escapes, no controls, no direction changes; tabs as spaces."""
    return plain(text[:LONGEST]).replace("\t", "    ").replace("\n", " ")


def cut(text: str, width: int) -> str:
    """The text in exactly `width` cells, with an ellipsis where it is longer."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "…"


def cut_middle(text: str, width: int) -> str:
    """The text in at most `width` cells with its middle left out: paths and ids end in what tells them apart."""
    if cell_len(text) <= width or width < 5:
        return cut(text, width).rstrip() if cell_len(text) > width else text
    tail = (width - 1) // 2
    return set_cell_size(text, width - 1 - tail) + "…" + text[-tail:]


def split_cells(text: str, width: int) -> list[str]:
    """The line in pieces of at most `width` cells, broken anywhere. Never empty."""
    if text.isascii():
        return [text[at : at + width] for at in range(0, max(1, len(text)), width)]
    pieces, piece, used = [], "", 0
    for char in text:
        size = cell_len(char)
        if used + size > width:
            pieces.append(piece)
            piece, used = "", 0
        piece, used = piece + char, used + size
    return [*pieces, piece]


def wrap(text: str, width: int) -> list[str]:
    """The line in pieces of at most `width` cells, broken at spaces where there are any. Never empty."""
    width = max(width, 4)
    rows: list[str] = []
    row = ""
    for word in text.split(" "):
        wider = f"{row} {word}" if row else word
        if cell_len(wider) <= width:
            row = wider
            continue
        if row:
            rows.append(row)
        while cell_len(word) > width:
            piece = set_cell_size(word, width).rstrip() or word[:1]
            rows.append(piece)
            word = word[len(piece) :]
        row = word
    rows.append(row)
    return rows


def wrap_prose(text: str, width: int) -> list[str]:
    """Paragraphs of a knowledge entry in lines: a blank line between them, list items with a hanging indent."""
    rows: list[str] = []
    for paragraph in plain(text).strip().split("\n\n"):
        if rows:
            rows.append("")
        for item in _items(paragraph):
            indent = "  " if item.startswith(("- ", "* ")) else ""
            pieces = wrap(item, width - len(indent))
            rows += [pieces[0], *(indent + piece for piece in pieces[1:])]
    return rows


def _items(paragraph: str) -> list[str]:
    """List items each on their own, other lines joined."""
    items: list[str] = []
    for line in paragraph.split("\n"):
        words = " ".join(line.split())
        if items and not words.startswith(("- ", "* ")):
            items[-1] += f" {words}"
        else:
            items.append(words)
    return items
