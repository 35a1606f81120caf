"""An image: whether it runs on which GPU, what its files carry, how its libraries are found, what is wrong with it."""

from __future__ import annotations

import posixpath
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from textual import events, on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from doctor.errors import UsageError
from doctor.text import size_words
from doctor.tui.answer import AnswerScreen
from doctor.tui.blocks import cards, gap, note, prose, title
from doctor.tui.choose import ChooseDialog
from doctor.tui.jobs import JobFailed, Post, now_and_then
from doctor.tui.literal import clean, cut, cut_middle, wrap
from doctor.tui.messages import ImageInspected, ImageProgress, ImagesListed
from doctor.tui.panes import WIDE, TabbedScreen
from doctor.tui.rows import Cards, Lines, Row, Rows
from doctor.tui.tabs import PaneTabs
from doctor.words import NOTHING_WRONG

if TYPE_CHECKING:
    from doctor.image.examination import Progress
    from doctor.image.record import Contents

RUNS = {
    "yes": ("✓", "runs", "success"),
    "jit": ("~", "compiles", "warning"),
    "partly": ("!", "partly", "warning"),
    "no": ("✗", "fails", "error"),
    "wrong-vendor": ("–", "vendor", "muted"),
    "unknown": ("?", "unknown", "warning"),
}
"""Sign, word and style of each verdict."""
LEGEND = "✓ machine code: runs   ~ PTX: compiled at first start   ✗ no code: fails   – other vendor   ? not known"
SHORT_LEGEND = "✓ runs  ~ compiled at start  ✗ no code: fails  – other vendor  ? not known"
BRANDS = ("NVIDIA ", "AMD ", "GeForce ", "Instinct ", "Radeon ", "Tesla ", "Quadro ")
NARROWEST_CELL, WIDEST_CELL = 14, 22
BAR = 30
DEEPEST = 12
"""Levels of the tree of libraries."""


@dataclass(frozen=True, slots=True)
class LibraryRow:
    """A library that something needs, or a place where it was looked for."""

    depth: int
    mark: str
    style: str
    text: str
    says: str
    folds: str = ""
    """What opens and closes what stands under this row; empty: nothing does."""
    is_open: bool = False
    path: str = ""


class Matrix(Rows):
    """Left and right go through the devices; the file's name stays."""

    @dataclass
    class Panned(Message):
        by: int

    def action_pan(self, by: int) -> None:
        self.post_message(self.Panned(1 if by > 0 else -1))

    def on_resize(self) -> None:
        self.post_message(self.Panned(0))  # the heading stands in another widget


