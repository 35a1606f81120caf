"""GPUs and NVSwitches on the PCI bus, by sysfs: also those that no driver drives."""

from __future__ import annotations

import re
from collections.abc import Iterator

from doctor.probes import Probe
from doctor.probes.system import System
from doctor.snapshot import Reading, Target

DEVICES = "/sys/bus/pci/devices"
# Display controllers (03), processing accelerators (12) and bridges of class 0680, which NVSwitches are, of NVIDIA
# (10de) and AMD (1002). https://pci-ids.ucw.cz/read/PD/
GPU = re.compile(
    r"PCI_CLASS=(?:0?3|12)\d{4}$[\s\S]*PCI_ID=(?:10DE|1002):|PCI_CLASS=0?680\d\d$[\s\S]*PCI_ID=10DE:", re.M
)
OF_GPU = ("resource", "current_link_speed", "current_link_width", "max_link_speed", "max_link_width", "numa_node",
          "mem_info_vram_total", "mem_info_vis_vram_total", "power_state")  # fmt: skip


def pci(system: System, target: Target) -> Iterator[Reading]:
    listed = system.names(DEVICES)
    yield listed
    for address in listed.text.split():
        # `uevent` tells class, ids and bound driver at once: pci_uevent() in drivers/pci/pci-driver.c of Linux.
        event = system.file(f"{DEVICES}/{address}/uevent")
        if event.state != "ok" or GPU.search(event.text):
            yield event
        if event.state == "ok" and GPU.search(event.text):
            for name in OF_GPU:
                reading = system.file(f"{DEVICES}/{address}/{name}")
                if reading.state != "missing":
                    yield reading
    yield system.names("/sys/class/iommu")
    yield system.file("/proc/cmdline")


PROBES = (Probe("pci", "which GPUs are on the PCI bus and which driver is bound to each", pci),)
