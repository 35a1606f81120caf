"""The command line as scripts rely on it: exit codes, one-line errors, stdout for the answer alone."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import jsonschema
import pytest

from doctor.__main__ import VERBS
from doctor.render.appearance import Appearance
from doctor.render.text import report_text
from doctor.report import Report

FAULTY = "RuntimeError: CUDA error: no kernel image is available for execution on the device\n"
SCHEMA = json.loads((Path(__file__).parent.parent / "doctor/report.schema.json").read_text())


def doctor(*words: str, text: str | bytes = "", **environment: str) -> subprocess.CompletedProcess[str]:
    data = text.encode() if isinstance(text, str) else text
    done = subprocess.run(
        [sys.executable, "-m", "doctor", *words], input=data, capture_output=True, timeout=60, check=False,
        env={**os.environ, "DOCKER_HOST": "unix:///nonexistent/docker.sock", **environment},
    )  # fmt: skip
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def one_line_error(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("gpu-doctor: ")
    for word in words:
        assert word in done.stderr


def test_version() -> None:
    assert doctor("--version").stdout.startswith("gpu-doctor 0.")


@pytest.mark.parametrize(("closed", "code"), [("<&-", 3), (">&-", 3), ("2>&-", 3), ("<&- >&- 2>&-", 3)])
def test_streams_that_are_closed(closed: str, code: int) -> None:
    """As a service or cron may start it: no traceback, and the exit code that it always has."""
    command = f"{sys.executable} -m doctor explain - {closed if '<' in closed else '</dev/null ' + closed}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (code, "")


def test_without_a_verb_and_without_streams_it_is_check() -> None:
    command = f"exec {sys.executable} -m doctor <&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    assert "Checks:" in done.stdout


@pytest.mark.parametrize(
    "words", ["--help", "knowledge list", "knowledge show nvidia-hook-mount-conflict", "triage --help", "checks list"]
)
def test_what_the_locale_cannot_show_is_no_traceback(words: str) -> None:
    done = doctor(*words.split(), LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()


def test_a_full_disk_and_a_file_that_breaks_are_named() -> None:
    for words in ("knowledge list", "--help", "--version", "lint --help", "lint --version", "binary /bin/ls"):
        command = f"{sys.executable} -m doctor {words} > /dev/full"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
        one_line_error(done, "standard output", "No space left")
    one_line_error(doctor("explain", "/proc/self/mem"), "/proc/self/mem cannot be read")


@pytest.mark.parametrize("verb", ["explain", "lint", "replay", "binary", "triage", "image"])
def test_an_empty_name_is_a_variable_that_is_not_set(verb: str) -> None:
    one_line_error(doctor(verb, ""), "empty name")


def test_help_of_a_verb_in_either_order() -> None:
    assert doctor("help", "lint").stdout == doctor("lint", "--help").stdout


def test_help_names_the_verbs() -> None:
    said = doctor("--help")
    assert said.returncode == 0
    assert "check --container" in said.stdout


@pytest.mark.parametrize("verb", list(VERBS))
def test_each_verb_has_help_with_examples_first(verb: str) -> None:
    said = doctor(verb, "--help")
    assert said.returncode == 0
    examples = said.stdout.partition("\nusage:")[0].partition("\nexamples:\n")[2]
    assert f"gpu-doctor {verb}" in examples
    assert VERBS[verb].split(";")[0].lower()[:20] in said.stdout.lower()


EVERYWHERE = {"--help", "--version", "--format", "--json", "--output", "--fail-on", "--quiet", "--verbose", "--color",
              "--knowledge"}  # fmt: skip
SOME = {"--only": {"check", "replay", "checks"}, "--skip": {"check", "replay", "checks"},
        "--timeout": {"check", "record", "triage"}, "--no-redact": {"record"}}  # fmt: skip
LACKS = {
    "binary": {"--knowledge": "no entry is asked"},
    "checks": {"--knowledge": "no entry is asked"},
    "record": dict.fromkeys(("--format", "--json", "--fail-on", "--color"), "a snapshot has one form and no verdict"),
    "serve": dict.fromkeys(
        EVERYWHERE - {"--help", "--version"}, "what it shows is the app, which answers nothing on stdout"
    ),
}


@pytest.mark.parametrize("verb", list(VERBS))
def test_options_that_are_everywhere(verb: str) -> None:
    """What a script gives to one verb it can give to another; where that means nothing, it is said here."""
    words = set(re.findall(r"(?<![\w-])--[a-z-]+", doctor(verb, "--help").stdout.partition("\noptions:")[2]))
    some = {name for name, verbs in SOME.items() if verb in verbs}
    assert words & (EVERYWHERE | SOME.keys()) == (EVERYWHERE - LACKS.get(verb, {}).keys()) | some


def test_each_verb_tells_the_version() -> None:
    assert doctor("lint", "--version").stdout == doctor("--version").stdout
    assert "-l version" in doctor("self", "completion", "fish").stdout


def test_checks_can_be_chosen() -> None:
    rows = json.loads(doctor("checks", "list", "--json", "--only", "driver").stdout)["checks"]
    assert {one["area"] for one in rows} == {"driver"}
    one_line_error(doctor("checks", "list", "--only", "no-such"), "matches no check")


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_start_up_imports_nothing_heavy(word: str) -> None:
    code = (
        "import sys; sys.argv = ['gpu-doctor', sys.argv[1]]\n"
        "from doctor.__main__ import main; main()\n"
        "heavy = {'textual', 'docker', 'elftools', 'rich', 'requests', 'hyperscan', 're2', 'dataclasses', 'argparse', 'psutil'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, word], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.endswith("HEAVY []\n")


def test_explain_a_fault_and_its_report() -> None:
    done = doctor("explain", "--json", "-", text=FAULTY)
    assert done.returncode == 1
    report = json.loads(done.stdout)
    jsonschema.validate(report, SCHEMA)
    assert report["findings"][0]["fault"] == "cuda-no-kernel-image"
    assert report["subject"] == {"kind": "log", "name": "standard input"}
    assert report["summary"]["errors"] == 1


def test_a_healthy_log_is_a_good_answer() -> None:
    done = doctor("explain", "--json", text="CUDA available: True\nepoch 1 loss 0.5\n")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    jsonschema.validate(report, SCHEMA)
    assert (report["findings"], report["summary"]["verdict"]) == ([], "none")


@pytest.mark.parametrize(("fail_on", "code"), [("error", 1), ("warning", 1), ("never", 0)])
def test_fail_on(fail_on: str, code: int) -> None:
    assert doctor("explain", "--fail-on", fail_on, text=FAULTY).returncode == code


def test_fail_on_never_holds_where_nothing_can_be_recommended() -> None:
    words = ("recommend", "--gpu", "K80", "--framework", "vllm")
    assert (doctor(*words).returncode, doctor(*words, "--fail-on", "never").returncode) == (1, 0)


def test_text_has_what_why_and_what_to_do_in_that_order() -> None:
    said = doctor("explain", text=FAULTY).stdout
    assert "\x1b" not in said
    assert said.index("✗ FAIL") < said.index("Why we think so") < said.index("Fix:")
    assert said.rstrip().endswith("[cuda-no-kernel-image]")


def test_a_good_answer_about_a_machine_says_nothing_of_its_containers() -> None:
    """The containers that failed stand right below it."""
    report = Report(
        "machine", "this machine", "2026-11-24T12:00:00Z", "0.1.0", notes=("container a (b) failed: Exited (1)",)
    )
    said = report_text(report, Appearance(False, True, 100, False))
    assert said.startswith("✓ pass  Nothing known is wrong with this machine\n")


def test_colour_only_where_it_is_wanted() -> None:
    assert "\x1b[" in doctor("explain", "--color", "always", text=FAULTY).stdout
    assert "\x1b[" in doctor("explain", text=FAULTY, FORCE_COLOR="1").stdout
    assert "\x1b[" not in doctor("explain", text=FAULTY, FORCE_COLOR="1", NO_COLOR="1").stdout
    assert "\x1b[" in doctor("explain", text=FAULTY, FORCE_COLOR="1", NO_COLOR="").stdout


def test_a_plain_locale() -> None:
    done = doctor("explain", text=FAULTY, LC_ALL="C", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 1
    assert done.stdout.isascii()
    assert "x FAIL" in done.stdout


def test_check_with_nothing_to_look_at(tmp_path: Path) -> None:
    """No engine, no HOME, an empty PATH: the report still comes, and says what was not seen."""
    done = doctor("check", "--json", HOME="/nonexistent", PATH="/nonexistent")
    report = json.loads(done.stdout)
    jsonschema.validate(report, SCHEMA)
    assert done.returncode in (0, 1, 3)
    assert any("engine" in row for row in report["not_examined"])
    assert {one["state"] for one in report["checks"]} <= {"passed", "found", "skipped"}


def test_bad_input(tmp_path: Path) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(100))
    (tmp_path / "snapshot.gz").write_text('{"format": 99, "readings": {}, "tool_version": "9.9"}')
    (tmp_path / "there").write_text("mine")
    one_line_error(doctor("chekc"), "did you mean", "check")
    one_line_error(doctor("explain", "no-such.log"), "no-such.log", "No such file")
    one_line_error(doctor("explain", str(tmp_path)), "triage")
    one_line_error(doctor("lint", str(tmp_path)), f"name its files, as {tmp_path}/*.yaml")
    one_line_error(doctor("explain", str(tmp_path / "program")), "ELF")
    one_line_error(doctor("replay", str(tmp_path / "snapshot.gz")), "format 99", "9.9")
    one_line_error(doctor("replay", str(tmp_path / "program")), "not a gpu-doctor snapshot")
    one_line_error(doctor("record", "-o", str(tmp_path / "there")), "--force")
    one_line_error(doctor("check", "--only", "no-such-check"), "matches no check")
    one_line_error(doctor("check", "--container", "x"), "'x'", "engine")
    one_line_error(doctor("check", "--log", "no-such.log"), "no-such.log")
    one_line_error(doctor("check", "--frobnicate"), "--frobnicate")
    one_line_error(doctor("explain", "--knowledge", "no-such-folder"), "no such folder")
    one_line_error(doctor("knowledge", "show", "cuda-no-kernel-imag"), "did you mean cuda-no-kernel-image")
    one_line_error(doctor("knowledge", "search", "xyzzyplugh"), "xyzzyplugh")
    assert (tmp_path / "there").read_text() == "mine"


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_a_report_is_no_log(form: str, tmp_path: Path) -> None:
    """That nothing is wrong would be the opposite of what stands in it."""
    report = tmp_path / "report.json"
    doctor("explain", "--format", form, "--output", str(report), text=FAULTY)
    one_line_error(doctor("explain", str(report)), "a report that gpu-doctor made")
    assert "a report that gpu-doctor made" in doctor("triage", str(report)).stdout


def test_output_goes_to_the_file_and_is_never_half(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    done = doctor("explain", "--json", "--output", str(file), text=FAULTY)
    assert (done.returncode, done.stdout) == (1, "")
    assert json.loads(file.read_text())["findings"]
    one_line_error(doctor("explain", "--output", str(tmp_path / "no" / "report"), text=FAULTY), "cannot be written")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("how", ["--log <(cat {log})", "--log - < {log}", "--log {log}"])
def test_a_log_beside_the_machine_may_come_through_a_pipe(how: str, tmp_path: Path) -> None:
    """It can be read but once: what was looked at to see whether it is text would be missing, and all seem well."""
    (tmp_path / "a.log").write_text(FAULTY)
    command = f"{sys.executable} -m doctor check --json {how.format(log=tmp_path / 'a.log')}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    assert "cuda-no-kernel-image" in [one["fault"] for one in json.loads(done.stdout)["findings"]]


@pytest.mark.parametrize("verb", ["explain", "triage", "binary"])
def test_output_leaves_nothing_behind_and_replaces_no_device(verb: str, tmp_path: Path) -> None:
    """`--output /dev/null` as root must not make a file of it; a link stays one."""
    log, real, link = tmp_path / "a.log", tmp_path / "real", tmp_path / "link"
    log.write_text(FAULTY)
    one_line_error(doctor(verb, str(log), "--output", str(tmp_path)), "Is a directory")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert doctor(verb, str(log), "--output", str(tmp_path / "pipe")).returncode in (0, 1)
    assert os.read(reader, 1 << 16)
    os.close(reader)
    assert (tmp_path / "pipe").is_fifo()
    link.symlink_to(real)
    assert doctor(verb, str(log), "--output", str(link)).returncode in (0, 1)
    assert (link.is_symlink(), bool(real.read_text())) == (True, True)
    assert {one.name for one in tmp_path.iterdir()} == {"a.log", "real", "link", "pipe"}
    assert not Path(f"{tmp_path}.part").exists()


@pytest.mark.parametrize(
    "words",
    ["explain x/a.log", "replay x/a.log", "lint x/a.log", "triage x/a.log", "knowledge test x", "explain a.log --knowledge x",
     "binary x/a.log", "image x", "explain a.log --output x/out", "triage a.log --state x/state", "diff a.log x/a.log"],
)  # fmt: skip
def test_what_may_not_be_read_or_written_is_one_line(words: str, tmp_path: Path) -> None:
    """Also by root, who may whatever the modes say, but for here."""
    (tmp_path / "x").mkdir()
    for name in ("x/a.log", "a.log"):
        (tmp_path / name).write_text('{"readings": {}, "format": 1, "target": {}, "taken_at": "", "tool_version": ""}')
    (tmp_path / "x").chmod(0)
    command = [sys.executable, "-m", "doctor", *words.split()]
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may read everything, and there is no setpriv to take that away")
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--", *command]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path, env=environment
    )
    (tmp_path / "x").chmod(0o700)
    one_line_error(done, "Permission denied", "x")


def test_a_state_file_is_a_regular_file(tmp_path: Path) -> None:
    log, pipe = tmp_path / "a.log", tmp_path / "pipe"
    log.write_text(FAULTY)
    os.mkfifo(pipe)
    one_line_error(doctor("triage", str(log), "--state", str(pipe)), "pipe is no regular file")


def test_quiet_says_nothing_when_nothing_is_wrong() -> None:
    assert doctor("explain", "--quiet", text="fine\n").stdout == ""
    assert doctor("explain", "--quiet", text=FAULTY).stdout


def test_a_reader_that_leaves_is_no_error() -> None:
    for words in ("knowledge list", "--help", "check --help"):
        ours, theirs = os.pipe()
        os.close(ours)
        command = [sys.executable, "-m", "doctor", *words.split()]
        done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, timeout=60, check=False)
        os.close(theirs)
        assert (done.returncode, done.stderr) == (0, b""), words


def _unread(descriptor: int) -> int:
    """Bytes in the pipe that the other side has not read yet."""
    return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)


def _take_interrupts() -> None:
    """A shell starts what it runs in the background deaf to SIGINT, and so would be a test that runs there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "doctor", "explain", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_take_interrupts,
    )
    assert process.stdin is not None
    process.stdin.write(b"a line\n")
    process.stdin.flush()
    while _unread(process.stdin.fileno()):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"Traceback" not in said
    assert said.count(b"\n") == 1


