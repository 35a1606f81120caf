"""Each scene looks as its picture in screenshots/ does, and shows what it must show. No picture is missing or left over."""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import scenes
import textual

PICTURES = Path(__file__).parents[2] / "screenshots"
sys.path.append(str(PICTURES))
import render  # noqa: E402

DRAWN_WITH = json.loads((PICTURES / "drawn_with.json").read_text())
ALL = list(scenes.pictures())
PNG_OF = {**{name: name for name in render.PNG}, "serve": render.SERVED}
REPORTS = {"report-overview", "report-ticket"}
"""Drawn by tests/triage/test_html.py."""
UPDATE = "look at it, then draw it again: python screenshots/render.py --png"


@pytest.mark.parametrize(("name", "scene", "size"), ALL, ids=[name for name, _, _ in ALL])
async def test_the_scene_shows_what_it_must_and_looks_like_its_picture(
    name: str, scene: scenes.Scene, size: tuple[int, int], tmp_path: Path
) -> None:
    svg, text = await scenes.picture(scene, size)
    missing = [words for words in scene.shows if words not in text]
    assert not missing, f"{missing} not on the screen:\n{text}"
    picture = PICTURES / f"{name}.svg"
    assert picture.is_file(), f"{picture.name} is missing; {UPDATE}"
    drawn_with = {name: DRAWN_WITH[name] for name in ("textual", "rich")}
    if {"textual": textual.__version__, "rich": version("rich")} != drawn_with:
        pytest.skip(f"pictures are drawn with {drawn_with}; only the words were compared")
    if svg != picture.read_text(encoding="utf-8"):
        (tmp_path / picture.name).write_text(svg, encoding="utf-8")
        pytest.fail(f"{picture.name} is stale (now: {tmp_path / picture.name}); {UPDATE}\n{text}")


def test_no_picture_is_left_over() -> None:
    assert {path.stem for path in PICTURES.glob("*.svg")} == {name for name, _, _ in ALL}


def test_each_png_is_drawn_of_the_tested_picture_as_it_is_now() -> None:
    now = {name: hashlib.sha256((PICTURES / f"{of}.svg").read_bytes()).hexdigest() for name, of in PNG_OF.items()}
    assert {path.stem for path in PICTURES.glob("*.png")} - REPORTS == set(PNG_OF)
    assert now == DRAWN_WITH["png"], f"a PNG is stale; {UPDATE}"


def test_every_scene_names_what_it_shows() -> None:
    assert not [scene.name for scene in scenes.SCENES if not scene.shows]


@pytest.mark.parametrize("size", scenes.SIZES)
async def test_ascii_means_ascii(size: str) -> None:
    scene = next(one for one in scenes.SCENES if one.ascii_only)
    _, text = await scenes.picture(scene, scenes.SIZES[size])
    assert text.isascii()
