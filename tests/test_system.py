"""Reading a system is bounded in time and size, whatever is there."""

from __future__ import annotations

import json
import os
import stat
import sys
import time
from pathlib import Path

import pytest

from doctor.probes import system as module
from doctor.probes.system import System

PYTHON = sys.executable


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> System:
    """A system whose commands get a fifth of a second."""
    return System(patience=0.04)


def test_a_command_says_what_it_said() -> None:
    reading = System().command("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (reading.state, reading.exit_code, reading.text, reading.error) == ("failed", 3, "out\n", "err")


def test_a_command_that_is_not_there() -> None:
    reading = System().command("no-such-program")
    assert reading.state == "missing"
    assert "not installed" in reading.error


def test_a_hanging_command_is_a_timeout(quick: System) -> None:
    reading = quick.command("sleep", "600")
    assert reading.state == "timeout"
    assert "no answer within 0.2 s; killed" in reading.error


def test_a_command_that_ignores_being_asked_is_killed(quick: System) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
    )
    reading = System(patience=0.2).command(PYTHON, "-c", code)
    assert reading.state == "timeout"
    assert reading.text == "here\n"


def test_children_of_a_killed_command_go_too(quick: System, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    reading = System(patience=0.1).command("sh", "-c", f"sleep 600 & echo $! > {mark}; wait")
    assert reading.state == "timeout"
    child = int(mark.read_text())
    for _ in range(100):
        if not _runs(child):
            break
        time.sleep(0.02)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_flood_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OUTPUT_LIMIT", 1000)
    reading = System().command(PYTHON, "-c", "print('x' * 5_000_000)")
    assert reading.truncated
    assert len(reading.text) == 1000


def test_half_a_character_is_no_crash() -> None:
    reading = System().command(PYTHON, "-c", "import sys; sys.stdout.buffer.write(b'ab\\xe2\\x82')")
    assert reading.text == "ab�"


def test_a_command_gets_no_input_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "planted")
    reading = System().command("sh", "-c", "cat; env")
    assert "planted" not in reading.text
    assert "LC_ALL=C" in reading.text


def test_escape_sequences_do_not_enter() -> None:
    reading = System().command("printf", "\\033[31mred\\033[0m \\033]0;title\\007plain")
    assert reading.text == "red plain"


def test_secrets_do_not_enter(tmp_path: Path) -> None:
    (tmp_path / "config").write_text('{"auths": {"nvcr.io": {"auth": "bXlzZWNyZXQ6cGFzcw=="}}}')
    reading = System(str(tmp_path)).file("/config")
    assert "bXlz" not in reading.text
    assert "<secret>" in reading.text


def test_files(tmp_path: Path) -> None:
    system = System(str(tmp_path))
    (tmp_path / "there").write_text("x" * 100)
    assert system.file("/there").text == "x" * 100
    cut = system.file("/there", limit=10)
    assert (cut.text, cut.truncated) == ("x" * 10, True)
    assert system.file("/nowhere").state == "missing"
    assert system.file("/").state == "failed"


def test_a_pipe_in_place_of_a_file_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert System(str(tmp_path)).file("/pipe").error == "not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_denied_file(tmp_path: Path) -> None:
    (tmp_path / "closed").write_text("x")
    (tmp_path / "closed").chmod(0)
    assert System(str(tmp_path)).file("/closed").state == "denied"


def test_a_node_is_described_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.symlink("pipe", tmp_path / "link")
    assert json.loads(System(str(tmp_path)).node("/link").text)["link"] == "pipe"
    null = json.loads(System().node("/dev/null").text)
    assert (null["kind"], null["major"], null["minor"]) == ("character device", 1, 3)
    assert null["mode"] == stat.S_IMODE(os.stat("/dev/null").st_mode)


def test_no_link_leads_out_of_another_root(tmp_path: Path) -> None:
    """An absolute link, `..` and a link in the middle of a path are followed as the system under the root would."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    (outside / "cdi").mkdir(parents=True)
    (outside / "secret").write_text("planted")
    (outside / "cdi" / "nvidia.yaml").write_text("planted")
    (root / "etc").mkdir(parents=True)
    (root / "run" / "cdi").mkdir(parents=True)
    (root / "run" / "cdi" / "nvidia.yaml").write_text("own")
    (root / "etc" / "absolute").symlink_to(outside / "secret")
    (root / "etc" / "climbing").symlink_to("../../outside/secret")
    (root / "etc" / "cdi").symlink_to(outside / "cdi")
    (root / "etc" / "loop").symlink_to("loop")
    (root / "var").mkdir()
    (root / "var" / "run").symlink_to("/run")
    system = System(str(root))
    for path in ("/etc/absolute", "/etc/climbing", "/etc/cdi/nvidia.yaml", "/../outside/secret"):
        for reading in (system.file(path), system.data(path), system.space(path), system.lines(path, "planted")):
            assert reading.state == "missing", reading
    assert system.names("/etc/cdi").state == "missing"
    assert system.names("/etc/../../outside").state == "missing"
    assert system.node("/etc/cdi/nvidia.yaml").state == "missing"
    assert system.file("/etc/loop").state == "failed"
    assert system.file("/var/run/cdi/nvidia.yaml").text == "own", "a link inside is followed"
    assert system.names("/var/run/cdi").text == "nvidia.yaml"
    assert json.loads(system.node("/etc/absolute").text)["link"] == str(outside / "secret"), "it is told, not followed"


def test_another_root_runs_no_commands(tmp_path: Path) -> None:
    assert System(str(tmp_path)).command("true").state == "missing"


def test_names_that_are_wanted(tmp_path: Path) -> None:
    for name in ("libcuda.so.1", "libcudart.so.12", "libnvidia-ml.so.1", "other"):
        (tmp_path / name).touch()
    reading = System(str(tmp_path)).names("/", r"lib(?:cuda|nvidia-ml)\.so")
    assert reading.key == r"names:/ like lib(?:cuda|nvidia-ml)\.so"
    assert reading.text.split() == ["libcuda.so.1", "libnvidia-ml.so.1"]


def test_bytes_are_told_in_hexadecimal(tmp_path: Path) -> None:
    (tmp_path / "variable").write_bytes(b"\x06\0\0\0\x01")
    assert System(str(tmp_path)).data("/variable").text == "0600000001"
    assert System(str(tmp_path)).data("/variable", 2).text == "0600"
    assert System(str(tmp_path)).data("/none").state == "missing"


def test_lines_that_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("# a\nblacklist nvidia\nother\n")
    assert System(str(tmp_path)).lines("/conf", "^blacklist").text == "blacklist nvidia"


def test_a_command_keeps_only_what_is_wanted() -> None:
    reading = System().command("printf", "NVRM: one\\nusb: SerialNumber: 1234\\n", keep="NVRM")
    assert reading.text == "NVRM: one"


def test_tools_of_the_system_are_found_without_its_folders_in_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert System().command("true").state == "ok"


def test_a_module_of_ours_in_a_process_of_its_own(tmp_path: Path) -> None:
    assert System().child("this").text.startswith("The Zen of Python")
    assert System().child("no_such_module").state == "failed"
    assert System(str(tmp_path)).child("this").state == "missing"
