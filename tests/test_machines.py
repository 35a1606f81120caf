"""Every machine gives exactly its findings; every check finds its fault on one, passes on one that comes near it."""

from __future__ import annotations

import dataclasses
import gzip
import html
import json
from functools import cache
from pathlib import Path

import pytest

from doctor.check import discover
from doctor.engine import judge
from doctor.knowledge import Base
from doctor.match import Patterns
from doctor.redact import Redactor
from doctor.render.appearance import Appearance
from doctor.render.html import body
from doctor.render.markdown import report_markdown
from doctor.render.text import report_text
from doctor.report import Report, to_json
from doctor.snapshot import Snapshot, State, dump, loads, without_identities
from doctor.tui.blocks import wrong
from tests.machines import amd_faults, engine_faults, healthy, kubernetes_faults, nvidia_faults  # noqa: F401
from tests.machines.build import CASES, Case
from tests.machines.healthy import healthy_container_on_nvidia


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """Each machine, recorded once."""
    folder = tmp_path_factory.mktemp("machines")

    @cache
    def record(name: str) -> Snapshot:
        return CASES[name].make().record(folder / name)

    return record


@pytest.fixture(scope="session")
def judged(recorded, base: Base, patterns: Patterns):  # type: ignore[no-untyped-def]
    @cache
    def judge_it(name: str) -> Report:
        return judge(recorded(name), discover(), base, patterns)

    return judge_it


cases = pytest.mark.parametrize("case", CASES.values(), ids=lambda case: case.name)


@cases
def test_findings(case: Case, judged) -> None:  # type: ignore[no-untyped-def]
    """Exactly these checks find something, and it is that."""
    report = judged(case.name)
    assert [one.check for one in report.outcomes if one.state == "crashed"] == []
    found = {one.check for one in report.outcomes if one.state == "found"}
    assert found == set(case.found), [(one.check, one.says) for one in report.outcomes if one.check in found]
    faults = {item.finding.fault for item in report.diagnoses} | {item.finding.fault for item in report.set_aside}
    assert set(case.found.values()) <= faults
    first = report.diagnoses[0].finding.fault if report.diagnoses else None
    assert first == case.cause, [item.finding.fault for item in report.diagnoses]


@cases
def test_near_misses_pass(case: Case, judged) -> None:  # type: ignore[no-untyped-def]
    states = {one.check: (one.state, one.says or one.reason) for one in judged(case.name).outcomes}
    for check, how in case.near.items():
        assert states[check][0] == "passed", (check, how, states[check])


# Checks of area image judge an image's files, not a machine: tests/image has theirs.
@pytest.mark.parametrize("check", [one.id for one in discover() if one.area != "image"])
def test_every_check_finds_passes_and_is_not_fooled(check: str, judged) -> None:  # type: ignore[no-untyped-def]
    one = next(one for one in discover() if one.id == check)
    finding = [case for case in CASES.values() if check in case.found]
    assert finding, "no machine on which it finds its fault"
    assert {case.found[check] for case in finding} <= set(one.faults)
    assert any(check in case.near for case in CASES.values()), "no machine that comes near its fault"
    passed = [
        row.says for name in CASES for row in judged(name).outcomes if row.check == check and row.state == "passed"
    ]
    assert passed, "it passes nowhere"
    assert all(says.strip() for says in passed), "it passes and does not say what it saw"


def test_there_are_enough_machines() -> None:
    assert len(CASES) >= 30
    assert len(discover()) >= 60
    assert sum(not case.found for case in CASES.values()) >= 12


@cases
def test_replay_is_the_same_byte_for_byte(case: Case, recorded, judged, base: Base, patterns: Patterns) -> None:  # type: ignore[no-untyped-def]
    data = dump(recorded(case.name))
    again = judge(loads(data, case.name), discover(), base, patterns)
    assert json.dumps(to_json(again), sort_keys=True) == json.dumps(to_json(judged(case.name)), sort_keys=True)
    assert dump(loads(data, case.name)) == data


SECRETS = ("hf_aBcDeFgHiJkLmNoPqRsTuVwX", "s3cr3tPassw0rd", "dXNlcjpwYXNzd29yZA==", "gpu-07.corp.example.com")
SURVIVE = ("0000:17:00.0", "570.133.20", "nvidia.com/gpu", "/dev/nvidia0")


