"""Speed of the binary readers beside cuobjdump, readelf and pyelftools, as ratios measured in one run.

    python benchmarks/fetch_wheels.py torch cuobjdump && python benchmarks/binary_speed.py > speed.md

Page cache warm; each figure is a median with (smallest-largest). Ours is taken in turns with the other tool, so that
both meet the same machine. "As a command" is the installed `gpu-doctor` script with its modules compiled, as pip leaves
them: PYTHONDONTWRITEBYTECODE is unset. Prints Markdown and ends with 1 if less than promised is reached.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from binary_agreement import cuobjdump
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from fetch_wheels import HOME

from doctor.binary import scan as scanning
from doctor.binary.device_code import Depth
from doctor.binary.elf import read_elf
from doctor.binary.reader import Reader, open_file
from doctor.binary.scan import scan, scan_file

LIBRARIES = (
    "torch/lib/libtorch_cuda.so",
    "nvidia/cu13/lib/libcublasLt.so.13",
    "nvidia/cudnn/lib/libcudnn_engines_precompiled.so.9",
    "nvidia/nccl/lib/libnccl.so.2",
    "nvidia/cu13/lib/libcusparse.so.12",
)
# Times faster than cuobjdump, and at most so many percent of the bytes or MB of memory.
PROMISED = {"libtorch in process": 500, "libtorch as a command": 100, "tree in process": 100, "tree as a command": 100}
LIMITS = {"libtorch bytes, %": 0.1, "tree bytes at --places listed, %": 0.1, "tree memory, MB": 100}
COMMAND = str(Path(sys.executable).with_name("gpu-doctor"))
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


class Times:
    def __init__(self) -> None:
        self.seconds: list[float] = []

    def take(self, call: Callable[[], object]) -> None:
        start = time.perf_counter()
        call()
        self.seconds.append(time.perf_counter() - start)

    @property
    def median(self) -> float:
        return median(self.seconds)

    def __str__(self) -> str:
        unit, scale = ("s", 1.0) if self.median >= 1 else ("ms", 1000.0)
        low, high = min(self.seconds) * scale, max(self.seconds) * scale
        return f"{self.median * scale:.3g} {unit} ({low:.3g}-{high:.3g})"


def quietly(*words: str) -> Callable[[], object]:
    return lambda: subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def ours(path: str, depth: Depth) -> Reader:
    with open_file(path) as reader:
        scan_file(reader, path, depth)
        return reader


def command(*paths: str, depth: Depth = Depth.LISTED) -> Callable[[], object]:
    return quietly(COMMAND, "binary", "--places", depth.value, *paths)


def one_file(path: str, tool: str, rounds: int) -> tuple[float, float, float]:
    """Ratios in process and as a command to the other tool, and the percentage of the bytes that is read."""
    inside, known, outside, theirs = Times(), Times(), Times(), Times()
    ours(path, Depth.LISTED)
    command(path)()
    for _ in range(rounds):
        theirs.take(quietly(tool, "--list-elf", path))
        for _ in range(3):
            inside.take(lambda: ours(path, Depth.LISTED))
            known.take(lambda: ours(path, Depth.KNOWN))
            outside.take(command(path))
    reader = ours(path, Depth.LISTED)
    with open_file(path) as again:
        images = sum([row.number for row in scan_file(again, path, Depth.LISTED).images])
    ratios = theirs.median / inside.median, theirs.median / outside.median
    read = reader.bytes_read / reader.size
    print(
        f"| {os.path.basename(path)} | {reader.size / 1e6:.1f} | {images} | {inside} | {known} | {outside} | {theirs} |"
        f" {ratios[0]:,.0f} / {ratios[1]:,.0f} | {reader.bytes_read:,} ({read:.3%}) |"
    )
    return *ratios, read * 100


@contextmanager
def counted() -> Iterator[list[Reader]]:
    """Keeps every reader that a scan opens, for what it has read."""
    readers: list[Reader] = []
    real = scanning.open_file

    @contextmanager
    def opening(path: str) -> Iterator[Reader]:
        with real(path) as reader:
            readers.append(reader)
            yield reader

    scanning.open_file = opening  # type: ignore[assignment]
    try:
        yield readers
    finally:
        scanning.open_file = real


def tree(site: str, tool: str) -> dict[str, float]:
    """What is reached over a whole site-packages; the ratios are those of the command's own default."""
    files = [file for file in scan(site, Depth.LISTED) if file.machine is not None]
    names = sum([len(names) for _, _, names in os.walk(site)])
    size = sum([file.size for file in files])
    images = {
        depth: sum([row.number for file in scan(site, depth) for row in file.images])
        for depth in (Depth.LISTED, Depth.KNOWN)
    }
    inside = {depth: Times() for depth in images}
    outside = {depth: Times() for depth in images}
    # Ours again and again between their files, so that both meet the same machine.
    theirs = Times()
    for index, file in enumerate(sorted(files, key=lambda file: file.path)):
        theirs.take(quietly(tool, "--list-elf", file.path))
        if index % 16 == 0:
            for depth in images:
                inside[depth].take(lambda depth=depth: [None for _ in scan(site, depth)])
                outside[depth].take(command(site, depth=depth))
    theirs.seconds = [sum(theirs.seconds)]
    print(f"{names:,} files, {len(files)} of them binary, {size / 1e9:.2f} GB.\n")
    print(
        "| what | images | in process | as a command | cuobjdump one file after another | ratio | bytes read | memory |"
    )
    print("|---|---|---|---|---|---|---|---|")
    reached = {}
    for depth in images:
        with counted() as readers:
            for _ in scan(site, depth):
                pass
        read = sum([reader.bytes_read for reader in readers])
        ratios = theirs.median / inside[depth].median, theirs.median / outside[depth].median
        memory = peak(site, depth)
        print(
            f"| --places {depth.value} | {images[depth]:,} | {inside[depth]} | {outside[depth]} | {theirs} |"
            f" {ratios[0]:,.0f} / {ratios[1]:,.0f} | {read:,} ({read / size:.3%}) | {memory:.0f} MB |"
        )
        if depth is Depth.LISTED:
            reached["tree bytes at --places listed, %"] = read / size * 100
        else:
            reached |= dict(zip(("tree in process", "tree as a command"), ratios, strict=True))
            reached["tree memory, MB"] = memory
    return reached


