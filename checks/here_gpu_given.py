"""This container, where it asks for NVIDIA GPUs, got them.

NVIDIA's images set NVIDIA_VISIBLE_DEVICES; without the toolkit at work nothing comes of it.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import HostFacts, LimitFacts, NvidiaFacts
from doctor.finding import Evidence, Finding


@check("here", needs=["limits", "nvidia", "host"], faults=["nvidia-gpu-not-requested"])
def here_gpu_given(limits: LimitFacts, nvidia: NvidiaFacts, host: HostFacts) -> Verdict:
    wanted = host.environment.get("NVIDIA_VISIBLE_DEVICES", "")
    if not limits.inside or wanted in ("", "void", "none"):
        return NotApplicable("this is no container" if not limits.inside else "this container asks for no NVIDIA GPU")
    gpus = nvidia.nodes_of_gpus()
    if gpus or "/dev/dxg" in nvidia.nodes or nvidia.tegra:
        return f"{', '.join(gpus) or 'its device node'} in this container"
    evidence = Evidence(
        "environment", "environment", f"NVIDIA_VISIBLE_DEVICES={wanted}", says="no /dev/nvidia0 or the like is here"
    )
    return Finding("nvidia-gpu-not-requested", (evidence,), {"library": "libcuda.so.1"}, sure="likely")
