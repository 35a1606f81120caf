"""The lab: a Docker engine of its own, images built from scratch, containers that fail for real.

Nothing is pulled and no engine of the machine is touched: the daemon has its own data, its own socket and no network.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CUDART = "nvidia-cuda-runtime-cu12==12.9.79"
REQUIRED = bool(os.environ.get("CI"))
"""In CI the lab runs or fails; elsewhere it is skipped with its reason."""


def _absent(reason: str) -> Any:
    if REQUIRED:
        pytest.fail(f"the lab cannot run in CI: {reason}")
    pytest.skip(f"the lab cannot run: {reason}")


@dataclass
class Lab:
    socket: str
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DOCKER_HOST": self.socket, "HOME": str(self.folder)}

    def docker(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["docker", *words], env=self.environment, capture_output=True, text=True, timeout=120, check=check
        )

    @property
    def has_cdi(self) -> bool:
        """Whether the engine looks for CDI devices unasked, as Docker does from 28.2 on."""
        folders = self.docker("info", "--format", "{{json .CDISpecDirs}}").stdout.strip()
        return folders not in ("null", "[]", "")

    def fail(self, name: str, *words: str) -> str:
        """Run a container that fails, to its end; what the command line printed."""
        self.docker("rm", "-f", name, check=False)
        done = self.docker("run", "--network=none", "--name", name, *words, check=False)
        return done.stderr

    def fail_for_memory(self, name: str, *words: str) -> None:
        """The same for a container that the kernel kills for memory.

        The engine is told of the kill beside the container's end, and loses it where that comes first: then once more.
        """
        for _ in range(5):
            self.fail(name, *words)
            for _ in range(20):
                state = self.docker("inspect", "--format", "{{.State.OOMKilled}}", name)
                if state.stdout.strip() == "true":
                    return
                time.sleep(0.1)
        pytest.fail(f"{name} was started five times, and the engine never told that it was killed for memory")

    def doctor(self, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "doctor", *words],
            env=self.environment, input=text, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def report(self, name: str) -> dict[str, Any]:
        """The JSON report on a container; exit code 1 is part of the contract."""
        done = self.doctor("check", "--container", name, "--json")
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]

    def explain(self, text: str) -> dict[str, Any]:
        done = self.doctor("explain", "--json", "-", text=text)
        assert done.returncode in (0, 1), done.stderr
        return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    for program in ("dockerd", "docker", "gcc"):
        if shutil.which(program) is None:
            _absent(f"{program} is not installed")
    if os.geteuid() != 0:
        _absent("a Docker engine of its own needs root")
    with _engine(tmp_path_factory.mktemp("lab"), {}) as made:
        _build_images(made)
        yield made


@pytest.fixture(scope="session")
def containerd_lab(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """An engine that keeps its images in containerd, with the images of the lab."""
    folder = tmp_path_factory.mktemp("store")
    with _engine(folder, {"features": {"containerd-snapshotter": True}}) as made:
        driver = made.docker("info", "--format", "{{json .DriverStatus}}").stdout
        if "io.containerd.snapshotter" not in driver:
            version = made.docker("version", "--format", "{{.Server.Version}}").stdout.strip()
            pytest.skip(f"this Docker engine ({version}) has no image store of containerd")
        for tag in ("lab/plain", "lab/cudart"):
            lab.docker("save", tag, "-o", str(folder / "image.tar"))
            made.docker("load", "-i", str(folder / "image.tar"))
        yield made


@contextmanager
def _engine(folder: Path, configuration: dict[str, Any]) -> Iterator[Lab]:
    # A socket's path may have 107 characters at most; pytest's folders are longer on some machines.
    socket = Path("/tmp") / f"gpu-doctor-{folder.name}-{os.getpid()}.sock"
    (folder / "daemon.json").write_text(json.dumps(configuration))
    log = (folder / "dockerd.log").open("wb")
    daemon = subprocess.Popen(
        ["dockerd", "--config-file", folder / "daemon.json", "--data-root", folder / "data", "--exec-root",
         folder / "exec", "-H", f"unix://{socket}", "--pidfile", folder / "pid", "--bridge=none", "--iptables=false"],
        stdout=log, stderr=log, start_new_session=True,
    )  # fmt: skip
    made = Lab(f"unix://{socket}", folder)
    try:
        _wait_for(made, daemon, folder / "dockerd.log")
        yield made
    finally:
        names = made.docker("ps", "-aq", check=False).stdout.split()
        made.docker("rm", "-f", *names, check=False) if names else None
        daemon.terminate()
        try:
            daemon.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(daemon.pid, signal.SIGKILL)
        socket.unlink(missing_ok=True)


def _wait_for(made: Lab, daemon: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        if daemon.poll() is not None:
            _absent(f"dockerd ended: {log.read_text(errors='replace')[-500:]}")
        if made.docker("version", check=False).returncode == 0:
            return
        time.sleep(0.1)
    _absent("dockerd did not answer within 30 s")


def _build_images(made: Lab) -> None:
    programs = _compile(made.folder)
    libc = _libraries(
        "/lib64/ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0"
    )
    arm = {"opt/program": _arm64_program()}
    _import(made, "lab/plain", {**libc, **programs})
    _import(made, "lab/cudart", {**libc, **programs, "usr/lib/x86_64-linux-gnu/libcudart.so.12": _cudart(made.folder)})
    _import(made, "lab/arm64", arm)
    cuda = (
        "ENV CUDA_VERSION=12.4.1",
        "ENV NVIDIA_VISIBLE_DEVICES=all",
        "ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility",
    )
    _import(made, "lab/cuda", {**libc, **programs}, *cuda)
    _import(made, "lab/rocm", {**libc, **programs}, "ENV ROCM_PATH=/opt/rocm", "ENV PYTORCH_ROCM_ARCH=gfx90a;gfx942")


def _import(made: Lab, tag: str, files: dict[str, bytes], *changes: str) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for folder in ("data", "tmp", "dev", "proc"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777
            tar.addfile(entry)
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    options = [word for change in changes for word in ("--change", change)]
    subprocess.run(
        ["docker", "import", *options, "-", tag], env=made.environment, input=archive.getvalue(), check=True,
        capture_output=True, timeout=120,
    )  # fmt: skip


def _libraries(*names: str) -> dict[str, bytes]:
    """The machine's own loader and libc, where a glibc image has them."""
    found = {}
    for name in names:
        path = Path(name if name.startswith("/") else f"/lib/x86_64-linux-gnu/{name}")
        if path.exists():
            place = "lib64/ld-linux-x86-64.so.2" if "ld-linux" in name else f"lib/x86_64-linux-gnu/{name}"
            found[place] = path.read_bytes()
    return found


