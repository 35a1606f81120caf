"""Slow work beside the app, in daemon threads: leaving the app never waits for an engine or a tool that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from textual.message import Message
from textual.message_pump import MessagePump

Post = Callable[[Message], None]
Work = Callable[[Post, threading.Event], None]
TELL_SECONDS = 0.15


@dataclass
class JobFailed(Message):
    """A job ended with a mistake of ours."""

    job: str
    told: str


class Jobs:
    """One running job a name; starting another stops the one before, whose messages no longer arrive."""

    def __init__(self) -> None:
        self._running: dict[str, tuple[threading.Event, threading.Thread]] = {}

    def start(self, name: str, node: MessagePump, work: Work) -> None:
        """Run `work(post, stop)`; what it posts goes to the node. It should look at `stop` now and then."""
        self.stop(name)
        stop = threading.Event()

        def post(message: Message) -> None:
            if not stop.is_set():
                node.post_message(message)

        def run() -> None:
            try:
                work(post, stop)
            except Exception as error:  # a job's mistake is told on its screen, the app goes on
                post(JobFailed(name, f"{type(error).__name__}: {error}"))

        thread = threading.Thread(target=run, name=name, daemon=True)
        self._running[name] = (stop, thread)
        thread.start()

    def stop(self, name: str) -> None:
        if known := self._running.pop(name, None):
            known[0].set()

    def stop_all(self) -> None:
        for name in list(self._running):
            self.stop(name)

    def busy(self, *but: str) -> bool:
        """Whether a job other than these is under way."""
        return any(thread.is_alive() for name, (_, thread) in self._running.items() if name not in but)


def now_and_then(tell: Callable[..., None]) -> Callable[..., None]:
    """`tell`, but no oftener than eyes follow: each message is a drawn screen."""
    last = 0.0

    def told(*args: Any) -> None:
        nonlocal last
        if time.monotonic() - last > TELL_SECONDS:
            last = time.monotonic()
            tell(*args)

    return told


def iterate(items: Any, make: Callable[[Any], Message], post: Post, stop: threading.Event) -> None:
    """Post a message for each item until stopped."""
    for item in items:
        if stop.is_set():
            return
        post(make(item))
