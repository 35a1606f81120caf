"""The environment of the one who runs the tests must not show in a picture; textual reads it when it is imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

for name in list(os.environ):
    if name.startswith(("TEXTUAL", "GPU_DOCTOR_")) or name in (
        "NO_COLOR",
        "FORCE_COLOR",
        "COLORTERM",
        "SSH_CONNECTION",
    ):
        del os.environ[name]
os.environ["TEXTUAL_ANIMATIONS"] = "none"
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def a_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the app leaves for its person must not come to the one who runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
