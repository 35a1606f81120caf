"""What a person gets from the app: the clipboard, the focus, files, what is examined. Driven by keys, as people do."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import recorded as told
import scenes
from recorded import HERE, Recorded
from scenes import TO_FOUND, paste, play, screen_text, settle
from textual import events
from textual.keys import key_to_character
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from doctor.live import CauseFound, ContainersListed
from doctor.render.markdown import diagnosis_markdown, report_markdown
from doctor.snapshot import load, save
from doctor.tui import turns
from doctor.tui.app import DoctorApp
from doctor.tui.blocks import _wrapped_command
from doctor.tui.rows import Rows
from doctor.tui.section import SectionScreen

Running = tuple[DoctorApp, Pilot[Any]]


@contextlib.asynccontextmanager
async def running(
    doctor: Recorded, *steps: scenes.Step, size: tuple[int, int] = (120, 40), **other: Any
) -> AsyncIterator[Running]:
    app = DoctorApp(lambda: doctor, ascii_only=False, **other)
    async with app.run_test(size=size, notifications=True) as pilot:
        await play(app, pilot, steps)
        yield app, pilot
        doctor.go.set()


def notices(app: DoctorApp) -> str:
    return "\n".join(str(one.message) for one in app._notifications)


def screen(app: DoctorApp) -> SectionScreen:
    assert isinstance(app.screen, SectionScreen)
    return app.screen


async def test_y_copies_the_first_fix_without_a_newline() -> None:
    async with running(Recorded(told.mismatch), "y") as (app, _):
        assert app.clipboard == "sudo reboot"
        assert "Sent 1 line" in notices(app)
        assert "Copied" not in notices(app)


async def test_where_copying_fails_is_said_once() -> None:
    async with running(Recorded(told.mismatch), "y", "y") as (app, _):
        assert notices(app).count("set-clipboard") == 1


async def test_a_destructive_fix_is_copied_as_a_comment() -> None:
    async with running(Recorded(told.mismatch), *TO_FOUND, "enter") as (app, pilot):
        pane = app.screen.query_one("#fixes", Rows)
        while not (screen(app).block and screen(app).block.destroys):  # type: ignore[union-attr]
            before = pane.cursor
            await pilot.press("j")
            assert pane.cursor > before, "no destructive fix in the list"
        await pilot.press("y")
        assert app.clipboard.splitlines() == [
            "# sudo apt-get purge 'nvidia-*'",
            "# sudo apt-get install <driver package>",
        ]
        assert "loses data" in notices(app)


async def test_the_corrected_line_comes_first() -> None:
    doctor = Recorded(told.with_container)
    async with running(doctor, "enter", "y") as (app, _):
        assert doctor.asked == [None, "ddp-train"]
        freed, _, line = app.clipboard.partition("\n")
        assert freed == "docker rename ddp-train ddp-train-old"
        assert line.startswith("docker run --name ddp-train --gpus all --shm-size=8g")
        assert not app.clipboard.endswith("\n")


async def test_the_finding_and_the_report_as_markdown() -> None:
    async with running(Recorded(told.mismatch), "Y") as (app, pilot):
        report = screen(app).report
        assert report is not None
        assert app.clipboard == "\n".join(diagnosis_markdown(report.diagnoses[0])).rstrip("\n")
        await pilot.press("ctrl+y")
        assert app.clipboard == report_markdown(report).rstrip("\n")


async def test_the_evidence_of_the_cursor_is_shown_raw() -> None:
    async with running(Recorded(told.mismatch), *TO_FOUND, "enter", "shift+tab", "j", "v") as (app, pilot):
        text = screen_text(app)
        assert "Raw reading · command:nvidia-smi" in text
        assert "NVML library version: 550.54" in text
        await pilot.press("y")
        assert app.clipboard == "Failed to initialize NVML: Driver/library version mismatch"
        await pilot.press("escape", "escape")
        assert len(app.screen_stack) == 1


async def test_brackets_go_to_the_other_finding() -> None:
    async with running(Recorded(told.mismatch), *TO_FOUND, "enter", "right_square_bracket") as (app, pilot):
        assert "The framework found no GPU" in screen_text(app)
        await pilot.press("right_square_bracket", "left_square_bracket")
        assert "1 of 2" in screen_text(app)


async def test_rows_stand_at_once_and_never_change_order() -> None:
    doctor = Recorded(told.mismatch, hold=9)
    async with running(doctor) as (app, pilot):
        order = [row.id for row in app.screen._checks]  # type: ignore[attr-defined]
        assert len(order) == len(told.CHECKS)
        assert "running 3 of 12" in screen_text(app)
        assert "kernel 535.104.05, libraries 550.54.15" in screen_text(app), "what is found shows before the end"
        assert "Diagnosis so far" in screen_text(app)
        await pilot.press("y")
        assert app.clipboard == "sudo reboot", "and its fix can be copied"
        doctor.go.set()
        await settle(app, pilot)
        assert [row.id for row in app.screen._checks] == order  # type: ignore[attr-defined]
        assert "sudo reboot" in screen_text(app)


async def test_a_container_that_dies_appears_with_its_cause_and_the_cursor_stays() -> None:
    from doctor.tui.messages import EngineTold

    async with running(Recorded(told.mismatch), "down") as (app, pilot):
        pane = app.screen.query_one("#subjects", Rows)
        assert "trainer" in _under_cursor(pane)
        new = told.failed("eval-job", "acme/eval:1", "exited", 134, 2)
        app.screen.post_message(EngineTold(ContainersListed((new, *told.CONTAINERS), 18)))
        app.screen.post_message(EngineTold(CauseFound(new.id, "A cause of its own", "warning")))
        await settle(app, pilot)
        assert "trainer" in _under_cursor(pane)
        assert pane.text().splitlines()[0].split() == [
            "eval-job",
            "acme/eval:1",
            "now",
            "exit",
            "134",
            "!",
            "A",
            "cause",
            "of",
            "its",
            "own",
        ]


async def test_of_a_container_without_a_diagnosis_its_own_error_is_shown_as_open() -> None:
    unknown = CauseFound("id-llm-server", "SolverError: [b]diverged[/b]", None)
    async with running(Recorded(told.mismatch, [*told.WATCHED, unknown])) as (app, _):
        row = next(line for line in screen_text(app).splitlines() if "llm-server" in line)
        assert "? SolverError: [b]diverged[/b]" in row


async def test_an_error_that_no_entry_knows_is_marked_and_walked_to() -> None:
    async with running(Recorded(told.mismatch), scenes.pasted("unknown.log")) as (app, pilot):
        shown = screen_text(app)
        assert "Nothing known is wrong, but something failed" in shown
        assert "No entry of the knowledge base fits" in shown
        pane = app.screen.query_one("#log", Rows)
        assert pane.cursor == 2
        await pilot.press("n")
        assert pane.cursor == 8


async def test_an_error_code_that_no_entry_is_about_has_its_meaning() -> None:
    async with running(Recorded(told.mismatch), "5", "slash") as (app, pilot):
        field = app.screen.focused
        assert isinstance(field, Input)
        field.value = "hipErrorInvalidValue"
        await settle(app, pilot)
        assert "hipErrorInvalidValue is HIP error 1: invalid argument." in screen_text(app)


def _under_cursor(pane: Rows) -> str:
    return pane.text().splitlines()[pane.cursor]


async def test_problems_and_filter() -> None:
    async with running(Recorded(told.mismatch), "f") as (app, pilot):
        checks = app.screen.query_one("#checks", Rows)
        assert len(checks.model) == 1
        await play(app, pilot, ["f", "f", "slash", "x", "i", "d", "enter"])
        assert [line.split()[2] for line in checks.text().splitlines()] == ["driver"]
        await play(app, pilot, ["escape"])
        assert len(checks.model) == len(told.CHECKS)


async def test_q_at_the_root_quits_nothing() -> None:
    async with running(Recorded(told.mismatch), "q") as (app, pilot):
        assert "ctrl+q quits" in notices(app)
        assert app.is_running
        await pilot.press("ctrl+q")
        assert app.return_code == 0


async def test_keys_without_effect_are_greyed_not_hidden() -> None:
    async with running(Recorded(told.healthy, ())) as (app, _):
        bindings = app.screen.active_bindings
        assert not bindings["y"].enabled
        assert bindings["r"].enabled
    async with running(Recorded(told.mismatch, recording="x.json")) as (app, _):
        assert not app.screen.active_bindings["r"].enabled


async def test_a_paste_anywhere_is_a_log_and_is_diagnosed() -> None:
    async with running(Recorded(told.mismatch), paste) as (app, pilot):
        assert app.current_mode == "log"
        text = screen_text(app)
        assert "pasted, 11 lines" in text
        assert "NCCL ran out of /dev/shm" in text
        assert "set aside" in text
        log = app.screen.query_one("#log", Rows)
        assert log.has_focus
        assert log.cursor == 3
        await pilot.press("n")
        assert log.cursor == 10
        await pilot.press("n")
        assert log.cursor == 3, "n goes round"
        await pilot.press("y")
        assert app.clipboard == "docker run --shm-size=8g --gpus all <image>"


async def test_typing_is_diagnosed_and_letters_stay_letters() -> None:
    async with running(Recorded(told.mismatch), "2") as (app, pilot):
        field = app.screen.query_one("#paste", TextArea)
        field.insert("RuntimeError: No CUDA GPUs are available\n")
        await play(app, pilot, ["1", "y", "q"])
        assert app.current_mode == "log"
        assert field.text.endswith("1yq")
        assert "The framework found no GPU" in screen_text(app)
        await play(app, pilot, ["escape"])
        assert app.screen.query_one("#log", Rows).has_focus
        await play(app, pilot, ["e"])
        assert field.has_focus


async def test_find_in_a_log() -> None:
    async with running(Recorded(told.mismatch), paste, "slash") as (app, pilot):
        field = app.screen.focused
        assert isinstance(field, Input)
        field.value = "nccl info"
        await play(app, pilot, ["enter"])
        log = app.screen.query_one("#log", Rows)
        assert "5 found" not in screen_text(app)
        assert "4 found" in screen_text(app)
        await pilot.press("g", "n")
        assert log.cursor == 2
        await play(app, pilot, ["escape"])
        assert "found ·" not in screen_text(app).split("w: unwrap")[0][-12:]


async def test_a_followed_log_grows_and_is_diagnosed() -> None:
    lines = [line.encode() + b"\n" for line in (HERE / "nccl.log").read_text().splitlines()]
    async with running(Recorded(told.mismatch, log=lines), "t") as (app, pilot):
        await settle(app, pilot)
        assert app.current_mode == "log"
        assert "following ddp-train, 11 lines" in screen_text(app)
        assert "NCCL ran out of /dev/shm" in screen_text(app)


async def test_ten_megabytes_are_pasted_and_the_cause_is_found(tmp_path: Path) -> None:
    from textual import events

    filler = "2026-11-24 10:00:00 INFO step 1234 loss 0.4321 throughput 1000 samples/s\n" * 70_000
    text = filler + (HERE / "nccl.log").read_text() + filler
    assert len(text) > 10_000_000
    async with running(Recorded(told.mismatch)) as (app, pilot):
        app.post_message(events.Paste(text))
        await settle(app, pilot)
        log = app.screen.query_one("#log", Rows)
        assert len(log.model) == 140_011
        assert log.cursor == 70_003
        assert "NCCL ran out of /dev/shm" in screen_text(app)
        await play(app, pilot, ["G"])
        assert log.cursor == 140_010
        assert len(app.screen.walk_children()) < 60, "no widget a line"
        await play(app, pilot, ["e"])
        assert "Too long to edit" in notices(app)


async def test_a_binary_file_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "core.log"
    path.write_bytes(b"\x7fELF" + bytes(100))
    async with running(Recorded(told.mismatch), "2") as (app, pilot):
        app.screen.open_path(path)  # type: ignore[attr-defined]
        await settle(app, pilot)
        assert "an ELF file" in screen_text(app)


async def test_knowledge_is_found_by_a_pasted_line_and_followed() -> None:
    async with running(Recorded(told.mismatch), "5", "slash") as (app, pilot):
        field = app.screen.focused
        assert isinstance(field, Input)
        field.value = "ImportError: libcudnn.so.9: cannot open shared object file: No such file or directory"
        await play(app, pilot, ["enter"])
        assert _under_cursor(app.screen.query_one("#entries", Rows)).split()[1] == "lib-cudnn-missing"
        await pilot.press("y")
        assert app.clipboard == "pip install 'nvidia-cudnn-cu12==9.*'"
        app.open_entry("nccl-shared-memory")
        await settle(app, pilot)
        assert "NCCL ran out of /dev/shm" in screen_text(app)
        await play(app, pilot, ["b"])
        assert "cuDNN's shared library" in screen_text(app)


async def test_a_source_is_copied_over_ssh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "10.0.0.1 1 10.0.0.2 22")
    async with running(Recorded(told.mismatch), "5", "o") as (app, _):
        assert app.clipboard.startswith("https://docs.docker.com/")


async def test_tickets_are_marked_answered_and_remembered(tmp_path: Path) -> None:
    folder = tmp_path / "week-47"
    scenes.write_tickets(folder)
    async with running(Recorded(told.mismatch), "4") as (app, pilot):
        app.screen.open_folder(folder)  # type: ignore[attr-defined]
        await settle(app, pilot)
        text = screen_text(app)
        assert "9 tickets   6 diagnosed   1 unsure   1 nothing found   1 not read" in text
        await play(app, pilot, ["space", "space", "a"])
        assert (folder / "triage.toml").read_text().splitlines()[2:] == [
            '"ACME-4711.log" = "answered"',
            '"ACME-4713.log" = "answered"',
        ]
        await play(app, pilot, ["y"])
        assert "Failed to initialize NVML" in app.clipboard
        assert "    sudo reboot" in app.clipboard.splitlines()
    async with running(Recorded(told.mismatch), "4") as (app, pilot):
        app.screen.open_folder(folder)  # type: ignore[attr-defined]
        await settle(app, pilot)
        assert screen_text(app).count("answered") == 2
        assert "9 tickets" in screen_text(app), "the file with the states is no ticket"


async def test_what_a_colleague_noted_meanwhile_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "week-47"
    scenes.write_tickets(folder)
    states = folder / "triage.toml"
    async with running(Recorded(told.mismatch), "4") as (app, pilot):
        app.screen.open_folder(folder)  # type: ignore[attr-defined]
        await settle(app, pilot)
        states.write_text('[tickets]\n"ACME-4733.log" = "unsure"\n')
        await play(app, pilot, ["a"])
        assert states.read_text().splitlines()[2:] == ['"ACME-4711.log" = "answered"', '"ACME-4733.log" = "unsure"']
        states.write_text("[tickets\n")
        await play(app, pilot, ["u"])
        assert "cannot be read" in notices(app)
        assert states.read_text() == "[tickets\n", "a damaged file is not written over"


async def test_all_tickets_are_exported_as_triage_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from doctor.render.desk import FORMATS

    folder = tmp_path / "week-47"
    scenes.write_tickets(folder)
    monkeypatch.chdir(tmp_path)
    async with running(Recorded(told.mismatch), "4") as (app, pilot):
        app.screen.open_folder(folder)  # type: ignore[attr-defined]
        await settle(app, pilot)
        await play(app, pilot, ["ctrl+a"])
        for form in FORMATS:
            await play(app, pilot, ["e"])
            pane = app.screen.query_one("#forms", Rows)
            pane.cursor = [line.strip() for line in pane.text().splitlines()].index(form)
            await play(app, pilot, ["enter"])
    written = {path.suffix: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    assert len(written) == len(FORMATS)
    assert "9 tickets: 6 with a known fault, 1 unsure, 1 nothing found, 1 not read" in written[".txt"]
    assert len(written[".jsonl"].splitlines()) == 9
    assert all("ACME-4713" in text for text in written.values())


async def test_an_image_is_asked_about_another_gpu_without_reading_it_again() -> None:
    doctor = Recorded(told.mismatch, images={"acme/trainer:2.3": scenes.image_report()})
    async with running(doctor, "3", scenes.inspect_image, "d", "h", "1", "0", "0", "enter") as (app, pilot):
        await settle(app, pilot)
        assert doctor.gpus_asked == ("H100",)
        assert doctor.images_read == ["acme/trainer:2.3"]
        await play(app, pilot, ["c"])
        assert app.clipboard.split("\t")[0].endswith("libtorch_cuda.so")
        assert "sm_120: ✗ none" in app.clipboard
        await play(app, pilot, ["x"])
        assert doctor.gpus_asked == ()


async def test_an_image_of_the_engine_is_chosen_from_its_list() -> None:
    doctor = Recorded(told.mismatch, images={"acme/trainer:2.3": scenes.image_report()})
    async with running(doctor, "3", "enter") as (app, pilot):
        await settle(app, pilot)
        assert doctor.images_read == ["acme/trainer:2.3"]
        assert "Does it run?" in screen_text(app)
    async with running(doctor, "3", "i", scenes.type_in("archive:///tmp/x.tar"), "enter") as (app, pilot):
        await settle(app, pilot)
        assert doctor.images_read[-1] == "archive:///tmp/x.tar"
        assert "The image cannot be read" in screen_text(app)


async def test_reading_an_image_is_stopped_and_read_again() -> None:
    doctor = Recorded(told.mismatch, images={"acme/trainer:2.3": scenes.image_report()}, hold_image=True)
    async with running(doctor, "3", scenes.inspect_image) as (app, pilot):
        assert "4.1 GB of 9.8 GB" in screen_text(app)
        await play(app, pilot, ["escape"])
        assert "It was stopped" in screen_text(app)
        doctor.go.set()
        await play(app, pilot, ["r"])
        assert "libtorch_cuda.so" in screen_text(app)


async def test_the_image_of_a_container_is_one_key_away() -> None:
    doctor = Recorded(told.mismatch, images={"acme/trainer:2.3": scenes.image_report()})
    async with running(doctor, "i") as (app, pilot):
        await settle(app, pilot)
        assert app.current_mode == "image"
        assert doctor.images_read == ["acme/trainer:2.3"]


async def test_a_library_unfolds_to_what_it_needs_and_where_it_was_looked_for() -> None:
    doctor = Recorded(told.mismatch, images={"acme/trainer:2.3": scenes.image_report()})
    async with running(doctor, "3", scenes.inspect_image) as (app, pilot):
        pane = app.screen.query_one("#libraries", Rows)
        assert "libcudart.so.12" not in pane.text()
        await scenes.unfold(app, pilot)
        lines = pane.text().splitlines()
        assert lines[1].split()[0] == "1"
        assert lines[1].endswith("(no such folder)")
        assert lines[6].split()[0] == "·"
        assert lines[6].endswith("runpath $ORIGIN"), "how libc10_cuda.so was found"
        assert lines[7].split()[:3] == ["▶", "✓", "libcudart.so.12"], "what it needs itself"


async def test_a_report_is_exported_in_every_format_and_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from doctor.render import RENDERERS

    monkeypatch.chdir(tmp_path)
    async with running(Recorded(told.mismatch)) as (app, pilot):
        for form in RENDERERS:
            await play(app, pilot, ["e"])
            app.screen.query_one("#forms", Rows).cursor = list(RENDERERS).index(form)
            await settle(app, pilot)
            name = Path(app.screen.query_one("#path", Input).value)
            await play(app, pilot, ["enter"])
            assert "nvidia-driver-library-mismatch" in name.read_text()
            assert name.stat().st_mode & 0o077 == 0
        await play(app, pilot, ["e"])
        app.screen.query_one("#path", Input).value = str(name)
        await play(app, pilot, ["enter"])
        assert "exists" in screen_text(app)
    assert json.loads((tmp_path / "gpu-doctor-this-machine.json").read_text())["summary"]["verdict"] == "fault"


async def test_a_snapshot_is_saved_after_its_contents_were_shown_and_can_be_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with running(Recorded(told.mismatch), "s") as (app, pilot):
        assert "command:nvidia-smi" in screen_text(app)
        await play(app, pilot, ["enter"])
    saved = load(tmp_path / "gpu-doctor-snapshot.gz")
    assert "command:nvidia-smi" in saved.readings


async def test_a_recording_is_opened_and_says_so(tmp_path: Path) -> None:
    save(told.snapshot(*told.READINGS), tmp_path / "acme.gz")
    async with running(Recorded(told.mismatch), "ctrl+o") as (app, pilot):
        app.screen.query_one("#path", Input).value = str(tmp_path / "acme.gz")
        await play(app, pilot, ["enter"])
        text = screen_text(app)
        assert "REPLAY acme.gz, taken 2026-11-24" in text
        assert not app.screen.active_bindings["r"].enabled


async def test_a_file_that_is_no_snapshot_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"format": 7, "readings": {}, "tool_version": "2.0"}')
    async with running(Recorded(told.mismatch), "ctrl+o") as (app, pilot):
        app.screen.query_one("#path", Input).value = str(tmp_path / "x.json")
        await play(app, pilot, ["enter"])
        assert "format 7" in notices(app)
        assert not app.recording


async def test_own_keys_and_the_help_that_tells_them(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[report]\ncopy-commands = "c"\n')
    async with running(Recorded(told.mismatch), "c", keys=keys) as (app, pilot):
        assert app.clipboard == "sudo reboot"
        await play(app, pilot, ["question_mark"])
        row = next(line for line in screen_text(app).splitlines() if "Copy the commands of this fix" in line)
        assert " c " in row


async def test_a_damaged_key_map_is_told_and_ignored(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text("copy = [")
    async with running(Recorded(told.mismatch), "y", keys=keys) as (app, _):
        assert app.clipboard == "sudo reboot"
        assert "keys.toml" in notices(app)


async def test_every_binding_has_an_id_of_two_words_and_a_description() -> None:
    for scene in scenes.SCENES[:1] + scenes.SCENES[8:9] + scenes.SCENES[12:26:3]:
        async with running(scene.doctor(), *[step for step in scene.steps if isinstance(step, str)]) as (app, _):
            for active in app.screen.active_bindings.values():
                binding = active.binding
                if binding.id:
                    assert binding.description
                    assert len(binding.id.replace(".", "-").split("-")) >= 3, binding.id


async def test_leaving_does_not_wait_for_an_engine_that_hangs() -> None:
    doctor = Recorded(told.mismatch, hold=1)
    started = time.monotonic()
    async with running(doctor) as (_, pilot):
        await pilot.press("ctrl+q")
    assert time.monotonic() - started < 15, "the engine would have held it for 20 s"


async def test_a_text_beyond_the_clipboard_goes_to_a_file_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    async with running(Recorded(told.mismatch)) as (app, pilot):
        app.copy_out("x" * 70_000)
        await settle(app, pilot)
        path = tmp_path / "state" / "gpu-doctor" / "copied.md"
        assert path.read_text() == "x" * 70_000 + "\n"
        assert path.stat().st_mode & 0o077 == 0
        assert str(path) in notices(app)
        assert app.clipboard == "x" * 70_000
    assert [one.name for one in tmp_path.iterdir()] == ["state"]


async def test_where_no_file_can_be_written_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    async with running(Recorded(told.mismatch)) as (app, pilot):
        app.copy_out("x" * 70_000)
        await settle(app, pilot)
        assert "Export writes it where you choose" in notices(app)


async def test_a_click_moves_and_a_second_one_opens() -> None:
    async with running(Recorded(told.mismatch)) as (app, pilot):
        await pilot.click("#checks", offset=(10, 3))
        await settle(app, pilot)
        checks = app.screen.query_one("#checks", Rows)
        assert checks.has_focus
        assert checks.cursor == 2 + round(checks.scroll_offset.y)
        await pilot.click("#sections", offset=(20, 0))
        await settle(app, pilot)
        assert app.current_mode == "log"


async def test_a_pane_is_maximised_and_restored() -> None:
    async with running(Recorded(told.mismatch), "tab", "plus") as (app, pilot):
        assert app.screen.maximized is app.screen.query_one("#checks")
        await play(app, pilot, ["escape"])
        assert app.screen.maximized is None


async def test_a_resize_changes_the_form() -> None:
    async with running(Recorded(told.mismatch), *TO_FOUND, "enter") as (app, pilot):
        assert app.screen.query_one("#sources", Rows).display
        await pilot.resize_terminal(80, 24)
        await settle(app, pilot)
        assert not app.screen.query_one("#sources", Rows).display
        assert "tab: next" in screen_text(app)
        await play(app, pilot, ["tab"])
        assert "NVRM version" in screen_text(app)


async def test_the_first_screen_is_mounted_without_a_text_field() -> None:
    """An Input there asks for the app's screen before there is one, where tasks start at once (Python 3.12 and later)."""
    async with running(Recorded(told.mismatch)) as (app, pilot):
        assert not app.screen.query(Input)
        await play(app, pilot, ["slash"])
        assert isinstance(app.screen.focused, Input)
        await play(app, pilot, ["escape"])
        assert not app.screen.query(Input)


