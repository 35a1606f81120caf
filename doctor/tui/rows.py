"""The one list of the app: thousands of rows or a gigabyte of log, of which only those in sight are drawn.

A row is a few pieces of literal text with the name of a style each. What is shown comes from a model that is asked
for the rows in sight; nothing is laid out ahead of it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import ClassVar, Generic, Protocol, TypeVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

Piece = tuple[str, str]
"""Text and the name of its style, or an empty name."""
Row = Sequence[Piece]
Item = TypeVar("Item")

STYLES = ("muted", "error", "warning", "note", "success", "command", "strong", "accent", "quote", "code", "mark")


class Model(Protocol):
    """What a list shows."""

    @property
    def width(self) -> int:
        """Cells of the widest row; 0: rows fit themselves to the pane."""
        ...

    def __len__(self) -> int: ...

    def rows(self, index: int, width: int) -> Sequence[Row]:
        """The rows of one item, for a pane of this width."""
        ...

    def heights(self, width: int) -> Sequence[int] | None:
        """Rows of each item; None where each has one."""
        ...


class Lines(Generic[Item]):
    """Items of one row each; any number of them."""

    width = 0

    def __init__(self, items: Sequence[Item], row: Callable[[Item, int], Row]) -> None:
        self.items = items
        self._row = row

    def __len__(self) -> int:
        return len(self.items)

    def rows(self, index: int, width: int) -> Sequence[Row]:
        return (self._row(self.items[index], width),)

    def heights(self, width: int) -> None:
        return None


class Cards(Generic[Item]):
    """A few items of several rows each."""

    width = 0

    def __init__(self, items: Sequence[Item], rows: Callable[[Item, int], Sequence[Row]]) -> None:
        self.items = items
        self._rows = rows

    def __len__(self) -> int:
        return len(self.items)

    def rows(self, index: int, width: int) -> Sequence[Row]:
        return self._rows(self.items[index], width)

    def heights(self, width: int) -> Sequence[int]:
        return [len(self._rows(item, width)) for item in self.items]


class Rows(ScrollView, can_focus=True):
    """A list with a cursor. Keys move it; Enter, or a click on the row it stands on, chooses."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "rows--cursor",
        "rows--cursor-blurred",
        "rows--selection",
        *(f"rows--{name}" for name in STYLES),
    }
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "up", "Up", id="list.go-up", show=False),
        Binding("down,j", "down", "Down", id="list.go-down", show=False),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", id="list.page-up", show=False),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", id="list.page-down", show=False),
        Binding("home,g", "first", "First row", id="list.go-first", show=False),
        Binding("end,G", "last", "Last row", id="list.go-last", show=False),
        Binding("left,h", "pan(-8)", "Pan left", id="list.pan-left", show=False),
        Binding("right,l", "pan(8)", "Pan right", id="list.pan-right", show=False),
    ]

    cursor: reactive[int] = reactive(0, repaint=False)

    @dataclass
    class Moved(Message):
        """The cursor stands on another item."""

        rows: Rows
        index: int

        @property
        def control(self) -> Rows:
            return self.rows

    @dataclass
    class Chosen(Message):
        """An item was chosen."""

        rows: Rows
        index: int

        @property
        def control(self) -> Rows:
            return self.rows

    def __init__(self, *, id: str, title: str = "", cursor: bool = True, classes: str = "pane") -> None:
        super().__init__(id=id, classes=classes)
        self._model: Model = Lines[str]((), lambda item, width: ())
        self._starts: list[int] | None = None
        self._pane_width = 0
        self._has_cursor = cursor
        self._styles: dict[str, Style] = {}
        self.title = title

    @property
    def title(self) -> str:
        return self._title

    @title.setter
    def title(self, text: str) -> None:
        from doctor.tui.literal import literal

        self._title = text
        self.border_title = literal(text)

    def say(self, text: str) -> None:
        """The words at the right of the title."""
        from doctor.tui.literal import literal

        self.border_subtitle = literal(text) if text else None

    @property
    def model(self) -> Model:
        return self._model

    def show(self, model: Model, *, cursor: int | None = None) -> None:
        """Show other content. The cursor stays where it was unless told."""
        self._model = model
        self._pane_width = 0
        self._measure()
        wanted = self.cursor if cursor is None else cursor
        self.cursor = max(0, min(wanted, len(model) - 1))
        if cursor is not None:
            self.call_after_refresh(self.scroll_to_cursor)
        self.refresh()

    def refresh_item(self, index: int) -> None:
        """Draw one item again; its height must not have changed."""
        top, height = self.place(index)
        self.refresh(Region(0, top - self.scroll_offset.y, self.size.width, height))

    def place(self, index: int) -> tuple[int, int]:
        """First row and number of rows of an item."""
        if self._starts is None:
            return index, 1
        return self._starts[index], self._starts[index + 1] - self._starts[index]

    def _measure(self) -> None:
        width = self.scrollable_content_region.width or self.size.width
        if width == self._pane_width and width:
            return
        self._pane_width = width
        heights = self._model.heights(width) if width else None
        self._starts = None if heights is None else [0, *accumulate(heights)]
        total = len(self._model) if self._starts is None else self._starts[-1]
        self.virtual_size = Size(self._model.width, total)

    def on_resize(self) -> None:
        self._pane_width = 0
        self._measure()
        self.call_after_refresh(self.scroll_to_cursor)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    def validate_cursor(self, value: int) -> int:
        return max(0, min(value, len(self._model) - 1))

    def watch_cursor(self, old: int, new: int) -> None:
        if old != new:
            self.refresh()
            self.scroll_to_cursor()
            self.call_after_refresh(self.scroll_to_cursor)  # again, should the pane not have its size yet
            self.post_message(self.Moved(self, new))

    def scroll_to_cursor(self) -> None:
        if not len(self._model) or not self._has_cursor:
            return
        top, height = self.place(self.cursor)
        visible = self.scrollable_content_region.height
        y = self.scroll_offset.y
        if top < y or height >= visible:
            self.scroll_to(y=top, animate=False, immediate=True)
        elif top + height > y + visible:
            self.scroll_to(y=top + height - visible, animate=False, immediate=True)

    def action_up(self) -> None:
        self._step(-1)

    def action_down(self) -> None:
        self._step(1)

    def _step(self, by: int) -> None:
        """To the next item; first along an item that is taller than the pane."""
        if not self._has_cursor:
            self.scroll_relative(y=by, animate=False)
            return
        if not len(self._model):
            return
        top, height = self.place(self.cursor)
        y, visible = self.scroll_offset.y, self.scrollable_content_region.height
        hidden = top + height - (y + visible) if by > 0 else y - top
        if height > visible and hidden > 0:
            self.scroll_to(y=y + by, animate=False, immediate=True)
        elif by < 0 and self.cursor == 0:
            self.scroll_to(y=0, animate=False, immediate=True)
        else:
            self.cursor += by

    def action_page(self, by: int) -> None:
        visible = max(1, self.scrollable_content_region.height)
        if not self._has_cursor:
            self.scroll_relative(y=by * visible, animate=False)
            return
        if len(self._model):
            self.cursor = self.item_at(self.place(self.cursor)[0] + by * visible)

    def action_first(self) -> None:
        self.cursor = 0
        self.scroll_to(y=0, animate=False, immediate=True)

    def action_last(self) -> None:
        self.cursor = len(self._model) - 1
        if not self._has_cursor:
            self.scroll_end(animate=False, immediate=True)

    def action_pan(self, by: int) -> None:
        self.scroll_relative(x=by, animate=False)

    def action_choose(self) -> None:
        if len(self._model):
            self.post_message(self.Chosen(self, self.cursor))

    def item_at(self, row: int) -> int:
        """The item that a row belongs to."""
        if self._starts is not None:
            row = bisect_right(self._starts, max(0, row)) - 1
        return max(0, min(row, len(self._model) - 1))

    def on_click(self, event: events.Click) -> None:
        if self.text_selection or not len(self._model) or not self._has_cursor:
            return
        offset = event.get_content_offset(self)
        if offset is None or offset.y + self.scroll_offset.y >= self.virtual_size.height:
            return
        index = self.item_at(offset.y + self.scroll_offset.y)
        if index == self.cursor:
            self.action_choose()
        else:
            self.cursor = index

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            whole = self.get_component_rich_style(f"rows--{name}")
            background = whole.bgcolor if name == "selection" else None
            style = Style(color=whole.color, bgcolor=background, bold=whole.bold, underline=whole.underline)
            self._styles[name] = style
        return style

    def render_line(self, y: int) -> Strip:
        left, top = self.scroll_offset
        y += top
        width = self.size.width
        base = self.rich_style
        if y >= self.virtual_size.height or not len(self._model):
            return Strip.blank(width, base)
        index = self.item_at(y)
        start = self.place(index)[0]
        rows = self._model.rows(index, self._pane_width or width)
        row = rows[y - start] if y - start < len(rows) else ()
        is_plain = False
        if self._has_cursor and index == self.cursor:
            base = self.get_component_rich_style("rows--cursor" if self.has_focus else "rows--cursor-blurred")
            is_plain = bool(base.reverse)  # colours of its own would be turned round too, each piece another
        segments = [
            Segment(text, base + (self._style(name).without_color if is_plain else self._style(name)) if name else base)
            for text, name in row
            if text
        ]
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(y)) is not None:
            segments = _selected(segments, span, self._style("selection"))
        strip = Strip(segments)
        room = left + (self.scrollable_content_region.width or width)
        if strip.cell_length > room and strip.crop(room).text.strip():
            strip = Strip([*strip.crop(0, room - 1), Segment("…", base)])
        strip = strip.crop_extend(left, left + width, base)
        return strip.apply_offsets(left, y)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text: only the rows it spans are asked for."""
        first = selection.start.y if selection.start else 0
        last = selection.end.y if selection.end else self.virtual_size.height - 1
        texts = []
        for y in range(first, min(last, self.virtual_size.height - 1) + 1):
            index = self.item_at(y)
            rows = self._model.rows(index, self._pane_width)
            at = y - self.place(index)[0]
            text = "".join(piece for piece, _ in rows[at]) if at < len(rows) else ""
            begin, end = selection.get_span(y) or (0, -1)
            texts.append(text[begin : None if end == -1 else end].rstrip())
        return "\n".join(texts), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def text(self) -> str:
        """All that is shown, as plain lines: for tests and for copying."""
        width = self._pane_width or 80
        rows: Iterable[Row] = (row for index in range(len(self._model)) for row in self._model.rows(index, width))
        return "\n".join("".join(piece for piece, _ in row).rstrip() for row in rows)


def _selected(segments: list[Segment], span: tuple[int, int], style: Style) -> list[Segment]:
    begin, end = span
    done: list[Segment] = []
    at = 0
    for text, own, _ in segments:
        size = len(text)
        low = min(max(begin - at, 0), size)
        high = size if end == -1 else min(max(end - at, 0), size)
        for piece, marked in ((text[:low], False), (text[low:high], True), (text[high:], False)):
            if piece:
                done.append(Segment(piece, (own or Style.null()) + style if marked else own))
        at += size
    return done


def row_width(row: Row) -> int:
    """Cells of a row."""
    return sum(cell_len(text) for text, _ in row)