def _compile(folder: Path) -> dict[str, bytes]:
    """The lab's programs, each linked as its kind is."""
    stub = _shared(folder, "libcuda.so.1", "int cuInit(unsigned flags) { return 0; }")
    newer = _shared(folder, "libm.so.6", "int lab_symbol(void) { return 0; }", version="GLIBC_2.99")
    (folder / "libcudart.so.12").write_bytes(_cudart(folder))
    links = {
        "CUDART": [str(folder / "libcudart.so.12")], "DRIVER": [str(stub)], "GLIBC": [str(newer)],
        "KFD": [], "SHM": [], "MEMORY": [], "DISK": [], "DIVERGED": [],
    }  # fmt: skip
    programs = {}
    for name, libraries in links.items():
        path = folder / name.lower()
        source = str(HERE / "programs.c")
        subprocess.run(
            ["gcc", "-O1", f"-D{name}", "-o", str(path), source, "-Wl,--no-as-needed", *libraries,
             "-Wl,--allow-shlib-undefined"],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        programs[f"opt/{name.lower()}"] = path.read_bytes()
    return programs


def _shared(folder: Path, soname: str, source: str, version: str = "") -> Path:
    """A stand-in of ours for a library that may not be had: only its name and its symbols' versions matter."""
    place = folder / f"stub-{soname}"
    place.mkdir(exist_ok=True)
    (place / "stub.c").write_text(source)
    options = []
    if version:
        (place / "version.map").write_text(f"{version} {{ global: *; }};")
        options = [f"-Wl,--version-script={place / 'version.map'}"]
    target = place / soname
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-nostdlib", f"-Wl,-soname,{soname}", *options, "-o", str(target), str(place / "stub.c")],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    return target


def _cudart(folder: Path) -> bytes:
    """The real CUDA runtime, out of NVIDIA's wheel."""
    cache = folder / "wheels"
    if not cache.exists():
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", "--platform",
             "manylinux2014_x86_64", "-d", str(cache), CUDART],
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        if done.returncode:
            _absent(f"{CUDART} could not be fetched: {done.stderr[-300:]}")
    with zipfile.ZipFile(next(cache.glob("*.whl"))) as wheel:
        return wheel.read("nvidia/cuda_runtime/lib/libcudart.so.12")


def _arm64_program() -> bytes:
    """An AArch64 ELF header and nothing else: enough for the kernel to refuse it as a foreign format."""
    import struct

    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    return identity + struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, 0x400000, 64, 0, 0, 64, 56, 0, 64, 0, 0) + bytes(512)


@pytest.fixture
def kfd_node() -> Iterator[Path]:
    """A /dev/kfd of group 44 and mode 0660, with no driver behind it; taken away again."""
    path = Path("/dev/kfd")
    if path.exists():
        pytest.skip("this machine has a /dev/kfd of its own")
    os.mknod(path, 0o020660, os.makedev(511, 0))
    os.chmod(path, 0o660)
    os.chown(path, 0, 44)
    try:
        yield path
    finally:
        path.unlink()
