"""A run is bounded and honest: hung probes, crashing checks and parsers cost their part, never the report."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from doctor.check import Check, NotApplicable, discover, perform
from doctor.diagnose import diagnose
from doctor.engine import CheckFinished, ProbeFinished, ProbeStarted, ReportReady, Selection, circumstances, judge, run
from doctor.facts import AREAS, parse
from doctor.finding import Evidence, Finding
from doctor.knowledge import Base, fill
from doctor.match import Patterns
from doctor.probes import Probe
from doctor.probes import discover as discover_probes
from doctor.probes.system import System
from doctor.report import exit_code, to_json
from doctor.snapshot import Reading, Snapshot, Target, dump, loads


def healthy(system: System, target: Target) -> Iterator[Reading]:
    content = {"system": "Linux", "machine": "x86_64", "kernel": "6.1", "uid": 0, "groups": [0], "environment": {}}
    yield system.reading("host:system", "ok", json.dumps(content))


def hung(system: System, target: Target) -> Iterator[Reading]:
    yield system.reading("names:/dev", "ok", "null")
    time.sleep(600)


def broken(system: System, target: Target) -> Iterator[Reading]:
    raise RuntimeError("no such luck")
    yield


def named(area: str) -> Check:
    return Check("is_known", area, (area,), (), ("cuda-no-device",), lambda value: f"{area} was seen", "it is known")


def events(probes: list[Probe], checks: list[Check], base: Base, patterns: Patterns) -> list[object]:
    return list(run(Target(), System(), probes, checks, base, patterns))


def test_a_hung_probe_costs_its_area_alone(base: Base, patterns: Patterns) -> None:
    probes = [Probe("host", "the host", healthy), Probe("devices", "nodes", hung, timeout=0.3)]
    seen = events(probes, [named("host"), named("engine")], base, patterns)
    order = [type(event) for event in seen]
    assert order.index(CheckFinished) < len(order) - 1 - order[::-1].index(ProbeFinished), (
        "the first check does not wait"
    )
    last = seen[-1]
    assert isinstance(last, ReportReady)
    assert any("left behind" in row for row in last.report.not_examined)
    assert last.snapshot.readings["names:/dev"].text == "null", "what was read is kept"
    assert [one.state for one in last.report.outcomes] == ["skipped", "passed"]


def test_a_broken_probe_is_told(base: Base, patterns: Patterns) -> None:
    last = events([Probe("host", "the host", broken)], [named("host")], base, patterns)[-1]
    assert isinstance(last, ReportReady)
    assert any("no such luck" in row for row in last.report.not_examined)
    assert exit_code(last.report, "error") == 3


def test_events_name_what_is_read(base: Base, patterns: Patterns) -> None:
    first = events([Probe("host", "the host", healthy)], [], base, patterns)[0]
    assert first == ProbeStarted("host", "the host")


def snapshot(**readings: str) -> Snapshot:
    made = {key.replace("__", ":"): text for key, text in readings.items()}
    return Snapshot(
        "2026-11-24T12:00:00Z", "0.1.0", Target(), {key: Reading(key, "ok", text) for key, text in made.items()}
    )


@pytest.mark.parametrize("text", ["", "[]", "null", "7", "{}", '{"system": 1}', "not json", '{"Runtimes": [1]}'])
def test_readings_that_do_not_parse_are_unknown(text: str) -> None:
    facts = parse(snapshot(host__system=text, docker__container=text, docker__info=text, docker__image=text))
    assert not facts.host
    assert not facts.container


def test_a_check_that_raises_is_one_result_among_results() -> None:
    def crash(host: object) -> str:
        raise ZeroDivisionError

    content = json.dumps({"system": "L", "machine": "m", "kernel": "k", "uid": 0, "groups": [], "environment": {}})
    facts = parse(snapshot(host__system=content))
    outcome, found = perform(replace(named("host"), run=crash), facts)
    assert (outcome.state, found) == ("crashed", [])
    assert "ZeroDivisionError" in (outcome.reason or "")
    assert perform(replace(named("host"), run=lambda host: NotApplicable("not here")), facts)[0].reason == "not here"


def test_needs_that_are_unknown_skip_with_the_reason() -> None:
    outcome, _ = perform(named("container"), parse(snapshot()))
    assert outcome.state == "skipped"
    assert outcome.reason == "needs container: no container was named"


def test_judging_twice_is_the_same(base: Base, patterns: Patterns) -> None:
    one = snapshot(names__dev="null")
    first = to_json(judge(one, discover(), base, patterns))
    assert first == to_json(judge(loads(dump(one), "again"), discover(), base, patterns))


def test_evidence_of_machine_and_log_stand_together(base: Base, patterns: Patterns) -> None:
    log = "CUDA error: no kernel image is available for execution on the device"
    finding = Finding(
        "cuda-no-kernel-image", (Evidence("image", "libtorch_cuda.so", "sm_80"),), {"device": "RTX 5090"}, subject="x"
    )
    check = replace(named("host"), run=lambda host: finding)
    content = json.dumps({"system": "L", "machine": "m", "kernel": "k", "uid": 0, "groups": [], "environment": {}})
    readings = {**snapshot(host__system=content).readings, "log:a": Reading("log:a", "ok", log)}
    report = judge(replace(snapshot(), readings=readings), [check], base, patterns)
    assert [item.finding.fault for item in report.diagnoses] == ["cuda-no-kernel-image"]
    assert [item.source for item in report.diagnoses[0].finding.evidence] == ["image", "log"]
    assert report.diagnoses[0].finding.values["device"] == "RTX 5090"


def test_selection() -> None:
    ids = {one.id for one in Selection(only=("engine",)).of(discover())}
    assert "engine_answers" in ids
    assert "engine_answers" not in {one.id for one in Selection(skip=("engine_*",)).of(discover())}
    assert not Selection(only=("nothing",)).of(discover())


def test_probes_say_what_they_read() -> None:
    for probe in discover_probes():
        assert probe.reads
        assert probe.timeout > 0
        assert probe.area in {"logs", *AREAS.values()}


def test_a_check_waits_for_what_it_uses_too(base: Base, patterns: Patterns) -> None:
    """Else a live report could differ from its replay."""

    def slow(system: System, target: Target) -> Iterator[Reading]:
        time.sleep(0.1)
        yield system.reading("names:/dev", "ok", "null")

    one = replace(named("host"), uses=("devices",), run=lambda host, devices: f"devices: {bool(devices)}")
    probes = [Probe("host", "the host", healthy), Probe("devices", "nodes", slow)]
    seen = events(probes, [one], base, patterns)
    assert [event.outcome.says for event in seen if isinstance(event, CheckFinished)] == ["devices: True"]


def test_the_vendor_is_a_circumstance() -> None:
    event = "PCI_CLASS=30200\nPCI_ID=10DE:2330\n"
    readings = {"names__/sys/bus/pci/devices": "0000:17:00.0", "file__/sys/bus/pci/devices/0000:17:00.0/uevent": event}
    assert circumstances(parse(snapshot(**readings)))["vendor"] == "nvidia"
    assert "vendor" not in circumstances(parse(snapshot()))


def test_what_of_the_machine_was_not_examined_is_told(base: Base, patterns: Patterns) -> None:
    denied = Reading("names:/sys/bus/pci/devices", "denied", error="Permission denied")
    report = judge(replace(snapshot(), readings={denied.key: denied}), discover(), base, patterns)
    assert "pci: /sys/bus/pci/devices: Permission denied" in report.not_examined


@pytest.mark.parametrize(
    "name",
    ["libx.so.1;reboot", "lib$(reboot).so.1", "lib`reboot`.so", "libx.so.1 | reboot", "libx.so\nreboot", "--reboot"],
)
def test_no_command_carries_what_a_shell_would_act_on(name: str, base: Base) -> None:
    """Names come from logs and images that anybody can have made; commands are copied and run."""
    evidence = Evidence("image", "/opt/program", f"needs {name}")
    finding = Finding("lib-system-missing", (evidence,), {"library": name, "library_stem": name.split(".")[0]})
    (item,) = diagnose([finding], base).ranked
    commands = [line for fix in item.fixes for line in (*fix.commands, *fix.verify, *fix.undo)]
    commands += [fill(line, item.finding.values) for cause in item.entry.causes for line in cause.commands]
    assert commands
    assert "reboot" not in "".join(commands)
    assert "reboot" in item.finding.evidence[0].text, "it is shown as it was read"


@pytest.mark.parametrize(
    ("reading", "told"),
    [
        (Reading("log:a.log", "failed", error="Illegal seek"), "log a.log: Illegal seek"),
        (None, ""),
        (Reading("log:a.log", "ok", "epoch 1\n", truncated=True), "log a.log: its beginning, only the last 16 MB"),
    ],
    ids=["failed", "never came", "its end alone"],
)
def test_a_named_log_that_could_not_be_read_is_no_good_news(
    reading: Reading | None, told: str, base: Base, patterns: Patterns
) -> None:
    """What it says is what was asked about."""
    pci = [Reading("names:/sys/bus/pci/devices", "ok", "")]
    one = Snapshot("2026-11-24T10:00:00Z", "0.1.0", Target(logs=("a.log",)), {
        item.key: item for item in (*pci, *filter(None, [reading]))
    })  # fmt: skip
    report = judge(one, (), base, patterns)
    assert exit_code(report, "error") == (0 if reading and reading.state == "ok" else 3)
    assert any(row.startswith(told) for row in report.not_examined) or not told
