"""The whole report comes under bad conditions, and nothing is written: proven under strace."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from doctor.check import discover
from doctor.engine import CheckFinished, ProbeFinished, ReportReady, run
from doctor.knowledge import Base
from doctor.match import Patterns
from doctor.probes import discover as discover_probes
from doctor.probes.system import System
from doctor.snapshot import Target

ROOT = Path(__file__).parent.parent
ALL = {one.id for one in discover()}


def check(*before: str, path: str | None = None, **environment: str) -> tuple[dict[str, Any], str]:
    """`gpu-doctor check --json` with an environment of its own."""
    chosen = {
        "PATH": path if path is not None else os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment,
    }
    done = subprocess.run(
        [*before, sys.executable, "-m", "doctor", "check", "--json"],
        env=chosen, cwd="/", capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode in (0, 1, 3), done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout), done.stderr


def whole(report: dict[str, Any]) -> None:
    """Every check has its outcome, and none fell over."""
    assert {one["id"] for one in report["checks"]} == ALL
    assert not [one for one in report["checks"] if one["state"] == "crashed"]


def test_without_tools_home_and_locale(tmp_path: Path) -> None:
    report, _ = check(path=str(tmp_path), LC_ALL="C", XDG_CACHE_HOME=str(tmp_path / "cache"))
    whole(report)


def test_on_a_disk_that_takes_no_writing() -> None:
    report, _ = check(HOME="/proc/nowhere", XDG_CACHE_HOME="/proc/nowhere", TMPDIR="/proc/nowhere")
    whole(report)


def test_in_a_file_system_mounted_read_only(tmp_path: Path) -> None:
    tried = subprocess.run(
        ["unshare", "--mount", "sh", "-c", "mount -o remount,bind,ro /"], capture_output=True, check=False
    )
    if tried.returncode:
        pytest.skip("mounting is not permitted here")
    words = ("unshare", "--mount", "sh", "-c", 'mount -o remount,bind,ro / && exec "$@"', "sh")
    report, _ = check(*words, XDG_CACHE_HOME=str(tmp_path / "cache"))
    whole(report)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give its rights away")
def test_without_rights(tmp_path: Path) -> None:
    words = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    if (
        shutil.which("setpriv") is None
        or subprocess.run([*words, sys.executable, "-c", ""], check=False, capture_output=True).returncode
    ):
        pytest.skip("another user cannot run this interpreter")
    report, _ = check(*words, XDG_CACHE_HOME=str(tmp_path / "cache"))
    whole(report)


SLOW = ("dmesg", "journalctl", "modinfo", "systemctl", "nvidia-smi", "dpkg-query", "kubectl")


def test_a_hung_tool_delays_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: Base, patterns: Patterns
) -> None:
    """Every tool hangs: what needs none of them is known before the first of them is given up."""
    for name in SLOW:
        (tmp_path / name).write_text("#!/bin/sh\nsleep 600\n")
        (tmp_path / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no.sock")
    events = list(run(Target(), System(patience=0.2), discover_probes(), discover(), base, patterns))
    last = events[-1]
    assert isinstance(last, ReportReady)
    assert {one.check for one in last.report.outcomes} == ALL
    ended = [event.area for event in events if isinstance(event, ProbeFinished)]
    assert ended.index("kernel") > ended.index("host")
    kernel = next(n for n, event in enumerate(events) if isinstance(event, ProbeFinished) and event.area == "kernel")
    before = {event.outcome.check for event in events[:kernel] if isinstance(event, CheckFinished)}
    assert {"here_shared_memory", "user_namespaces_allowed"} <= before
    assert last.snapshot.readings["command:dmesg"].state == "timeout"
    assert "file:/proc/modules" in last.snapshot.readings, "what a probe read before its tool hung is kept"


WRITING = re.compile(r"O_(?:WRONLY|RDWR|CREAT|TRUNC|APPEND)")
CALLS = (
    "open,openat,creat,mkdir,mkdirat,unlink,unlinkat,rename,renameat,renameat2,rmdir,link,linkat,symlink,symlinkat,chmod,fchmodat,"
    "chown,fchownat,lchown,mknod,mknodat,truncate,mount,umount2,utimensat,setxattr,removexattr,init_module,finit_module,delete_module,swapon,reboot"
)


def test_no_write_outside_our_own_folder(tmp_path: Path) -> None:
    """Every system call of the program, its threads and its commands that could change a file."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace, own = tmp_path / "trace", tmp_path / "own"
    own.mkdir()
    watch = ("strace", "-f", "-qq", "-e", f"trace={CALLS}", "-o", str(trace))
    tried = subprocess.run([*watch, "true"], capture_output=True, check=False)
    if tried.returncode:
        pytest.skip("tracing is not permitted here")
    report, _ = check(*watch, XDG_CACHE_HOME=str(own), TMPDIR=str(own), HOME=str(own))
    whole(report)
    wrong = [line for line in trace.read_text(errors="replace").splitlines() if _changes(line, str(own))]
    assert not wrong, wrong[:5]
    assert "/proc/modules" in trace.read_text(errors="replace"), "the trace saw the probes"


def _changes(line: str, own: str) -> bool:
    call = re.match(r"\d+\s+(\w+)\(", line)
    if not call or re.search(r"= -1 E\w+", line):
        return False
    if call.group(1) in ("open", "openat") and not WRITING.search(line):
        return False
    paths = re.findall(r'"([^"]*)"', line)
    return not paths or not all(path.startswith((own, "/dev/null", "/dev/tty")) for path in paths)
