"""nvidia-smi's table, its list and its full report, and the kernel module's version file.

https://docs.nvidia.com/deploy/nvidia-smi/index.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from doctor.bundles.pasted import Pasted, pairs, same
from doctor.facts.nvml import CHILD, COMPUTE_MODES, FABRIC_STATES
from doctor.gpus import Gpu, find_gpu
from doctor.snapshot import Reading

QUERY = "command:nvidia-smi --query-gpu"
VERSION = r"\d{3}\.[\d.]*\d"
HEAD = re.compile(rf"Driver Version: *(?P<driver>{VERSION})(?: +CUDA Version: *(?P<cuda>\d+\.\d+))?")
# Name, then persistence mode or, on Windows, the driver model; below it the memory, which some GPUs do not tell.
ROW = re.compile(
    r"^ *\| +(?P<index>\d+) +(?P<name>\S.{0,60}?) +(?:On|Off|N/A|WDDM|TCC|MCDM) *\| +"
    r"(?P<pci>[0-9A-Fa-f]{4,8}:[0-9A-Fa-f:.]+).*\n"
    r" *\|.*?\| *(?:\d+MiB */ *(?P<total>\d+)MiB|Not Supported|N/A */ *N/A|ERR!.*?) *\|"
    r".* (?P<mode>Default|E\. ?Process|Prohibited) *\|(?:\n *\|.* (?P<mig>Enabled|Disabled)\*? *\|)?",
    re.MULTILINE,
)
LISTED = re.compile(r"GPU (?P<index>\d+): (?P<name>[^\n(]{3,80}?) \(UUID: (?P<uuid>GPU-[\w-]+)\)")
SECTION = re.compile(r"^ *GPU (?P<pci>[0-9A-Fa-f]+:[0-9A-Fa-f:.]+)\s*$", re.MULTILINE)
FIELD = re.compile(r"(?P<name>[A-Z][\w /.-]*?) *(?: : *(?P<value>.*))?$")
QUERIED = re.compile(
    rf"^ *Driver Version +: (?P<driver>{VERSION})(?:\n *CUDA Version +: (?P<cuda>[\d.]+))?", re.MULTILINE
)
MODULE = re.compile(
    r"^(?:.{0,60}\s)?(?P<line>NVRM version: NVIDIA UNIX .*?(?P<driver>\d{3}\.\d+(?:\.\d+)?) .*)$", re.MULTILINE
)
XML = re.compile(r"<(?P<name>driver_version|cuda_version|product_name)>(?P<value>[^<\n]{1,80})</")
MODES = {"E. Process": "Exclusive_Process", "E.Process": "Exclusive_Process"}
NVML_MODES = {"Default": "default", "Exclusive_Thread": "exclusive thread", "Prohibited": "prohibited",
              "Exclusive_Process": "exclusive process"}  # fmt: skip
SWITCH = {"Enabled": 1, "Disabled": 0}
NOT_LOOKED = Reading("names:/proc/driver/nvidia", "failed", error="not in the ticket")


def table(text: str, name: str) -> Pasted | None:
    """The table, or the list of `nvidia-smi -L`."""
    head = HEAD.search(text)
    driver = head["driver"] if head else ""
    rows = [
        (one["index"], one["name"], "", one["pci"], one["total"] or "", one["mig"] or "", one["mode"])
        for one in ROW.finditer(text)
    ] or [(one["index"], one["name"], one["uuid"], "", "", "", "") for one in LISTED.finditer(text)]
    if not rows and not driver:
        return None
    names = [cells[1] for cells in rows]
    readings = listed(row(*cells, driver) for cells in rows)
    return _told("nvidia-smi", readings if rows else (), names, driver, (head["cuda"] or "") if head else "")


def listed(rows: Iterable[str]) -> tuple[Reading, ...]:
    """GPUs as the second way of the probe has them, which asks nvidia-smi."""
    return (Reading(CHILD, "failed", error="not in the ticket"), Reading(QUERY, "ok", "\n".join(rows)), NOT_LOOKED)


def row(index: str, name: str, uuid: str, pci: str, total: str, mig: str, mode: str, driver: str) -> str:
    """As --query-gpu prints it. What is used of the memory is left out: the ticket's own program may use it."""
    cells = (index, name.strip(), uuid, pci, total, "", mig, "", MODES.get(mode, mode), driver)
    return ", ".join(cell.replace(",", " ") for cell in cells)


