"""Text of others is literal on every screen: no escape reaches the terminal, no bracket is markup, no line breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import recorded as told
import scenes
from recorded import Recorded
from scenes import TO_FOUND, play, screen_text, settle
from test_behaviour import running
from textual import events

from doctor.engine import CheckFinished, Event, ReportReady
from doctor.finding import Evidence, Finding
from doctor.live import CauseFound, ContainersListed
from doctor.tui.app import DoctorApp
from doctor.tui.log_text import LogText

MARKUP = "[bold]B[/bold] [@click=app.quit]Q[/] libc.so.6 [runpath] [/nonsense]"
ESCAPES = "\x1b]52;c;cm0gLXJm\x07\x1b[2J\x1b[31mred\x1b[0m\x9b5m\x07\x00"
REVERSED = "abc\u202edef\u2066ghi\u200b"
HUGE = "x" * 10_000
HOSTILE = f"{MARKUP} {ESCAPES} {REVERSED} <image> *x* [a](https://a) {HUGE}"
FORBIDDEN = "\x1b\x07\x00\x9b\x9d\u202e\u2066\u200b"


def hostile_events(container: str | None) -> Iterator[Event]:
    evidence = (
        Evidence("log", HOSTILE, HOSTILE, 3, HOSTILE),
        Evidence("command", f"nvidia-smi {MARKUP}", f"{MARKUP}\n{ESCAPES}", 1, MARKUP),
    )
    values = {"module": HOSTILE, "libraries": MARKUP}
    found = [Finding("nvidia-driver-library-mismatch", evidence, values), replace(told.SHM, evidence=evidence)]
    checks = told.outcomes(
        driver_matches=("found", HOSTILE), mig_agrees=("skipped", HOSTILE), no_xid=("crashed", f"{HOSTILE}\n{HOSTILE}")
    )
    made = told.report(found, checks, not_examined=(HOSTILE, MARKUP), notes=(HOSTILE,), name=HOSTILE)
    seen = told.snapshot(*told.READINGS, told.reading("command:nvidia-smi " + MARKUP, f"{MARKUP}\n{ESCAPES}\n{HUGE}"))
    yield from (CheckFinished(one) for one in made.outcomes)
    yield ReportReady(made, seen)


def hostile_doctor() -> Recorded:
    box = replace(told.CONTAINERS[0], name=HOSTILE, image=HOSTILE, state=MARKUP, error=HOSTILE)
    watched = (ContainersListed((box,), 1), CauseFound(box.id, HOSTILE, "error"))
    image = scenes.IMAGE | {
        "reference": HOSTILE,
        "digest": ESCAPES,
        "platform": MARKUP,
        "frameworks": [{"name": HOSTILE, "version": MARKUP}],
        "code": [{"file": f"/lib/{HOSTILE}", "cubin": [MARKUP], "ptx": [ESCAPES], "gfx": []}],
        "libraries": [{"needed": HOSTILE, "by": [f"/lib/{HOSTILE}"], "found": None, "provider": MARKUP,
                       "searched": [HOSTILE, MARKUP]}],
        "verdicts": [{"gpu": MARKUP, "name": HOSTILE, "files": [{"file": f"/lib/{HOSTILE}", "runs": "yes", "by": HOSTILE}]}],
    }  # fmt: skip
    report = replace(scenes.image_report(), extra={"image": image})
    return Recorded(
        hostile_events, watched, host=f"host{MARKUP}{ESCAPES}", recording=HOSTILE, images={"acme/trainer:2.3": report}
    )


def check(app: DoctorApp) -> str:
    """No forbidden character in what is drawn, borders and titles included; the screen's text."""
    text = screen_text(app)
    found = {f"U+{ord(char):04X}" for char in text if char in FORBIDDEN or (ord(char) < 32 and char != "\n")}
    assert not found, found
    assert all(len(line) <= app.size.width for line in text.split("\n"))
    return text


@pytest.mark.parametrize("size", scenes.SIZES.values(), ids=list(scenes.SIZES))
async def test_overview_finding_and_raw_reading(size: tuple[int, int]) -> None:
    async with running(hostile_doctor(), size=size) as (app, pilot):
        assert "[bold]" in check(app)
        assert "host[bold]" in check(app) or size == scenes.NARROW
        for key in (*TO_FOUND, "enter", "tab", "tab", "tab", "tab"):
            await play(app, pilot, [key])
            check(app)
        await play(app, pilot, ["v"])
        assert "[bold]" in check(app)
        await play(app, pilot, ["escape", "s"])
        check(app)
        await play(app, pilot, ["escape", "escape", "question_mark"])
        check(app)


@pytest.mark.parametrize("size", scenes.SIZES.values(), ids=list(scenes.SIZES))
async def test_a_log(size: tuple[int, int]) -> None:
    text = f"{HOSTILE}\nRuntimeError: No CUDA GPUs are available {MARKUP} {ESCAPES}\n{HUGE * 100}\n"
    async with running(hostile_doctor(), size=size) as (app, pilot):
        app.post_message(events.Paste(text))
        await settle(app, pilot)
        shown = check(app)
        assert "The framework found no GPU" in shown
        for key in ("w", "n", "right", "g", "G", "enter"):
            await play(app, pilot, [key])
            check(app)
        await play(app, pilot, ["escape", "n", "enter", "v"])
        check(app)


@pytest.mark.parametrize("size", scenes.SIZES.values(), ids=list(scenes.SIZES))
async def test_an_image(size: tuple[int, int]) -> None:
    async with running(hostile_doctor(), "3", scenes.inspect_image, size=size) as (app, pilot):
        assert "[bold]" in check(app)
        for key in ("tab", "enter", "a", "tab"):
            await play(app, pilot, [key])
            check(app)


@pytest.mark.parametrize("size", scenes.SIZES.values(), ids=list(scenes.SIZES))
async def test_tickets(size: tuple[int, int], tmp_path: Path) -> None:
    folder = tmp_path / "[bold]t"
    folder.mkdir()
    (folder / "[red]\x1b[31m\u202e x.log").write_text(f"RuntimeError: No CUDA GPUs are available {MARKUP} {ESCAPES}")
    (folder / "triage.toml").write_text("[tickets]\n" + '"a" = "answered"\n' + "b = 1\n")
    async with running(hostile_doctor(), "4", size=size) as (app, pilot):
        app.screen.open_folder(folder)  # type: ignore[attr-defined]
        await settle(app, pilot)
        assert "[red]" in check(app)
        await play(app, pilot, ["a", "y"])
        check(app)
        assert not set(app.clipboard) & set(FORBIDDEN)
        await play(app, pilot, ["enter"])
        check(app)


async def test_notices_and_the_clipboard() -> None:
    async with running(hostile_doctor()) as (app, pilot):
        app.say(HOSTILE)
        await settle(app, pilot)
        check(app)
        await play(app, pilot, ["ctrl+y"])
        assert not set(app.clipboard) & set(FORBIDDEN)


async def test_the_search_for_entries_and_the_palette() -> None:
    async with running(hostile_doctor(), "5", "slash") as (app, pilot):
        app.post_message(events.Paste(HOSTILE))
        await settle(app, pilot)
        check(app)
        await play(app, pilot, ["escape", "escape", "colon", scenes.type_in(MARKUP)])
        check(app)


def test_a_line_of_a_hundred_megabytes_costs_its_beginning() -> None:
    log = LogText("x", b"y" * (100 << 20) + b"\nlast")
    log.index()
    assert len(log) == 2
    assert len(log.line(0)) == 4000
    assert log.line(1) == "last"
