"""Compressed files as streams of limited size and memory.

Formats: RFC 1952 (gzip), RFC 8878 (zstd), https://tukaani.org/xz/xz-file-format.txt , https://sourceware.org/bzip2/ .
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, cast

GZIP, XZ, BZIP2, ZSTD = b"\x1f\x8b", b"\xfd7zXZ\0", b"BZh", b"\x28\xb5\x2f\xfd"
PIECE = 64 << 10
MEMORY = 128 << 20
"""Bytes that an xz decoder may take; the largest preset of xz takes 65 MiB."""


class Broken(OSError):
    """Packed data that cannot be read. `strerror` says why."""


class _Unpacking(io.RawIOBase):
    """A stream out of one of the decoders that take a `max_length` and say whether they need input."""

    def __init__(self, packed: BinaryIO, new: Callable[[], Any], kind: str) -> None:
        self._packed = packed
        self._new = new
        self._kind = kind
        self._decoder = new()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._unpack(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def _unpack(self, most: int) -> bytes:
        while True:
            packed = b""
            if self._decoder.eof:
                packed = (self._decoder.unused_data or self._packed.read(PIECE)).lstrip(b"\0")
                if not packed:
                    return b""
                self._decoder = self._new()
            elif self._decoder.needs_input:
                packed = self._packed.read(PIECE)
                if not packed:
                    raise Broken(0, f"the {self._kind} data ends early")
            try:
                data: bytes = self._decoder.decompress(packed, most)
            except Exception as error:  # each decoder has an error class of its own
                raise Broken(0, f"damaged {self._kind} data") from error
            if data:
                return data


class _Gunzipping(io.RawIOBase):
    """gzip with the errors of the others."""

    def __init__(self, packed: BinaryIO) -> None:
        self._inner = gzip.GzipFile(fileobj=packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._inner.read1(len(buffer))
        except EOFError:
            raise Broken(0, "the gzip data ends early") from None
        except (OSError, zlib.error):
            raise Broken(0, "damaged gzip data") from None
        buffer[: len(data)] = data
        return len(data)


def _zstd() -> Any:
    try:
        from compression.zstd import ZstdDecompressor  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        from backports.zstd import ZstdDecompressor
    return ZstdDecompressor()


def is_compressed(head: bytes) -> bool:
    return head.startswith((GZIP, XZ, BZIP2, ZSTD))


def unpacked(packed: BinaryIO, head: bytes) -> BinaryIO:
    """The unpacked stream of a compressed one that begins with `head`. Reading it raises Broken."""
    raw: io.RawIOBase
    if head.startswith(GZIP):
        raw = _Gunzipping(packed)
    elif head.startswith(XZ):
        raw = _Unpacking(packed, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, MEMORY), "xz")
    elif head.startswith(BZIP2):
        raw = _Unpacking(packed, bz2.BZ2Decompressor, "bzip2")
    else:
        raw = _Unpacking(packed, _zstd, "zstd")
    return cast(BinaryIO, io.BufferedReader(raw, PIECE))
