"""What takes long to make out of files that rarely change, kept in the user's cache folder.

A piece bears the name of what it was made of. One that is damaged counts as none, and a folder that may not be
written is no error: the piece is then made anew each time.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

KEPT = 4
"""Pieces of a kind: each change of what they are made of makes another."""


def cached_at(kind: str, *made_of: bytes) -> Path | None:
    """The file of a piece (XDG base directory specification); None without a home."""
    folder = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME") or "", ".cache")
    if not os.path.isabs(folder):
        return None
    name = hashlib.sha256()
    for part in made_of:
        name.update(part)
    return Path(folder) / "gpu-doctor" / f"{kind}-{name.hexdigest()[:32]}"


def cached(at: Path | None) -> bytes | None:
    """What was kept there; None where there is none, or not whole."""
    try:
        checksum, _, content = at.read_bytes().partition(b"\n") if at else (b"", b"", b"")
    except OSError:
        return None
    return content if hashlib.sha256(content).hexdigest().encode() == checksum else None


def keep(at: Path | None, content: bytes) -> None:
    """Write a piece whole or not at all, and forget the oldest of its kind."""
    if at is None:
        return
    part = at.with_name(f"{at.name}.{os.getpid()}.part")
    with suppress(OSError):
        at.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.write_bytes(hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
        part.replace(at)
        kind = at.name.rpartition("-")[0]
        kept = sorted(at.parent.glob(f"{kind}-*"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in kept[KEPT:]:
            old.unlink()
