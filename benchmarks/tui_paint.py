"""Start and keys of the app beside a bare Textual app, in one run: `python benchmarks/tui_paint.py`.

First paint: from the start of the process to the first drawn screen, in a pseudo-terminal. Key to paint: from a key
to the screen that shows what it did, in a headless app, with 100,000 lines of log or 10,000 tickets and with 50.
A paste of 1 MB beside Textual's own parser; the longest waits while 10 MB are pasted and a gigabyte is read.
Prints ratios; absolute times depend on the machine.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROUNDS = 9
ROOT = Path(__file__).parents[1]
BARE = """
from textual.app import App
from textual.widgets import Footer, Static
class Bare(App):
    def compose(self):
        yield Static("What failed?")
        yield Footer()
Bare().run()
"""
FAULT = "RuntimeError: CUDA error: no kernel image is available for execution on the device\n"


def first_paint(command: Sequence[str], words: bytes) -> float:
    """Seconds from the start of the process until these words are drawn."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    environment = {
        **os.environ,
        "TERM": "xterm-256color",
        "DOCKER_HOST": "unix:///nonexistent.sock",
        "LC_ALL": "C.UTF-8",
    }
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
    )
    os.close(slave)
    seen = b""
    try:
        while words not in seen:
            if not select.select([master], [], [], 30)[0]:
                raise SystemExit(f"{words!r} was not drawn within 30 s")
            seen += os.read(master, 65536)
        return time.perf_counter() - began
    finally:
        process.kill()
        process.wait()
        os.close(master)


def start_up() -> None:
    """The two in turn, so that what else the machine does falls on both."""
    apps = {
        "bare Textual app": ([sys.executable, "-c", BARE], b"What failed?"),
        "gpu-doctor": ([sys.executable, "-m", "doctor.tui"], b"What failed?"),
    }
    times: dict[str, list[float]] = {name: [] for name in apps}
    for _ in range(ROUNDS):
        for name, (command, words) in apps.items():
            times[name].append(first_paint(command, words))
    middle = {name: statistics.median(values) for name, values in times.items()}
    for name, value in middle.items():
        print(f"first paint, {name}: {value * 1000:.0f} ms (best {min(times[name]) * 1000:.0f} ms)")
    print(f"first paint, ratio: {middle['gpu-doctor'] / middle['bare Textual app']:.2f}")


def quiet() -> Any:
    """A doctor that examines and watches nothing."""
    from doctor.live import Doctor

    class Quiet(Doctor):
        def examine(self, container: str | None = None) -> Any:
            return iter(())

        def watch(self, stop: Any) -> Any:
            return iter(())

        def images(self) -> Any:
            return []

    return Quiet


async def key_to_paint(prepare: Callable[[Any, Any], Any], keys: Sequence[str], widget: str) -> list[float]:
    """Seconds from each key until what it changed is drawn: its handlers have run and the compositor is done."""
    from doctor.tui.app import DoctorApp

    times = []
    app = DoctorApp(quiet(), ascii_only=False)
    async with app.run_test(size=(120, 40)) as pilot:
        while app.jobs.busy():
            await asyncio.sleep(0.01)
        await prepare(app, pilot)
        while app.jobs.busy():
            await asyncio.sleep(0.01)
        await pilot.pause()
        rows = app.screen.query_one(widget)
        await pilot.press("g")
        for key in keys:
            before = rows.cursor  # type: ignore[attr-defined]
            began = time.perf_counter()
            app.simulate_key(key)
            while rows.cursor == before:  # type: ignore[attr-defined]
                await asyncio.sleep(0)
            app.screen._compositor.render_strips()
            times.append(time.perf_counter() - began)
            await pilot.pause()
    return times


