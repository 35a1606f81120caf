"""Prose in lines of a width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from doctor.text import plain


def wrapped(text: str, width: int, indent: str = "") -> Iterator[str]:
    """The paragraphs of a text, each broken at spaces alone."""
    for paragraph in plain(text).split("\n\n"):
        words = " ".join(paragraph.split())
        yield from textwrap.wrap(
            words,
            width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
