"""Labels in a row, of which one is the present one: the sections of the app, and panes that stand behind each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widgets import Static


class Tabs(Static):
    """The present label stands between bars and in reverse; a click chooses another."""

    @dataclass
    class Chosen(Message):
        tabs: Tabs
        name: str

        @property
        def control(self) -> Tabs:
            return self.tabs

    HINT = ""

    def __init__(self, labels: Mapping[str, str], here: str, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._labels = dict(labels)
        self._here = here

    def tell(self, here: str, labels: Mapping[str, str] | None = None) -> None:
        """Another present one, and perhaps other words."""
        self._here = here
        self._labels = dict(labels or self._labels)
        self.refresh()

    def words(self, name: str) -> str:
        return self._labels[name]

    def _texts(self) -> list[tuple[str, str]]:
        """(name, its words between bars or blanks)."""
        edges = {name: ("▐", "▌") if name == self._here else (" ", " ") for name in self._labels}
        return [(name, left + self.words(name) + right) for name, (left, right) in edges.items()]

    def render(self) -> Content:
        parts: list[tuple[str, str]] = [(" ", "")]
        for name, text in self._texts():
            parts += [(text, "reverse bold" if name == self._here else ""), ("  ", "")]
        return Content.assemble(*parts, (self.HINT, "dim"))

    def on_click(self, event: events.Click) -> None:
        at = 1
        for name, text in self._texts():
            if at <= event.x < at + cell_len(text) + 1:
                self.post_message(self.Chosen(self, name))
                return
            at += cell_len(text) + 2


class PaneTabs(Tabs):
    """Which of the panes a narrow screen shows."""

    HINT = "tab: next"
