"""Triage of many small tickets, beside its peers in the same run.

`python benchmarks/triage.py [TICKETS]`: throughput with one process and with two, and of a loop that starts one
`gpu-doctor explain` a ticket; the cost of a ticket by the size of the batch; the memory of all processes together for
a fifth of the tickets and for all of them. Tickets are the examples of the knowledge base, each among the lines of a
healthy start, a kilobyte on average; every third shows no fault. Runs alternate, the best of each kind counts: what
else the machine does makes a run slower, never faster.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from doctor.knowledge import shipped

HEALTHY = """\
2026-11-24 10:00:0{n} INFO starting worker {n} of 4
2026-11-24 10:00:0{n} INFO model loaded in 12.{n} s, 7241732096 parameters
2026-11-24 10:00:0{n} INFO listening on 0.0.0.0:8000
2026-11-24 10:00:0{n} INFO step {n} loss 2.{n}31 tokens/s 10{n}23
"""
ROUNDS = 2
LOOP = 12
"""Tickets of the loop that starts a process for each."""


def write_tickets(path: Path, count: int) -> int:
    """An export with so many tickets; its bytes."""
    choose = random.Random(7)
    examples = [one.text for entry in shipped().entries.values() for one in entry.examples if len(one.text) < 3000]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            parts = [HEALTHY.format(n=choose.randrange(10)) for _ in range(choose.randrange(1, 6))]
            if number % 3:
                parts.insert(choose.randrange(len(parts) + 1), choose.choice(examples).rstrip("\n") + "\n")
            file.write(json.dumps({"id": number, "text": "".join(parts)}) + "\n")
    return path.stat().st_size


def triage(path: Path, jobs: int) -> tuple[float, int, float]:
    """Seconds; the most memory that the command and its processes had together, in bytes; processor time of the
    command itself against that of its workers."""
    command = [sys.executable, "-m", "doctor", "triage", "--format", "csv", "--jobs", str(jobs)]
    command += ["--output", str(path.with_suffix(".csv"))]
    begin = time.perf_counter()
    process = subprocess.Popen([*command, str(path)], stderr=subprocess.DEVNULL)
    most, share = 0, 0.0
    while process.poll() is None:
        try:
            own = psutil.Process(process.pid)
            workers = own.children(recursive=True)
            most = max(most, sum(one.memory_info().rss for one in (own, *workers)))
            spent, theirs = spent_by(own), sum(map(spent_by, workers))
            share = spent / theirs if theirs else share
        except psutil.Error:
            pass
        time.sleep(0.1)
    assert process.returncode == 1, process.returncode
    assert len(path.with_suffix(".csv").read_bytes().splitlines()) == 1 + sum(1 for _ in path.open())
    return time.perf_counter() - begin, most, share


def spent_by(process: psutil.Process) -> float:
    """Seconds of processor time."""
    times = process.cpu_times()
    return float(times.user + times.system)


def one_process_a_ticket(path: Path) -> float:
    """Seconds a ticket."""
    texts = [json.loads(line)["text"] for line in path.read_text().splitlines()[:LOOP]]
    begin = time.perf_counter()
    for text in texts:
        subprocess.run([sys.executable, "-m", "doctor", "explain", "--json", "-"], input=text, text=True,
                       stdout=subprocess.DEVNULL, check=False)  # fmt: skip
    return (time.perf_counter() - begin) / len(texts)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "all.jsonl"
        size = write_tickets(path, count)
        write_tickets(Path(folder) / "warm.jsonl", 10)
        triage(Path(folder) / "warm.jsonl", 1)  # the automaton is kept from now on
        print(f"{count:,} tickets, {size / count:,.0f} bytes each on average\n")
        print("| processes | tickets a minute | ms a ticket | most memory |\n|---|---|---|---|")
        runs = [(jobs, *triage(path, jobs)) for _ in range(ROUNDS) for jobs in (1, 2)]
        best = {jobs: min((run for run in runs if run[0] == jobs), key=lambda run: run[1]) for jobs in (1, 2)}
        for jobs, seconds, memory, _ in best.values():
            print(f"| {jobs} | {count / seconds * 60:,.0f} | {seconds / count * 1e3:.2f} | {memory / 1e6:.0f} MB |")
        loop = one_process_a_ticket(path)
        print(f"| one each, in a loop | {60 / loop:,.0f} | {loop * 1e3:.0f} | |\n")
        print(f"two processes against one: {best[1][1] / best[2][1]:.2f}")
        print(f"processor time of the parent against its two workers: {best[2][3]:.3f}; it would be the limit at "
              f"{1 / best[2][3]:.0f} workers")  # fmt: skip
        print(f"two processes against the loop: {loop * count / best[2][1]:.0f}\n")
        print("| batch | ms a ticket, one process |\n|---|---|")
        for batch in (1, 10, 100, 1000, 10_000):
            part = Path(folder) / f"{batch}.jsonl"
            write_tickets(part, batch)
            spent = min(triage_any(part) for _ in range(2))
            print(f"| {batch:,} | {spent / batch * 1e3:.2f} |")
        fifth = Path(folder) / "fifth.jsonl"
        write_tickets(fifth, count // 5)
        _, little, _ = triage(fifth, 2)
        print(f"\nmemory for {count:,} tickets against {count // 5:,}, two processes: "
              f"{max(run[2] for run in runs if run[0] == 2) / little:.2f} ({little / 1e6:.0f} MB)")  # fmt: skip


def triage_any(path: Path) -> float:
    """Seconds, whatever the tickets show."""
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-m", "doctor", "triage", "--format", "csv", "--jobs", "1", str(path)],
                   stdout=subprocess.DEVNULL, check=False)  # fmt: skip
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
