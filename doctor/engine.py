"""The one door for every front end: run probes, checks and matchers on a target, and report.

`run` examines the live system and yields events as they happen; `judge` does the same work on a recording. Both end
in the same report: live or replayed, everything after the snapshot is a pure function of it.
"""

from __future__ import annotations

import io
import queue
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from doctor.check import Check, perform
from doctor.describe import container_state, machine, surroundings
from doctor.diagnose import diagnose, weighed
from doctor.facts import AREAS, Facts, parse
from doctor.finding import Evidence, Finding, Outcome
from doctor.knowledge import Base
from doctor.logs import now
from doctor.match import Patterns, findings, whole_lines
from doctor.probes import Probe
from doctor.probes.system import System
from doctor.report import Report
from doctor.runline import correct
from doctor.snapshot import Reading, Snapshot, Target
from doctor.unexplained import SHOWN, failures
from doctor.values import derive
from doctor.version import __version__


@dataclass(frozen=True, slots=True)
class ProbeStarted:
    area: str
    reads: str


@dataclass(frozen=True, slots=True)
class ProbeFinished:
    area: str
    readings: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CheckFinished:
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ReportReady:
    report: Report
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class SoFar:
    """What the probes that have ended amount to, while others (an image of gigabytes) are still at work."""

    report: Report
    snapshot: Snapshot


Event = ProbeStarted | ProbeFinished | CheckFinished | SoFar | ReportReady


@dataclass(frozen=True, slots=True)
class Selection:
    """Which checks run: globs of ids or areas."""

    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()

    def of(self, checks: Iterable[Check]) -> tuple[Check, ...]:
        return tuple(one for one in checks if self._wanted(one))

    def _wanted(self, one: Check) -> bool:
        names = (one.id, one.area)
        kept = not self.only or any(fnmatchcase(name, glob) for glob in self.only for name in names)
        return kept and not any(fnmatchcase(name, glob) for glob in self.skip for name in names)


def run(
    target: Target,
    system: System,
    probes: Sequence[Probe],
    checks: Sequence[Check],
    base: Base,
    patterns: Patterns,
    *,
    so_far: bool = False,
) -> Iterator[Event]:
    """Examine a live system. Probes run side by side; a check runs as soon as what it needs has been looked at.

    A probe that overruns its time is left behind: its thread is a daemon, and the report says so. With `so_far` what is
    known is reported too whenever there is nothing to do but to wait.
    """
    wanted = [probe for probe in probes if target.container or not probe.needs_container]
    snapshot = Snapshot(now(), __version__, target)
    results: queue.Queue[tuple[Probe, Reading | None]] = queue.Queue()
    started = time.monotonic()
    for probe in wanted:
        yield ProbeStarted(probe.area, probe.reads)
        threading.Thread(target=_probe, args=(probe, system, target, results), daemon=True).start()
    waiting = {probe.name: probe for probe in wanted}
    pending = list(checks)
    outcomes: list[Outcome] = []
    found: list[Finding] = []
    while waiting:
        finished, snapshot = _collect(results, waiting, snapshot, started, system)
        for probe, count in finished:
            yield ProbeFinished(probe.area, count, time.monotonic() - started)
        areas = {probe.area for probe in waiting.values()}
        ready = [one for one in pending if not areas.intersection(_areas(one))]
        if ready:
            pending = [one for one in pending if one not in ready]
            facts = parse(snapshot)
            for one in ready:
                outcome, some = perform(one, facts)
                outcomes.append(outcome)
                found += some
                yield CheckFinished(outcome)
        knows_what_failed = not target.container or "engine" not in areas
        if so_far and waiting and results.empty() and knows_what_failed:
            yield SoFar(_report(snapshot, outcomes, found, base, patterns), snapshot)
    yield ReportReady(_report(snapshot, outcomes, found, base, patterns), snapshot)


def judge(snapshot: Snapshot, checks: Sequence[Check], base: Base, patterns: Patterns) -> Report:
    """The report of a recording: pure, and equal for equal snapshots."""
    facts = parse(snapshot)
    performed = [perform(one, facts) for one in checks]
    found = [finding for _, some in performed for finding in some]
    return _report(snapshot, [outcome for outcome, _ in performed], found, base, patterns)


