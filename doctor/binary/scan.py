"""One file, one archive or one folder -> what is in its binaries, in flat memory.

Formats are known by their first bytes, never by name, except PTX text and kernel libraries, which have no magic.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from operator import attrgetter

from doctor.binary import device_code, elf, fatbin, magic
from doctor.binary.device_code import Depth, Found
from doctor.binary.elf import ElfFile
from doctor.binary.reader import BYTES, Damaged, Problems, Reader, Unreadable, open_file
from doctor.binary.record import BinaryFile

# Names of text and picture files, of which a Python tree has twenty thousand: opening them would take twice as long as
# all the rest. A list of what to skip, not of what to read, because libraries have names like `libX.so.23.0git`.
_NOT_BINARY_NAMES = (
    ".py .pyc .pyi .pyx .pxd .c .cc .cpp .cxx .cu .cuh .h .hh .hpp .hxx .inl .inc .ipp .def .td .f90 .cmake .sh .js"
    " .ts .css .j2 .jinja .txt .md .rst .html .htm .json .yaml .yml .toml .xml .csv .cfg .ini .typed .svg .png .jpg"
    " .gif .ico .ttf .woff .woff2 .pdf"
)
_NOT_BINARY = tuple(_NOT_BINARY_NAMES.split())
_KERNEL_LIBRARY = (".dat", ".dat.zlib", ".co", ".hsaco", ".kdb", ".kdb.bz2")
_PTX_SUFFIX = ".ptx"

_ELF_KINDS = {elf.ET_REL: "relocatable", elf.ET_DYN: "shared-object"}


def scan_file(reader: Reader, path: str, depth: Depth = Depth.KNOWN) -> BinaryFile:
    """What is in the one file behind `reader`; `path` is only its name. Never raises for what is in the file.

    A file of no known format has the kind `other`; of a zip archive this tells only that it is one.
    """
    if depth is Depth.ALL:
        reader = Reader(reader.source, size_limit=BYTES + 2 * reader.size)
    found = Found()
    file = BinaryFile(path, "other", reader.size)
    try:
        file = _by_first_bytes(reader, file, depth, found)
    except Damaged as damage:
        found.problems.add(damage.offset, damage.reason)
    return found.into(file)


def _by_first_bytes(reader: Reader, file: BinaryFile, depth: Depth, found: Found) -> BinaryFile:
    head = reader.read_at(0, 24)
    if head[:4] == magic.ELF:
        return _scan_elf(reader, file, depth, found)
    if head[:4] == magic.FATBIN:
        fatbin.count_images(reader, 0, reader.size, found.at("file"), found.problems, expected=True)
        return file._replace(kind="fatbin")
    if head == magic.BUNDLE or head[:4] == magic.COMPRESSED_BUNDLE:
        device_code.count_bundles(reader, 0, reader.size, found.at("file"), found.problems)
        return file._replace(kind="bundle")
    if head[:4] == magic.OFFLOAD_BINARY:
        device_code.count_offload_images(reader, 0, reader.size, found.at("file"), found.problems)
        return file._replace(kind="bundle")
    if head[:8] == magic.STATIC_ARCHIVE:
        return _scan_static_archive(reader, file, depth, found)
    if head[:8] == magic.THIN_ARCHIVE:
        found.problems.add(0, "a thin archive: its objects are other files")
        return file._replace(kind="static-archive")
    if head[:4] == magic.ZIP:
        return file._replace(kind="zip")
    return _by_name(reader, file, found)


def _by_name(reader: Reader, file: BinaryFile, found: Found) -> BinaryFile:
    name = file.path.rpartition("/")[2]
    if name.endswith(_PTX_SUFFIX):
        from doctor.binary.ptx import count_ptx

        count_ptx(reader, found.at("file"))
        return file._replace(kind="ptx")
    if not name.endswith(_KERNEL_LIBRARY):
        return file
    from doctor.binary.codeobject import target_in_name

    target = target_in_name(name)
    if target is None:
        return file
    if file.size == 0:
        raise Damaged(0, "the file is empty")
    found.at("name")["kernel-library", target, None] = 1
    return file._replace(kind="kernel-library")


def _scan_elf(reader: Reader, file: BinaryFile, depth: Depth, found: Found, in_archive: bool = False) -> BinaryFile:
    try:
        headers = elf.read_elf(reader, device_code.OBJECT_SECTIONS if in_archive else ())
    except Damaged as damage:
        found.problems.add(damage.offset, damage.reason)
        return file._replace(kind="elf")
    file = _elf_facts(file, headers)
    try:
        image = device_code.device_image(reader, headers)
        if image is not None:
            kind, target = image
            found.at("file")[kind, target, None] = 1
        elif headers.sections:
            device_code.count_in_sections(reader, headers, file.path.rpartition("/")[2], depth, found)
        else:
            device_code.count_in_segments(reader, headers, found)
    except Damaged as damage:
        found.problems.add(damage.offset, damage.reason)
    return file


def _elf_facts(file: BinaryFile, headers: ElfFile) -> BinaryFile:
    kind = "executable" if headers.is_program else _ELF_KINDS.get(headers.type, "elf")
    kind = {"cuda": "cubin", "amdgpu": "code-object"}.get(headers.machine, kind)
    return file._replace(
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


def _scan_static_archive(reader: Reader, file: BinaryFile, depth: Depth, found: Found) -> BinaryFile:
    """All objects of a static archive together: its kernel images, and the machine of the first object."""
    from doctor.binary import static_archive

    machine: str | None = None
    try:
        for member in static_archive.objects(reader):
            if member.read_at(0, 4) == magic.ELF:
                inner = _scan_elf(member, BinaryFile(file.path, "other", member.size), depth, found, in_archive=True)
                machine = machine or inner.machine
                for part in inner.unreadable:
                    found.problems.add(part.offset, part.reason)
    except Damaged as damage:
        found.problems.add(damage.offset, damage.reason)
    return file._replace(kind="static-archive", machine=machine)


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
                entries = sorted(rows, key=attrgetter("name"))
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
    yield file._replace(unreadable=problems.records())


def _scan_members(reader: Reader, path: str, depth: Depth) -> Iterator[BinaryFile]:
    from doctor.binary import zip_archive

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
            file = file._replace(unreadable=(Unreadable(0, "an archive inside an archive is not opened"),))
        if _is_binary(file):
            yield file
