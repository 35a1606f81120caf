"""One file, one archive or one folder -> what is in its binaries, in flat memory.

Formats are known by their first bytes, never by name, except PTX text and kernel libraries, which have no magic.
"""

from __future__ import annotations

import enum
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from doctor.binary import bundle, cubin, elf, fatbin, offload, ptx, static_archive, zip_archive
from doctor.binary.codeobject import code_object_target, target_in_name
from doctor.binary.elf import ElfFile, Section
from doctor.binary.reader import BYTES, Damaged, Part, Problems, Reader, Unreadable, find, open_file
from doctor.binary.record import RELOCATABLE, BinaryFile, Counts, Images


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
# GEMM and convolution libraries of NVIDIA (cublasLt, cusparseLt, cuDNN) keep fatbins here, cuFFT nearly all of its.
_CASK = ".cask_resource"
_LARGE_DATA = ".ldata"
# Sections that every compiler makes and that hold no fatbin at their start: not worth a read each.
_PLAIN_SECTIONS = frozenset(
    (
        ".interp",
        ".rodata",
        ".lrodata",
        ".rodata1",
        ".data",
        ".data1",
        ".data.rel.ro",
        ".data.rel.local",
        ".got",
        ".got.plt",
    )
    + (".eh_frame", ".eh_frame_hdr", ".gcc_except_table", ".init_array", ".fini_array", ".preinit_array", ".ctors")
    + (".dtors", ".jcr", ".tm_clone_table", ".nvFatBinSegment", ".hipFatBinSegment")
)
# Names of text and picture files, of which a Python tree has twenty thousand: opening them would take twice as long as
# all the rest. A list of what to skip, not of what to read, because libraries have names like `libX.so.23.0git`.
_SOURCE = (
    ".py",
    ".pyi",
    ".pyx",
    ".pxd",
    ".c",
    ".cc",
    ".cpp",
    ".cxx",
    ".cu",
    ".cuh",
    ".h",
    ".hh",
    ".hpp",
    ".hxx",
    ".inl",
)
_SCRIPT = (".inc", ".ipp", ".def", ".td", ".f90", ".cmake", ".sh", ".js", ".ts", ".css", ".j2", ".jinja", ".pyc")
_TEXT = (
    ".txt",
    ".md",
    ".rst",
    ".html",
    ".htm",
    ".json",
    ".yaml",
    ".yml",
    ".toml",
    ".xml",
    ".csv",
    ".cfg",
    ".ini",
    ".typed",
)
_PICTURE = (".svg", ".png", ".jpg", ".gif", ".ico", ".ttf", ".woff", ".woff2", ".pdf")
_NOT_BINARY = _SOURCE + _SCRIPT + _TEXT + _PICTURE
_KERNEL_LIBRARY = (".dat", ".dat.zlib", ".co", ".hsaco", ".kdb", ".kdb.bz2")
_PTX_SUFFIX = ".ptx"

_CUBIN_STARTS = (b"\x7fELF\x02\x01\x01\x33", b"\x7fELF\x02\x01\x01\x41")
_CODE_OBJECT_START = b"\x7fELF\x02\x01\x01\x40"

_ELF_KINDS = {elf.ET_REL: "relocatable", elf.ET_EXEC: "executable", elf.ET_DYN: "shared-object"}


@dataclass(slots=True)
class _Found:
    """Kernel images by place while one file is read."""

    places: dict[str, Counts] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)
    problems: Problems = field(default_factory=Problems)
    not_searched: list[str] = field(default_factory=list)

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
            for (kind, target, version), count in sorted(counts.items(), key=lambda item: _natural(item[0][1]))
        ]
        loadable = [image for image in images if image.listed or image.place != RELOCATABLE]
        return replace(
            file,
            cubin=_targets(loadable, "cubin"),
            ptx=_targets(loadable, "ptx"),
            gfx=_targets(loadable, "code-object", "kernel-library", "spirv"),
            images=tuple(images),
            unreadable=file.unreadable + self.problems.records(),
            not_searched=tuple(self.not_searched),
        )


def _targets(images: Iterable[Images], *kinds: str) -> tuple[str, ...]:
    return tuple(sorted({image.target for image in images if image.kind in kinds}, key=_natural))