async def keys_with_load(folder: Path) -> None:
    from textual import events

    async def paste(lines: int, app: Any, pilot: Any) -> None:
        text = "".join(
            f"2026-11-24 10:00:00 INFO step {n} loss 0.4321 tokens 123456 lr 1e-4 epoch 3\n" for n in range(lines)
        )
        app.post_message(events.Paste(text + FAULT))
        await asyncio.sleep(0.2)
        await pilot.pause()

    async def tickets(count: int, app: Any, pilot: Any) -> None:
        place = folder / str(count)
        place.mkdir()
        for n in range(count):
            (place / f"T-{n:05}.log").write_text(FAULT if n % 3 else "epoch 3\n")
        app.switch_mode("triage")
        await pilot.pause()
        app.screen.open_folder(place)
        await asyncio.sleep(0.2)

    keys = ["j", "j", "j", "k", "pagedown", "pagedown", "pageup", "G", "k", "g"] * 3
    for what, widget, few, many, prepare in (
        ("log lines", "#log", 50, 100_000, paste),
        ("tickets", "#tickets", 50, 10_000, tickets),
    ):
        medians = {}
        for count in (few, many):

            async def load(app: Any, pilot: Any, count: int = count, prepare: Any = prepare) -> None:
                await prepare(count, app, pilot)

            times = await key_to_paint(load, keys, widget)
            medians[count] = statistics.median(times)
            worst = max(times) * 1000
            print(f"key to paint, {count:,} {what}: {medians[count] * 1000:.1f} ms (worst {worst:.1f} ms)")
        print(f"key to paint, {what}, ratio of {many:,} to {few}: {medians[many] / medians[few]:.2f}")


def pasting() -> None:
    """One megabyte between the marks of a bracketed paste, read as terminals are read."""
    from textual._xterm_parser import XTermParser

    from doctor.tui.paste import take_pastes_whole

    data = "\x1b[200~" + "2026-11-24 10:00:00 INFO step 1 loss 0.4321\n" * (1_000_000 // 44) + "\x1b[201~"

    def once() -> float:
        parser = XTermParser(False)
        began = time.perf_counter()
        for at in range(0, len(data), 4096):
            for _ in parser.feed(data[at : at + 4096]):
                pass
        return time.perf_counter() - began

    of_textual = statistics.median(once() for _ in range(3))
    take_pastes_whole()
    ours = statistics.median(once() for _ in range(3))
    print(f"a paste of 1 MB, parsed by Textual: {of_textual * 1000:.0f} ms, here: {ours * 1000:.1f} ms")
    print(f"paste, ratio: {ours / of_textual:.4f}")


async def stalls(folder: Path) -> None:
    """The longest times for which the app answers nothing, while a log is read in a thread beside it."""
    from textual import events

    from doctor.tui.app import DoctorApp

    line = "2026-11-24 10:00:00 INFO step 1234 loss 0.4321 tokens 123456 lr 1e-4 epoch 3\n"
    gigabyte = folder / "gigabyte.log"
    with gigabyte.open("w") as file:
        for _ in range(1000):
            file.write(line * 13_000 + FAULT)
    app = DoctorApp(quiet(), ascii_only=False)
    async with app.run_test(size=(120, 40)) as pilot:
        while app.jobs.busy() or not app.ready:
            await asyncio.sleep(0.01)
        await pilot.press("2")
        await pilot.pause()
        for what, begin in (
            ("nothing", lambda: None),
            ("a paste of 10 MB", lambda: app.post_message(events.Paste(line * 130_000 + FAULT))),
            ("a file of 1 GB", lambda: app.screen.open_path(gigabyte)),  # type: ignore[attr-defined]
        ):
            began = last = time.perf_counter()
            gaps = []
            begin()
            while app.jobs.busy() or time.perf_counter() - began < 0.5:
                await asyncio.sleep(0.005)
                now = time.perf_counter()
                gaps.append(now - last)
                last = now
            gaps.sort()
            print(f"{what}: read and diagnosed in {last - began:.1f} s; waits of the app: median "
                  f"{statistics.median(gaps) * 1000:.0f} ms, 99 % below {gaps[int(len(gaps) * 0.99)] * 1000:.0f} ms, "
                  f"longest {gaps[-1] * 1000:.0f} ms")  # fmt: skip


def main() -> None:
    start_up()
    pasting()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(keys_with_load(Path(folder)))
        asyncio.run(stalls(Path(folder)))


if __name__ == "__main__":
    main()
