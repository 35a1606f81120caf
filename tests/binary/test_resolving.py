"""`binary --root`: what files load below a root, and who provides what is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
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
    cuda = top / "usr/local/cuda-13.0/lib64"
    cuda.mkdir(parents=True)
    (cuda / "libcudart.so.13.0.96").write_bytes(b"")
    (cuda / "libcudart.so.13").symlink_to("libcudart.so.13.0.96")
    names = {"libcudart.so.12": stubs, "libcuda.so.1": stubs, "libours.so.3": top / "usr/lib"}
    for name, folder in names.items():
        subprocess.run(
            ["gcc", "-shared", "-nostdlib", f"-Wl,-soname,{name}", "-x", "c", "/dev/null", "-o", folder / name],
            check=True, timeout=60,
        )  # fmt: skip
    files = [folder / name for name, folder in names.items()]
    link(top / "app", files)
    link(top / "whole", files[1:])
    (top / "usr/bin").mkdir()
    (top / "usr/bin/app").symlink_to("/app")
    return top


def link(program: Path, libraries: list[Path]) -> None:
    subprocess.run(
        ["gcc", "-nostdlib", "-Wl,--no-as-needed", "-Wl,-e,0", "-x", "c", "/dev/null", "-x", "none", *libraries,
         "-o", program],
        check=True, timeout=60,
    )  # fmt: skip


def binary(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "doctor", "binary", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **environment}
    )


def test_libraries_in_json(root: Path) -> None:
    content = json.loads(binary("--json", "--root", str(root), str(root / "app")).stdout)
    found = {edge["needed"]: edge for edge in content["libraries"]}
    assert found["libours.so.3"]["found"] == "/usr/lib/libours.so.3"
    assert found["libcuda.so.1"]["kind"] == "from-driver"
    missing = found["libcudart.so.12"]
    assert (missing["kind"], missing["component"]) == ("missing", "CUDA runtime")
    assert missing["provider"]["pip"] == ["nvidia-cuda-runtime-cu12"]
    assert missing["provider"]["conda"]
    assert missing["present_instead"] == ["/usr/local/cuda-13.0/lib64/libcudart.so.13"]
    assert {"11.0", "12", "13"} <= set(missing["known_majors"])
    assert [place["path"] for place in missing["searched"]]
    assert content["not_followed"] == []


def test_libraries_in_json_lines(root: Path) -> None:
    lines = [
        json.loads(line) for line in binary("--format", "jsonl", "--root", str(root), str(root)).stdout.splitlines()
    ]
    assert {Path(line["path"]).name for line in lines[:-1]} == {"app", "whole", "libours.so.3"}
    assert {edge["needed"] for edge in lines[-1]["libraries"]} >= {"libcudart.so.12", "libours.so.3"}


def test_libraries_in_words(root: Path) -> None:
    done = binary("--root", str(root), str(root / "app"))
    assert done.returncode == 1
    assert "missing: libcudart.so.12, needed by /app" in done.stdout
    assert "  of CUDA runtime, provided by pip: nvidia-cuda-runtime-cu12; apt: " in done.stdout
    assert "  there instead: /usr/local/cuda-13.0/lib64/libcudart.so.13\n" in done.stdout
    assert "missing: libcuda.so.1" not in done.stdout
    assert done.stdout.rstrip().endswith("3 libraries looked for, 1 missing or too old")


def test_exit_codes(root: Path) -> None:
    assert binary("--root", str(root), str(root / "whole")).returncode == 0
    assert binary("--root", str(root), "--fail-on", "never", str(root / "app")).returncode == 0


@pytest.mark.parametrize("path", ["/app", "/usr/bin/app", "{root}/usr/bin/app"])
def test_a_path_may_be_written_as_the_root_sees_it(root: Path, path: str) -> None:
    """An absolute link in a root leads to a file of the root, not to one of this machine."""
    done = binary("--root", str(root), path.format(root=root))
    assert done.stdout.startswith(f"{root}/app\n")
    assert "missing: libcudart.so.12, needed by /app" in done.stdout


def test_the_library_path_of_the_process_counts(root: Path) -> None:
    elsewhere = root / "usr/local/cuda-13.0/lib64"
    done = binary("--root", str(root), str(root / "whole"))
    assert "/usr/lib/libours.so.3" in binary("--verbose", "--root", str(root), str(root / "whole")).stdout
    shutil.copy(root / "usr/lib/libours.so.3", elsewhere)
    words = ("--json", "--root", str(root), str(root / "whole"))
    asked = json.loads(binary(*words, "--library-path", "/usr/local/cuda-13.0/lib64").stdout)
    silent = json.loads(binary(*words, LD_LIBRARY_PATH="/usr/local/cuda-13.0/lib64").stdout)
    (elsewhere / "libours.so.3").unlink()
    found = {edge["needed"]: edge["how"] for edge in asked["libraries"]}
    assert (done.returncode, found["libours.so.3"]) == (0, "LD_LIBRARY_PATH")
    assert "LD_LIBRARY_PATH" not in {edge["how"] for edge in silent["libraries"]}, "another machine's root"


def test_libraries_in_archives_are_said_to_be_left_out(root: Path) -> None:
    wheel = root / "a-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(root / "usr/lib/libours.so.3", "a/libours.so.3")
        archive.write(root / "app", "a/app")
    strange = shutil.copy(root / "whole", root / "odd!name")
    done = binary("--root", str(root), str(wheel), strange)
    wheel.unlink()
    Path(strange).unlink()
    assert f"not followed: {wheel}: 2 libraries in it are looked at but not resolved: unpack it first\n" in done.stdout
    assert done.stdout.endswith("2 libraries looked for, 0 missing or too old\n")


def test_a_file_outside_the_root_is_refused(root: Path) -> None:
    done = binary("--root", str(root), "/bin/sh")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "is not below --root" in done.stderr
    done = binary("--root", str(root / "app"), "/bin/sh")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_without_a_root_the_providers_are_named(root: Path) -> None:
    said = binary("--verbose", str(root / "app")).stdout
    assert "  libcudart.so.12 is of CUDA runtime: pip nvidia-cuda-runtime-cu12" in said
    assert "  libcuda.so.1 comes with the NVIDIA driver" in said
    assert "libours.so.3 " not in said.replace("needs ", ""), "what nobody is known to provide is not named"
