"""Log files that were given beside the machine."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import BinaryIO

from doctor.probes import Probe
from doctor.probes.system import System
from doctor.snapshot import Reading, Target
from doctor.text import decode

LIMIT = 16 << 20
"""Bytes from the end of a log: the failure is there. `gpu-doctor explain` reads whole logs."""


def logs(system: System, target: Target) -> Iterator[Reading]:
    for name in target.logs:
        key = f"log:{'standard input' if name == '-' else name}"
        try:
            with sys.stdin.buffer if name == "-" else open(name, "rb") as stream:
                data, size = _end(stream)
        except (OSError, ValueError) as error:
            yield system.reading(key, "failed", error=getattr(error, "strerror", None) or str(error))
            continue
        yield system.reading(key, "ok", decode(data), truncated=size > LIMIT)


def _end(stream: BinaryIO) -> tuple[bytes, int]:
    """The last bytes of a log and the size of the whole. A pipe, as of `<(docker logs trainer)`, is read to its end."""
    if stream.seekable():
        size = os.fstat(stream.fileno()).st_size
        stream.seek(max(0, size - LIMIT))
        return stream.read(LIMIT), size
    data, size = b"", 0
    while piece := stream.read(LIMIT):
        data, size = (data + piece)[-LIMIT:], size + len(piece)
    return data, size


PROBES = (Probe("logs", "the log files you name", logs, timeout=30.0),)
