"""What is kept between starts: right, whole or not at all, and never a reason to fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from doctor import knowledge
from doctor.cache import KEPT, cached, cached_at, keep


def piece(name: str) -> Path:
    at = cached_at("piece", name.encode())
    assert at is not None
    return at


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "gpu-doctor"


def test_what_is_kept_is_found_by_what_it_was_made_of(folder: Path) -> None:
    keep(piece("one"), b"first\nsecond")
    assert cached(piece("one")) == b"first\nsecond"
    assert cached(piece("other")) is None
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_damaged_piece_counts_as_none(folder: Path) -> None:
    keep(piece("one"), b"whole")
    written = piece("one").read_bytes()
    piece("one").write_bytes(written[:-1])
    assert cached(piece("one")) is None
    piece("one").write_bytes(b"")
    assert cached(piece("one")) is None


def test_the_oldest_of_a_kind_are_forgotten(folder: Path) -> None:
    other = cached_at("other", b"")
    keep(other, b"stays")
    for number in range(KEPT + 3):
        keep(piece(str(number)), b"content")
    assert len(list(folder.glob("piece-*"))) == KEPT
    assert cached(other) == b"stays"


@pytest.mark.parametrize("home", ["relative/folder", "/dev/null/no/folder"])
def test_a_folder_that_cannot_be_written_is_no_error(home: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", home)
    at = cached_at("piece", b"one")
    keep(at, b"content")
    assert cached(at) is None


def test_heads_are_the_same_out_of_the_cache(folder: Path) -> None:
    texts = {
        entry.id: (Path(knowledge.__file__).parents[1].joinpath(entry.file).read_text(encoding="utf-8"), entry.file)
        for entry in knowledge.shipped().entries.values()
    }
    made = knowledge._heads(texts)
    assert len(list(folder.glob("heads-*"))) == 1
    assert knowledge._heads(texts) == made == {one: knowledge.parse_head(*text) for one, text in texts.items()}
    text, file = texts["cuda-no-device"]
    changed = {**texts, "cuda-no-device": (text.replace("CUDA finds no GPU", "Other"), file)}
    assert knowledge._heads(changed)["cuda-no-device"].title == "Other"
