"""What the app asks of the doctor: examine, explain, watch the engine, follow a log. The one door behind the app.

`Doctor` looks at this machine; `Replay` answers the same questions from a recording. Both are slow in places and are
called from threads of the app; everything they start ends by itself, has a limit, or can be closed.
"""

from __future__ import annotations

import io
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from doctor import engine
from doctor.check import Check, discover
from doctor.codes import meaning
from doctor.engine import CheckFinished, Event, ReportReady
from doctor.errors import UsageError
from doctor.finding import Severity
from doctor.knowledge import Base, Entry, load
from doctor.logs import explain_stream
from doctor.match import Patterns, patterns_of
from doctor.redact import Redactor
from doctor.report import Report
from doctor.search import codes, search
from doctor.snapshot import Snapshot, Target, without_identities
from doctor.text import reason_of

if TYPE_CHECKING:
    from doctor.bundles.ticket import Ticket
    from doctor.gpus import Gpu
    from doctor.image.examination import Progress
    from doctor.image.record import Contents

LISTED = 500
INSPECTED = 40
"""Containers that did not end well and are asked for their exit code and error, the youngest first."""
JUDGED = 12
"""Of these, the ones whose cause is looked for without being asked."""
EVENT_SECONDS = 20
"""The engine is asked for events of this span at a time: a request that ends by itself."""
RETRY_SECONDS = 3.0
CONNECT_SECONDS = 5
TAIL = 2000
BROKEN = ("exited", "dead", "created", "restarting")


@dataclass(frozen=True, slots=True)
class FailedContainer:
    """A container that did not end well."""

    id: str
    name: str
    image: str
    state: str
    """In words: never started, exited, killed, restarting, out of memory, dead."""
    exit_code: int | None
    ended: float
    """Seconds since 1970, UTC; 0: not known."""
    error: str = ""
    """The engine's words where it did not start."""


@dataclass(frozen=True, slots=True)
class ContainersListed:
    """The failed containers, the youngest first."""

    failed: tuple[FailedContainer, ...]
    total: int
    """Containers that the engine has, in any state."""


@dataclass(frozen=True, slots=True)
class CauseFound:
    """The first diagnosis of a failed container. When nothing known fits it has no severity: the title is then what the
    log calls an error, or empty."""

    id: str
    title: str
    severity: Severity | None


@dataclass(frozen=True, slots=True)
class EngineSilent:
    """No engine answers; why."""

    reason: str


LiveEvent = ContainersListed | CauseFound | EngineSilent