def _areas(one: Check) -> set[str]:
    return {AREAS[need.split(".")[0]] for need in (*one.needs, *one.uses)}


def _probe(probe: Probe, system: System, target: Target, results: queue.Queue[tuple[Probe, Reading | None]]) -> None:
    try:
        for reading in probe.run(system, target):
            results.put((probe, reading))
    except Exception as error:  # a probe's mistake costs its area, never the report
        told = f"{type(error).__name__}: {error}"
        results.put((probe, system.reading(f"probe:{probe.name}", "failed", error=told)))
    results.put((probe, None))


def _collect(
    results: queue.Queue[tuple[Probe, Reading | None]],
    waiting: dict[str, Probe],
    snapshot: Snapshot,
    started: float,
    system: System,
) -> tuple[list[tuple[Probe, int]], Snapshot]:
    """Take readings until a probe ends or overruns."""
    readings = dict(snapshot.readings)
    while True:
        late = [p for p in waiting.values() if time.monotonic() - started >= p.timeout * system.patience]
        for probe in late:
            told = f"not finished within {probe.timeout * system.patience:g} s; left behind"
            reading = system.reading(f"probe:{probe.name}", "timeout", error=told)
            readings[reading.key] = reading
            del waiting[probe.name]
        if late:
            return [(probe, 0) for probe in late], replace(snapshot, readings=readings)
        soonest = min(p.timeout * system.patience for p in waiting.values()) - (time.monotonic() - started)
        try:
            probe, got = results.get(timeout=max(0.01, soonest))
        except queue.Empty:
            continue
        if got is not None and probe.name in waiting:
            readings[got.key] = got
        elif got is None and probe.name in waiting:
            del waiting[probe.name]
            return [(probe, len(readings))], replace(snapshot, readings=readings)


def _report(
    snapshot: Snapshot, outcomes: list[Outcome], found: list[Finding], base: Base, patterns: Patterns
) -> Report:
    facts = parse(snapshot)
    said, failed = _said(snapshot, facts, base, patterns)
    found = [*(weighed(finding, said) for finding in found), *said]
    diagnoses = diagnose([derive(_placed(finding, facts)) for finding in found], base, circumstances(facts), outcomes)
    target = snapshot.target
    examined = (_saw_end(facts) if target.container else _saw_gpus(facts)) and _saw_logs(snapshot)
    return Report(
        kind="container" if target.container else "machine",
        name=facts.container.name if facts.container else target.container or "this machine",
        created=snapshot.taken_at,
        tool_version=snapshot.tool_version,
        diagnoses=diagnoses.ranked,
        set_aside=diagnoses.set_aside,
        failures=tuple(failed[:SHOWN]),
        outcomes=tuple(sorted(outcomes, key=lambda one: (one.area, one.check))),
        not_examined=tuple(_not_examined(snapshot, facts)),
        notes=(*base.errors, *_notes(facts)),
        corrected=correct(diagnoses.ranked, facts),
        examined=examined,
        state=container_state(facts.container) if facts.container else machine(facts),
    )


def _saw_end(facts: Facts) -> bool:
    """Whether it could be seen how the container fared."""
    container = facts.container
    return bool(container and (container.error or not container.never_started))


def _saw_gpus(facts: Facts) -> bool:
    """Whether it could be seen which GPUs there are, or that there are none. Without that, silence means nothing."""
    other_ways = facts.nvidia and (facts.nvidia.wsl or facts.nvidia.tegra or facts.nvidia.nodes)
    return bool(facts.pci or facts.nvml or other_ways)


def _saw_logs(snapshot: Snapshot) -> bool:
    """Whether each log that was named could be read: what it says is what was asked about."""
    return sum(snapshot.readings[key].state == "ok" for key in snapshot.keys("log:")) >= len(snapshot.target.logs)


