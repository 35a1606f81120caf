"""The app: five sections, the keys that work everywhere, and what they share."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.reactive import reactive
from textual.screen import Screen

from doctor.errors import UsageError
from doctor.text import size_words
from doctor.tui.jobs import JobFailed, Jobs, Post
from doctor.tui.literal import clean
from doctor.tui.machine import Machine
from doctor.tui.messages import Ready
from doctor.tui.paste import take_pastes_whole
from doctor.tui.signs import AsciiFilter, wants_ascii
from doctor.tui.status_line import SECTIONS
from doctor.tui.turns import Turns

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from textual.command import Provider

    from doctor.live import Doctor

COPIED = "copied.md"
LONGEST_COPY = 64 << 10
"""Bytes that terminals take through OSC 52; what is longer goes to a file."""
WHERE_COPYING_FAILS = (
    "Where pasting gives something else (macOS Terminal, tmux without set-clipboard): export it (? names the key)."
)


def _palette() -> type[Provider]:
    """The palette's commands, imported when it is first opened."""
    from doctor.tui.commands import DoctorCommands

    return DoctorCommands


class DoctorApp(App[int]):
    """gpu-doctor on a terminal."""

    TITLE = "gpu-doctor"
    CSS_PATH = "doctor.tcss"
    DEFAULT_MODE = "overview"
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (100, "-wide")]  # noqa: RUF012 - an instance variable of App
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (15, "-short"), (32, "-tall")]  # noqa: RUF012 - likewise
    COMMANDS: ClassVar[set[Any]] = {_palette}
    COMMAND_PALETTE_DISPLAY = "^p"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(number), f"section('{mode}')", name, id=f"section.open-{mode}", show=False,
                    tooltip=f"Section {name}")
            for number, (mode, name) in enumerate(SECTIONS.items(), 1)
        ),
        Binding("question_mark", "help", "Help", id="app.show-help", key_display="?", tooltip="Keys of this screen"),
        Binding("colon", "command_palette", "Palette", id="app.open-palette", show=False, tooltip="Find a command"),
        Binding("ctrl+q", "quit", "Quit", id="app.quit-now", show=False, tooltip="Leave", priority=True),
    ]  # fmt: skip

    machine: reactive[Machine] = reactive(Machine(), init=False)
    ready: reactive[bool] = reactive(False, init=False)
    """Whether the knowledge base is loaded."""

    def __init__(
        self, doctor: Callable[[], Doctor], *, ascii_only: bool | None = None, keys: Path | None = None
    ) -> None:
        """`doctor` is called in a thread once the first screen stands; `keys` is the person's own key map."""
        super().__init__()
        take_pastes_whole()
        self._make = doctor
        self._doctor: Doctor | None = None
        self._ascii = AsciiFilter() if (wants_ascii() if ascii_only is None else ascii_only) else None
        self._keys_file = keys
        self._told_where_copying_fails = False
        self._turns = Turns(self)
        self.jobs = Jobs()
        self.recording = ""
        self.entries = 0

    @property
    def doctor(self) -> Doctor:
        """Only after `ready`."""
        assert self._doctor is not None
        return self._doctor

    async def on_event(self, event: events.Event) -> None:
        if not isinstance(event, (events.Key, events.Paste)) or event.is_forwarded:
            await super().on_event(event)
        elif self._turns.begin(event):
            target = self.focused or self.screen
            await super().on_event(event)
            self._turns.follow(target)

    def get_line_filters(self) -> Sequence[LineFilter]:
        filters = super().get_line_filters()
        return [*filters, self._ascii] if self._ascii else filters

    def on_mount(self) -> None:
        if self._keys_file:
            self._read_keys(self._keys_file)
        self.call_after_refresh(self.jobs.start, "load", self, self._load_doctor)  # draw first

    def _load_doctor(self, post: Post, stop: threading.Event) -> None:
        made = self._make()
        self._doctor = made
        post(Ready(made.checks(), len(made.base.entries), made.base.errors))

    @on(Ready)
    def _loaded(self, message: Ready) -> None:
        self.recording = self.doctor.recording
        self.entries = message.entries
        self.machine = Machine(host=self.doctor.host)
        self.ready = True
        for error in message.errors[:3]:
            self.say(error, severity="warning")

    def use(self, doctor: Doctor) -> None:
        """Show another machine: a recording, or the live one again."""
        self._make, self._doctor = lambda: doctor, doctor
        self.jobs.stop_all()
        self.ready = False
        self._loaded(Ready(doctor.checks(), self.entries, ()))

    @on(JobFailed)
    def _job_failed(self, message: JobFailed) -> None:
        self.say(f"{message.job}: {message.told} (a mistake of gpu-doctor)", severity="error")

    def _read_keys(self, path: Path) -> None:
        """The person's own keys: a TOML file of `binding-id = "keys"`."""
        import tomli

        try:
            content = tomli.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self.say(f"{path}: {error}", severity="warning")
            return
        flat = {name: keys for name, keys in content.items() if isinstance(keys, str)}
        nested = {
            f"{group}.{name}": keys
            for group, table in content.items()
            if isinstance(table, dict)
            for name, keys in table.items()
            if isinstance(keys, str)
        }
        self.set_keymap({**flat, **nested})

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        yield SystemCommand("theme: choose", "Colours: light, dark, or the terminal's own", self.action_change_theme)
        yield SystemCommand("app: quit", "Leave gpu-doctor", self.exit)

    def action_section(self, mode: str) -> None:
        self.switch_mode(mode)

    def action_help(self) -> None:
        from doctor.tui.help import HelpScreen

        self.push_screen(HelpScreen(self.screen))

    def on_paste(self, event: events.Paste) -> None:
        """A paste anywhere but in a text field is a log."""
        from doctor.tui.log import LogScreen

        if event.text.strip() and len(self.screen_stack) == 1:
            self.switch_mode("log")
            if isinstance(self.screen, LogScreen):
                self.screen.call_later(self.screen.take_paste, event.text)

    def say(self, text: str, *, severity: str = "information") -> None:
        """A short notice, taken literally."""
        known = {"information": "information", "warning": "warning", "error": "error"}
        self.notify(clean(text), severity=known[severity], markup=False, timeout=6)  # type: ignore[arg-type]

    def copy_out(self, text: str, extra: str = "") -> None:
        """To the clipboard of the terminal. Nobody answers, so it is never said to have arrived."""
        if len(text.encode()) > LONGEST_COPY:
            self._copy_to_file(text)
            return
        self.copy_to_clipboard(text)
        count = text.count("\n") + 1
        where = "" if self._told_where_copying_fails else f" {WHERE_COPYING_FAILS}"
        self._told_where_copying_fails = True
        self.say(f"Sent {count} line{'s' if count > 1 else ''} to the clipboard.{extra}{where}")

    def _copy_to_file(self, text: str) -> None:
        if self.is_web:
            self.deliver_text(io.StringIO(text + "\n"), save_filename=COPIED)
            self.say("Too long for the clipboard; sent to the browser as a file.")
            return
        from doctor.tui.export import write_new

        path = state_folder() / COPIED
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_new(path, text + "\n", replace=True)
        except (OSError, UsageError) as error:
            self.say(f"Too long for a terminal's clipboard, and {error}. Export writes it where you choose.",
                     severity="error")  # fmt: skip
            return
        self._clipboard = text
        self.say(f"Too long for a terminal's clipboard ({size_words(len(text))}); written to {path}")

    def open_link(self, address: str) -> None:
        """Open a source; where a browser would open on another machine, send the address to the clipboard."""
        from doctor.tui.section import over_ssh

        is_web = address.startswith(("https://", "http://"))
        if not is_web or over_ssh() or self.is_headless or self.is_web:
            self.copy_out(address)
        else:
            self.open_url(address)
            self.say(f"Opened {address}")

    def open_entry(self, fault: str) -> None:
        """Show an entry in the knowledge section."""
        from doctor.tui.knowledge import KnowledgeScreen

        self.switch_mode("knowledge")
        if isinstance(self.screen, KnowledgeScreen):
            self.screen.call_later(self.screen.open, fault)

    async def action_quit(self) -> None:
        self.jobs.stop_all()
        self.exit(0)


