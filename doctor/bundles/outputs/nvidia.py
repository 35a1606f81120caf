"""nvidia-smi's table, its list and its full report, and the kernel module's version file.

https://docs.nvidia.com/deploy/nvidia-smi/index.html
"""

from __future__ import annotations

import re

from doctor.bundles.pasted import Pasted, pairs
from doctor.facts.nvml import CHILD
from doctor.gpus import Gpu, find_gpu
from doctor.snapshot import Reading

QUERY = "command:nvidia-smi --query-gpu"
HEAD = re.compile(r"Driver Version: *(?P<driver>\d{3}\.[\d.]+)(?: +CUDA Version: *(?P<cuda>\d+\.\d+))?")
ROW = re.compile(
    r"^\| +(?P<index>\d+) +(?P<name>\S.{0,60}?) +(?:On|Off|N/A) +\| +(?P<pci>[0-9A-Fa-f]{8}:[0-9A-Fa-f:.]+)"
    r".*\n\|.*?/ *(?P<total>\d+)MiB \|.* (?P<mode>Default|E\. ?Process|Prohibited) \|"
    r"(?:\n\|.* (?P<mig>Enabled|Disabled) \|)?",
    re.MULTILINE,
)
LISTED = re.compile(r"GPU (?P<index>\d+): (?P<name>[^\n(]{3,80}?) \(UUID: (?P<uuid>GPU-[\w-]+)\)")
SECTION = re.compile(r"^GPU (?P<pci>[0-9A-Fa-f]{8}:[0-9A-Fa-f:.]+)\s*$", re.MULTILINE)
FIELD = re.compile(r"^ *(?P<name>[A-Z][\w /-]+?) +: (?P<value>.*)$", re.MULTILINE)
QUERIED = re.compile(r"^Driver Version +: (?P<driver>[\d.]+)(?:\nCUDA Version +: (?P<cuda>[\d.]+))?", re.MULTILINE)
MODULE = re.compile(
    r"^(?:.{0,60}\s)?(?P<line>NVRM version: NVIDIA UNIX .*?(?P<driver>\d{3}\.\d+(?:\.\d+)?) .*)$", re.MULTILINE
)
MODES = {"E. Process": "Exclusive_Process", "E.Process": "Exclusive_Process"}
NOT_LOOKED = Reading("names:/proc/driver/nvidia", "failed", error="not in the ticket")


def table(text: str, name: str) -> Pasted | None:
    """The table, or the list of `nvidia-smi -L`."""
    head = HEAD.search(text)
    driver = head["driver"] if head else ""
    rows = [
        _row(one["index"], one["name"], "", one["pci"], one["total"], one["mig"] or "", one["mode"], driver)
        for one in ROW.finditer(text)
    ] or [_row(one["index"], one["name"], one["uuid"], "", "", "", "", driver) for one in LISTED.finditer(text)]
    if not rows and not driver:
        return None
    return _told("nvidia-smi", rows, driver, (head["cuda"] or "") if head else "")


def queried(text: str, name: str) -> Pasted | None:
    """The report of `nvidia-smi -q`."""
    begin = text.index("NVSMI LOG")
    head = QUERIED.search(text, begin)
    if not head:
        return None
    marks = list(SECTION.finditer(text, begin))
    rows = []
    for number, mark in enumerate(marks):
        end = marks[number + 1].start() if number + 1 < len(marks) else len(text)
        told: dict[str, str] = {}
        for one in FIELD.finditer(text, mark.end(), end):
            told.setdefault(one["name"], one["value"].strip())
        mode = told.get("Compute Mode", "")
        row = (told.get("Product Name", ""), told.get("GPU UUID", ""), mark["pci"], "", "", mode, head["driver"])
        rows.append(_row(str(number), *row))
    return _told("nvidia-smi -q", rows, head["driver"], head["cuda"] or "")


def _row(index: str, name: str, uuid: str, pci: str, total: str, mig: str, mode: str, driver: str) -> str:
    """As --query-gpu prints it. What is used of the memory is left out: the ticket's own program may use it."""
    cells = (index, name.strip(), uuid, pci, total, "", mig, "", MODES.get(mode, mode), driver)
    return ", ".join(cell.replace(",", " ") for cell in cells)


def _told(tool: str, rows: list[str], driver: str, cuda: str) -> Pasted:
    names = [row.split(", ")[1] for row in rows]
    name = next((one for one in names if not one.endswith("...")), "")
    return Pasted(
        tool,
        readings=(
            Reading(CHILD, "failed", error="not in the ticket"),
            Reading(QUERY, "ok", "\n".join(rows)),
            NOT_LOOKED,
        )
        if rows
        else (),
        values=pairs(driver=driver, cuda_driver=cuda, device=name, arch=arch_of(name)),
    )


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
