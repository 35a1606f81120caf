"""Choosing one of many by typing a part of its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from doctor.tui.literal import clean, cut
from doctor.tui.rows import Lines, Row, Rows


class ChooseDialog(ModalScreen["str | None"]):
    """The name of what was chosen, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Choose", id="dialog.choose-it"),
        Binding("escape", "cancel", "Cancel", id="dialog.cancel-it"),
    ]

    def __init__(
        self, title: str, hint: str, known: Sequence[tuple[str, str]], *, value: str = "", is_free: bool = False
    ) -> None:
        """`known` are (name, words about it); `is_free`: what is typed and not among them is an answer too."""
        super().__init__()
        self._asks = title
        self._hint = hint
        self._known = list(known)
        self._fitting = self._known
        self._value = value
        self._is_free = is_free

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall") as box:
            box.border_title = clean(self._asks)
            yield Input(self._value, id="typed", placeholder=self._hint)
            yield Rows(id="known", title="")
            yield Static("↓ to the list   enter choose   esc leave", classes="hint", markup=False)

    def on_mount(self) -> None:
        self._list()
        self.query_one("#typed", Input).focus()

    def _list(self) -> None:
        names = self.query_one("#known", Rows)
        names.title = f"{len(self._fitting):,} of {len(self._known):,}"
        names.show(Lines(self._fitting, self._row), cursor=0)

    def _row(self, one: tuple[str, str], width: int) -> Row:
        return ((f" {cut(clean(one[0]), max(20, width - 16))} ", "accent"), (clean(one[1]), "muted"))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        words = event.value.lower().split()
        self._fitting = [one for one in self._known if all(word in " ".join(one).lower() for word in words)]
        self._list()

    def key_down(self, event: events.Key) -> None:
        if self.query_one("#typed").has_focus:
            event.stop()
            self.query_one("#known", Rows).focus()

    @on(Rows.Chosen)
    def _chosen(self, message: Rows.Chosen) -> None:
        self.dismiss(self._fitting[message.index][0])

    def action_choose(self) -> None:
        """The row under the cursor; a text field submits itself."""
        self.query_one("#known", Rows).action_choose()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        text = event.value.strip()
        exact = any(text == name for name, _ in self._known)
        if exact or (self._is_free and text and not self._fitting):
            self.dismiss(text)
        elif self._fitting:
            self.dismiss(self._fitting[0][0])

    def action_cancel(self) -> None:
        self.dismiss(None)
