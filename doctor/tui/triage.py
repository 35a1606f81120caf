"""Triage."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from doctor.tui.rows import Rows
from doctor.tui.section import SectionScreen


class TriageScreen(SectionScreen):
    SECTION = "triage"

    def body(self) -> Iterable[Widget]:
        yield Rows(id="triage", title="Triage")
