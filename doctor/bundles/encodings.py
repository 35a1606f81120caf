"""Texts in other encodings as UTF-8, which the patterns are written for."""

from __future__ import annotations

from doctor.text import decode

MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")


def readable(data: bytes) -> bytes:
    """The text as UTF-8: UTF-16 and UTF-32 with or without a mark, Latin-1, and with NUL bytes left out.

    What is no text comes back as it is.
    """
    if data.startswith(MARKS):
        return decode(data).encode("utf-8", "replace")
    if b"\x00" in data[:4096]:
        data = _wide(data) or data
    if b"\x00" in data and _is_text_but_for_nul(data[:8192]):
        data = data.replace(b"\x00", b"")
    if data.isascii():
        return data
    try:
        data.decode("utf-8")
        return data
    except UnicodeDecodeError as error:
        # Cut inside a letter, or one damaged place in a UTF-8 text: the patterns cope with that.
        if error.start > len(data) - 4 or b"\x00" in data[:4096]:
            return data
        return data if _is_mostly_utf8(data[:65536]) else data.decode("latin-1").encode()


def _wide(data: bytes) -> bytes | None:
    """UTF-16 without a mark: in Western text every other byte is zero."""
    head = data[:4096]
    odd, even = head[1::2].count(0), head[0::2].count(0)
    half = len(head) // 2
    if odd > 0.6 * half and even < 0.1 * half:
        return data.decode("utf-16-le", "replace").encode("utf-8", "replace")
    if even > 0.6 * half and odd < 0.1 * half:
        return data.decode("utf-16-be", "replace").encode("utf-8", "replace")
    return None


def _is_text_but_for_nul(head: bytes) -> bool:
    """A log that was cut while it was written is followed or preceded by a run of NUL bytes."""
    rest = head.replace(b"\x00", b"")
    return sum(byte < 9 or 13 < byte < 27 for byte in rest) * 50 <= len(rest)


def _is_mostly_utf8(head: bytes) -> bool:
    text = head.decode("utf-8", "replace")
    letters = sum(not char.isascii() and char != "�" for char in text)
    return letters > text.count("�")