def queried(text: str, name: str) -> Pasted | None:
    """The report of `nvidia-smi -q`: it tells what NVML tells (doctor/probes/nvml_child.py)."""
    begin = text.index("NVSMI LOG")
    head = QUERIED.search(text, begin)
    if not head:
        return None
    marks = list(SECTION.finditer(text, begin))
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    gpus = [_fields(text[mark.end() : end]) for mark, end in zip(marks, ends, strict=True)]
    rows: list[dict[str, Any]] = [{"driver": head["driver"], "cuda": _cuda(head["cuda"] or ""), "count": len(gpus)}]
    rows += [{"index": n, "pci": marks[n]["pci"], **_asked(told)} for n, told in enumerate(gpus)]
    reading = Reading(CHILD, "ok", "\n".join(map(json.dumps, rows)))
    names = [told.get("Product Name", "") for told in gpus]
    return _told("nvidia-smi -q", (reading, NOT_LOOKED) if gpus else (), names, head["driver"], head["cuda"] or "")


def _cuda(version: str) -> int | None:
    parts = version.split(".")
    return int(parts[0]) * 1000 + int(parts[1]) * 10 if len(parts) == 2 and version.replace(".", "").isdigit() else None


def _fields(section: str) -> dict[str, str]:
    """The fields of a GPU by their names and those of what they stand under: `MIG Mode/Current`."""
    told: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in section.split("\n"):
        found = FIELD.fullmatch(line.strip())
        depth = len(line) - len(line.lstrip())
        if not found or not depth:
            if line.strip():
                break  # the next tool's output
            continue
        above = [one for one in above if one[0] < depth]
        above.append((depth, found["name"]))
        if found["value"] is not None:
            told.setdefault("/".join(one for _, one in above), found["value"].strip())
    return told


def _asked(told: dict[str, str]) -> dict[str, Any]:
    """As NVML answers; None where the GPU did not say."""
    mig = SWITCH.get(told.get("MIG Mode/Current", "")), SWITCH.get(told.get("MIG Mode/Pending", ""))
    rows = [_number(told.get(f"Remapped Rows/{one}", "")) for one in ("Correctable Error", "Uncorrectable Error")]
    pending, failed = (told.get(f"Remapped Rows/{one}") for one in ("Pending", "Remapping Failure Occurred"))
    mode = NVML_MODES.get(told.get("Compute Mode", ""), "")
    fabric = {says: code for code, says in FABRIC_STATES.items()}.get(told.get("Fabric/State", "").lower())
    total = _number(told.get("FB Memory Usage/Total", "").removesuffix(" MiB"))
    return {
        "name": told.get("Product Name"),
        "uuid": told.get("GPU UUID"),
        "minor": _number(told.get("Minor Number", "")),
        "total": total << 20 if total else None,
        "mode": next((code for code, says in COMPUTE_MODES.items() if says == mode), None),
        "mig": None if mig[0] is None else list(mig),
        "rows": None if None in rows else [*rows, pending == "Yes", failed == "Yes"],
        "pages_pending": {"Yes": 1, "No": 0}.get(told.get("Retired Pages/Pending Page Blacklist", "")),
        "fabric": {"state": fabric, "status": 0 if told.get("Fabric/Status") in ("Success", "N/A", None) else -1}
        if fabric
        else None,
    }


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else None


def xml(text: str, name: str) -> Pasted | None:
    """The report of `nvidia-smi -q -x`: versions and names."""
    told = [(one["name"], one["value"]) for one in XML.finditer(text)]
    first = dict(reversed(told))
    names = [value for key, value in told if key == "product_name"]
    return _told("nvidia-smi -q -x", (), names, first.get("driver_version", ""), first.get("cuda_version", ""))


def _told(tool: str, readings: tuple[Reading, ...], names: list[str], driver: str, cuda: str) -> Pasted:
    name = same(names)
    if name.endswith("..."):  # cut to the column's width
        name = ""
    values = pairs(driver=driver, cuda_driver=cuda, device=name, arch=arch_of(name))
    return Pasted(tool, readings, values, pairs(vendor="nvidia"))


def module(text: str, name: str) -> Pasted | None:
    """What /proc/driver/nvidia/version says."""
    found = MODULE.search(text)
    if not found:
        return None
    version = Reading("file:/proc/driver/nvidia/version", "ok", found["line"])
    # Listed only as far as the ticket shows it.
    folder = Reading("names:/proc/driver/nvidia", "ok", "version")
    return Pasted("/proc/driver/nvidia/version", (folder, version), pairs(driver=found["driver"]))


def arch_of(name: str) -> str:
    """The target of a GPU by its name, such as sm_90; empty where it is not known for sure."""
    gpu = find_gpu(name) if name else None
    if not isinstance(gpu, Gpu):
        return ""
    return gpu.gfx or f"sm_{(gpu.compute_capability or '').replace('.', '')}"
