"""Images of real wheels in a real engine: stack and verdicts against cuobjdump and LLVM, and time beside the peers.

    python benchmarks/fetch_wheels.py torch cuda rocm cuobjdump
    sudo python benchmarks/image.py [--only NAME]

Builds one image a wheel in an engine of its own (own data, own socket, no network), looks at each with `gpu-doctor
image` and compares with what `cuobjdump --list-elf --list-ptx` lists of the same file. The targets of AMD code are
compared with the bundle entries that `clang-offload-bundler -list` names, where clang is installed. Then times, in one
run and round about: `find` over the same layer folders, reading the layer folders, a second look, `docker save` to
nowhere, and reading the saved archive. Figures are ratios; the absolute seconds are this machine's.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HOME = Path(os.environ.get("GPU_DOCTOR_BENCH", "~/.cache/gpu-doctor-bench")).expanduser()
GPUS = (
    "P100", "GTX 1080", "V100", "T4", "RTX 2080 Ti", "A100", "A10", "RTX 3090", "L4", "RTX 4090", "H100", "H200", "B200",
    "RTX 5090", "gfx906", "gfx908", "gfx90a", "gfx942", "gfx950", "gfx1030", "gfx1100", "gfx1151", "gfx1201",
)  # fmt: skip
# Name of the image, folders that go into its packages, the stack that is right, and the file that decides.
IMAGES = (
    ("bench/torch-cuda", ("site",), "cuda", "torch/lib/libtorch_cuda.so"),
    ("bench/cupy-cuda", ("w/cupy-cuda12x",), "cuda", "cupy/cuda/thrust.cpython-311-x86_64-linux-gnu.so"),
    ("bench/cupy-rocm", ("w/cupy-rocm-7-0",), "rocm", "cupy/cuda/thrust.cpython-311-x86_64-linux-gnu.so"),
    ("bench/bitsandbytes", ("w/bitsandbytes",), "both", "bitsandbytes/libbitsandbytes_cuda128.so"),
    ("bench/onnxruntime-gpu", ("w/onnxruntime-gpu",), "cuda", "onnxruntime/capi/libonnxruntime_providers_cuda.so"),
)
PACKAGES = "usr/lib/python3/dist-packages"
LIBC = (
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "librt.so.1",
    "libpthread.so.0",
    "libgcc_s.so.1",
    "libstdc++.so.6",
    "libutil.so.1",
)


@contextmanager
def engine(folder: Path):  # type: ignore[no-untyped-def]
    socket = folder / "s.sock"
    words = ["dockerd", "--data-root", folder / "data", "--exec-root", folder / "exec", "-H", f"unix://{socket}",
             "--pidfile", folder / "pid", "--bridge=none", "--iptables=false"]  # fmt: skip
    with (folder / "log").open("wb") as log:
        daemon = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
    os.environ["DOCKER_HOST"] = f"unix://{socket}"
    try:
        for _ in range(300):
            if subprocess.run(["docker", "version"], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        yield
    finally:
        daemon.terminate()
        daemon.wait(60)


def build(name: str, folders: tuple[str, ...], cpu: bool = False) -> None:
    """An image of these folders by hard links and one tar stream; nothing is copied beforehand."""
    with tempfile.TemporaryDirectory(dir=HOME) as place:
        root = Path(place)
        packages = root / PACKAGES
        packages.mkdir(parents=True)
        (root / "lib/x86_64-linux-gnu").mkdir(parents=True)
        (root / "lib64").mkdir()
        (root / "etc").mkdir()
        shutil.copy("/etc/os-release", root / "etc/os-release")
        for library in LIBC:
            shutil.copy(f"/lib/x86_64-linux-gnu/{library}", root / "lib/x86_64-linux-gnu" / library)
        shutil.copy("/lib64/ld-linux-x86-64.so.2", root / "lib64")
        for folder in folders:
            subprocess.run(["cp", "-al", f"{HOME / folder}/.", packages], check=True)
        tape = subprocess.Popen(["tar", "-C", root, "-c", "."], stdout=subprocess.PIPE)
        subprocess.run(["docker", "import", "-", name], stdin=tape.stdout, stdout=subprocess.DEVNULL, check=True)
        tape.wait()


def doctor(*words: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "doctor", "image", *words, "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1):
        raise SystemExit(done.stderr)
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def cuobjdump(path: Path) -> set[str] | None:
    """The machine code targets that NVIDIA's own tool lists of a file."""
    program = next(HOME.glob("w/nvidia-cuda-cuobjdump/**/bin/cuobjdump"), None)
    if program is None:
        return None
    os.chmod(program, 0o755)
    done = subprocess.run([program, "--list-elf", path], capture_output=True, text=True, check=False)
    return set(re.findall(r"\.(sm_\d+[af]?)\.cubin", done.stdout))


