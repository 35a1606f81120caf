"""What was found in an image, as immutable data, and its JSON form.

The JSON form is what an image probe keeps of an image: names, versions and targets, never bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Stack = Literal["cuda", "rocm", "both", "cpu"]
ARCHIVE, LAYOUT = "an archive, in place", "an OCI layout, in place"
ROOT, PACKED_ROOT = "an unpacked root", "an archive of a root file system"
FILES = (ARCHIVE, LAYOUT, ROOT, PACKED_ROOT)
"""What is read without an engine: none knows it by that name."""


@dataclass(frozen=True, slots=True)
class Version:
    """The version of a component (cuda, cudnn, nccl, rocm) and the file, label or variable that tells it."""

    component: str
    version: str
    where: str


@dataclass(frozen=True, slots=True)
class Framework:
    """A framework or GPU extension. `build`: cuda, rocm, cpu, or empty where nothing tells; `built_for` its version."""

    name: str
    version: str
    build: str
    built_for: str
    where: str


@dataclass(frozen=True, slots=True)
class Code:
    """GPU code of one file, or of all kernel libraries in one folder (`file` ends with /*).

    `ptx` are (target, PTX ISA version or empty). `owner` is the framework whose file it is, a vendor component
    (cuda, rocm) or empty. `role`: core (the framework cannot work without), part (a part of it, or an extension),
    vendor (a library of CUDA or ROCm), own (a program of the image itself). `open_end`: not all of it could be read.
    """

    file: str
    cubin: tuple[str, ...]
    ptx: tuple[tuple[str, str], ...]
    gfx: tuple[str, ...]
    owner: str
    role: Literal["core", "part", "vendor", "own"]
    open_end: bool = False


@dataclass(frozen=True, slots=True)
class Library:
    """A library that files need. `found` is the path that the loader takes, None where it takes none.

    `kind` is the loader's word (missing, after-ldconfig, from-driver, optional …), `provider` a package that has it,
    `at_start` whether a program does not start without it. `deciding`: a framework's files are among those that need
    it.
    """

    needed: str
    by: tuple[str, ...]
    found: str | None
    kind: str
    how: str
    provider: str | None
    component: str
    searched: tuple[str, ...]
    at_start: bool
    deciding: bool
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionFault:
    """A library that was found but lacks version nodes that a file asks of it."""

    library: str
    found: str
    nodes: tuple[str, ...]
    by: str


@dataclass(frozen=True, slots=True)
class Contents:
    """All that is known of one image's contents."""

    reference: str
    how_read: str
    """What its files were read from, in words."""
    digest: str
    platform: str
    size: int
    """Bytes of all layers as the engine tells them, else of all regular files."""
    files: int
    distribution: str
    glibc: str
    musl: str
    stack: Stack
    why_stack: str
    versions: tuple[Version, ...]
    frameworks: tuple[Framework, ...]
    code: tuple[Code, ...]
    libraries: tuple[Library, ...]
    version_faults: tuple[VersionFault, ...]
    environment: dict[str, str]
    """Variables that matter to GPUs and to the loader."""
    compat: tuple[str, ...]
    """libcuda of a cuda-compat package."""
    stubs: tuple[str, ...]
    """Stub libraries in a folder that the loader searches."""
    baked: tuple[str, ...]
    """Files of a driver that belong to the host."""
    not_examined: tuple[str, ...]

    @property
    def in_engine(self) -> str:
        """The reference as `docker run` takes it; empty for an archive, a folder and a container's own files."""
        return "" if "://" in self.reference or self.how_read in FILES else self.reference

    def version(self, component: str) -> str | None:
        """The version of a component, by the first source that tells it."""
        return next((one.version for one in self.versions if one.component == component), None)


def to_json(contents: Contents) -> dict[str, Any]:
    """`contents` as plain data for `json`. `from_json` gives back an equal Contents."""
    return asdict(contents)


def from_json(data: Mapping[str, Any]) -> Contents:
    """The Contents that `to_json` wrote. Raises KeyError, TypeError or ValueError if `data` is something else."""
    values = dict(data)
    code = tuple(
        Code(
            **{
                **row,
                "cubin": tuple(row["cubin"]),
                "ptx": tuple((str(target), str(isa)) for target, isa in row["ptx"]),
                "gfx": tuple(row["gfx"]),
            }
        )
        for row in values["code"]
    )
    libraries = tuple(
        Library(
            **{
                **row,
                "by": tuple(row["by"]),
                "searched": tuple(row["searched"]),
                "elsewhere": tuple(row["elsewhere"]),
            }
        )
        for row in values["libraries"]
    )
    values |= {
        "versions": tuple(Version(**row) for row in values["versions"]),
        "frameworks": tuple(Framework(**row) for row in values["frameworks"]),
        "code": code,
        "libraries": libraries,
        "version_faults": tuple(
            VersionFault(**{**row, "nodes": tuple(row["nodes"])}) for row in values["version_faults"]
        ),
        "environment": {str(name): str(value) for name, value in values["environment"].items()},
    }
    for name in ("compat", "stubs", "baked", "not_examined"):
        values[name] = tuple(str(item) for item in values[name])
    return Contents(**values)
