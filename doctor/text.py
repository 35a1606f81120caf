"""Untrusted text made plain: nothing in a log or a name may steer the terminal or look like something else."""

from __future__ import annotations

import re

# ECMA-48 control sequences: CSI, OSC/DCS/SOS/PM/APC strings (with their text), and two-character escapes.
ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]{0,4096}(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# C0 and C1 without tab and newline, bidirectional controls, zero-width and other invisible format characters.
INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)


def plain(text: str) -> str:
    """The text without escape sequences, control characters and invisible or direction-changing characters."""
    if text.isascii() and text.isprintable():
        return text
    return INVISIBLE.sub("", ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", " ")))


def one_line(text: str, width: int = 300) -> str:
    """The text made plain, on one line, cut to `width` characters with an ellipsis."""
    line = " ".join(plain(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def size_words(size: int) -> str:
    """Bytes as a person says them."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("KB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"


def reason_of(error: BaseException, width: int = 300) -> str:
    """The innermost reason of an error on one line: the packages that speak to engines wrap it three times over."""
    here: BaseException | None = error
    while here is not None:
        if isinstance(here, OSError) and here.strerror:
            return here.strerror
        here = here.__cause__ or here.__context__
    return one_line(str(error), width)


def decode(data: bytes) -> str:
    """Bytes of a log as text: UTF-16 and UTF-32 by their mark, else UTF-8, else Latin-1. Never fails."""
    for mark, encoding in (
        (b"\xff\xfe\x00\x00", "utf-32"),
        (b"\x00\x00\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
        (b"\xef\xbb\xbf", "utf-8-sig"),
    ):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def without_var(folder: str) -> str:
    """The folder's path under /run where it is written under /var/run, which is a link to it."""
    return re.sub(r"^/var(?=/run/)", "", folder.rstrip("/"))
