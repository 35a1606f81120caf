"""`gpu-doctor image`: the contract's JSON, CI forms, exit codes, one-line refusals; and the join with a machine and a log."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from doctor.check import discover
from doctor.engine import judge
from doctor.image.examination import Examination
from doctor.image.inventory import examine
from doctor.image.record import to_json
from doctor.knowledge import Base
from doctor.match import Patterns
from doctor.probes import discover as probes
from doctor.probes.system import System
from doctor.snapshot import Reading, Snapshot, Target
from tests.image.conftest import cuda, saved, tar, torch_layer


def doctor(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "doctor", *words], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def archive(tmp_path: Path) -> str:
    path = tmp_path / "trainer.tar"
    path.write_bytes(saved([torch_layer("2.5.1+cu124", cuda("mixed.so"), "12.4")]))
    return str(path)


def test_json_has_what_the_contract_names(archive: str) -> None:
    done = doctor("image", archive, "--gpu", "A100", "--gpu", "T4", "--gpu", "MI300X", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    image = report["image"]
    assert report["subject"] == {"kind": "image", "name": archive}
    assert (image["platform"], image["stack"], image["cuda"], image["rocm"]) == ("linux/amd64", "cuda", "12.4", None)
    assert image["frameworks"][0]["name"] == "torch"
    file = "/usr/lib/python3/dist-packages/torch/lib/libtorch_cuda.so"
    assert image["code"][0]["file"] == file
    assert image["code"][0]["cubin"] == ["sm_80", "sm_86", "sm_90a"]
    assert {"needed", "by", "found", "provider", "searched"} <= set(image["libraries"][0])
    told = {one["gpu"]: one["runs"] for one in image["verdicts"]}
    assert told == {"sm_80": "yes", "sm_75": "no", "gfx942": "wrong-vendor"}
    assert image["verdicts"][0]["files"][0] == {
        "file": file, "runs": "yes", "by": "sm_80", "because": image["verdicts"][0]["files"][0]["because"],
    }  # fmt: skip
    faults = {one["fault"] for one in report["findings"]}
    assert {"cuda-no-kernel-image", "framework-wrong-vendor"} <= faults


def test_report_fits_the_schema(archive: str) -> None:
    import jsonschema

    import doctor as package

    schema = json.loads((Path(package.__file__).parent / "report.schema.json").read_text())
    jsonschema.validate(json.loads(doctor("image", archive, "--gpu", "T4", "--json").stdout), schema)


def test_many_images_and_many_gpus(archive: str) -> None:
    done = doctor("image", archive, archive, "--gpu", "A100", "--gpu", "T4", "--format", "jsonl", "--fail-on", "never")
    assert done.returncode == 0
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [len(row["image"]["verdicts"]) for row in rows] == [2, 2]


def test_text_shows_files_down_and_gpus_across(archive: str) -> None:
    lines = doctor("image", archive, "--gpu", "A100", "--gpu", "T4").stdout.splitlines()
    head = next(line for line in lines if line.strip().startswith("GPU code in"))
    row = lines[lines.index(head) + 1]
    assert head.split()[-2:] == ["sm_80", "sm_75"]
    assert "libtorch_cuda.so" in row
    assert row.split()[-4:] == ["✓", "yes", "✗", "no"]


def test_the_head_tells_a_small_size_as_it_is(archive: str) -> None:
    lines = doctor("image", archive, "--gpu", "A100").stdout.splitlines()
    assert lines[0].startswith(f"{archive}   linux/amd64 · ")
    assert lines[0].endswith(" KB")
    assert not any(a == b == "" for a, b in pairwise(lines)), "one blank line between parts"


def test_sarif(archive: str) -> None:
    content = json.loads(doctor("image", archive, "--gpu", "T4", "--format", "sarif").stdout)
    run = content["runs"][0]
    assert content["version"] == "2.1.0"
    result = next(one for one in run["results"] if one["ruleId"] == "cuda-no-kernel-image")
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["level"] == "error"
    assert "libtorch_cuda.so" in result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]


def test_junit(archive: str) -> None:
    suites = ElementTree.fromstring(
        doctor("image", archive, "--gpu", "T4", "--gpu", "A100", "--format", "junit").stdout
    )
    suite = suites[0]
    assert int(suite.get("failures", "0")) == len(suite.findall("testcase/failure")) >= 1
    assert any("runs on A100" in one.get("name", "") and not len(one) for one in suite)
    names = [one.get("name", "") for one in suite if one.find("failure") is not None]
    assert any(name.startswith("cuda-no-kernel-image") for name in names)


@pytest.mark.parametrize("words", [
    ["/nowhere/at.tar"], ["--gpu", "no such board", "ARCHIVE"], ["--gpu", "680M", "ARCHIVE"], ["--driver", "new", "ARCHIVE"],
    ["ARCHIVE", "--platform", "linux/amd64", "--format", "csv"], ["http://example.org/image"], ["oci-dir:///nowhere"], ["fs:///nowhere"], [""],
])  # fmt: skip
def test_bad_references_are_refused_in_one_line(words: list[str], archive: str) -> None:
    done = doctor("image", *[archive if word == "ARCHIVE" else word for word in words])
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("gpu-doctor: ")


def test_nothing_to_examine_is_three(tmp_path: Path) -> None:
    """The one layer is not in the archive: that no GPU code was seen means nothing then."""
    path = tmp_path / "broken.tar"
    manifest = [{"Config": "0123.json", "RepoTags": ["made:1"], "Layers": ["gone/layer.tar"]}]
    path.write_bytes(tar({"0123.json": b"{}", "manifest.json": json.dumps(manifest).encode()}))
    done = doctor("image", str(path), "--gpu", "A100", "--json")
    assert done.returncode == 3
    report = json.loads(done.stdout)
    assert report["summary"]["verdict"] == "unknown"
    assert report["image"]["verdicts"][0]["runs"] == "unknown"
    assert "is not there" in report["not_examined"][0]


# A machine, a log and an image


def reading(key: str, text: str) -> Reading:
    return Reading(key, "ok", text)


def recorded(contents: dict[str, Any], pci_id: str) -> Snapshot:
    """A container that printed the well-known error, its image, and one GPU on the bus: as probes record them."""
    vendor, device = pci_id.split(":")
    address = "0000:17:00.0"
    place = f"/sys/bus/pci/devices/{address}"
    state = {"Status": "exited", "ExitCode": 1, "Error": "", "StartedAt": "2026-11-24T10:00:00Z"}
    container = {
        "Id": "1" * 64, "Name": "trainer", "Image": "sha256:2", "State": state, "HostConfig": {}, "Mounts": [],
        "Config": {"Image": "trainer:2.3", "Cmd": ["python3", "train.py"], "Env": [], "Labels": {}},
    }  # fmt: skip
    log = "RuntimeError: CUDA error: no kernel image is available for execution on the device\n"
    uevent = f"DRIVER=nvidia\nPCI_CLASS=30200\nPCI_ID={vendor.upper()}:{device.upper()}\nPCI_SLOT_NAME={address}\n"
    readings = [
        reading("docker:container", json.dumps(container)), reading("docker:log", log),
        reading("image:contents", json.dumps(contents)),
        reading("names:/sys/bus/pci/devices", address), reading(f"file:{place}/uevent", uevent),
    ]  # fmt: skip
    return Snapshot("2026-11-24T10:00:01Z", "0.1.0", Target("trainer"), {one.key: one for one in readings})


def test_log_image_and_device_become_one_diagnosis(archive: str, base: Base, patterns: Patterns) -> None:
    contents = to_json(examine(archive, "linux/amd64", Examination()))
    report = judge(recorded(contents, "10de:1eb8"), discover(), base, patterns)
    found = [one for one in report.diagnoses if one.finding.fault == "cuda-no-kernel-image"]
    assert len(found) == 1
    assert report.diagnoses[0] is found[0]
    sources = {one.source for one in found[0].finding.evidence}
    assert sources == {"image", "log"}
    image = next(one for one in found[0].finding.evidence if one.source == "image")
    assert image.name.endswith("libtorch_cuda.so")
    assert "sm_80, sm_86, sm_90a" in image.text
    assert "needs sm_75" in image.says
    assert found[0].finding.sure == "certain"


def test_a_fitting_gpu_gives_no_finding_of_the_image(archive: str, base: Base, patterns: Patterns) -> None:
    contents = to_json(examine(archive, "linux/amd64", Examination()))
    report = judge(recorded(contents, "10de:20b0"), discover(), base, patterns)
    outcome = next(one for one in report.outcomes if one.check == "image_code_fits_gpus")
    assert outcome.state == "passed"
    assert "yes" in outcome.says


def test_probe_records_contents_as_json(archive: str) -> None:
    probe = next(one for one in probes() if one.area == "image_content")
    found = list(probe.run(System(), Target(image=archive)))
    assert [one.key for one in found] == ["image:contents"]
    assert json.loads(found[0].text)["stack"] == "cuda"
    assert list(probe.run(System(), Target())) == []
    failed = list(probe.run(System(), Target(image="/nowhere.tar")))
    assert failed[0].state == "failed"
    assert "no such file" in failed[0].error


def test_explain_joins_a_log_with_its_image(archive: str, tmp_path: Path) -> None:
    """One diagnosis that names the file, what it carries and what the device needs; the fix is for an older GPU."""
    log = tmp_path / "train.log"
    log.write_text("RuntimeError: CUDA error: no kernel image is available for execution on the device\n")
    done = doctor("explain", str(log), "--image", archive, "--gpu", "T4", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    first, *more = report["findings"]
    assert first["fault"] == "cuda-no-kernel-image"
    assert {one["severity"] for one in more} <= {"note"}
    assert {one["source"] for one in first["evidence"]} == {"image", "log"}
    assert first["evidence"][0]["name"].endswith("libtorch_cuda.so")
    assert first["values"]["supported"].startswith("sm_80, sm_86, sm_90a")
    assert first["values"]["arch"] == "sm_75"
    titles = " ".join(fix["title"] for fix in first["fixes"])
    assert "older GPU" in titles
    assert "made for this GPU" not in titles


def test_explain_says_where_the_image_does_run(archive: str, tmp_path: Path) -> None:
    """What a library beside it lacks is no diagnosis of a log that is about something else."""
    log = tmp_path / "train.log"
    log.write_text("step 1 loss 0.1\n")
    done = doctor("explain", str(log), "--image", archive, "--gpu", "A100")
    assert done.returncode == 0, done.stdout
    assert "on A100: yes; libtorch_cuda.so: sm_80 is machine code for 8.0" in done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("explain", "/dev/null", "--gpu", "A100"), "name the image too"),
        (("explain", "/dev/null", "--image", "/nowhere.tar"), "there is no such file"),
        (("check", "--image", "/nowhere.tar"), "there is no such file"),
    ],
)
def test_named_images_must_be_there(words: tuple[str, ...], says: str) -> None:
    done = doctor(*words)
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_check_reads_a_named_image(archive: str) -> None:
    done = doctor("check", "--image", archive, "--json")
    outcome = {one["id"]: one for one in json.loads(done.stdout)["checks"]}
    assert outcome["image_leaves_driver_out"]["state"] == "passed"
