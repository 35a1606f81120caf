"""Many tickets at once, grouped by cause: mark, answer, export. Replies are drafts to copy; nothing is sent."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static, TextArea

from doctor.diagnose import Diagnosis
from doctor.errors import UsageError
from doctor.report import Report
from doctor.text import size_words
from doctor.tui.blocks import Block, cards, command, gap, note, prose, quote, title
from doctor.tui.jobs import JobFailed, Post
from doctor.tui.literal import clean, cut, cut_middle, wrap
from doctor.tui.rows import Lines, Row, Rows
from doctor.tui.section import SectionScreen
from doctor.tui.signs import SIGNS
from doctor.tui.tickets import (
    ALL,
    NOTHING,
    UNREAD,
    UNSURE,
    Group,
    State,
    Ticket,
    groups,
    load_states,
    read,
    save_states,
)
from doctor.words import SURE_WORDS

BATCH_SECONDS = 0.2
ALSO_CELLS = 16
"""Where there is less room, a ticket's further faults stand in its report alone."""
GROUP_WORDS = {UNSURE: "unsure", NOTHING: "nothing found", UNREAD: "not read", ALL: "all"}


@dataclass
class TicketsRead(Message):
    """More tickets of the folder are read."""

    tickets: list[Ticket]
    done: bool
    problem: str = ""


