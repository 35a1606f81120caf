"""ROCm releases, GPUs and kernel drivers: which goes with which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from doctor import data
from doctor.data.cuda import version

# The compatibility matrices that were read; outside of them a release is known only where a row names it.
FIRST_MATRIX, LAST_MATRIX = (6, 0), (7, 1)


@dataclass(frozen=True, slots=True)
class RocmSupport:
    """Whether a ROCm release officially supports a target on Linux. Unsupported is not the same as not working."""

    status: Literal["supported", "unsupported", "unknown"]
    because: str
    sources: tuple[str, ...] = ()


def rocm_support(gfx: str, rocm: str) -> RocmSupport:
    """Support of a gfx target (features are ignored) by a ROCm release such as "6.4.1" or "7.1"."""
    base, release = gfx.split(":")[0], version(rocm)
    row = next((row for row in data.amd_targets() if row.gfx == base), None)
    if row is None or not release:
        return RocmSupport("unknown", f"no facts on {base} with ROCm {rocm}")
    if row.official_from and _within(release, row.official_from, row.official_to):
        return RocmSupport("supported", f"{base} is in the compatibility matrix of ROCm {rocm}", row.sources)
    short = ".".join(str(number) for number in release[:2])
    if short in row.unsure or not FIRST_MATRIX <= release[:2] <= LAST_MATRIX:
        return RocmSupport("unknown", f"the matrix of ROCm {rocm} was not read for {base}", row.sources)
    if row.official_from and len(release) < 3 and version(row.official_from)[:2] == release[:2]:
        return RocmSupport("unknown", f"{base} is supported from ROCm {row.official_from} on", row.sources)
    note = f": {row.note}" if row.note else ""
    return RocmSupport("unsupported", f"{base} is not in the compatibility matrix of ROCm {rocm}{note}", row.sources)


def _within(release: tuple[int, ...], first: str, last: str) -> bool:
    """Both ends belong; the last one with all of its patch releases."""
    end = version(last)
    return version(first) <= release and release[: len(end)] <= end


def rocm_with_driver(rocm: str, driver: str) -> Literal["yes", "untested", "unknown"]:
    """Whether AMD lists a kernel driver (amdgpu-dkms) for a ROCm release.

    untested: the release's row is known and does not name the driver. Both "6.3" (drivers up to ROCm 6.4 have its
    numbers) and "30.20.1" are driver versions. Source: the compatibility matrices in rocm_driver.json.
    """
    release, have = version(rocm), version(driver)
    if not release or not have:
        return "unknown"
    rows = [row for row in data.rocm_drivers() if version(row.rocm)[:2] == release[:2]]
    tested = [row for row in data.amdgpu_drivers() if have[: len(version(row.driver))] == version(row.driver)]
    if any(have[: len(version(name))] == version(name) for row in rows for name in row.drivers):
        return "yes"
    if any(release[:2] == version(name) for row in tested for name in row.rocm):
        return "yes"
    return "untested" if rows or tested else "unknown"
