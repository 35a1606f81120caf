"""What was found in one binary file, as immutable data, and its JSON form.

The JSON form is what `gpu-doctor binary --format json` prints for a file and what an image probe keeps of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from doctor.binary.reader import Unreadable

# Relocatable device code waits here for the device linker; the driver never loads it from here.
# https://docs.nvidia.com/cuda/cuda-compiler-driver-nvcc/ ("Using Separate Compilation in CUDA")
RELOCATABLE = "__nv_relfatbin"


@dataclass(frozen=True, slots=True)
class Images:
    """`count` kernel images of one kind for one target in one place of a file.

    `place` is an ELF section (`.nv_fatbin`, `.hip_fatbin`, `.cask_resource` …), `file` for a loose image, `name` where
    only the file's name tells the target, or `segment` where section headers are gone.
    `kind` is `cubin`, `ptx`, `lto-ir`, `code-object` or `kernel-library`.
    `target` is `sm_90a`, `compute_90`, `lto_90` or an AMD target id such as `gfx90a:sramecc+:xnack-`.
    `ptx_version` is the PTX ISA version, such as `8.7`, of PTX; a driver must be new enough for it.
    `listed` is whether `cuobjdump --list-elf --list-ptx` (for AMD: the LLVM tools) shows these images too.
    """

    place: str
    kind: str
    target: str
    count: int
    ptx_version: str | None = None
    listed: bool = True


@dataclass(frozen=True, slots=True)
class BinaryFile:
    """One binary file, from its headers.

    `path` names a member of an archive as `ARCHIVE!MEMBER`. `kind` is `executable`, `shared-object`, `relocatable`,
    `core`, `cubin`, `code-object`, `fatbin`, `bundle`, `ptx`, `kernel-library`, `static-archive`, `zip`, `folder` or
    `other`. `machine` is named as `uname -m` does, `cuda` or `amdgpu` for device ELF files, None outside ELF.
    `size` is in bytes.

    `cubin`, `ptx` and `gfx` are the distinct targets that can be loaded, sorted: code in `__nv_relfatbin` counts only
    if the file has no other. `images` has everything, place by place.
    `unreadable` says what is damaged, `not_searched` which places were left out because searching them takes a deep
    scan: while either is not empty, a target that is not listed is not proved absent.
    """

    path: str
    kind: str
    size: int
    machine: str | None = None
    bits: int | None = None
    soname: str | None = None
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    interpreter: str | None = None
    needs_versions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    defines_versions: tuple[str, ...] = ()
    cubin: tuple[str, ...] = ()
    ptx: tuple[str, ...] = ()
    gfx: tuple[str, ...] = ()
    images: tuple[Images, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    not_searched: tuple[str, ...] = ()
