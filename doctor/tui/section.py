"""What every section has: the top lines, the keys, copying, exporting, filtering, raw readings and the way back."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input, Static

from doctor.tui.blocks import Block, fixes
from doctor.tui.key_line import KeyLine
from doctor.tui.rows import Cards, Rows
from doctor.tui.status_line import Sections, StatusLine

if TYPE_CHECKING:
    from doctor.diagnose import Diagnosis
    from doctor.report import Report
    from doctor.snapshot import Snapshot
    from doctor.tui.app import DoctorApp

TOO_SMALL = "Too small to read: widen to 80 × 24, or leave with ctrl+q and use: gpu-doctor check"


class SectionScreen(Screen[None]):
    """A screen of one section, or one that was opened from it."""

    SECTION = "overview"
    HELP_TEXT: ClassVar[str] = ""
    """What this screen is for, at the top of its help."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Open", id="list.open-item", key_display="enter", tooltip="Open this"),
        Binding("y", "copy_commands", "Copy fix", id="report.copy-commands", tooltip="Copy the commands of this fix"),
        Binding(
            "Y", "copy_finding", "Copy finding", id="report.copy-finding", show=False,
            tooltip="Copy the finding as Markdown, for a ticket",
        ),
        Binding("ctrl+y", "copy_report", "Copy report", id="report.copy-report", show=False,
                tooltip="Copy the whole report as Markdown"),
        Binding("v", "raw", "Raw evidence", id="report.show-raw", show=False,
                tooltip="The reading behind the evidence, at the quoted line"),
        Binding("o", "source", "Source", id="report.open-source", show=False,
                tooltip="Open the source's address; over SSH copy it"),
        Binding("e", "export", "Export", id="report.export-file", show=False,
                tooltip="Write the report to a file, in any format"),
        Binding("slash", "filter", "Filter", id="list.filter-rows", key_display="/", tooltip="Only rows with a word"),
        Binding("plus", "zoom", "Maximise", id="pane.zoom-in", key_display="+", show=False,
                tooltip="This pane alone; esc restores it"),
        Binding("escape", "back", "Back", id="screen.go-back", show=False, tooltip="Clear the filter, or go back"),
        Binding("q", "quit_softly", "Back", id="screen.leave-softly", show=False, tooltip="Go back"),
    ]  # fmt: skip
    AUTO_FOCUS = ""
    NEEDS_REPORT = ("copy_report", "export")
    NEEDS_DIAGNOSIS = ("copy_commands", "copy_finding", "raw", "source")

    app: DoctorApp

    def compose(self) -> ComposeResult:
        yield StatusLine()
        yield Sections(self.SECTION)
        with Container(id="body"):
            yield from self.body()
        yield Static(TOO_SMALL, id="too-small", markup=False)
        yield KeyLine()

    def body(self) -> Iterable[Widget]:
        """The panes of the section."""
        raise NotImplementedError

    @property
    def report(self) -> Report | None:
        """What copying and exporting speak of."""
        return None

    @property
    def diagnosis(self) -> Diagnosis | None:
        """The finding that the cursor speaks of."""
        return self.report.diagnoses[0] if self.report and self.report.diagnoses else None

    @property
    def snapshot(self) -> Snapshot | None:
        """The readings behind the report."""
        return None

    def filter_rows(self, text: str) -> None:
        """Show only rows with these words; an empty text shows all."""

    @property
    def block(self) -> Block | None:
        """The block under the cursor of the focused pane."""
        rows = self.focused
        if isinstance(rows, Rows) and isinstance(rows.model, Cards) and len(rows.model):
            item = rows.model.items[rows.cursor]
            return item if isinstance(item, Block) else None
        return None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Greyed, not hidden, when there is nothing to act on."""
        if action in self.NEEDS_REPORT and self.report is None:
            return None
        if action in self.NEEDS_DIAGNOSIS and self.diagnosis is None and not self._block_serves(action):
            return None
        return True

    def _block_serves(self, action: str) -> bool:
        block = self.block
        return bool(block and ((action == "copy_commands" and block.commands) or (action == "source" and block.link)))

    @on(Sections.Chosen, "#sections")
    def _section_chosen(self, message: Sections.Chosen) -> None:
        self.app.switch_mode(message.name)

    def action_choose(self) -> None:
        if isinstance(self.focused, Rows):
            self.focused.action_choose()

    def action_copy_commands(self) -> None:
        """The commands under the cursor, else those of the first fix."""
        block = self.block if self.block and self.block.commands else None
        if block is None and self.diagnosis:
            corrected = self.report.corrected if self.report else None
            block = next((one for one in fixes(self.diagnosis, corrected) if one.commands), None)
        if block is None:
            self.app.say("There is no command to copy here.")
            return
        extra = " It loses data, so it is a comment: pasting it runs nothing." if block.destroys else ""
        self.app.copy_out(block.copy, extra)

    def action_copy_finding(self) -> None:
        from doctor.render.markdown import diagnosis_markdown

        if self.diagnosis:
            self.app.copy_out("\n".join(diagnosis_markdown(self.diagnosis)).rstrip("\n"))

    def action_copy_report(self) -> None:
        from doctor.render.markdown import report_markdown

        if self.report:
            self.app.copy_out(report_markdown(self.report).rstrip("\n"))

    def action_raw(self) -> None:
        from doctor.tui.raw import RawScreen

        block = self.block
        item = self.diagnosis
        evidence = block.evidence if block and block.evidence else item.finding.evidence[0] if item else None
        if evidence:
            self.app.push_screen(RawScreen(self.SECTION, evidence, self.snapshot, self.raw_text(evidence.name)))

    def raw_text(self, name: str) -> str:
        """The text that evidence of this name quotes, where the screen holds it itself."""
        return ""

    def action_source(self) -> None:
        block = self.block
        links = [block.link] if block and block.link else []
        if not links and self.diagnosis:
            links = [source.address for source in self.diagnosis.entry.sources]
        if links:
            self.app.open_link(links[0])

    def action_export(self) -> None:
        from doctor.tui.export import ExportDialog, forms_of

        if self.report:
            self.app.push_screen(ExportDialog(self.report.name, forms_of(self.report)))

    @property
    def filter_field(self) -> Input | None:
        """The field of the filter, while there is one.

        It is mounted when it is asked for: an Input on the first screen looks for the app's screen before there is one
        (Textual 8.2 on Python 3.12 and later, which start tasks at once).
        """
        return self.query("#filter").first(Input) if self.query("#filter") else None

    def action_filter(self) -> None:
        field = self.filter_field
        if field is None:
            field = Input(id="filter", placeholder="words to look for, then Enter; Esc clears", classes="bar")
            self.mount(field, before="#keys")
        field.focus()

    @on(Input.Changed, "#filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        event.stop()
        self.filter_rows(event.value)

    @on(Input.Submitted, "#filter")
    def _filter_done(self, event: Input.Submitted) -> None:
        event.stop()
        self._close_filter(keep=bool(event.value))

    def _close_filter(self, keep: bool) -> None:
        field = self.filter_field
        self.focus_first()
        if field is not None and not keep:
            field.remove()
            self.filter_rows("")

    def focus_first(self) -> None:
        """Give the focus to the pane that matters most."""
        panes = [widget for widget in self.query(Rows) if widget.focusable]
        if panes:
            panes[0].focus()

    def action_zoom(self) -> None:
        if self.focused and self.maximized is None:
            self.maximize(self.focused)

    def action_back(self) -> None:
        if self.maximized is not None:
            self.minimize()
        elif self.filter_field is not None:
            self._close_filter(keep=False)
        elif len(self.app.screen_stack) > 1:
            self.app.pop_screen()

    def action_quit_softly(self) -> None:
        if len(self.app.screen_stack) > 1:
            self.app.pop_screen()
        else:
            self.app.say("ctrl+q quits.")


def over_ssh() -> bool:
    """Whether a browser opened here would open on another machine."""
    return bool(os.environ.get("SSH_CONNECTION"))
