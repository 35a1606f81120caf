"""Help for the screen it was asked on, made from the live bindings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from doctor.tui.key_line import SHORT
from doctor.tui.literal import cut, wrap
from doctor.tui.rows import Cards, Row, Rows
from doctor.tui.signs import SIGNS

OF_TEXTUAL = ("app.focus_next", "app.focus_previous", "screen.copy_text")
SIGN_NAMES = ("error", "warning", "note", "passed", "skipped", "running", "waiting", "crashed")


class HelpScreen(ModalScreen[None]):
    """What the screen is for, its keys, and what the signs mean."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "dismiss", "Close", id="dialog.cancel-it"),
    ]

    def __init__(self, asked_on: Screen[Any]) -> None:
        super().__init__()
        self._says = getattr(asked_on, "HELP_TEXT", "")
        self._keys = list(_keys(asked_on))

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall") as box:
            box.border_title = "Help"
            box.border_subtitle = "esc closes"
            rows = Rows(id="help", cursor=False, classes="plain")
            rows.show(Cards([0], lambda _, width: list(self._rows(width))))
            yield rows
            yield Static("", classes="hint", markup=False)

    def on_mount(self) -> None:
        self.query_one("#help", Rows).focus()

    def _rows(self, width: int) -> Iterator[Row]:
        if self._says:
            yield from (((f" {piece}", ""),) for piece in wrap(self._says, width - 2))
            yield ()
        for keys, says in self._keys:
            pieces = wrap(says, max(20, width - 20))
            yield ((" " + cut(keys, 16) + " ", "accent"), (pieces[0], ""))
            yield from (((" " * 18 + piece, ""),) for piece in pieces[1:])
        yield ()
        yield ((" Signs", "strong"),)
        for name in SIGN_NAMES:
            sign = SIGNS[name]
            yield ((f" {sign.text}   ", sign.style), (MEANS[name], ""))
        yield ()
        yield ((" Mouse: a click moves the cursor, a second one opens. Drag and ctrl+c copies text.", "muted"),)
        yield ((" Keys of your own: ~/.config/gpu-doctor/keys.toml, such as", "muted"),)
        yield (('   "report.copy-commands" = "c"', "command"),)


MEANS = {
    "error": "a fault that stops the work",
    "warning": "a fault that may",
    "note": "worth knowing",
    "passed": "looked at, in order",
    "skipped": "not looked at, with the reason",
    "running": "being looked at",
    "waiting": "waits for something else",
    "crashed": "a mistake of gpu-doctor, not of the machine",
}


MOVING = ("up", "down", "page", "first", "last", "pan", "app.section", *OF_TEXTUAL)
"""Actions that stand last: everybody knows them."""


def _keys(screen: Screen[Any]) -> Iterator[tuple[str, str]]:
    """(keys, what they do): the keys of one action together, those of the system left out."""
    together: dict[str, list[str]] = {}
    says: dict[str, str] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if not binding.id and binding.action not in OF_TEXTUAL:
            continue
        shown = screen.app.get_key_display(binding)
        together.setdefault(binding.action, []).append(SHORT.get(shown, shown))
        says[binding.action] = (binding.tooltip or binding.description) + ("" if active.enabled else " (not now)")
    for action in sorted(together, key=lambda one: one.split("(")[0] in MOVING):
        keys = together[action]
        yield " ".join(dict.fromkeys(keys)), says[action]
