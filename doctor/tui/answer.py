"""A list of findings and the fix of the one under the cursor: what Overview, Log and Image have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual import on

from doctor.tui.blocks import aside_card, cards, diagnosis_card, fixes, gap, note
from doctor.tui.literal import clean
from doctor.tui.panes import WIDE
from doctor.tui.rows import Cards, Row, Rows
from doctor.tui.section import SectionScreen

if TYPE_CHECKING:
    from doctor.diagnose import Diagnosis, SetAside
    from doctor.report import Report


class AnswerScreen(SectionScreen):
    """A section with the panes `#found` and `#fix`."""

    answer: Report | None = None
    """The report whose findings are shown."""
    _fault = ""
    """Of the finding under the cursor."""

    @property
    def report(self) -> Report | None:
        return self.answer

    @property
    def diagnosis(self) -> Diagnosis | None:
        found = self.query_one("#found", Rows)
        if self.answer and found.cursor < len(self.answer.diagnoses):
            return self.answer.diagnoses[found.cursor]
        return None

    def show_findings(self, report: Report, *, so_far: bool = False) -> None:
        """Fill both panes. There must be a finding, or something set aside. The cursor stays on its fault."""
        found = self.query_one("#found", Rows)
        causes, aside = len(report.diagnoses), len(report.set_aside)
        named = "Diagnosis so far" if so_far else "Diagnosis"
        found.title = f"{named} · {causes} found" + (f", {aside} set aside" if aside else "")
        items: list[Diagnosis | SetAside] = [*report.diagnoses, *report.set_aside]
        faults = [item.finding.fault for item in items]
        at = faults.index(self._fault) if self._fault in faults and found.has_focus else 0
        found.show(Cards(items, self._card), cursor=at)
        self._show_fix()

    def _card(self, item: Diagnosis | SetAside, width: int) -> Sequence[Row]:
        from doctor.diagnose import SetAside

        if isinstance(item, SetAside):
            return aside_card(item, width)
        number = self.answer.diagnoses.index(item) + 1 if self.answer else 1
        rows = diagnosis_card(item, number, width)
        if self.app.size.width < WIDE and item.fixes:
            fix = item.fixes[0]
            corrected = self.answer.corrected if self.answer and item.role == "cause" else None
            text = " ".join(corrected.run.replace("\\\n", " ").split()) if corrected else fix.commands[0].split("\n")[0]
            rows.append((("    Fix: ", "muted"), (clean(text), "command")))
            rows.append(((f"    {fix.where} · risk: {fix.risk}", "muted"),))
        return rows

    @on(Rows.Moved, "#found")
    def _show_fix(self) -> None:
        item = self.diagnosis
        if item is None or self.answer is None:
            return
        self._fault = item.finding.fault
        fix = self.query_one("#fix", Rows)
        fix.title = "First fix" if self.answer.diagnoses[0] is item else "Fix"
        blocks = [
            *fixes(item, self.answer.corrected),
            gap(),
            note("enter on the finding: evidence, other fixes, sources"),
        ]
        first = next((n for n, block in enumerate(blocks) if block.commands), 0)
        fix.show(cards(blocks), cursor=first)
        if first < 4:
            fix.call_after_refresh(fix.scroll_home, animate=False)
        self.refresh_bindings()

    @on(Rows.Chosen, "#found")
    def _found_chosen(self, message: Rows.Chosen) -> None:
        if self.answer and message.index < len(self.answer.diagnoses):
            self.open_finding(message.index)
        elif self.answer and message.index < len(self.answer.diagnoses) + len(self.answer.set_aside):
            self.app.open_entry(self.answer.set_aside[message.index - len(self.answer.diagnoses)].finding.fault)

    @on(Rows.Chosen, "#fix")
    def _fix_chosen(self) -> None:
        if self.block and self.block.commands:
            self.action_copy_commands()

    def open_finding(self, position: int) -> None:
        from doctor.tui.finding import FindingScreen

        if self.answer:
            text = self.raw_text("")
            self.app.push_screen(FindingScreen(self.SECTION, self.answer, self.snapshot, position, text))

    def action_other(self, by: int) -> None:
        self.query_one("#found", Rows).cursor += by
