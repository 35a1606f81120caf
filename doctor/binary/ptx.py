"""PTX text: its ISA version and its target.

Source: https://docs.nvidia.com/cuda/parallel-thread-execution/ (`.version` and `.target` open every module).
"""

from __future__ import annotations

import re

from doctor.binary.reader import Damaged, Reader
from doctor.binary.record import Counts

# Comments may stand before the directives; compilers write a few hundred bytes of them.
_HEAD = 65_536
_VERSION = re.compile(rb"^[ \t]*\.version[ \t]{1,16}(\d{1,3}\.\d{1,3})", re.MULTILINE)
# Every repetition has a limit, so that no text makes the search slow.
_TARGET = re.compile(
    rb"^[ \t]*\.target[ \t]{1,16}(?:\w{1,64}[ \t]{0,4},[ \t]{0,4}){0,8}?sm_(\d{1,3}[af]?)\b", re.MULTILINE
)


def count_ptx(reader: Reader, counts: Counts) -> None:
    """Adds the PTX module in `reader` to `counts`. Raises Damaged when it does not say its version and target."""
    head = reader.read_at(0, _HEAD)
    version, target = _VERSION.search(head), _TARGET.search(head)
    if version is None or target is None:
        raise Damaged(0, "no .version and .target of PTX in the first 64 KiB")
    name = ("ptx", f"compute_{target[1].decode()}", version[1].decode())
    counts[name] = counts.get(name, 0) + 1