@cases
def test_no_planted_secret_leaves(case: Case, judged, tmp_path: Path, base: Base, patterns: Patterns) -> None:  # type: ignore[no-untyped-def]
    """Into every machine secrets and names are planted; none is in the file, and the same is found in it."""
    machine = case.make()
    log = machine.commands["dmesg"]
    planted = "nvidia: HF_TOKEN=hf_aBcDeFgHiJkLmNoPqRsTuVwX\nnvidia proxy http://bob:s3cr3tPassw0rd@10.1.2.3:3128/ on gpu-07.corp.example.com\n"
    machine.commands["dmesg"] = dataclasses.replace(log, text=log.text + planted)
    machine.file("/etc/containers/containers.conf", 'auth = "dXNlcjpwYXNzd29yZA=="\n')
    snapshot = machine.record(tmp_path / "root")
    assert "nvidia proxy" in snapshot.readings["command:dmesg"].text, "what is planted is read"
    data = dump(without_identities(snapshot, Redactor("gpu-07.corp.example.com", "alice")))
    text = gzip.decompress(data).decode()
    for secret in (*SECRETS, "GPU-5ad7a7e5"):
        assert secret not in text
    for name in SURVIVE:
        told = any(name in one.key + one.text + one.error for one in snapshot.readings.values())
        assert (name in text) == told
    report = judge(loads(data, case.name), discover(), base, patterns)
    states = {one.check: one.state for one in report.outcomes}
    assert states == {one.check: one.state for one in judged(case.name).outcomes}


def test_names_of_a_cluster_do_not_leave(recorded) -> None:  # type: ignore[no-untyped-def]
    """And the same node is the same token in every reading."""
    redacted = without_identities(recorded("node-offers-no-gpu"), Redactor("gpu-07", "alice"))
    first, second = redacted.readings["command:kubectl get nodes"].text.splitlines()
    node = second.split()[0]
    assert node.startswith("<host-")
    assert node != first.split()[0]
    assert f"nvidia-device-plugin-daemonset-x7 {node} Running" in redacted.readings["command:kubectl get pods"].text


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("healthy-h100-hgx", "8 × NVIDIA H100 80GB HBM3, NVIDIA driver 570.133.20; docker 28.3.2"),
        ("healthy-mi210", "Instinct MI210; docker 28.3.2"),
        ("healthy-without-gpu", "no NVIDIA or AMD GPU on the PCI bus; docker 28.3.2"),
        ("healthy-container-on-nvidia", "exited with code 0"),
        ("container-killed", "exited with code 137, out of memory"),
        ("healthy-container-that-was-stopped", "exited with code 137, stopped or killed on request"),
    ],
)
def test_what_was_examined_is_said(judged, name: str, state: str) -> None:  # type: ignore[no-untyped-def]
    assert judged(name).state.endswith(state)


@pytest.mark.parametrize(
    ("state", "reason", "cause", "fix"),
    [
        ("denied", "Permission denied", "this user may not open the socket", "let this user use the engine"),
        ("failed", "Connection refused", "the engine does not run", "start the engine"),
    ],
)
def test_how_an_engine_fails_to_answer_decides_what_to_do(
    state: State, reason: str, cause: str, fix: str, tmp_path: Path, base: Base, patterns: Patterns
) -> None:
    """`systemctl start` is no help to who may not open the socket."""
    machine = CASES["engine-refuses"].make()
    machine.refused["docker:connect unix:///var/run/docker.sock"] = (state, reason)
    item = judge(machine.record(tmp_path), discover(), base, patterns).diagnoses[0]
    assert (item.causes[0].state, item.causes[0].cause.title) == ("likely", cause)
    assert item.fixes[0].title == fix


