"""The two lines at the top of every screen: which machine, and which section."""

from __future__ import annotations

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from doctor.tui.literal import cut_middle
from doctor.tui.machine import Machine
from doctor.tui.tabs import Tabs
from doctor.version import __version__

SECTIONS = {"overview": "Overview", "log": "Log", "image": "Image", "triage": "Triage", "knowledge": "Knowledge"}


class StatusLine(Static):
    """The machine in one line; what fits least important last."""

    def __init__(self) -> None:
        super().__init__(id="status", markup=False)
        self.machine = Machine()
        self.recording = ""

    def on_mount(self) -> None:
        self.watch(self.app, "machine", self._tell)

    def _tell(self, machine: Machine) -> None:
        self.machine = machine
        self.recording = getattr(self.app, "recording", "")
        self.refresh()

    def render(self) -> Content:
        machine = self.machine
        name = f" gpu-doctor {__version__}"
        parts: list[tuple[str, str]] = [(name, "bold")]
        if self.recording:
            parts.append((f"▐ REPLAY {cut_middle(self.recording, 48)} ▌", "reverse"))
        gpus = ", ".join(machine.gpus) if machine.gpus else "no GPU" if machine.looked_for_gpus else ""
        narrow = self.size.width < 100
        if narrow:
            gpus = cut_middle(gpus.replace("NVIDIA ", "").replace("AMD ", ""), 20)
        words = [
            (machine.host if narrow else f"host {machine.host}") if machine.host else "",
            gpus,
            f"driver {machine.driver}" * bool(machine.driver),
        ]
        words += [machine.engine, *machine.notes]
        parts += [(word, "") for word in words if word]
        used = 0
        shown: list[tuple[str, str] | str] = []
        for text, style in parts:
            space = "   " if shown else ""
            room = self.size.width - used - len(space)
            if cell_len(text) > room:
                text = cut_middle(text, room) if room > 16 else ""
            if text:
                shown += [space, (text, style) if style else text]
                used += cell_len(text) + len(space)
        return Content.assemble(*shown)


class Sections(Tabs):
    """The five sections."""

    def __init__(self, here: str) -> None:
        super().__init__(SECTIONS, here, id="sections")

    def words(self, name: str) -> str:
        number = list(SECTIONS).index(name) + 1
        shown = SECTIONS[name] if self.size.width >= 70 or name == self._here else SECTIONS[name][:4]
        return f"{number} {shown}"
