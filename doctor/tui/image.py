"""An image: which of its files run on which GPU, how its libraries are found, and what is wrong with it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static

from doctor.errors import UsageError
from doctor.tui.answer import WIDE, AnswerScreen
from doctor.tui.blocks import cards, gap, note, prose, title
from doctor.tui.jobs import Post
from doctor.tui.literal import clean, cut, cut_middle
from doctor.tui.log import size_words
from doctor.tui.messages import ImageInspected
from doctor.tui.rows import Lines, Row, Rows

RUNS = {
    "yes": ("✓", "success"),
    "jit": ("~", "warning"),
    "partly": ("!", "warning"),
    "no": ("✗", "error"),
    "wrong-vendor": ("–", "muted"),
    "unknown": ("?", "warning"),
}
LEGEND = "✓ code runs as it is   ~ PTX the driver compiles at first start   ✗ none fails   – other vendor   ? not known"
SHORT_LEGEND = "✓ runs   ~ compiled at first start   ✗ fails   – other vendor   ? not known"
CELL = 15
PANES = {"matrix-pane": "GPU code", "libraries": "Libraries", "found": "Findings"}


@dataclass(frozen=True, slots=True)
class LibraryRow:
    """A library, or a place where it was looked for."""

    mark: str
    style: str
    text: str
    says: str
    deep: bool = False
    folds: str = ""
    """Name of the library whose places fold under this row."""


class Matrix(Rows):
    """Left and right go through the devices; the file's name stays."""

    @dataclass
    class Panned(Message):
        by: int

    def action_pan(self, by: int) -> None:
        self.post_message(self.Panned(1 if by > 0 else -1))


