"""A binary file's record as lines of text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from doctor.binary.record import RELOCATABLE, BinaryFile, Images
from doctor.text import one_line

if TYPE_CHECKING:
    from doctor.binary.details import Details

_WIDE = 4000


def file_lines(file: BinaryFile, verbose: bool) -> Iterator[str]:
    yield _what(file)
    if file.cubin:
        yield f"CUDA machine code   {' '.join(file.cubin)}"
    if file.ptx:
        yield "PTX                 " + ", ".join(f"{target} (ISA {version})" for target, version in file.ptx_modules())
    if file.gfx:
        yield f"AMD code            {one_line(' '.join(file.gfx), _WIDE)}"
    yield from _places(file.images, verbose)
    if file.needed:
        needed = [_with_versions(name, file.needs_versions.get(name, ()), verbose) for name in file.needed]
        yield f"needs               {one_line(', '.join(needed), _WIDE)}"
        if verbose:
            yield from _providers(file.needed)
    for tag, paths in (("RPATH", file.rpath), ("RUNPATH", file.runpath)):
        if paths:
            yield f"{tag:<19} {one_line(':'.join(paths), _WIDE)}"
    for place in file.not_searched:
        yield f"not searched        {one_line(place)}; --places known or all reads it"
    for part in file.unreadable:
        yield f"could not be read   at offset {part.offset}: {one_line(part.reason)}"


def _providers(needed: tuple[str, ...]) -> Iterator[str]:
    """Where the GPU libraries that it needs come from."""
    from doctor.data.libraries import provider_of

    for name in needed:
        provider = provider_of(name)
        pip = [] if provider.names_unverified else [f"pip {' or '.join(provider.pip)}"] * bool(provider.pip)
        debian = [f"Debian {provider.debian}"] * bool(provider.debian)
        if provider.kind == "driver":
            yield one_line(f"{name} comes with the NVIDIA driver, into a container with the toolkit", _WIDE)
        elif provider.kind != "distribution" and (pip or debian):
            yield one_line(f"{name} is of {provider.component}: {', '.join([*pip, *debian])}", _WIDE)


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
        known = "which cuobjdump lists with -all only" if place == RELOCATABLE else "which cuobjdump does not list"
        note = "" if rows[0].listed else f", {known}"
        yield f"in {one_line(place):<16} {count} images{note}: {one_line(targets, _WIDE)}"


def _with_versions(name: str, nodes: tuple[str, ...], verbose: bool) -> str:
    shown = nodes if verbose else _newest(nodes)
    return f"{name} ({', '.join(shown)})" if shown else name


@lru_cache(maxsize=1024)  # the libraries of one tree need the same few
def _newest(nodes: tuple[str, ...]) -> list[str]:
    """The highest of each family of version nodes, such as GLIBC_2.34 of GLIBC_*: it implies the lower ones."""
    newest: dict[str, tuple[list[int], str]] = {}
    for node in nodes:
        numbered = re.fullmatch(r"(.*?)_(\d{1,9}(?:\.\d{1,9})*)", node)
        family, number = (numbered[1], [int(part) for part in numbered[2].split(".")]) if numbered else (node, [0])
        newest[family] = max(newest.get(family, (number, node)), (number, node))
    return [node for _, node in newest.values()]


def detail_lines(found: Details) -> Iterator[str]:
    if found.build_id:
        yield f"build id            {one_line(found.build_id)}"
    if found.executable_stack:
        yield "executable stack    glibc 2.41 and later refuse to open it in a running program"
    if found.static_tls:
        yield "static TLS          opened late it may fail: cannot allocate memory in static TLS block"
    for node in found.nodes:
        shown = ", ".join(node.symbols[:6]) + (f" and {len(node.symbols) - 6} more" if len(node.symbols) > 6 else "")
        yield one_line(f"asks {node.library} for {node.name}: {shown or 'no symbol'}", _WIDE)
