"""Image."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from doctor.tui.rows import Rows
from doctor.tui.section import SectionScreen


class ImageScreen(SectionScreen):
    SECTION = "image"

    def body(self) -> Iterable[Widget]:
        yield Rows(id="image", title="Image")
