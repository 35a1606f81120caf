"""Library resolution beside the real loader and auditwheel's lddtree, in one run, on the files of this machine.

    python benchmarks/loader_resolution.py [--programs N]

First the programs of /usr/bin, then, if `fetch_wheels.py torch` has been run, the libraries of torch and the CUDA
wheels. The real loader runs as `ld.so --list FILE`: it loads the file and what it needs but runs nothing of it. lddtree
is compared if auditwheel can be imported (pip install auditwheel). Prints agreement and ratios of time. We are timed
both ways: all files at once, as for an image, and file by file with nothing kept in between, which is the only way the
others have.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from doctor.loader.resolve import resolve
from doctor.tree import DirectoryTree

LOADER = "/lib64/ld-linux-x86-64.so.2"
SITE = Path(os.environ.get("GPU_DOCTOR_BENCH", "~/.cache/gpu-doctor-bench")).expanduser() / "site"

# The libraries of each file: name and the file that is taken, None for one that is not found.
Answer = dict[str, dict[str, str | None]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--programs", type=int, default=300)
    options = parser.parse_args()
    if not Path(LOADER).exists():
        sys.exit(f"needs {LOADER}")
    compare("programs of /usr/bin", sorted(elf_files(Path("/usr/bin").iterdir()))[: options.programs])
    if SITE.is_dir():
        compare("libraries of torch", sorted(elf_files(SITE.rglob("*.so*"))))


def elf_files(paths: Iterable[Path]) -> Iterable[str]:
    """Dynamic 64-bit files, each by its canonical path."""
    for path in {path.resolve() for path in paths if path.is_file()}:
        with path.open("rb") as file:
            head = file.read(20)
        if head[:5] == b"\x7fELF\x02" and head[16] in (2, 3) and head[18] == 62:
            yield str(path)


def compare(what: str, files: list[str]) -> None:
    _, our_time = timed(at_once, files)
    ours, single_time = timed(resolved, files)
    theirs, their_time = timed(listed, files)
    print(f"{what}: {len(files)} files")
    print(f"  ours, all at once: {our_time * 1000:.0f} ms; file by file: {single_time / our_time:.1f} times as long")
    print(f"  the real loader: {their_time / our_time:.1f} times as long; we against it")
    report(ours, theirs)
    try:
        from auditwheel import lddtree
    except ImportError:
        print("  lddtree: not compared (auditwheel cannot be imported)")
        return
    peer, peer_time = timed(lambda names: by_lddtree(lddtree.ldd, names), files)
    print(f"  lddtree: {peer_time / our_time:.1f} times as long; it against the real loader")
    report(peer, theirs)


def timed(find: Callable[[list[str]], Answer], files: list[str]) -> tuple[Answer, float]:
    start = time.perf_counter()
    answer = find(files)
    return answer, time.perf_counter() - start


def at_once(files: list[str]) -> Answer:
    with DirectoryTree("/") as tree:
        resolve(tree, files, dict(os.environ))
    return {}


def resolved(files: list[str]) -> Answer:
    answer: Answer = {file: {} for file in files}
    with DirectoryTree("/") as tree:
        for file in files:
            for edge in resolve(tree, [file], dict(os.environ)).edges:
                if edge.kind != "loader":
                    answer[file].setdefault(edge.needed, edge.file)
    return answer


def listed(files: list[str]) -> Answer:
    answer: Answer = {}
    for file in files:
        done = subprocess.run([LOADER, "--list", file], capture_output=True, text=True, check=False)
        found = re.findall(r"\t(\S+) => (not found|/\S+)", done.stdout)
        answer[file] = {name: None if path == "not found" else os.path.realpath(path) for name, path in found}
    return answer


def by_lddtree(ldd: Callable[..., object], files: list[str]) -> Answer:
    answer: Answer = {}
    for file in files:
        try:
            libraries = ldd(Path(file)).libraries  # type: ignore[attr-defined]
        except Exception as error:
            print(f"  lddtree fails on {file}: {type(error).__name__}", file=sys.stderr)
            continue
        places = {name: item.realpath for name, item in libraries.items()}
        answer[file] = {name: os.path.realpath(path) if path else None for name, path in places.items()}
    return answer


def report(answer: Answer, real: Answer) -> None:
    """The libraries of the real loader that an answer has with the same file."""
    same = differ = absent = 0
    refused = sum(not libraries for libraries in real.values())
    examples = []
    for file, libraries in real.items():
        for name, path in libraries.items():
            if name not in answer.get(file, {}):
                absent += 1
            elif answer[file][name] == path:
                same += 1
            else:
                differ += 1
                examples.append(f"{name} of {file}: {answer[file][name]}, not {path}")
    print(
        f"    the same file {same}, another {differ}, not listed {absent} (the loader lists nothing of {refused} files)"
    )
    for example in examples[:3]:
        print(f"      {example}")


if __name__ == "__main__":
    main()
