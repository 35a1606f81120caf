"""Bad input costs one line that says why, and never the tickets beside it."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from doctor.bundles.sources import tickets
from doctor.check import discover
from doctor.knowledge import shipped
from doctor.match import patterns_of
from doctor.report import Report
from doctor.triage.examine import Bench, examine

BENCH = Bench(shipped(), patterns_of(shipped()), discover())
KERNEL = "RuntimeError: CUDA error: no kernel image is available for execution on the device\n"
FAULT = "cuda-no-kernel-image"


def zipped(files: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(*names: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type = {"device": tarfile.CHRTYPE, "link": tarfile.SYMTYPE}.get(name, tarfile.REGTYPE)
            member.linkname = "/etc/passwd" if name == "link" else ""
            member.size = len(KERNEL) if member.isreg() else 0
            archive.addfile(member, io.BytesIO(KERNEL.encode()) if member.isreg() else None)
    return out.getvalue()


def deep(levels: int) -> bytes:
    data = zipped({"a.log": KERNEL})
    for level in range(levels):
        data = zipped({f"{level}.zip": data})
    return data


def reports(*paths: Path | str) -> list[Report]:
    return [examine(ticket, BENCH) for ticket in tickets(map(str, paths))]


def one(path: Path, content: bytes) -> Report:
    path.write_bytes(content)
    (report,) = reports(path)
    return report


@pytest.mark.parametrize(
    "content",
    [
        KERNEL.encode("utf-16"), b"\xfe\xff" + KERNEL.encode("utf-16-be"), KERNEL.encode("utf-16-le"), KERNEL.encode("utf-32"),
        "Größe für Jürgen\n".encode("latin-1") * 4 + KERNEL.encode(), bytes(5000) + KERNEL.encode(),
        KERNEL.encode() + bytes(200), KERNEL.replace("\n", "\r\n").encode(), b"x" * (3 << 20) + b"\n" + KERNEL.encode(),
        bz2.compress(KERNEL.encode()), lzma.compress(KERNEL.encode()), gzip.compress(KERNEL.encode()),
    ],
    ids=["utf-16", "utf-16-be", "utf-16 without mark", "utf-32", "latin-1", "NUL before", "NUL behind", "CRLF", "long line",
         "bzip2", "xz", "gzip"],
)  # fmt: skip
def test_other_encodings_are_read(content: bytes, tmp_path: Path) -> None:
    report = one(tmp_path / "a.log", content)
    assert [item.finding.fault for item in report.diagnoses] == [FAULT]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "it is empty"), (b" \n\t\n", "it is empty"), (bytes(300), "it is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "it is a picture"), (b"\x7fELF\x02" + bytes(200), "it is an ELF file"),
        (b"%PDF-1.7\n", "it is a PDF"), (bytes(range(256)) * 20, "it is a binary file"),
        (gzip.compress(KERNEL.encode() * 900)[:50], "the gzip data ends early"), (b"\x1f\x8b" + b"?" * 60, "damaged gzip"),
        (b"PK\x03\x04" + b"?" * 200, "zip archive"), (b'{"readings": {}, "format": 9}', "is a snapshot of format 9"),
    ],
    # Named: gzip's bytes hold the time, and two workers must call a test the same.
    ids=["empty", "blank", "zeros", "picture", "ELF", "PDF", "binary", "gzip cut off", "gzip damaged", "zip damaged",
         "snapshot of another format"],
)  # fmt: skip
def test_what_is_no_text_says_why_in_one_line(content: bytes, told: str, tmp_path: Path) -> None:
    report = one(tmp_path / "a.log", content)
    assert (report.examined, report.diagnoses, len(report.not_examined)) == (False, (), 1)
    assert told in report.not_examined[0]
    assert "\n" not in report.not_examined[0]
    assert str(tmp_path) not in report.not_examined[0]


def test_archives_in_archives_and_hostile_names(tmp_path: Path) -> None:
    inner = zipped({"inner.zip": zipped({"a.log": KERNEL}), "../../out.log": KERNEL, "b\x1b[31m\n.log": KERNEL, "c.bin": b"\x7fELF" + bytes(99)})  # fmt: skip
    (tmp_path / "all.zip").write_bytes(inner)
    got = {report.name.partition("all.zip:")[2]: report for report in reports(tmp_path / "all.zip")}
    assert set(got) == {"inner.zip:a.log", "../../out.log", "b\x1b[31m\n.log", "c.bin"}
    assert [bool(report.diagnoses) for report in got.values()] == [True, True, True, False]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.zip"]


def test_archives_too_deep_devices_and_links(tmp_path: Path) -> None:
    assert "deep" in one(tmp_path / "deep.zip", deep(7)).not_examined[0]
    report = one(tmp_path / "a.tar.gz", tarred("ok.log", "device", "link"))
    assert (report.name.rpartition(":")[2], bool(report.diagnoses)) == ("ok.log", True)
    (tmp_path / "cut.tar.gz").write_bytes(tarred("ok.log", "more.log")[:-30])
    whole, *rest = reports(tmp_path / "cut.tar.gz")
    assert whole.diagnoses
    assert any(report.not_examined for report in (whole, *rest))


def test_a_decompression_bomb_is_left_alone(tmp_path: Path) -> None:
    report = one(tmp_path / "bomb.zip", zipped({"a.log": b"A" * (80 << 20)}))
    assert (report.examined, len(report.not_examined)) == (False, 1)


def test_a_broken_line_of_an_export(tmp_path: Path) -> None:
    path = tmp_path / "export.jsonl"
    path.write_text(
        f'{json.dumps({"id": 7, "text": KERNEL})}\nnot json\n[1]\n{{"id": 9}}\n{json.dumps({"text": KERNEL})}\n'
    )
    got = reports(path)
    assert [bool(report.diagnoses) for report in got] == [True, False, False, False, True]
    assert [report.name.rpartition(":")[2] for report in got] == ["1", "2", "3", "4", "5"]


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "inner" / "up").symlink_to("..")
    (tmp_path / "folder" / "inner" / "a.log").write_text(KERNEL)
    got = reports(
        tmp_path / "fifo", tmp_path / "dangling", tmp_path / "nothing", tmp_path / "none*", tmp_path / "folder"
    )
    assert [bool(report.diagnoses) for report in got] == [False, False, False, False, True]
    assert all(len(report.not_examined) == 1 for report in got[:4])


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(KERNEL)
    (tmp_path / "a.log").chmod(0)
    assert "denied" in reports(tmp_path / "a.log")[0].not_examined[0].lower()


def test_a_triage_that_was_interrupted_goes_on(tmp_path: Path) -> None:
    """Answers that are noted are not made again; the output is the same."""
    folder, state = tmp_path / "tickets", tmp_path / "state"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.log").write_text(KERNEL if number % 2 else "epoch 1\n")

    def run() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "doctor", "triage", "--format", "csv", "--state", str(state), str(folder)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    first = run()
    lines = state.read_bytes().splitlines(keepends=True)
    state.write_bytes(b"".join(lines[:4]) + lines[4][:30])  # as a run leaves it that was ended in the middle
    again = run()
    assert (again.stdout, again.returncode) == (first.stdout, 1)
    assert "3 answers are noted already" in again.stderr
    (tmp_path / "other").write_text("notes\n")
    command = [sys.executable, "-m", "doctor", "triage", "--state", str(tmp_path / "other"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr.count("\n"), (tmp_path / "other").read_text()) == (2, 1, "notes\n")


def test_it_ends_when_its_reader_goes_away(tmp_path: Path) -> None:
    """With processes at work, and without a word: the pool's own thread once met an interpreter that took it down."""
    for number in range(400):
        (tmp_path / f"{number}.log").write_text(KERNEL * 20)
    for _ in range(4):
        command = [sys.executable, "-m", "doctor", "triage", "--jobs", "2", "--format", "jsonl", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline().startswith(b"{")
            process.stdout.close()
            assert process.wait(timeout=120) in (0, 1, 141, -13)
            assert process.stderr.read() == b""


def triaged(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "doctor", "triage", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("names", [["nothing"], ["week/*.log"], ["nothing", "none*"]])
def test_a_slip_in_every_name_is_one_line(names: list[str]) -> None:
    done = triaged(*names)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "no such file or folder" in done.stderr


def test_a_folder_without_a_file_is_no_good_news(tmp_path: Path) -> None:
    """Exit code 0 would tell a pipeline that all tickets are fine."""
    done = triaged(str(tmp_path))
    assert (done.returncode, done.stdout) == (3, "0 tickets: there is no file in what was named\n")
    assert json.loads(triaged("--json", str(tmp_path)).stdout) == []


def test_one_name_that_is_missing_costs_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(KERNEL)
    done = triaged(str(tmp_path / "nothing"), str(tmp_path / "a.log"))
    assert done.returncode == 1
    assert "2 tickets: 1 with a known fault, 1 not read" in done.stdout
