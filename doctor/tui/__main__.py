"""`python -m doctor.tui`: the app without the command line; what `gpu-doctor serve` starts for each browser."""

import sys

from doctor.tui.app import run

sys.exit(run())
