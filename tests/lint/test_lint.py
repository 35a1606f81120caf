"""`lint`: GPU requests that cannot work are found, with a fragment that `patch` takes; good files are left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

NVIDIA = """\
    deploy:
      resources:
        reservations:
          devices:
            - driver: nvidia
              count: all
              capabilities: [gpu]
"""


def lint(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "doctor", "lint", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def compose(folder: Path, image: str, rest: str) -> Path:
    path = folder / "compose.yaml"
    path.write_text(f"services:\n  app:\n    image: {image}\n    shm_size: 8gb\n{rest}")
    return path


def test_a_rocm_image_that_asks_for_nvidia(tmp_path: Path) -> None:
    path = compose(tmp_path, "rocm/pytorch:latest", NVIDIA)
    done = lint("--json", str(path))
    assert done.returncode == 1
    first = json.loads(done.stdout)["findings"][0]
    assert first["fault"] == "framework-wrong-vendor"
    assert "+      - /dev/kfd" in first["fixes"][0]["commands"][0]


@pytest.mark.parametrize(
    ("image", "rest"),
    [
        ("nvidia/cuda:12.4.1-base-ubuntu22.04", NVIDIA),
        ("rocm/pytorch:latest", "    devices:\n      - /dev/kfd\n      - /dev/dri\n"),
    ],
)
def test_a_request_that_works_is_left_alone(tmp_path: Path, image: str, rest: str) -> None:
    done = lint("--json", str(compose(tmp_path, image, rest)))
    content = json.loads(done.stdout)
    assert not [one["fault"] for one in content["findings"] if one["severity"] == "error"]


def test_a_file_that_is_not_there_is_one_line() -> None:
    done = lint("no-such-file.yaml")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