def _said(snapshot: Snapshot, facts: Facts, base: Base, patterns: Patterns) -> tuple[list[Finding], list[Evidence]]:
    """What the container's log, the engine's start error and the given logs show, and what they call an error.

    Of a container that did not fail its errors are not told: it went on in spite of them.
    """
    given = [snapshot.readings[key] for key in snapshot.keys("log:")]
    texts = [(f"log {one.key.removeprefix('log:')}", "log", one.text) for one in given if one.state == "ok"]
    one = facts.container
    went_on = one and not (one.never_started or one.error or one.oom_killed or one.exit_code)
    if facts.container:
        texts.append((f"start error of {facts.container.name}", "engine", facts.container.error))
        log = snapshot.get("docker:log")
        if log and log.state == "ok":
            texts.append((f"log of {facts.container.name}", "log", log.text))
    found: list[Finding] = []
    failed: list[Evidence] = []
    for name, source, text in texts:
        if text:
            scan = patterns.scan(whole_lines(io.BytesIO(text.encode())), name)
            for finding in findings(scan, base):
                seen = tuple(replace(item, source=source) for item in finding.evidence)
                found.append(replace(finding, evidence=seen))
            failed += [] if went_on else [replace(item, source=source) for item in failures(scan)]
    return found, failed


def _placed(finding: Finding, facts: Facts) -> Finding:
    """The finding with what the machine tells about the place."""
    values: dict[str, str] = {}
    if facts.container:
        values |= {"container": facts.container.name, "image": facts.container.image}
        if facts.container.service:
            values["service"] = facts.container.service
    return replace(finding, values={**values, **finding.values})


def circumstances(facts: Facts) -> dict[str, str]:
    """What is known of the place, for fixes that hold in some places only."""
    known: dict[str, str] = {}
    if facts.engine:
        known["engine"] = facts.engine.kind
    if facts.host and facts.host.family:
        known |= {"system": "linux", "distro": facts.host.family}
    if facts.pci and bool(facts.pci.nvidia) != bool(facts.pci.amd):
        known["vendor"] = "nvidia" if facts.pci.nvidia else "amd"
    if facts.kubernetes and facts.kubernetes.is_node:
        known["cluster"] = "kubernetes"
    if facts.container:
        known["stage"] = "run"
    return known


def _not_examined(snapshot: Snapshot, facts: Facts) -> Iterator[str]:
    for area in ("host", "devices", "engine"):
        part = getattr(facts, area)
        if not part:
            yield f"{area}: {part.reason}"
    if not facts.pci or facts.pci.nvidia or facts.pci.amd:
        for area in ("pci", "modules", "nvidia", "amd", "kernel", "toolkit"):
            part = getattr(facts, area)
            # A snapshot of an older version has no such reading: it did not look, and says so by its checks.
            if not part and snapshot.get(part.reading):
                yield f"{area}: {part.reason}"
    if facts.container:
        log = snapshot.get("docker:log")
        if facts.container.never_started and not facts.container.error:
            # Podman keeps no start error, and what was only created has none.
            program, name = facts.engine.kind if facts.engine else "docker", facts.container.name
            yield (
                f"why {name} has not started: the engine holds no start error; start it and read what is printed: "
                f"{program} start -a {name} 2>&1 | gpu-doctor explain -"
            )
        if log is None or log.state != "ok":
            yield f"the container's log: {log.why_not if log else 'not read'}"
    for key in snapshot.keys("log:"):
        one = snapshot.readings[key]
        if one.state != "ok":
            yield f"log {one.why_not}"
        elif one.truncated:
            name = key.removeprefix("log:")
            yield f"log {name}: its beginning, only the last 16 MB were read; `gpu-doctor explain` reads all of it"
    contents = snapshot.get("image:contents")
    if contents and contents.state != "ok":
        yield f"image: {contents.why_not}"
    elif facts.image_content:
        yield from (f"image: {row}" for row in facts.image_content.not_examined)
    for key in snapshot.keys("probe:"):
        yield snapshot.readings[key].why_not


def _notes(facts: Facts) -> Iterator[str]:
    """Where this runs, and the containers that failed lately where none was named."""
    if facts.container:
        yield f"this machine: {machine(facts)}"
    yield from surroundings(facts)
    if facts.engine and facts.engine.is_elsewhere:
        yield (
            f"the container engine is on another machine ({facts.engine.address}): drivers, device nodes and files are "
            "those of this one; run gpu-doctor there to have both"
        )
    if facts.engine and not facts.container:
        for one in facts.engine.containers:
            if one.failed:
                ended = one.error or one.status
                yield f"container {one.name} ({one.image}) failed: {ended}; gpu-doctor check --container {one.name}"
