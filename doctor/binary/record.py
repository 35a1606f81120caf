"""What was found in one binary file, as immutable data, and its JSON form.

The JSON form is what `gpu-doctor binary --format json` prints for a file and what an image probe keeps of
one.

The records here and in `reader` and `elf` are named tuples, not dataclasses: the import of `dataclasses` would be a
fifth of the time that the command takes for the largest library of torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from doctor.binary.reader import Unreadable

# Relocatable device code, from which the device linker made what is in `.nv_fatbin`. The program still hands it to the
# CUDA runtime ("prelinked fatbins" of version 2 in the toolkit's fatbinary_section.h and bin/crt/link.stub); whether
# that links its PTX anew for a GPU that the linked code lacks is not documented.
# https://docs.nvidia.com/cuda/cuda-compiler-driver-nvcc/ ("Using Separate Compilation in CUDA")
RELOCATABLE = "__nv_relfatbin"

# GEMM and convolution libraries of NVIDIA (cublasLt, cusparseLt, cuDNN) keep fatbins here, cuFFT nearly all of its.
CASK = ".cask_resource"
LARGE_DATA = ".ldata"
# The segments of a file whose section headers are gone.
SEGMENT = "segment"
_MAIN = frozenset({CASK, LARGE_DATA, SEGMENT})

# How many images there are of each (kind, target, PTX version), while one place is read.
Counts = dict[tuple[str, str, str | None], int]


class Images(NamedTuple):
    """`number` kernel images of one kind for one target in one place of a file.

    `place` is an ELF section (`.nv_fatbin`, `.hip_fatbin`, `.cask_resource` …), `file` for a loose image,
    `name` where only the file's name tells the target, or `segment` where section headers are gone. `kind`
    is `cubin`, `ptx`, `lto-ir`, `code-object` or `kernel-library`. `target` is `sm_90a`, `compute_90`,
    `lto_90` or an AMD target id such as `gfx90a:sramecc+:xnack-`. `ptx_version` is the PTX ISA version, such
    as `8.7`, of PTX; a driver must be new enough for it. `listed` is whether `cuobjdump --list-elf
    --list-ptx` (for AMD: the LLVM tools) shows these images too.
    """

    place: str
    kind: str
    target: str
    number: int
    ptx_version: str | None = None
    listed: bool = True


def loadable(images: Iterable[Images]) -> list[Images]:
    """The images that decide on which devices a file runs."""
    images = list(images)
    main = [image for image in images if image.listed or image.place in _MAIN]
    return main or [image for image in images if image.place != RELOCATABLE]


class BinaryFile(NamedTuple):
    """One binary file, from its headers.

    `path` names a member of an archive as `ARCHIVE!MEMBER`. `kind` is `executable`, `shared-object`,
    `relocatable`, `elf`, `cubin`, `code-object`, `fatbin`, `bundle`, `ptx`, `kernel-library`,
    `static-archive`, `zip`, `folder` or `other`. `machine` is named as `uname -m` does, `cuda` or `amdgpu`
    for device ELF files, None outside ELF. `size` is in bytes.

    `cubin`, `ptx` and `gfx` are the distinct targets that can be loaded, sorted: code in `__nv_relfatbin`, and code
    among constants (`.rodata`), which is for special functions, counts only if the file has no other. `images` has
    everything, place by place. `unreadable` says what is damaged, `not_searched` which places were left out because
    searching them takes a deep scan: while either is not empty, a target that is not listed is not proved absent.
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
    needs_versions: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    defines_versions: tuple[str, ...] = ()
    cubin: tuple[str, ...] = ()
    ptx: tuple[str, ...] = ()
    gfx: tuple[str, ...] = ()
    images: tuple[Images, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    not_searched: tuple[str, ...] = ()

    def relocatable_ptx(self) -> tuple[tuple[str, str], ...]:
        """PTX beside the linked code that nobody is known to load: (target, PTX ISA version), distinct."""
        found = {
            (images.target, images.ptx_version or "")
            for images in self.images
            if images.kind == "ptx" and images.place == RELOCATABLE and not images.listed
        }
        return tuple(sorted(found))

    def ptx_modules(self) -> tuple[tuple[str, str], ...]:
        """The PTX that can be loaded: (target, PTX ISA version), distinct. A target may come in several versions."""
        found = {(images.target, images.ptx_version or "") for images in loadable(self.images) if images.kind == "ptx"}
        return tuple(sorted(found, key=lambda module: (natural(module[0]), module[1])))


def natural(target: str) -> tuple[int, str]:
    """The order in which people expect targets: sm_90 before sm_100, gfx targets as text."""
    digits = re.search(r"\d+", target) if not target.startswith("gfx") else None
    return (int(digits[0]) if digits else 0, target)


def to_json(file: BinaryFile) -> dict[str, Any]:
    """`file` as plain data for `json`. `from_json` gives back an equal BinaryFile."""
    return {
        "path": file.path,
        "kind": file.kind,
        "size": file.size,
        "machine": file.machine,
        "bits": file.bits,
        "soname": file.soname,
        "needed": list(file.needed),
        "rpath": list(file.rpath),
        "runpath": list(file.runpath),
        "interpreter": file.interpreter,
        "needs_versions": {name: list(nodes) for name, nodes in file.needs_versions.items()},
        "defines_versions": list(file.defines_versions),
        "cubin": list(file.cubin),
        "ptx": list(file.ptx),
        "gfx": list(file.gfx),
        "images": [
            {
                "place": images.place,
                "kind": images.kind,
                "target": images.target,
                "number": images.number,
                "ptx_version": images.ptx_version,
                "listed": images.listed,
            }
            for images in file.images
        ],
        "unreadable": [{"offset": part.offset, "reason": part.reason} for part in file.unreadable],
        "not_searched": list(file.not_searched),
    }


def from_json(data: Mapping[str, Any]) -> BinaryFile:
    """The BinaryFile that `to_json` wrote. Raises KeyError or TypeError if `data` is something else."""
    return BinaryFile(
        path=data["path"],
        kind=data["kind"],
        size=data["size"],
        machine=data["machine"],
        bits=data["bits"],
        soname=data["soname"],
        needed=tuple(data["needed"]),
        rpath=tuple(data["rpath"]),
        runpath=tuple(data["runpath"]),
        interpreter=data["interpreter"],
        needs_versions={name: tuple(nodes) for name, nodes in data["needs_versions"].items()},
        defines_versions=tuple(data["defines_versions"]),
        cubin=tuple(data["cubin"]),
        ptx=tuple(data["ptx"]),
        gfx=tuple(data["gfx"]),
        images=tuple([Images(**images) for images in data["images"]]),
        unreadable=tuple([Unreadable(**part) for part in data["unreadable"]]),
        not_searched=tuple(data["not_searched"]),
    )
