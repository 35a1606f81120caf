"""What is printed to be copied is what the tools take: compose files by docker-compose, manifests by their schemas."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from doctor import lint_file
from doctor.facts.engine import Attachment
from doctor.gpus import gpu_named
from doctor.recommend import FRAMEWORKS, Machine, recommend
from doctor.runforms import RunLine, as_compose

BAD = Path(__file__).parent / "lint" / "bad"
GPUS = ("RTX 5090", "V100", "MI300X", "gfx1201", "RX 7900 XTX")
# Not valid whatever its GPU request is: the example is cut short.
CUT = ("deploy-shm.yaml",)
COMPOSE = [path.name for path in sorted(BAD.iterdir()) if path.name.startswith("compose.")]
MANIFESTS = [
    path.name for path in sorted(BAD.iterdir()) if path.suffix == ".yaml" and path.name not in (*COMPOSE, *CUT)
]


def documents(text: str) -> list[dict]:
    return [one for one in YAML(typ="safe", pure=True).load_all(text) if one]


def demand_compose(text: str, folder: Path) -> None:
    if shutil.which("docker-compose") is None:
        pytest.skip("docker-compose is not installed")
    (folder / "docker-compose.yml").write_text(text)
    command = ["docker-compose", "-f", "docker-compose.yml", "config", "-q"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (text, done.stderr[-500:])


def demand_manifest(text: str) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    found = documents(text)
    assert found
    for one in found:
        validator.validate(one, validator.latest_version(), strict=True)


def ways(language: str, title: str) -> Iterator[str]:
    """The files that are recommended, each once."""
    seen = set()
    for gpu in GPUS:
        for framework in FRAMEWORKS:
            for advice in recommend([gpu_named(gpu)], framework, Machine(engine="docker")):
                for way in advice.ways:
                    if way.language == language and title in way.title and way.text not in seen:
                        seen.add(way.text)
                        yield way.text


def corrected(name: str, folder: Path) -> str:
    """A file of the linter's tests after all of its corrections."""
    path = folder / name
    shutil.copy(BAD / name, path)
    for _ in range(4):
        fixes = [fix for item in lint_file(path.read_bytes(), name).diagnoses for fix in item.fixes]
        change = next((fix.commands[0] for fix in fixes if fix.language == "diff"), None)
        if change is None:
            break
        subprocess.run(["patch", "-s", "-p0", str(path)], input=change + "\n", text=True, check=True)
    return path.read_text()


def test_the_validators_refuse_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="gpus"):
        demand_manifest("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, gpus: 1}]}\n")
    with pytest.raises(AssertionError, match="gpu_count"):
        demand_compose("services: {a: {image: b, gpu_count: 1}}\n", tmp_path)


def test_recommended_manifests() -> None:
    texts = list(ways("yaml", "Kubernetes"))
    assert len(texts) > 10
    for text in texts:
        demand_manifest(text)


def test_recommended_compose_files(tmp_path: Path) -> None:
    texts = list(ways("yaml", "compose"))
    assert len(texts) > 10
    demand_compose(_together(texts), tmp_path)


def _together(texts: list[str]) -> str:
    """Their services in one file: the tool takes half a second to start."""
    rows = ["services:"]
    for number, text in enumerate(texts):
        first, name, *rest = text.rstrip("\n").split("\n")
        assert (first, name) == ("services:", "  app:")
        rows += [f"  app{number}:", *rest]
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("name", MANIFESTS)
def test_corrected_manifests(name: str, tmp_path: Path) -> None:
    demand_manifest(corrected(name, tmp_path))


def test_corrected_compose_files(tmp_path: Path) -> None:
    """Those that older versions of the tool take: `gpus` is known from 2.30 on."""
    texts = [text for name in COMPOSE if "gpus:" not in (text := corrected(name, tmp_path))]
    assert len(texts) > 5
    for text in texts:
        demand_compose(text, tmp_path)


LINE = RunLine(
    engine="docker", image="trainer:2.3", name="trainer", command=("python", "train.py", "$x"), entrypoint=("/run",),
    environment={"A": "b c$d", "SECRET": None}, gpus='"device=0,1","capabilities=compute"', runtime="nvidia",
    devices=("/dev/kfd", "/dev/dri:/dev/dri:rw"), groups=("44",), volumes=("/data:/data:ro", "cache:/cache"),
    ports=("127.0.0.1:80:8000", "53:53/udp"), user="1000:1000", working_dir="/app", network="lan", ipc="host", pid="host",
    shm_size=8 << 30, memory=1 << 30, cpus=1.5, security=("seccomp=unconfined",), cap_add=("SYS_PTRACE",),
    cap_drop=("MKNOD",), ulimits={"memlock": (-1, -1), "nofile": (1024, 2048)}, restart="on-failure:3", platform="linux/amd64",
    flags=("-d", "-i", "-t", "--init", "--privileged", "--read-only"),
    rest=(
        ("--hostname", "here"), ("--domainname", "example.org"), ("--cpu-shares", "512"), ("--cpuset-cpus", "0-1"),
        ("--memory-reservation", "1000000"), ("--pids-limit", "500"), ("--oom-score-adj", "300"), ("--stop-signal", "SIGINT"),
        ("--stop-timeout", "5"), ("--cpu-quota", "20000"), ("--memory-swappiness", "0"), ("--add-host", "other:10.0.0.1"),
        ("--dns", "10.0.0.2"), ("--sysctl", "net.core.somaxconn=1024"), ("--tmpfs", "/t:size=1m"), ("--expose", "9000"),
        ("--expose", "9100-9101/udp"), ("--health-cmd", "test -e /x"), ("--health-interval", "7s"), ("--health-retries", "2"),
        ("--log-driver", "json-file"), ("--log-opt", "max-size=10m"), ("--blkio-weight", "300"),
        ("--blkio-weight-device", "/dev/sda:200"), ("--device-read-bps", "/dev/sda:1048576"), ("--device-write-iops", "/dev/sda:9"),
        ("--mount", "type=bind,source=/d,target=/d,bind-propagation=rshared"), ("--mount", "type=tmpfs,target=/u,tmpfs-size=4096"),
        ("--mount", "type=volume,source=v,target=/w,volume-nocopy"),
    ),
    networks=(Attachment("lan", (("ip", "10.0.0.9"), ("ip6", "fd97::9"), ("alias", "web"))), Attachment("lan2")),
    memory_swap=2 << 30,
)  # fmt: skip


def test_the_corrected_line_as_a_compose_service(tmp_path: Path) -> None:
    """With all that older versions of the tool know too."""
    demand_compose(as_compose(LINE), tmp_path)
    demand_compose(as_compose(replace(LINE, network="host", networks=(), gpus="all")), tmp_path)