class ImageScreen(AnswerScreen):
    """What an image carries."""

    SECTION = "image"
    HELP_TEXT = (
        "i chooses an image: one of the engine's, archive://FILE, oci-dir://DIR, fs://DIR. d adds a GPU to ask "
        '"will it run there?", with no GPU in this machine. ← → go through the GPUs.'
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "choose_image", "Image", id="image.choose-image", tooltip="Inspect another image"),
        Binding("d", "what_if", "What-if GPU", id="image.add-device", tooltip="Add a GPU: will it run there?"),
        Binding("a", "all_libraries", "All libraries", id="image.all-libraries",
                tooltip="Libraries of this file, or of the whole image"),
        Binding("c", "copy_row", "Copy row", id="image.copy-row", show=False, tooltip="Copy this row of the matrix"),
        Binding("left_square_bracket", "file(-1)", "Before", id="image.previous-file", key_display="[", show=False),
        Binding("right_square_bracket", "file(1)", "Next file", id="image.next-file", key_display="]", show=False),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._reference = ""
        self._gpus: list[str] = []
        self._image: dict[str, Any] | None = None
        self._first_gpu = 0
        self._all = False
        self._open: set[str] = set()
        self._words = ""
        self._pane = "matrix-pane"

    def body(self) -> Iterable[Widget]:
        yield Static("", id="image-head", markup=False)
        yield Static("", id="image-tabs", markup=False)
        with Vertical(id="matrix-pane", classes="pane") as pane:
            pane.border_title = "GPU code: does it run?"
            yield Static("", id="matrix-head", markup=False)
            yield Matrix(id="matrix", classes="plain")
            yield Static("", id="legend", markup=False)
        with Horizontal(id="image-lower"):
            yield Rows(id="libraries", title="Libraries")
            yield Rows(id="found", title="Findings from this image")
        yield Rows(id="fix", title="Fix")

    def on_mount(self) -> None:
        self.query_one("#fix").display = False
        self._draw()
        self.query_one("#matrix", Rows).focus()

    # Reading

    def inspect(self, reference: str) -> None:
        """Read an image in a job."""
        self._reference = reference
        self._image = None
        self.answer = None
        self._draw(reading=True)
        gpus = list(self._gpus)

        def work(post: Post, stop: threading.Event) -> None:
            try:
                post(ImageInspected(self.app.doctor.image(reference, gpus)))
            except UsageError as error:
                post(ImageInspected(None, str(error)))

        self.app.jobs.start("image", self, work)

    @on(ImageInspected)
    def _inspected(self, message: ImageInspected) -> None:
        self.answer = message.report
        self._image = message.report.extra.get("image") if message.report else None
        if message.report:
            self.show_report()
        else:
            self._draw(problem=message.error)

    def show_report(self) -> None:
        self._draw()
        if self.answer and (self.answer.diagnoses or self.answer.set_aside):
            self.show_findings(self.answer)
        self.refresh_bindings()

    # Drawing

    def _draw(self, *, reading: bool = False, problem: str = "") -> None:
        self.query_one("#image-head", Static).update(self._head())
        self._draw_tabs()
        if self._image is None:
            self._draw_without(reading, problem)
            return
        legend = self.query_one("#legend", Static)
        legend.display = True
        legend.update(LEGEND if self.app.size.width >= WIDE else SHORT_LEGEND)
        self._draw_matrix()
        self._draw_libraries()
        found = self.query_one("#found", Rows)
        found.title = "Findings from this image"
        found.show(cards([note("Nothing known is wrong with this image.")]), cursor=0)

    def _head(self) -> str:
        image = self._image
        if image is None:
            return f" Image  {clean(self._reference)}" if self._reference else " Image  none chosen"
        parts = [clean(str(image.get("reference", ""))), cut_middle(clean(str(image.get("digest") or "")), 18)]
        parts += [size_words(int(image.get("size") or 0)), clean(str(image.get("platform") or ""))]
        stack = (("cuda", "CUDA"), ("rocm", "ROCm"), ("glibc", "glibc"))
        parts += [f"{says} {clean(str(image[key]))}" for key, says in stack if image.get(key)]
        parts += [clean(f"{one.get('name')} {one.get('version')}") for one in image.get("frameworks") or ()]
        return " Image  " + "   ".join(part for part in parts if part)

    def _draw_without(self, reading: bool, problem: str) -> None:
        self.query_one("#matrix-head").display = False
        self.query_one("#legend").display = False
        if reading:
            blocks = [prose(f"Reading {self._reference} …"), note("Nothing of it is run.")]
        elif problem:
            blocks = [title("The image cannot be read"), prose(clean(problem)), gap(), note("i chooses another.")]
        else:
            blocks = [
                title("No image chosen. i asks for one:"),
                prose("an image of the engine (trainer:2.3), `archive://FILE`, `oci-dir://DIR`, or `fs://DIR`."),
                gap(),
                note("It is read, never run. d adds a GPU that this machine need not have."),
            ]
        self.query_one("#matrix", Rows).show(cards(blocks), cursor=0)
        self.query_one("#libraries", Rows).show(cards([note("–")]))
        self.query_one("#found", Rows).show(cards([note("–")]))

    @property
    def _files(self) -> list[dict[str, Any]]:
        files: list[dict[str, Any]] = self._image.get("code", []) if self._image else []
        return [one for one in files if self._words in str(one.get("file", "")).lower()]

    @property
    def _verdicts(self) -> list[dict[str, Any]]:
        verdicts: list[dict[str, Any]] = self._image.get("verdicts", []) if self._image else []
        return verdicts

    def _columns(self, width: int) -> tuple[int, int, int]:
        """Cells of the file's name and of what it carries, and how many GPUs fit."""
        name = 32 if width >= WIDE - 4 else 25
        carries = 30 if width >= WIDE - 4 else 0
        return name, carries, max(1, (width - name - carries - 2) // CELL)

    def _draw_matrix(self) -> None:
        pane = self.query_one("#matrix", Matrix)
        width = pane.size.width or self.app.size.width - 4
        name, carries, fit = self._columns(width)
        self._first_gpu = max(0, min(self._first_gpu, len(self._verdicts) - fit))
        shown = self._verdicts[self._first_gpu : self._first_gpu + fit]
        head = " " + cut("file", name) + (cut("carries", carries) if carries else "")
        head += "".join(cut(cut_middle(clean(str(one.get("name") or one["gpu"])), CELL - 2), CELL) for one in shown)
        second = " " * (1 + name + carries) + "".join(cut(clean(str(one["gpu"])), CELL) for one in shown)
        self.query_one("#matrix-head").display = True
        self.query_one("#matrix-head", Static).update(f"{head}\n{second}")
        more = len(self._verdicts) - len(shown)
        box = self.query_one("#matrix-pane")
        box.border_subtitle = f"{len(self._files)} files with GPU code" + (f" · ← → {more} more GPUs" if more else "")
        if not self._files:
            pane.show(cards([note("No file here carries GPU code." if not self._words else "No such file.")]), cursor=0)
        else:
            pane.show(Lines(self._files, self._matrix_row))

    def _matrix_row(self, file: dict[str, Any], width: int) -> Row:
        name, carries, fit = self._columns(width)
        path = clean(str(file.get("file", "")))
        row: list[tuple[str, str]] = [(" ", ""), (cut(cut_middle(path.rpartition("/")[2], name - 1), name), "strong")]
        if carries:
            row.append((cut(cut_middle(carried(file), carries - 1), carries), "muted"))
        for verdict in self._verdicts[self._first_gpu : self._first_gpu + fit]:
            text, style = cell(verdict, str(file.get("file", "")))
            row.append((cut(text, CELL), style))
        return row

    @on(Matrix.Panned)
    def _panned(self, message: Matrix.Panned) -> None:
        self._first_gpu += message.by
        if self._image is not None:
            self._draw_matrix()

    @on(Rows.Moved, "#matrix")
    def _file_moved(self) -> None:
        if self._image is not None:
            self._draw_libraries()

    def on_resize(self, event: events.Resize) -> None:
        if self._image is not None and self.is_mounted:
            self.call_after_refresh(self._draw_matrix)
        if self.is_mounted:
            self.show_pane(self._pane)

    def _draw_libraries(self) -> None:
        pane = self.query_one("#libraries", Rows)
        files = self._files
        at = self.query_one("#matrix", Rows).cursor
        path = str(files[at].get("file", "")) if at < len(files) else ""
        whole = self._all or not path
        pane.title = "Libraries of the image" if whole else f"Libraries of {clean(path.rpartition('/')[2])}"
        pane.say("✓ found   ✗ not found   ◆ from the driver")
        pane.show(Lines(list(self._library_rows("" if whole else path)), _library_line))

    def _library_rows(self, path: str) -> Iterable[LibraryRow]:
        listed = self._image.get("libraries", []) if self._image else []
        wanted = [one for one in listed if not path or path in (one.get("by") or ())]
        if not wanted:
            yield LibraryRow(" ", "muted", "none is told", "")
        for one in sorted(wanted, key=lambda one: (bool(one.get("found")), str(one.get("needed")))):
            yield from self._library(one)

    def _library(self, one: dict[str, Any]) -> Iterable[LibraryRow]:
        name = clean(str(one.get("needed", "")))
        provider = clean(str(one.get("provider") or ""))
        if one.get("found"):
            yield LibraryRow("✓", "success", name, clean(str(one["found"])))
            return
        if "driver" in provider:
            yield LibraryRow("◆", "note", name, f"from the {provider} at start")
            return
        searched = [clean(str(place)) for place in one.get("searched") or ()]
        says = f"not found; {provider} brings it" if provider else "not found"
        yield LibraryRow("✗", "error", name, says, folds=name if searched else "")
        if name in self._open:
            for number, place in enumerate(searched, 1):
                yield LibraryRow(str(number), "muted", place, "", deep=True)

    @on(Rows.Chosen, "#libraries")
    def _library_chosen(self, message: Rows.Chosen) -> None:
        model = message.rows.model
        if isinstance(model, Lines) and message.index < len(model):
            row = model.items[message.index]
            if isinstance(row, LibraryRow) and row.folds:
                self._open ^= {row.folds}
                self._draw_libraries()

    @on(Rows.Chosen, "#matrix")
    def _file_chosen(self) -> None:
        if self._image is None:
            self.action_choose_image()
        else:
            self.show_pane("libraries")
            self.query_one("#libraries", Rows).focus()

    # Narrow screens show one pane at a time

    def show_pane(self, name: str) -> None:
        self._pane = name
        narrow = self.app.size.width < WIDE
        for pane in PANES:
            self.query_one(f"#{pane}").display = not narrow or pane == name
        self.query_one("#image-lower").display = not narrow or name != "matrix-pane"
        if narrow and self.is_current:
            self.query_one("#matrix" if name == "matrix-pane" else f"#{name}", Rows).focus()
        self._draw_tabs()

    def _draw_tabs(self) -> None:
        count = len(self.answer.diagnoses) if self.answer else 0
        named = {**PANES, "found": f"Findings {count}" if count else "Findings"}
        words = [f"▐{says}▌" if pane == self._pane else f" {says} " for pane, says in named.items()]
        self.query_one("#image-tabs", Static).update(" " + "  ".join(words) + "   tab: next")

    def key_tab(self, event: events.Key) -> None:
        self._next_pane(event, 1)

    def key_shift_tab(self, event: events.Key) -> None:
        self._next_pane(event, -1)

    def _next_pane(self, event: events.Key, by: int) -> None:
        if self.app.size.width < WIDE:
            event.prevent_default()
            event.stop()
            names = list(PANES)
            self.show_pane(names[(names.index(self._pane) + by) % len(names)])

    # Keys

    def filter_rows(self, text: str) -> None:
        self._words = text.lower()
        if self._image is not None:
            self._draw_matrix()

    def focus_first(self) -> None:
        self.query_one("#matrix", Rows).focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("all_libraries", "copy_row", "file"):
            return True if self._image is not None else None
        return super().check_action(action, parameters)

    def action_choose_image(self) -> None:
        from doctor.tui.path_dialog import TextDialog

        ask = TextDialog("Inspect an image", "trainer:2.3, archive://FILE, oci-dir://DIR, fs://DIR", self._reference)
        self.app.push_screen(ask, lambda text: self.inspect(text) if text else None)

    def action_what_if(self) -> None:
        if self.app.ready:
            self.app.push_screen(GpuDialog(self.app.doctor.gpus()), self._add_gpu)

    def _add_gpu(self, target: str | None) -> None:
        if target and target not in self._gpus:
            self._gpus.append(target)
            if self._reference:
                self.inspect(self._reference)
            else:
                self.app.say(f"{target} will be asked about; i chooses an image.")

    def action_all_libraries(self) -> None:
        self._all = not self._all
        self._draw_libraries()

    def action_copy_row(self) -> None:
        at = self.query_one("#matrix", Rows).cursor
        if at < len(self._files):
            file = self._files[at]
            path = str(file.get("file", ""))
            cells = [f"{one['gpu']}: {cell(one, path)[0].strip()}" for one in self._verdicts]
            self.app.copy_out("\t".join([clean(path), carried(file), *cells]))

    def action_file(self, by: int) -> None:
        self.query_one("#matrix", Rows).cursor += by


def carried(file: dict[str, Any]) -> str:
    """The targets of a file's code in short: sm_50 60 70, PTX 90."""
    groups = []
    for key, prefix, says in (("cubin", "sm_", "sm_"), ("ptx", "compute_", "PTX "), ("gfx", "gfx", "gfx")):
        names = [clean(str(one)).removeprefix(prefix) for one in file.get(key) or ()]
        if names:
            groups.append(says + " ".join(names))
    return ", ".join(groups) or "no GPU code"


def cell(verdict: dict[str, Any], path: str) -> tuple[str, str]:
    """What a device makes of a file: sign and words, and a style."""
    files: Sequence[dict[str, Any]] = verdict.get("files") or ()
    found = next((one for one in files if one.get("file") == path), None)
    runs = str(found.get("runs")) if found else "unknown"
    mark, style = RUNS.get(runs, RUNS["unknown"])
    by = clean(str(found.get("by") or "")) if found else ""
    words = {
        "yes": f"code {by}",
        "jit": by.replace("compute_", "PTX ") or "PTX",
        "partly": f"partly {by}",
        "no": "none",
        "wrong-vendor": "other vendor",
    }.get(runs, "not known")
    return f"{mark} {words}", style


def _library_line(row: LibraryRow, width: int) -> Row:
    if row.deep:
        return (("   │  ", "muted"), (f"{row.mark}  {row.text}", "muted"))
    fold = "▶" if row.folds else " "
    name = cut(cut_middle(row.text, 27), 28)
    return ((f" {fold} ", "accent"), (f"{row.mark} ", row.style), (name, ""), (row.says, "muted"))


class GpuDialog(ModalScreen["str | None"]):
    """Which GPU to ask about."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel", id="dialog.cancel-it")]

    def __init__(self, gpus: Sequence[tuple[str, str]]) -> None:
        super().__init__()
        self._known = list(gpus)
        self._fitting = self._known

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog tall") as box:
            box.border_title = "Will it run on …"
            yield Input(id="gpu", placeholder="a name or a target: H100, sm_90, gfx942")
            yield Rows(id="gpus", title="GPUs")
            yield Static(" ↓ to the list   enter choose   esc leave", classes="hint", markup=False)

    def on_mount(self) -> None:
        self._list()
        self.query_one("#gpu", Input).focus()

    def _list(self) -> None:
        def row(one: tuple[str, str], width: int) -> Row:
            return ((f" {cut(clean(one[0]), 12)}", "accent"), (clean(one[1]), ""))

        self.query_one("#gpus", Rows).show(Lines(self._fitting, row), cursor=0)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        words = event.value.lower().split()
        self._fitting = [one for one in self._known if all(word in f"{one[0]} {one[1]}".lower() for word in words)]
        self._list()

    def key_down(self, event: events.Key) -> None:
        if self.query_one("#gpu").has_focus:
            event.stop()
            self.query_one("#gpus", Rows).focus()

    def key_enter(self) -> None:
        self._choose()

    @on(Input.Submitted)
    def _choose(self) -> None:
        at = self.query_one("#gpus", Rows).cursor
        if at < len(self._fitting):
            self.dismiss(self._fitting[at][0])

    def action_cancel(self) -> None:
        self.dismiss(None)