def peak(site: str, depth: Depth) -> float:
    """Largest memory of the command in MB, from a child that does nothing else."""
    script = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    words = [COMMAND, "binary", "--places", depth.value, site]
    run = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=True)
    return int(run.stdout) / 1024


def wheels(home: Path) -> None:
    print("\n## Wheels, read in place\n")
    print("| wheel | MB | binary members | as a command | memory |")
    print("|---|---|---|---|---|")
    for path in sorted((home / "wheels").glob("*/*.whl"), key=lambda path: -path.stat().st_size)[:4]:
        spent = Times()
        spent.take(command(str(path)))
        count = len([file for file in scan(str(path), Depth.LISTED) if file.kind != "zip"])
        print(
            f"| {path.name} | {path.stat().st_size / 1e6:.0f} | {count} | {spent} |"
            f" {peak(str(path), Depth.LISTED):.0f} MB |"
        )


def headers(site: str) -> None:
    """The ELF headers alone, beside pyelftools and readelf."""
    paths = [file.path for file in scan(site, Depth.LISTED) if file.kind in ("shared-object", "executable")]
    mine, python, gnu = Times(), Times(), Times()

    def by_us() -> None:
        for path in paths:
            with open_file(path) as reader:
                read_elf(reader)

    def by_pyelftools() -> None:
        for path in paths:
            with open(path, "rb") as stream:
                elf = ELFFile(stream)
                for section in elf.iter_sections():
                    if section.name == ".dynamic":
                        [tag.entry.d_tag for tag in section.iter_tags()]
                    elif isinstance(section, GNUVerNeedSection):
                        [[name.name for name in names] for _, names in section.iter_versions()]

    def by_readelf() -> None:
        for path in paths:
            quietly("readelf", "-dVW", path)()

    for _ in range(5):
        mine.take(by_us)
        python.take(by_pyelftools)
        gnu.take(by_readelf)
    print(f"\n## ELF headers of the {len(paths)} libraries and programs\n")
    print("| ours | pyelftools | readelf -dVW, a process each | ratio |\n|---|---|---|---|")
    ratio = f"{python.median / mine.median:.0f} / {gnu.median / mine.median:.0f}"
    print(f"| {mine} | {python} | {gnu} | {ratio} |")


def machine() -> str:
    """The facts of this machine that times depend on."""
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return (
        f"Machine: {os.cpu_count()} cores ({model[1] if model else 'unknown'}), {memory} GiB, {platform.release()},"
        f" Python {platform.python_version()}; load {os.getloadavg()[0]:.1f} at the start.\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--home", type=Path, default=HOME)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    site, tool = str(options.home / "site"), cuobjdump(options.home)
    reached: dict[str, float] = {}
    print(machine())
    print("## One library\n")
    print(
        "| file | MB | images | in process | in process, --places known | as a command | cuobjdump --list-elf |"
        " ratio in process / command | bytes read |\n|---|---|---|---|---|---|---|---|---|"
    )
    for name in LIBRARIES:
        inside, outside, read = one_file(os.path.join(site, name), tool, options.rounds)
        if name.endswith("libtorch_cuda.so"):
            reached |= {"libtorch in process": inside, "libtorch as a command": outside, "libtorch bytes, %": read}
    print("\n## A whole site-packages\n")
    reached |= tree(site, tool)
    wheels(options.home)
    headers(site)
    missed = [name for name, ratio in PROMISED.items() if reached[name] < ratio]
    missed += [name for name, limit in LIMITS.items() if reached[name] >= limit]
    print("\n| what | promised | reached |\n|---|---|---|")
    for name, ratio in PROMISED.items():
        print(f"| {name} | {ratio} times faster | {reached[name]:,.0f} |")
    for name, limit in LIMITS.items():
        print(f"| {name} | under {limit} | {reached[name]:.3g} |")
    print(f"\nmissed: {', '.join(missed) or 'none'}; load now {os.getloadavg()[0]:.1f}")
    print(f"memory of this process at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
