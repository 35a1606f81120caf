"""The app in a real terminal, driven by tmux: keys go in, the screen is read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 60
pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """A tmux server of its own with one window of 100 × 30."""

    def __init__(self, folder: Path, *environment: str) -> None:
        self._name = f"gpu-doctor-{uuid.uuid4().hex[:8]}"
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        self._environment = {**kept, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "XDG_CACHE_HOME": str(folder),
                             "DOCKER_HOST": "unix:///nonexistent.sock", "PYTHONPATH": str(ROOT), "TERM": "xterm-256color",
                             "LC_ALL": "C.UTF-8"}  # fmt: skip
        self._environment.update(item.split("=", 1) for item in environment)
        shell = f"{sys.executable} -m doctor; echo left with $?; sleep 60"
        self("new-session", "-d", "-x", "100", "-y", "30", shell)

    def __call__(self, *words: str, text: str | None = None) -> str:
        done = subprocess.run(["tmux", "-L", self._name, "-f", "/dev/null", *words], env=self._environment, input=text,
                              capture_output=True, text=True, timeout=30, check=True)  # fmt: skip
        return done.stdout

    @property
    def screen(self) -> str:
        return self("capture-pane", "-p")

    def until(self, *words: str) -> str:
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            screen = self.screen
            if all(one in screen for one in words):
                return screen
            time.sleep(0.1)
        pytest.fail(f"{words} did not come:\n{self.screen}")

    def until_gone(self, words: str) -> None:
        end = time.monotonic() + SECONDS
        while words in self.screen:
            assert time.monotonic() < end, f"{words} stayed:\n{self.screen}"
            time.sleep(0.05)

    def keys(self, *keys: str) -> None:
        self("send-keys", *keys)

    def paste(self, text: str) -> None:
        """As a terminal pastes: between the marks of a bracketed paste."""
        self("load-buffer", "-", text=text)
        self("paste-buffer", "-p")

    def close(self) -> None:
        subprocess.run(
            ["tmux", "-L", self._name, "kill-server"], env=self._environment, check=False, capture_output=True
        )


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path)
    yield made
    made.close()


def test_from_the_first_screen_to_the_last_key(terminal: Terminal) -> None:
    terminal.until("What failed?", "This host", "Checks", "No such file or directory")
    terminal.paste("step 1\nRuntimeError: CUDA error: no kernel image is available for execution on the device\n")
    terminal.until("pasted, 2 lines", "cuda-no-kernel-image")
    terminal.keys("5")
    terminal.until("Entries ·")
    terminal.keys("/")
    terminal.until_gone("x Examples")  # from now on letters are text
    terminal("send-keys", "-l", "cuda-no-kernel-image")
    terminal.until("Entries · 1 of", "The program has no GPU code")
    terminal.keys("Escape")
    terminal.keys("Escape", "?")
    terminal.until("Help", "Search entries")
    terminal.keys("Escape", "C-q")
    assert "left with 0" in terminal.until("left with")


def test_the_clipboard_of_the_terminal_is_set(terminal: Terminal) -> None:
    terminal("set-option", "-g", "set-clipboard", "on")
    terminal.until("What failed?")
    terminal.paste("RuntimeError: CUDA error: no kernel image is available for execution on the device\n")
    terminal.until("cuda-no-kernel-image")
    terminal.keys("Tab", "Tab", "y")
    terminal.until("Sent")
    end = time.monotonic() + SECONDS
    while "torch" not in (held := terminal("show-buffer")) and time.monotonic() < end:
        time.sleep(0.1)
    assert "torch" in held
    assert not held.endswith("\n")


def test_a_terminal_without_utf8_gets_ascii(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, "GPU_DOCTOR_ASCII=1")
    try:
        assert terminal.until("What failed?", "This host", "Checks").isascii()
    finally:
        terminal.close()


def test_no_color_leaves_no_colour(tmp_path: Path) -> None:
    import re

    terminal = Terminal(tmp_path, "NO_COLOR=1")
    try:
        terminal.until("What failed?", "This host")
        drawn = terminal("capture-pane", "-p", "-e")
        colours = {tuple(found) for found in re.findall(r"[34]8;2;(\d+);(\d+);(\d+)", drawn)}
        assert all(max(map(int, one)) - min(map(int, one)) <= 2 for one in colours), colours
    finally:
        terminal.close()