class Following(Protocol):
    """A container's log as it grows. Closing it ends the iteration."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class Doctor:
    """This machine."""

    recording = ""
    """Name and date of the recording that is shown instead of a live machine."""

    def __init__(self, base: Callable[[], Base] | None = None) -> None:
        self._load = base or own_base
        self._idle: queue.LifoQueue[Patterns] = queue.LifoQueue()
        self._machine: Snapshot | None = None

    @cached_property
    def base(self) -> Base:
        """The knowledge base in force."""
        return self._load()

    @property
    def host(self) -> str:
        return socket.gethostname()

    def now(self) -> float:
        """Seconds since 1970."""
        return time.time()

    def checks(self) -> tuple[Check, ...]:
        """Every check, in the order in which reports list them."""
        return discover()

    @contextmanager
    def _patterns(self) -> Iterator[Patterns]:
        """A set of patterns of one's own: a scan changes it, so two threads must not share one."""
        try:
            one = self._idle.get_nowait()
        except queue.Empty:
            one = patterns_of(self.base)
        try:
            yield one
        finally:
            self._idle.put(one)

    def explain(self, stream: BinaryIO, name: str) -> Report:
        """Diagnose one log. Raises UsageError when it is not text."""
        with self._patterns() as patterns:
            return explain_stream(stream, name, self.base, patterns)

    def search(self, text: str) -> list[Entry]:
        """Entries for words, an error code or a pasted line, the best first."""
        with self._patterns() as patterns:
            return search(text, self.base, patterns)

    def meanings(self, text: str) -> list[str]:
        """What the error codes in a text mean that no entry is about."""
        return [meaning(row) for row in codes(text, self.base)]

    def shareable(self, snapshot: Snapshot) -> Snapshot:
        """The snapshot as it may leave the machine."""
        user = os.environ.get("SUDO_USER") or os.environ.get("USER") or ""
        return without_identities(snapshot, Redactor(self.host, user))

    def examine(self, container: str | None = None) -> Iterator[Event]:
        """Run every probe and check, with the container if one is named."""
        from doctor.probes import discover as probes
        from doctor.probes.system import System

        target = Target(container)
        with self._patterns() as patterns:
            system = System(redactor=Redactor())
            for event in engine.run(target, system, probes(), self.checks(), self.base, patterns, so_far=True):
                if isinstance(event, ReportReady) and container is None:
                    self._machine = event.snapshot
                yield event

    def replay(self, snapshot: Snapshot) -> Report:
        """The report of a recording."""
        with self._patterns() as patterns:
            return engine.judge(snapshot, self.checks(), self.base, patterns)

    def images(self) -> list[tuple[str, int]]:
        """(reference, bytes) of the engine's images, the youngest first; none where no engine answers."""
        try:
            found = connect().images()
        except Exception:  # the package raises its own and those of three others; the name can still be typed
            return []
        found.sort(key=lambda one: -int(one.get("Created") or 0))
        return [
            (tag, int(one.get("Size") or 0))
            for one in found
            for tag in one.get("RepoTags") or ()
            if tag != "<none>:<none>"
        ]

    def read_image(self, reference: str, tell: Callable[[Progress], None], stop: threading.Event) -> Contents:
        """What is in an image. Raises UsageError when it cannot be read, and Cancelled when it was stopped."""
        from doctor.image.examination import Examination
        from doctor.image.inventory import examine
        from doctor.verbs.image import own_platform

        return examine(reference, own_platform(), Examination(tell=tell, stop=stop))

    def judge_image(self, contents: Contents, gpus: Sequence[str]) -> Report:
        """Whether it runs on this machine's GPUs and on these others, named as `gpus` does. Raises UsageError."""
        from doctor.gpus import gpu_named
        from doctor.verbs.image import report_on

        here, driver = self._own_gpus
        elsewhere = [gpu for name in gpus if (gpu := gpu_named(name)) not in here]
        return report_on(contents, here, driver, self.base, elsewhere)

    @cached_property
    def _own_gpus(self) -> tuple[list[Gpu], str]:
        from doctor.verbs.image import of_this_machine

        with self._patterns() as patterns:
            return of_this_machine(self.base, patterns)

    def gpus(self) -> list[tuple[str, str]]:
        """(target, name) of every GPU that a name tells apart, the newest first, to ask "will it run there?"."""
        from doctor import data
        from doctor.gpus import Gpu, find_gpu
        from doctor.image.verdict import arch_of

        names = [row.product for row in data.nvidia_gpus()] + [row.product for row in data.amd_gpus()]
        known = {gpu.name: gpu for name in dict.fromkeys(names) if name and isinstance(gpu := find_gpu(name), Gpu)}
        newest = sorted(known.values(), key=lambda gpu: (gpu.vendor == "amd", -_number(gpu), gpu.name))
        return [(arch_of(gpu), gpu.name) for gpu in newest]

    def tickets(self, folder: Path, stop: threading.Event) -> Iterator[tuple[Ticket, Report]]:
        """Each ticket of a folder and its report, as `gpu-doctor triage --ticket folder` makes it."""
        from doctor.bundles.sources import Reading, tickets
        from doctor.triage.examine import Bench, examine

        with self._patterns() as patterns:
            bench = Bench(self.base, patterns, self.checks())
            for ticket in tickets([str(folder)], Reading(ticket="folder")):
                if stop.is_set():
                    return
                yield ticket, examine(ticket, bench)

    def watch(self, stop: threading.Event) -> Iterator[LiveEvent]:
        """The containers that failed, again each time one starts or ends, with the cause of each once it is known."""
        causes: dict[tuple[str, float], CauseFound] = {}
        while not stop.is_set():
            try:
                yield from self._watch(stop, causes)
            except Exception as error:  # the package raises its own and those of three others
                told = reason(error)
                yield EngineSilent(f"{told}{whose_socket()}" if "ermission denied" in told else told)
                stop.wait(RETRY_SECONDS)

    def _watch(self, stop: threading.Event, causes: dict[tuple[str, float], CauseFound]) -> Iterator[LiveEvent]:
        api = connect()
        while not stop.is_set():
            since = int(time.time())
            listed = list_failed(api)
            yield listed
            for one in listed.failed[:JUDGED]:
                key = (one.id, one.ended)
                if key not in causes and not stop.is_set():
                    causes[key] = self._cause(one.id)
                    yield causes[key]
            _wait_for_change(api, since, stop)

    def _cause(self, identity: str) -> CauseFound:
        """What choosing the container would find first: its own readings beside those of the machine."""
        from doctor.probes import discover as probes
        from doctor.probes.system import System

        only_engine = [probe for probe in probes() if probe.area == "engine"]
        target = Target(identity)
        with self._patterns() as patterns:
            for event in engine.run(target, System(redactor=Redactor()), only_engine, (), self.base, patterns):
                if isinstance(event, ReportReady):
                    machine = self._machine.readings if self._machine else {}
                    whole = replace(event.snapshot, readings={**machine, **event.snapshot.readings})
                    report = engine.judge(whole, self.checks(), self.base, patterns)
                    if report.diagnoses:
                        return CauseFound(identity, report.diagnoses[0].title, report.diagnoses[0].severity)
                    return CauseFound(identity, report.unexplained[0].text if report.unexplained else "", None)
        return CauseFound(identity, "", None)

    def follow(self, container: str) -> Following:
        """The last lines of a container's log and then what it writes. Raises UsageError."""
        try:
            stream: Following = connect().logs(container, stream=True, follow=True, stdout=True, stderr=True, tail=TAIL)
        except Exception as error:  # the package raises its own and those of three others
            raise UsageError(f"the log of {container} cannot be read: {reason(error)}") from None
        return stream


