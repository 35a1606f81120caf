"""`check` beside its own slowest probe and the bare interpreter, in one run.

    python benchmarks/check.py [RUNS]

Prints ratios; absolute times depend on the machine. The last part puts hung tools in the PATH: what waits for them is
given up at its limit, and nothing else waits.
"""

from __future__ import annotations

import os
import stat
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from doctor.check import discover
from doctor.engine import CheckFinished, ReportReady, run
from doctor.facts import parse
from doctor.knowledge import shipped
from doctor.match import patterns_of
from doctor.probes import Probe
from doctor.probes import discover as discover_probes
from doctor.probes.system import System
from doctor.snapshot import Target

SLOW = ("dmesg", "journalctl", "modinfo", "systemctl", "nvidia-smi")


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    whole_command(runs)
    beside_slowest_probe(runs)
    with_hung_tools()


def median(call: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def whole_command(runs: int) -> None:
    def start(*words: str) -> None:
        subprocess.run([sys.executable, *words], capture_output=True, check=False)

    start("-m", "doctor", "check")
    bare = median(lambda: start("-c", ""), runs)
    check = median(lambda: start("-m", "doctor", "check", "--json"), runs)
    print(f"gpu-doctor check: {check:.2f} s, {check / bare:.1f} times the bare interpreter ({bare * 1000:.0f} ms)")


def beside_slowest_probe(runs: int) -> None:
    """All probes side by side and all checks, against each probe by itself."""
    base = shipped()
    patterns = patterns_of(base)
    checks = discover()

    def alone(probe: Probe) -> float:
        return median(lambda: list(probe.run(System(), Target())), runs)

    times = {probe.name: alone(probe) for probe in discover_probes()}
    slowest = max(times, key=lambda name: times[name])
    whole = median(lambda: list(run(Target(), System(), discover_probes(), checks, base, patterns)), runs)
    print(f"all probes and {len(checks)} checks: {whole:.3f} s; the slowest probe, {slowest}: {times[slowest]:.3f} s")
    print(f"beyond the slowest probe: {whole - times[slowest]:.3f} s; one after another: {sum(times.values()):.3f} s")


def with_hung_tools() -> None:
    base = shipped()
    patterns = patterns_of(base)
    with tempfile.TemporaryDirectory() as name:
        for tool in SLOW:
            path = Path(name) / tool
            path.write_text("#!/bin/sh\nsleep 600\n")
            path.chmod(stat.S_IRWXU)
        os.environ["PATH"] = f"{name}:{os.environ['PATH']}"
        start = time.perf_counter()
        known: list[float] = []
        for event in run(Target(), System(), discover_probes(), discover(), base, patterns):
            if isinstance(event, CheckFinished):
                known.append(time.perf_counter() - start)
            elif isinstance(event, ReportReady):
                whole = time.perf_counter() - start
                parse(event.snapshot)
        early = sum(one < 1 for one in known)
        print(f"with {len(SLOW)} hung tools: {early} of {len(known)} checks within a second, all after {whole:.1f} s")


if __name__ == "__main__":
    main()
