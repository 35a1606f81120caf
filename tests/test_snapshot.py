"""A snapshot is written safely, read strictly, and judged the same every time."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from doctor.errors import UsageError
from doctor.redact import Redactor
from doctor.snapshot import LARGEST, Reading, Snapshot, Target, demand_free, dump, load, loads, save, without_identities


def snapshot(**readings: str) -> Snapshot:
    made = {key: Reading(key, "ok", text) for key, text in readings.items()}
    return Snapshot("2026-11-24T12:00:00Z", "0.1.0", Target(container="trainer"), made)


def test_there_and_back(tmp_path: Path) -> None:
    one = snapshot(a="text", b="{}")
    save(one, tmp_path / "s.gz")
    assert load(tmp_path / "s.gz") == one
    assert dump(one) == dump(load(tmp_path / "s.gz"))


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    save(snapshot(), tmp_path / "s.gz")
    assert (tmp_path / "s.gz").stat().st_mode & 0o777 == 0o600


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    (tmp_path / "s.gz").write_text("mine")
    with pytest.raises(UsageError, match="--force"):
        save(snapshot(), tmp_path / "s.gz")
    assert (tmp_path / "s.gz").read_text() == "mine"
    save(snapshot(), tmp_path / "s.gz", overwrite=True)
    assert load(tmp_path / "s.gz") == snapshot()


def test_where_nothing_can_be_written_is_told_before_the_machine_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda place, mode: False)  # root may write everywhere
    with pytest.raises(UsageError, match="Permission denied"):
        demand_free(tmp_path / "s.gz", False)


def test_hosts_that_a_container_is_told_of_do_not_leave() -> None:
    content = {
        "Id": "1", "Name": "trainer", "Config": {"Hostname": "gpu-07.corp.example.com", "Image": "trainer:2.3"},
        "HostConfig": {"ExtraHosts": ["db.corp.example.com:10.1.2.3", "host.docker.internal:host-gateway", "cache:10.1.2.4"]},
    }  # fmt: skip
    one = Snapshot("2026-11-24T12:00:00Z", "0.1.0", Target("trainer"), {
        "docker:container": Reading("docker:container", "ok", json.dumps(content)),
        "docker:log": Reading("docker:log", "ok", "waiting for db.corp.example.com ... done"),
    })  # fmt: skip
    redacted = without_identities(one, Redactor("here", "alice"))
    assert "corp" not in str(redacted)
    assert redacted.readings["docker:log"].text == "waiting for <host-2> ... done"
    for kept in ("trainer:2.3", "host.docker.internal", "cache"):
        assert kept in redacted.readings["docker:container"].text


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    os.symlink("precious", tmp_path / "s.gz")
    for overwrite in (False, True):
        with pytest.raises(UsageError):
            save(snapshot(), tmp_path / "s.gz", overwrite=overwrite)
    assert (tmp_path / "precious").read_text() == "mine"


def test_only_a_regular_file_is_overwritten(tmp_path: Path) -> None:
    """Asked to replace a pipe or a device, root would hang on it, or destroy it."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="no regular file"):
        save(snapshot(), tmp_path / "pipe", overwrite=True)
    with pytest.raises(UsageError, match="no regular file"):
        save(snapshot(), tmp_path, overwrite=True)
    assert (tmp_path / "pipe").is_fifo()


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        save(snapshot(), tmp_path / "nowhere" / "s.gz")
    (tmp_path / "s.gz").write_text("mine")

    def full(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("doctor.snapshot.dump", full)
    with pytest.raises(UsageError, match="No space left on device"):
        save(snapshot(), tmp_path / "s.gz", overwrite=True)
    assert [one.name for one in tmp_path.iterdir()] == ["s.gz"]
    assert (tmp_path / "s.gz").read_text() == "mine"


def test_identities_go_and_relations_stay() -> None:
    one = snapshot(log="gpu-07 at 10.1.2.3", other="gpu-07")
    clean = without_identities(one, Redactor("gpu-07"))
    assert clean.readings["log"].text == "<host-1> at <ip-1>"
    assert clean.readings["other"].text == "<host-1>"
    assert clean.redactions == {"host": 2, "ip": 1}


def test_no_planted_secret_in_the_file(tmp_path: Path) -> None:
    from doctor.probes.system import System

    reading = System(redactor=Redactor("gpu-07", "alice")).reading(
        "docker:log", "ok", "HF_TOKEN=hf_aBcDeFgHiJkLmNoPqRsT alice@gpu-07 10.9.8.7 /home/alice"
    )
    one = Snapshot("2026-11-24T12:00:00Z", "0.1.0", Target(), {reading.key: reading})
    save(without_identities(one, Redactor("gpu-07", "alice")), tmp_path / "s.gz")
    text = gzip.decompress((tmp_path / "s.gz").read_bytes()).decode()
    for planted in ("hf_aBc", "alice", "gpu-07", "10.9.8.7"):
        assert planted not in text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"not json", "not JSON"),
        (b"[]", "no readings"),
        (b"{}", "no readings"),
        (b"\x1f\x8bbroken", "damaged gzip"),
        (json.dumps({**asdict(snapshot()), "format": 99}).encode(), "format 99"),
        (json.dumps({**asdict(snapshot()), "readings": {"a": {"key": "a"}}}).encode(), "damaged snapshot"),
        (
            json.dumps({**asdict(snapshot()), "readings": {"a": {"key": "a", "state": "odd"}}}).encode(),
            "damaged snapshot",
        ),
        (json.dumps({**asdict(snapshot()), "target": 7}).encode(), "damaged snapshot"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_snapshot(data: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=words) as told:
        loads(data, "file")
    assert "\n" not in str(told.value)


def test_a_bomb_is_refused() -> None:
    with pytest.raises(UsageError, match="unpacks to more than"):
        loads(gzip.compress(b" " * (LARGEST + 2), compresslevel=1), "bomb")
