"""On a machine with many NVIDIA GPUs, the driver keeps them awake (persistence mode).

Without it every first question wakes every GPU, which can take longer than the hook waits:
https://docs.nvidia.com/deploy/driver-persistence/index.html
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import NvmlFacts
from doctor.finding import Evidence, Finding

MANY = 4


@check("driver", needs=["nvml"], faults=["nvidia-persistence-off"])
def nvidia_persistence_on(nvml: NvmlFacts) -> Verdict:
    telling = [gpu for gpu in nvml.answering if gpu.persistence is not None]
    if not telling:
        return NotApplicable("no GPU told its persistence mode")
    off = [gpu for gpu in telling if not gpu.persistence]
    # A GPU that a process holds is awake.
    idle = [gpu for gpu in off if not gpu.processes]
    if len(idle) < MANY:
        return f"persistence mode is on for {len(telling) - len(off)} of {len(telling)} GPU(s)"
    told = f"persistence mode off on {len(idle)} idle GPU(s)"
    evidence = Evidence("command", nvml.way, told, says="each is initialised afresh at every first use")
    return Finding("nvidia-persistence-off", (evidence,), {"count": str(len(idle))})
