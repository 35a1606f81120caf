"""Pieces of output by group, kept on disk until their turn: what is grouped needs no more memory than what is not."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from types import TracebackType


class Spool:
    """Texts that are put in one order and taken out in another."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the with statement of whoever makes it
        self._places: dict[tuple[int, str], array[int]] = {}

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def add(self, group: tuple[int, str], text: str) -> None:
        data = text.encode("utf-8", "replace")
        places = self._places.setdefault(group, array("Q"))
        places.append(self._file.tell())
        places.append(len(data))
        self._file.write(data)

    def groups(self) -> list[tuple[int, str]]:
        """The groups: by their number, the largest first, then by name."""
        return sorted(self._places, key=lambda group: (group[0], -len(self._places[group]), group[1]))

    def count(self, group: tuple[int, str]) -> int:
        return len(self._places[group]) // 2

    def texts(self, group: tuple[int, str]) -> Iterator[str]:
        """The texts of a group, in the order in which they were put."""
        places = self._places[group]
        for number in range(0, len(places), 2):
            self._file.seek(places[number])
            yield self._file.read(places[number + 1]).decode("utf-8", "replace")
