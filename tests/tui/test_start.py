"""What is imported when: the command line without the app, the first screen without the engine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCREENS = "import doctor.tui.app, doctor.tui.overview"


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import doctor.verbs.check, doctor.verbs.explain, doctor.verbs.record", ("textual", "docker", "aiohttp")),
        ("import doctor.verbs.serve", ("textual", "aiohttp")),
        (SCREENS, ("docker", "hyperscan", "re2", "elftools", "psutil", "doctor.engine", "doctor.facts", "doctor.knowledge",
                   "doctor.probes")),
    ],
)  # fmt: skip
def test_nothing_heavy_is_imported_before_it_is_needed(statement: str, absent: tuple[str, ...]) -> None:
    script = f"{statement}\nimport sys\nprint([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_without_a_terminal_the_report_is_printed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "doctor"], capture_output=True, text=True, cwd=ROOT, timeout=120, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode in (0, 1, 3)
    assert "\x1b" not in done.stdout
    assert "this machine" in done.stdout.lower()
