"""The kernel log has no Xid error that speaks of the NVIDIA GPU itself.

Xids of programs' own faults (13, 31, 43, 45 …) are not counted: https://docs.nvidia.com/deploy/xid-errors/
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.data import error_codes
from doctor.facts import KernelFacts, PciFacts
from doctor.finding import Evidence, Finding, Severity

# Memory, bus, NVLink, firmware and containment; 79 is a check of its own.
HARDWARE = {48, 54, 61, 62, 63, 64, 74, 92, 94, 95, 109, 110, 119, 120, 121, 140, 143, 149, 154}
MILD = {63, 92, 94}
"""Repaired or contained; the GPU works on."""


@check("driver", needs=["pci", "kernel"], faults=["nvidia-xid-hardware"])
def nvidia_no_hardware_xid(pci: PciFacts, kernel: KernelFacts) -> Verdict:
    events = kernel.of("xid")
    if not pci.nvidia and not events:
        return NotApplicable("no NVIDIA GPU is on the PCI bus")
    bad = [event for event in events if int(event.values["xid"]) in HARDWARE]
    if not bad:
        others = sorted({int(event.values["xid"]) for event in events})
        return f"Xids of programs only: {', '.join(map(str, others))}" if others else "no Xid in the kernel log"
    found = []
    for address in dict.fromkeys(event.values["pci"] for event in bad):
        here = [event for event in bad if event.values["pci"] == address]
        worst = next((event for event in here if int(event.values["xid"]) not in MILD), here[0])
        number = int(worst.values["xid"])
        row = next((row for row in error_codes() if row.group == "xid" and row.code == number), None)
        evidence = Evidence(
            "kernel",
            f"kernel log ({kernel.source})",
            worst.text,
            worst.line,
            says=row.message or row.name if row else "",
        )
        values = {"xid": str(number), "pci": address, "count": str(len(here))}
        severity: Severity | None = "warning" if number in MILD else None
        found.append(Finding("nvidia-xid-hardware", (evidence,), values, severity=severity, subject=address))
    return found