def test_inside_a_container_it_is_said_whose_facts_they_are(judged) -> None:  # type: ignore[no-untyped-def]
    whose, given = judged("healthy-inside-with-device-rules").notes
    assert whose.startswith("this runs inside a docker container: device nodes, ")
    assert "modules and its log, and the PCI bus, are the host's" in whose
    assert given == (
        "this container has /dev/nvidia-uvm, /dev/nvidia-uvm-tools, /dev/nvidia0, /dev/nvidiactl; no driver file mounted "
        "from the host; NVIDIA_VISIBLE_DEVICES=all; device rules that permit them"
    )
    assert (
        judged("inside-without-device-rules")
        .notes[1]
        .endswith("device rules that refuse /dev/nvidia-uvm, /dev/nvidia-uvm-tools, /dev/nvidia0, /dev/nvidiactl")
    )
    assert not judged("healthy-h100-hgx").notes


@pytest.mark.parametrize(
    ("address", "told"),
    [("tcp://gpu-07:2376", True), ("unix:///var/run/docker.sock", False), ("tcp://127.0.0.1:2375", False)],
)
def test_an_engine_on_another_machine_is_told(
    address: str, told: bool, tmp_path: Path, base: Base, patterns: Patterns
) -> None:
    """DOCKER_HOST leads there; what is said of drivers and device nodes is of this machine."""
    machine = CASES["healthy-h100-hgx"].make()
    machine.readings["docker:address"] = address
    notes = judge(machine.record(tmp_path), discover(), base, patterns).notes
    assert any(f"on another machine ({address})" in row for row in notes) == told


@pytest.mark.parametrize("requests", [True, False])
def test_what_the_machine_shows_decides_between_the_causes_of_what_the_log_says(
    requests: bool, tmp_path: Path, base: Base, patterns: Patterns
) -> None:
    machine = healthy_container_on_nvidia()
    machine.readings["docker:log"] = "RuntimeError: No CUDA GPUs are available\n"
    if not requests:
        content = json.loads(machine.readings["docker:container"])
        machine.answer("docker:container", HostConfig={**content["HostConfig"], "DeviceRequests": []})
    report = judge(machine.record(tmp_path), discover(), base, patterns)
    item = next(item for item in report.diagnoses if item.finding.fault == "cuda-no-device")
    decided = {one.cause.title: (one.state, bool(one.seen)) for one in item.causes}
    assert decided == {
        "the container was started without the GPU": ("ruled out" if requests else "likely", True),
        "CUDA_VISIBLE_DEVICES hides the GPU": ("likely", True) if requests else ("open", False),
        "the driver does not work on the host": ("ruled out", True),
        "an image is being built, and a build has no GPU": ("ruled out", False),
    }
    assert next(iter(decided)).startswith("CUDA_VISIBLE" if requests else "the container"), "the likeliest first"
    assert item.fixes[0].title.startswith("take the wrong" if requests else "give the container"), "and its fix"
    told = report_text(report, Appearance(color=False, unicode=True, width=100, verbose=True))
    shown = "\n".join("".join(piece for piece, _ in row) for block in wrong(item, report) for row in block.rows(90))
    for title, (state, _) in decided.items():
        words = {"likely": "It is likely", "open": "It may be", "ruled out": "Ruled out"}[state]
        assert f"{words}: {title}" in told
        assert f"{words}: {title}" in shown
        for form in (report_markdown(report).replace("\\", ""), html.unescape(body(report))):
            assert (f"{words}: {title}" in form) == (item.role != "consequence"), "what follows needs no mending"
    assert ("Seen: NVIDIA GPUs are requested" in told) == requests
    assert ("Seen: NVIDIA GPUs are requested" in shown) == requests


@pytest.mark.parametrize(
    "state", [{"ExitCode": 1}, {"ExitCode": 0}, {"Status": "running", "ExitCode": 0}], ids=["failed", "ended", "runs"]
)
def test_what_a_failed_container_calls_an_error_is_told_where_no_entry_knows_it(
    state: dict[str, object], tmp_path: Path, base: Base, patterns: Patterns
) -> None:
    """One that went on did so in spite of its errors."""
    machine = healthy_container_on_nvidia()
    machine.readings["docker:log"] = "INFO start\nSolverError: diverged at step 17\n"
    content = json.loads(machine.readings["docker:container"])
    machine.answer("docker:container", State={**content["State"], **state})
    report = judge(machine.record(tmp_path), discover(), base, patterns)
    assert report.first is None
    told = [(one.source, one.name, one.line) for one in report.unexplained]
    assert told == ([("log", f"log of {report.name}", 2)] if state.get("ExitCode") else [])
