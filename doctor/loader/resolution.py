"""What a resolution says: one edge for each library that a file needs. All of it is plain data, as JSON has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

EdgeKind = Literal[
    "rpath",
    "LD_LIBRARY_PATH",
    "runpath",
    "ld.so.cache",
    "ld-musl path",
    "default path",
    "as written",
    "loader",
    "already loaded",
    "preloaded",
    "from-driver",
    "optional",
    "after-ldconfig",
    "missing",
]


@dataclass(frozen=True, slots=True)
class Place:
    """One place that was searched: how the loader came to it, the path it tried and what it met there."""

    how: str
    path: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Edge:
    """One library that one file needs.

    `found` is the path as the loader opens it and `file` where its symbolic links lead; both None unless there is one.
    `kind`: how it was found, or "loader" (it is the loader itself), "already loaded" (by another file of the process),
    "preloaded" (a framework loads it by hand first), "from-driver" (put in when the container starts),
    "optional" (not there, but only a plug-in needs it that is left out then), "after-ldconfig" (in a folder of
    /etc/ld.so.conf, but ldconfig has not run since) or "missing".
    `how` says the same in words. `searched` has every place in order where nothing was found, and otherwise only those
    where an unusable file was passed over. `versions_missing` are version nodes that the file found does not define:
    the program would not start. `elsewhere` are files of this name where the loader does not look, `other_versions`
    files of the same library with another number (`libcudart.so.13` for `libcudart.so.12`), oldest first.
    `root` is the first process in which the edge came up. `at_start` says that it is a program, which does not start
    while the edge is missing; otherwise it is a library that something opens by hand, perhaps after opening what it
    needs, so that a miss is only likely.
    """

    needed: str
    by: str
    root: str
    at_start: bool
    found: str | None
    file: str | None
    kind: EdgeKind
    how: str
    searched: tuple[Place, ...] = ()
    versions_missing: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()
    other_versions: tuple[str, ...] = ()

    @property
    def missing(self) -> bool:
        return self.kind in ("missing", "after-ldconfig")


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that was not followed, or only in part, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """What was found. `roots` are the processes followed; `edges` has each different edge once, in loading order.

    `incomplete` says why not everything was followed; then an edge that is not here may exist all the same.
    """

    roots: tuple[str, ...]
    edges: tuple[Edge, ...]
    problems: tuple[Problem, ...]
    incomplete: str | None = None

    def missing(self) -> tuple[Edge, ...]:
        """The edges that the loader cannot satisfy, those that ldconfig would mend included."""
        return tuple(edge for edge in self.edges if edge.missing)

    def version_faults(self) -> tuple[Edge, ...]:
        """The edges to a file that lacks version nodes."""
        return tuple(edge for edge in self.edges if edge.versions_missing)