def _modes() -> dict[str, Callable[[], Screen[Any]]]:
    """Each section's screen, imported when it is first opened."""

    def overview() -> Screen[Any]:
        from doctor.tui.overview import OverviewScreen

        return OverviewScreen()

    def log() -> Screen[Any]:
        from doctor.tui.log import LogScreen

        return LogScreen()

    def image() -> Screen[Any]:
        from doctor.tui.image import ImageScreen

        return ImageScreen()

    def triage() -> Screen[Any]:
        from doctor.tui.triage import TriageScreen

        return TriageScreen()

    def knowledge() -> Screen[Any]:
        from doctor.tui.knowledge import KnowledgeScreen

        return KnowledgeScreen()

    return {"overview": overview, "log": log, "image": image, "triage": triage, "knowledge": knowledge}


DoctorApp.MODES = _modes()  # type: ignore[assignment]


def live() -> Doctor:
    """The doctor of this machine, made when the first screen stands."""
    from doctor.live import Doctor

    return Doctor()


def keys_file() -> Path:
    """Where the person's own keys lie."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.environ.get("HOME") or "/nonexistent", ".config")
    return Path(home) / "gpu-doctor" / "keys.toml"


def state_folder() -> Path:
    """Where what the app leaves behind for its person lies (XDG base directory specification)."""
    home = os.environ.get("XDG_STATE_HOME") or os.path.join(os.environ.get("HOME") or "/nonexistent", ".local", "state")
    return Path(home) / "gpu-doctor"


def run() -> int:
    """The app on this terminal; its exit code."""
    return DoctorApp(live, keys=keys_file()).run() or 0
