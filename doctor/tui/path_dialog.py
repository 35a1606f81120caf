"""Asking for a path: typed, completed with Tab, or pasted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import Input, Static

from doctor.tui.literal import clean

LISTED = 2000
"""Names of a folder that are looked through for a suggestion."""


class PathSuggester(Suggester):
    """The first file or folder that goes on like what is typed."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        folder, _, begun = value.rpartition("/")
        place = Path(os.path.expanduser(f"{folder}/" if folder or value.startswith("/") else "."))
        if not begun:
            return None
        try:
            with os.scandir(place) as entries:
                names = [(one.name, one.is_dir()) for _, one in zip(range(LISTED), entries, strict=False)]
        except OSError:
            return None
        fitting = sorted(name + "/" * is_dir for name, is_dir in names if name.startswith(begun) and name.isprintable())
        return value[: len(value) - len(begun)] + fitting[0] if fitting else None


class PathDialog(ModalScreen["Path | None"]):
    """A path, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", id="dialog.cancel-it")]

    def __init__(self, title: str, *, folder: bool = False, value: str = "") -> None:
        super().__init__()
        self._asks = title
        self._wants_folder = folder
        self._value = value

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog") as box:
            box.border_title = clean(self._asks)
            yield Input(
                self._value,
                id="path",
                placeholder="path; → completes, Enter opens, Esc leaves",
                suggester=PathSuggester(),
            )
            yield Static("", id="problem", markup=False)

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        path = Path(os.path.expanduser(event.value.strip()))
        if not event.value.strip():
            return
        if not path.exists():
            self.query_one("#problem", Static).update(f"{clean(str(path))}: no such file or folder")
        elif self._wants_folder != path.is_dir():
            wanted = "a folder" if self._wants_folder else "a file"
            self.query_one("#problem", Static).update(f"{clean(str(path))} is not {wanted}")
        else:
            self.dismiss(path)

    def action_cancel(self) -> None:
        self.dismiss(None)
