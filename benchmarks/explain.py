"""`explain` beside its peers, in one run: ripgrep with the same literals, and the bare interpreter.

    python benchmarks/explain.py [MEGABYTES]

Prints ratios; absolute times depend on the machine. Needs ripgrep (`rg`) for the first.
"""

from __future__ import annotations

import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from doctor.knowledge import Base, shipped
from doctor.logs import explain_stream
from doctor.match import patterns_of

FAULT = b"RuntimeError: CUDA error: no kernel image is available for execution on the device\n"
LINES = (
    "{time} INFO  trainer step={n} loss={x:.4f} lr=1.0e-04 tokens/s={m}",
    "{time} [rank{r}] NCCL INFO Channel {r}/0 : {r}[{m}] -> 1[{n}] via P2P/CUMEM",
    "{time} DEBUG vllm.engine Avg prompt throughput: {x:.1f} tokens/s, GPU KV cache usage: {x:.1f}%",
    '10.0.0.{r} - - "GET /v1/models/{n} HTTP/1.1" 200 {m}',
    "{time} WARNING torch.cuda memory allocated {m} MiB of 81559 MiB on device cuda:{r}",
)


def main() -> None:
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = make_log(folder / "big.log", megabytes)
        small = folder / "small.log"
        small.write_bytes(b"starting\n" * 50 + FAULT)
        against_ripgrep(folder, log, megabytes)
        start_up(small)
        doubled(log, megabytes)


def make_log(path: Path, megabytes: int) -> Path:
    chance = random.Random(7)
    block = "".join(
        chance.choice(LINES).format(
            time="2026-11-24T10:00:00.123Z", n=chance.randrange(10**6), m=chance.randrange(9999), r=chance.randrange(8),
            x=chance.random() * 100,
        ) + "\n"
        for _ in range(40_000)
    ).encode()  # fmt: skip
    with path.open("wb") as file:
        for _ in range(megabytes * 1_000_000 // len(block) + 1):
            file.write(block)
        file.write(FAULT)
    return path


def timed(command: Sequence[str], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def against_ripgrep(folder: Path, log: Path, megabytes: int) -> None:
    ours = [sys.executable, "-m", "doctor", "explain", str(log)]
    explain = timed(ours, 5)
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    print(f"explain, {megabytes} MB: {explain:.3f} s, {before // 1024} MB of memory at most")
    if shutil.which("rg") is None:
        print("ripgrep is not installed: no comparison")
        return
    literals = folder / "literals"
    literals.write_bytes(b"\n".join(patterns_of(shipped()).literals()) + b"\n")
    peer = timed(["rg", "-F", "-c", "-f", str(literals), str(log)], 5)
    print(f"ripgrep -F -c with the same {len(patterns_of(shipped()).literals())} literals: {peer:.3f} s")
    print(f"ratio explain / ripgrep: {explain / peer:.2f} (1 or less wanted)")


def start_up(small: Path) -> None:
    """The whole command on a small log, against the interpreter importing the same modules."""
    code = f"import sys; sys.argv[1:] = ['explain', {str(small)!r}]; from doctor.__main__ import main; main()\n"
    listing = code + "print('\\n'.join(sorted(m for m in sys.modules if m != '__main__')), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    modules = [name for name in done.stderr.split("\n") if name and not name.startswith("doctor")]
    imports = "\n".join(f"try:\n  import {name}\nexcept Exception: pass" for name in modules)
    ours, bare = (timed([sys.executable, "-c", text], 15) for text in (code, imports))
    print(f"start-up on a small log: {ours * 1000:.0f} ms; interpreter with the same imports: {bare * 1000:.0f} ms")
    print(f"ratio: {ours / bare:.2f} (less than 3 wanted)")
    bare, version, usage = (
        timed(words, 15)
        for words in (
            [sys.executable, "-c", "pass"],
            [sys.executable, "-m", "doctor", "--version"],
            [sys.executable, "-m", "doctor", "--help"],
        )
    )
    print(f"--version / python -c pass: {version / bare:.2f}; --help: {usage / bare:.2f} (less than 4 wanted)")


def doubled(log: Path, megabytes: int) -> None:
    """Throughput in process with the knowledge base, and with as many entries again of other words."""
    base = shipped()
    more = {}
    for identity, entry in base.entries.items():
        matchers = tuple(one._replace(line=twin(one.line)) for one in entry.matchers)
        more[f"twin-{identity}"] = replace(entry, id=f"twin-{identity}", matchers=matchers)
    rates = []
    for one in (base, Base({**base.entries, **more})):
        patterns = patterns_of(one)
        times = []
        for _ in range(5):
            with log.open("rb") as stream:
                start = time.perf_counter()
                explain_stream(stream, "log", one, patterns)
                times.append(time.perf_counter() - start)
        rates.append(megabytes / statistics.median(times))
        print(f"{len(one.entries)} entries, {len(patterns.literals())} literals: {rates[-1]:.0f} MB/s")
    print(f"throughput with twice the entries: {rates[1] / rates[0]:.2f} of it (more than 0.75 wanted)")


def twin(pattern: str) -> str:
    """A pattern as long, for words that no log has."""
    flags, rest = ("(?i)", pattern[4:]) if pattern.startswith("(?i)") else ("", pattern)
    return f"{flags}twin of (?:{rest})"


if __name__ == "__main__":
    main()
