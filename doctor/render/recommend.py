"""Recommendations as text and Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from doctor.recommend import VENDORS, Advice, driver_floor, gpu_label
from doctor.render.appearance import Appearance
from doctor.text import plain

# The first ways are those for this engine; the others stand behind --verbose.
SHOWN = 2


def advice_text(advice: Sequence[Advice], look: Appearance) -> str:
    """All recommendations, then what CUDA and ROCm have to do with each other."""
    blocks = ["\n".join(_one(one, look)) for one in advice]
    if not look.verbose:
        blocks.append(
            "--verbose shows the other ways to start it, compose and Kubernetes among them, and every source."
        )
    return "\n\n".join([*blocks, "\n".join(textwrap.wrap(" ".join(VENDORS), look.width))]) + "\n"


def _one(one: Advice, look: Appearance) -> Iterator[str]:
    names = _names(one)
    head = plain(one.image) if one.image else "no image that the tables support"
    yield look.paint(f"{plain(names)}: {head}", "bold" if one.image else "warning")
    if one.line:
        needs = driver_floor(one.line)
        yield f"   {plain(one.line)}" + (f"; {needs}" if needs else "")
    for limit in one.limits:
        yield from textwrap.wrap(plain(limit), look.width, initial_indent="   - ", subsequent_indent="     ")
    for way in one.ways if look.verbose else one.ways[:SHOWN]:
        yield ""
        head = f"   {way.title}" + (f"   ({way.when})" if way.when else "")
        yield from textwrap.wrap(head, look.width, subsequent_indent="     ", break_on_hyphens=False)
        # Commands are never wrapped: they are copied as they stand.
        yield from (f"     {look.paint(line, 'command')}" for line in plain(way.text).splitlines())
    yield ""
    shown = one.sources if look.verbose else one.sources[:2]
    yield look.paint(f"   Facts of {one.checked}: {' '.join(shown)}", "dim")


def _names(one: Advice) -> str:
    return ", ".join(dict.fromkeys(gpu_label(gpu) for gpu in one.gpus))


def advice_markdown(advice: Sequence[Advice]) -> str:
    """The same for a ticket or a wiki."""
    rows = []
    for one in advice:
        rows += [
            f"## {plain(_names(one))}",
            "",
            f"`{one.image}`" if one.image else "No image that the tables support.",
            "",
        ]
        rows += [f"- {plain(text)}" for text in (one.line, driver_floor(one.line), *one.limits) if text]
        for way in one.ways:
            rows += ["", f"**{way.title}**" + (f" ({way.when})" if way.when else ""), ""]
            rows += [f"```{way.language}", plain(way.text).rstrip("\n"), "```"]
        rows += ["", f"Facts of {one.checked}:", "", *(f"- {source}" for source in one.sources), ""]
    return "\n".join([*rows, *VENDORS, ""])
