"""Images and containers of a real engine: layer folders, the save and export streams, whiteouts that the engine made."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from doctor.image import local
from doctor.image.examination import Examination
from doctor.image.inventory import examine
from doctor.image.layers import LayeredTree
from doctor.image.planned import read_planned
from doctor.image.sources import open_image
from doctor.tree import walk
from tests.image.conftest import cuda, tar, torch_layer
from tests.lab.conftest import Lab, lab

__all__ = ["lab"]

pytestmark = pytest.mark.lab

# Removes what it is given, then makes the last again as an empty folder: that makes a whiteout and an opaque folder.
REMOVE = r"""
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(void) {
    unlink("/opt/a/gone"); unlink("/opt/b/x"); rmdir("/opt/b"); mkdir("/opt/b", 0755);
    FILE *f = fopen("/opt/b/new", "w"); fputs("new", f); fclose(f);
    return 0;
}
"""


@pytest.fixture(scope="module")
def engine(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Two images: one with a torch, and one that a container's changes were committed to."""
    folder = tmp_path_factory.mktemp("images")
    (folder / "remove.c").write_text(REMOVE)
    subprocess.run(["gcc", "-static", "-O1", "-o", folder / "remove", folder / "remove.c"], check=True, timeout=60)
    files = {"opt/a/gone": b"1", "opt/a/stays": b"2", "opt/b/x": b"3", "remove": (folder / "remove").read_bytes()}
    for tag, layer in (
        ("made/base", tar({"dev": None, "proc": None, **files})),
        ("made/torch", torch_layer("2.5.1+cu124", cuda("mixed.so"), "12.4")),
    ):
        subprocess.run(
            ["docker", "import", "-", tag],
            env=lab.environment,
            input=layer,
            check=True,
            capture_output=True,
            timeout=60,
        )
    lab.docker("run", "--name", "remover", "--network=none", "made/base", "/remove")
    lab.docker("commit", "remover", "made/committed")
    return lab


@pytest.fixture(autouse=True)
def _ask_the_lab(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", lab.socket)


def files_of(reference: str) -> tuple[str, dict[str, int]]:
    examination = Examination()
    with open_image(reference, "linux/amd64", examination) as opened:
        tree = LayeredTree(read_planned(planned, examination) for planned in opened.layers)
        assert examination.not_examined() == ()
        return opened.how_read, {
            path: node.size for path, node in walk(tree, skip=("/dev", "/proc", "/sys")) if node.kind == "file"
        }


def own(files: dict[str, int]) -> dict[str, int]:
    """Without what the engine puts into every container."""
    return {path: size for path, size in files.items() if not path.startswith(("/dev/", "/etc/", "/.dockerenv"))}


def exported(lab: Lab, name: str) -> dict[str, int]:
    """What the engine itself shows of a container's files."""
    import tarfile

    done = subprocess.run(["docker", "export", name], env=lab.environment, capture_output=True, check=True, timeout=60)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        return own({f"/{one.name}": one.size for one in archive if one.isreg()})


def test_whiteouts_of_the_engine(engine: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.docker("rm", "-f", "look", check=False)
    engine.docker("create", "--name", "look", "made/committed", "/remove")
    wanted = exported(engine, "look")
    assert set(wanted) == {"/opt/a/stays", "/opt/b/new", "/remove"}
    engine.docker("save", "-o", str(tmp_path / "saved.tar"), "made/committed")
    ways = {}
    for reference in ("made/committed", f"archive://{tmp_path / 'saved.tar'}", "container://look"):
        how, found = files_of(reference)
        ways[how] = own(found)
    monkeypatch.setattr(local, "_folders", lambda _: [])
    for reference in ("made/committed", "container://look"):
        how, found = files_of(reference)
        ways[how] = own(found)
    assert {how for how, found in ways.items() if found != wanted} == set()
    assert {"an archive, in place", "the engine's save stream", "the engine's export stream"} <= set(ways)


def test_verdict_of_an_engine_image_and_nothing_changed(engine: Lab) -> None:
    def state() -> tuple[list[str], list[str]]:
        listed = (engine.docker(word, "-aq").stdout.split() for word in ("ps", "images"))
        containers, images = (sorted(names) for names in listed)
        return containers, images

    before = state()
    done = engine.doctor("image", "made/torch", "--gpu", "A100", "--gpu", "T4", "--json")
    assert done.returncode == 1, done.stderr
    image = json.loads(done.stdout)["image"]
    assert {one["gpu"]: one["runs"] for one in image["verdicts"]} == {"sm_80": "yes", "sm_75": "no"}
    assert image["digest"].startswith("sha256:")
    assert state() == before


def looking(lab: Lab) -> list[str]:
    """Containers that were made to look at an image and are still there."""
    return [name for name in lab.docker("ps", "-a", "--format", "{{.Names}}").stdout.split() if "gpu-doctor" in name]


# The command on an engine whose folders cannot be read.
BLIND = "import sys; from doctor.image import local; local._folders = lambda _: []; from doctor.__main__ import main; "


def test_container_is_made_only_when_asked_and_removed(engine: Lab, tmp_path: Path) -> None:
    before = engine.docker("ps", "-aq").stdout.split()
    for words, how in ((("--via-container",), "a container that was made for it"), ((), "save stream")):
        call = f"sys.exit(main(['image', 'made/torch', '--gpu', 'A100', '--json', *{words!r}]))"
        done = subprocess.run(
            [sys.executable, "-c", BLIND + call],
            env={**engine.environment, "XDG_CACHE_HOME": str(tmp_path / str(len(words)))},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert how in json.loads(done.stdout)["image"]["read_from"]
        assert engine.docker("ps", "-aq").stdout.split() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_container_is_removed_whatever_happens(engine: Lab, number: signal.Signals) -> None:
    """Stopped between making the container and reading it."""
    wait = "local._exported = lambda *_: time.sleep(60); "
    call = "main(['image', 'made/torch', '--gpu', 'A100', '--via-container'])"
    with subprocess.Popen(
        [sys.executable, "-c", "import time; " + BLIND + wait + call], env=engine.environment, stderr=subprocess.PIPE
    ) as command:
        for _ in range(300):
            if looking(engine):
                break
            time.sleep(0.1)
        assert len(looking(engine)) == 1
        command.send_signal(number)
    for _ in range(100):
        if not looking(engine):
            break
        time.sleep(0.1)
    assert looking(engine) == []


def test_unknown_image_is_not_pulled(engine: Lab) -> None:
    done = engine.doctor("image", "made/absent:1")
    assert done.returncode == 2
    assert "nothing is pulled" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_check_of_a_container_reads_its_image(engine: Lab) -> None:
    report = engine.report("remover")
    outcome = {one["id"]: one for one in report["checks"]}
    assert outcome["image_leaves_driver_out"]["state"] == "passed"
    assert not [row for row in report["not_examined"] if row.startswith("image")]


def test_contents_do_not_depend_on_the_way(engine: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    by_folders = examine("made/torch", "linux/amd64", Examination())
    monkeypatch.setattr(local, "_folders", lambda _: [])
    by_stream = examine("made/torch", "linux/amd64", Examination())
    assert by_folders.how_read != by_stream.how_read
    assert (by_folders.code, by_folders.frameworks, by_folders.size) == (
        by_stream.code,
        by_stream.frameworks,
        by_stream.size,
    )
