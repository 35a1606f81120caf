"""The first screen: which container failed, what the checks say, what is wrong, and what to type.

The engine and the facts are imported where they are used: this screen is drawn before they are.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Static

from doctor.text import plain
from doctor.tui.answer import AnswerScreen
from doctor.tui.blocks import Block, cards, gap, labelled, note, prose, title, unexplained
from doctor.tui.jobs import JobFailed, Post, iterate
from doctor.tui.literal import clean, cut, cut_middle
from doctor.tui.machine import machine_of
from doctor.tui.messages import EngineTold, Examined
from doctor.tui.panes import WIDE
from doctor.tui.rows import Lines, Row, Rows
from doctor.tui.signs import SIGNS
from doctor.version import __version__

if TYPE_CHECKING:
    from doctor.check import Check
    from doctor.engine import Event
    from doctor.finding import Outcome
    from doctor.live import CauseFound, FailedContainer
    from doctor.report import Report
    from doctor.snapshot import Snapshot

Shown = Literal["all", "problems", "skipped"]
NEXT_SHOWN: dict[Shown, Shown] = {"all": "problems", "problems": "skipped", "skipped": "all"}
AGE_SECONDS = 30.0
AREAS = ("container", "image", "here", "engine", "toolkit", "driver", "cuda", "amd", "devices", "wsl", "kubernetes")
"""In the order of the list: what is nearest to the container first; areas that are not here stand last."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something to examine."""

    kind: Literal["container", "host", "paste", "silence"]
    container: FailedContainer | None = None
    cause: CauseFound | None = None
    reason: str = ""
    """Why the engine tells of no containers."""

    @property
    def id(self) -> str:
        return self.container.id if self.container else self.kind


@dataclass(frozen=True, slots=True)
class CheckRow:
    """A check and what is known of it."""

    id: str
    area: str
    title: str
    needs: tuple[str, ...]
    """Areas that must have been looked at first."""
    state: str = "waiting"
    seen: str = ""
    report: str = ""
    """Of a check that crashed, what its authors need."""


HOST, PASTE = Subject("host"), Subject("paste")


