"""The engine's probe, over a socket of an engine that answers what a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from typing import Any

import pytest

from doctor.facts import parse
from doctor.probes.engine import engine
from doctor.probes.system import System
from doctor.snapshot import Snapshot, Target

SPEC = json.dumps({"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu", "devices": [{"name": "all"}]})


class Answers(BaseHTTPRequestHandler):
    told: dict[str, Any]

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        content = next((answer for end, answer in self.told.items() if path.endswith(end)), None)
        data = json.dumps({"message": "not there"} if content is None else content).encode()
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def address_string(self) -> str:
        return "test"

    def log_message(self, *words: object) -> None:
        """Silent."""


@pytest.fixture
def answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What the engine tells, by the end of the path that is asked for."""
    told: dict[str, Any] = {
        "/version": {"Version": "28.3.2", "ApiVersion": "1.51", "MinAPIVersion": "1.24"},
        "/info": {"ServerVersion": "28.3.2", "Runtimes": {"runc": {}}},
        "/containers/json": [],
    }
    socket = tmp_path / "e.sock"
    server = ThreadingUnixStreamServer(str(socket), type("Own", (Answers,), {"told": told}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    yield told
    server.shutdown()
    server.server_close()


def recorded(target: Target) -> Snapshot:
    readings = {one.key: one for one in engine(System(), target)}
    return Snapshot("2026-11-24T12:00:00Z", "0.1.0", target, readings)


def test_cdi_is_read_where_the_engine_reads_it(answers: dict[str, Any], tmp_path: Path) -> None:
    """A folder that is set on the daemon's command line stands in no configuration file."""
    folder = tmp_path / "specs"
    folder.mkdir()
    (folder / "nvidia.json").write_text(SPEC)
    answers["/info"]["CDISpecDirs"] = ["/etc/cdi", "/var/run/cdi", str(folder)]
    snapshot = recorded(Target())
    assert snapshot.readings[f"file:{folder}/nvidia.json"].text == SPEC
    assert "names:/etc/cdi like .*\\.(?:yaml|json)$" not in snapshot.readings, "the toolkit's probe reads that one"
    facts = parse(snapshot).engine
    assert facts
    assert facts.cdi_folders == ("/etc/cdi", "/var/run/cdi", str(folder))


def test_values_of_labels_and_log_options_stay_where_they_are(answers: dict[str, Any]) -> None:
    labels = {"team": "planted", "com.docker.compose.project": "p", "com.docker.compose.oneoff": "False"}
    answers["/containers/x/json"] = {
        "Id": "1", "Name": "/x", "Image": "sha256:2", "State": {}, "Config": {"Labels": labels},
        "HostConfig": {"LogConfig": {"Type": "splunk", "Config": {"max-size": "1m", "splunk-url": "planted"}}},
    }  # fmt: skip
    snapshot = recorded(Target("x"))
    content = json.loads(snapshot.readings["docker:container"].text)
    assert "planted" not in snapshot.readings["docker:container"].text
    assert content["Config"]["LabelNames"] == ["team"]
    assert content["HostConfig"]["LogConfig"] == {
        "Type": "splunk",
        "Config": {"max-size": "1m"},
        "Others": ["splunk-url"],
    }