def _natural(target: str) -> tuple[int, str]:
    digits = re.search(r"\d+", target) if not target.startswith("gfx") else None
    return (int(digits[0]) if digits else 0, target)


def scan_file(reader: Reader, path: str, depth: Depth = Depth.KNOWN) -> BinaryFile:
    """What is in the one file behind `reader`; `path` is only its name. Never raises for what is in the file.

    A file of no known format has the kind `other`; of a zip archive this tells only that it is one.
    """
    if depth is Depth.ALL:
        reader = Reader(reader.source, size_limit=BYTES + 4 * reader.size)
    found = _Found()
    file = BinaryFile(path, "other", reader.size)
    try:
        file = _by_first_bytes(reader, file, depth, found)
    except Damaged as damage:
        found.problems.add(damage.offset, damage.reason)
    return found.into(file)


def _by_first_bytes(reader: Reader, file: BinaryFile, depth: Depth, found: _Found) -> BinaryFile:
    head = reader.read_at(0, 24)
    if head[:4] == elf.MAGIC:
        return _scan_elf(reader, file, depth, found)
    if head[:4] == fatbin.MAGIC:
        fatbin.count_images(reader, 0, reader.size, found.at("file"), found.problems, expected=True)
        return replace(file, kind="fatbin")
    if head == bundle.PLAIN or head[:4] == bundle.COMPRESSED:
        bundle.count_bundles(reader, 0, reader.size, found.at("file"), found.problems, expected=True)
        return replace(file, kind="bundle")
    if head[:4] == offload.MAGIC:
        offload.count_offload_images(reader, 0, reader.size, found.at("file"), found.problems)
        return replace(file, kind="bundle")
    if head[:8] == static_archive.MAGIC:
        return _scan_static_archive(reader, file, depth, found)
    if head[:8] == static_archive.THIN_MAGIC:
        found.problems.add(0, "a thin archive: its objects are other files")
        return replace(file, kind="static-archive")
    if head[:4] == zip_archive.MAGIC:
        return replace(file, kind="zip")
    return _by_name(reader, file, found)


def _by_name(reader: Reader, file: BinaryFile, found: _Found) -> BinaryFile:
    name = file.path.rpartition("/")[2]
    if name.endswith(_PTX_SUFFIX):
        ptx.count_ptx(reader, found.at("file"))
        return replace(file, kind="ptx")
    target = target_in_name(name) if name.endswith(_KERNEL_LIBRARY) else None
    if target is None:
        return file
    found.at("name")["kernel-library", target, None] = 1
    return replace(file, kind="kernel-library")


def _scan_elf(reader: Reader, file: BinaryFile, depth: Depth, found: _Found) -> BinaryFile:
    try:
        headers = elf.read_elf(reader)
    except Damaged as damage:
        found.problems.add(damage.offset, damage.reason)
        return replace(file, kind="elf")
    file = _elf_facts(file, headers)
    try:
        if headers.machine == "cuda":
            found.at("file")["cubin", cubin.cubin_target(reader, headers), None] = 1
        elif headers.machine == "amdgpu":
            found.at("file")["code-object", code_object_target(headers), None] = 1
        elif headers.sections:
            _scan_sections(reader, headers, depth, found)
        else:
            _search_segments(reader, headers, found)
    except Damaged as damage:
        found.problems.add(damage.offset, damage.reason)
    return file


def _elf_facts(file: BinaryFile, headers: ElfFile) -> BinaryFile:
    kind = {"cuda": "cubin", "amdgpu": "code-object"}.get(headers.machine) or _ELF_KINDS.get(headers.type, "elf")
    return replace(
        file,
        kind=kind,
        machine=headers.machine,
        bits=headers.bits,
        soname=headers.soname,
        needed=headers.needed,
        rpath=headers.rpath,
        runpath=headers.runpath,
        interpreter=headers.interpreter,
        needs_versions=headers.needs_versions,
        defines_versions=headers.defines_versions,
        unreadable=headers.unreadable,
    )


