"""What comes through a pipe and what goes into one: `-` in place of a file's name."""

from __future__ import annotations

import gzip
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

import doctor.input
from doctor.errors import UsageError
from doctor.input import said, spooled, whole
from doctor.output import answering, writing
from doctor.snapshot import LARGEST, Snapshot, Target, dump, load, loads, save
from doctor.triage.journal import journal
from doctor.tui.export import write_new
from doctor.tui.tickets import save_states

FAULTY = "RuntimeError: CUDA error: no kernel image is available for execution on the device\n"
DOCTOR = f"{sys.executable} -m doctor"
SNAPSHOT = Snapshot("2026-11-24T12:00:00Z", "0.1.0", Target())


def shell(command: str, data: bytes = b"", folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], input=data, capture_output=True, timeout=60, check=False,
        cwd=folder, env={**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock"},
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert (done.returncode, done.stdout) == (2, ""), done
    assert done.stderr.startswith("gpu-doctor: ")
    assert done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr


def test_a_machine_is_diagnosed_through_a_pipe() -> None:
    done = shell(f"{DOCTOR} record -o - --quiet | {DOCTOR} replay --json -")
    assert done.stderr == ""
    assert json.loads(done.stdout)["subject"]["kind"] == "machine"


def test_record_shows_what_it_holds_beside_the_pipe(tmp_path: Path) -> None:
    done = shell(f"{DOCTOR} record -o - > snapshot.gz", folder=tmp_path)
    assert done.returncode == 0
    assert "The snapshot holds:" in done.stderr
    assert load(tmp_path / "snapshot.gz").readings
    assert [one.name for one in tmp_path.iterdir()] == ["snapshot.gz"]
    refused(shell(f"{DOCTOR} record -o - --quiet > /dev/full"), "standard output cannot be written: No space left")


def test_what_is_missing_is_listed_on_demand() -> None:
    plain, verbose = (shell(f"{DOCTOR} record -o - {words} > /dev/null").stderr for words in ("", "--verbose"))
    assert "things that were looked for and are not there" in plain
    assert "  missing" not in plain
    assert "  missing" in verbose


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "standard input is empty"),
        (b"\x1f\x8b\x08", "standard input is a damaged gzip file"),
        (b"hello", "standard input is not a gpu-doctor snapshot"),
    ],
)
def test_no_snapshot_through_a_pipe(data: bytes, told: str) -> None:
    refused(shell(f"{DOCTOR} replay -", data), told)


def test_an_endless_input_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(whole("/dev/zero", 1000)) == 1001
    with pytest.raises(UsageError, match="x has more than 256 MB; it is not a snapshot"):
        loads(bytes(LARGEST + 1), "x")
    monkeypatch.setattr(doctor.input.sys, "stdin", open("/dev/zero"))  # noqa: SIM115
    with pytest.raises(UsageError, match="standard input has more than 0 GB"), spooled("-", 5000):
        pass


