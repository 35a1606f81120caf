"""Images of real wheels in a real engine: stack, versions and verdicts against NVIDIA's and LLVM's tools; time and peers.

    python benchmarks/fetch_wheels.py torch cpu cuda rocm cuobjdump
    sudo python benchmarks/image.py [--only NAME] [--rounds N]

Builds one image a wheel in an engine of its own (own data, own socket, no network) and looks at each with `gpu-doctor
image` for 23 GPUs. Every file with GPU code is listed by `cuobjdump --list-elf --list-ptx` or, for AMD, by
`clang-offload-bundler -list` on each of its bundles; the verdict on each GPU must follow from their list by the plain
rules, written again here. Versions are compared with what the wheels' own metadata says. Then, round about in one run,
it times `find` over the layer folders, pyelftools reading NEEDED of the ELF files there, first and second looks, and
the engine's export and save. Prints Markdown (RESULTS-image.md).
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_string
from pathlib import Path
from typing import Any

from binary_agreement import bundle_bytes, bundle_places, listed_by_bundler

from doctor.binary.elf import read_elf
from doctor.binary.reader import Reader, open_file
from doctor.image import local
from doctor.image.examination import Examination
from doctor.image.inventory import examine

HOME = Path(os.environ.get("GPU_DOCTOR_BENCH", "~/.cache/gpu-doctor-bench")).expanduser()
GPUS = (
    "P100", "GTX 1080", "V100", "T4", "RTX 2080 Ti", "A100", "A10", "RTX 3090", "L4", "RTX 4090", "H100", "H200", "B200",
    "RTX 5090", "gfx906", "gfx908", "gfx90a", "gfx942", "gfx950", "gfx1030", "gfx1100", "gfx1151", "gfx1201",
)  # fmt: skip
# Name of the image, the folder that goes into its packages, the stack that is right, and the framework in it.
IMAGES = (
    ("bench/torch-cuda", "site", "cuda", "torch"),
    ("bench/cuda-in-name-torch-cpu", "w/torch", "cpu", "torch"),
    ("bench/cupy-cuda", "w/cupy-cuda12x", "cuda", "cupy"),
    ("bench/cupy-rocm", "w/cupy-rocm-7-0", "rocm", "cupy"),
    ("bench/bitsandbytes", "w/bitsandbytes", "both", "bitsandbytes"),
    ("bench/onnxruntime-gpu", "w/onnxruntime-gpu", "cuda", "onnxruntime"),
)
PACKAGES = "usr/lib/python3/dist-packages"
LIBC = ("libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libgcc_s.so.1", "libstdc++.so.6",
        "libutil.so.1")  # fmt: skip


@contextmanager
def engine(folder: Path) -> Iterator[None]:
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


def build(name: str, folder: str) -> None:
    """An image of this folder by hard links and one tar stream; nothing is copied beforehand."""
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


# What the vendors' tools list, and the plain rules


class Tools:
    """cuobjdump and clang-offload-bundler."""

    def __init__(self) -> None:
        found = next(HOME.glob("w/nvidia-cuda-cuobjdump/**/bin/cuobjdump"), None)
        if found is None:
            raise SystemExit("no cuobjdump: run fetch_wheels.py cuobjdump")
        found.chmod(0o755)
        self.cuobjdump = found
        names = [f"clang-offload-bundler{ending}" for ending in ("", "-22", "-21", "-20", "-19")]
        bundler = next((tool for name in names if (tool := shutil.which(name))), None)
        if bundler is None:
            raise SystemExit("no clang-offload-bundler: apt-get install clang-19")
        self.bundler = bundler

    def cuda(self, path: Path, *more: str) -> tuple[set[str], set[str]]:
        """Targets of machine code and of PTX."""
        words = [self.cuobjdump, *more, "--list-elf", "--list-ptx", path]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        elf = re.findall(r"^ELF file +\d+: .*\.(sm_\w+)\.cubin$", done.stdout, re.MULTILINE)
        ptx = re.findall(r"^PTX file +\d+: .*\.(sm_\w+)\.ptx$", done.stdout, re.MULTILINE)
        if not elf and not ptx and not more:
            # Nothing but relocatable code, which it lists when asked for all.
            return self.cuda(path, "-all")
        return set(elf), set(ptx)

    def amd(self, path: Path) -> set[str]:
        with open_file(path) as opened:
            reader = Reader(opened.source, size_limit=1 << 40)
            section = next((row for row in read_elf(reader).sections if row.name == ".hip_fatbin"), None)
            places = [*bundle_places(reader, section.offset, section.offset + section.size)] if section else []
            return {target for a, b in places for target in listed_by_bundler(bundle_bytes(reader, a, b), self.bundler)}


def cuda_by_rule(elf: set[str], ptx: set[str], capability: str) -> str:
    """CUDA programming guide: equal major and minor not above; `a` on itself alone; PTX of the same or an older one."""
    mine = int(capability[:-1]), int(capability[-1])
    parts = [
        (int(match[1]), int(match[2]), match[3]) for one in elf if (match := re.fullmatch(r"sm_(\d+)(\d)(\w?)", one))
    ]
    if any(
        (major, minor) == mine or (major == mine[0] and minor <= mine[1] and not ends) for major, minor, ends in parts
    ):
        return "yes"
    older = [match for one in ptx if (match := re.fullmatch(r"sm_(\d+)(\d)", one))]
    return "jit" if any((int(match[1]), int(match[2])) <= mine for match in older) else "no"


# https://llvm.org/docs/AMDGPUUsage.html ("Generic Processors"): the members that are among the GPUs here.
GENERIC = {
    "gfx9-generic": {"gfx906"}, "gfx9-4-generic": {"gfx942", "gfx950"}, "gfx10-3-generic": {"gfx1030"},
    "gfx11-generic": {"gfx1100", "gfx1151"}, "gfx12-generic": {"gfx1201"},
}  # fmt: skip


def amd_by_rule(targets: set[str], gfx: str) -> str:
    """A processor runs its own code and that of its generic target; the default of a feature is not known here."""
    processors = {one.split(":")[0] for one in targets}
    fits = gfx in processors or any(gfx in GENERIC.get(one, ()) for one in processors)
    return "yes" if fits else "no"


def compare(name: str, folder: str, stack: str, framework: str, tools: Tools) -> list[str]:
    """What differs from what the tools list and the wheels say; prints a row."""
    report = doctor(name, *[word for gpu in GPUS for word in ("--gpu", gpu)], "--fail-on", "never")
    image = report["image"]
    wrong = [] if image["stack"] == stack else [f"stack {image['stack']}, not {stack}"]
    wrong += versions(image, HOME / folder)
    compared = beyond = 0
    for code in image["code"]:
        path = HOME / folder / code["file"].removeprefix(f"/{PACKAGES}/")
        if not path.is_file():
            continue
        elf, ptx = tools.cuda(path) if code["cubin"] or code["ptx"] else (set(), set())
        amd = tools.amd(path) if code["gfx"] else set()
        # It writes sm_100 for sm_100f.
        ours = {one.removesuffix("f") for one in code["cubin"]}
        if (
            not elf <= ours
            or not amd <= set(code["gfx"])
            or not ptx <= {one.replace("compute", "sm") for one in code["ptx"]}
        ):
            wrong.append(f"{path.name}: {code['cubin']} {code['ptx']} {code['gfx']}; tools: {elf} {ptx} {amd}")
        if ours - elf or set(code["gfx"]) - amd:
            # Images in places that the tools do not look at; then their list decides nothing.
            beyond += 1
            continue
        for verdict in image["verdicts"]:
            told = next(one["runs"] for one in verdict["files"] if one["file"] == code["file"])
            gpu = verdict["gpu"]
            mine = (elf or ptx) if gpu.startswith("sm_") else amd
            rule = cuda_by_rule(elf, ptx, gpu[3:]) if gpu.startswith("sm_") else amd_by_rule(amd, gpu)
            compared += 1
            # "Unknown" is right where a file has places that cannot be searched: absence is not proved.
            if told != (rule if mine else "wrong-vendor") and (told, rule) != ("unknown", "no"):
                wrong.append(f"{path.name} on {gpu}: {told}, by the tools' list {rule}")
    runs: dict[str, list[str]] = {}
    for gpu, verdict in zip(GPUS, image["verdicts"], strict=True):
        runs.setdefault(verdict["runs"], []).append(gpu)
    said = "; ".join(f"{word}: {', '.join(gpus)}" for word, gpus in runs.items())
    own = next((one for one in image["frameworks"] if one["name"] == framework), None)
    built = (
        f"{own['name']} {own['version']} ({own['build']} {own['built_for'] or ''})".replace(" )", ")")
        if own
        else "none"
    )
    print(
        f"| {name} | {image['stack']} | {built} | {len(image['code'])} | {compared} | {beyond} | {len(wrong)} | {said} |"
    )
    return wrong


def versions(image: dict[str, Any], folder: Path) -> list[str]:
    """Frameworks whose version is not that of the wheel's metadata, and CUDA other than the runtime's wheel."""
    known = {}
    for path in folder.glob("*.dist-info/METADATA"):
        head = message_from_string(path.read_text("utf-8", "replace"))
        known[head["Name"].lower().replace("_", "-")] = head["Version"]
    wrong = []
    for one in image["frameworks"]:
        wheel = known.get(Path(one["where"]).parent.name.partition("-")[0].lower().replace("_", "-"), "")
        if one["version"].partition("+")[0] != wheel.partition("+")[0]:
            wrong.append(f"{one['name']} {one['version']}, the wheel is {wheel}")
    runtime = next((known[name] for name in known if re.fullmatch(r"nvidia-cuda-runtime(-cu\d+)?", name)), "")
    if runtime and not runtime.startswith(".".join((image["cuda"] or "none").split(".")[:2])):
        wrong.append(f"CUDA {image['cuda']}, the runtime's wheel is {runtime}")
    return wrong


# Time


def layers_of(name: str) -> list[str]:
    done = subprocess.run(["docker", "image", "inspect", name], capture_output=True, text=True, check=True)
    data = json.loads(done.stdout)[0]["GraphDriver"]["Data"]
    return [*filter(None, data.get("LowerDir", "").split(":")), data["UpperDir"]]


def pyelftools(folders: list[str]) -> None:
    """The peer: NEEDED of every ELF file, which is the least that tells the stack."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile

    for top in folders:
        for place, _, names in os.walk(top):
            for name in names:
                path = os.path.join(place, name)
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                with open(path, "rb") as file:
                    if file.read(4) != b"\x7fELF":
                        continue
                    try:
                        sections = [one for one in ELFFile(file).iter_sections() if isinstance(one, DynamicSection)]
                        _ = [
                            tag.needed for one in sections for tag in one.iter_tags() if tag.entry.d_tag == "DT_NEEDED"
                        ]
                    except ELFError:
                        continue