class Replay(Doctor):
    """A recorded machine."""

    def __init__(self, snapshot: Snapshot, name: str, base: Callable[[], Base] | None = None) -> None:
        super().__init__(base)
        self._snapshot = snapshot
        self.recording = f"{name}, taken {snapshot.taken_at[:10]}"

    @property
    def host(self) -> str:
        return "recorded"

    def examine(self, container: str | None = None) -> Iterator[Event]:
        report = self.replay(self._snapshot)
        yield from (CheckFinished(outcome) for outcome in report.outcomes)
        yield ReportReady(report, self._snapshot)

    def watch(self, stop: threading.Event) -> Iterator[LiveEvent]:
        yield EngineSilent("a recording: the engine is not asked")

    def follow(self, container: str) -> Following:
        raise UsageError("a recording has no log to follow")


def _number(gpu: Gpu) -> float:
    """A compute capability, or a gfx target read as a number: the newer the higher."""
    return float(gpu.compute_capability) if gpu.compute_capability else float(int((gpu.gfx or "gfx0")[3:], 16))


def own_base() -> Base:
    """The shipped entries with the user's own laid over them."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.environ.get("HOME") or "/nonexistent", ".config")
    own = Path(home) / "gpu-doctor" / "knowledge"
    return load([own] if os.path.isdir(own) else [])


def connect() -> Any:
    """A client of the first engine that answers. Raises what the docker package raises."""
    import docker

    from doctor.probes.engine import sockets

    addresses = sockets()
    if not addresses:
        raise UsageError("no container engine was found (no socket, DOCKER_HOST not set)")
    for address in addresses[:-1]:
        try:
            return docker.APIClient(base_url=address, version="auto", timeout=CONNECT_SECONDS)
        except Exception:  # the package raises its own and those of three others; the last one tells
            continue
    return docker.APIClient(base_url=addresses[-1], version="auto", timeout=CONNECT_SECONDS)


def reason(error: BaseException) -> str:
    """The reason on one line."""
    return str(error) if isinstance(error, UsageError) else reason_of(error, 160)


def whose_socket() -> str:
    """Which group may talk to the engine, where the socket tells."""
    import grp

    from doctor.probes.engine import sockets

    for address in sockets():
        try:
            group = grp.getgrgid(os.stat(address.removeprefix("unix://")).st_gid).gr_name
        except (OSError, KeyError):
            continue
        return f": its socket belongs to group {group}"
    return ""


def list_failed(api: Any) -> ContainersListed:
    """The containers that did not end well."""
    everything = api.containers(all=True, limit=LISTED)
    suspects = [item for item in everything if item.get("State") in BROKEN][:INSPECTED]
    found = [one for item in suspects if (one := _failed(api, item["Id"]))]
    found.sort(key=lambda one: (-one.ended, one.name))
    return ContainersListed(tuple(found), len(everything))


def _failed(api: Any, identity: str) -> FailedContainer | None:
    import docker.errors

    try:
        content = api.inspect_container(identity)
    except docker.errors.NotFound:  # removed since it was listed
        return None
    state = content.get("State") or {}
    words = state_words(state)
    if words is None:
        return None
    ended = _seconds(state.get("FinishedAt", "")) or _seconds(content.get("Created", ""))
    return FailedContainer(
        id=identity,
        name=content.get("Name", "").lstrip("/") or identity[:12],
        image=(content.get("Config") or {}).get("Image") or content.get("Image", ""),
        state=words,
        exit_code=state.get("ExitCode"),
        ended=ended,
        error=state.get("Error") or "",
    )


def state_words(state: dict[str, Any]) -> str | None:
    """How a container failed, from the engine's `State`; None for one that ended well or has not been started."""
    if state.get("OOMKilled"):
        return "out of memory"
    if state.get("Restarting"):
        return "restarting"
    if state.get("Dead"):
        return "dead"
    if state.get("Error") or (state.get("Status") == "created" and state.get("ExitCode")):
        return "never started"
    if state.get("Status") == "exited" and state.get("ExitCode"):
        return "killed" if state["ExitCode"] in (137, 143) else "exited"
    return None


def _seconds(text: str) -> float:
    """An RFC 3339 time as seconds since 1970; 0 for the zero time and for what is none."""
    if not text or text.startswith("0001-"):
        return 0.0
    try:
        return datetime.fromisoformat(text[:19] + "+00:00").timestamp()
    except ValueError:
        return 0.0


def _wait_for_change(api: Any, since: int, stop: threading.Event) -> None:
    """Return when a container starts, ends or goes, or after a while."""
    names = {"type": "container", "event": ["die", "oom", "start", "destroy", "create"]}
    until = int(time.time()) + EVENT_SECONDS
    events: Iterable[Any] = api.events(since=since, until=until, filters=names, decode=True)
    for _ in events:
        stop.wait(0.3)  # what happens together is told together
        return


def text_stream(text: str) -> BinaryIO:
    """Text as the stream that `Doctor.explain` reads."""
    return io.BytesIO(text.encode("utf-8", "replace"))