def runs_by_list(targets: set[str], capability: str) -> bool:
    """The plain rule of the CUDA programming guide, written again: equal major, minor not above; a and f aside."""
    major, minor = int(capability[:-1]), int(capability[-1])
    for target in targets:
        number, suffix = re.match(r"sm_(\d+)([af]?)", target).groups()  # type: ignore[union-attr]
        own = int(number[:-1]), int(number[-1])
        if own == (major, minor) or (own[0] == major and own[1] <= minor and suffix != "a"):
            return True
    return False


def compare(name: str, folder: str, stack: str, file: str) -> list[str]:
    report = doctor(name, *[word for gpu in GPUS for word in ("--gpu", gpu)], "--fail-on", "never")
    image = report["image"]
    wrong = [] if image["stack"] == stack else [f"stack {image['stack']}, not {stack}"]
    told = cuobjdump(HOME / folder / file)
    code = next(row for row in image["code"] if row["file"].endswith(file))
    if told is not None and code["cubin"] and set(code["cubin"]) != told:
        wrong.append(f"cubins {code['cubin']}, cuobjdump lists {sorted(told)}")
    checked = 0
    for verdict in image["verdicts"]:
        row = next(one for one in verdict["files"] if one["file"].endswith(file))
        if verdict["gpu"].startswith("sm_") and told:
            checked += 1
            fits = runs_by_list(told, verdict["gpu"][3:])
            if fits != (row["runs"] == "yes") and not (row["runs"] == "jit" and code["ptx"]):
                wrong.append(f"{verdict['gpu']}: {row['runs']}, by cuobjdump's list {fits}")
        elif verdict["gpu"].startswith("gfx") and code["gfx"]:
            checked += 1
            if (verdict["gpu"] in {target.split(":")[0] for target in code["gfx"]}) != (row["runs"] == "yes"):
                wrong.append(f"{verdict['gpu']}: {row['runs']}")
    row = {one["gpu"]: one["runs"] for one in image["verdicts"]}
    print(f"{name:<24} stack {image['stack']:<5} {checked} GPUs compared, {len(wrong)} wrong   {row}")
    return wrong


def layers_of(name: str) -> list[str]:
    done = subprocess.run(["docker", "image", "inspect", name], capture_output=True, text=True, check=True)
    data = json.loads(done.stdout)[0]["GraphDriver"]["Data"]
    return [*data.get("LowerDir", "").split(":"), data["UpperDir"]] if data.get("LowerDir") else [data["UpperDir"]]


def times(name: str, saved: Path, rounds: int) -> None:
    """Median seconds of each way, round about in one run."""
    folders = layers_of(name)
    cache = saved.parent / "cache"
    os.environ["XDG_CACHE_HOME"] = str(cache)
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}

    def fresh() -> None:
        shutil.rmtree(cache, ignore_errors=True)

    def inside(reference: str) -> Callable[[], None]:
        from doctor.image.examination import Examination
        from doctor.image.inventory import examine

        return lambda: (examine(reference, "linux/amd64", Examination()), None)[1]

    words = [sys.executable, "-m", "doctor", "image", name, "--gpu", "A100", "--json"]
    ways: dict[str, tuple[Callable[[], Any] | None, Callable[[], Any]]] = {
        "find over the layer folders": (None, lambda: subprocess.run(["find", *folders], **quiet)),  # type: ignore[call-overload]
        "layer folders, first look": (fresh, inside(name)),
        "layer folders, second look": (None, inside(name)),
        "whole command, second look": (None, lambda: subprocess.run(words, **quiet)),  # type: ignore[call-overload]
        "saved archive in place, first look": (fresh, inside(f"archive://{saved}")),
        "docker save to nowhere": (None, lambda: subprocess.run(["docker", "save", name], **quiet)),  # type: ignore[call-overload]
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, (before, call) in ways.items():
            if before:
                before()
            start = time.perf_counter()
            call()
            seconds[way].append(time.perf_counter() - start)
    base = statistics.median(seconds["find over the layer folders"])
    for way, measured in seconds.items():
        middle = statistics.median(measured)
        print(f"  {way:<36} {middle:8.3f} s   {middle / base:8.1f} x find")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="images whose name has this in it")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        raise SystemExit("an engine of its own needs root and dockerd")
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(dir=HOME) as place, engine(Path(place)):
        for name, folders, stack, file in IMAGES:
            if options.only not in name or not (HOME / folders[0]).is_dir():
                continue
            build(name, folders)
            wrong += [f"{name}: {row}" for row in compare(name, folders[0], stack, file)]
            saved = Path(place) / "saved.tar"
            subprocess.run(["docker", "save", "-o", saved, name], check=True)
            times(name, saved, options.rounds)
            saved.unlink()
            subprocess.run(["docker", "rmi", name], stdout=subprocess.DEVNULL, check=False)
    print("\n".join(wrong) or "no differences")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
