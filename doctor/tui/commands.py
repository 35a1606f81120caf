"""What the command palette offers: entries, sections and themes, each as "noun: what"."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from doctor.knowledge import fill
from doctor.tui.literal import literal
from doctor.tui.status_line import SECTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from doctor.tui.app import DoctorApp


class DoctorCommands(Provider):
    """Entries of the knowledge base, sections, themes, the keys of the screen."""

    def _commands(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        app = cast("DoctorApp", self.app)
        for mode, name in SECTIONS.items():
            yield f"section: {name}", "", partial(app.switch_mode, mode)
        seen = {"back", "quit_softly"}
        for active in self.screen.active_bindings.values():
            binding = active.binding
            wanted = binding.tooltip and active.enabled and not binding.action.startswith(("app.", "section"))
            if wanted and binding.action not in seen:
                seen.add(binding.action)
                run = partial(app.run_action, binding.action, active.node)
                yield f"do: {binding.description.lower()}", f"{app.get_key_display(binding)}  {binding.tooltip}", run
        for theme in sorted(app.available_themes):
            yield f"theme: {theme}", "", partial(setattr, app, "theme", theme)
        yield "app: quit", "", partial(app.exit, 0)

    def _entries(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        app = cast("DoctorApp", self.app)
        if app.ready:
            for entry in app.doctor.base.entries.values():
                yield f"knowledge: {entry.id}", fill(entry.title, {}), partial(app.open_entry, entry.id)

    async def discover(self) -> Hits:
        for text, says, run in self._commands():
            if not text.startswith("theme: "):
                yield DiscoveryHit(literal(text), run, text=text, help=says or None)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for text, says, run in (*self._commands(), *self._entries()):
            score = max(matcher.match(text), matcher.match(says) * 0.8 if says else 0)
            if score > 0:
                yield Hit(score, literal(text), run, text=text, help=says or None)
