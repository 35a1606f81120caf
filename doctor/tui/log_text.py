"""The lines of a log of any size, in memory or in a file: what is kept is one number for each 64 KB of it."""

from __future__ import annotations

import io
import os
import re
import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from doctor.errors import UsageError
from doctor.text import decode
from doctor.tui.literal import LONGEST

BLOCK = 64 << 10
CACHED = 16
"""Blocks whose line ends are remembered."""
DECODED = 64 << 20
"""Bytes of a UTF-16 or UTF-32 file that are turned into UTF-8 in memory."""
FOLLOWED = 16 << 20
"""Bytes of a growing log that are kept; the older half goes when there are more."""
SOUGHT = 2000
SEQUENCE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\r(?=\n)")
"""What is not shown, in most logs that have such: colours, and the end of a Windows line."""
WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


class LogText:
    """A log as numbered lines. Reading a line costs the same wherever it stands."""

    def __init__(self, name: str, data: bytes = b"", descriptor: int = -1) -> None:
        self.name = name
        self._data = bytearray(data)
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size if descriptor >= 0 else len(data)
        self.indexed = 0
        """Bytes whose lines are counted."""
        self._counts = [0]
        """Line ends before each block."""
        self._ends: OrderedDict[int, list[int]] = OrderedDict()
        self._lock = threading.RLock()
        """A followed log grows in a thread while its lines are drawn."""
        self._widths, self._measured = array("L", [0]), 0
        """Cells of the lines that were measured, the last one unfinished; and bytes of all these."""

    @classmethod
    def of_text(cls, text: str, name: str) -> LogText:
        made = cls(name, text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace"))
        made.index()
        return made

    @classmethod
    def of_file(cls, path: Path) -> LogText:
        """Raises UsageError when the file cannot be read. Its lines are not counted yet."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None
        try:
            head = os.pread(descriptor, 4, 0)
        except OSError as error:
            os.close(descriptor)
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None
        if head.startswith(WIDE_MARKS):
            with os.fdopen(descriptor, "rb") as file:
                return cls.of_text(decode(file.read(DECODED)), path.name)
        return cls(path.name, descriptor=descriptor)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __len__(self) -> int:
        """Lines counted so far; an unfinished last line is one too."""
        with self._lock:
            return self._counts[-1] + (self.indexed > 0 and self.read(self.indexed - 1, 1) != b"\n")

    def read(self, offset: int, size: int) -> bytes:
        if self._descriptor < 0:
            return bytes(self._data[offset : offset + size])
        try:
            return os.pread(self._descriptor, size, offset)
        except OSError:
            return b""

    def index(self, stop: threading.Event | None = None, told: Callable[[int], None] | None = None) -> None:
        """Count the lines that are not counted yet; tells the bytes done."""
        while self.indexed < self.size and not (stop and stop.is_set()):
            at = self.indexed - self.indexed % BLOCK
            data = self.read(at, BLOCK)
            ends = data.count(b"\n")
            if at + len(data) <= self.indexed:
                break
            with self._lock:  # for the least time: the screen waits for it
                if at != self.indexed:  # the last block has grown: count it again
                    self._counts.pop()
                    self._ends.pop(at // BLOCK, None)
                self._counts.append(self._counts[at // BLOCK] + ends)
                self.indexed = at + len(data)
            if told:
                told(self.indexed)

    def append(self, data: bytes) -> None:
        """More of a growing log; the oldest goes when there is too much."""
        with self._lock:
            self._data += data.replace(b"\r\n", b"\n")
            if len(self._data) > FOLLOWED:
                cut = self._data.find(b"\n", len(self._data) - FOLLOWED // 2) + 1
                del self._data[:cut]
                self.indexed, self._counts = 0, [0]
                self._ends.clear()
                self._widths, self._measured = array("L", [0]), 0
            self.size = len(self._data)
            self.index()

    def start(self, number: int) -> int:
        """Offset of a line, counted from 0."""
        if number <= 0:
            return 0
        block = bisect_left(self._counts, number) - 1
        ends = self._line_ends(block)
        at = number - self._counts[block] - 1
        return block * BLOCK + ends[at] + 1 if at < len(ends) else self.indexed

    def _line_ends(self, block: int) -> list[int]:
        ends = self._ends.get(block)
        if ends is None:
            data = self.read(block * BLOCK, BLOCK)
            ends = [found.start() for found in re.finditer(b"\n", data)]
            if (block + 1) * BLOCK <= self.indexed:
                self._ends[block] = ends
                while len(self._ends) > CACHED:
                    self._ends.popitem(last=False)
        return ends

    def line(self, number: int) -> str:
        """The text of a line, counted from 0; of a very long one the beginning."""
        with self._lock:
            data = self.read(self.start(number), LONGEST * 4)
        return data.partition(b"\n")[0].decode("utf-8", "replace").rstrip("\r")[:LONGEST]

    def text(self) -> str:
        return self.read(0, self.size).decode("utf-8", "replace")

    def widths(self) -> Sequence[int]:
        """Cells that each line needs at most: a wrapped view must know how many rows it has. Reads only what is new."""
        with self._lock:
            while self._measured < self.indexed:
                data = self.read(self._measured, min(16 * BLOCK, self.indexed - self._measured))
                first, *others = map(len, _shown(data).split(b"\n"))
                self._widths[-1] += first  # the line that was not finished
                self._widths.extend(others)
                self._measured += len(data)
            return self._widths[: len(self)]

    def stream(self, stop: threading.Event) -> Stream:
        return Stream(self, stop)

    def seek_words(self, words: str, stop: threading.Event) -> tuple[list[int], bool]:
        """Numbers of the lines that hold the words in any case, and whether these are all."""
        pattern = re.compile(re.escape(words.encode("utf-8", "replace")), re.IGNORECASE)
        found: list[int] = []
        line = 0
        for chunk in self._whole_lines():
            if stop.is_set():
                return found, False
            at = 0
            for hit in pattern.finditer(chunk):
                line += chunk.count(b"\n", at, hit.start())
                at = hit.start()
                if not found or found[-1] != line:
                    found.append(line)
                if len(found) >= SOUGHT:
                    return found, False
            line += chunk.count(b"\n", at)
        return found, True

    def _whole_lines(self) -> Iterator[bytes]:
        carry = b""
        for offset in range(0, self.indexed, BLOCK):
            data = carry + self.read(offset, BLOCK)
            cut = data.rfind(b"\n") + 1
            if cut:
                yield data[:cut]
                carry = data[cut:]
            else:
                carry = data[-4 * BLOCK :]
        if carry:
            yield carry


class Stream(io.RawIOBase):
    """The log as bytes, which ends early when it is told to stop."""

    def __init__(self, log: LogText, stop: threading.Event) -> None:
        self._log = log
        self._stop = stop
        self._at = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if self._stop.is_set():
            return b""
        data = self._log.read(self._at, self._log.size - self._at if size < 0 else size)
        self._at += len(data)
        return data


def _shown(data: bytes) -> bytes:
    """The bytes without what is not shown, tabs as wide as they are drawn."""
    if b"\x1b" in data or b"\r" in data:
        data = SEQUENCE.sub(b"", data)
    return data.replace(b"\t", b"    ") if b"\t" in data else data
