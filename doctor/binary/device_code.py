"""Where a host ELF file keeps device code, place by place.

Places: `fatbinary_section.h` of the CUDA toolkit 13.0 (`.nv_fatbin`, `__nv_relfatbin`),
https://github.com/ROCm/HIP `src/hip_fatbin.h` (`.hip_fatbin`), https://llvm.org/docs/CommandGuide/llvm-offload-binary.html
(`.llvm.offloading`). The other places are those of NVIDIA's own libraries as found in their wheels.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from doctor.binary import elf, fatbin, magic
from doctor.binary.elf import ElfFile, Section
from doctor.binary.reader import Damaged, Part, Problems, Reader, find
from doctor.binary.record import CASK, LARGE_DATA, RELOCATABLE, SEGMENT, BinaryFile, Counts, Images, loadable, natural


class Depth(enum.Enum):
    """How far to look for kernel images in ELF files.

    LISTED: the sections that `cuobjdump` and the LLVM tools list; headers only, under 0.1 % of a large file's bytes.
    KNOWN: also the sections where NVIDIA's own libraries keep images that no tool lists.
    ALL: also the whole of every other data section, which reads it all.
    """

    LISTED = "listed"
    KNOWN = "known"
    ALL = "all"


_FINAL = ".nv_fatbin"
_FATBIN_SECTIONS = frozenset({_FINAL, RELOCATABLE})
# Libraries that also keep fatbins or bare cubins among their constants, by the start of their names: cuSPARSE what it
# links at run time, ONNX Runtime a hundred attention kernels. What CUPTI has there it patches into others' code: no
# program would miss it.
_KEEP_IN_CONSTANTS = ("libcusparse.so", "libonnxruntime_providers_cuda.so")
# Libraries whose large data are tables without an image: cuBLAS 13.1 and 13.10 and cuDNN 9.24 were searched whole.
_KEEP_TABLES = ("libcublasLt.so", "libcudnn_")
_CONSTANTS = frozenset({".rodata", ".data"})
_CUDA_NEEDLES = (magic.FATBIN, magic.OLD_CUBIN, magic.NEW_CUBIN)
_NEEDLES = (*_CUDA_NEEDLES, magic.BUNDLE, magic.COMPRESSED_BUNDLE, magic.CODE_OBJECT)
# Sections that every compiler makes and that hold no fatbin at their start: not worth a read each.
_PLAIN_NAMES = (
    ".interp .rodata .rodata1 .lrodata .data .data1 .data.rel.ro .data.rel.local .got .got.plt .eh_frame"
    " .eh_frame_hdr .gcc_except_table .init_array .fini_array .preinit_array .ctors .dtors .jcr .tm_clone_table"
    " .nvFatBinSegment .hipFatBinSegment"
)
_PLAIN_SECTIONS = frozenset(_PLAIN_NAMES.split())
# The bundler of clang before 16 gives each target a section of this name in an object file.
_BUNDLE_SECTION = "__CLANG_OFFLOAD_BUNDLE__"
# What compilers call the places for device code in an object file.
OBJECT_SECTIONS = (b"nv_fatbin", b"nv_relfatbin", b"hip_fatbin", b"llvm.offloading", _BUNDLE_SECTION.encode())


class Found:
    """Kernel images by place while one file is read."""

    __slots__ = ("not_searched", "places", "problems", "unlisted")

    def __init__(self) -> None:
        self.places: dict[str, Counts] = {}
        self.unlisted: set[str] = set()
        self.problems = Problems()
        self.not_searched: list[str] = []

    def at(self, place: str, listed: bool = True) -> Counts:
        if not listed:
            self.unlisted.add(place)
        return self.places.setdefault(place, {})

    def into(self, file: BinaryFile) -> BinaryFile:
        if _FINAL in self.places:
            self.unlisted.add(RELOCATABLE)
        images = [
            Images(place, kind, target, count, version, place not in self.unlisted)
            for place, counts in self.places.items()
            for (kind, target, version), count in sorted(counts.items(), key=lambda item: natural(item[0][1]))
        ]
        loaded = loadable(images)
        return file._replace(
            cubin=_targets(loaded, "cubin"),
            ptx=_targets(loaded, "ptx"),
            gfx=_targets(loaded, "code-object", "kernel-library", "spirv"),
            images=tuple(images),
            unreadable=file.unreadable + self.problems.records(),
            not_searched=tuple(self.not_searched),
        )


def _targets(images: Iterable[Images], *kinds: str) -> tuple[str, ...]:
    return tuple(sorted({image.target for image in images if image.kind in kinds}, key=natural))


def count_in_sections(reader: Reader, headers: ElfFile, name: str, depth: Depth, found: Found) -> None:
    """Counts the kernel images of an ELF file, section by section; `name` is what the file is called."""
    rest = []
    called = headers.soname or name
    for section in headers.sections:
        if section.type == elf.SHT_NOBITS or not section.size:
            continue
        if section.offset + section.size > reader.size and section.flags & elf.SHF_ALLOC:
            found.problems.add(section.offset, f"section {section.name} ends after the end of the file")
        end = min(section.offset + section.size, reader.size)
        if section.name == LARGE_DATA and depth is Depth.KNOWN and called.startswith(_KEEP_TABLES):
            continue
        if _count_by_name(reader, section, end, depth, found) or not _is_data(section):
            continue
        plain = section.name in _PLAIN_SECTIONS or headers.type == elf.ET_REL
        if plain or not _count_by_start(reader, section, end, found):
            rest.append((section, end))
    # Of most libraries the rest is searched on request alone.
    needles: tuple[bytes, ...] = _NEEDLES
    if depth is not Depth.ALL:
        keeps = depth is Depth.KNOWN and called.startswith(_KEEP_IN_CONSTANTS)
        needles = _CUDA_NEEDLES
        rest = [(section, end) for section, end in rest if keeps and section.name in _CONSTANTS]
    for section, end in rest:
        _search(reader, section.offset, end, needles, found.at(section.name, listed=False), found.problems)


def _is_data(section: Section) -> bool:
    flags = section.flags
    return section.type == elf.SHT_PROGBITS and bool(flags & elf.SHF_ALLOC) and not flags & elf.SHF_EXECINSTR


def _count_by_name(reader: Reader, section: Section, end: int, depth: Depth, found: Found) -> bool:
    """Counts the images of a section whose name says that it is a place for them; whether it is one."""
    name, start = section.name, section.offset
    if name in _FATBIN_SECTIONS:
        fatbin.count_images(reader, start, end, found.at(name), found.problems, expected=True)
    elif name == CASK:
        _count_among_other(reader, section, end, depth is not Depth.LISTED, found)
    elif name == LARGE_DATA:
        # cuFFT's is full of fatbins from its first pages on; other libraries' is 100 MB of tables without any.
        first_pages = min(end, start + 65_536)
        wanted = depth is Depth.KNOWN and find(reader, (magic.FATBIN,), start, first_pages) is not None
        _count_among_other(reader, section, end, wanted or depth is Depth.ALL, found)
    elif name.startswith(".hip_fatbin"):
        count_bundles(reader, start, end, found.at(name), found.problems)
    elif name.startswith(".llvm.offloading"):
        count_offload_images(reader, start, end, found.at(name), found.problems)
    elif name.startswith(_BUNDLE_SECTION):
        from doctor.binary.bundle import add_entry

        add_entry(name[len(_BUNDLE_SECTION) :], found.at(_BUNDLE_SECTION))
    else:
        return False
    return True


def _count_among_other(reader: Reader, section: Section, end: int, wanted: bool, found: Found) -> None:
    """Counts the fatbins of a section that has other data in it too, if that is wanted."""
    if wanted:
        counts = found.at(section.name, listed=False)
        fatbin.count_images(reader, section.offset, end, counts, found.problems, expected=False)
    else:
        found.not_searched.append(section.name)


def _count_by_start(reader: Reader, section: Section, end: int, found: Found) -> bool:
    """Reads a section of any name that starts as a place for kernel images does: somebody may have renamed it."""
    start = section.offset
    head = reader.read_at(start, min(24, end - start))
    if head[:8] == magic.FATBIN + magic.FATBIN_VERSION_AND_SIZE:
        fatbin.count_images(reader, start, end, found.at(section.name), found.problems, expected=True)
    elif head == magic.BUNDLE or (head[:4] == magic.COMPRESSED_BUNDLE and head[5:6] == b"\0"):
        count_bundles(reader, start, end, found.at(section.name), found.problems)
    elif head[:4] == magic.OFFLOAD_BINARY:
        count_offload_images(reader, start, end, found.at(section.name), found.problems)
    else:
        return False
    return True


def count_bundles(reader: Reader, start: int, end: int, counts: Counts, problems: Problems) -> None:
    """`doctor.binary.bundle.count_bundles`, imported when the first bundle is met."""
    from doctor.binary import bundle

    bundle.count_bundles(reader, start, end, counts, problems)


def count_offload_images(reader: Reader, start: int, end: int, counts: Counts, problems: Problems) -> None:
    """`doctor.binary.offload.count_offload_images`, imported when the first offload binary is met."""
    from doctor.binary import offload

    offload.count_offload_images(reader, start, end, counts, problems)


def count_in_segments(reader: Reader, headers: ElfFile, found: Found) -> None:
    """Without section headers the images can only be searched for; the loader maps them all the same."""
    for segment in headers.segments:
        if segment.type == elf.PT_LOAD:
            end = min(segment.offset + segment.file_size, reader.size)
            _search(reader, segment.offset, end, _NEEDLES, found.at(SEGMENT, listed=False), found.problems)


def _search(
    reader: Reader, start: int, end: int, needles: tuple[bytes, ...], counts: Counts, problems: Problems
) -> None:
    """Counts every image in [start, end) that starts with one of the needles; there is other data in it too."""
    from doctor.binary.bundle import count_bundle

    at = start
    while (hit := find(reader, needles, at, end)) is not None:
        at, needle = hit
        try:
            if needle == magic.FATBIN:
                at = fatbin.count_region(reader, at, end, counts, problems)
            elif needle in (magic.BUNDLE, magic.COMPRESSED_BUNDLE):
                at += max(count_bundle(reader, at, end, counts), 1)
            else:
                at += _count_device_elf(Reader(Part(reader, at, end - at)), counts)
        except Damaged:
            # A constant that looks like a magic number, or the budget is spent: then the next read raises again.
            at += 1


def _count_device_elf(reader: Reader, counts: Counts) -> int:
    """Counts the device ELF file at the start of `reader`; how many bytes of it can be passed over."""
    headers = elf.read_elf(reader)
    image = device_image(reader, headers)
    if image is None:
        return 1
    name = (*image, None)
    counts[name] = counts.get(name, 0) + 1
    ends = [section.offset + section.size for section in headers.sections if section.type != elf.SHT_NOBITS]
    return max([64, *[end for end in ends if end <= reader.size]])


def device_image(reader: Reader, headers: ElfFile) -> tuple[str, str] | None:
    """Kind and target of a device ELF file (`cubin`, `code-object`); None of any other. Raises Damaged without one."""
    if headers.machine == "cuda":
        from doctor.binary.cubin import cubin_target

        return "cubin", cubin_target(reader, headers)
    if headers.machine == "amdgpu":
        from doctor.binary.codeobject import code_object_target

        return "code-object", code_object_target(headers)
    return None
