"""`binary --root`: what files load below a root, and who provides what is missing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a program that needs a library of CUDA that is not there, one that is, and the driver's."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    top = tmp_path_factory.mktemp("root")
    stubs = tmp_path_factory.mktemp("stubs")
    (top / "usr/lib").mkdir(parents=True)
    names = {"libcudart.so.12": stubs, "libcuda.so.1": stubs, "libours.so.3": top / "usr/lib"}
    for name, folder in names.items():
        subprocess.run(
            ["gcc", "-shared", "-nostdlib", f"-Wl,-soname,{name}", "-x", "c", "/dev/null", "-o", folder / name],
            check=True, timeout=60,
        )  # fmt: skip
    files = [folder / name for name, folder in names.items()]
    subprocess.run(
        ["gcc", "-nostdlib", "-Wl,--no-as-needed", "-Wl,-e,0", "-x", "c", "/dev/null", "-x", "none", *files, "-o", top / "app"],
        check=True, timeout=60,
    )  # fmt: skip
    return top


def binary(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "doctor", "binary", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_libraries_in_json(root: Path) -> None:
    content = json.loads(binary("--json", "--root", str(root), str(root / "app")).stdout)
    found = {edge["needed"]: edge for edge in content["libraries"]}
    assert found["libours.so.3"]["found"] == "/usr/lib/libours.so.3"
    assert found["libcuda.so.1"]["kind"] == "from-driver"
    missing = found["libcudart.so.12"]
    assert (missing["kind"], missing["component"]) == ("missing", "CUDA runtime")
    assert missing["provider"]["pip"] == ["nvidia-cuda-runtime-cu12"]
    assert [place["path"] for place in missing["searched"]]


def test_libraries_in_words(root: Path) -> None:
    said = binary("--root", str(root), str(root / "app")).stdout
    assert "missing: libcudart.so.12, needed by /app" in said
    assert "nvidia-cuda-runtime-cu12" in said
    assert "missing: libcuda.so.1" not in said
    assert said.rstrip().endswith("3 libraries looked for, 1 missing or too old")


def test_a_file_outside_the_root_is_refused(root: Path) -> None:
    done = binary("--root", str(root), "/bin/sh")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is not below --root" in done.stderr