def times(name: str, saved: Path, rounds: int) -> None:
    """Median seconds of each way, round about in one run."""
    folders = layers_of(name)
    cache = saved.parent / "cache"
    os.environ["XDG_CACHE_HOME"] = str(cache)

    def fresh() -> None:
        shutil.rmtree(cache / "gpu-doctor" / "images", ignore_errors=True)

    def command(*words: object) -> Callable[[], object]:
        return lambda: subprocess.run(
            [str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
        )

    def inside(reference: str) -> Callable[[], object]:
        return lambda: examine(reference, "linux/amd64", Examination())

    def blind() -> object:
        """With the layer folders out of reach."""
        real, local._folders = local._folders, lambda _: []
        try:
            return examine(name, "linux/amd64", Examination(), via_container=True)
        finally:
            local._folders = real

    look = (sys.executable, "-m", "doctor", "image", name, "--gpu", "A100", "--json")
    subprocess.run(["docker", "create", "--name", "peer", name, "x"], capture_output=True, check=True)
    ways: dict[str, tuple[Callable[[], object] | None, Callable[[], object]]] = {
        "find over the layer folders": (None, command("find", *folders)),
        "pyelftools, NEEDED of the ELF files": (None, lambda: pyelftools(folders)),
        "layer folders, first look": (fresh, inside(name)),
        "layer folders, second look": (None, inside(name)),
        "whole command, first look": (fresh, command(*look)),
        "whole command, second look": (None, command(*look)),
        "saved archive in place, first look": (fresh, inside(f"archive://{saved}")),
        "via a container, first look": (fresh, blind),
        "docker export to nowhere": (None, command("docker", "export", "peer")),
        "docker save to nowhere": (None, command("docker", "save", name)),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, (before, call) in ways.items():
            if before:
                before()
            start = time.perf_counter()
            call()
            seconds[way].append(time.perf_counter() - start)
    subprocess.run(["docker", "rm", "peer"], capture_output=True, check=True)
    base = statistics.median(seconds["find over the layer folders"])
    entries = sum(1 for folder in folders for _, inner, files in os.walk(folder) for _ in (*inner, *files))
    print(f"\n### {name}: {entries:,} entries\n\n| way | seconds | × find |\n|---|---|---|")
    for way, measured in seconds.items():
        middle = statistics.median(measured)
        print(f"| {way} | {middle:.3f} ({min(measured):.3f}-{max(measured):.3f}) | {middle / base:.1f} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="images whose name has this in it")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        raise SystemExit("an engine of its own needs root and dockerd")
    tools = Tools()
    chosen = [row for row in IMAGES if options.only in row[0] and (HOME / row[1]).is_dir()]
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(dir=HOME) as place, engine(Path(place)):
        print("## Against cuobjdump and clang-offload-bundler\n")
        print(
            "| image | stack | framework | files with GPU code | verdicts compared | beyond the tools | wrong | runs |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for name, folder, stack, framework in chosen:
            build(name, folder)
            wrong += [f"{name}: {row}" for row in compare(name, folder, stack, framework, tools)]
        print("\n" + ("\n".join(wrong) or "No differences."))
        print("\n## Time")
        for name, *_ in chosen:
            saved = Path(place) / "saved.tar"
            subprocess.run(["docker", "save", "-o", saved, name], check=True)
            times(name, saved, options.rounds)
            saved.unlink()
            subprocess.run(["docker", "rmi", name], stdout=subprocess.DEVNULL, check=False)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
