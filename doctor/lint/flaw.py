"""What a rule finds in a file, and how it would change the lines."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from doctor.finding import Severity, Sureness


@dataclass(frozen=True, slots=True)
class Edit:
    """Lines [begin, end), counted from 0, and what stands there instead."""

    begin: int
    end: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flaw:
    """A place in a file that shows a fault."""

    fault: str
    line: int
    """From 0."""
    says: str
    """What is wrong with this line, in words."""
    values: dict[str, str] = field(default_factory=dict)
    edits: tuple[Edit, ...] = ()
    change: str = ""
    """What the edits do, in words."""
    sure: Sureness = "certain"
    severity: Severity | None = None
    subject: str = ""
    """The service, stage or container."""


def edited(lines: Sequence[str], edits: Iterable[Edit]) -> list[str]:
    """The lines after the edits, which must not overlap."""
    made = list(lines)
    for edit in sorted(edits, key=lambda one: -one.begin):
        made[edit.begin : edit.end] = edit.lines
    return made


def diff(name: str, lines: Sequence[str], edits: Iterable[Edit]) -> str:
    """The change as a unified diff that `patch -p0` takes."""
    after = edited(lines, edits)
    rows = difflib.unified_diff(list(lines), after, name, name, n=2, lineterm="")
    return "\n".join(rows)


def indent_of(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def block_end(lines: Sequence[str], begin: int) -> int:
    """The line after the block that begins at a line: the first one that is not further in."""
    depth = indent_of(lines[begin])
    is_item = lines[begin].lstrip().startswith("- ")
    at = begin + 1
    while at < len(lines):
        text = lines[at].strip()
        deeper = indent_of(lines[at]) > depth
        # A list may stand at the depth of its key.
        own_list = not is_item and indent_of(lines[at]) == depth and text.startswith("- ")
        if text and not text.startswith("#") and not (deeper or own_list):
            break
        at += 1
    while at > begin + 1 and (not lines[at - 1].strip() or lines[at - 1].lstrip().startswith("#")):
        at -= 1
    return at


NAMES = {"cuda": "CUDA", "rocm": "ROCm"}
"""Stacks as their makers write them."""
IMAGE_ROCM = re.compile(r"(?:^|[/:_-])rocm|amdgpu|(?:^|/)amd(?:/|-)|hipblas|-hip\b", re.IGNORECASE)
IMAGE_CUDA = re.compile(
    r"nvidia/cuda|^nvcr\.io/nvidia/|(?:^|[/:_.-])cuda\d*|vllm/vllm-openai(?!-rocm)|-cu1[1-3]\d?\b|tensorrt|tritonserver",
    re.IGNORECASE,
)
IMAGE_SHM = re.compile(
    r"(?:^|/)(?:pytorch|vllm|sglang|nemo|deepspeed|megatron|tritonserver)[\w.-]*(?:/|:|$)|vllm-openai|text-generation",
    re.IGNORECASE,
)
"""Images whose programs pass tensors between processes through /dev/shm."""


def vendor_of(image: str) -> str:
    """The stack that an image's name speaks of: rocm, cuda, or empty where it tells none."""
    if "${" in image:
        return ""
    return "rocm" if IMAGE_ROCM.search(image) else "cuda" if IMAGE_CUDA.search(image) else ""
