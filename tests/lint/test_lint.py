"""`lint`: GPU requests that cannot work are found, with lines that `patch` takes; what works is left alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from doctor import lint_file
from doctor.report import Report

HERE = Path(__file__).parent
GOOD = sorted((HERE / "good").iterdir())
# Each file's flaws: fault and line. Those with a star come without corrected lines.
BAD = {
    "Dockerfile.base-slim": ["nvidia-driver-capability-missing:3"],
    "Dockerfile.caps": ["nvidia-driver-capability-missing:2", "cuda-no-device:3"],
    "Dockerfile.cmdgpus": ["framework-wrong-vendor:2", "framework-wrong-vendor:3"],
    "Dockerfile.cpuwheel": ["framework-cpu-only-build:4"],
    "Dockerfile.cu-newer": ["*framework-cuda-toolkit-mismatch:3"],
    "Dockerfile.driver": ["nvidia-driver-library-mismatch:3"],
    "Dockerfile.flash2": ["*framework-cuda-toolkit-mismatch:3"],
    "Dockerfile.foreign": ["*framework-wrong-vendor:2"],
    "Dockerfile.heredoc": ["framework-wrong-vendor:3"],
    "Dockerfile.hsa": ["amd-gfx-override-wrong:2"],
    "Dockerfile.index-newer": ["framework-wrong-vendor:2"],
    "Dockerfile.rocm-default": ["framework-wrong-vendor:3"],
    "Dockerfile.smi": ["nvidia-gpu-not-requested:2", "*framework-no-gpu-found:3"],
    "Dockerfile.stubs": ["cuda-compat-library-conflict:2"],
    "amd-user.yaml": ["*amd-kfd-permission:6"],
    "compose.amd-gpus.yaml": ["framework-wrong-vendor:4"],
    "compose.amd-nodev.yaml": ["amd-kfd-permission:4", "amd-dri-missing:5", "container-shm-too-small:3"],
    "compose.amd-perm.yaml": ["amd-kfd-permission:4", "container-shm-too-small:3"],
    "compose.amd-volume.yaml": ["amd-device-not-permitted:5"],
    "compose.both.yaml": ["container-compose-gpu-syntax:9"],
    "compose.caps.yaml": ["container-compose-gpu-syntax:8"],
    "compose.devreq.yaml": ["container-compose-gpu-syntax:4"],
    "compose.gpunum.yaml": ["container-compose-gpu-syntax:4", "container-compose-gpu-syntax:7"],
    "compose.limits.yaml": ["container-compose-gpu-syntax:7"],
    "compose.norequest.yaml": ["nvidia-gpu-not-requested:4"],
    "compose.runtime.yaml": ["nvidia-runtime-not-registered:5"],
    "compose.shm.yaml": ["container-shm-too-small:3"],
    "compose.toplevel.yaml": ["container-compose-gpu-syntax:4"],
    "compose.two.yaml": ["framework-wrong-vendor:9", "container-compose-gpu-syntax:20"],
    "cron.yaml": ["nvidia-gpu-not-requested:12"],
    "deploy-shm.yaml": ["container-shm-too-small:9"],
    "pod-half.yaml": ["k8s-gpu-resource-unavailable:10"],
    "pod-hostpath.yaml": ["amd-device-not-permitted:12"],
    "pod-name.yaml": ["k8s-gpu-resource-unavailable:10"],
    "pod-req.yaml": ["k8s-gpu-resource-unavailable:10"],
    "pod-selector.yaml": ["k8s-gpu-resource-unavailable:12"],
    "pod-vendor.yaml": ["framework-wrong-vendor:10", "container-shm-too-small:7"],
}


def lint(*words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "doctor", "lint", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, input=text)


def of(path: Path) -> Report:
    return lint_file(path.read_bytes(), path.name)


def diffs(report: Report) -> dict[str, str]:
    """The corrected lines of each flaw, by fault and line."""
    return {
        f"{item.finding.fault}:{item.finding.evidence[0].line}": fix.commands[0]
        for item in report.diagnoses
        for fix in item.fixes
        if fix.language == "diff"
    }


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_what_works_is_left_alone(path: Path) -> None:
    report = of(path)
    assert report.examined
    assert [(item.finding.fault, item.finding.evidence[0].says) for item in report.diagnoses] == []


def test_every_bad_file_is_expected() -> None:
    assert sorted(BAD) == sorted(path.name for path in (HERE / "bad").iterdir())


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_work_is_found_at_its_line(name: str) -> None:
    report = of(HERE / "bad" / name)
    corrected = diffs(report)
    told = [f"{item.finding.fault}:{item.finding.evidence[0].line}" for item in report.diagnoses]
    assert [one if one in corrected else f"*{one}" for one in told] == BAD[name]


@pytest.mark.parametrize("name", [name for name, flaws in BAD.items() if not all(one[0] == "*" for one in flaws)])
def test_the_corrected_lines_apply_and_mend_it(name: str, tmp_path: Path) -> None:
    """Each diff is one that patch takes, and after all of them nothing that has a diff is left."""
    path = tmp_path / name
    path.write_bytes((HERE / "bad" / name).read_bytes())
    for _ in range(4):
        corrected = diffs(of(path))
        if not corrected:
            break
        change = next(iter(corrected.values())) + "\n"
        done = subprocess.run(["patch", "-p0", "--fuzz=0", str(path)], input=change, capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stdout
    assert not diffs(of(path))


def test_text_is_as_compilers_write_it() -> None:
    done = lint(str(HERE / "bad" / "pod-name.yaml"))
    assert done.returncode == 1
    first, *_, last = done.stdout.splitlines()
    assert first.endswith(
        "pod-name.yaml:10: error: there is no resource nvidia.com/gpus  [k8s-gpu-resource-unavailable]"
    )
    assert "+          nvidia.com/gpu: 1" in done.stdout.splitlines()
    assert last == "1 file: 1 error"


def test_sarif_has_the_line_and_rules_in_their_own_words() -> None:
    names = [str(HERE / "bad" / name) for name in ("pod-name.yaml", "compose.gpunum.yaml")]
    run = json.loads(lint("--format", "sarif", *names).stdout)["runs"][0]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
    places = [result["locations"][0]["physicalLocation"] for result in run["results"]]
    assert [place["region"]["startLine"] for place in places] == [10, 4, 7]
    assert places[0]["artifactLocation"]["uri"].endswith("tests/lint/bad/pod-name.yaml")


def test_standard_input() -> None:
    done = lint("--json", "-", text=(HERE / "bad" / "pod-req.yaml").read_text())
    assert json.loads(done.stdout)["findings"][0]["fault"] == "k8s-gpu-resource-unavailable"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"),
        (b"a: [1\n", "line 2"),
        (b"kind: Pod\nspec: {{ .Values.x }}\n a\n", "helm template"),
        (b"\x7fELF\x02" + bytes(100), "an ELF file"),
        (b"a: " + b"[" * 9000, ""),
        (b"echo hello\n", "neither a Dockerfile"),
        pytest.param(b"x" * (5 << 20), "it has more than 4 MB", id="large"),
    ],
)
def test_what_is_no_such_file_is_one_line(content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "some.yaml"
    path.write_bytes(content)
    done = lint(str(path))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "some.yaml cannot be checked: " in done.stderr
    assert told in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("notes.txt", "WARNING: this: is no YAML\n", "neither a Dockerfile, nor a compose file, nor a Kubernetes"),
        ("manifest", "kind: Pod\nspec: [\n", "line 3"),
    ],
)
def test_broken_yaml_is_told_where_yaml_was_meant(name: str, content: str, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    assert told in lint(str(tmp_path / name)).stderr


def test_another_file_beside_good_ones_does_not_fail(tmp_path: Path) -> None:
    (tmp_path / "notes.yaml").write_text("a: b\n")
    done = lint(str(GOOD[0]), str(tmp_path / "notes.yaml"))
    assert done.returncode == 0
    assert "notes.yaml: not read: it is neither" in done.stdout


def test_a_hook_names_files_of_no_known_kind_too(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("a: b\n")
    (tmp_path / "broken.yaml").write_text("a: [\n")
    assert lint("--ignore-unknown", str(tmp_path / "values.yaml")).returncode == 0
    assert lint("--ignore-unknown", str(tmp_path / "broken.yaml")).returncode == 2
    both = lint("--ignore-unknown", "--json", str(tmp_path / "values.yaml"), str(HERE / "bad" / "pod-req.yaml"))
    assert (both.returncode, json.loads(both.stdout)["subject"]["name"]) == (1, str(HERE / "bad" / "pod-req.yaml"))


def test_a_file_that_is_not_there_is_one_line() -> None:
    done = lint("no-such-file.yaml")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_hostile_file_is_only_text(tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text('services:\n  "a\x1b[31m":\n    image: "rocm/x\x1b]0;t\x07"\n    gpus: all\n')
    done = lint(str(path))
    assert done.returncode in (1, 2)
    assert "\x1b" not in done.stdout + done.stderr
