"""Do the binary readers see what the reference tools see, in every file of real wheels and packages?

    python benchmarks/fetch_wheels.py && python benchmarks/binary_agreement.py > agreement.md

Compares with cuobjdump (kernel images), with what ptxas left inside the images (suffixes), with clang-offload-bundler
(AMD bundles, if installed) and with readelf (dynamic section, version needs). Prints Markdown. Takes some minutes.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from fetch_wheels import HOME

from doctor.binary.device_code import Depth
from doctor.binary.elf import read_elf
from doctor.binary.reader import Reader, open_file
from doctor.binary.record import BinaryFile
from doctor.binary.scan import scan, scan_file

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

SAMPLES = 200


def cuobjdump(home: Path) -> str:
    found = next((home / "w").glob("*/**/cuobjdump"), None)
    if found is None:
        raise SystemExit("no cuobjdump: run fetch_wheels.py cuobjdump")
    found.chmod(0o755)
    return str(found)


def listed_by_cuobjdump(tool: str, path: str, *more: str) -> tuple[Counter[str], Counter[str]] | None:
    """Targets of the ELF and of the PTX images it lists; None if it dies."""
    run = subprocess.run([tool, *more, "--list-elf", "--list-ptx", path], capture_output=True, text=True, check=False)
    if run.returncode and "does not contain device code" not in run.stdout + run.stderr:
        return None
    elf = Counter(re.findall(r"^ELF file +\d+: .*\.(sm_\w+)\.cubin$", run.stdout, re.MULTILINE))
    return elf, Counter(re.findall(r"^PTX file +\d+: .*\.(sm_\w+)\.ptx$", run.stdout, re.MULTILINE))


def listed_by_us(file: BinaryFile, relocatable: bool) -> tuple[Counter[str], Counter[str]]:
    elf: Counter[str] = Counter()
    ptx: Counter[str] = Counter()
    for images in file.images:
        if images.listed or (relocatable and images.place == "__nv_relfatbin"):
            if images.kind == "cubin":
                elf[images.target] += images.number
            elif images.kind == "ptx":
                ptx[images.target.replace("compute_", "sm_")] += images.number
    return elf, ptx


def without_f(counts: Counter[str]) -> Counter[str]:
    """cuobjdump writes sm_100 for sm_100f."""
    found: Counter[str] = Counter()
    for target, count in counts.items():
        found[target.removesuffix("f")] += count
    return found


def kernel_images(files: list[BinaryFile], tool: str) -> None:
    print("## CUDA images against cuobjdump\n")
    print("| file | MB | options | images (ours) | PTX (ours) | cuobjdump | verdict |")
    print("|---|---|---|---|---|---|---|")
    verdicts: Counter[str] = Counter()
    totals = Counter[str]()
    for file in files:
        both = {images.place for images in file.images} >= {".nv_fatbin", "__nv_relfatbin"}
        for words in [(), ("-all",)] if both else [()]:
            ours = listed_by_us(file, bool(words))
            theirs = listed_by_cuobjdump(tool, file.path, *words)
            verdict = _verdict(ours, theirs)
            verdicts[verdict] += 1
            mine = (ours[0].total(), ours[1].total())
            if theirs is not None:
                totals.update(ours=sum(mine), theirs=theirs[0].total() + theirs[1].total())
            shown = "dies" if theirs is None else f"{theirs[0].total()} + {theirs[1].total()}"
            name = os.path.basename(file.path)
            print(
                f"| {name} | {file.size / 1e6:.1f} | {' '.join(words)} | {mine[0]} | {mine[1]} | {shown} | {verdict} |"
            )
    print(f"\n{dict(verdicts)}; images where cuobjdump answers: ours {totals['ours']}, its {totals['theirs']}\n")


def _verdict(ours: tuple[Counter[str], Counter[str]], theirs: tuple[Counter[str], Counter[str]] | None) -> str:
    if theirs is None:
        return "not comparable"
    if ours == theirs:
        return "equal"
    # cuobjdump's -all names some images with their f and some without: both sides lose it.
    same = without_f(ours[0]) == without_f(theirs[0]) and ours[1] == theirs[1]
    return "equal but for the f that it drops" if same else "DIFFERENT"


def images_of(reader: Reader, start: int, end: int) -> Iterator[tuple[str, int, bytes]]:
    """(target, flags, payload) of the SASS entries in a section: a walk of its own, so as to check ours."""
    at = start
    while at < end:
        magic, _, _, size = struct.unpack("<IHHQ", reader.read_at(at, 16))
        assert magic == 0xBA55ED50
        entry, stop = at + 16, at + 16 + size
        while entry < stop:
            head = reader.read_at(entry, 64)
            kind, _, header, payload = struct.unpack_from("<HHIQ", head)
            number, flags = struct.unpack_from("<I", head, 0x1C)[0], struct.unpack_from("<Q", head, 0x28)[0]
            if kind == 2:
                suffix = "a" if flags >> 20 & 1 else "f" if flags >> 21 & 1 else ""
                yield f"sm_{number}{suffix}", flags, reader.read_at(entry + header, min(payload, 1 << 22))
            entry += header + payload
        at = stop


def suffixes(files: list[BinaryFile]) -> None:
    print("## Suffix of the target against the `-arch` that ptxas noted inside the image\n")
    results: Counter[str] = Counter()
    by_suffix: Counter[str] = Counter()
    for file in files:
        with open_file(file.path) as opened:
            reader = Reader(opened.source, size_limit=1 << 40)
            place = next((row for row in read_elf(reader).sections if row.name == ".nv_fatbin"), None)
            if place is None:
                continue
            images = list(images_of(reader, place.offset, place.offset + place.size))
            for target, flags, payload in images[:: max(1, len(images) // SAMPLES)][:SAMPLES]:
                if flags & 0x2000:
                    results["skipped (LZ4)"] += 1
                    continue
                noted = re.search(rb"-arch[ =](sm_\d+[af]?)", _plain(payload, flags))
                if noted is None:
                    results["no note"] += 1
                    continue
                results["equal" if noted[1].decode() == target else "DIFFERENT"] += 1
                by_suffix[target[-1] if target[-1] in "af" else "plain"] += 1
    print(f"{dict(results)}, of them {dict(by_suffix)}\n")


def _plain(payload: bytes, flags: int) -> bytes:
    return zstd.ZstdDecompressor().decompress(payload) if flags & 0x8000 else payload


def bundles(files: list[BinaryFile], tool: str) -> None:
    print(f"## AMD bundles against `{os.path.basename(tool)} -list`\n")
    print("| file | bundles | equal |")
    print("|---|---|---|")
    for file in files:
        with open_file(file.path) as opened:
            reader = Reader(opened.source, size_limit=1 << 40)
            section = next((row for row in read_elf(reader).sections if row.name == ".hip_fatbin"), None)
            if section is None:
                continue
            places = [*bundle_places(reader, section.offset, section.offset + section.size)]
            equal = sum([_same_bundle(reader, start, end, tool) for start, end in places])
        print(f"| {os.path.basename(file.path)} | {len(places)} | {equal} |")
    print()


def bundle_places(reader: Reader, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Bundles start at multiples of 4096 and the next start ends one: a search that shares nothing with our reader."""
    starts = [
        at
        for at in range(start + -start % 4096, end, 4096)
        if reader.read_at(at, 24) == b"__CLANG_OFFLOAD_BUNDLE__"
        or reader.read_at(at, 8)[:5] in (b"CCOB\x02", b"CCOB\x03")
    ]
    yield from zip(starts, [*starts[1:], end], strict=True)


