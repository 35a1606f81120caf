"""What `gpu-doctor serve` shows in the test: the recorded machine instead of this one."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import recorded as told

from doctor.tui.app import DoctorApp

DoctorApp(lambda: told.Recorded(told.mismatch), ascii_only=False).run()
