"""Where MIG is on, there are MIG devices, and no change of the mode waits for a reset.

With MIG on and no device, CUDA finds no device on that GPU: https://docs.nvidia.com/datacenter/tesla/mig-user-guide/
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import NvmlFacts
from doctor.finding import Evidence, Finding


@check("driver", needs=["nvml"], faults=["nvidia-mig-misconfigured"])
def nvidia_mig_usable(nvml: NvmlFacts) -> Verdict:
    able = [gpu for gpu in nvml.answering if gpu.mig is not None]
    if not able:
        return NotApplicable("no GPU here has MIG")
    found = []
    for gpu in able:
        says = ""
        if gpu.mig_pending is not None and gpu.mig_pending != gpu.mig:
            says = f"MIG is {_word(gpu.mig)}, {_word(gpu.mig_pending)} after a reset"
        elif gpu.mig and gpu.instances == ():
            says = "MIG is on and no MIG device exists"
        if says:
            evidence = Evidence("command", nvml.way, f"GPU {gpu.index} {gpu.name}: {says}")
            found.append(
                Finding(
                    "nvidia-mig-misconfigured",
                    (evidence,),
                    {"index": str(gpu.index), "device": gpu.name},
                    subject=gpu.pci,
                )
            )
    on = [gpu for gpu in able if gpu.mig]
    count = sum(len(gpu.instances or ()) for gpu in on)
    return found or (f"MIG is on for {len(on)} GPU(s) with {count} device(s)" if on else "MIG is off")


def _word(mode: bool | None) -> str:
    return "on" if mode else "off"
