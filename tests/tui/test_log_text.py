"""The numbered lines of a log, against the plain way of reading them."""

from __future__ import annotations

import io
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from doctor.errors import UsageError
from doctor.tui import log_text
from doctor.tui.literal import clean
from doctor.tui.log_text import LogText

NEVER = threading.Event()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"").replace(b"\r", b"")), max_size=60),
    st.booleans(),
)
def test_lines_are_those_of_splitting(lines: list[bytes], ends: bool) -> None:
    block, log_text.BLOCK = log_text.BLOCK, 64
    try:
        data = b"\n".join(lines) + (b"\n" if ends and lines else b"")
        log = LogText("log", data)
        log.index()
        wanted = data.split(b"\n")
        wanted = wanted[:-1] if wanted[-1] == b"" else wanted
        assert len(log) == len(wanted)
        assert [log.line(n) for n in range(len(log))] == [line.decode("utf-8", "replace") for line in wanted]
        needed = [cell_len(clean(line.decode("utf-8", "replace"))) for line in wanted]
        assert all(width >= cells for width, cells in zip(log.widths(), needed, strict=True))
    finally:
        log_text.BLOCK = block


def test_a_file_is_read_in_place(tmp_path: Path) -> None:
    path = tmp_path / "big.log"
    path.write_bytes(b"".join(b"line %d\n" % n for n in range(200_000)))
    log = LogText.of_file(path)
    log.index()
    assert len(log) == 200_000
    assert [log.line(n) for n in (0, 1, 99_999, 199_999)] == ["line 0", "line 1", "line 99999", "line 199999"]
    assert log.seek_words("LINE 19999", NEVER)[0] == [19_999, *range(199_990, 200_000)]
    log.close()


def test_a_file_that_was_cut_while_it_is_read_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "cut.log"
    path.write_bytes(b"line\n" * 50_000)
    log = LogText.of_file(path)
    os.truncate(path, 10)
    log.index()
    assert len(log) == 2
    assert log.line(40_000) == ""
    log.close()


def test_utf16_is_text(tmp_path: Path) -> None:
    path = tmp_path / "windows.log"
    path.write_bytes("Fehler: früh\nzweite".encode("utf-16"))
    log = LogText.of_file(path)
    assert [log.line(0), log.line(1)] == ["Fehler: früh", "zweite"]


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_what_cannot_be_read_is_told(tmp_path: Path, what: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        LogText.of_file(tmp_path if what == "folder" else tmp_path / "nothing")


def test_a_growing_log_keeps_its_newer_half() -> None:
    log = LogText("container")
    piece = b"x" * 99 + b"\n"
    for _ in range(2 * log_text.FOLLOWED // (len(piece) * 1000)):
        log.append(piece * 1000)
    log.append(b"the last")
    assert log.size <= log_text.FOLLOWED
    assert log.line(len(log) - 1) == "the last"
    assert log.line(0) == "x" * 99


def test_the_stream_is_what_the_log_holds_and_stops_when_told() -> None:
    log = LogText("log", b"abc\ndef")
    stop = threading.Event()
    stream = log.stream(stop)
    assert io.BytesIO(stream.read(4) + stream.read()).getvalue() == b"abc\ndef"
    stream = log.stream(stop)
    stop.set()
    assert stream.read() == b""


def test_widths_are_those_of_what_is_drawn_however_the_log_comes() -> None:
    text = b"\x1b[32mINFO\x1b[0m step 1\r\n\ttab\n\n" + b"x" * 3000 + b"\nlast"
    log = LogText("log")
    for at in range(0, len(text), 7):
        log.append(text[at : at + 7])
        log.widths()
    whole = LogText("log", text)
    whole.index()
    assert list(whole.widths()) == [11, 7, 0, 3000, 4]
    assert list(log.widths())[1:] == [7, 0, 3000, 4]


def test_a_log_that_grows_past_its_limit_keeps_its_end_and_its_lines() -> None:
    log = LogText("log")
    for n in range(300):
        log.append(b"".join(b"line %d\n" % (n * 10_000 + k) for k in range(10_000)))
        log.widths()
    assert log.size <= log_text.FOLLOWED
    assert log.line(len(log) - 1) == "line 2999999"
    assert len(log.widths()) == len(log)
