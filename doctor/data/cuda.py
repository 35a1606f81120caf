"""CUDA versions, NVIDIA drivers and devices: which goes with which.

Versions are the texts that tools print ("12.4", "550.54.15"; "550" or "R550" names a branch). Text that is no
version gets the answer "unknown" or None, never an error: much of it comes from logs and images.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from doctor import data

Support = Literal["yes", "minor-compat", "forward-compat-needed", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class MinimumDriver:
    """`starts`: the oldest Linux driver that runs the CUDA version at all. `full`: the one made for it, or None.

    Between the two, features of the newer release and PTX of its compiler do not work.
    """

    starts: str
    full: str | None
    unverified: bool
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DriverSpan:
    """The driver branches that support a device; None where no source states the limit.

    `last` is None for a device that is still supported. `open_modules`: required, supported, unsupported, unknown.
    """

    architecture: str
    first: int | None
    last: int | None
    open_modules: str
    unverified: bool
    sources: tuple[str, ...]


def version(text: str) -> tuple[int, ...]:
    """The numbers of a version, or an empty tuple: "550.54.15" is (550, 54, 15), "R550" is (550,)."""
    found = re.fullmatch(r"[Rrv]?(\d{1,6}(?:\.\d{1,6}){0,4})(?:[-+].*)?", text.strip())
    return tuple(int(number) for number in found.group(1).split(".")) if found else ()


def at_least(have: str, need: str) -> bool | None:
    """Whether a version is new enough, as far as it is stated: branch "525" is at least "525.60.13".

    None if either is no version.
    """
    mine, wanted = version(have), version(need)
    if not mine or not wanted:
        return None
    return mine >= wanted[: len(mine)]


def cuda_for_driver(driver: str) -> str | None:
    """The newest CUDA version that the driver supports, as nvidia-smi would print it.

    For a branch newer than the facts, the newest CUDA version known, so a lower bound. None if the driver is
    older than the facts or no version.
    """
    row = _branch_of(driver)
    return row.max_cuda if row else None


def _branch_of(driver: str) -> data.DriverBranch | None:
    """The row of the driver's branch, or of the last one before it: a branch never supports less than its elder."""
    numbers = version(driver)
    older = [row for row in data.driver_branches() if numbers and row.branch <= numbers[0]]
    return older[-1] if older else None


def minimum_driver(cuda: str) -> MinimumDriver | None:
    """The drivers that a CUDA version needs; for an unknown update, those of its first release. None if unknown."""
    row = _toolkit_of(cuda)
    if row is None:
        return None
    return MinimumDriver(row.starts, row.full or None, row.unverified, row.sources)


def _toolkit_of(cuda: str) -> data.ToolkitDriver | None:
    numbers = version(cuda)
    if not numbers:
        return None
    rows = [row for row in data.toolkit_drivers() if version(row.cuda)[:2] == (*numbers, 0)[:2]]
    exact = [row for row in rows if version(row.cuda) == numbers]
    return next(iter(exact or rows), None)


def driver_supports_cuda(driver: str, cuda: str) -> Support:
    """Whether programs built with a CUDA version run on a Linux driver.

    minor-compat: they start, but PTX and features newer than the driver do not work. forward-compat-needed: only
    with the cuda-compat package, which data-centre GPUs take and others refuse.
    Source: https://docs.nvidia.com/deploy/cuda-compatibility/
    """
    wanted, branch = version(cuda)[:2], _branch_of(driver)
    if not wanted or not version(driver):
        return "unknown"
    newest = max(version(row.cuda) for row in data.toolkit_drivers())[:2]
    if wanted > newest and wanted[0] > newest[0]:
        return "unknown"
    if branch and version(branch.max_cuda) >= wanted and _known_branch(driver, branch, wanted):
        return "yes"
    floor = _major_floor(wanted[0])
    if floor and at_least(driver, floor):
        return "minor-compat"
    # The upgrade path came with CUDA 10.0: before it, an older driver was the end of the matter.
    return "forward-compat-needed" if wanted >= (10, 0) else "no"


def _known_branch(driver: str, branch: data.DriverBranch, wanted: tuple[int, ...]) -> bool:
    """Whether the row vouches for the version: an unverified one only for what its elder supports as well."""
    if not branch.unverified:
        return True
    elder = _branch_of(str(branch.branch - 1))
    return elder is not None and version(elder.max_cuda) >= wanted


def _major_floor(major: int) -> str | None:
    """The driver from which every CUDA of that major version starts; there is none before CUDA 11."""
    rows = [row for row in data.toolkit_drivers() if version(row.cuda)[0] == major >= 11]
    return rows[0].starts if rows else None


def cuda_reads_ptx(ptx: str) -> str | None:
    """The first CUDA version, and so the driver's, that reads a PTX ISA version. None if the version is unknown."""
    numbers = version(ptx)
    return next((row.cuda for row in data.ptx_isas() if version(row.ptx) == numbers), None)


def driver_branches_for(compute_capability: str) -> DriverSpan | None:
    """The driver branches for a device, or None if its compute capability is not in the facts."""
    rows = [row for row in data.architecture_drivers() if compute_capability in row.compute_capabilities]
    if not rows:
        return None
    row = rows[0]
    first = next((r for r in data.first_drivers() if r.compute_capability == compute_capability), None)
    return DriverSpan(
        architecture=row.architecture,
        first=first.first_branch if first else None,
        last=row.last_branch or None,
        open_modules=row.open_modules,
        unverified=bool(first and first.unverified),
        sources=row.sources + (first.sources if first else ()),
    )


def architecture_of(compute_capability: str) -> str | None:
    """The architecture's name (Turing, Hopper …) of a compute capability."""
    span = driver_branches_for(compute_capability)
    return span.architecture if span else None


def toolkits_for(compute_capability: str) -> tuple[str, ...]:
    """The CUDA toolkits whose compiler writes machine code for a device, oldest first."""
    target = compute_capability.replace(".", "")
    return tuple(row.cuda for row in data.cuda_toolkits() if target in row.targets)


def older_branches_allowed(cuda: str) -> tuple[int, ...] | None:
    """The branches before its own on which the nvidia/cuda image of that version may start. None if not known."""
    wanted = version(cuda)[:2]
    rows = [row for row in data.image_requirements() if version(row.cuda) == wanted and not row.unverified]
    return rows[0].branches if rows else None