def _same_bundle(reader: Reader, start: int, end: int, tool: str) -> bool:
    data = bundle_bytes(reader, start, end)
    ours = scan_file(Reader(_Bytes(data)), "bundle").images
    return listed_by_bundler(data, tool) == Counter({images.target: images.number for images in ours})


def bundle_bytes(reader: Reader, start: int, end: int) -> bytes:
    return b"".join([reader.read_at(at, min(1 << 24, end - at)) for at in range(start, end, 1 << 24)])


def listed_by_bundler(data: bytes, tool: str) -> Counter[str]:
    """The target ids that clang's own tool lists of one bundle."""
    if data[:6] == b"CCOB\x03\0":
        # Tools before LLVM 21 do not know version 3: the same payload under a header of version 2.
        total, inflated, hash_ = struct.unpack_from("<QQQ", data, 8)
        data = b"CCOB\x02\0" + data[6:8] + struct.pack("<IIQ", total - 8, inflated, hash_) + data[32:total]
    elif data[:6] == b"CCOB\x02\0":
        data = data[: struct.unpack_from("<I", data, 8)[0]]
    with tempfile.NamedTemporaryFile() as copy:
        copy.write(data)
        copy.flush()
        run = subprocess.run(
            [tool, "-list", "-type=o", f"-input={copy.name}"], capture_output=True, text=True, check=False
        )
    if run.returncode:
        print(f"{tool}: {run.stderr.strip()}", file=sys.stderr)
    return Counter([line.split("--", 1)[1] for line in run.stdout.split() if "--gfx" in line])


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def read_at(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]


