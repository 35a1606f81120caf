"""Random access to bytes that come only one after another: compressed layers, and streams of the engine.

A gzip layer is read once from its start; on the way the decompressor's state is copied now and then (some 45 KB each),
so that any place is reached again from the copy before it. zstd has no such copies and a stream none at all: there,
going back begins again at the start, which is why whoever reads them goes forward wherever possible.

Formats: RFC 1952 (gzip), RFC 8878 (zstd). A layer of several members or frames is one after the other.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from doctor.binary.reader import Source
from doctor.image.examination import Examination, LimitReached

PIECE = 1 << 15
OUT = 1 << 20
# Between two copies of the decompressor's state; where there are too many, every other goes and the way doubles.
SPACING = 4 << 20
POINTS = 256
GZIP = b"\x1f\x8b"
ZSTD = b"\x28\xb5\x2f\xfd"
# A frame that holds no data but may stand before one that does.
ZSTD_SKIPPABLE = tuple(bytes((byte, 0x2A, 0x4D, 0x18)) for byte in range(0x50, 0x60))


class Broken(OSError):
    """Compressed data that ends early or makes no sense."""


class Codec(Protocol):
    """One compression: `step` takes packed bytes and gives unpacked ones, `spare` are those it did not need yet."""

    def step(self, data: bytes) -> bytes: ...

    def copy(self) -> Codec | None: ...

    @property
    def hungry(self) -> bool: ...

    @property
    def ended(self) -> bool: ...


class _Gzip:
    def __init__(self) -> None:
        self._member: Any = zlib.decompressobj(31)
        self._spare = b""
        self.ended = False

    def step(self, data: bytes) -> bytes:
        data = self._spare + data
        self._spare = b""
        if self._member is None:
            # Zeros may follow the last member as padding (RFC 1952 does not say, gzip accepts it).
            data = data.lstrip(b"\0")
            if not data:
                return b""
            self._member = zlib.decompressobj(31)
            self.ended = False
        try:
            out: bytes = self._member.decompress(data, OUT)
        except zlib.error as error:
            raise Broken(0, f"damaged gzip data: {error}") from None
        if self._member.eof:
            self._spare = self._member.unused_data
            self._member = None
            self.ended = True
        else:
            self._spare = self._member.unconsumed_tail
        return out

    @property
    def hungry(self) -> bool:
        return not self._spare

    def copy(self) -> _Gzip:
        other = _Gzip()
        other._member = self._member.copy() if self._member is not None else None
        other._spare, other.ended = self._spare, self.ended
        return other


class _Zstd:
    def __init__(self) -> None:
        self._frame: Any = self._new()
        self._spare = b""
        self.ended = False

    @staticmethod
    def _new() -> Any:
        try:
            from compression.zstd import ZstdDecompressor  # type: ignore[import-not-found,unused-ignore]
        except ImportError:
            from backports.zstd import ZstdDecompressor
        return ZstdDecompressor()

    def step(self, data: bytes) -> bytes:
        if self._frame.eof:
            data = self._spare + data
            self._spare = b""
            if not data:
                return b""
            self._frame = self._new()
            self.ended = False
        try:
            out: bytes = self._frame.decompress(data, OUT)
        except Exception as error:  # the package's own error class has another name from Python 3.14 on
            raise Broken(0, f"damaged zstd data: {error}") from None
        if self._frame.eof:
            self._spare = self._frame.unused_data
            self.ended = True
        return out

    @property
    def hungry(self) -> bool:
        return not self._spare if self._frame.eof else bool(self._frame.needs_input)

    def copy(self) -> None:
        return None


class _Plain:
    """No compression: a stream as it comes."""

    ended = True
    hungry = True

    def step(self, data: bytes) -> bytes:
        return data

    def copy(self) -> None:
        return None


def pieces(source: Source) -> Callable[[int], Iterator[bytes]]:
    """The bytes of a source from a place on, piece by piece."""

    def feed(at: int) -> Iterator[bytes]:
        while at < source.size:
            data = source.read_at(at, min(PIECE, source.size - at))
            if not data:
                return
            yield data
            at += len(data)

    return feed


class Unpacked:
    """A source of unpacked bytes. `size` is not known beforehand; reads beyond the end give nothing.

    Raises Broken (an OSError) where the data is damaged, and LimitReached for a bomb.
    """

    __slots__ = ("_at", "_codec", "_end", "_examination", "_feed", "_in", "_new", "_packed", "_points", "_spacing",
                 "_window", "size")  # fmt: skip

    def __init__(
        self, feed: Callable[[int], Iterator[bytes]], new: Callable[[], Codec], examination: Examination
    ) -> None:
        self._feed = feed
        self._new = new
        self._examination = examination
        self.size = 1 << 62
        self._end: int | None = None
        self._points: list[tuple[int, int, Codec]] = []
        self._spacing = SPACING
        self._restart()

    def _restart(self, point: tuple[int, int, Codec] | None = None) -> None:
        out, packed, codec = point or (0, 0, self._new())
        self._codec: Codec = (codec.copy() or codec) if point else codec
        self._packed = packed
        self._in = self._feed(packed)
        self._window = b""
        self._at = out
        """Where the window begins."""

    def read_at(self, offset: int, size: int) -> bytes:
        if offset < self._at:
            before = [point for point in self._points if point[0] <= offset]
            self._restart(before[-1] if before else None)
        elif self._points and self._points[-1][0] > self._at + len(self._window):
            ahead = [point for point in self._points if self._at + len(self._window) < point[0] <= offset]
            if ahead:
                self._restart(ahead[-1])
        parts = []
        while size > 0:
            end = self._at + len(self._window)
            if offset < end:
                part = self._window[offset - self._at : offset - self._at + size]
                parts.append(part)
                offset += len(part)
                size -= len(part)
            elif not self._next():
                break
        return b"".join(parts)

    def _next(self) -> bool:
        """Moves the window to the next piece. False at the end."""
        place = self._at + len(self._window)
        if place == self._end:
            return False
        while True:
            data = b""
            if self._codec.hungry:
                data = next(self._in, b"")
                self._packed += len(data)
                if not data:
                    if not self._codec.ended:
                        raise Broken(0, "the compressed data ends early")
                    self._end = place
                    return False
            out = self._codec.step(data)
            if out:
                break
        self._account(place, out)
        self._at, self._window = place, out
        return True

    def _account(self, place: int, out: bytes) -> None:
        self._examination.unpack(len(out))
        limits = self._examination.limits
        end = place + len(out)
        if end > limits.ratio_from and end > self._packed * limits.ratio:
            raise LimitReached(f"compressed more than {limits.ratio} to 1: taken for a decompression bomb")
        last = self._points[-1][0] if self._points else 0
        if end - last >= self._spacing and (copy := self._codec.copy()) is not None:
            self._points.append((end, self._packed, copy))
            if len(self._points) > POINTS:
                del self._points[::2]
                self._spacing *= 2


def unpacked(source: Source, examination: Examination, at_once: bool) -> tuple[Source, int]:
    """The bytes of a layer by its first bytes, and the largest file that should be read whole before it is scanned.

    `at_once`: any place of the source can be read at once; then so it is of a layer that is not compressed, and the
    size is 0. Raises OSError.
    """
    head = source.read_at(0, 4)
    if head[:2] == GZIP:
        return Unpacked(pieces(source), _Gzip, examination), (32 << 20) if at_once else examination.limits.whole
    if head == ZSTD or head in ZSTD_SKIPPABLE:
        return Unpacked(pieces(source), _Zstd, examination), examination.limits.whole
    return source, 0 if at_once else examination.limits.whole


def streamed(feed: Callable[[], Iterator[bytes]], examination: Examination) -> Unpacked:
    """A stream that can be asked for again, as a source."""
    return Unpacked(lambda _: feed(), _Plain, examination)
