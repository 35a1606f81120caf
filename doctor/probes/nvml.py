"""What NVIDIA's driver answers about its GPUs: by NVML in a child process, by nvidia-smi where that gave nothing."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.probes import Probe
from doctor.probes.system import System
from doctor.snapshot import Reading, Target

CHILD = "doctor.probes.nvml_child"
SECONDS = 8.0
"""A machine with eight GPUs and no persistence mode takes some seconds to wake them."""
FIELDS = ("index,name,uuid,pci.bus_id,memory.total,memory.used,mig.mode.current,persistence_mode,compute_mode,"
          "driver_version")  # fmt: skip


def nvml(system: System, target: Target) -> Iterator[Reading]:
    # Without the node, NVML as root would have nvidia-modprobe load the module and make it: we change nothing.
    if all(system.node(path).state == "missing" for path in ("/dev/nvidiactl", "/dev/dxg")):
        yield system.reading(f"child:{CHILD}", "missing", error="/dev/nvidiactl is not there, so NVML was not asked")
        return
    asked = system.child(CHILD, seconds=SECONDS)
    yield asked
    if '"index"' not in asked.text:
        yield system.command("nvidia-smi", f"--query-gpu={FIELDS}", "--format=csv,noheader,nounits", seconds=SECONDS)


PROBES = (
    Probe(
        "nvml", "what NVIDIA's management library tells of each GPU, its memory, errors and modes", nvml, timeout=20.0
    ),
)