class ImageScreen(AnswerScreen, TabbedScreen):
    """What an image carries."""

    SECTION = "image"
    PANES: ClassVar[dict[str, str]] = {
        "verdicts": "Does it run?", "matrix-pane": "GPU code", "libraries": "Libraries", "found": "Findings"
    }  # fmt: skip
    HELP_TEXT = (
        "i chooses an image: one of the engine's, archive://FILE, oci-dir://DIR, fs://DIR, container://NAME. It is "
        "read, never run. d adds a GPU that need not be in this machine: will it run there? x takes it away. ← → go "
        "through the GPUs of the table; Enter on a library opens what it needs, or where it was looked for."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i", "choose_image", "Image", id="image.choose-image", tooltip="Inspect another image"),
        Binding("d", "what_if", "What-if GPU", id="image.add-device", tooltip="Add a GPU: will it run there?"),
        Binding("a", "all_libraries", "All libraries", id="image.all-libraries",
                tooltip="Libraries of this file, or of the whole image"),
        Binding("x", "forget_gpu", "Take GPU away", id="image.remove-device", show=False,
                tooltip="Take the last what-if GPU away, or the one under the cursor"),
        Binding("c", "copy_row", "Copy row", id="image.copy-row", show=False, tooltip="Copy this row of the table"),
        Binding("r,ctrl+r", "again", "Read again", id="image.read-again", show=False, tooltip="Read the image again"),
        Binding("left_square_bracket", "file(-1)", "Before", id="image.previous-file", key_display="[", show=False),
        Binding("right_square_bracket", "file(1)", "Next file", id="image.next-file", key_display="]", show=False),
    ]  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._reference = ""
        self._gpus: list[str] = []
        """Names of the what-if GPUs."""
        self._contents: Contents | None = None
        self._image: dict[str, Any] | None = None
        self._images: tuple[tuple[str, int], ...] = ()
        self._reading = False
        self._problem = ""
        self._first_gpu = 0
        self._all = False
        self._open: set[str] = set()
        self._words = ""
        self.pane = "verdicts"

    def body(self) -> Iterable[Widget]:
        yield Static("", id="image-head", markup=False)
        yield PaneTabs(self.PANES, self.pane, id="pane-tabs")
        yield Rows(id="intro", title="Image")
        yield Rows(id="verdicts", title="Does it run?")
        with Vertical(id="matrix-pane", classes="pane") as pane:
            pane.border_title = "GPU code"
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
        self.query_one("#intro", Rows).focus()
        self.watch(self.app, "ready", self._ready)

    def _ready(self, ready: bool) -> None:
        if ready:
            self._list_images()

    # Reading

    def _list_images(self) -> None:
        def work(post: Post, stop: threading.Event) -> None:
            post(ImagesListed(tuple(self.app.doctor.images())))

        self.app.jobs.start("images", self, work)

    @on(ImagesListed)
    def _listed(self, message: ImagesListed) -> None:
        self._images = message.images
        self._draw_intro()

    def inspect(self, reference: str) -> None:
        """Read an image in a job."""
        self._reference, self._contents, self._image, self.answer = reference, None, None, None
        self._reading, self._problem = True, ""
        self._open.clear()
        self._draw()
        if self.is_current:
            self.focus_first()
        gpus = tuple(self._gpus)

        def work(post: Post, stop: threading.Event) -> None:
            from doctor.image.examination import Cancelled

            def tell(progress: Progress) -> None:
                post(ImageProgress(progress.what, progress.done, progress.total))

            try:
                contents = self.app.doctor.read_image(reference, now_and_then(tell), stop)
                post(ImageInspected(contents, self.app.doctor.judge_image(contents, gpus)))
            except UsageError as error:
                post(ImageInspected(None, None, str(error)))
            except Cancelled:
                return

        self.app.jobs.start("image", self, work)

    def _judge(self) -> None:
        """Ask about other GPUs; the image need not be read again."""
        contents, gpus = self._contents, tuple(self._gpus)
        if contents is None:
            return

        def work(post: Post, stop: threading.Event) -> None:
            post(ImageInspected(contents, self.app.doctor.judge_image(contents, gpus)))

        self.app.jobs.start("image", self, work)

    @on(ImageProgress)
    def _progress(self, message: ImageProgress) -> None:
        if self._reading:
            self._draw_intro(message)

    @on(ImageInspected)
    def _inspected(self, message: ImageInspected) -> None:
        self._reading = False
        self._problem = message.error
        are_others = (message.report is None) != (self._image is None)
        self._contents, self.answer = message.contents, message.report
        self._image = message.report.extra.get("image") if message.report else None
        self._draw()
        if are_others and self.is_current:  # other panes than before
            self.focus_first()

    @on(JobFailed)
    def _job_failed(self, message: JobFailed) -> None:
        """The app tells it; here nothing must look as if it still went on."""
        if message.job == "image":
            self._reading, self._problem = False, f"{message.told} (a mistake of gpu-doctor)"
            self._draw()

    # Drawing

    def _draw(self) -> None:
        self.query_one("#image-head", Static).update(cut(self._head(), self.app.size.width))
        self._show_panes()
        if self._image is None or self.answer is None:
            self._draw_intro()
            return
        self.query_one("#legend", Static).update(SHORT_LEGEND if self.is_narrow else LEGEND)
        self._draw_verdicts()
        self._draw_matrix()
        self._draw_libraries()
        if self.answer.diagnoses or self.answer.set_aside:
            self.show_findings(self.answer)
        else:
            found = self.query_one("#found", Rows)
            found.title = "Findings from this image"
            found.show(cards([note(f"{NOTHING_WRONG} with this image.")]), cursor=0)
        self.refresh_bindings()

    def _head(self) -> str:
        image = self._image
        if image is None:
            return f" Image  {clean(self._reference)}" if self._reference else " Image  none chosen"
        stack = (("cuda", "CUDA"), ("cudnn", "cuDNN"), ("rocm", "ROCm"), ("glibc", "glibc"), ("musl", "musl"))
        parts = [clean(str(image.get("reference", ""))), size_words(int(image.get("size") or 0))]
        frameworks = [(one.get("name"), one.get("version")) for one in image.get("frameworks") or ()]
        parts += [clean(" ".join(filter(None, one))) for one in frameworks]
        parts += [f"{says} {clean(str(image[key]))}" for key, says in stack if image.get(key)]
        parts += [clean(str(image.get(key) or "")) for key in ("distribution", "platform")]
        parts.append(cut_middle(clean(str(image.get("digest") or "")), 18))
        return " Image  " + "   ".join(part for part in parts if part)

    def _draw_intro(self, progress: ImageProgress | None = None) -> None:
        """What stands where no image is shown: how to begin, how far it is, or why it cannot be read."""
        pane = self.query_one("#intro", Rows)
        pane.title = "Image"
        if self._reading:
            pane.show(cards([prose(f"Reading {clean(self._reference)}"), *_bar(progress), gap(),
                             note("Nothing of it is run. esc stops.")]), cursor=0)  # fmt: skip
        elif self._problem:
            pane.show(cards([title("The image cannot be read"), prose(clean(self._problem)), gap(),
                             note("i chooses another, r tries again.")]), cursor=0)  # fmt: skip
        elif self._images:
            pane.title = "Which image? Enter reads it; i takes an archive or a folder"
            pane.show(Lines(self._images, _image_line))
        else:
            pane.show(cards([
                title("No image chosen. i asks for one:"),
                prose("an image of the engine (trainer:2.3), a container (`container://trainer`), a file of docker "
                      "save (`archive://FILE`), `oci-dir://DIR`, or an unpacked root (`fs://DIR`)."),
                gap(),
                note("It is read, never run. d adds a GPU that this machine need not have."),
            ]), cursor=0)  # fmt: skip

    @on(Rows.Chosen, "#intro")
    def _intro_chosen(self, message: Rows.Chosen) -> None:
        if self._images and not self._reading and not self._problem:
            self.inspect(self._images[message.index][0])
        elif not self._reading:
            self.action_choose_image()

    @property
    def _files(self) -> list[dict[str, Any]]:
        files: list[dict[str, Any]] = self._image.get("code", []) if self._image else []
        return [one for one in files if self._words in str(one.get("file", "")).lower()]

    @property
    def _verdicts(self) -> list[dict[str, Any]]:
        verdicts: list[dict[str, Any]] = self._image.get("verdicts", []) if self._image else []
        return verdicts

    def _draw_verdicts(self) -> None:
        pane = self.query_one("#verdicts", Rows)
        if self._verdicts:
            pane.show(Cards(self._verdicts, self._verdict_rows))
        else:
            pane.show(cards([note("No GPU is in this machine, or none that is known. d adds one: will it run there?")]))
        pane.say("d adds a GPU")
        pane.styles.height = "1fr" if self.is_narrow else min(pane.virtual_size.height, 8) + 2

    def _verdict_rows(self, verdict: dict[str, Any], width: int) -> list[Row]:
        mark, word, style = RUNS.get(str(verdict.get("runs")), RUNS["unknown"])
        name = clean(str(verdict.get("name") or verdict["gpu"]))
        whatif = "what if" if name in self._gpus else "here"
        named = cut_middle(f"{name} ({clean(str(verdict['gpu']))})", 33)
        head: Row = ((f" {mark} {word:<9}", style), (f"{whatif:<9}", "muted"), (cut(named, 34), "strong"))
        because = clean(str(verdict.get("because") or ""))
        if width < WIDE - 4:
            return [head, *(((f"   {piece}", ""),) for piece in wrap(because, width - 4)), ()]
        first, *more = wrap(because, width - 56)
        return [(*head, (first, "")), *(((" " * 55 + piece, ""),) for piece in more)]

    def _columns(self, width: int) -> tuple[int, int, int, int]:
        """Cells of the file's name, of what it carries and of a GPU, and how many GPUs fit."""
        wide = width >= WIDE - 4
        name, carries = (32, 30) if wide else (25, 0)
        room = width - name - carries - 2
        count = max(1, min(len(self._verdicts), room // NARROWEST_CELL))
        return name, carries, min(WIDEST_CELL, room // count), count

    def _draw_matrix(self) -> None:
        pane = self.query_one("#matrix", Matrix)
        width = pane.scrollable_content_region.width or self.app.size.width - 5  # as its rows are drawn
        name, carries, size, fit = self._columns(width)
        self._first_gpu = max(0, min(self._first_gpu, len(self._verdicts) - fit))
        shown = self._verdicts[self._first_gpu : self._first_gpu + fit]
        head = " " + cut("file", name) + (cut("carries", carries) if carries else "")
        head += "".join(cut(_short_name(one, size - 1), size) for one in shown)
        second = " " * (1 + name + carries) + "".join(cut(clean(str(one["gpu"])), size) for one in shown)
        self.query_one("#matrix-head", Static).update(f"{head}\n{second}")
        more = len(self._verdicts) - len(shown)
        box = self.query_one("#matrix-pane")
        box.border_subtitle = f"{len(self._files)} files with GPU code" + (f" · ← → {more} more GPUs" if more else "")
        if not self._files:
            pane.show(cards([note("No file here carries GPU code." if not self._words else "No such file.")]), cursor=0)
        else:
            pane.show(Lines(self._files, self._matrix_row))

    def _matrix_row(self, file: dict[str, Any], width: int) -> Row:
        name, carries, size, fit = self._columns(width)
        path = clean(str(file.get("file", "")))
        row: list[tuple[str, str]] = [(" ", ""), (cut(cut_middle(_base(path), name - 1), name), "strong")]
        if carries:
            row.append((cut(cut_middle(carried(file), carries - 1), carries), "muted"))
        for verdict in self._verdicts[self._first_gpu : self._first_gpu + fit]:
            text, style = cell(verdict, str(file.get("file", "")))
            row.append((cut(text, size), style))
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
        if self.is_mounted:
            self._show_panes()
            self.call_after_refresh(self._draw)

    # Libraries

    def _draw_libraries(self) -> None:
        pane = self.query_one("#libraries", Rows)
        files = self._files
        at = self.query_one("#matrix", Rows).cursor
        path = str(files[at].get("file", "")) if at < len(files) else ""
        whole = self._all or not path
        pane.title = "Libraries of the image" if whole else f"Libraries of {clean(_base(path))}"
        pane.say("✓ found   ✗ not found   ◆ from the driver")
        rows = list(self._library_rows("" if whole else posixpath.normpath(path)))
        none = LibraryRow(0, " ", "muted", "It needs none of CUDA, ROCm or the driver.", "")
        pane.show(Lines(rows or [none], _library_line))

    def _library_rows(self, path: str, depth: int = 0, chain: str = "") -> Iterator[LibraryRow]:
        """What a file needs, and what is opened under that; without a path all libraries that are told of."""
        listed: list[dict[str, Any]] = self._image.get("libraries", []) if self._image else []
        wanted = [one for one in listed if not path or path in map(posixpath.normpath, one.get("by") or ())]
        for one in sorted(wanted, key=lambda one: (_library_kind(one), str(one.get("needed")))):
            row = self._library(one, depth, chain)
            yield row
            if row.is_open and row.path:
                yield LibraryRow(depth + 1, "·", "muted", f"{row.path}, {clean(str(one.get('how') or 'found'))}", "")
                yield from self._library_rows(row.path, depth + 1, row.folds) if depth < DEEPEST else ()
            elif row.is_open:
                for number, place in enumerate(one.get("searched") or (), 1):
                    yield LibraryRow(depth + 1, str(number), "muted", clean(str(place)), "")

    def _library(self, one: dict[str, Any], depth: int, chain: str) -> LibraryRow:
        name = clean(str(one.get("needed", "")))
        provider = clean(str(one.get("provider") or ""))
        key = f"{chain}/{name}"
        how = clean(str(one.get("how") or one.get("kind") or ""))
        is_open = key in self._open
        if one.get("found"):
            path = clean(posixpath.normpath(str(one["found"])))
            says = f"{clean(str(one.get('kind') or ''))}: {path}"
            return LibraryRow(depth, "✓", "success", name, says, key, is_open, path)
        if one.get("kind") == "from-driver":
            return LibraryRow(depth, "◆", "note", name, "the driver brings it at start")
        searched = one.get("searched")
        if one.get("kind") == "optional":
            return LibraryRow(depth, "–", "muted", name, how, key if searched else "", is_open)
        says = f"{how}; {provider} brings it" if provider else how
        return LibraryRow(depth, "✗", "error", name, says, key if searched else "", is_open)

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
        self._to("libraries", "libraries")

    @on(Rows.Chosen, "#verdicts")
    def _verdict_chosen(self) -> None:
        self._to("matrix-pane", "matrix")

    def _to(self, pane: str, rows: str) -> None:
        self.show_pane(pane)
        self.query_one(f"#{rows}", Rows).focus()

    # Narrow screens show one pane at a time

    def _show_panes(self) -> None:
        """Which panes there are: the beginning, or those of an image."""
        narrow = self.is_narrow
        self.query_one("#intro").display = not self.has_panes
        for pane in self.PANES:
            self.query_one(f"#{pane}").display = self.has_panes and (not narrow or pane == self.pane)
        self.query_one("#image-lower").display = self.has_panes and (not narrow or self.pane in ("libraries", "found"))
        count = len(self.answer.diagnoses) if self.answer else 0
        tabs = self.query_one(PaneTabs)
        tabs.display = self.has_panes and narrow
        tabs.tell(self.pane, {**self.PANES, "found": f"Findings {count}" if count else "Findings"})

    @property
    def has_panes(self) -> bool:
        return self._image is not None

    def show_pane(self, name: str) -> None:
        self.pane = name
        self._show_panes()
        if self.is_current:
            self.focus_first()

    # Keys

    def filter_rows(self, text: str) -> None:
        self._words = text.lower()
        if self._image is not None:
            self._draw_matrix()
            self._draw_libraries()

    def focus_first(self) -> None:
        if self._image is None:
            name = "intro"
        elif not self.is_narrow:
            name = "verdicts"
        else:
            name = "matrix" if self.pane == "matrix-pane" else self.pane
        self.query_one(f"#{name}", Rows).focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("all_libraries", "copy_row", "file", "filter"):
            return True if self._image is not None else None
        if action == "forget_gpu":
            return True if self._gpus else None
        if action == "again":
            return True if self._reference else None
        return super().check_action(action, parameters)

    def action_choose_image(self) -> None:
        hint = "trainer:2.3, container://trainer, archive://FILE, oci-dir://DIR, fs://DIR"
        known = [(name, size_words(size)) for name, size in self._images]
        ask = ChooseDialog("Inspect an image", hint, known, is_free=True)
        self.app.push_screen(ask, lambda text: self.inspect(text) if text else None)
        if self.app.ready:
            self._list_images()

    def action_again(self) -> None:
        self.inspect(self._reference)

    def action_what_if(self) -> None:
        if self.app.ready:
            known = [(name, target) for target, name in self.app.doctor.gpus()]
            ask = ChooseDialog("Will it run on …", "a name or a target: H100, sm_90, gfx942", known)
            self.app.push_screen(ask, self._add_gpu)

    def _add_gpu(self, name: str | None) -> None:
        if name and name not in self._gpus:
            self._gpus.append(name)
            self._judge()
            if not self._reference:
                self.app.say(f"{name} will be asked about; i chooses an image.")

    def action_forget_gpu(self) -> None:
        at = self.query_one("#verdicts", Rows).cursor
        name = str(self._verdicts[at].get("name")) if at < len(self._verdicts) else ""
        self._gpus.remove(name if name in self._gpus else self._gpus[-1])
        self._judge()

    def action_back(self) -> None:
        if self._reading:
            self.app.jobs.stop("image")
            self._reading, self._problem = False, "It was stopped; layers that were read are kept."
            self._draw()
        else:
            super().action_back()

    def action_all_libraries(self) -> None:
        self._all = not self._all
        self._draw_libraries()

    def action_copy_row(self) -> None:
        at = self.query_one("#matrix", Rows).cursor
        if at < len(self._files):
            file = self._files[at]
            path = str(file.get("file", ""))
            cells = [f"{clean(str(one['gpu']))}: {cell(one, path)[0].strip()}" for one in self._verdicts]
            self.app.copy_out("\t".join([clean(path), carried(file), *cells]))

    def action_file(self, by: int) -> None:
        self.query_one("#matrix", Rows).cursor += by


def _bar(progress: ImageProgress | None) -> Iterator[Any]:
    """How far it is, in amounts."""
    if progress is None:
        return
    words = f"{clean(progress.what)}   {size_words(progress.done)}"
    if progress.total:
        full = min(BAR, BAR * progress.done // progress.total)
        words = f"{'━' * full}{'─' * (BAR - full)}   {words} of {size_words(progress.total)}"
    yield note(words)


def _image_line(one: tuple[str, int], width: int) -> Row:
    return ((f" {cut(cut_middle(clean(one[0]), width - 16), width - 14)} ", "strong"), (size_words(one[1]), "muted"))


def _base(path: str) -> str:
    """The file's name; of a whole folder of kernels the folder's."""
    return path.rpartition("/")[2] if not path.endswith("/*") else "/".join(path.split("/")[-2:])


def _short_name(verdict: dict[str, Any], width: int) -> str:
    name = clean(str(verdict.get("name") or verdict["gpu"]))
    for brand in BRANDS:
        name = name.removeprefix(brand) if len(name) > width else name
    return cut_middle(name, width)


def _library_kind(one: dict[str, Any]) -> int:
    """Missing first, then what the driver brings, then what is found, then what nobody misses."""
    if one.get("found"):
        return 2
    return {"from-driver": 1, "optional": 3}.get(str(one.get("kind")), 0)


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
    mark, _, style = RUNS.get(runs, RUNS["unknown"])
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
    fold = ("▼" if row.is_open else "▶") if row.folds else " "
    indent = "  " * row.depth
    if not row.says:
        text = cut_middle(row.text, width - len(indent) - 6)
        return ((f" {indent}{fold} ", "accent"), (f"{row.mark} ", row.style), (text, "muted"))
    name = cut(cut_middle(row.text, 27), 28)
    says = cut_middle(row.says, width - len(indent) - 33)
    return ((f" {indent}{fold} ", "accent"), (f"{row.mark} ", row.style), (name, ""), (says, "muted"))
