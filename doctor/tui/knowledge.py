"""The knowledge base: found by a word, an id, an error code or a pasted line, and read."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input

from doctor.knowledge import Entry, fill
from doctor.tui.blocks import cards, entry_blocks, gap, note, prose
from doctor.tui.jobs import Post
from doctor.tui.literal import clean, cut
from doctor.tui.messages import EntriesFound
from doctor.tui.rows import Lines, Row, Rows
from doctor.tui.section import SectionScreen
from doctor.tui.signs import SIGNS

SEARCH_SECONDS = 0.15


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry in the list, or the name of an area above its entries."""

    area: str
    entry: Entry | None = None


class SearchInput(Input):
    """One line; a pasted error keeps its first lines, joined."""

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.insert_text_at_cursor(clean(" ".join(event.text.split()))[:1000])


class KnowledgeScreen(SectionScreen):
    """Search and read entries."""

    SECTION = "knowledge"
    HELP_TEXT = "Type words, a fault id, an error code such as Xid 79, or paste an error line. ↓ goes to the list."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "search", "Search", id="knowledge.search-entries", key_display="/", tooltip="Search entries"),
        Binding("o", "source", "Source", id="report.open-source", tooltip="Open the entry's source; over SSH copy it"),
        Binding("x", "examples", "Examples", id="knowledge.show-examples", tooltip="Show the logs it is tested with"),
        Binding("b", "previous", "Entry before", id="knowledge.go-back", show=False, tooltip="The entry read before"),
        Binding("Y", "copy_entry", "Copy entry", id="report.copy-finding", show=False, tooltip="Copy it as text"),
        Binding("escape", "back", "Clear", id="screen.go-back", show=False, tooltip="Clear the search"),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[EntryRow] = []
        self._shown: Entry | None = None
        self._history: list[str] = []
        self._examples = False
        self._typing: Timer | None = None
        self._meanings: tuple[str, ...] = ()

    def body(self) -> Iterable[Widget]:
        yield SearchInput(id="search", placeholder="a word, an id, an error code, or a pasted error line")
        with Horizontal(id="reading"):
            yield Rows(id="entries", title="Entries")
            yield Rows(id="entry", title="Entry")

    def on_mount(self) -> None:
        self.query_one("#entries", Rows).focus()
        self.watch(self.app, "ready", self._ready)

    def _ready(self, ready: bool) -> None:
        if ready:
            self._list_all()
        else:
            self.query_one("#entry", Rows).show(cards([note("loading")]))

    def _list_all(self) -> None:
        entries = sorted(self.app.doctor.base.entries.values(), key=lambda one: (one.area, one.id))
        rows: list[EntryRow] = []
        for entry in entries:
            if not rows or rows[-1].area != entry.area:
                rows.append(EntryRow(entry.area))
            rows.append(EntryRow(entry.area, entry))
        self._list(rows, f"all {len(entries)}")

    def _list(self, rows: list[EntryRow], says: str) -> None:
        self._rows = rows
        pane = self.query_one("#entries", Rows)
        pane.title = f"Entries · {says}"
        first = next((n for n, row in enumerate(rows) if row.entry), 0)
        pane.show(Lines(rows, self._row), cursor=first)
        self._follow_cursor()

    def _row(self, row: EntryRow, width: int) -> Row:
        if row.entry is None:
            return ((f" {row.area}", "muted"),)
        sign = SIGNS[row.entry.severity]
        head = ((f"  {sign.mark} ", sign.style), (cut(row.entry.id, 34 if width > 60 else width - 5), "strong"))
        return (*head, ("  " + clean(fill(row.entry.title, {})), "")) if width > 60 else head

    @on(Rows.Moved, "#entries")
    def _follow_cursor(self) -> None:
        at = self.query_one("#entries", Rows).cursor
        entry = self._rows[at].entry if at < len(self._rows) else None
        if entry is not None:
            self._show_entry(entry)
        elif not self._rows:
            pane = self.query_one("#entry", Rows)
            self._shown = None
            pane.title = "Entry"
            hint = "Nothing known matches. Fewer words find more; a whole error line finds its entry."
            told = [prose(f"{clean(one)}.") for one in self._meanings]
            pane.show(cards([*told, gap(), note("No entry is about it.")] if told else [prose(hint)]))

    def _show_entry(self, entry: Entry) -> None:
        pane = self.query_one("#entry", Rows)
        if self._shown is not entry:
            self._shown = entry
            pane.cursor = 0
            pane.scroll_home(animate=False)
        pane.title = entry.id
        pane.show(cards(list(entry_blocks(entry, self._examples))))
        self.refresh_bindings()

    def open(self, fault: str) -> None:
        """Show an entry by its id."""
        if not self.app.ready or fault not in self.app.doctor.base.entries:
            self.app.say(f"There is no entry {fault}.")
            return
        if self._shown:
            self._history.append(self._shown.id)
        if not any(row.entry and row.entry.id == fault for row in self._rows):
            with self.prevent(Input.Changed):
                self.query_one("#search", Input).value = ""
            self._list_all()
        at = next(n for n, row in enumerate(self._rows) if row.entry and row.entry.id == fault)
        self.query_one("#entries", Rows).cursor = at
        self._show_entry(self.app.doctor.base.entries[fault])
        self.show_reading(True)

    def show_reading(self, reading: bool) -> None:
        """A narrow screen shows the list or the entry."""
        self.set_class(reading, "-reading")
        self.query_one("#entry" if reading else "#entries", Rows).focus()

    @on(Input.Changed, "#search")
    def _typed(self, event: Input.Changed) -> None:
        if self._typing:
            self._typing.stop()
        self._typing = self.set_timer(SEARCH_SECONDS, self._search)

    def _search(self) -> None:
        text = self.query_one("#search", Input).value.strip()
        if not self.app.ready:
            return
        if not text:
            self.app.jobs.stop("search")
            self._list_all()
            return

        def work(post: Post, stop: threading.Event) -> None:
            doctor = self.app.doctor
            post(EntriesFound(text, tuple(doctor.search(text)), tuple(doctor.meanings(text))))

        self.app.jobs.start("search", self, work)

    @on(EntriesFound)
    def _found(self, message: EntriesFound) -> None:
        self._meanings = message.meanings
        self._list(
            [EntryRow(one.area, one) for one in message.entries], f"{len(message.entries)} of {self.app.entries}"
        )

    @on(Input.Submitted, "#search")
    def _to_list(self) -> None:
        self.query_one("#entries", Rows).focus()

    def key_down(self, event: events.Key) -> None:
        if self.query_one("#search").has_focus:
            event.stop()
            self._to_list()

    @on(Rows.Chosen, "#entries")
    def _entry_chosen(self) -> None:
        if self._shown:
            self.show_reading(True)

    @on(Rows.Chosen, "#entry")
    def _block_chosen(self) -> None:
        block = self.block
        if block and block.fault:
            self.open(block.fault)
        elif block and block.commands:
            self.action_copy_commands()
        elif block and block.link:
            self.action_source()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("copy_commands", "source", "copy_entry", "export"):
            return True if self._shown else None
        return super().check_action(action, parameters)

    def action_copy_commands(self) -> None:
        """The command under the cursor, else the first fix of the entry."""
        if not (self.block and self.block.commands) and self._shown:
            blocks = entry_blocks(self._shown)
            first = next((block for block in blocks if block.commands), None)
            if first:
                self.app.copy_out(first.copy)
                return
        super().action_copy_commands()

    def action_copy_entry(self) -> None:
        from doctor.render.entry import entry_text

        if self._shown:
            self.app.copy_out(entry_text(self._shown).rstrip("\n"))

    def action_export(self) -> None:
        from doctor.tui.export import ExportDialog, forms_of_entry

        if self._shown:
            self.app.push_screen(ExportDialog(self._shown.id, forms_of_entry(self._shown)))

    def action_source(self) -> None:
        block = self.block
        links = (
            [block.link]
            if block and block.link
            else [one.address for one in self._shown.sources]
            if self._shown
            else []
        )
        if links:
            self.app.open_link(links[0])

    def action_examples(self) -> None:
        self._examples = not self._examples
        if self._shown:
            self._show_entry(self._shown)

    def action_search(self) -> None:
        self.query_one("#search", Input).focus()

    def action_previous(self) -> None:
        if self._history:
            fault = self._history.pop()
            self.open(fault)
            self._history.pop()

    def action_back(self) -> None:
        field = self.query_one("#search", Input)
        if self.maximized is not None:
            super().action_back()
        elif self.has_class("-reading"):
            self.show_reading(False)
        elif field.value:
            field.value = ""
            self.query_one("#entries", Rows).focus()
        elif field.has_focus:
            self.query_one("#entries", Rows).focus()
