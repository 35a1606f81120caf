"""`triage`: one report a ticket in the order given; a broken ticket costs its own line."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

KERNEL = "RuntimeError: CUDA error: no kernel image is available for execution on the device\n"
DAEMON = 'docker: Error response from daemon: could not select device driver "" with capabilities: [[gpu]].\n'


def triage(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "doctor", "triage", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def reports(*words: str) -> list[dict]:
    return [json.loads(line) for line in triage("--format", "jsonl", *words).stdout.splitlines()]


def first(report: dict) -> str:
    return report["findings"][0]["fault"] if report["findings"] else report["summary"]["verdict"]


def tickets(folder: Path) -> list[str]:
    (folder / "b.log").write_text(DAEMON)
    (folder / "a.log").write_text(KERNEL)
    (folder / "c.log").write_bytes(KERNEL.encode("utf-16"))
    (folder / "d.log.gz").write_bytes(gzip.compress(KERNEL.encode()))
    (folder / "e.log").write_text("epoch 1 loss 0.5\n")
    (folder / "f.log.gz").write_bytes(gzip.compress(KERNEL.encode() * 100)[:40])
    return [str(folder / name) for name in ("b.log", "a.log", "c.log", "d.log.gz", "e.log", "f.log.gz")]


def test_one_report_a_ticket_in_the_order_given(tmp_path: Path) -> None:
    paths = tickets(tmp_path)
    got = reports(*paths)
    assert [report["subject"]["name"] for report in got] == paths
    assert [first(report) for report in got[:5]] == [
        "nvidia-toolkit-not-installed", "cuda-no-kernel-image", "cuda-no-kernel-image", "cuda-no-kernel-image", "none",
    ]  # fmt: skip
    assert got[5]["not_examined"], "a truncated archive says why it was not read in full"


def test_jobs_do_not_change_the_answer(tmp_path: Path) -> None:
    paths = tickets(tmp_path)

    def timeless(jobs: str) -> list[dict]:
        return [{**report, "created": ""} for report in reports("--jobs", jobs, *paths)]

    assert timeless("1") == timeless("2")


def test_a_folder_is_its_tickets(tmp_path: Path) -> None:
    tickets(tmp_path)
    assert len(reports(str(tmp_path))) == 6


def test_the_same_fault_has_the_same_fingerprint(tmp_path: Path) -> None:
    paths = tickets(tmp_path)
    rows = triage("--format", "csv", *paths).stdout.splitlines()
    marks = {row.split(",")[0]: next(field for field in row.split(",") if field.startswith("1:")) for row in rows[1:5]}
    assert marks[paths[1]] == marks[paths[2]] == marks[paths[3]] != marks[paths[0]]


def test_every_form_is_written(tmp_path: Path) -> None:
    paths = tickets(tmp_path)
    for form in ("text", "json", "markdown", "html", "sarif", "junit"):
        done = triage("--format", form, *paths)
        assert done.returncode == 1, (form, done.stderr)
        assert "cuda-no-kernel-image" in done.stdout, form