def _scan_sections(reader: Reader, headers: ElfFile, depth: Depth, found: _Found) -> None:
    relocatable = headers.type == elf.ET_REL
    rest = []
    for section in headers.sections:
        name, kind, flags, start, size = section
        end = start + size
        if kind == elf.SHT_NOBITS or not size:
            continue
        if end > reader.size:
            if flags & elf.SHF_ALLOC:
                found.problems.add(start, f"section {name} ends after the end of the file")
            end = reader.size
        if name in _FATBIN_SECTIONS:
            fatbin.count_images(reader, start, end, found.at(name), found.problems, expected=True)
        elif name == _CASK:
            if depth is not Depth.LISTED:
                counts = found.at(name, listed=False)
                fatbin.count_images(reader, start, end, counts, found.problems, expected=False)
        elif name == _LARGE_DATA:
            _scan_large_data(reader, start, end, depth, found)
        elif name.startswith(".hip_fatbin"):
            bundle.count_bundles(reader, start, end, found.at(name), found.problems, expected=True)
        elif name.startswith(".llvm.offloading"):
            offload.count_offload_images(reader, start, end, found.at(name), found.problems)
        elif name.startswith(_BUNDLE_SECTION):
            bundle.add_entry(name[len(_BUNDLE_SECTION) :], found.at(_BUNDLE_SECTION))
        elif kind == elf.SHT_PROGBITS and flags & elf.SHF_ALLOC and not flags & elf.SHF_EXECINSTR:
            known = name in _PLAIN_SECTIONS or relocatable
            if known or not _scan_by_start(reader, section, end, found):
                rest.append(section)
    if depth is Depth.ALL:
        for section in rest:
            end = min(section.offset + section.size, reader.size)
            _search(reader, section.offset, end, found.at(section.name, listed=False))


# The bundler of clang before 16 gives each target a section of this name in an object file.
_BUNDLE_SECTION = "__CLANG_OFFLOAD_BUNDLE__"


def _scan_large_data(reader: Reader, start: int, end: int, depth: Depth, found: _Found) -> None:
    # cuFFT's is full of fatbins from its first pages on; other libraries' `.ldata` is 100 MB of tables without any.
    near = find(reader, (fatbin.MAGIC,), start, min(end, start + 65_536))
    if depth is Depth.ALL or (near is not None and depth is Depth.KNOWN):
        counts = found.at(_LARGE_DATA, listed=False)
        fatbin.count_images(reader, start, end, counts, found.problems, expected=False)
    else:
        found.not_searched.append(_LARGE_DATA)


def _scan_by_start(reader: Reader, section: Section, end: int, found: _Found) -> bool:
    """Reads a section of any name that starts as a place for kernel images does: somebody may have renamed it."""
    start = section.offset
    head = reader.read_at(start, min(24, end - start))
    if head[:8] == fatbin.MAGIC + b"\x01\0\x10\0":
        fatbin.count_images(reader, start, end, found.at(section.name), found.problems, expected=True)
    elif head == bundle.PLAIN or (head[:4] == bundle.COMPRESSED and head[5:6] == b"\0"):
        bundle.count_bundles(reader, start, end, found.at(section.name), found.problems, expected=True)
    elif head[:4] == offload.MAGIC:
        offload.count_offload_images(reader, start, end, found.at(section.name), found.problems)
    else:
        return False
    return True


def _search_segments(reader: Reader, headers: ElfFile, found: _Found) -> None:
    """Without section headers the images can only be searched for; the loader maps them all the same."""
    for segment in headers.segments:
        if segment.type == elf.PT_LOAD:
            end = min(segment.offset + segment.file_size, reader.size)
            _search(reader, segment.offset, end, found.at("segment", listed=False))


def _search(reader: Reader, start: int, end: int, counts: Counts) -> None:
    """Counts every fatbin region, bundle, cubin and code object in [start, end), which has other data in it too."""
    needles = (fatbin.MAGIC, bundle.PLAIN, bundle.COMPRESSED, *_CUBIN_STARTS, _CODE_OBJECT_START)
    at = start
    while (hit := find(reader, needles, at, end)) is not None:
        at, needle = hit
        try:
            if needle == fatbin.MAGIC:
                at = fatbin.count_region(reader, at, end, counts)
            elif needle in (bundle.PLAIN, bundle.COMPRESSED):
                at += max(bundle.count_bundle(reader, at, end, counts), 1)
            else:
                at += _count_device_elf(Reader(Part(reader, at, end - at)), counts)
        except Damaged:
            # A constant that looks like a magic number, or the budget is spent: then the next read raises again.
            at += 1


