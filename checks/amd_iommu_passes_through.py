"""Several AMD GPUs with an active IOMMU run it in pass-through mode.

Otherwise transfers between GPUs may stall: https://rocm.docs.amd.com/projects/install-on-linux/en/latest/how-to/iommu.html
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import PciFacts
from doctor.finding import Evidence, Finding


@check("amd", needs=["pci.iommus", "pci.cmdline", "pci"], faults=["amd-ipc-failed"])
def amd_iommu_passes_through(iommus: tuple[str, ...], cmdline: str, pci: PciFacts) -> Verdict:
    discrete = [gpu for gpu in pci.amd if gpu.vram >= 4 << 30]
    if len(discrete) < 2:
        return NotApplicable("fewer than two discrete AMD GPUs are here")
    words = cmdline.split()
    if not iommus or "iommu=pt" in words or "iommu.passthrough=1" in words:
        return "the IOMMU is off" if not iommus else "the IOMMU passes through"
    evidence = Evidence("file", "/proc/cmdline", "no iommu=pt", says=f"the IOMMU ({', '.join(iommus[:2])} …) is active")
    return Finding("amd-ipc-failed", (evidence,), {"count": str(len(discrete))}, sure="possible", severity="note")
