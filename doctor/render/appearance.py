"""How text may look where it is shown: colours, signs, width."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Appearance:
    color: bool
    unicode: bool
    width: int
    verbose: bool

    def sign(self, severity: str) -> str:
        """A sign and a word for a severity or state: never colour alone."""
        signs = {"error": "✗ FAIL", "warning": "! WARN", "note": "· note", "passed": "✓ pass", "skipped": "– skip",
                 "found": "✗ FAIL", "crashed": "☠ BUG ", "unsure": "? open"}  # fmt: skip
        plain = {"error": "x FAIL", "warning": "! WARN", "note": "- note", "passed": "  pass", "skipped": "- skip",
                 "found": "x FAIL", "crashed": "* BUG ", "unsure": "? open"}  # fmt: skip
        return (signs if self.unicode else plain)[severity]

    def paint(self, text: str, style: str) -> str:
        codes = {
            "error": "31;1",
            "warning": "33;1",
            "passed": "32",
            "dim": "2",
            "bold": "1",
            "command": "36",
            "note": "34",
            "unsure": "33",
        }
        return f"\x1b[{codes[style]}m{text}\x1b[0m" if self.color and style in codes else text


def appearance(color: str, to_file: bool, verbose: bool) -> Appearance:
    """What the environment allows: NO_COLOR when not empty, FORCE_COLOR, TERM=dumb, and the locale's letters."""
    terminal = sys.stdout.isatty() and not to_file
    if color == "auto":
        forced = bool(os.environ.get("FORCE_COLOR"))
        denied = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        colored = (terminal or (forced and not to_file)) and not denied
    else:
        colored = color == "always"
    encoding = "utf-8" if to_file else (sys.stdout.encoding or "ascii")
    width = min(shutil.get_terminal_size((100, 40)).columns, 110) if terminal else 100
    return Appearance(colored, "utf" in encoding.lower(), width, verbose)
