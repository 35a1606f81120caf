"""Keys and pastes one after the other, so that each finds the pane to which the one before it led.

Textual gives a key to the widget that has the focus when it arrives, and that widget hands it on through the queues of
its parents; only then does an action move the focus, which takes queues again. What was typed in one burst would all
reach the pane that its first key left: after `/`, the letters of a word would be actions. So a key waits until the one
before it is done: a callback follows that one through the same queues, and goes round again for what it set going.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual import events
    from textual.app import App
    from textual.dom import DOMNode

ROUNDS = 8
"""Ways through the queues that one key may set going: from a dialog to a screen to a pane."""
LATE = 1.0
"""Seconds after which a key is taken for done, so that none can hold up the others for ever."""


class Turns:
    """Whose turn it is among what was typed."""

    def __init__(self, app: App[int]) -> None:
        self._app = app
        self._waiting: deque[events.Event] = deque()
        self._number = 0
        """Of the event under way, or the next one."""
        self._is_busy = False

    def begin(self, event: events.Event) -> bool:
        """Whether it is the event's turn; if not, the app gets it again when it is."""
        if self._is_busy:
            self._waiting.append(event)
            if len(self._waiting) == 1:
                self._be_done_by()
            return False
        self._is_busy = True
        return True

    def follow(self, target: DOMNode) -> None:
        """The event was given to this widget."""
        self._go(self._number, target, target.ancestors_with_self, ROUNDS)

    def _go(self, number: int, start: DOMNode, way: Sequence[DOMNode], left: int) -> None:
        """From a widget to the app, behind whatever is in each queue."""
        if not way:
            self._app.call_later(self._arrive, number, start, left)
        elif not way[0].call_later(self._go, number, start, way[1:], left):
            self._go(number, start, way[1:], left)  # it is no more

    async def _arrive(self, number: int, start: DOMNode, left: int) -> None:
        """At least once more from where the focus is now, until that moves it no further."""
        if not self._app.screen_stack:
            return  # the app ends
        here = self._app.focused or self._app.screen
        if left == ROUNDS or (left and here is not start):
            self._go(number, here, here.ancestors_with_self, left - 1)
        else:
            await self._done(number)

    async def _done(self, number: int) -> None:
        if number != self._number:
            return  # it was late, and is done already
        self._number += 1
        self._is_busy = False
        if self._waiting and self._app.screen_stack:
            event = self._waiting.popleft()
            if self._waiting:
                self._be_done_by()
            await self._app.on_event(event)

    def _be_done_by(self) -> None:
        self._app.set_timer(LATE, partial(self._done, self._number))
