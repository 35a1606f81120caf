"""The keys that work now, at the bottom: whole words only, as many as fit, help and palette always."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events
from textual.binding import ActiveBinding, Binding
from textual.content import Content
from textual.keys import key_to_character
from textual.screen import Screen
from textual.widgets import Input, Static, TextArea

FIRST = ("choose", "copy_commands", "copy_reply")
ALWAYS = ("help", "quit")
SHORT_SIGNS = ("slash", "question_mark", "plus", "colon", "left_square_bracket", "right_square_bracket")
SHORT = {"escape": "esc", "question_mark": "?", "slash": "/", "left_square_bracket": "[", "right_square_bracket": "]"}


class KeyLine(Static):
    """Made from the live bindings; a key that cannot work now is dim; a click presses it."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        super().__init__(id="keys", markup=False)
        self._spans: list[tuple[int, int, str]] = []

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, screen: Screen[object]) -> None:
        self.refresh()

    def _words(self) -> list[tuple[str, str, bool, str]]:
        """(key as shown, description, works now, key) in the order of importance; the last ones are always shown."""
        words: list[tuple[str, str, bool, str]] = []
        last: list[tuple[str, str, bool, str]] = []
        seen: set[str] = set()
        own = [one.id for one in type(self.screen).__dict__.get("BINDINGS", ()) if isinstance(one, Binding)]

        def order(item: tuple[str, ActiveBinding]) -> int:
            """What all screens do first; then what this one alone does, as it lists it; then the rest."""
            binding = item[1].binding
            if binding.action in FIRST:
                return -1
            return own.index(binding.id) if binding.id in own and binding.action != "back" else len(own)

        for key, active in sorted(self.screen.active_bindings.items(), key=order):
            binding = active.binding
            if not binding.show or binding.action in seen or self._is_typed(key):
                continue
            seen.add(binding.action)
            shown = self.app.get_key_display(binding)
            row = (SHORT.get(shown, shown), binding.description, active.enabled, key)
            (last if binding.action.removeprefix("app.") in ALWAYS else words).append(row)
        return [*words, *last, ("^p", "Palette", True, "ctrl+p")]

    def _is_typed(self, key: str) -> bool:
        """Whether the key is a letter of the text that is being typed."""
        focused = self.screen.focused
        if not isinstance(focused, Input | TextArea):
            return False
        if key == "enter":
            return isinstance(focused, TextArea)
        return key in SHORT_SIGNS or (key_to_character(key) or "\n").isprintable()

    def render(self) -> Content:
        words = self._words()
        last = [row for row in words if row[1] in ("Help", "Palette", "Quit")]
        room = self.size.width - 1 - sum(cell_len(f"{key} {says}") + 2 for key, says, _, _ in last)
        shown = []
        for row in words:
            size = cell_len(f"{row[0]} {row[1]}") + 2
            if row in last:
                continue
            if size > room:
                break
            room -= size
            shown.append(row)
        self._spans = []
        parts: list[tuple[str, str]] = [(" ", "")]
        at = 1
        for key, says, enabled, pressed in (*shown, *last):
            size = cell_len(f"{key} {says}")
            self._spans.append((at, at + size, pressed))
            parts += [
                (key, "bold $footer-key-foreground" if enabled else "dim"),
                (f" {says}", "" if enabled else "dim"),
            ]
            parts.append(("  ", ""))
            at += size + 2
        return Content.assemble(*parts)

    def on_click(self, event: events.Click) -> None:
        for begin, end, key in self._spans:
            if begin <= event.x < end:
                self.app.simulate_key(key)
