"""What NVIDIA's driver said of its GPUs: NVML's answers (doctor/probes/nvml_child.py), or those of nvidia-smi.

Codes: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html . nvidia-smi ends with the same numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from doctor.facts.unknown import Unknown
from doctor.snapshot import Reading, Snapshot

CHILD = "child:doctor.probes.nvml_child"
COMPUTE_MODES = {0: "default", 1: "exclusive thread", 2: "prohibited", 3: "exclusive process"}
ON = {"Enabled": True, "Disabled": False}
FABRIC_STATES = {1: "not started", 2: "in progress", 3: "completed"}


@dataclass(frozen=True, slots=True)
class NvmlError:
    code: int
    """nvmlReturn_t; -1: the library could not be asked at all."""
    says: str


@dataclass(frozen=True, slots=True)
class NvmlGpu:
    """A GPU's answers; None where it does not know the question."""

    index: int
    error: NvmlError | None = None
    name: str = ""
    uuid: str = ""
    pci: str = ""
    """Address as in sysfs: 0000:17:00.0."""
    minor: int | None = None
    capability: str = ""
    """Compute capability, such as 9.0."""
    total: int | None = None
    used: int | None = None
    mode: str = ""
    persistence: bool | None = None
    """Whether the driver keeps it awake while nobody uses it."""
    ecc: bool | None = None
    mig: bool | None = None
    mig_pending: bool | None = None
    instances: tuple[str, ...] | None = None
    """MIG devices that exist."""
    rows: tuple[int, int, bool, bool] | None = None
    """Remapped rows: for correctable errors, for uncorrectable ones, one is pending, one failed."""
    pages_pending: bool | None = None
    uncorrected: int | None = None
    """Uncorrectable ECC errors since the driver was loaded."""
    processes: tuple[tuple[int, int], ...] | None = None
    """(pid, bytes)."""
    fabric: str = ""
    """State of its registration with NVSwitches: not started, in progress, completed; empty without them."""
    fabric_status: int = 0


@dataclass(frozen=True, slots=True)
class NvmlFacts:
    way: Literal["NVML", "nvidia-smi"]
    error: NvmlError | None
    """Why it could not be asked."""
    hung: str
    """Not empty: it did not answer in time; the words of the reading."""
    driver: str
    cuda: str
    """The newest CUDA version of the driver, as nvidia-smi prints it."""
    count: int | None
    gpus: tuple[NvmlGpu, ...]

    @property
    def answering(self) -> tuple[NvmlGpu, ...]:
        return tuple(one for one in self.gpus if one.error is None)


def nvml(snapshot: Snapshot) -> NvmlFacts | Unknown:
    reading = snapshot.get(CHILD)
    if reading is None:
        return Unknown("NVML was not asked", CHILD)
    if reading.state == "missing":
        return Unknown(reading.error, CHILD)
    asked = _of_child(reading)
    if asked.gpus:
        return asked
    second = next((snapshot.readings[key] for key in snapshot.keys("command:nvidia-smi ")), None)
    other = _of_smi(second) if second else None
    if other and other.gpus and not asked.hung:
        return other
    if asked.error and asked.error.code == -1:
        return other or Unknown(asked.error.says, CHILD)
    return asked


def _of_child(reading: Reading) -> NvmlFacts:
    rows = [json.loads(line) for line in reading.text.splitlines() if line.startswith("{") and line.endswith("}")]
    head: dict[str, Any] = next((row for row in rows if "index" not in row), {})
    error = _error(head.get("error"))
    if not rows and reading.state == "failed":
        error = NvmlError(-1, f"the process that asked NVML ended: {reading.error[-200:]}")
    cuda = head.get("cuda")
    return NvmlFacts(
        way="NVML",
        error=error,
        hung=reading.error.split("\n")[0] if reading.state == "timeout" else "",
        driver=head["driver"] if isinstance(head.get("driver"), str) else "",
        cuda=f"{cuda // 1000}.{cuda % 1000 // 10}" if isinstance(cuda, int) else "",
        count=head["count"] if isinstance(head.get("count"), int) else None,
        gpus=tuple(_gpu(row) for row in rows if "index" in row),
    )


