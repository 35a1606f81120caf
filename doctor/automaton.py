"""The automaton that finds candidate lines: what it looks for, and how it is built once and kept.

A pattern is found by a literal that each of its matches contains. Where that literal is a word that healthy logs
are full of, the automaton looks for the pattern itself: dearer to build, and silent where nothing matches.
Extracting literals and building takes longer than reading a small log, so both are kept in the user's cache folder.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from doctor.cache import cached, cached_at, keep
from doctor.literals import COMMON, is_weak, required
from doctor.version import __version__

FORM = 3
"""Of the cache's files, and of how triggers are chosen."""
REACH = 400
"""Bytes before the end of a match within which a pattern's own text is thought to lie."""

ANCHOR = re.compile(r"(\\.|\[\^?\]?[^\]\\]*(?:\\.[^\]\\]*)*\])|[\^$]")
"""An escape or a class of characters, or else an anchor."""
NUMBERS = re.compile(r"\(\?:\d{1,4}(?:\|\d{1,4})*\)")


class Trigger(NamedTuple):
    """Something the automaton looks for, and the patterns that are tried where it is found.

    A named tuple, since thousands are made where the cache does not have them.
    """

    text: bytes
    is_literal: bool
    caseless: bool
    patterns: tuple[str, ...]

    @property
    def expression(self) -> bytes:
        return quoted(self.text) if self.is_literal else self.text

    @property
    def reach(self) -> int:
        """How far before the end of its match it may begin, in bytes."""
        return len(self.text) if self.is_literal else REACH


def quoted(literal: bytes) -> bytes:
    """A literal as a Hyperscan expression."""
    return b"".join(b"\\x%02x" % byte for byte in literal)


def itself(pattern: str) -> Trigger:
    """The trigger that looks for the whole pattern.

    Without its anchors: they mean a line that has lost its prefix, and Hyperscan sees it as it was written. With any
    number for one of a list: the entries' patterns for their error codes are then one expression.
    """
    text = NUMBERS.sub(r"\\d{1,4}", ANCHOR.sub(lambda found: found.group(1) or "", pattern))
    return Trigger(text.encode(), False, False, (pattern,))


def triggers(patterns: Iterable[str]) -> list[Trigger]:
    """What to look for, for all of these patterns."""
    found: dict[tuple[bytes, bool, bool], list[str]] = {}
    for pattern in patterns:
        literals, caseless = required(pattern)
        if any(map(is_weak, literals)):
            found.setdefault((itself(pattern).text, False, False), []).append(pattern)
            continue
        for text in sorted(literals):
            found.setdefault((text.encode(), True, caseless), []).append(pattern)
    return [Trigger(*key, tuple(patterns)) for key, patterns in found.items()]


def automaton(sought: Sequence[Trigger], marks: Sequence[bytes]) -> Any:
    """A Hyperscan database of triggers, numbered from 0, and after them of marks, which are told once each.

    Raises hyperscan.error where a trigger is beyond Hyperscan.
    """
    import hyperscan

    expressions = [*(one.expression for one in sought), *map(quoted, marks)]
    flags = [hyperscan.HS_FLAG_CASELESS if one.caseless else 0 for one in sought]
    flags += [hyperscan.HS_FLAG_SINGLEMATCH] * len(marks)
    database = hyperscan.Database()
    ids = list(range(len(flags)))
    _aside(lambda: database.compile(expressions=expressions, ids=ids, elements=len(flags), flags=flags))
    return database


def _aside(call: Callable[[], None]) -> None:
    """In another thread: Hyperscan compiles for seconds and lets others run, so that Ctrl-C is heard here meanwhile."""
    import threading
    from concurrent.futures import Future

    done: Future[None] = Future()

    def run() -> None:
        try:
            call()
            done.set_result(None)
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    done.result()


def whole(patterns: Iterable[str], marks: tuple[bytes, ...]) -> tuple[list[Trigger] | _Kept, Any]:
    """The triggers of all patterns and their automaton: out of the cache, else built and kept there."""
    ordered = sorted(patterns)
    # The database itself says for which version of Hyperscan and which processor it was made.
    made_of = (__version__, platform.machine(), sorted(COMMON), ANCHOR.pattern, NUMBERS.pattern, ordered, marks, FORM)
    at = cached_at("automaton", repr(made_of).encode())
    if kept := _read(cached(at), ordered):
        return kept
    found = triggers(ordered)
    database = automaton(found, marks)
    keep(at, _written(ordered, found, database))
    return found, database


class _Kept:
    """The triggers of the cache, each made when it is asked for: a small log meets few of the thousands."""

    def __init__(self, rows: list[tuple[str, bool, bool, list[int]]], patterns: list[str]) -> None:
        self._rows = rows
        self._patterns = patterns

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, at: int) -> Trigger:
        text, is_literal, caseless, of = self._rows[at]
        return Trigger(text.encode(), is_literal, caseless, tuple(self._patterns[n] for n in of))

    def __iter__(self) -> Iterator[Trigger]:
        return map(self.__getitem__, range(len(self)))


def _read(content: bytes | None, patterns: list[str]) -> tuple[_Kept, Any] | None:
    """What was kept, its patterns by number; None where Hyperscan does not take it."""
    import hyperscan

    if content is None:
        return None
    head, _, database = content.partition(b"\n")
    try:
        loaded = hyperscan.loadb(database, hyperscan.HS_MODE_BLOCK)
        loaded.scratch = hyperscan.Scratch(loaded)
        return _Kept(json.loads(head), patterns), loaded
    except (ValueError, TypeError, IndexError, hyperscan.error):
        return None


def _written(patterns: list[str], found: list[Trigger], database: Any) -> bytes:
    import hyperscan

    number = {pattern: n for n, pattern in enumerate(patterns)}
    head = json.dumps(
        [(one.text.decode(), one.is_literal, one.caseless, [number[p] for p in one.patterns]) for one in found]
    )
    dumped: bytes = hyperscan.dumpb(database)
    return head.encode() + b"\n" + dumped
