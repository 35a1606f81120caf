"""The host has the NVIDIA driver's libraries beside its kernel module.

The toolkit mounts them into containers; a driver installed without compute libraries ("headless" or kernel modules
only) leaves it nothing to mount.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import LimitFacts, NvidiaFacts
from doctor.facts.nvidia import Module
from doctor.finding import Evidence, Finding

WANTED = ("libnvidia-ml.so.1", "libcuda.so.1")


@check("driver", needs=["nvidia.module", "limits"], uses=["nvidia"], faults=["nvidia-nvml-library-missing"])
def nvidia_libraries_present(module: Module | None, limits: LimitFacts, nvidia: NvidiaFacts) -> Verdict:
    if module is None or limits.inside:
        return NotApplicable("this is a container" if limits.inside else "no NVIDIA kernel module is loaded")
    if nvidia.tegra:
        return NotApplicable("on a Jetson they belong to the board's own system")
    missing = [name for name in WANTED if nvidia.library(name) is None]
    if not missing:
        return f"{nvidia.library(WANTED[1])} and {nvidia.library(WANTED[0])}"
    folders = ", ".join(nvidia.sonames) or "none of the usual folders"
    evidence = Evidence(
        "file", folders, f"no {' and no '.join(missing)}", says=f"the loaded module is {module.version}"
    )
    return Finding(
        "nvidia-nvml-library-missing", (evidence,), {"library": missing[0], "driver": module.version}, sure="likely"
    )
