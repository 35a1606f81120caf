"""One finding: what is wrong, why we think so, what to do, where it is told. Narrow screens show one pane at a time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from doctor.diagnose import Diagnosis
from doctor.report import Report
from doctor.snapshot import Snapshot
from doctor.tui.blocks import cards, evidence, fixes, note, sources, wrong
from doctor.tui.literal import clean, cut
from doctor.tui.panes import TabbedScreen
from doctor.tui.rows import Rows
from doctor.tui.signs import SIGNS
from doctor.tui.status_line import SECTIONS
from doctor.tui.tabs import PaneTabs


class FindingScreen(TabbedScreen):
    """A finding with its evidence and fixes."""

    PANES: ClassVar[dict[str, str]] = {"fixes": "Fix", "evidence": "Evidence", "wrong": "Why", "sources": "Sources"}
    """In the order of the narrow tabs: what to do first."""
    HELP_TEXT = (
        "One finding. y copies the fix under the cursor, Y the whole finding for a ticket, v shows the raw reading."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("Y", "copy_finding", "Markdown", id="report.copy-finding",
                tooltip="Copy the finding as Markdown, for a ticket"),
        Binding("v", "raw", "Raw evidence", id="report.show-raw", tooltip="The reading behind the evidence"),
        Binding("left_square_bracket", "other(-1)", "Previous", id="finding.go-previous", key_display="[",
                tooltip="The finding before"),
        Binding("right_square_bracket", "other(1)", "Next", id="finding.go-next", key_display="]",
                tooltip="The next finding"),
        Binding("K", "entry", "Entry", id="finding.open-entry", show=False, tooltip="Its entry in the knowledge base"),
        Binding("escape", "back", "Back", id="screen.go-back", tooltip="Back to the list"),
    ]  # fmt: skip

    def __init__(self, section: str, report: Report, snapshot: Snapshot | None, position: int, text: str = "") -> None:
        """`text` is the log itself, where the evidence quotes one that no snapshot holds."""
        super().__init__()
        self.SECTION = section
        self._of = report
        self._readings = snapshot
        self._position = position
        self._log = text
        self.pane = "fixes"

    def body(self) -> Iterable[Widget]:
        yield Static("", id="crumb", markup=False)
        yield PaneTabs(self.PANES, self.pane, id="pane-tabs")
        with Horizontal(id="finding"):
            with Vertical(id="left"):
                yield Rows(id="wrong", title="What is wrong", cursor=False)
                yield Rows(id="evidence", title="Evidence")
            with Vertical(id="right"):
                yield Rows(id="fixes", title="Fixes")
                yield Rows(id="sources", title="Sources")

    @property
    def report(self) -> Report:
        return self._of

    @property
    def snapshot(self) -> Snapshot | None:
        return self._readings

    @property
    def diagnosis(self) -> Diagnosis:
        return self._of.diagnoses[self._position]

    def raw_text(self, name: str) -> str:
        return self._log

    def on_mount(self) -> None:
        self._show_finding()
        self.query_one("#fixes", Rows).focus()

    def _show_finding(self) -> None:
        item = self.diagnosis
        sign = SIGNS[item.severity]
        of = f"{self._position + 1} of {len(self._of.diagnoses)}  [ ]"
        head = f" {SECTIONS[self.SECTION]} › {sign.text.strip()}  {clean(item.title)}"
        width = max(20, self.app.size.width - len(of) - 3)
        self.query_one("#crumb", Static).update(Content.assemble((cut(head, width), "bold"), f"  {of}"))
        why = self.query_one("#wrong", Rows)
        why.show(cards(list(wrong(item, self._of))), cursor=0)
        why.scroll_home(animate=False)
        quoted = list(evidence(item))
        self.query_one("#evidence", Rows).show(cards(quoted or [note("None is recorded.")]), cursor=0)
        self.query_one("#evidence", Rows).say("v: raw reading" if quoted else "")
        blocks = list(fixes(item, self._of.corrected))
        first = next((n for n, block in enumerate(blocks) if block.commands), 0)
        pane = self.query_one("#fixes", Rows)
        pane.show(cards(blocks or [note("No fix is known; the evidence and the sources may help.")]), cursor=first)
        pane.scroll_home(animate=False)
        links = list(sources(item.entry))
        self.query_one("#sources", Rows).show(cards(links or [note("None.")]), cursor=0)
        self.query_one("#sources", Rows).say("o: open" if links else "")
        counts = {"evidence": len(quoted), "sources": len(links)}
        labels = {name: f"{says} {counts[name]}" if name in counts else says for name, says in self.PANES.items()}
        self.query_one(PaneTabs).tell(self.pane, labels)
        self.set_class(self._of.corrected is not None, "-corrected")
        self.refresh_bindings()

    def on_resize(self) -> None:
        if self.is_mounted:
            self.show_pane(self.pane)
            self._show_finding()

    def show_pane(self, name: str) -> None:
        self.pane = name
        narrow = self.is_narrow
        for pane in self.PANES:
            self.query_one(f"#{pane}", Rows).display = not narrow or pane == name
        self.query_one("#left").display = not narrow or name in ("wrong", "evidence")
        self.query_one("#right").display = not narrow or name in ("fixes", "sources")
        if narrow:
            self.query_one(f"#{name}", Rows).focus()
        self.query_one(PaneTabs).tell(name)

    def focus_first(self) -> None:
        self.query_one(f"#{self.pane}" if self.is_narrow else "#fixes", Rows).focus()

    def filter_rows(self, text: str) -> None:
        """Move to the first evidence that holds the words."""
        for n, one in enumerate(self.diagnosis.finding.evidence):
            if text and text.lower() in f"{one.name} {one.text}".lower():
                self.query_one("#evidence", Rows).cursor = n
                return

    def action_other(self, by: int) -> None:
        position = self._position + by
        if 0 <= position < len(self._of.diagnoses):
            self._position = position
            self._show_finding()

    def action_entry(self) -> None:
        self.app.open_entry(self.diagnosis.finding.fault)

    @on(Rows.Chosen)
    def _chosen(self, message: Rows.Chosen) -> None:
        block = self.block
        if block is None:
            return
        if block.commands:
            self.action_copy_commands()
        elif block.evidence:
            self.action_raw()
        elif block.link:
            self.action_source()
        elif block.fault:
            self.app.open_entry(block.fault)