def dynamic(files: list[BinaryFile]) -> None:
    print("## NEEDED, SONAME, RPATH, RUNPATH, version needs against `readelf -dVW`\n")
    equal: Counter[str] = Counter()
    for file in files:
        run = subprocess.run(["readelf", "-dVW", file.path], capture_output=True, text=True, check=False).stdout
        theirs = {
            "NEEDED": re.findall(r"\(NEEDED\).*\[(.*)\]", run),
            "SONAME": re.findall(r"\(SONAME\).*\[(.*)\]", run),
            "RPATH": re.findall(r"\(RPATH\).*\[(.*)\]", run),
            "RUNPATH": re.findall(r"\(RUNPATH\).*\[(.*)\]", run),
            "version needs": sorted(_version_needs(run)),
        }
        ours = {
            "NEEDED": list(file.needed),
            "SONAME": [] if file.soname is None else [file.soname],
            "RPATH": [":".join(file.rpath)] if file.rpath else [],
            "RUNPATH": [":".join(file.runpath)] if file.runpath else [],
            "version needs": sorted([(name, node) for name, nodes in file.needs_versions.items() for node in nodes]),
        }
        for what, value in ours.items():
            equal[what] += value == theirs[what]
            if value != theirs[what]:
                print(f"DIFFERENT {what}: {file.path}")
    print(f"{len(files)} files; equal: {dict(equal)}\n")


def _version_needs(text: str) -> Iterator[tuple[str, str]]:
    name = ""
    for line in text.splitlines():
        if "File: " in line and "Cnt: " in line:
            name = line.split("File: ", 1)[1].split("  Cnt: ", 1)[0]
        elif "Name: " in line and "Flags: " in line and "Version: " in line and "Rev: " not in line:
            yield name, line.split("Name: ", 1)[1].split("  Flags: ", 1)[0]


def hidden(files: list[BinaryFile]) -> None:
    print("## Images that cuobjdump does not list\n")
    print("| file | place | images | targets |")
    print("|---|---|---|---|")
    for file in files:
        for place in dict.fromkeys([images.place for images in file.images if not images.listed]):
            rows = [images for images in file.images if images.place == place]
            targets = " ".join([f"{row.target}×{row.number}" for row in rows])
            print(f"| {os.path.basename(file.path)} | {place} | {sum([row.number for row in rows])} | {targets} |")
    print()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, default=HOME)
    home: Path = parser.parse_args().home
    roots = [str(home / "site"), *sorted([str(path) for path in (home / "w").iterdir()])]
    files = [file for root in roots for file in scan(root, Depth.LISTED)]
    damaged = [file for file in files if file.unreadable]
    print(f"{len(files)} binary files, {sum([file.size for file in files]) / 1e9:.2f} GB; damaged: {len(damaged)}\n")
    cuda = [file for file in files if any(row.kind in ("cubin", "ptx") for row in file.images)]
    kernel_images([file for file in cuda if file.kind != "static-archive"], cuobjdump(home))
    suffixes([file for file in cuda if file.kind == "shared-object"])
    bundler = next(
        (tool for n in ("", "-22", "-21", "-20", "-19") if (tool := shutil.which(f"clang-offload-bundler{n}"))), None
    )
    if bundler is None:
        print("no clang-offload-bundler here: AMD bundles not compared\n")
    else:
        bundles([file for file in files if file.gfx and file.kind in ("shared-object", "executable")], bundler)
    dynamic([file for file in files if file.needed or file.soname])
    hidden([file for root in roots for file in scan(root, Depth.KNOWN)])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
