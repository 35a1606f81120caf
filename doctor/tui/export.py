"""Writing files: the report in every format the command line has, and a snapshot after showing what is in it."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from doctor.errors import UsageError
from doctor.output import writing
from doctor.render import RENDERERS
from doctor.render.appearance import Appearance
from doctor.render.desk import PIECES, write
from doctor.render.entry import entry_json, entry_text
from doctor.report import Report
from doctor.snapshot import Snapshot, dump, save
from doctor.triage.answer import answer
from doctor.tui.literal import clean, cut
from doctor.tui.rows import Lines, Row, Rows

if TYPE_CHECKING:
    from doctor.knowledge import Entry
    from doctor.tui.app import DoctorApp

SUFFIXES = {"text": "txt", "markdown": "md"}
ON_FILE = Appearance(color=False, unicode=True, width=100, verbose=True)


def write_new(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a file that is not there yet, whole or not at all, readable by its owner alone. Raises UsageError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if replace else os.O_EXCL)
    with writing(path):
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError:
            raise UsageError(f"{path} exists; choose another name") from None
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
        except OSError:
            path.unlink()
            raise


def file_name(subject: str, form: str) -> str:
    """A name for a report on this subject that no shell trips over."""
    subject = re.sub(r"[^\w.-]+", "-", Path(subject).name).strip("-.") or "report"
    return f"gpu-doctor-{subject[:60]}.{SUFFIXES.get(form, form)}"


def forms_of(*reports: Report) -> dict[str, Callable[[], str]]:
    """One report in each form that its verb has, several as `gpu-doctor triage` writes them."""
    if len(reports) == 1:
        return {form: partial(render, reports, ON_FILE) for form, render in RENDERERS.items()}
    return {form: partial(_tickets, reports, form) for form in PIECES}


def _tickets(reports: Sequence[Report], form: str) -> str:
    out = io.StringIO()
    write((answer(one, "never", PIECES[form](one, ON_FILE)) for one in reports), form, out, ON_FILE)
    return out.getvalue()


def forms_of_entry(entry: Entry) -> dict[str, Callable[[], str]]:
    """An entry as `gpu-doctor knowledge show` writes it."""
    return {
        "text": partial(entry_text, entry),
        "json": lambda: json.dumps(entry_json(entry), indent=2, ensure_ascii=False) + "\n",
    }


class _Dialog(ModalScreen[None]):
    app: DoctorApp

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "write", "Write", id="dialog.write-file"),
        Binding("escape", "cancel", "Cancel", id="dialog.cancel-it"),
    ]

    def action_write(self) -> None:
        """Write the file that is named."""
        raise NotImplementedError

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_write()

    def action_cancel(self) -> None:
        self.dismiss()

    def problem(self, text: str) -> None:
        self.query_one("#problem", Static).update(clean(text))

    def done(self, text: str) -> None:
        self.app.notify(clean(text), markup=False)
        self.dismiss()


@dataclass
class Rendered(Message):
    """The text to write."""

    path: Path
    text: str


class ExportDialog(_Dialog):
    """Which format, and where."""

    def __init__(self, subject: str, forms: Mapping[str, Callable[[], str]], says: str = "") -> None:
        """`forms` make the text, by the name of the format."""
        super().__init__()
        self._subject = subject
        self._forms = dict(forms)
        self._says = says

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall") as box:
            box.border_title = "Export"
            forms = Rows(id="forms", title="Format", classes="pane")
            forms.show(Lines(list(self._forms), lambda form, width: ((f" {form}", ""),)))
            yield forms
            place = "It comes as a download:" if self.app.is_web else "File, in the folder that it was started in:"
            yield Static(f"{self._says}{place}", markup=False)
            yield Input(file_name(self._subject, next(iter(self._forms))), id="path")
            yield Static("", id="problem", markup=False)
            yield Static("↑ ↓ format   tab file   enter write   esc leave", classes="hint", markup=False)

    def on_mount(self) -> None:
        forms = self.query_one("#forms", Rows)
        forms.cursor = list(self._forms).index("markdown") if "markdown" in self._forms else 0
        forms.focus()

    @property
    def _form(self) -> str:
        return list(self._forms)[self.query_one("#forms", Rows).cursor]

    @on(Rows.Moved)
    def _form_moved(self) -> None:
        field = self.query_one("#path", Input)
        field.value = str(Path(field.value).with_name(file_name(self._subject, self._form)))

    def action_write(self) -> None:
        path = Path(os.path.expanduser(self.query_one("#path", Input).value.strip()))
        make = self._forms[self._form]
        self.problem("writing …")  # thousands of tickets take a while
        self.app.jobs.start("export", self, lambda post, stop: post(Rendered(path, make())))

    @on(Rendered)
    def _rendered(self, message: Rendered) -> None:
        if self.app.is_web:
            self.app.deliver_text(io.StringIO(message.text), save_filename=message.path.name)
            self.done(f"Sent to the browser: {message.path.name}")
            return
        try:
            write_new(message.path, message.text)
        except UsageError as error:
            self.problem(str(error))
            return
        self.done(f"Written: {message.path.absolute()}")


class SaveDialog(_Dialog):
    """What a snapshot holds and what was replaced in it, before it is written."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self._of = snapshot

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall") as box:
            box.border_title = "Save a snapshot to send"
            held = Rows(id="held", title="It holds", classes="pane")
            readings = sorted(self._of.readings.values(), key=lambda one: one.key)

            def row(index: int, width: int) -> Row:
                one = readings[index]
                size = f"{len(one.text)} characters" if one.state == "ok" else one.state
                return ((" " + cut(clean(one.key), width - 22), ""), (f" {size}", "muted"))

            held.show(Lines(range(len(readings)), row))
            yield held
            counts = ", ".join(f"{count} × {kind}" for kind, count in self._of.redactions.items()) or "nothing"
            yield Static(f"Replaced: {counts}. No pattern knows every secret: look before you send it.", markup=False)
            yield Input("gpu-doctor-snapshot.gz", id="path")
            yield Static("", id="problem", markup=False)
            yield Static("tab list   enter write   esc leave", classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#path", Input).focus()

    def action_write(self) -> None:
        path = Path(os.path.expanduser(self.query_one("#path", Input).value.strip()))
        if self.app.is_web:
            self.app.deliver_binary(io.BytesIO(dump(self._of)), save_filename=path.name)
            self.done(f"Sent to the browser: {path.name}")
            return
        try:
            save(self._of, path)
        except UsageError as error:
            self.problem(str(error).replace("add --force", "remove it first"))
            return
        self.done(f"Written: {path.absolute()} ({len(dump(self._of))} bytes)")
