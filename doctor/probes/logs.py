"""Log files that were given beside the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

from doctor.probes import Probe
from doctor.probes.system import System
from doctor.snapshot import Reading, Target
from doctor.text import decode

LIMIT = 16 << 20
"""Bytes from the end of a log: the failure is there. `gpu-doctor explain` reads whole logs."""


def logs(system: System, target: Target) -> Iterator[Reading]:
    for name in target.logs:
        key = f"log:{name}"
        try:
            with open(name, "rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                stream.seek(max(0, size - LIMIT))
                data = stream.read(LIMIT)
        except OSError as error:
            yield system.reading(key, "failed", error=error.strerror or str(error))
            continue
        yield system.reading(key, "ok", decode(data), truncated=size > LIMIT)


PROBES = (Probe("logs", "the log files you name", logs, timeout=30.0),)
