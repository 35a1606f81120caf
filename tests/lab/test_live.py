"""What the app hears of a real engine: containers that failed, as they fail, each with its cause; a log as it grows."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from doctor.engine import ReportReady
from doctor.live import CauseFound, ContainersListed, Doctor, EngineSilent, FailedContainer, LiveEvent, state_words

pytestmark = pytest.mark.lab
SECONDS = 60


class Watching:
    """The events of a watch, collected in a thread as the app does."""

    def __init__(self) -> None:
        self.events: list[LiveEvent] = []
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for event in Doctor().watch(self.stop):
            self.events.append(event)

    def until(self, true: Callable[[list[LiveEvent]], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not true(self.events):
            assert time.monotonic() < end, self.events
            time.sleep(0.05)

    def failed(self, name: str) -> FailedContainer:
        """The container of this name, as soon as it is listed."""
        self.until(lambda events: name in names(events))
        return next(one for one in listed(self.events)[-1].failed if one.name == name)

    def cause(self, box: FailedContainer) -> CauseFound:
        """The cause of this container, as soon as it is told."""
        self.until(lambda events: any(isinstance(one, CauseFound) and one.id == box.id for one in events))
        return next(one for one in self.events if isinstance(one, CauseFound) and one.id == box.id)


@pytest.fixture
def watching(lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watching]:
    monkeypatch.setenv("DOCKER_HOST", lab.socket)
    made = Watching()
    yield made
    made.stop.set()


def listed(events: list[LiveEvent]) -> list[ContainersListed]:
    return [event for event in events if isinstance(event, ContainersListed)]


def names(events: list[LiveEvent]) -> list[str]:
    return [one.name for one in listed(events)[-1].failed] if listed(events) else []


def test_a_container_that_dies_appears_with_its_cause(lab, watching: Watching) -> None:
    watching.until(lambda events: bool(listed(events)))
    assert "live-cudart" not in names(watching.events)
    lab.fail("live-cudart", "lab/plain", "/opt/cudart")
    box = watching.failed("live-cudart")
    assert (box.state, box.exit_code, box.image) == ("exited", 127, "lab/plain")
    assert abs(box.ended - time.time()) < SECONDS
    cause = watching.cause(box)
    assert "libcudart.so.12" in cause.title
    assert cause.severity == "error"


def test_the_cause_in_the_list_is_what_choosing_the_container_finds(lab, watching: Watching) -> None:
    lab.fail("live-choose", "lab/plain", "/opt/shm")
    cause = watching.cause(watching.failed("live-choose"))
    report = next(event.report for event in Doctor().examine("live-choose") if isinstance(event, ReportReady))
    assert cause.title == report.diagnoses[0].title


def test_an_error_that_no_entry_knows_is_told_as_the_program_s_own(lab, watching: Watching) -> None:
    lab.fail("live-own", "lab/plain", "/opt/diverged")
    cause = watching.cause(watching.failed("live-own"))
    assert (cause.title, cause.severity) == ("SolverError: the solution diverged at step 17", None)
    report = next(event.report for event in Doctor().examine("live-own") if isinstance(event, ReportReady))
    assert [one.name for one in report.unexplained] == ["log of live-own"]


async def test_a_container_that_dies_while_the_app_is_open_appears_in_it(
    lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The whole street: a real engine's event, the cause of its container, a row of the first screen, its fix by keys."""
    from doctor.tui.app import DoctorApp, live
    from doctor.tui.rows import Rows

    monkeypatch.setenv("DOCKER_HOST", lab.socket)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    app = DoctorApp(live, ascii_only=False)

    async def until(true: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < end, app.screen.query_one("#subjects", Rows).text()
            await asyncio.sleep(0.05)

    async with app.run_test(size=(120, 40)) as pilot:
        rows = app.screen.query_one("#subjects", Rows)
        await until(lambda: app.ready and "containers" in str(rows.border_subtitle))
        assert "live-app" not in rows.text()
        await asyncio.to_thread(lab.fail, "live-app", "lab/plain", "/opt/shm")
        await until(lambda: "live-app" in rows.text() and "/dev/shm" in rows.text())
        line = next(line for line in rows.text().splitlines() if "live-app" in line)
        rows.cursor = rows.text().splitlines().index(line)
        await pilot.press("enter")
        await until(lambda: "container-shm-too-small" in app.screen.query_one("#found", Rows).text())
        await pilot.press("y")
        assert "--shm-size=8g" in app.clipboard
        app.jobs.stop_all()


def test_one_that_never_started_is_listed_and_one_that_was_only_created_is_not(lab, watching: Watching) -> None:
    lab.fail("live-gpus", "--gpus", "all", "lab/plain", "/opt/kfd")
    lab.docker("create", "--network=none", "--name", "live-created", "lab/plain", "/opt/kfd")
    watching.until(lambda events: "live-gpus" in names(events) and listed(events)[-1].total >= 2)
    box = next(one for one in listed(watching.events)[-1].failed if one.name == "live-gpus")
    assert box.state == "never started"
    told = "failed to discover GPU vendor from CDI" if lab.has_cdi else "could not select device driver"
    assert told in box.error
    assert "live-created" not in names(watching.events)


def test_a_removed_container_leaves_the_list(lab, watching: Watching) -> None:
    lab.fail("live-gone", "lab/plain", "/opt/cudart")
    watching.until(lambda events: "live-gone" in names(events))
    lab.docker("rm", "live-gone")
    watching.until(lambda events: "live-gone" not in names(events))


def test_a_log_is_followed_to_its_end(lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", lab.socket)
    lab.fail("live-log", "lab/plain", "/opt/cudart")
    stream = Doctor().follow("live-log")
    assert b"libcudart.so.12" in b"".join(stream)
    stream.close()


def test_an_engine_that_is_not_there_is_told_once_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    stop = threading.Event()
    events = Doctor().watch(stop)
    first = next(events)
    assert isinstance(first, EngineSilent)
    assert "No such file" in first.reason
    stop.set()


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"Status": "exited", "ExitCode": 0}, None),
        ({"Status": "running"}, None),
        ({"Status": "created", "ExitCode": 0}, None),
        ({"Status": "created", "ExitCode": 128, "Error": "no"}, "never started"),
        ({"Status": "exited", "ExitCode": 1}, "exited"),
        ({"Status": "exited", "ExitCode": 137}, "killed"),
        ({"Status": "exited", "ExitCode": 137, "OOMKilled": True}, "out of memory"),
        ({"Status": "restarting", "Restarting": True, "ExitCode": 1}, "restarting"),
        ({"Status": "dead", "Dead": True}, "dead"),
    ],
)
def test_how_a_container_failed_in_words(state: dict[str, object], words: str | None) -> None:
    assert state_words(state) == words
