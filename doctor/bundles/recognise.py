"""Output of well-known tools in a text, as the readings that a probe would have made.

A tool is recognised by words that it prints, wherever they stand: a ticket is a conversation with outputs pasted into
it. What a tool did not print stays unknown; nothing is concluded from its silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from doctor.bundles.outputs import cluster, environment, inspected, nvidia, rocm
from doctor.bundles.pasted import Pasted

QUOTED = re.compile(r"^(?:> ?)+", re.MULTILINE)
LARGEST = 16 << 20
"""Bytes of a text that are searched for outputs."""


@dataclass(frozen=True, slots=True)
class Reader:
    tool: str
    signs: tuple[bytes, ...]
    """Words of which one is always printed."""
    read: Callable[[str, str], Pasted | None]
    """From a text and its name; None when it is not the tool's output after all."""


READERS = (
    Reader("nvidia-smi", (b"NVIDIA-SMI ", b"(UUID: GPU-"), nvidia.table),
    Reader("nvidia-smi -q", (b"NVSMI LOG",), nvidia.queried),
    Reader("/proc/driver/nvidia/version", (b"NVRM version: NVIDIA UNIX",), nvidia.module),
    Reader("collect_env", (b"CUDA used to build PyTorch",), environment.collected),
    Reader("nvidia-smi -q -x", (b"<nvidia_smi_log>",), nvidia.xml),
    Reader("rocminfo", rocm.SIGNS, rocm.agents),
    Reader("docker inspect", (b'"HostConfig"', b'"RepoTags"'), inspected.inspect),
    Reader("docker info", (b"Default Runtime: ", b'"DefaultRuntime"'), inspected.info),
    Reader("kubectl describe pod", (b"Service Account: ", b"QoS Class: "), cluster.pod),
    Reader("kubectl describe node", (b"Allocatable:",), cluster.node),
    Reader("kubectl get nodes -o", (b"allocatable",), cluster.nodes),
    Reader("nvidia-bug-report", (b"Start of NVIDIA bug report log file",), environment.bug_report),
    Reader("os-release", (b'PRETTY_NAME="', b"PRETTY_NAME='"), environment.system),
)


def pasted(data: bytes, name: str) -> list[Pasted]:
    """What the tools whose output stands in the text tell, in the order of the readers."""
    data = data[:LARGEST]
    wanted = [reader for reader in READERS if any(sign in data for sign in reader.signs)]
    if not wanted:
        return []
    # Quoted as replies and comments are; lines stay the same in number.
    text = QUOTED.sub("", data.decode("utf-8", "replace").replace("\r\n", "\n"))
    return [one for reader in wanted if (one := _read(reader, text, name))]


def _read(reader: Reader, text: str, name: str) -> Pasted | None:
    """An output that was cut or edited is none: it must never cost the log around it."""
    try:
        return reader.read(text, name)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        return None
