"""Fetches the real wheels and Debian packages that the binary benchmarks read, into a folder outside the repository.

    python benchmarks/fetch_wheels.py [--into DIR] [GROUP ...]

Groups: torch (3 GB to fetch, 6 GB unpacked), cpu, cuobjdump, cuda, rocm, debian. Without one, all of them.
Wheels stay as they came (DIR/wheels) and are unpacked, not installed (DIR/site for torch and what it needs,
DIR/w/NAME for each of the others). Nothing of them is executed here except, by the benchmarks, cuobjdump.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

HOME = Path(os.environ.get("GPU_DOCTOR_BENCH", "~/.cache/gpu-doctor-bench")).expanduser()

TORCH = "torch==2.14.1"
SINGLE = {
    "cuobjdump": ("nvidia-cuda-cuobjdump",),
    "cuda": (
        "bitsandbytes==0.50.2",
        "nvidia-cublas==13.10.0.20",
        "cupy-cuda12x==14.2.0",
        "xformers==0.0.35",
        "onnxruntime-gpu==1.31.1",
        "jax-cuda12-plugin",
    ),
    # Where pip has no such file, an image of it is left out.
    "cpu": ("torch==2.13.0+cpu",),
    "rocm": ("cupy-rocm-7-0==14.2.0", "onnxruntime-rocm==1.22.2.post3", "jax-rocm7-plugin", "jax-rocm7-pjrt"),
}
DEBIAN = ("librocsparse0", "librocrand1")


def pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", *words]
    print("+", " ".join(command), file=sys.stderr)
    subprocess.run(command, check=True)


def unpack(wheel: Path, into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(into)


def fetch_torch(home: Path) -> None:
    wheels = home / "wheels" / "torch"
    pip("download", "--only-binary=:all:", "-d", str(wheels), TORCH)
    site = home / "site"
    for wheel in sorted(wheels.glob("*.whl")):
        unpack(wheel, site)


def fetch_single(home: Path, group: str) -> None:
    for requirement in SINGLE[group]:
        name = requirement.split("==")[0]
        wheels = home / "wheels" / name
        try:
            pip("download", "--no-deps", "--only-binary=:all:", "-d", str(wheels), requirement)
        except subprocess.CalledProcessError:
            print(f"not to be had: {requirement}", file=sys.stderr)
            continue
        for wheel in wheels.glob("*.whl"):
            unpack(wheel, home / "w" / name)


def fetch_debian(home: Path) -> None:
    if shutil.which("apt-get") is None:
        print("no apt-get here: the Debian packages are left out", file=sys.stderr)
        return
    folder = home / "wheels" / "debian"
    folder.mkdir(parents=True, exist_ok=True)
    for name in DEBIAN:
        if subprocess.run(["apt-get", "download", name], cwd=folder, check=False).returncode:
            print(f"not to be had: {name}", file=sys.stderr)
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", str(package), str(home / "w" / package.name.split("_")[0])], check=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=HOME)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="torch, cpu, cuobjdump, cuda, rocm, debian")
    options = parser.parse_args()
    groups = options.groups or ["cuobjdump", "torch", "cpu", "cuda", "rocm", "debian"]
    for group in groups:
        if group == "torch":
            fetch_torch(options.into)
        elif group == "debian":
            fetch_debian(options.into)
        elif group in SINGLE:
            fetch_single(options.into, group)
        else:
            parser.error(f"unknown group {group}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