def test_knowledge_new_and_test(tmp_path: Path) -> None:
    made = doctor("knowledge", "new", "our-thing", "--knowledge", str(tmp_path))
    assert made.returncode == 0, made.stderr
    tested = doctor("knowledge", "test", str(tmp_path))
    assert tested.returncode == 0, tested.stdout
    assert tested.stdout.endswith("2 examples, 0 failed\n")
    (tmp_path / "our-thing.md").write_text(
        (tmp_path / "our-thing.md").read_text().replace("error: the words", "error: no words")
    )
    failed = doctor("knowledge", "test", str(tmp_path))
    assert failed.returncode == 1
    assert f"{tmp_path}/our-thing.md:" in failed.stdout
    one_line_error(doctor("knowledge", "new", "our-thing", "--knowledge", str(tmp_path)), "exists")


BARE = """+++
title     = "It is bare"
area      = "container"
severity  = "blocking"
yields_to = ["no-such-fault"]

[[match]]
line = '''a line that only this entry knows'''
sure = "certain"
values = { said = "one, and another" }
+++

It is bare.

## Cause: the one
said: one, and another

## Fix: mend it
where: host · risk: safe

```sh
mend
```
"""


def test_an_entry_is_wrapped_and_its_commands_are_not() -> None:
    lines = doctor("knowledge", "show", "container-shm-too-small").stdout.splitlines()
    prose = [line for line in lines if not line.startswith(("  ", "- ", "Fix: "))]
    assert max(map(len, prose)) <= 100
    assert any(len(line) > 100 for line in lines if line.startswith("  docker inspect"))
    title = next(n for n, line in enumerate(lines) if line.startswith("It may be: "))
    assert lines[title + 1].startswith("  docker inspect"), "no empty line where a cause has no text"


