"""What was read of a layer, kept for the next look: under XDG cache, bounded, whole or not there at all.

A layer is known by its digest together with what tells the very file or folder it was read from: an archive says of
its own blobs what it likes, and must not put words into the mouth of another image.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zlib
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path
from typing import Any

from doctor.binary import record
from doctor.image.layers import FOLDER, PLAIN, Entry, Layer

# Raised when what is kept, or how it is found, changes.
FORMAT = 3
# Bytes of all kept layers together, and of one when it is unpacked again.
LARGEST = 512 << 20
LARGEST_ONE = 1 << 30


def folder() -> Path:
    """Where layers are kept (XDG base directory specification)."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.environ.get("HOME") or "/nonexistent", ".cache")
    return Path(home) / "gpu-doctor" / "images"


def key_of(*parts: str) -> str:
    """The name under which something is kept that depends on all of these."""
    return hashlib.sha256("\0".join((str(FORMAT), *parts)).encode("utf-8", "surrogateescape")).hexdigest()


def load(key: str) -> Any | None:
    """What was kept under that name, or None. A damaged file is none."""
    path = folder() / f"{key}.json.z"
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(path.read_bytes(), LARGEST_ONE)
        content = json.loads(data) if unpacker.eof else None
    except (OSError, ValueError, zlib.error, RecursionError):
        return None
    # What was used lately goes last.
    with suppress(OSError):
        os.utime(path)
    return content


def save(key: str, content: Any) -> None:
    """Keeps it. Where there is no room or no right to write, nothing is kept and nothing is said."""
    place = folder()
    part = ""
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        data = zlib.compress(json.dumps(content).encode(), 1)
        descriptor, part = tempfile.mkstemp(prefix=".part-", dir=place)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(part, place / f"{key}.json.z")
        _make_room(place)
    except OSError:
        with suppress(OSError):
            if part:
                os.unlink(part)


def _make_room(place: Path) -> None:
    """Removes what was not used for longest, until all fits."""
    rows = []
    for path in place.iterdir():
        with suppress(OSError):
            status = path.stat()
            rows.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in rows)
    for _, size, path in sorted(rows, key=lambda row: row[0]):
        if total <= LARGEST:
            return
        with suppress(OSError):
            path.unlink()
            total -= size


def layer_to_json(layer: Layer) -> dict[str, Any]:
    """A layer as plain data; without a way to open files that were not kept."""
    return {
        "name": layer.name,
        # Most entries are alike: they are kept by name.
        "folders": [path for path, entry in layer.entries.items() if entry is FOLDER],
        "plain": [path for path, entry in layer.entries.items() if entry is PLAIN],
        "entries": {path: entry for path, entry in layer.entries.items() if entry is not FOLDER and entry is not PLAIN},
        "removed": sorted(layer.removed),
        "opaque": sorted(layer.opaque),
        "contents": {path: b64encode(data).decode() for path, data in layer.contents.items()},
        "binaries": {path: record.to_json(file) for path, file in layer.binaries.items()},
    }


def layer_from_json(content: Any) -> Layer | None:
    """The layer that was kept, or None if the data is something else."""
    try:
        return Layer(
            name=content["name"],
            entries=dict.fromkeys(content["folders"], FOLDER)
            | dict.fromkeys(content["plain"], PLAIN)
            | {path: Entry(*row) for path, row in content["entries"].items()},
            removed=set(content["removed"]),
            opaque=set(content["opaque"]),
            contents={path: b64decode(data) for path, data in content["contents"].items()},
            binaries={path: record.from_json(file) for path, file in content["binaries"].items()},
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
