"""The raw reading behind a piece of evidence, the cursor on the quoted line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from doctor.finding import Evidence
from doctor.snapshot import Reading, Snapshot
from doctor.text import plain
from doctor.tui.literal import clean
from doctor.tui.rows import Lines, Row, Rows
from doctor.tui.section import SectionScreen

Numbered = tuple[int, str]


class RawScreen(SectionScreen):
    """What was read, as it was read: secrets removed, text made plain."""

    HELP_TEXT = "The reading as it was recorded. / finds words, n and N walk them; y copies this line, Y all of it."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "copy_line", "Copy line", id="raw.copy-line", tooltip="Copy the line under the cursor"),
        Binding("Y", "copy_all", "Copy all", id="raw.copy-all", tooltip="Copy the whole reading"),
        Binding("slash", "filter", "Find", id="raw.find-words", key_display="/", tooltip="Show lines with a word"),
        Binding("escape", "back", "Back", id="screen.go-back", tooltip="Back to the finding"),
    ]

    def __init__(self, section: str, evidence: Evidence, snapshot: Snapshot | None, text: str = "") -> None:
        super().__init__()
        self.SECTION = section
        self._of = evidence
        reading = reading_of(evidence, snapshot) if snapshot else None
        self._source = reading.key if reading else evidence.name
        whole = text or (pretty(reading) if reading else "")
        self._recorded = bool(whole)
        self._lines = list(enumerate((whole or evidence.text).split("\n"), 1))

    def body(self) -> Iterable[Widget]:
        yield Rows(id="raw", title=f"Raw reading · {clean(self._source)}")

    def on_mount(self) -> None:
        pane = self.query_one("#raw", Rows)
        if not self._recorded:
            pane.say("the whole reading is not at hand: this is the quoted part")
        self._show_lines(self._lines)
        pane.cursor = quoted_line(self._of, self._lines)
        pane.focus()
        self.call_after_refresh(pane.scroll_to_cursor)

    def _show_lines(self, lines: list[Numbered]) -> None:
        digits = len(str(len(self._lines)))

        def row(line: Numbered, width: int) -> Row:
            return ((f" {line[0]:>{digits}}  ", "muted"), (clean(line[1]), ""))

        model = Lines(lines, row)
        model.width = min(4000, max((len(text) for _, text in lines[:5000]), default=0) + digits + 4)
        self.query_one("#raw", Rows).show(model)

    def filter_rows(self, text: str) -> None:
        self._show_lines([line for line in self._lines if text.lower() in line[1].lower()])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return None if action in ("copy_commands", "copy_finding", "raw", "source", "export") else True

    def action_copy_line(self) -> None:
        pane = self.query_one("#raw", Rows)
        model = pane.model
        if isinstance(model, Lines) and len(model):
            self.app.copy_out(plain(model.items[pane.cursor][1]))

    def action_copy_all(self) -> None:
        self.app.copy_out("\n".join(plain(text) for _, text in self._lines))


def reading_of(evidence: Evidence, snapshot: Snapshot) -> Reading | None:
    """The reading that the evidence quotes: by its name, else by the quoted words."""
    name = evidence.name
    keys = [name, f"command:{name}", f"file:{name}", f"node:{name}", f"docker:connect {name}"]
    keys += ["docker:log"] if name.startswith("log of ") else []
    keys += [f"log:{name.removeprefix('log ')}"] if name.startswith("log ") else []
    keys += ["docker:container"] if name.startswith(("start error of ", "docker inspect ")) else []
    for key in keys:
        if key in snapshot.readings:
            return snapshot.readings[key]
    quoted = evidence.text.split("\n")[0].strip()
    holding = (one for one in snapshot.readings.values() if quoted and quoted in one.text)
    return next(holding, None)


def pretty(reading: Reading) -> str:
    """The text; JSON an item a line; without a text the reason."""
    if not reading.text:
        return reading.why_not
    if reading.key.startswith(("docker:", "node:", "space:", "host:")) and reading.text[:1] in "{[":
        try:
            return json.dumps(json.loads(reading.text), indent=2, ensure_ascii=False)
        except ValueError:
            return reading.text
    return reading.text


def quoted_line(evidence: Evidence, lines: list[Numbered]) -> int:
    """Where the quoted words stand: the line that was told, else the first that holds them."""
    words = " ".join(evidence.text.split("\n")[0].split())
    told = (evidence.line or 1) - 1
    if told < len(lines) and evidence.line and (not words or words[:60] in " ".join(lines[told][1].split())):
        return told
    return next(
        (n for n, (_, text) in enumerate(lines) if words and words in " ".join(text.split())), min(told, len(lines) - 1)
    )
