"""The Python API: small, cheap to import, the same from any thread or process, and picklable."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import jsonschema
import pytest

import doctor
from doctor import (
    Report,
    UsageError,
    diagnose_log,
    diagnose_snapshot,
    diagnose_ticket,
    draft_reply_of,
    fingerprint_of,
    lint_file,
    missing_evidence_of,
    to_json,
)
from doctor.knowledge import shipped
from doctor.snapshot import Snapshot, Target, dump

KERNEL = "RuntimeError: CUDA error: no kernel image is available for execution on the device\n"
SMI = "NVIDIA-SMI 570.86.16  Driver Version: 570.86.16  CUDA Version: 12.8\n"
LOGS = [example.text for entry in shipped().entries.values() for example in entry.examples][:240]


def test_importing_loads_nothing() -> None:
    code = "import sys; before = set(sys.modules); import doctor; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=60, check=True,
                          cwd=Path(doctor.__file__).parent.parent)  # fmt: skip
    assert done.stdout.strip() == "['doctor']"


def test_every_name_is_there_and_says_what_it_is() -> None:
    for name in doctor.__all__:
        assert getattr(doctor, name).__doc__, name
    assert dir(doctor) == doctor.__all__
    with pytest.raises(AttributeError):
        doctor.nonsense  # noqa: B018 - reading it is the test


def test_a_log() -> None:
    report = diagnose_log(KERNEL, "train.log")
    assert report.diagnoses[0].finding.fault == "cuda-no-kernel-image"
    assert report.diagnoses[0].finding.evidence[0].name == "train.log"
    assert diagnose_log("epoch 1 loss 0.3\n").diagnoses == ()
    assert diagnose_log(KERNEL.encode("utf-16")).diagnoses[0].finding.fault == "cuda-no-kernel-image"


def test_equal_logs_give_equal_reports() -> None:
    assert diagnose_log(KERNEL) == diagnose_log(KERNEL)
    assert diagnose_log(KERNEL) != diagnose_log(KERNEL + SMI)


def test_a_ticket_has_what_the_desk_needs() -> None:
    report = diagnose_ticket(KERNEL + SMI, "4711")
    assert report.diagnoses[0].finding.values["driver"] == "570.86.16"
    assert fingerprint_of(report) == report.extra["ticket"]["fingerprint"]
    assert fingerprint_of(report).startswith("1:cuda-no-kernel-image:")
    assert missing_evidence_of(report) == ()
    assert "no GPU code" in draft_reply_of(report)
    assert missing_evidence_of(diagnose_ticket("it does not work")) != ()


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF\x02\x01" + bytes(200), b'{"readings": 3', b'{"readings": {}, "format": 9}']
)
def test_a_ticket_that_cannot_be_read_says_why(content: bytes) -> None:
    report = diagnose_ticket(content)
    assert (report.examined, report.diagnoses, len(report.not_examined)) == (False, (), 1)


def test_wrong_use_is_told_in_one_line() -> None:
    for call in (
        lambda: diagnose_log(b"\x7fELF" + bytes(200)),
        lambda: diagnose_log(KERNEL, knowledge=("/no/such/folder",)),
        lambda: diagnose_snapshot(b"{}"),
    ):
        with pytest.raises(UsageError) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_snapshot() -> None:
    report = diagnose_snapshot(dump(Snapshot("2026-11-24T12:00:00Z", "0.1.0", Target())))
    assert (report.kind, report.created) == ("machine", "2026-11-24T12:00:00Z")


def test_a_compose_file() -> None:
    report = lint_file("services:\n  a:\n    image: rocm/pytorch\n    runtime: nvidia\n", "compose.yaml")
    assert report.diagnoses[0].finding.fault == "framework-wrong-vendor"


def test_json_is_the_contracts(root: Path) -> None:
    schema = json.loads((root / "doctor" / "report.schema.json").read_text())
    for report in (diagnose_log(KERNEL), diagnose_ticket(KERNEL), lint_file("FROM scratch\n", "Dockerfile")):
        jsonschema.validate(to_json(report), schema)


def test_own_knowledge(tmp_path: Path) -> None:
    (tmp_path / "site-quota.md").write_text(
        "+++\ntitle = \"The quota is used up\"\narea = \"site\"\nseverity = \"blocking\"\n\n[[match]]\n"
        "line = '''GPU quota of team \\w+ exceeded'''\nsure = \"certain\"\n+++\n\nAsk for more.\n\n## Fix: ask\n"
        "where: cluster · risk: safe\n\n```sh\nquota ask\n```\n\nVerify:\n\n```sh\nquota show\n```\n\n## Sources\n"
        "- https://example.org/quota : ours\n\n## Examples\n\n```log match\nGPU quota of team red exceeded\n```\n"
    )  # fmt: skip
    log = "GPU quota of team red exceeded\n"
    assert diagnose_log(log).diagnoses == ()
    assert diagnose_log(log, knowledge=(tmp_path,)).diagnoses[0].finding.fault == "site-quota"


def test_reports_can_be_pickled() -> None:
    for report in (diagnose_log(KERNEL), diagnose_ticket(KERNEL + SMI)):
        again = pickle.loads(pickle.dumps(report))
        assert isinstance(again, Report)
        assert (again, again.created) == (report, report.created)


def test_threads_get_the_same_answers() -> None:
    alone = [diagnose_log(log) for log in LOGS]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(diagnose_log, LOGS * 2))
    assert together == alone * 2


def test_processes_get_the_same_answers() -> None:
    alone = [diagnose_ticket(log) for log in LOGS[:20]]
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        assert list(pool.map(diagnose_ticket, LOGS[:20])) == alone