def _count_device_elf(reader: Reader, counts: Counts) -> int:
    """Counts the device ELF file at the start of `reader`; how many bytes of it can be passed over."""
    headers = elf.read_elf(reader)
    if headers.machine == "cuda":
        name = ("cubin", cubin.cubin_target(reader, headers), None)
    elif headers.machine == "amdgpu":
        name = ("code-object", code_object_target(headers), None)
    else:
        return 1
    counts[name] = counts.get(name, 0) + 1
    ends = [section.offset + section.size for section in headers.sections if section.type != elf.SHT_NOBITS]
    return max([64, *[end for end in ends if end <= reader.size]])


def _scan_static_archive(reader: Reader, file: BinaryFile, depth: Depth, found: _Found) -> BinaryFile:
    """All objects of a static archive together: its kernel images, and the machine of the first object."""
    machine: str | None = None
    try:
        for member in static_archive.objects(reader):
            if member.read_at(0, 4) == elf.MAGIC:
                inner = _scan_elf(member, BinaryFile(file.path, "other", member.size), depth, found)
                machine = machine or inner.machine
                for part in inner.unreadable:
                    found.problems.add(part.offset, part.reason)
    except Damaged as damage:
        found.problems.add(damage.offset, damage.reason)
    return replace(file, kind="static-archive", machine=machine)


def scan(path: str, depth: Depth = Depth.KNOWN) -> Iterator[BinaryFile]:
    """What is in the file, archive or folder at `path`, which may be a symbolic link.

    A single file is always given, also if it is no binary; of a folder or an archive only the binary files are, and
    the archive itself last. Raises OSError if `path` cannot be opened.
    """
    if os.path.isdir(path):
        yield from scan_tree(path, depth)
        return
    with open_file(path) as reader:
        yield from _scan_with_members(reader, path, depth)


def scan_tree(path: str, depth: Depth = Depth.KNOWN) -> Iterator[BinaryFile]:
    """What is in every binary file under `path`, and in zip archives there; symbolic links are not followed.

    A folder or file that cannot be opened is given with the reason in `unreadable`, not raised.
    """
    folders = [path]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as rows:
                entries = sorted(rows, key=lambda entry: entry.name)
        except OSError as error:
            yield _unopened(folder, "folder", error)
            continue
        inner = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                inner.append(entry.path)
            elif entry.is_file(follow_symlinks=False) and not entry.name.endswith(_NOT_BINARY):
                yield from _scan_listed(entry.path, depth)
        folders.extend(reversed(inner))


def _scan_listed(path: str, depth: Depth) -> Iterator[BinaryFile]:
    try:
        with open_file(path) as reader:
            for file in _scan_with_members(reader, path, depth):
                if _is_binary(file):
                    yield file
    except OSError as error:
        yield _unopened(path, "other", error)


def _is_binary(file: BinaryFile) -> bool:
    return file.kind not in ("other", "zip") or bool(file.unreadable)


def _unopened(path: str, kind: str, error: OSError) -> BinaryFile:
    return BinaryFile(path, kind, 0, unreadable=(Unreadable(0, error.strerror or type(error).__name__),))


def _scan_with_members(reader: Reader, path: str, depth: Depth) -> Iterator[BinaryFile]:
    file = scan_file(reader, path, depth)
    if file.kind != "zip":
        yield file
        return
    problems = Problems()
    try:
        yield from _scan_members(reader, path, depth)
    except Damaged as damage:
        problems.add(damage.offset, damage.reason)
    yield replace(file, unreadable=problems.records())


def _scan_members(reader: Reader, path: str, depth: Depth) -> Iterator[BinaryFile]:
    packed = 0
    for member in zip_archive.members(reader):
        if member.name.endswith(_NOT_BINARY):
            continue
        packed += member.packed_size
        if packed > reader.size:
            raise Damaged(member.offset, "the members of the zip archive overlap")
        name = f"{path}!{member.name}"
        try:
            file = scan_file(zip_archive.open_member(reader, member), name, depth)
        except Damaged as damage:
            file = BinaryFile(name, "other", member.size, unreadable=(Unreadable(damage.offset, damage.reason),))
        if file.kind == "zip":
            file = replace(file, unreadable=(Unreadable(0, "an archive inside an archive is not opened"),))
        if _is_binary(file):
            yield file