def test_diff_takes_one_side_from_a_pipe(tmp_path: Path) -> None:
    save(SNAPSHOT, tmp_path / "a.gz")
    done = shell(f"{DOCTOR} diff --json a.gz - < a.gz", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    refused(shell(f"{DOCTOR} diff - -", dump(SNAPSHOT)), "can be read but once")
    refused(shell(f"echo '{{}}' | {DOCTOR} diff a.gz -", folder=tmp_path), "standard input")


@pytest.mark.parametrize("how", ["cat a.log | {doctor} -", "{doctor} <(cat a.log)", "gzip -c a.log | {doctor} -"])
def test_triage_reads_what_comes_through_a_pipe(how: str, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(FAULTY)
    done = shell(how.format(doctor=f"{DOCTOR} triage --format jsonl"), folder=tmp_path)
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["findings"][0]["fault"] == "cuda-no-kernel-image"
    assert report["subject"]["name"] == "standard input" or "<(" in how


def test_triage_takes_an_export_from_a_pipe_and_goes_on(tmp_path: Path) -> None:
    rows = "".join(json.dumps({"id": f"T-{n}", "body": FAULTY}) + "\n" for n in range(3))
    command = f"{DOCTOR} triage --format jsonl --text-field body --id-field id --state state -"
    first, again = (shell(command, rows.encode(), tmp_path) for _ in range(2))
    names = [json.loads(line)["subject"]["name"] for line in first.stdout.splitlines()]
    assert names == ["standard input:T-0", "standard input:T-1", "standard input:T-2"]
    assert (again.stdout, again.stderr) == (first.stdout, "3 answers are noted already\n")


def test_names_are_not_taken_for_a_log(tmp_path: Path) -> None:
    """That nothing is wrong with a list of names would be the opposite of what stands in the files."""
    for name in ("a b.log", "c.log"):
        (tmp_path / name).write_text(FAULTY)
    done = shell(f"ls *.log | {DOCTOR} triage -", folder=tmp_path)
    refused(done, "names of files", "xargs -d '\\n' gpu-doctor triage")
    advised = shell(f"ls *.log | xargs -d '\\n' {DOCTOR} triage --format jsonl | wc -l", folder=tmp_path)
    assert advised.stdout.strip() == "2"


def test_the_copy_of_a_pipe_is_removed(tmp_path: Path) -> None:
    shell(f"TMPDIR={tmp_path} {DOCTOR} triage -", FAULTY.encode())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", ["explain - -", "lint - -", "triage - -", "diff - -", "check --log - --log -"])
def test_standard_input_is_named_once(words: str) -> None:
    """The second reading would be empty, and hide what the first one said."""
    refused(shell(f"{DOCTOR} {words}", FAULTY.encode()), "can be read but once")


@pytest.mark.parametrize("words", ["explain a.log --output ''", "record --yes -o ''"])
def test_an_output_without_a_name_is_a_variable_that_is_not_set(words: str) -> None:
    refused(shell(f"{DOCTOR} {words}"), "--output was given an empty name")


@pytest.mark.parametrize("verb", ["image", "binary"])
def test_what_is_read_at_many_places_cannot_come_through_a_pipe(verb: str) -> None:
    refused(shell(f"{DOCTOR} {verb} -"), "standard input", "write it to a file")


def test_output_to_a_dash_is_standard_output(tmp_path: Path) -> None:
    done = shell(f"{DOCTOR} explain --output - -", FAULTY.encode(), tmp_path)
    assert "no GPU code" in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", ["replay -", "diff - x", "record -o -"])
def test_a_snapshot_is_neither_typed_nor_read_by_eye(words: str) -> None:
    """Nobody would know what it waits for, and its bytes would spoil the terminal."""
    master, slave = pty.openpty()
    done = subprocess.run(
        [*DOCTOR.split(), *words.split()], stdin=slave, stdout=slave, stderr=subprocess.PIPE, timeout=60, check=False
    )
    os.close(slave)
    os.close(master)
    assert done.returncode == 2
    assert b"terminal" in done.stderr
    assert done.stderr.count(b"\n") == 1


def test_a_name_is_told_in_one_line(tmp_path: Path) -> None:
    name = str(tmp_path / "no\x1b[31m\nsuch")
    with pytest.raises(UsageError) as told:
        whole(name, 10)
    assert str(told.value).isprintable()
    assert said("-") == "standard input"


def test_who_waits_for_a_pipe_is_told_so(tmp_path: Path) -> None:
    """As `cat` it goes on waiting, but a person at a terminal sees for what."""
    os.mkfifo(tmp_path / "pipe")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*DOCTOR.split(), "explain", "pipe"], stdin=slave, stdout=subprocess.PIPE, stderr=slave, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )  # fmt: skip
    os.close(slave)
    told = os.read(master, 1000).decode()
    with open(tmp_path / "pipe", "w") as stream:
        stream.write(FAULTY)
    out, _ = process.communicate(timeout=60)
    os.close(master)
    assert "waiting for something to write to pipe, a pipe" in told
    assert b"no GPU code" in out


# Every writer of files in the same words


def _answer(path: Path) -> None:
    with answering(path) as stream:
        stream.write("x")


def _journal(path: Path) -> None:
    from doctor.knowledge import shipped

    with journal(path, shipped(), "text"):
        pass


WRITERS = {
    "an answer": _answer,
    "a snapshot": lambda path: save(SNAPSHOT, path),
    "an export of the app": lambda path: write_new(path, "x"),
    "the state of a triage": _journal,
    "the states of tickets": lambda path: save_states(path, {"a": "done"}),
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=list(WRITERS))
def test_each_writer_says_what_cannot_be_written(writer: object, tmp_path: Path) -> None:
    path = tmp_path / "no-such-folder" / "file"
    with pytest.raises(UsageError, match=r"no-such-folder/file\S* cannot be written: \w+") as told:
        writer(path)  # type: ignore[operator]
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["full", "left"])
def test_writing(name: str) -> None:
    """A full disk is an error with its reason; a reader that left is none, whoever wrote."""
    error = OSError(28, "No space left on device") if name == "full" else BrokenPipeError(32, "Broken pipe")
    told: type[Exception] = UsageError if name == "full" else BrokenPipeError
    with pytest.raises(told), writing("x"):
        raise error


def test_a_file_that_finds_no_room_is_not_left_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def __init__(self, descriptor: int, *_: object, **__: object) -> None:
            os.close(descriptor)

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            raise OSError(28, "No space left on device")

        def write(self, _: object) -> None: ...

    monkeypatch.setattr(os, "fdopen", Full)
    for write in (lambda path: write_new(path, "x"), lambda path: save(SNAPSHOT, path)):
        with pytest.raises(UsageError, match="No space left"):
            write(tmp_path / "file")
    assert not list(tmp_path.iterdir())


def test_a_compressed_snapshot_is_bounded_too() -> None:
    with pytest.raises(UsageError, match="unpacks to more than 256 MB"):
        loads(gzip.compress(bytes(LARGEST + 1), 1), "x")
