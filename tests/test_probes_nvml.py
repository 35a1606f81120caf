"""NVML by its real binding in the real child process, against a library built here: answers, errors, hangs."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from doctor.facts.nvml import NvmlFacts, nvml
from doctor.facts.unknown import Unknown
from doctor.probes.nvml import CHILD
from doctor.probes.nvml import nvml as probe
from doctor.probes.system import System
from doctor.snapshot import Reading, Snapshot, Target

SOURCE = Path(__file__).parent / "nvml_stub.c"
pytest.importorskip("pynvml")
pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Builds the library with what it shall answer, and puts it where the loader looks first."""

    def build(*defines: str) -> None:
        out = tmp_path / "libnvidia-ml.so.1"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(out), *defines, str(SOURCE)], check=True, timeout=60)
        monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))

    return build


def asked(patience: float = 1.0) -> tuple[Reading, NvmlFacts | Unknown]:
    reading = System(patience=patience).child(CHILD)
    return reading, nvml(Snapshot("", "", Target(), {reading.key: reading}))


def test_answers(library) -> None:  # type: ignore[no-untyped-def]
    library()
    reading, facts = asked()
    assert reading.state == "ok", reading.error
    assert isinstance(facts, NvmlFacts)
    assert (facts.driver, facts.cuda, facts.count, facts.error, facts.hung) == ("570.133.20", "12.8", 2, None, "")
    first, second = facts.gpus
    assert (first.name, first.pci, first.capability, first.minor) == ("NVIDIA H100 80GB HBM3", "0000:17:00.0", "9.0", 0)
    assert (first.total, first.used, first.mode) == (80 << 30, 1 << 30, "exclusive process")
    assert (first.mig, first.mig_pending, first.instances) == (False, True, None)
    assert (second.mig, second.instances) == (True, ("NVIDIA H100 80GB HBM3",))
    assert first.rows == (1, 2, True, False)
    assert (first.uncorrected, first.fabric, first.fabric_status) == (5, "completed", 0)
    assert first.pages_pending is None, "this driver has no such function"


@pytest.mark.parametrize(
    ("code", "says"),
    [(4, "Insufficient Permissions"), (9, "Driver Not Loaded"), (18, "version mismatch")],
)
def test_errors(library, code: int, says: str) -> None:  # type: ignore[no-untyped-def]
    library(f"-DINIT={code}")
    _, facts = asked()
    assert isinstance(facts, NvmlFacts)
    assert facts.error
    assert facts.error.code == code
    assert says in facts.error.says


def test_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has the real one")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    _, facts = asked()
    assert isinstance(facts, NvmlFacts)
    assert facts.error
    assert facts.error.code == 12


def test_a_hang_is_a_timeout(library) -> None:  # type: ignore[no-untyped-def]
    library("-DHANG_INIT")
    reading, facts = asked(patience=0.3)
    assert reading.state == "timeout"
    assert isinstance(facts, NvmlFacts)
    assert "no answer within 1.5 s" in facts.hung
    assert not facts.gpus


def test_a_gpu_that_hangs_costs_itself_alone(library) -> None:  # type: ignore[no-untyped-def]
    library("-DHANG_GPU=1")
    _, facts = asked(patience=0.4)
    assert isinstance(facts, NvmlFacts)
    assert facts.hung
    assert [gpu.index for gpu in facts.gpus] == [0]
    assert facts.driver == "570.133.20"


def test_a_lost_gpu_is_told(library) -> None:  # type: ignore[no-untyped-def]
    library("-DLOST_GPU=1")
    _, facts = asked()
    assert isinstance(facts, NvmlFacts)
    assert facts.gpus[1].error
    assert facts.gpus[1].error.code == 15
    assert [gpu.index for gpu in facts.answering] == [0]


def test_a_library_that_crashes_is_told(library) -> None:  # type: ignore[no-untyped-def]
    library("-DINIT=*(volatile int *)0")
    reading, facts = asked()
    assert reading.state == "failed"
    assert isinstance(facts, Unknown)
    assert "ended" in facts.reason


def test_nothing_is_asked_where_asking_would_load_the_module(library, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """NVML as root has nvidia-modprobe make the missing node."""
    library()
    if Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists():
        pytest.skip("this machine has a GPU")
    readings = list(probe(System(), Target()))
    assert [one.state for one in readings] == ["missing"]
    assert "was not asked" in readings[0].error


def test_nvidia_smi_is_the_second_way() -> None:
    row = "0, Tesla T4, GPU-5ad7a7e5-0a4d-0c4f-8f1e-000000000000, 00000000:3B:00.0, 15360, 105, [N/A], Enabled, Exclusive_Process, 535.183.01"
    readings = [
        Reading(
            f"child:{CHILD}", "ok", json.dumps({"error": {"code": -1, "name": "no-binding", "says": "not installed"}})
        ),
        Reading("command:nvidia-smi --query-gpu=…", "ok", row),
    ]
    facts = nvml(Snapshot("", "", Target(), {one.key: one for one in readings}))
    assert isinstance(facts, NvmlFacts)
    assert facts.way == "nvidia-smi"
    gpu = facts.gpus[0]
    assert (gpu.pci, gpu.total, gpu.mode, gpu.mig) == ("0000:3b:00.0", 15360 << 20, "exclusive process", None)


def test_nvidia_smis_exit_code_is_nvmls() -> None:
    readings = [
        Reading(
            f"child:{CHILD}", "ok", json.dumps({"error": {"code": -1, "name": "no-binding", "says": "not installed"}})
        ),
        Reading(
            "command:nvidia-smi x",
            "failed",
            "Failed to initialize NVML: Driver/library version mismatch\n",
            exit_code=18,
        ),
    ]
    facts = nvml(Snapshot("", "", Target(), {one.key: one for one in readings}))
    assert isinstance(facts, NvmlFacts)
    assert facts.error
    assert (facts.error.code, facts.way) == (18, "nvidia-smi")
