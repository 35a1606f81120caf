"""Shared libraries by SONAME: what they belong to and who provides them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Literal

from doctor import data
from doctor.data.cuda import version


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a SONAME comes from.

    `known`: exact (a row of the facts), other-major (the library is known, this version of it is not; package names
    are derived and so guesses) or unknown. `kind`: driver (injected into containers, not installed there), cuda,
    rocm, framework, distribution, or empty. `majors` are the versions of the library that are known, oldest first.
    `unverified` covers the row, `names_unverified` the package names.
    """

    soname: str
    known: Literal["exact", "other-major", "unknown"]
    component: str = ""
    kind: str = ""
    major: str = ""
    majors: tuple[str, ...] = ()
    capability: str = ""
    pip: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()
    debian: str = ""
    debian_releases: tuple[str, ...] = ()
    conda: str = ""
    note: str = ""
    unverified: bool = False
    names_unverified: bool = False
    sources: tuple[str, ...] = ()


@lru_cache(4096)
def provider_of(soname: str) -> Provider:
    """The provider of a SONAME, of a file name such as libcudnn.so.9.1.0, or of a bare libcudart.so."""
    name = soname.rsplit("/", 1)[-1]
    stem, major = _split(name)
    kin = _by_stem().get(stem, [])
    for shorter in _shortened(name):
        row = next((row for row in kin if row.soname == shorter), None)
        if row:
            return _exact(name, row)
    if kin:
        return _other_major(name, major, kin)
    return _by_pattern(name, major)


def _shortened(name: str) -> list[str]:
    """The name and its forms with less of the version: libcudnn.so.9.1.0, libcudnn.so.9.1, libcudnn.so.9."""
    stem, numbers = _split(name)
    parts = numbers.split(".") if numbers else []
    return [".".join([f"{stem}.so", *parts[:end]]) for end in range(len(parts), 0, -1)] or [name]


def _split(name: str) -> tuple[str, str]:
    """Stem and version: libcudart.so.11.0 is ("libcudart", "11.0")."""
    stem, _, numbers = name.partition(".so")
    return stem, numbers.lstrip(".")


def _age(row: data.Soname) -> tuple[int, ...]:
    return version(_split(row.soname)[1])


def _majors(stem: str) -> tuple[str, ...]:
    return tuple(_split(row.soname)[1] for row in _by_stem().get(stem, []))


@cache
def _by_stem() -> dict[str, list[data.Soname]]:
    """The rows by stem, of each the oldest version first."""
    found: dict[str, list[data.Soname]] = {}
    for row in sorted(data.sonames(), key=_age):
        found.setdefault(_split(row.soname)[0], []).append(row)
    return found


def _exact(name: str, row: data.Soname) -> Provider:
    stem, major = _split(row.soname)
    return Provider(
        soname=name,
        known="exact",
        component=row.component,
        kind=row.kind,
        major=major,
        majors=_majors(stem),
        capability=row.capability,
        pip=row.pip,
        apt=row.apt,
        debian=row.debian,
        debian_releases=row.debian_releases,
        conda=row.conda,
        note=row.note,
        unverified=row.unverified,
        names_unverified=row.names_unverified or row.unverified,
        sources=row.sources,
    )


def _other_major(name: str, major: str, kin: list[data.Soname]) -> Provider:
    """A version the facts do not have, of a library they do: the newest row, with its number exchanged in names."""
    newest = kin[-1]
    same_kind = replace(_exact(name, newest), known="other-major", major=major, unverified=True, names_unverified=True)
    mine, last = version(major), _age(newest)
    if not last:  # it carries no version in the facts (libtorch.so): the packages' names hold none either
        return same_kind
    component = re.sub(rf" {last[0]}$", "", newest.component)
    plain = replace(same_kind, component=component, pip=(), apt=(), debian="", debian_releases=(), conda="", note="")
    if not mine or mine < last or newest.kind == "driver":
        return plain
    renamed = _Renamed(str(last[0]), str(mine[0]))
    return replace(
        plain,
        pip=renamed.all(newest.pip),
        apt=renamed.all(newest.apt),
        conda="".join(renamed.all((newest.conda,))),
    )


@dataclass(frozen=True, slots=True)
class _Renamed:
    """Package names of one major version turned into those of another.

    A name with the library's number gets the new one, a name without any number stays, and a name with another
    number (libcufft-13-x holds libcufft.so.12) says nothing about the new version, so it is left out.
    """

    old: str
    new: str

    def all(self, packages: tuple[str, ...]) -> tuple[str, ...]:
        number = rf"(?<![0-9]){re.escape(self.old)}(?![0-9])"
        telling = (name for name in packages if re.search(number, name) or not re.search(r"[-=<>][0-9]|[0-9]$", name))
        return tuple(re.sub(number, self.new, name) for name in telling)


# How libraries of the vendors are called beyond those of the table. Not every libcu*, libnv* and libroc* is one: there
# are libcurl, libnvme and librocksdb.
_CUDA_NAMES = (
    r"lib(?:cu(?:blas|da|dart|decode|dnn|dss|equivariance|est|fft|file|opt|pauli|pti|pvaenc|quantum|rand|solver|sparse|"
    r"statevec|tensor|vslam)|npp|nv(?:blas|comp|fatbin|fuser|graph|imgcodec|infer|jitlink|jpeg|onnxparser|parsers|"
    r"perf|ptx|rtc|rtx|shmem|tiff|toolsext|tx|vm))"
)
_ROCM_NAMES = (
    r"lib(?:roc(?:al|blas|decode|fft|jpeg|m[_-]|mlir|prim|profiler|rand|roller|shmem|solver|sparse|thrust|tracer|tx|wmma)|"
    r"rocalution|hip(?:blas|cub|dnn|fft|fort|rand|rtc|solver|sparse|tensor)|hsa-|hsakmt|amd_|amdhip|amdocl|migraphx)"
)


def _by_pattern(name: str, major: str) -> Provider:
    """Names that nobody but a driver or a vendor uses."""
    if re.fullmatch(r"libnvidia-[a-z0-9-]+\.so(?:\.[0-9.]+)?", name):
        return Provider(name, "unknown", component="NVIDIA driver", kind="driver", major=major, unverified=True)
    if re.fullmatch(_ROCM_NAMES + r"[A-Za-z0-9_-]*\.so(?:\.[0-9.]+)?", name):
        return Provider(name, "unknown", component="ROCm", kind="rocm", major=major, unverified=True)
    if re.fullmatch(_CUDA_NAMES + r"[A-Za-z0-9_-]*\.so(?:\.[0-9.]+)?", name, re.IGNORECASE):
        return Provider(name, "unknown", component="CUDA", kind="", major=major, unverified=True)
    if python := re.fullmatch(r"libpython(3\.[0-9]+)\.so\.1\.0", name):
        component, package = f"CPython {python[1]}", f"libpython{python[1]}"
        return Provider(name, "unknown", component, "distribution", major, debian=package, names_unverified=True)
    return Provider(name, "unknown", major=major)
