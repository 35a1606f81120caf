"""A log: pasted, opened or followed. The matched lines are marked; the diagnosis runs beside, the text never waits."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import TextArea

from doctor.errors import UsageError
from doctor.report import Report
from doctor.text import size_words
from doctor.tui.answer import AnswerScreen
from doctor.tui.blocks import cards, command, gap, note, prose, unexplained
from doctor.tui.jobs import JobFailed, Post, now_and_then
from doctor.tui.literal import LONGEST, clean, split_cells
from doctor.tui.log_text import LogText
from doctor.tui.messages import LogExplained, LogRead, Sought
from doctor.tui.panes import WIDE
from doctor.tui.rows import Row, Rows
from doctor.tui.signs import SIGNS
from doctor.words import CHECK_CONTAINER, UNEXPLAINED_STEPS, UNEXPLAINED_TEXT

TYPING_SECONDS = 0.3
FOLLOWING_SECONDS = 1.0
EDITED = 2 << 20
"""Bytes of a log that may be edited in place."""
EDITED_LINES = 20_000
WRAPPED = 100_000
"""Lines of a log that may be shown wrapped."""
EMPTY = (
    "Paste a log here, or ctrl+o for a file.\n"
    "To follow a container's log: t on it in the Overview.\n"
    "Everything stays on this machine."
)


class LogInput(TextArea):
    """Where a log is typed or pasted. One paste is one event, handed on whole."""

    @dataclass
    class Pasted(Message):
        text: str

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.post_message(self.Pasted(event.text))


class LogView:
    """What the list shows of a log."""

    def __init__(self, log: LogText, marks: dict[int, str], words: str, wrap: bool) -> None:
        self._log = log
        self._marks = marks
        """Line, counted from 0, to the severity of what it shows."""
        self._words = words.lower()
        self._wrap = wrap
        self._digits = max(3, len(str(len(log))))
        self._count = len(log)
        self.width = 0 if wrap else LONGEST

    def __len__(self) -> int:
        return self._count

    @property
    def _gutter(self) -> int:
        return self._digits + 5

    def heights(self, width: int) -> Sequence[int] | None:
        if not self._wrap:
            return None
        room = max(10, width - self._gutter)
        sizes = self._log.widths()[: self._count]
        rows = [1 if size <= room else -(-min(size, LONGEST) // room) for size in sizes]
        return rows + [1] * (self._count - len(rows))  # should the log have been cut since

    def rows(self, index: int, width: int) -> Sequence[Row]:
        text = clean(self._log.line(index))
        severity = self._marks.get(index)
        sign = SIGNS[severity] if severity else None
        head: Row = (
            (f" {sign.mark if sign else ' '} ", sign.style if sign else ""),
            (f"{index + 1:>{self._digits}}  ", sign.style if sign else "muted"),
        )
        style = "strong" if sign else ""
        if not self._wrap:
            return ((*head, *self._marked(text, style)),)
        pieces = split_cells(text, max(10, width - self._gutter))
        first = (*head, *self._marked(pieces[0], style))
        more = [((" " * self._gutter, ""), *self._marked(piece, style)) for piece in pieces[1:]]
        return [first, *more]

    def _marked(self, text: str, style: str) -> Row:
        """The words looked for, underlined."""
        if not self._words or self._words not in text.lower():
            return ((text, style),)
        pieces: list[tuple[str, str]] = []
        at, low = 0, text.lower()
        while (found := low.find(self._words, at)) >= 0:
            pieces += [(text[at:found], style), (text[found : found + len(self._words)], "mark")]
            at = found + len(self._words)
        return (*pieces, (text[at:], style))


class LogScreen(AnswerScreen):
    """Diagnose a log."""

    SECTION = "log"
    HELP_TEXT = (
        "Paste a log (the terminal's paste, anywhere), open a file with ctrl+o, or follow a container (Overview). "
        "Esc leaves the text; then n and N walk the matched lines. What was set aside, and for what, is always shown."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "match(1)", "Next match", id="log.go-next", tooltip="The next matched or found line"),
        Binding("N", "match(-1)", "Previous match", id="log.go-previous", show=False, tooltip="The one before"),
        Binding("e", "edit", "Edit", id="log.edit-text", tooltip="Edit the text"),
        Binding("ctrl+o", "open_file", "Open file", id="file.open-path", key_display="^o", tooltip="Open a file"),
        Binding("ctrl+l", "clear", "Clear", id="log.clear-text", key_display="^l", tooltip="Begin with an empty text"),
        Binding("w", "wrap", "Wrap", id="log.wrap-lines", tooltip="Wrap long lines, or pan along them with ← →"),
        Binding("slash", "filter", "Find", id="log.find-words", key_display="/", tooltip="Find words; n N walk them"),
        Binding("E", "export", "Export", id="report.export-file", show=False, tooltip="Write the report to a file"),
        Binding("left_square_bracket", "other(-1)", "Previous finding", id="finding.go-previous", key_display="[",
                show=False),
        Binding("right_square_bracket", "other(1)", "Next finding", id="finding.go-next", key_display="]", show=False),
        Binding("escape", "back", "Leave", id="screen.go-back", tooltip="Leave the text"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._log: LogText | None = None
        self._wrap = True
        self._sought: tuple[int, ...] = ()
        self._words = ""
        self._following = ""
        self._typing: Timer | None = None
        self._again: Timer | None = None

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="log-body"):
            with Vertical(id="text"):
                yield LogInput(id="paste", show_line_numbers=True, soft_wrap=False, placeholder=EMPTY, classes="pane")
                yield Rows(id="log", title="Log")
            with Vertical(id="log-answer"):
                yield Rows(id="found", title="Diagnosis")
                yield Rows(id="fix", title="Fix")
                yield Rows(id="surer", title="To be surer")

    def on_mount(self) -> None:
        self._write()
        self._show_answer(None)
        self.query_one("#surer", Rows).show(
            cards(
                [
                    note("This is the log alone. On the machine run"),
                    command(CHECK_CONTAINER),
                    note("or ask for a snapshot of it"),
                    command("gpu-doctor record -o snapshot.gz"),
                ]
            ),
            cursor=1,
        )
        self.watch(self.app, "ready", self._ready)

    def _ready(self, ready: bool) -> None:
        if ready and self._log is not None:
            self._explain()

    # The text

    def _write(self) -> None:
        """Show the text field."""
        field = self.query_one("#paste", LogInput)
        field.display, self.query_one("#log").display = True, False
        field.border_title = "Log · type or paste"
        field.border_subtitle = "esc leaves the text"
        field.focus()

    def _read(self) -> None:
        """Show the numbered lines."""
        self.query_one("#paste").display = False
        pane = self.query_one("#log", Rows)
        pane.display = True
        pane.focus()

    def take_paste(self, text: str) -> None:
        """A paste: a log of its own in an empty field, else a part of what is typed."""
        field = self.query_one("#paste", LogInput)
        if field.display and field.text.strip():
            field.insert(text)
            return
        self._take(LogText.of_text(text, "pasted"))

    @on(LogInput.Pasted)
    def _pasted(self, message: LogInput.Pasted) -> None:
        self.take_paste(message.text)

    @on(TextArea.Changed, "#paste")
    def _typed(self, event: TextArea.Changed) -> None:
        if self._typing:
            self._typing.stop()
        self._typing = self.set_timer(TYPING_SECONDS, self._explain_typed)

    def _explain_typed(self) -> None:
        field = self.query_one("#paste", LogInput)
        if field.display:
            self._replace(LogText.of_text(field.text, "typed") if field.text.strip() else None)
            self._explain()

    def _take(self, log: LogText) -> None:
        self._following = ""
        self.app.jobs.stop("follow")
        self._replace(log)
        self._read()
        self._draw(cursor=0)
        self._explain()

    def _replace(self, log: LogText | None) -> None:
        if self._log is not None and self._log is not log:
            for job in ("index", "seek", "explain"):
                self.app.jobs.stop(job)
            self._log.close()
        self._log = log
        self._sought = ()
        self.answer = None

    def open_path(self, path: Path) -> None:
        """Open a file; its lines are counted in a job while the first ones are read."""
        try:
            log = LogText.of_file(path)
        except UsageError as error:
            self.app.say(str(error), severity="error")
            return

        def work(post: Post, stop: threading.Event) -> None:
            log.index(stop, now_and_then(lambda size: post(LogRead(len(log), size, log.size, False))))
            post(LogRead(len(log), log.indexed, log.size, True))

        self._take(log)
        self.app.jobs.start("index", self, work)

    def follow(self, container: str) -> None:
        """Read a container's log as it grows."""
        log = LogText(container)
        self._take(log)
        self._following = container

        def work(post: Post, stop: threading.Event) -> None:
            stream = self.app.doctor.follow(container)
            grown = now_and_then(lambda: post(LogRead(len(log), log.size, log.size, False)))
            try:
                for piece in stream:
                    if stop.is_set():
                        return
                    log.append(piece)
                    grown()
            finally:
                stream.close()
            post(LogRead(len(log), log.size, log.size, True))

        self.app.jobs.start("follow", self, work)

    @on(LogRead)
    def _grown(self, message: LogRead) -> None:
        pane = self.query_one("#log", Rows)
        at_end = pane.cursor >= len(pane.model) - 1 and bool(self._following)
        self._draw(cursor=message.lines - 1 if at_end else None)
        if not message.done and not self._following:
            pane.say(f"counting lines: {size_words(message.size)} of {size_words(message.of)}")
        if self._following and self._again is None:
            self._again = self.set_timer(FOLLOWING_SECONDS, self._explain_again)

    def _explain_again(self) -> None:
        self._again = None
        self._explain()

    def _draw(self, cursor: int | None = None) -> None:
        """Show the lines as they are now."""
        log = self._log
        if log is None:
            return
        pane = self.query_one("#log", Rows)
        wrap = self._wrap and len(log) <= WRAPPED
        pane.show(LogView(log, self._marks(), self._words, wrap), cursor=cursor)
        what = f"following {clean(self._following)}" if self._following else clean(log.name)
        pane.title = f"Log · {what}, {len(log):,} line{'s' if len(log) != 1 else ''}"
        found = f"{len(self._sought):,} found · " if self._words else ""
        pane.say(f"{found}w: {'unwrap' if wrap else 'wrap'} · {size_words(log.size)}")

    def _marks(self) -> dict[int, str]:
        """Matched lines, the gravest severity of each."""
        marks: dict[int, str] = {}
        if self.answer:
            marks.update({one.line - 1: "unsure" for one in self.answer.unexplained if one.line})
            for aside in self.answer.set_aside:
                marks.update({one.line - 1: "note" for one in aside.finding.evidence if one.line})
            for item in reversed(self.answer.diagnoses):
                marks.update({one.line - 1: item.severity for one in item.finding.evidence if one.line})
        return marks

    # The diagnosis

    def _explain(self) -> None:
        log = self._log
        if not self.app.ready or log is None or not log.size:
            self._show_answer(None)
            return
        found = self.query_one("#found", Rows)
        found.say("reading")

        def work(post: Post, stop: threading.Event) -> None:
            try:
                post(LogExplained(self.app.doctor.explain(log.stream(stop), log.name)))  # type: ignore[arg-type]
            except UsageError as error:
                post(LogExplained(None, str(error)))

        self.app.jobs.start("explain", self, work)

    @on(LogExplained)
    def _explained(self, message: LogExplained) -> None:
        self.answer = message.report
        self._show_answer(message.report, message.error)
        if self.query_one("#log").display:
            marks = sorted(self._marks())
            pane = self.query_one("#log", Rows)
            first = marks[0] if marks and pane.cursor == 0 and not self._following else None
            self._draw(cursor=first)
        self.refresh_bindings()

    @on(JobFailed)
    def _job_failed(self, message: JobFailed) -> None:
        """The app tells it; here nothing must look as if it still went on."""
        if message.job == "explain":
            self._show_answer(None)

    def _show_answer(self, report: Report | None, error: str = "") -> None:
        found, fix = self.query_one("#found", Rows), self.query_one("#fix", Rows)
        found.say("")
        if report and (report.diagnoses or report.set_aside):
            self.show_findings(report)
            return
        fix.title = "Fix"
        fix.show(cards([note("The commands stand here.")]), cursor=0)
        if error:
            found.title = "Not a log"
            found.show(cards([prose(clean(error))]), cursor=0)
        elif report is None:
            found.title = "Diagnosis"
            found.show(cards([note("It starts by itself, as you type or paste.")]), cursor=0)
        elif report.unexplained:
            found.title = "Nothing known found"
            lines, more = list(unexplained(report)), [prose(UNEXPLAINED_TEXT), gap(), *map(command, UNEXPLAINED_STEPS)]
            found.show(cards([*lines, gap(), *more] if self.app.size.width < WIDE else lines), cursor=0)
            fix.title = "What it may be"
            fix.show(cards(more), cursor=0)
        else:
            found.title = "Nothing found"
            says = f"None of the {self.app.entries} known faults shows in this text."
            hint = "If it is a part of a log, paste more of it: the cause often stands far above the last line."
            found.show(cards([prose(says), prose(hint)]), cursor=0)

    def raw_text(self, name: str) -> str:
        return self._log.text() if self._log and self._log.size <= EDITED * 8 else ""

    # Keys

    def filter_rows(self, text: str) -> None:
        """Here: find."""
        self._words = text
        self._sought = ()
        log = self._log
        self._draw()
        if log is None or len(text) < 2:
            self.app.jobs.stop("seek")
            return

        def work(post: Post, stop: threading.Event) -> None:
            lines, complete = log.seek_words(text, stop)
            post(Sought(tuple(lines), complete))

        self.app.jobs.start("seek", self, work)

    @on(Sought)
    def _found_lines(self, message: Sought) -> None:
        self._sought = message.lines
        at = self.query_one("#log", Rows).cursor
        self._draw(cursor=next((line for line in self._sought if line >= at), None))

    def focus_first(self) -> None:
        if self.query_one("#log").display:
            self.query_one("#log", Rows).focus()
        else:
            self.query_one("#paste", LogInput).focus()

    def action_match(self, by: int) -> None:
        lines = list(self._sought) if self._words else sorted(self._marks())
        pane = self.query_one("#log", Rows)
        after = [line for line in lines if (line > pane.cursor if by > 0 else line < pane.cursor)]
        if not lines or not pane.display:
            self.app.say("No line is marked.")
            return
        pane.cursor = (after or lines)[0 if by > 0 else -1]

    def action_wrap(self) -> None:
        self._wrap = not self._wrap
        if self._wrap and self._log is not None and len(self._log) > WRAPPED:
            self.app.say(f"Over {WRAPPED:,} lines are not wrapped; ← → pan along them.")
        self._draw()

    def action_edit(self) -> None:
        log = self._log
        if log is not None and (log.size > EDITED or len(log) > EDITED_LINES):
            self.app.say(f"Too long to edit here ({len(log):,} lines); it can be read and searched.")
            return
        field = self.query_one("#paste", LogInput)
        if log is not None:
            field.load_text(log.text())
        self._write()

    def action_clear(self) -> None:
        self._replace(None)
        self.query_one("#paste", LogInput).load_text("")
        self._words = ""
        self._write()
        self._show_answer(None)

    def action_open_file(self) -> None:
        from doctor.tui.path_dialog import PathDialog

        self.app.push_screen(PathDialog("Open a log"), lambda path: self.open_path(path) if path else None)

    def action_back(self) -> None:
        field = self.query_one("#paste", LogInput)
        if field.display and field.has_focus:
            if self._log is not None and field.text.strip():
                self._read()
                self._draw()
            else:
                self.query_one("#found", Rows).focus()
        elif self.filter_field is not None or self.maximized is not None:
            super().action_back()
        elif field.display:
            field.focus()

    @on(Rows.Chosen, "#log")
    def _line_chosen(self, message: Rows.Chosen) -> None:
        """Enter on a matched line opens what it shows."""
        if self.answer:
            for position, item in enumerate(self.answer.diagnoses):
                if any(one.line == message.index + 1 for one in item.finding.evidence):
                    self.open_finding(position)
                    return

    @on(Rows.Chosen, "#surer")
    def _surer_chosen(self) -> None:
        self.action_copy_commands()