@pytest.mark.parametrize(
    ("method", "steps"),
    [
        ("examine", ()),
        ("read_image", ("3", scenes.inspect_image)),
        ("tickets", ("4", scenes.open_tickets)),
        ("explain", (paste,)),
    ],
)
async def test_a_job_that_fails_is_told_and_the_app_goes_on(
    method: str, steps: tuple[scenes.Step, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("the doctor stumbled")

    doctor = Recorded(told.mismatch)
    monkeypatch.setattr(doctor, method, fail)
    with scenes.a_folder():
        async with running(doctor, *steps) as (app, pilot):
            assert "the doctor stumbled (a mistake of gpu-doctor)" in notices(app)
            shown = screen_text(app)
            assert not any(words in shown for words in ("running ", "Reading", "reading …", "reading ━"))
            await pilot.press("5")
            assert app.current_mode == "knowledge"


async def test_an_entry_is_exported_as_the_command_line_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with running(Recorded(told.mismatch), "5", "e", "down", "enter") as (app, pilot):
        await settle(app, pilot)
    written = json.loads((tmp_path / "gpu-doctor-container-engine-unreachable.json").read_text())
    assert written["id"] == "container-engine-unreachable"


async def test_tabs_of_a_narrow_screen_are_clicked() -> None:
    doctor = Recorded(told.mismatch, images={"acme/trainer:2.3": scenes.image_report()})
    async with running(doctor, "3", scenes.inspect_image, size=scenes.NARROW) as (app, pilot):
        await pilot.click("#pane-tabs", offset=(20, 0))
        await settle(app, pilot)
        assert app.screen.query_one("#matrix", Rows).has_focus
    async with running(Recorded(told.mismatch), *TO_FOUND, "enter", size=scenes.NARROW) as (app, pilot):
        await pilot.click("#pane-tabs", offset=(9, 0))
        await settle(app, pilot)
        assert app.screen.query_one("#evidence", Rows).has_focus
        await play(app, pilot, ["K"])
        assert app.current_mode == "knowledge"


def test_a_command_with_a_word_that_is_too_long_is_shown_without_a_space_in_it() -> None:
    line = "  nvidia-smi --query-compute-apps=pid,used_memory,process_name --format=csv"
    for width in (20, 30, 46):
        assert "".join("".join(_wrapped_command(line, width)).split()) == "".join(line.split())
        assert all(len(piece) <= width for piece in _wrapped_command(line, width))
        assert "proc ess" not in "\n".join(_wrapped_command(line, width))


# Keys in one burst


def burst(app: DoctorApp, *keys: str) -> None:
    """As a terminal sends what was typed while the app was busy: all at once."""
    for key in keys:
        app.post_message(events.Key(key, key_to_character(key)))


@pytest.mark.parametrize("steps", [("1",), ("3", scenes.inspect_image), ("4",), ("5",)], ids=["1", "3", "4", "5"])
async def test_words_after_the_slash_are_no_actions(steps: tuple[scenes.Step, ...]) -> None:
    """`q`, `e` and `y` would each do something in the pane that the slash left."""
    async with running(scenes.doctor()(), *steps) as (app, pilot):
        burst(app, "slash", "e", "q", "y", "o", "K")
        await settle(app, pilot)
        assert isinstance(app.focused, Input)
        assert app.focused.value == "eqyoK"
        assert (notices(app), app.clipboard) == ("", "")


@pytest.mark.parametrize(("keys", "pane"), [(("tab",), "found"), (("tab", "tab"), "fix"), (("shift+tab",), "fix")])
async def test_a_key_right_after_tab_is_for_the_next_pane(keys: tuple[str, ...], pane: str) -> None:
    """On a narrow screen the panes stand behind each other, and the one that was left must not move."""
    async with running(Recorded(told.mismatch), "1", size=(80, 24)) as (app, pilot):
        first = app.focused
        assert isinstance(first, Rows)
        before = first.cursor
        burst(app, *keys, "G")
        await settle(app, pilot)
        assert app.focused is not first
        assert isinstance(app.focused, Rows)
        assert first.cursor == before


async def test_keys_go_through_the_sections_as_typed() -> None:
    async with running(Recorded(told.mismatch)) as (app, pilot):
        burst(app, "5", "slash", "s", "h", "m", "enter")
        await settle(app, pilot)
        assert app.current_mode == "knowledge"
        assert app.screen.query_one("#search", Input).value == "shm"
        assert app.focused is app.screen.query_one("#entries", Rows)
        burst(app, "enter", "escape", "3", "1", "question_mark", "escape", "4")
        await settle(app, pilot)
        assert app.current_mode == "triage"
        assert len(app.screen_stack) == 1


async def test_what_is_chosen_in_a_dialog_does_not_go_on_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with running(Recorded(told.mismatch)) as (app, pilot):
        burst(app, "e", "down", "enter", "5")
        await settle(app, pilot)
        assert app.current_mode == "knowledge"
    assert [one.suffix for one in tmp_path.iterdir()] == [".sarif"], "the form below Markdown"


async def test_a_paste_goes_where_the_key_before_it_led() -> None:
    async with running(Recorded(told.mismatch)) as (app, pilot):
        burst(app, "5", "slash")
        app.post_message(events.Paste("error 803"))
        burst(app, "enter")
        await settle(app, pilot)
        assert app.screen.query_one("#search", Input).value == "error 803"
        assert app.current_mode == "knowledge"


async def test_a_key_that_is_never_done_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LATE", 0.05)
    async with running(Recorded(told.mismatch)) as (app, pilot):
        monkeypatch.setattr(turns.Turns, "follow", lambda self, target: None)
        burst(app, "5", "down", "down")
        rows = None
        while not isinstance(rows, Rows) or rows.cursor < 2:
            await pilot.pause(0.02)
            rows = app.focused
        assert app.current_mode == "knowledge"


async def test_long_typing_is_not_slow() -> None:
    """A terminal without bracketed paste gives a paste key by key; each must not wait for a frame."""
    async with running(Recorded(told.mismatch), "5", "slash") as (app, pilot):
        burst(app, *("abcdefghij" * 100))
        await settle(app, pilot)
        field = app.screen.query_one("#search", Input)
        while len(field.value) < 1000:
            await pilot.pause(0.05)
        assert field.value == "abcdefghij" * 100
