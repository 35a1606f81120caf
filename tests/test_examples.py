"""The examples work as they stand, and the hooks meet the files that they are for."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML


def loaded(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text())


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Dockerfile", True), ("docker/Dockerfile.rocm", True), ("Dockerfile-cuda", True), ("app.dockerfile", True),
        ("Containerfile", True), ("compose.yaml", True), ("compose.gpu.yml", True), ("deploy/docker-compose.yml", True),
        ("docker-compose.override.yml", True), ("Dockerfiles/README.md", False), ("mycompose.yaml", False),
        ("values.yaml", False), ("Dockerfile.md/notes.txt", False), ("compose.json", False),
    ],
)  # fmt: skip
def test_the_hook_meets_dockerfiles_and_compose_files(name: str, wanted: bool, root: Path) -> None:
    hook = loaded(root / ".pre-commit-hooks.yaml")[0]
    assert (re.search(hook["files"], name) is not None) is wanted


def test_hooks_call_a_verb_that_takes_files(root: Path) -> None:
    for hook in loaded(root / ".pre-commit-hooks.yaml"):
        assert {"id", "name", "entry", "language", "files"} <= hook.keys()
        words = shlex.split(hook["entry"])
        command = [
            sys.executable,
            "-m",
            "doctor",
            *words[1:],
            str(root / "tests" / "lint" / "good" / "Dockerfile.node"),
        ]
        assert words[0] == "gpu-doctor"
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    known = {hook["id"] for hook in loaded(root / ".pre-commit-hooks.yaml")}
    used = {
        hook["id"] for repo in loaded(root / "examples" / "pre-commit-config.yaml")["repos"] for hook in repo["hooks"]
    }
    assert used == known


def test_the_workflow_s_commands_write_the_files_that_it_uploads(root: Path, tmp_path: Path) -> None:
    steps = loaded(root / "examples" / "github-workflow.yml")["jobs"]["gate"]["steps"]
    (tmp_path / "Dockerfile").write_text("FROM nvidia/cuda:12.4.1-runtime-ubuntu22.04\nENV CUDA_VISIBLE_DEVICES=-1\n")
    (tmp_path / "compose.yaml").write_text("services:\n  a:\n    image: rocm/pytorch\n    gpus: all\n")
    (tmp_path / "image").mkdir()
    (tmp_path / "image" / "etc").mkdir()
    codes = []
    for step in steps:
        if step.get("run", "").startswith("gpu-doctor "):
            words = shlex.split(step["run"].replace("$IMAGE", "fs://image"))
            done = subprocess.run([sys.executable, "-m", "doctor", *words[1:]], cwd=tmp_path, capture_output=True,
                                  timeout=120, check=False)  # fmt: skip
            codes.append(done.returncode)
    assert codes[0] == 1, "the gate closes for a file that cannot work"
    assert codes[1] != 2
    for step in steps:
        if "upload-sarif" in step.get("uses", ""):
            content = json.loads((tmp_path / step["with"]["sarif_file"]).read_text())
            assert content["version"] == "2.1.0"
            assert step["with"]["sarif_file"] in step["if"]


def test_the_ticket_system(root: Path) -> None:
    tickets = [
        {"id": 1, "text": "RuntimeError: CUDA error: no kernel image is available for execution on the device\n"},
        {"id": 2, "text": "it does not work\n"},
    ]
    done = subprocess.run([sys.executable, str(root / "examples" / "ticket_system.py")], capture_output=True, text=True,
                          input="".join(json.dumps(one) + "\n" for one in tickets), timeout=60, check=True)  # fmt: skip
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["send"], second["send"]) == (True, False)
    assert first["group"].startswith("1:cuda-no-kernel-image:")
    assert second["ask"]
