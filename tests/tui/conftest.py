"""The environment of the one who runs the tests must not show in a picture; textual reads it when it is imported."""

from __future__ import annotations

import os
import sys
from pathlib import Path

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
