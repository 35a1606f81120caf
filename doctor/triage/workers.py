"""Tickets examined side by side in processes, answered in the order in which they came.

A process loads the knowledge and its patterns once. So much is under way at a time that all are busy, and no more: a
mountain of tickets takes the memory of a few. A ticket that ends its process costs itself, not its neighbours.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from pathlib import Path
from types import FrameType
from typing import Literal

from doctor.bundles.ticket import Ticket
from doctor.finding import Severity
from doctor.knowledge import load
from doctor.match import patterns_of
from doctor.render.appearance import Appearance
from doctor.render.desk import PIECES
from doctor.triage.answer import Answer, answer
from doctor.triage.examine import Bench, examine, not_read, with_ticket

BATCH, BATCH_BYTES = 48, 1 << 20
"""Tickets that a process gets at once."""
UNDER_WAY = 64 << 20
"""Bytes of texts that wait in processes, all together; one ticket may have more."""
SECONDS = 300.0
GRACE = 3.0
"""Seconds that a process has to finish its ticket when nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker must know to answer."""

    knowledge: tuple[Path, ...] = ()
    form: str = "jsonl"
    fail_on: Severity | Literal["never"] = "error"
    seconds: float = SECONDS
    """After which a ticket is given up."""
    look: Appearance = field(default_factory=lambda: Appearance(False, True, 100, False))


class TooLong(Exception):
    """A ticket took longer than it may."""


class Worker:
    """Answers tickets, one after the other."""

    def __init__(self, order: Order) -> None:
        from doctor.check import discover

        base = load(order.knowledge)
        self._bench = Bench(base, patterns_of(base), discover())
        self._order = order

    def __call__(self, ticket: Ticket) -> Answer:
        try:
            with _within(self._order.seconds):
                report = examine(ticket, self._bench)
        except TooLong:
            report = with_ticket(not_read(ticket.name, f"not examined within {self._order.seconds:g} s"))
        return answer(report, self._order.fail_on, PIECES[self._order.form](report, self._order.look))


@contextmanager
def _within(seconds: float) -> Iterator[None]:
    """Raises TooLong in the main thread; elsewhere there is no clock that could."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_worker: Worker | None = None
_stop: Event | None = None
"""Of a process of the pool; the latter is set when nobody waits for answers any more."""


def _begin(order: Order, stop: Event) -> None:
    global _worker, _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    if _worker is None:  # not forked
        _worker = Worker(order)


def _work(batch: Sequence[Ticket]) -> list[Answer]:
    assert _worker is not None
    assert _stop is not None
    return [_worker(ticket) for ticket in batch if not _stop.is_set()]


def answers(tickets: Iterable[Ticket], order: Order, jobs: int) -> Iterator[Answer]:
    """The answers, in order. With one job, or few tickets, nothing is started."""
    batches = _batches(tickets)
    first = next(batches, [])
    second = next(batches, []) if jobs > 1 else []
    if jobs <= 1 or not second:
        yield from map(Worker(order), (ticket for batch in (first, second, *batches) for ticket in batch))
        return
    global _worker
    _worker = Worker(order)  # forked processes share it; what is wrong with it fails here, once
    try:
        yield from _Pool(order, jobs).map(_again((first, second), batches))
    finally:
        _worker = None


def _again(before: Iterable[list[Ticket]], rest: Iterator[list[Ticket]]) -> Iterator[list[Ticket]]:
    yield from before
    yield from rest


def _batches(tickets: Iterable[Ticket]) -> Iterator[list[Ticket]]:
    batch: list[Ticket] = []
    size = 0
    for ticket in tickets:
        batch.append(ticket)
        size += ticket.size
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@dataclass(slots=True)
class _Waiting:
    batch: list[Ticket]
    future: Future[list[Answer]]
    held: int
    """Bytes that are in memory for it."""


class _Pool:
    """Processes, made anew where one of them dies."""

    def __init__(self, order: Order, jobs: int) -> None:
        self._order = order
        self._jobs = jobs
        self._executor = self._new(jobs)

    def _new(self, jobs: int) -> ProcessPoolExecutor:
        # A fork is quick and shares what is loaded, but not safe beside threads.
        can_fork = sys.platform == "linux" and threading.active_count() == 1
        context = multiprocessing.get_context("fork" if can_fork else "spawn")
        self._stop = context.Event()
        return ProcessPoolExecutor(jobs, context, _begin, (self._order, self._stop))

    def map(self, batches: Iterator[list[Ticket]]) -> Iterator[Answer]:
        waiting: deque[_Waiting] = deque()
        more = True
        try:
            while more or waiting:
                while more and self._has_room(waiting):
                    batch = next(batches, None)
                    more = batch is not None
                    if batch is not None:
                        waiting.append(self._submit(batch))
                if waiting:
                    yield from self._done(waiting)
        finally:
            self._end(early=more or bool(waiting))

    def _has_room(self, waiting: deque[_Waiting]) -> bool:
        return len(waiting) < 3 * self._jobs and sum(one.held for one in waiting) < UNDER_WAY

    def _submit(self, batch: list[Ticket]) -> _Waiting:
        held = sum(ticket.size for ticket in batch if ticket.leaf)
        return _Waiting(batch, self._executor.submit(_work, batch), held)

    def _done(self, waiting: deque[_Waiting]) -> list[Answer]:
        first = waiting.popleft()
        try:
            return first.future.result()
        except BrokenProcessPool:
            pass
        # Somebody's process died. This batch goes on ticket by ticket, so that the culprit stands alone.
        given = [self._alone(ticket) for ticket in first.batch]
        self._executor = self._new(self._jobs)
        for one in waiting:
            one.future = self._executor.submit(_work, one.batch)
        return given

    def _alone(self, ticket: Ticket) -> Answer:
        executor = self._new(1)
        try:
            return executor.submit(_work, [ticket]).result()[0]
        except BrokenProcessPool:
            report = with_ticket(not_read(ticket.name, "examining it ended the process"))
            return answer(report, self._order.fail_on, PIECES[self._order.form](report, self._order.look))
        finally:
            executor.shutdown()

    def _end(self, early: bool) -> None:
        """End the processes, in their work where nobody waits for it any more.

        They go of themselves, after the ticket that they are at: the pool waits for ever for the rest of an answer
        that a killed process was writing. What takes long is not writing.
        """
        processes = list((getattr(self._executor, "_processes", None) or {}).values())
        ending = threading.Thread(target=self._executor.shutdown, kwargs={"cancel_futures": True}, daemon=True)
        if early:
            self._stop.set()
        ending.start()
        ending.join(GRACE if early else None)
        if ending.is_alive():
            for process in processes:
                process.terminate()
            ending.join(GRACE)


def cores() -> int:
    """Processors that we may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
