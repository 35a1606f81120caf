"""What there is of a missing library: the file itself elsewhere, or `libcudart.so.13` where 12 is needed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from doctor.loader.ldconfig import matches
from doctor.loader.resolution import Place
from doctor.tree import Paths, join

# Where CUDA, ROCm, conda and wheels put libraries, whether a loader looks there or not.
# https://docs.nvidia.com/cuda/cuda-installation-guide-linux/,
# https://rocm.docs.amd.com/projects/install-on-linux/en/latest/install/post-install.html,
# https://packaging.python.org/en/latest/specifications/binary-distribution-format/ (the nvidia-* wheels)
_FOLDERS = (
    "/usr/local/cuda*/lib64",
    "/usr/local/cuda*/targets/*/lib",
    "/opt/rocm*/lib",
    "/opt/conda/lib",
    "/usr/lib/*-linux-gnu",
    "/usr/lib64",
    "/usr/local/lib",
)
_PACKAGES = (
    "/usr/lib/python3*/*-packages",
    "/usr/local/lib/python3*/*-packages",
    "/opt/*/lib/python3*/site-packages",
)
_IN_PACKAGES = ("nvidia/*/lib", "_rocm_sdk_*/lib", "torch/lib")
# `libcudart.so.12`, also with a part number as in `libcudart.so.12.4.127`.
_VERSIONED = re.compile(r"(.+\.so)\.([0-9]{1,9}(?:\.[0-9]{1,9}){0,4})")
MAX_VERSIONS = 8


class Versions:
    """Libraries by their name without version, from the folders they lie in as a rule and those that were searched."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._known: dict[str, dict[str, str]] = {}
        self._listed: set[str] = set()

    def remember(self, name: str, path: str) -> None:
        """Remembers that `path` answers to `name`."""
        found = _VERSIONED.fullmatch(name)
        if found is not None:
            self._known.setdefault(found[1], {}).setdefault(found[2], path)

    def elsewhere(self, needed: str, searched: Sequence[Place]) -> tuple[str, ...]:
        """A file of the name `needed` that none of the places searched is."""
        stem, number = self._look(needed, searched)
        path = self._known.get(stem, {}).get(number)
        return () if path is None or any(place.path == path for place in searched) else (path,)

    def others(self, needed: str, searched: Sequence[Place]) -> tuple[str, ...]:
        """A file for each other major version of `needed`, oldest first; of one version the shortest name."""
        stem, number = self._look(needed, searched)
        first: dict[str, str] = {}
        for other, path in sorted(self._known.get(stem, {}).items(), key=lambda item: _order(item[0])):
            if other != number:
                first.setdefault(other.partition(".")[0], path)
        return tuple(first.values())[:MAX_VERSIONS]

    def _look(self, needed: str, searched: Sequence[Place]) -> tuple[str, str]:
        """Name and version of a library, after all folders that may have it were listed."""
        found = _VERSIONED.fullmatch(needed.rpartition("/")[2])
        if found is None:
            return "", ""
        if not self._listed:
            self._list(self._usual_folders())
        self._list(place.path.rpartition("/")[0] for place in searched)
        return found[1], found[2]

    def _usual_folders(self) -> list[str]:
        packages = [f"{folder}/{inside}" for folder in _PACKAGES for inside in _IN_PACKAGES]
        return [folder for pattern in (*_FOLDERS, *packages) for folder in matches(self._paths, pattern)]

    def _list(self, folders: Iterable[str]) -> None:
        for folder in dict.fromkeys(folders):
            if folder not in self._listed:
                self._listed.add(folder)
                for name in self._paths.listing(folder) or ():
                    self.remember(name, join(folder, name))


def _order(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in number.split("."))
