"""`diff`: what differs between the machine that works and the one that does not, the telling things first."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import tests.machines.amd_faults
import tests.machines.engine_faults
import tests.machines.healthy
import tests.machines.nvidia_faults  # noqa: F401 - each adds its machines to CASES
from doctor.aspects import ASPECTS
from doctor.facts import lookup, parse
from doctor.snapshot import dump
from tests.machines.build import CASES


def snapshot(name: str, tmp_path: Path) -> str:
    path = tmp_path / f"{name}.gz"
    (tmp_path / f"root of {name}").mkdir()
    path.write_bytes(dump(CASES[name].make().record(tmp_path / f"root of {name}")))
    return str(path)


def diff(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "doctor", "diff", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("works", "fails", "fault", "telling"),
    [
        ("healthy-rtx5090", "libraries-updated-under-the-module", "nvidia-driver-library-mismatch",
         {"NVIDIA kernel module", "NVIDIA driver libraries"}),
        ("healthy-h100-hgx", "fabric-manager-stopped", "nvidia-fabric-manager", {"Fabric Manager"}),
        ("healthy-container-on-nvidia", "container-without-gpu", "nvidia-gpu-not-requested", {"GPU requests"}),
        ("healthy-container-on-amd", "container-user-without-group", "amd-kfd-permission", {"container's groups"}),
        ("healthy-rx7900xtx", "user-not-in-render-group", "amd-kfd-permission", {"groups"}),
        ("healthy-t4-rootless-podman-with-cdi", "toolkit-not-installed", "nvidia-toolkit-not-installed",
         {"NVIDIA Container Toolkit"}),
        ("healthy-h100-hgx", "no-cgroups-on-a-rootful-engine", "nvidia-no-cgroups-set", {"NVIDIA toolkit's config.toml"}),
    ],
)  # fmt: skip
def test_what_the_finding_rests_on_comes_first(
    works: str, fails: str, fault: str, telling: set[str], tmp_path: Path
) -> None:
    done = diff("--json", snapshot(works, tmp_path), snapshot(fails, tmp_path))
    content = json.loads(done.stdout)
    assert done.returncode == 1
    assert {one["fault"]: bool(one["a"]) for one in content["findings"]}[fault] is False
    marks = [one["telling"] for one in content["differences"]]
    assert marks == sorted(marks, reverse=True)
    assert telling <= {one["name"] for one in content["differences"] if one["telling"]}


def test_a_machine_does_not_differ_from_itself(tmp_path: Path) -> None:
    one = snapshot("healthy-mi210", tmp_path)
    done = diff(one, one)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "nothing that was looked at differs")


def test_what_one_side_did_not_look_at_is_no_difference(tmp_path: Path) -> None:
    with_container, without = snapshot("healthy-container-on-nvidia", tmp_path), snapshot("healthy-h100-hgx", tmp_path)
    content = json.loads(diff("--json", with_container, without).stdout)
    assert not [one for one in content["differences"] if one["area"] == "container"]
    assert {one["fact"]: (one["a"], bool(one["b"])) for one in content["not_compared"]}["container"] == (None, True)


def report(path: Path, text: str) -> str:
    command = [sys.executable, "-m", "doctor", "explain", "--json", "-"]
    path.write_text(subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, check=False).stdout)
    return str(path)


def test_two_reports(tmp_path: Path) -> None:
    before = report(
        tmp_path / "a.json", "ImportError: libcudart.so.11.0: cannot open shared object file: No such file\n"
    )
    after = report(tmp_path / "b.json", "ImportError: libcudart.so.12: cannot open shared object file: No such file\n")
    content = json.loads(diff("--json", before, after).stdout)
    assert {one["name"]: (one["a"], one["b"]) for one in content["differences"]}["library"] == (
        ["libcudart.so.11.0"], ["libcudart.so.12"],
    )  # fmt: skip
    healthy = report(tmp_path / "c.json", "epoch 1\n")
    assert diff(after, healthy).returncode == 0
    done = diff("--format", "markdown", healthy, after)
    assert done.returncode == 1
    assert "lib-cudart-missing" in done.stdout
    assert diff("--fail-on", "never", healthy, after).returncode == 0


def test_what_is_a_note_in_one_and_an_error_in_the_other_is_found_there_alone(tmp_path: Path) -> None:
    """A guess from the image beside another diagnosis, and then the container's own cause."""
    after = report(tmp_path / "b.json", "ImportError: libcudart.so.12: cannot open shared object file: No such file\n")
    content = json.loads(Path(after).read_text())
    content["findings"][0]["severity"] = "note"
    (tmp_path / "a.json").write_text(json.dumps(content))
    done = diff(str(tmp_path / "a.json"), after)
    assert done.returncode == 1
    assert "found only in B\n  lib-cudart-missing" in done.stdout
    assert diff(after, str(tmp_path / "a.json")).returncode == 0


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("epoch 1\n", "neither a snapshot nor a report"),
        ("[]", "holds 0 reports"),
        ("[{}, {}]", "holds 2 reports"),
        ('{"schema": "gpu-doctor/report/1"}\n{"schema": "gpu-doctor/report/1"}\n', "several reports"),
        ('{"schema": "gpu-doctor/report/9", "tool_version": "7.0"}', "made by gpu-doctor 7.0"),
        ('{"schema": "gpu-doctor/report/1", "findings": 3}', "damaged report"),
        (
            '{"schema": "gpu-doctor/report/1", "subject": {}, "summary": {}, "findings": [{"fault": 1}]}',
            "damaged report",
        ),
        ('{"readings": {}, "format": 99}', "of format 99"),
        ("{}", "not a gpu-doctor snapshot"),
        ("\x1f\x8b", "damaged gzip"),
    ],
)
def test_bad_input_is_one_line(text: str, told: str, tmp_path: Path) -> None:
    good, bad = report(tmp_path / "good.json", "epoch 1\n"), tmp_path / "bad"
    bad.write_bytes(text.encode("latin-1"))
    done = diff(good, str(bad))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert told in done.stderr


def test_a_snapshot_and_a_report_are_not_compared(tmp_path: Path) -> None:
    done = diff(report(tmp_path / "good.json", "epoch 1\n"), snapshot("healthy-mi210", tmp_path))
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "compare two of one kind" in done.stderr


@pytest.mark.parametrize(
    "name", ["healthy-h100-hgx", "healthy-container-on-amd", "healthy-jetson-orin", "healthy-wsl2"]
)
def test_every_aspect_can_be_read(name: str, tmp_path: Path) -> None:
    facts = parse(CASES[name].make().record(tmp_path))
    assert len({(one.area, one.name) for one in ASPECTS}) == len(ASPECTS)
    for one in ASPECTS:
        fact = lookup(facts, one.need)
        if fact or fact is None:
            assert all(map(str, one.values(fact))), one.name
