"""What is in a binary: kernel images, AMD code objects, what it needs and where it looks for that.

Reads ELF files, loose kernel images, static archives, wheels and zip files in place, and folders. Headers only:
nothing is run or loaded, and no GPU, CUDA or ROCm is needed.

examples:
  gpu-doctor binary libtorch_cuda.so
  gpu-doctor binary torch-2.9.1-cp312-cp312-manylinux_2_28_x86_64.whl
  gpu-doctor binary --format jsonl /usr/lib/python3/dist-packages
  gpu-doctor binary --root unpacked-image unpacked-image/usr/bin/app    what it loads there, and what is missing
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from doctor.binary.device_code import Depth
from doctor.binary.record import BinaryFile, Images, to_json
from doctor.binary.scan import scan
from doctor.errors import UsageError
from doctor.text import one_line

if TYPE_CHECKING:
    from doctor.loader.resolution import Edge

SCHEMA = "gpu-doctor/binary/1"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", metavar="PATH", nargs="+", help="a file, a wheel or a folder")
    parser.add_argument(
        "--places",
        choices=[depth.value for depth in Depth],
        default=Depth.KNOWN.value,
        help="where to look for kernel images: only where cuobjdump looks, also where NVIDIA's libraries are known"
        " to keep more (default), or in all data, which reads whole files",
    )
    parser.add_argument(
        "--root",
        metavar="DIR",
        help="also resolve what the files need, as the dynamic loader would with this folder as its root",
    )
    group = parser.add_argument_group("output")
    group.add_argument("--format", choices=("text", "json", "jsonl"), default="text", help="form of the answer")
    group.add_argument("--json", action="store_const", const="json", dest="format", help="short for --format json")
    group.add_argument("--output", metavar="FILE", help="write the answer to a file")
    group.add_argument("--verbose", action="store_true", help="every place with its images, every version node")


def run(options: argparse.Namespace) -> int:
    for path in options.paths:
        try:
            os.stat(path)
        except OSError as error:
            raise UsageError(f"{one_line(path)} cannot be read: {error.strerror}") from None
    answer = _Answer(options.paths, Depth(options.places))
    edges = _edges(options.root, options.paths) if options.root else None
    if options.format == "json":
        _write(_as_json(answer.files(), edges), options.output)
    elif options.format == "jsonl":
        _write(_as_json_lines(answer.files()), options.output)
    else:
        _write(_as_text(answer, options.verbose, edges), options.output)
    return 3 if answer.damaged else 0


def _edges(root: str, paths: list[str]) -> tuple[Edge, ...]:
    """What the files load below the root. Raises UsageError for a file that is not below it."""
    # Imported here: without --root the loader and the facts would be half of the command's time.
    from pathlib import Path

    from doctor.loader.resolve import resolve
    from doctor.tree import DirectoryTree

    top = Path(root).resolve()
    if not top.is_dir():
        raise UsageError(f"--root {one_line(root)} is no folder")
    inside = []
    for path in paths:
        place = Path(path).resolve()
        if not place.is_relative_to(top):
            raise UsageError(f"{one_line(path)} is not below --root {one_line(root)}")
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        inside += [f"/{file.relative_to(top)}" for file in files if file.is_file() and not file.is_symlink()]
    return resolve(DirectoryTree(top), inside, {}).edges


def _edge_json(edge: Edge) -> dict[str, object]:
    from doctor.data.libraries import provider_of

    provider = provider_of(edge.needed)
    return {
        "needed": edge.needed,
        "by": edge.by,
        "found": edge.found,
        "kind": edge.kind,
        "how": edge.how,
        "versions_missing": edge.versions_missing,
        "searched": [{"how": place.how, "path": place.path, "outcome": place.outcome} for place in edge.searched],
        "elsewhere": edge.elsewhere,
        "component": provider.component or None,
        "provider": {"pip": provider.pip, "apt": provider.apt, "debian": provider.debian, "conda": provider.conda},
        "known_majors": provider.majors,
    }


def _edge_lines(edges: tuple[Edge, ...], verbose: bool) -> Iterator[str]:
    """What each file loads: the missing in full, the found on request."""
    from doctor.data.libraries import provider_of

    for edge in edges:
        if edge.missing:
            provider = provider_of(edge.needed)
            yield f"missing: {one_line(edge.needed)}, needed by {one_line(edge.by)}"
            if provider.component:
                names = [*provider.pip, *provider.apt, provider.debian, provider.conda]
                yield f"  it belongs to {provider.component}; provided by {', '.join(filter(None, names)) or 'unknown'}"
            yield from (
                f"  searched {one_line(place.path, 200)} ({place.how}): {place.outcome}" for place in edge.searched
            )
            yield from (f"  there is {one_line(path, 200)}, where the loader does not look" for path in edge.elsewhere)
        elif edge.versions_missing:
            nodes = ", ".join(edge.versions_missing)
            yield f"too old: {one_line(str(edge.found))} has no {one_line(nodes)}, needed by {one_line(edge.by)}"
        elif verbose or edge.kind == "from-driver":
            yield f"{one_line(edge.needed)} of {one_line(edge.by)}: {one_line(edge.how, 200)}"
    gone = sum(edge.missing or bool(edge.versions_missing) for edge in edges)
    yield f"{len(edges)} libraries looked for, {gone} missing or too old"


class _Answer:
    """The files one after another, so that a tree of any size takes no more memory than its largest file's record."""

    def __init__(self, paths: list[str], depth: Depth) -> None:
        self._paths = paths
        self._depth = depth
        self.count = 0
        self.damaged = 0

    def files(self) -> Iterator[BinaryFile]:
        for path in self._paths:
            try:
                for file in scan(path, self._depth):
                    self.count += 1
                    self.damaged += bool(file.unreadable)
                    yield file
            except OSError as error:
                raise UsageError(f"{one_line(path)} cannot be read: {error.strerror}") from None


