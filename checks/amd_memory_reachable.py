"""The processor reaches all memory of every discrete AMD GPU (large BAR), as peers need it.

With a small BAR, GPUs cannot share memory over PCIe: https://rocm.docs.amd.com/en/latest/how-to/Bar-Memory.html
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import PciFacts
from doctor.finding import Evidence, Finding


@check("amd", needs=["pci"], faults=["amd-ipc-failed"])
def amd_memory_reachable(pci: PciFacts) -> Verdict:
    known = [gpu for gpu in pci.amd if gpu.vram >= 4 << 30]
    if len(known) < 2:
        return NotApplicable("fewer than two AMD GPUs tell their memory")
    small = [gpu for gpu in known if gpu.visible_vram < gpu.vram]
    if not small:
        return f"all {known[0].vram >> 30} GB of {len(known)} GPUs are reachable"
    gpu = small[0]
    told = f"{gpu.visible_vram >> 20} of {gpu.vram >> 20} MB reachable"
    evidence = Evidence("file", f"/sys/bus/pci/devices/{gpu.address}/mem_info_vis_vram_total", told, says=gpu.name)
    return Finding("amd-ipc-failed", (evidence,), {"pci": gpu.address}, sure="possible", severity="note")
