"""Containers fail for real; the diagnosis and the advice are right, and wrong advice is absent."""

from __future__ import annotations

import json
import shlex
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from doctor.snapshot import load

pytestmark = pytest.mark.lab

GPU_ADVICE = ("nvidia-ctk", "--gpus", "usermod", "/dev/kfd")


@dataclass(frozen=True)
class Fault:
    """A way to fail, and what must and must not be said about it."""

    name: str
    run: str
    fault: str
    corrected: tuple[str, ...] = ()
    """Words of the corrected line; empty: there is none."""
    absent: tuple[str, ...] = ()
    """Words that no fix, and no corrected line, may have."""
    values: tuple[tuple[str, str], ...] = ()


FAULTS = (
    Fault("gpus-no-toolkit", "--gpus all lab/plain /opt/kfd", "nvidia-toolkit-not-installed", absent=("/dev/kfd", "shm")),
    Fault("cdi-not-enabled", "--device nvidia.com/gpu=all lab/plain /opt/kfd", "nvidia-cdi-not-enabled", absent=("/dev/kfd",)),
    Fault("kfd-missing", "--device=/dev/kfd lab/plain /opt/kfd", "amd-kfd-missing", absent=("nvidia",)),
    Fault("kfd-not-passed", "lab/plain /opt/kfd", "amd-kfd-missing", ("--device=/dev/kfd", "--device=/dev/dri"), ("nvidia",)),
    Fault("no-cudart", "lab/plain /opt/cudart", "lib-cudart-missing", values=(("library", "libcudart.so.12"),),
          absent=("nvidia-ctk", "usermod")),
    Fault("no-driver-linked", "lab/plain /opt/driver", "nvidia-gpu-not-requested", ("--gpus=all",), ("apt-get install libcuda1",)),
    Fault("no-driver-dlopened", "lab/cudart /opt/cudart", "nvidia-gpu-not-requested", ("--gpus=all",)),
    Fault("visible-on-runc", "-e NVIDIA_VISIBLE_DEVICES=all lab/cudart /opt/cudart", "nvidia-gpu-not-requested", ("--gpus=all",)),
    Fault("newer-glibc", "lab/plain /opt/glibc", "lib-glibc-too-old", absent=GPU_ADVICE),
    Fault("arm64", "lab/arm64 /opt/program", "lib-wrong-cpu-architecture", ("--platform=linux/amd64",), GPU_ADVICE),
    Fault("shm", "lab/plain /opt/shm", "container-shm-too-small", ("--shm-size=8g",), GPU_ADVICE),
    Fault("memory", "-m 16m lab/plain /opt/memory", "container-oom-killed", ("--memory=32m",), GPU_ADVICE),
    Fault("disk", "--tmpfs /data:size=2m lab/plain /opt/disk", "container-no-space", ("--tmpfs=/data:size=20m",), GPU_ADVICE),
    Fault("amd-line-cuda-image", "--device=/dev/kfd --group-add video lab/cuda /opt/kfd", "framework-wrong-vendor", ("--gpus=all",)),
    Fault("cuda-line-rocm-image", "--gpus all lab/rocm /opt/kfd", "framework-wrong-vendor", ("--device=/dev/kfd",), ("nvidia-ctk runtime",)),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault(lab, fault: Fault) -> None:
    fail = lab.fail_for_memory if fault.fault == "container-oom-killed" else lab.fail
    fail(f"lab-{fault.name}", *shlex.split(fault.run))
    report = lab.report(f"lab-{fault.name}")
    if fault.name == "cdi-not-enabled" and lab.has_cdi:
        fault = replace(fault, fault="nvidia-cdi-device-unresolvable")
    assert_diagnosed(report, fault)


def assert_diagnosed(report: dict, fault: Fault) -> None:
    first = report["findings"][0] if report["findings"] else {"fault": "none"}
    assert first["fault"] == fault.fault, [item["fault"] for item in report["findings"]]
    assert first["role"] == "cause"
    assert first["evidence"]
    assert first["fixes"]
    for name, value in fault.values:
        assert first["values"][name] == value
    corrected = report["corrected"]
    line = corrected["run"] if corrected else ""
    for word in fault.corrected:
        assert word in line, line
    if not fault.corrected:
        assert corrected is None or fault.absent, line
    said = line + json.dumps([fix["commands"] for item in report["findings"][:1] for fix in item["fixes"]])
    for word in fault.absent:
        assert word not in said, (word, said)


@pytest.mark.parametrize(
    ("name", "options", "fault", "corrected"),
    [
        ("denied", "--device=/dev/kfd --user 1000", "amd-kfd-permission", "--group-add=44"),
        ("bound", "-v /dev/kfd:/dev/kfd", "amd-device-not-permitted", "--device=/dev/kfd"),
        ("no-driver", "--device=/dev/kfd", "amd-kfd-open-failed", ""),
    ],
)
def test_the_errnos_of_kfd(lab, kfd_node: Path, name: str, options: str, fault: str, corrected: str) -> None:
    """EACCES, EPERM and ENXIO of the same open() are three causes; ENOENT, above, is the fourth."""
    lab.fail(f"lab-kfd-{name}", *shlex.split(options), "lab/plain", "/opt/kfd")
    report = lab.report(f"lab-kfd-{name}")
    assert report["findings"][0]["fault"] == fault, report["findings"]
    line = report["corrected"]["run"] if report["corrected"] else ""
    assert corrected in line
    assert bool(corrected) == bool(line)


def test_an_unknown_runtime_leaves_only_the_message(lab) -> None:
    """No container is created, so what the command line printed must do."""
    printed = lab.fail("lab-runtime", "--runtime=nvidia", "lab/plain", "/opt/kfd")
    report = lab.explain(printed)
    assert report["findings"][0]["fault"] == "nvidia-runtime-not-registered"
    assert lab.doctor("check", "--container", "lab-runtime").returncode == 2


def test_the_pasted_start_error_is_enough(lab) -> None:
    printed = lab.fail("lab-pasted", "--gpus", "all", "lab/plain", "/opt/kfd")
    assert lab.explain(printed)["findings"][0]["fault"] == "nvidia-toolkit-not-installed"


def test_a_killed_child_leaves_exit_code_0(lab, tmp_path: Path) -> None:
    """The flag in the state tells, not the exit code."""
    shell = Path("/bin/busybox")
    if not shell.exists():
        pytest.skip("busybox-static is not installed")
    mounts = ("-v", f"{shell}:/bin/sh:ro")
    lab.fail_for_memory("lab-child", "-m", "16m", *mounts, "lab/plain", "/bin/sh", "-c", "/opt/memory; true")
    report = lab.report("lab-child")
    assert report["findings"][0]["fault"] == "container-oom-killed"
    assert "exit code 0" in report["findings"][0]["evidence"][0]["text"]


def test_what_somebody_killed_was_not_out_of_memory(lab) -> None:
    """Exit code 137 too; the engine remembers that it was asked."""
    shell = Path("/bin/busybox")
    if not shell.exists():
        pytest.skip("busybox-static is not installed")
    lab.docker("rm", "-f", "lab-killed", check=False)
    lab.docker(
        "run",
        "-d",
        "--network=none",
        "--name",
        "lab-killed",
        "-v",
        f"{shell}:/bin/sleep:ro",
        "lab/plain",
        "/bin/sleep",
        "600",
    )
    lab.docker("kill", "lab-killed")
    lab.docker("wait", "lab-killed")
    report = lab.report("lab-killed")
    assert "container-oom-killed" not in [item["fault"] for item in report["findings"]]
    outcome = next(one for one in report["checks"] if one["id"] == "container_killed_for_memory")
    assert (outcome["state"], "asked to stop or kill it" in outcome["says"]) == ("passed", True)
    assert report["subject"]["state"] == "exited with code 137, stopped or killed on request"


def test_check_without_a_container_names_those_that_failed(lab) -> None:
    lab.fail("lab-named", "lab/plain", "/opt/cudart")
    done = lab.doctor("check")
    assert "gpu-doctor check --container lab-named" in done.stdout


def test_an_unknown_container_is_one_line_and_exit_2(lab) -> None:
    done = lab.doctor("check", "--container", "no-such-thing")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no-such-thing" in done.stderr
    assert not done.stdout


def test_the_engine_is_left_as_it_was(lab) -> None:
    lab.fail("lab-untouched", "lab/plain", "/opt/cudart")
    before = lab.docker("ps", "-a", "--no-trunc").stdout, lab.docker("images", "--no-trunc").stdout
    lab.report("lab-untouched")
    lab.doctor("record", "-o", str(lab.folder / "untouched.gz"), "--container", "lab-untouched", "--yes", "--force")
    after = lab.docker("ps", "-a", "--no-trunc").stdout, lab.docker("images", "--no-trunc").stdout
    assert [_without_age(text) for text in before] == [_without_age(text) for text in after]


def _without_age(text: str) -> list[str]:
    """Identities only: "5 seconds ago" goes on."""
    return sorted(line.split()[0] + line.split()[-1] for line in text.splitlines()[1:])


def test_a_recorded_container_gives_the_same_report(lab) -> None:
    lab.fail_for_memory("lab-recorded", "-m", "16m", "lab/plain", "/opt/memory")
    file = lab.folder / "recorded.gz"
    done = lab.doctor("record", "-o", str(file), "--container", "lab-recorded", "--yes", "--force")
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    first, second = (lab.doctor("replay", str(file), "--json").stdout for _ in range(2))
    assert first == second
    live = lab.report("lab-recorded")
    replayed = json.loads(first)
    assert [item["fault"] for item in replayed["findings"]] == [item["fault"] for item in live["findings"]]
    assert replayed["corrected"] == live["corrected"]


SAME = (
    "{{json .Config.Healthcheck}} {{json .Config.Volumes}} {{json .HostConfig.LogConfig}} {{json .HostConfig.Tmpfs}} "
    "{{json .Config.Env}} {{json .HostConfig.RestartPolicy}} {{json .HostConfig.NetworkMode}} {{json .Config.Labels}}"
)


def test_the_corrected_line_makes_the_same_container_beside_the_old_one(lab, tmp_path: Path) -> None:
    """Typed as it is shown, with the failed container still there: only what was wrong is another way."""
    options = (
        "--health-cmd", "test -e /x", "--health-interval", "7s", "--health-retries", "2", "--log-opt", "max-size=10m",
        "-v", "/cache", "--label", "team=planted", "--tmpfs", "/data:size=2m", "--restart", "on-failure:2",
    )  # fmt: skip
    lab.fail("lab-same", *options, "lab/plain", "/opt/shm")
    record = tmp_path / "same.gz"
    assert lab.doctor("record", "-o", str(record), "--container", "lab-same", "--yes", "--no-redact").returncode == 0
    assert "planted" not in str(load(record)), "a label's value may be a secret"
    corrected = lab.report("lab-same")["corrected"]
    assert corrected["left_out"] == []
    before = lab.docker("inspect", "--format", SAME, "lab-same").stdout
    for line in (*corrected["first"], corrected["run"]):
        done = subprocess.run(["bash", "-c", line], env=lab.environment, capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
        assert done.returncode == 0, (line, done.stderr)
    assert lab.docker("inspect", "--format", SAME, "lab-same").stdout == before
    assert lab.docker("inspect", "--format", "{{.HostConfig.ShmSize}}", "lab-same").stdout.strip() == str(8 << 30)
    assert lab.docker("inspect", "--format", "{{.Name}}", "lab-same-old").returncode == 0


RARE = (
    "--ip", "10.97.0.9", "--ip6", "fd97::9", "--link-local-ip", "169.254.34.68", "--network-alias", "web",
    "--network-alias", "db", "--expose", "9000", "--expose", "9100-9101/udp", "-p", "127.0.0.1::80", "-p", "[::1]:81:81/udp",
    "--cpu-period", "50000",
    "--cpu-quota", "20000", "--memory-swappiness", "10", "--domainname", "example.org", "--hostname", "here",
    "--label", "team=x", "--label", "note=two words, $x \"y\"", "--volume-driver", "local", "-v", "lab-cache:/cache",
    "--security-opt", "systempaths=unconfined", "--mount", "type=tmpfs,target=/u,tmpfs-mode=0700",
    "--mount", "type=volume,source=lab-vol,target=/w,volume-nocopy", "--add-host", "other:10.0.0.1", "--dns", "10.0.0.2",
    "--dns-option", "ndots:1", "--stop-timeout", "3", "--cpu-shares", "512", "--group-add", "44", "--pids-limit", "500",
    "--ulimit", "nofile=1024:2048", "--sysctl", "net.ipv4.ip_forward=1", "--cap-add", "SYS_PTRACE", "--cap-drop", "MKNOD",
)  # fmt: skip
NEW = ("--annotation", "org.example.note=planted", "--mac-address", "92:d0:c6:0a:29:33")
"""Only where engine and client both know them: with this engine and a newer client, the client refuses."""
FLEETING = {"Id", "Created", "Name", "Path", "Args", "State", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath",
            "GraphDriver", "Storage"}  # fmt: skip


def _inspected(lab, name: str) -> dict:
    """All that was asked for; a network's part only as far as it was."""
    content = json.loads(lab.docker("inspect", name).stdout)[0]
    networks = content.pop("NetworkSettings")["Networks"]
    kept = {key: value for key, value in content.items() if key not in FLEETING}
    del kept["HostConfig"]["ShmSize"]  # what was wrong
    kept["Config"].pop("Image")
    kept["Mounts"] = sorted(({**one, "Source": ""} for one in kept["Mounts"]), key=lambda one: one["Destination"])
    aliases = {n: [a for a in one["Aliases"] or () if not content["Id"].startswith(a)] for n, one in networks.items()}
    kept["Networks"] = {n: (one["IPAMConfig"], aliases[n], one["DriverOpts"]) for n, one in networks.items()}
    return kept


def test_whatever_docker_run_was_told_is_in_the_corrected_line(lab, tmp_path: Path) -> None:
    """The whole of docker inspect is the same but for the fault; values of labels come from the old container."""
    made = lab.docker("network", "create", "--internal", "--ipv6", "--subnet", "10.97.0.0/24", "--subnet", "fd97::/64", "lab-lan", check=False)  # fmt: skip
    if made.returncode:
        pytest.skip(f"this machine's kernel gives no bridge of its own: {made.stderr.strip()}")
    new = list(NEW)
    while new and lab.docker("create", "--name", "lab-try", "--network", "lab-lan", *new, "lab/plain", "/x", check=False).returncode:  # fmt: skip
        del new[:2]
    lab.docker("rm", "-f", "lab-try", check=False)
    lab.docker("rm", "-f", "lab-rare", "lab-rare-old", check=False)
    disk = next(
        (f"/dev/{one.name}" for one in sorted(Path("/sys/block").iterdir()) if Path("/dev", one.name).exists()), ""
    )
    slow = ("--device-read-bps", f"{disk}:1mb", "--device-write-iops", f"{disk}:100") if disk else ()
    ran = lab.docker("run", "--name", "lab-rare", "--network", "lab-lan", *RARE, *slow, *new, "lab/plain", "/opt/shm", check=False)  # fmt: skip
    assert ran.returncode == 135, ran.stderr
    before = _inspected(lab, "lab-rare")
    corrected = lab.report("lab-rare")["corrected"]
    assert "planted" not in str(corrected)
    assert "two words" not in str(corrected)
    assert corrected["left_out"] == []
    for line in (*corrected["first"], corrected["run"]):
        done = subprocess.run(["sh", "-c", line], env=lab.environment, capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
        assert done.returncode == 0, (line, done.stderr)
    assert _inspected(lab, "lab-rare") == before


def test_the_corrected_line_is_what_docker_takes(lab) -> None:
    """The line is started as it stands, and the fault is gone."""
    lab.fail("lab-again", "--tmpfs", "/data:size=2m", "-e", "NAME=a b$c", "lab/plain", "/opt/shm")
    report = lab.report("lab-again")
    line = report["corrected"]["run"]
    lab.docker("rm", "-f", "lab-again")
    done = subprocess.run(
        ["bash", "-c", line],
        env={**lab.environment, "NAME": "x"}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (line, done.stderr)