def _error(content: Any) -> NvmlError | None:
    return NvmlError(int(content["code"]), str(content["says"])) if isinstance(content, dict) else None


def _plain(row: dict[str, Any], name: str, kind: type) -> Any:
    value = row.get(name)
    return value if isinstance(value, kind) else None


def _gpu(row: dict[str, Any]) -> NvmlGpu:
    mig, capability = _plain(row, "mig", list) or (None, None), _plain(row, "capability", list)
    rows, instances = _plain(row, "rows", list), _plain(row, "instances", list)
    pending, persistence, ecc = (
        _plain(row, "pages_pending", int),
        _plain(row, "persistence", int),
        _plain(row, "ecc", list),
    )
    processes, fabric = _plain(row, "processes", list), _plain(row, "fabric", dict) or {}
    return NvmlGpu(
        index=row["index"],
        error=_error(row.get("error")),
        name=_plain(row, "name", str) or "",
        uuid=_plain(row, "uuid", str) or "",
        pci=address(_plain(row, "pci", str) or ""),
        minor=_plain(row, "minor", int),
        capability=f"{capability[0]}.{capability[1]}" if capability else "",
        total=_plain(row, "total", int),
        used=_plain(row, "used", int),
        mode=COMPUTE_MODES.get(row["mode"], "") if isinstance(row.get("mode"), int) else "",
        persistence=None if persistence is None else bool(persistence),
        ecc=bool(ecc[0]) if ecc else None,
        mig=None if mig[0] is None else bool(mig[0]),
        mig_pending=None if mig[1] is None else bool(mig[1]),
        instances=tuple(instances) if instances is not None else None,
        rows=(rows[0], rows[1], bool(rows[2]), bool(rows[3])) if rows else None,
        pages_pending=None if pending is None else bool(pending),
        uncorrected=_plain(row, "uncorrected", int),
        processes=tuple((pid, used or 0) for pid, used in processes) if processes is not None else None,
        fabric=FABRIC_STATES.get(fabric.get("state", 0), ""),
        fabric_status=fabric.get("status", 0),
    )


def address(bus_id: str) -> str:
    """NVML's 00000000:17:00.0 as sysfs writes it."""
    domain, _, rest = bus_id.lower().partition(":")
    return f"{domain[-4:]}:{rest}" if rest else ""


def _of_smi(reading: Reading) -> NvmlFacts:
    """Rows of --query-gpu (doctor/probes/nvml.py); an exit code is NVML's."""
    rows = [[cell.strip() for cell in line.split(",")] for line in reading.text.splitlines()]
    rows = [row for row in rows if len(row) == 10 and row[0].isdigit()]
    failed = reading.state == "failed" and not rows
    said = (reading.text or reading.error).strip().split("\n")[0]
    return NvmlFacts(
        way="nvidia-smi",
        error=NvmlError(reading.exit_code or -1, said) if failed else None,
        hung=reading.error.split("\n")[0] if reading.state == "timeout" else "",
        driver=rows[0][9] if rows else "",
        cuda="",
        count=len(rows) if rows else None,
        gpus=tuple(_smi_gpu(row) for row in rows),
    )


def _smi_gpu(row: list[str]) -> NvmlGpu:
    modes = {"Default": "default", "Exclusive_Process": "exclusive process", "Prohibited": "prohibited"}
    return NvmlGpu(
        index=int(row[0]),
        name=row[1],
        uuid=row[2],
        pci=address(row[3]),
        total=int(row[4]) << 20 if row[4].isdigit() else None,
        used=int(row[5]) << 20 if row[5].isdigit() else None,
        mig=ON.get(row[6]),
        persistence=ON.get(row[7]),
        mode=modes.get(row[8], ""),
    )