class OverviewScreen(AnswerScreen):
    """Which container failed, and why."""

    SECTION = "overview"
    HELP_TEXT = (
        "Choose what failed: Enter runs the checks with that container. The checks fill in place; below them stand the "
        "diagnosis and its first fix. y copies the commands; nothing is ever run for you."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "cycle_shown", "Problems", id="checks.cycle-shown", tooltip="All checks, problems, skipped ones"),
        Binding("r,ctrl+r", "again", "Run again", id="checks.run-again", tooltip="Run the checks again"),
        Binding("s", "save", "Save snapshot", id="report.save-snapshot", show=False,
                tooltip="Write a redacted snapshot to send to someone"),
        Binding("t", "follow", "Follow log", id="container.follow-log", show=False,
                tooltip="Read this container's log as it grows"),
        Binding("i", "image", "Its image", id="container.inspect-image", show=False,
                tooltip="Inspect this container's image: which GPUs it runs on"),
        Binding("left_square_bracket", "other(-1)", "Previous finding", id="finding.go-previous", key_display="[",
                show=False),
        Binding("right_square_bracket", "other(1)", "Next finding", id="finding.go-next", key_display="]", show=False),
        Binding("ctrl+o", "open_file", "Open file", id="file.open-path", show=False,
                tooltip="Open a recorded snapshot or a log"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._containers: list[Subject] = []
        self._silence: list[Subject] = []
        self._causes: dict[str, CauseFound] = {}
        self._chosen = ""
        """Where a person's hand put the cursor; it stays there whatever comes above."""
        self._examined = HOST
        self._checks: list[CheckRow] = []
        self._shown: Shown = "all"
        self._words = ""
        self._looking: set[str] = set()
        self._examining = False
        self._snapshot: Snapshot | None = None

    def body(self) -> Iterable[Widget]:
        yield Rows(id="subjects", title="What failed?")
        yield Rows(id="checks", title="Checks")
        yield Static("", id="seen", markup=False)
        with Horizontal(id="answer"):
            yield Rows(id="found", title="Diagnosis")
            yield Rows(id="fix", title="First fix")

    @property
    def snapshot(self) -> Snapshot | None:
        return self._snapshot

    def on_mount(self) -> None:
        self._list_subjects()
        self._list_checks()
        self.query_one("#subjects", Rows).focus()
        self.watch(self.app, "ready", self._ready)
        self.set_interval(AGE_SECONDS, self._list_subjects)

    def _ready(self, ready: bool) -> None:
        if ready:
            self._containers, self._silence = [], []
            self._examine(HOST)
            self.app.jobs.start("watch", self, self._watch)

    def _watch(self, post: Post, stop: threading.Event) -> None:
        iterate(self.app.doctor.watch(stop), EngineTold, post, stop)

    # What failed

    @on(EngineTold)
    def _told(self, message: EngineTold) -> None:
        from doctor.live import CauseFound, ContainersListed, EngineSilent

        pane = self.query_one("#subjects", Rows)
        event = message.event
        if isinstance(event, EngineSilent):
            self._silence = [Subject("silence", reason=event.reason)]
            pane.say("containers: not known")
        elif isinstance(event, CauseFound):
            self._causes[event.id] = event
        elif isinstance(event, ContainersListed):
            self._silence = []
            pane.say(failed_words(len(event.failed), event.total))
            self._containers = [Subject("container", one) for one in event.failed]
            listed = {one.id for one in event.failed}
            self._causes = {name: cause for name, cause in self._causes.items() if name in listed}
        self._list_subjects()

    @property
    def _subjects(self) -> list[Subject]:
        """What the list shows, in its order."""
        boxes = [replace(one, cause=self._causes.get(one.id)) for one in self._containers]
        return [*boxes, HOST, PASTE, *self._silence]

    def _list_subjects(self) -> None:
        pane = self.query_one("#subjects", Rows)
        shown = self._subjects
        at = next((n for n, one in enumerate(shown) if one.id == self._chosen), 0)
        pane.styles.height = max(5, len(shown) + 2)
        pane.show(Lines(shown, self._subject_row), cursor=at)

    def _subject_row(self, one: Subject, width: int) -> Row:
        here = "▶" if one.id == self._examined.id else " "
        if one.kind != "container" or one.container is None:
            name, says = {
                "host": ("This host", "run all checks on this machine"),
                "paste": ("Paste a log", "or ctrl+o for a file: no machine needed"),
                "silence": ("Containers?", clean(one.reason)),
                "container": ("", ""),
            }[one.kind]
            return ((f" {here} ", "accent"), (cut(name, 20), "strong"), (says, "muted"))
        box = one.container
        age = age_words(self.app.doctor.now() - box.ended) if box.ended and self.app.ready else ""
        code = "" if box.exit_code is None else str(box.exit_code)
        ended = {"exited": f"exit {code}", "killed": f"killed, {code}", "restarting": f"restarts, {code}"}
        cause = one.cause
        if cause is None:
            says, style = "…", "muted"
        elif not cause.title:
            says, style = "no known fault in its state and log", "muted"
        else:
            sign = SIGNS[cause.severity or "unsure"]
            says, style = f"{sign.mark} {cause.title}", sign.style
        row: list[tuple[str, str]] = [(f" {here} ", "accent"), (cut(clean(box.name), 19) + " ", "strong")]
        if width >= 96:
            row.append((cut(cut_middle(clean(box.image), 23), 24), ""))
        row += [(cut(age, 7), "muted"), (cut(ended.get(box.state, box.state), 15), "")]
        return (*row, (clean(says), style))

    @on(Rows.Moved, "#subjects")
    def _subject_moved(self, message: Rows.Moved) -> None:
        shown = self._subjects
        if message.rows.has_focus and message.index < len(shown) and (self._chosen or message.index):
            self._chosen = shown[message.index].id

    @on(Rows.Chosen, "#subjects")
    def _subject_chosen(self, message: Rows.Chosen) -> None:
        one = self._subjects[message.index]
        self._chosen = one.id
        if one.kind == "paste":
            self.app.switch_mode("log")
        elif one.kind == "silence":
            self.app.open_entry("container-engine-unreachable")
        else:
            self._examine(one)

    # Checks

    def _examine(self, subject: Subject) -> None:
        self._examined = subject
        self.answer = self._snapshot = None
        self._looking = set()
        self._examining = True
        self._checks = sorted(map(check_row, self.app.doctor.checks()), key=place_in_list)
        self.query_one("#subjects", Rows).refresh()
        self._list_checks()
        self._show_answer()
        name = subject.container.name if subject.container else None

        def work(post: Post, stop: threading.Event) -> None:
            iterate(self.app.doctor.examine(name), Examined, post, stop)

        self.app.jobs.start("examine", self, work)

    @on(Examined)
    def _event(self, message: Examined) -> None:
        self._take(message.event)
        self._list_checks()

    def _take(self, event: Event) -> None:
        from doctor.engine import CheckFinished, ProbeFinished, ProbeStarted, ReportReady, SoFar
        from doctor.facts import parse

        if isinstance(event, ProbeStarted):
            self._looking.add(event.area)
        elif isinstance(event, ProbeFinished):
            self._looking.discard(event.area)
        elif isinstance(event, CheckFinished):
            self._checks = [_with(row, event.outcome) if row.id == event.outcome.check else row for row in self._checks]
        elif isinstance(event, SoFar):
            self.answer, self._snapshot = event.report, event.snapshot
            self._show_answer()
            self.refresh_bindings()
        elif isinstance(event, ReportReady):
            self._examining = False
            self._looking = set()
            self.answer, self._snapshot = event.report, event.snapshot
            self.app.machine = machine_of(self.app.doctor.host, parse(event.snapshot))
            self._show_answer()
            self._to_first_problem()
            self.refresh_bindings()

    @on(JobFailed)
    def _job_failed(self, message: JobFailed) -> None:
        """The app tells it; here nothing must look as if it still went on."""
        if message.job == "examine":
            self._examining, self._looking = False, set()
            self._list_checks()

    def _to_first_problem(self) -> None:
        """The rows keep their order, so the list goes to where a person would look; not under a moving hand."""
        pane = self.query_one("#checks", Rows)
        problems = [n for n, row in enumerate(self._visible()) if row.state in ("found", "crashed")]
        if problems and not pane.has_focus:
            pane.cursor = problems[0]

    def filter_rows(self, text: str) -> None:
        self._words = text.lower()
        self._list_checks()

    def action_cycle_shown(self) -> None:
        self._shown = NEXT_SHOWN[self._shown]
        self._list_checks()

    def _visible(self) -> list[CheckRow]:
        states = {"all": None, "problems": ("found", "crashed"), "skipped": ("skipped",)}[self._shown]
        rows = [row for row in self._checks if states is None or row.state in states]
        return [row for row in rows if self._words in f"{row.area} {row.id} {row.title} {row.seen}".lower()]

    def _list_checks(self) -> None:
        pane = self.query_one("#checks", Rows)
        done = sum(row.state != "waiting" for row in self._checks)
        name = self._examined.container.name if self._examined.container else ""
        pane.title = f"Checks · container {clean(name)}" if name else "Checks"
        if not self._checks:
            pane.say("loading")
        else:
            progress = f"running {done} of {len(self._checks)}" if self._examining else _counts(self._checks)
            pane.say(f"{progress} · f: {self._shown}")
        pane.show(Lines(self._visible(), self._check_line))
        self._show_seen()

    def _check_line(self, row: CheckRow, width: int) -> Row:
        state, seen = row.state, row.seen
        if state == "waiting":
            missing = [area for area in row.needs if area in self._looking]
            state = "running" if missing else "waiting"
            seen = f"reading {', '.join(missing)}" if missing else ""
        sign = SIGNS["error" if state == "found" else state]
        head = ((" ", ""), (sign.text, sign.style), (f"  {cut(row.area, 10)} ", "muted"))
        if width < 90:
            return (*head, (clean(row.title), ""))
        style = "" if state in ("found", "passed") else "muted"
        return (*head, (cut(clean(row.title), 42) + "  ", ""), (clean(seen), style))

    @on(Rows.Moved, "#checks")
    def _show_seen(self) -> None:
        rows = self._visible()
        at = self.query_one("#checks", Rows).cursor
        self.query_one("#seen", Static).update(f" {clean(rows[at].seen)}" if at < len(rows) else "")

    @on(Rows.Chosen, "#checks")
    def _check_chosen(self, message: Rows.Chosen) -> None:
        rows = self._visible()
        if message.index >= len(rows):
            return
        row = rows[message.index]
        faults = next((one.faults for one in self.app.doctor.checks() if one.id == row.id), ())
        for position, item in enumerate(self.answer.diagnoses if self.answer else ()):
            if item.finding.fault in faults and row.state == "found":
                self.open_finding(position)
                return
        if row.state == "crashed":
            self.app.copy_out(row.report)
        elif faults:
            self.app.open_entry(faults[0])

    # The answer

    def _show_answer(self) -> None:
        found, fix = self.query_one("#found", Rows), self.query_one("#fix", Rows)
        report = self.answer
        if report and (report.diagnoses or report.set_aside):
            self.show_findings(report, so_far=self._examining)
        elif report is None or self._examining:
            found.title, fix.title = "Diagnosis so far", "First fix"
            found.show(cards([note("Nothing found yet.")]), cursor=0)
            fix.show(cards([note("The commands stand here.")]), cursor=0)
        else:
            partly = "Nothing found in what could be looked at" if report.not_examined else "Nothing found"
            found.title = partly if report.verdict == "none" else "Too little could be examined"
            no_gpu = self.app.machine.has_no_gpu and self._examined.kind == "host"
            if no_gpu:
                found.title = "This machine has no NVIDIA or AMD GPU"
            said = list(self._no_gpu(report) if no_gpu else self._nothing(report))
            steps = list(self._next_steps(report))
            found.show(cards([*said, gap(), *steps] if self.app.size.width < WIDE else said), cursor=0)
            fix.title = "Next"
            fix.show(cards(steps), cursor=0)

    def _nothing(self, report: Report) -> Iterable[Block]:
        crashed = [one for one in report.outcomes if one.state == "crashed"]
        if crashed:
            yield title("A check crashed: this is our fault, not your machine's. The others ran.")
        for one in crashed:
            rows = [((f"   # {one.check}: {clean((one.reason or '').strip().rpartition(chr(10))[2])}", "error"),)]
            yield Block(lambda width, rows=rows: rows, commands=(_crash(one),))  # type: ignore[misc]
        if crashed:
            yield note("Enter on its row in the list of checks copies what to report.")
            yield gap()
        if report.unexplained:
            yield from (*unexplained(report), gap())
        yield note(_counts(self._checks) + (". f shows them." if self._checks else "."))
        yield from _not_looked_at(report)

    def _no_gpu(self, report: Report) -> Iterable[Block]:
        yield labelled("Looked at", ", ".join(self.app.machine.looked_at))
        yield from _not_looked_at(report)
        yield note(_counts(self._checks))

    def _next_steps(self, report: Report) -> Iterable[Block]:
        yield title("Still useful here" if self.app.machine.has_no_gpu else "If a container still fails")
        whose = "a log from the machine that fails" if self.app.machine.has_no_gpu else "its log"
        yield prose(f"2  Paste {whose}: {self.app.entries} known faults are looked for.")
        yield prose("3  Inspect an image: will it run on this GPU, or on any other?")
        yield prose("4  Work through a folder of tickets.")
        yield prose(f"5  Read the {self.app.entries} entries.")
        for row in report.notes:
            yield gap()
            yield note(row)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("again", "follow") and self.app.recording:
            return None
        if action == "save" and self._snapshot is None:
            return None
        if action in ("follow", "image") and self._container is None:
            return None
        return super().check_action(action, parameters)

    def action_again(self) -> None:
        if self.app.ready:
            self._examine(self._examined)

    def action_save(self) -> None:
        from doctor.tui.export import SaveDialog

        if self._snapshot:
            self.app.push_screen(SaveDialog(self.app.doctor.shareable(self._snapshot)))

    def action_follow(self) -> None:
        from doctor.tui.log import LogScreen

        box = self._container
        self.app.switch_mode("log")
        if box and isinstance(self.app.screen, LogScreen):
            self.app.screen.call_later(self.app.screen.follow, box.name)

    def action_image(self) -> None:
        from doctor.tui.image import ImageScreen

        box = self._container
        self.app.switch_mode("image")
        if box and isinstance(self.app.screen, ImageScreen):
            self.app.screen.call_later(self.app.screen.inspect, box.image)

    @property
    def _container(self) -> FailedContainer | None:
        """The one under the cursor."""
        shown, at = self._subjects, self.query_one("#subjects", Rows).cursor
        return shown[at].container if at < len(shown) else None

    def action_open_file(self) -> None:
        from doctor.tui.path_dialog import PathDialog

        self.app.push_screen(PathDialog("Open a recorded snapshot or a log"), self._opened)

    def _opened(self, path: Path | None) -> None:
        from doctor.errors import UsageError
        from doctor.live import Replay
        from doctor.snapshot import load
        from doctor.tui.log import LogScreen

        if path is None:
            return
        if path.suffix in (".json", ".gz"):
            try:
                self.app.use(Replay(load(path), path.name, lambda: self.app.doctor.base))
            except UsageError as error:
                self.app.say(str(error), severity="error")
            return
        self.app.switch_mode("log")
        if isinstance(self.app.screen, LogScreen):
            self.app.screen.call_later(self.app.screen.open_path, path)


def check_row(one: Check) -> CheckRow:
    """A check before it ran."""
    from doctor.facts import AREAS

    needs = tuple(dict.fromkeys(AREAS[need.split(".")[0]] for need in one.needs))
    return CheckRow(one.id, one.area, one.says, needs)


def _with(row: CheckRow, outcome: Outcome) -> CheckRow:
    seen = outcome.reason if outcome.state in ("skipped", "crashed") else outcome.says
    if outcome.state == "crashed":
        last = (seen or "").strip().rpartition("\n")[2]
        return replace(row, state="crashed", seen=clean(last), report=_crash(outcome))
    return replace(row, state=outcome.state, seen=clean(seen or ""))


def _crash(outcome: Outcome) -> str:
    """What to report of a check that crashed: nothing of the machine's own but the traceback."""
    return plain(f"gpu-doctor {__version__}, check {outcome.check}\n{(outcome.reason or '').strip()}")


def place_in_list(row: CheckRow) -> tuple[int, str, str]:
    """Where a check stands; it never moves."""
    return (AREAS.index(row.area) if row.area in AREAS else len(AREAS), row.area, row.id)


def failed_words(failed: int, total: int) -> str:
    """`2 of 17 containers failed`."""
    if not total:
        return "no containers"
    return f"{failed or 'none'} of {total} container{'s' if total > 1 else ''} failed"


def _not_looked_at(report: Report) -> Iterable[Block]:
    for number, row in enumerate(report.not_examined):
        yield labelled("" if number else "Not looked", row)


def _counts(rows: Sequence[CheckRow]) -> str:
    words = {"found": "found", "passed": "passed", "skipped": "skipped", "crashed": "crashed", "waiting": "waiting"}
    counts = {word: sum(row.state == state for row in rows) for state, word in words.items()}
    return f"{len(rows)} checks: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def age_words(seconds: float) -> str:
    """How long ago, in one number."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "now" if seconds < 5 else f"{int(seconds)} s"