def _write(pieces: Iterable[str], output: str | None) -> None:
    if output is None:
        for piece in pieces:
            sys.stdout.write(piece)
        sys.stdout.flush()
        return
    part = output + ".part"
    try:
        with open(part, "w", encoding="utf-8") as stream:
            stream.writelines(pieces)
        os.replace(part, output)
    except OSError as error:
        raise UsageError(f"{one_line(output)} cannot be written: {error.strerror}") from None
    finally:
        if os.path.lexists(part):
            os.unlink(part)


def _as_json_lines(files: Iterable[BinaryFile]) -> Iterator[str]:
    import json

    for file in files:
        yield json.dumps(to_json(file)) + "\n"


def _as_json(files: Iterable[BinaryFile], edges: tuple[Edge, ...] | None) -> Iterator[str]:
    import json

    from doctor.version import __version__

    yield f'{{"schema": {json.dumps(SCHEMA)}, "tool_version": {json.dumps(__version__)}, "files": ['
    separator = "\n"
    for file in files:
        yield separator + json.dumps(to_json(file))
        separator = ",\n"
    libraries = f', "libraries": {json.dumps([_edge_json(edge) for edge in edges])}' if edges is not None else ""
    yield f"\n]{libraries}}}\n"


def _as_text(answer: _Answer, verbose: bool, edges: tuple[Edge, ...] | None) -> Iterator[str]:
    for file in answer.files():
        yield "\n".join([one_line(file.path), *[f"  {line}" for line in _lines(file, verbose)]]) + "\n"
    if answer.count == 0:
        yield "no ELF files, kernel images or kernel libraries here\n"
    elif answer.count > 1:
        damage = f", {answer.damaged} that could not be read in full" if answer.damaged else ""
        yield f"{answer.count} binary files{damage}\n"
    if edges is not None:
        yield "\n".join(_edge_lines(edges, verbose)) + "\n"


def _lines(file: BinaryFile, verbose: bool) -> Iterator[str]:
    yield _what(file)
    if file.cubin:
        yield f"CUDA machine code   {' '.join(file.cubin)}"
    if file.ptx:
        yield "PTX                 " + ", ".join(f"{target} (ISA {version})" for target, version in file.ptx_modules())
    if file.gfx:
        yield f"AMD code            {one_line(' '.join(file.gfx))}"
    yield from _places(file.images, verbose)
    if file.needed:
        needed = [_with_versions(name, file.needs_versions.get(name, ()), verbose) for name in file.needed]
        yield f"needs               {one_line(', '.join(needed), 4000)}"
    for tag, paths in (("RPATH", file.rpath), ("RUNPATH", file.runpath)):
        if paths:
            yield f"{tag:<19} {one_line(':'.join(paths), 4000)}"
    for place in file.not_searched:
        yield f"not searched        {one_line(place)}; --places all reads it"
    for part in file.unreadable:
        yield f"could not be read   at offset {part.offset}: {one_line(part.reason)}"


def _what(file: BinaryFile) -> str:
    kind = {"other": "no ELF file, kernel image or archive"}.get(file.kind, file.kind.replace("-", " "))
    words = [kind + (f" for {file.machine}" if file.machine else "")]
    if file.soname is not None:
        words.append(f"SONAME {one_line(file.soname)}")
    words.append(f"{file.size / 1e6:.1f} MB" if file.size >= 100_000 else f"{file.size} bytes")
    return ", ".join(words)


def _places(images: tuple[Images, ...], verbose: bool) -> Iterator[str]:
    """A line for each place that says more than the lists of targets do."""
    for place in dict.fromkeys([row.place for row in images]):
        rows = [row for row in images if row.place == place]
        if not verbose and (place in ("file", "name") or all(row.listed for row in rows)):
            continue
        count = sum(row.number for row in rows)
        targets = " ".join([f"{row.target}×{row.number}" if verbose else row.target for row in rows])
        note = "" if rows[0].listed else ", which cuobjdump does not list"
        yield f"in {one_line(place):<16} {count} images{note}: {one_line(targets, 4000)}"


def _with_versions(name: str, nodes: tuple[str, ...], verbose: bool) -> str:
    shown = nodes if verbose else _newest(nodes)
    return f"{name} ({', '.join(shown)})" if shown else name


def _newest(nodes: tuple[str, ...]) -> list[str]:
    """The highest of each family of version nodes, such as GLIBC_2.34 of GLIBC_*: it implies the lower ones."""
    newest: dict[str, tuple[list[int], str]] = {}
    for node in nodes:
        numbered = re.fullmatch(r"(.*?)_(\d+(?:\.\d+)*)", node)
        family, number = (numbered[1], [int(part) for part in numbered[2].split(".")]) if numbered else (node, [0])
        newest[family] = max(newest.get(family, (number, node)), (number, node))
    return [node for _, node in newest.values()]