class TriageScreen(SectionScreen):
    """A folder of tickets."""

    SECTION = "triage"
    HELP_TEXT = (
        "Open a folder of logs, snapshots, mails or archives with ctrl+o. Each cause on the left holds its tickets. "
        "y copies a drafted reply, enter edits it first; a and u note how far it is, in triage.toml inside the folder. "
        "e writes the marked tickets as gpu-doctor triage does."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy_reply", "Copy reply", id="triage.copy-reply", tooltip="Copy the drafted reply"),
        Binding("space", "mark", "Mark", id="triage.mark-ticket", tooltip="Mark this ticket"),
        Binding("a", "state('answered')", "Answered", id="triage.note-answered", tooltip="Note it answered, or open"),
        Binding("u", "state('unsure')", "Unsure", id="triage.note-unsure", tooltip="Note it unsure, or open"),
        Binding("c", "next_cause", "Cause", id="triage.next-cause", tooltip="The next cause"),
        Binding("e", "export", "Export", id="report.export-file", tooltip="Write the marked reports, or this one"),
        Binding("ctrl+a", "mark_all", "Mark all", id="triage.mark-all", show=False,
                tooltip="Mark all that are shown, or none"),
        Binding("ctrl+o", "open_folder", "Open folder", id="triage.open-folder", key_display="^o",
                tooltip="Choose a folder of tickets"),
        Binding("r,ctrl+r", "again", "Read again", id="triage.read-again", show=False, tooltip="Read the folder again"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._folder: Path | None = None
        self._tickets: list[Ticket] = []
        self._groups: list[Group] = []
        self._cause = ALL
        self._visible: list[Ticket] = []
        self._words = ""
        self._marked: set[str] = set()
        self._states: dict[str, State] = {}
        self._reading = False

    def body(self) -> Iterable[Widget]:
        yield Static("", id="triage-head", markup=False)
        with Horizontal(id="triage"):
            yield Rows(id="causes", title="Causes")
            with Vertical(id="desk"):
                yield Rows(id="tickets", title="Tickets")
                yield Rows(id="ticket", title="Ticket", cursor=False)

    def on_mount(self) -> None:
        self._draw()
        self.query_one("#tickets", Rows).focus()

    @property
    def ticket(self) -> Ticket | None:
        """The one under the cursor."""
        at = self.query_one("#tickets", Rows).cursor
        return self._visible[at] if at < len(self._visible) else None

    @property
    def report(self) -> Report | None:
        return self.ticket.report if self.ticket else None

    @property
    def diagnosis(self) -> Diagnosis | None:
        return self.ticket.first if self.ticket else None

    # Reading

    def open_folder(self, folder: Path) -> None:
        """Read a folder of tickets in a job; they appear as they are read."""
        self._folder = folder
        self._tickets, self._marked, self._cause = [], set(), ALL
        try:
            self._states = load_states(folder)
        except UsageError as error:
            self._states = {}
            self.app.say(str(error), severity="error")
        self._reading = True

        def work(post: Post, stop: threading.Event) -> None:
            batch: list[Ticket] = []
            told = time.monotonic()
            try:
                for ticket in read(folder, self.app.doctor, stop):
                    batch.append(ticket)
                    if time.monotonic() - told > BATCH_SECONDS:
                        post(TicketsRead(batch, False))
                        batch, told = [], time.monotonic()
            except UsageError as error:
                post(TicketsRead(batch, True, str(error)))
                return
            post(TicketsRead(batch, True))

        self.app.jobs.start("triage", self, work)
        self._draw()

    @on(TicketsRead)
    def _read_some(self, message: TicketsRead) -> None:
        self._tickets += message.tickets
        self._reading = not message.done
        if message.problem:
            self.app.say(message.problem, severity="error")
        self._draw()

    @on(JobFailed)
    def _job_failed(self) -> None:
        """The app tells it; here nothing must look as if it still went on."""
        self._reading = False
        self._draw()

    # Drawing

    def _draw(self) -> None:
        causes = self.query_one("#causes", Rows)
        self._groups = groups(self._tickets)
        at = next((n for n, one in enumerate(self._groups) if one.cause == self._cause), len(self._groups) - 1)
        if self._tickets:
            causes.show(Lines(self._groups, self._group_row), cursor=at)
        else:
            causes.show(cards([note("none yet")]))
        self._draw_tickets()

    def _draw_tickets(self) -> None:
        head = self.query_one("#triage-head", Static)
        if self._folder is None:
            head.update(" no folder")
            self._visible = []
            self.query_one("#tickets", Rows).show(
                cards(
                    [
                        title("No tickets. ctrl+o chooses a folder."),
                        prose(
                            "A ticket is a log, a mail, a recorded snapshot or a support bundle; archives are looked "
                            "into, and a sub-folder is one ticket."
                        ),
                        gap(),
                        note("Nothing is sent, and nothing written but triage.toml: how far each answer is."),
                        note("The same without the app:"),
                        command("gpu-doctor triage DIR", hint=False),
                    ]
                )
            )
            self.query_one("#ticket").display = False
            return
        self.query_one("#ticket").display = True
        words = self._words.lower()
        self._visible = [
            one
            for one in self._tickets
            if self._cause in (ALL, one.cause) and words in " ".join((one.name, one.cause, *one.answer.also)).lower()
        ]
        pane = self.query_one("#tickets", Rows)
        pane.title = f"Tickets · {GROUP_WORDS.get(self._cause, self._cause)}"
        pane.say(f"{len(self._visible):,} shown · {len(self._marked):,} marked")
        pane.show(Lines(self._visible, self._ticket_row))
        counts = dict.fromkeys(("diagnosed", "unsure", "nothing found", "not read"), 0)
        for group in self._groups:
            name = GROUP_WORDS.get(group.cause, "diagnosed")
            if name in counts:
                counts[name] += group.count
        told = "   ".join(f"{count:,} {name}" for name, count in counts.items() if count)
        more = "   reading …" if self._reading else ""
        named = cut_middle(clean(str(self._folder)), 40 if self.app.size.width >= 100 else 16)
        head.update(cut(f" {named}   {len(self._tickets):,} tickets   {told}{more}", self.app.size.width))
        self._draw_ticket()

    def _group_row(self, group: Group, width: int) -> Row:
        sign = {UNSURE: "unsure", NOTHING: "none", UNREAD: "unsure", ALL: "none"}.get(group.cause, group.severity)
        mark = SIGNS[sign]
        name = GROUP_WORDS.get(group.cause, group.cause)
        shown = " " if group.cause == ALL else mark.mark
        return (
            (f" {group.count:>5,} ", "strong"),
            (f"{shown} ", mark.style),
            (cut_middle(clean(name), width - 10), ""),
        )

    def _ticket_row(self, ticket: Ticket, width: int) -> Row:
        box = "[x]" if ticket.name in self._marked else "[ ]"
        item = ticket.first
        sure = SURE_WORDS[item.finding.sure] if item else "not read" if ticket.cause == UNREAD else "nothing"
        state = self._states.get(ticket.name, "open")
        cells = 19 if self._cause == ALL and width < 90 else 25  # the cause needs its room
        named = cut(cut_middle(clean(ticket.name), cells - 1), cells)
        row: list[tuple[str, str]] = [(f" {box} ", "accent" if box == "[x]" else "muted"), (named, "")]
        if width >= (90 if self._cause == ALL else 76):
            when = time.strftime("%m-%d %H:%M", time.gmtime(ticket.received)) if ticket.received else ""
            row.append((cut(when, 13), "muted"))
        row += [(cut(sure, 11), "" if item else "muted"), (cut(state, 9), "success" if state == "answered" else "")]
        if self._cause == ALL and item:
            row.append((clean(item.finding.fault), SIGNS[item.severity].style))
        elif width >= 76:
            row.append((cut(f"{ticket.report.kind} {size_words(ticket.size)}", 19), "muted"))
        room = width - sum(len(text) for text, _ in row)
        also = clean(", ".join(ticket.answer.also))
        return (*row, (f"  also {also}", "muted")) if also and room > ALSO_CELLS else row

    @on(Rows.Moved, "#causes")
    def _cause_moved(self, message: Rows.Moved) -> None:
        if self._tickets and message.index < len(self._groups):
            self._choose_cause(self._groups[message.index].cause)

    def _choose_cause(self, cause: str) -> None:
        if cause != self._cause:
            self._cause = cause
            self.query_one("#tickets", Rows).cursor = 0
            self._draw_tickets()

    @on(Rows.Chosen, "#causes")
    def _cause_chosen(self) -> None:
        self.query_one("#tickets", Rows).focus()

    @on(Rows.Moved, "#tickets")
    def _draw_ticket(self) -> None:
        pane = self.query_one("#ticket", Rows)
        ticket = self.ticket
        if ticket is None:
            pane.title = "Ticket"
            pane.show(cards([note("No ticket here.")]))
            return
        pane.title = clean(ticket.name)
        pane.say("y copies the reply · enter edits it")
        pane.show(cards(list(_ticket_blocks(ticket))))
        pane.scroll_home(animate=False)
        self.refresh_bindings()

    # Keys

    def filter_rows(self, text: str) -> None:
        self._words = text
        if self._folder:
            self._draw_tickets()

    def focus_first(self) -> None:
        self.query_one("#tickets", Rows).focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("mark", "copy_reply", "state"):
            return True if self.ticket else None
        if action == "mark_all":
            return True if self._visible else None
        if action == "export":
            return True if self._marked or self.report else None
        return super().check_action(action, parameters)

    def action_mark(self) -> None:
        ticket = self.ticket
        if ticket:
            self._marked ^= {ticket.name}
            pane = self.query_one("#tickets", Rows)
            pane.refresh_item(pane.cursor)
            pane.say(f"{len(self._visible):,} shown · {len(self._marked):,} marked")
            pane.cursor += 1

    def action_mark_all(self) -> None:
        names = {one.name for one in self._visible}
        self._marked = self._marked - names if names <= self._marked else self._marked | names
        self._draw_tickets()

    def action_state(self, state: State) -> None:
        """Of the marked tickets, or this one; a second time takes it back."""
        if self._folder is None or self.ticket is None:
            return
        names = self._marked or {self.ticket.name}
        undo = all(self._states.get(name) == state for name in names)
        changed: dict[str, State] = dict.fromkeys(names, "open" if undo else state)
        try:
            self._states = save_states(self._folder, changed)
        except UsageError as error:
            self.app.say(str(error), severity="error")
        self.query_one("#tickets", Rows).refresh()

    def action_copy_reply(self) -> None:
        if self.ticket:
            self.app.copy_out(self.ticket.reply)

    def action_next_cause(self) -> None:
        names = [group.cause for group in self._groups]
        if names:
            self._choose_cause(names[(names.index(self._cause) + 1) % len(names)])
            at = next((n for n, one in enumerate(self._groups) if one.cause == self._cause), 0)
            self.query_one("#causes", Rows).cursor = at

    def action_export(self) -> None:
        from doctor.tui.export import ExportDialog, forms_of

        marked = [one.report for one in self._tickets if one.name in self._marked]
        reports = marked or ([self.report] if self.report else [])
        if reports:
            many = len(reports) > 1
            says = f"{len(reports):,} tickets. " if many else ""
            self.app.push_screen(ExportDialog("tickets" if many else reports[0].name, forms_of(*reports), says))

    def action_open_folder(self) -> None:
        from doctor.tui.path_dialog import PathDialog

        ask = PathDialog("Open a folder of tickets", folder=True)
        self.app.push_screen(ask, lambda path: self.open_folder(path) if path else None)

    def action_again(self) -> None:
        if self._folder:
            self.open_folder(self._folder)

    @on(Rows.Chosen, "#tickets")
    def _ticket_chosen(self) -> None:
        if self.ticket:
            self.app.push_screen(ReplyDialog(self.ticket))


def _ticket_blocks(ticket: Ticket) -> Iterable[Block]:
    item = ticket.first
    yield title(ticket.answer.title)
    if item:
        for one in item.finding.evidence[:2]:
            yield quote(one.text + (f"   line {one.line}" if one.line else ""))
    yield gap()
    yield note("Reply, a draft")
    for line in ticket.reply.split("\n"):
        yield Block(partial(_reply_rows, line))


def _reply_rows(line: str, width: int) -> list[Row]:
    if line.startswith("    "):
        return [((f"       {piece}", "command"),) for piece in wrap(line[4:], width - 8)]
    return [((f"   {piece}", ""),) for piece in wrap(line, width - 4)]


class ReplyDialog(ModalScreen[None]):
    """The drafted reply, to edit and copy."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", id="dialog.cancel-it"),
        Binding("ctrl+y", "copy", "Copy", id="triage.copy-edited"),
    ]

    def __init__(self, ticket: Ticket) -> None:
        super().__init__()
        self._of = ticket

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall") as box:
            box.border_title = "Reply"
            yield TextArea(self._of.reply, id="reply", soft_wrap=True, classes="pane")
            yield Static("ctrl+y copies it   esc leaves; nothing is sent", classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#reply", TextArea).focus()

    def action_copy(self) -> None:
        from doctor.tui.app import DoctorApp

        if isinstance(self.app, DoctorApp):
            self.app.copy_out(self.query_one("#reply", TextArea).text)
            self.dismiss()

    def action_close(self) -> None:
        self.dismiss()
