"""Screens whose panes stand side by side where there is room, and behind each other where there is none."""

from __future__ import annotations

from typing import ClassVar

from textual import events, on

from doctor.tui.section import SectionScreen
from doctor.tui.tabs import PaneTabs

WIDE = 100
"""Cells from which a screen shows its panes side by side."""


class TabbedScreen(SectionScreen):
    """Panes side by side on a wide screen; on a narrow one one at a time, and Tab goes through them."""

    PANES: ClassVar[dict[str, str]] = {}
    pane = ""
    """The one that a narrow screen shows."""

    @property
    def is_narrow(self) -> bool:
        return self.app.size.width < WIDE

    @property
    def has_panes(self) -> bool:
        """Whether there is something to go through."""
        return True

    def show_pane(self, name: str) -> None:
        """On a narrow screen, this pane alone."""
        raise NotImplementedError

    @on(PaneTabs.Chosen, "#pane-tabs")
    def _pane_chosen(self, message: PaneTabs.Chosen) -> None:
        self.show_pane(message.name)

    def key_tab(self, event: events.Key) -> None:
        self._next_pane(event, 1)

    def key_shift_tab(self, event: events.Key) -> None:
        self._next_pane(event, -1)

    def _next_pane(self, event: events.Key, by: int) -> None:
        if self.is_narrow and self.has_panes:
            event.prevent_default()
            event.stop()
            names = list(self.PANES)
            self.show_pane(names[(names.index(self.pane) + by) % len(names)])