def test_causes_that_the_message_rules_out_are_for_who_asks(tmp_path: Path) -> None:
    log = tmp_path / "pod.log"
    log.write_text(
        "Pod Allocate failed due to requested number of devices unavailable for nvidia.com/gpu. Requested: 1, Available: 0"
    )
    told = doctor("explain", str(log)).stdout
    assert "Or it is: the pod was admitted before the plugin had registered" in told
    assert "Seen: the message says: the kubelet has too few healthy GPUs" in told
    assert "Ruled out" not in told
    assert (
        "Ruled out: the plugin's pod runs without the NVIDIA runtime" in doctor("explain", "--verbose", str(log)).stdout
    )


def test_an_entry_of_ones_own_must_have_what_ours_have(tmp_path: Path) -> None:
    """Without an example nothing was tested, and that is no success."""
    (tmp_path / "our-bare.md").write_text(BARE)
    done = doctor("knowledge", "test", str(tmp_path))
    assert done.returncode == 1
    for lack in (
        "no source",
        "no way to see that a fix worked",
        "no example",
        "no near miss",
        "no cause and no fix goes by said",
    ):
        assert f"{tmp_path}/our-bare.md: {lack}" in done.stdout
    assert "no-such-fault" in done.stdout


def test_the_knowledge_verb_takes_what_it_says(tmp_path: Path) -> None:
    one_line_error(doctor("knowledge", "test", str(tmp_path)), "no entry in it")
    (tmp_path / "our-bare.md").write_text(BARE)
    one_line_error(
        doctor("knowledge", "test", str(tmp_path / "our-bare.md")), "is a file", f"test its folder: {tmp_path}"
    )
    one_line_error(doctor("knowledge", "list", "shm", "size"), "knowledge search shm size")
    assert "ID" not in doctor("knowledge").stderr


def test_self_is_for_a_bug_report() -> None:
    said = doctor("self", "--json")
    assert said.returncode == 0, said.stderr
    content = json.loads(said.stdout)
    assert content["gpu-doctor"]
    assert content["entries not read"] == "none"


def test_completion_completes(tmp_path: Path) -> None:
    script = tmp_path / "completion.bash"
    script.write_text(doctor("self", "completion", "bash").stdout)
    ask = 'COMP_WORDS=(gpu-doctor {}); COMP_CWORD={}; _gpu_doctor; echo "${{COMPREPLY[@]}}"'

    def completed(words: str, position: int) -> str:
        command = f"source {script}; {ask.format(words, position)}"
        return subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=True).stdout

    assert completed("exp", 1).split() == ["explain"]
    assert "--container" in completed("check --con", 2)
    for shell in ("zsh", "fish"):
        assert "explain" in doctor("self", "completion", shell).stdout
    one_line_error(doctor("self", "completion"), "bash", "fish")
