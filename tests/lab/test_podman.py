"""Containers that fail on a real Podman, through its Docker-compatible socket; what it tells otherwise than Docker."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.lab

# Its defaults may be beyond what this machine lets root set.
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")


@dataclass
class Podman:
    folder: Path
    run: Path
    """Podman allows its path 50 characters, and pytest's folders are longer."""
    socket: Path

    def podman(self, *words: str, check: bool = True, data: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        own = ("podman", "--root", str(self.folder / "root"), "--runroot", str(self.run))
        # conmon leaves an empty file, `oom`, in its working folder where a container lacked memory
        return subprocess.run(
            [*own, *words], cwd=self.folder, input=data, capture_output=True, timeout=120, check=check
        )

    def fail(self, name: str, line: str) -> str:
        self.podman("rm", "-f", name, check=False)
        done = self.podman("run", "--network=none", *LIMITS, "--name", name, *shlex.split(line), check=False)
        return done.stderr.decode()

    def doctor(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "doctor", *words], env={**os.environ, "DOCKER_HOST": f"unix://{self.socket}"},
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def report(self, name: str) -> dict:
        done = self.doctor("check", "--container", name, "--json")
        assert done.returncode in (0, 1, 3), done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def podman(lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Podman]:
    if shutil.which("podman") is None:
        if os.environ.get("CI"):
            pytest.fail("podman is not installed")
        pytest.skip("podman is not installed")
    folder = tmp_path_factory.mktemp("podman")
    socket = Path("/tmp") / f"gpu-doctor-podman-{os.getpid()}.sock"
    run = Path(tempfile.mkdtemp(prefix="gpu-doctor-", dir="/tmp"))
    made = Podman(folder, run, socket)
    for image in ("lab/plain", "lab/cuda"):
        saved = subprocess.run(
            ["docker", "save", image], env=lab.environment, capture_output=True, timeout=120, check=True
        )
        made.podman("load", data=saved.stdout)
    service = subprocess.Popen(
        ["podman", "--root", folder / "root", "--runroot", run, "system", "service", "--time=0", f"unix://{socket}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        for _ in range(300):
            if socket.exists():
                break
            time.sleep(0.1)
        yield made
    finally:
        made.podman("rm", "-af", check=False)
        service.terminate()
        service.wait(30)
        socket.unlink(missing_ok=True)
        shutil.rmtree(run, ignore_errors=True)


@pytest.mark.parametrize(
    ("line", "fault", "corrected"),
    [
        ("--device nvidia.com/gpu=all lab/plain /opt/kfd", "nvidia-cdi-device-unresolvable", ""),
        ("lab/plain /opt/cudart", "lib-cudart-missing", ""),
        ("lab/plain /opt/driver", "nvidia-gpu-not-requested",
         "podman run --name=NAME --device=nvidia.com/gpu=all --network=none localhost/lab/plain:latest /opt/driver"),
        ("-e NVIDIA_VISIBLE_DEVICES=all -v /tmp:/data:ro --shm-size=1g lab/cuda /opt/driver", "nvidia-gpu-not-requested",
         "podman run --name=NAME --device=nvidia.com/gpu=all --shm-size=1g --network=none -v /tmp:/data:ro "
         "localhost/lab/cuda:latest /opt/driver"),
        ("lab/plain /opt/shm", "container-shm-too-small",
         "podman run --name=NAME --shm-size=8g --network=none localhost/lab/plain:latest /opt/shm"),
        ("-m 16m lab/plain /opt/memory", "container-oom-killed",
         "podman run --name=NAME --memory=32m --network=none localhost/lab/plain:latest /opt/memory"),
    ],
    ids=["cdi", "cudart", "driver", "driver-with-options", "shm", "memory"],
)  # fmt: skip
def test_fault(podman: Podman, request: pytest.FixtureRequest, line: str, fault: str, corrected: str) -> None:
    """The cause, and the line with nothing in it that Podman adds to every container."""
    name = f"pod-{request.node.callspec.id}"
    podman.fail(name, line)
    report = podman.report(name)
    assert report["findings"][0]["fault"] == fault, report["findings"]
    words = shlex.split(report["corrected"]["run"].replace("\\\n", " ")) if report["corrected"] else []
    assert words == shlex.split(corrected.replace("NAME", name))


def test_what_podman_does_not_keep_is_asked_for(podman: Podman) -> None:
    """It holds no start error: silence about a container that never started is no good news."""
    podman.fail("pod-silent", "--ulimit core=-1:-1 --entrypoint /nowhere lab/plain")
    done = podman.doctor("check", "--container", "pod-silent")
    assert done.returncode == 3, done.stdout
    assert "podman start -a pod-silent 2>&1 | gpu-doctor explain -" in done.stdout
    unknown = podman.doctor("check", "--container", "no-such-thing")
    assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 1)


def test_values_of_variables_do_not_enter(podman: Podman, tmp_path: Path) -> None:
    """The command line that Podman keeps has them all."""
    podman.fail(
        "pod-secret",
        "-e LICENCE=planted-1 --env=MODE=planted-2 -eGLUED=planted-3 --label team=planted-4 -e CUDA_VISIBLE_DEVICES=0 lab/plain /opt/shm",
    )
    file = tmp_path / "snapshot.gz"
    done = podman.doctor("record", "-o", str(file), "--container", "pod-secret", "--yes", "--no-redact")
    assert done.returncode == 0, done.stderr
    from doctor.snapshot import load

    snapshot = load(file)
    assert "planted" not in str(snapshot)
    assert '"--env=MODE"' in snapshot.readings["podman:command"].text
    assert '"CUDA_VISIBLE_DEVICES=0"' in snapshot.readings["podman:command"].text
