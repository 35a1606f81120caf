"""Every NVIDIA GPU that the driver holds has its device node on the host.

Nothing makes them by itself where no graphical session or persistence daemon runs; nvidia-modprobe does.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import LimitFacts, NvidiaFacts
from doctor.facts.nvidia import Module
from doctor.finding import Evidence, Finding


@check(
    "driver",
    needs=["nvidia.module", "nvidia.names", "limits"],
    uses=["nvidia"],
    faults=["nvidia-device-nodes-missing"],
)
def nvidia_device_nodes_present(
    module: Module | None, names: tuple[str, ...], limits: LimitFacts, nvidia: NvidiaFacts
) -> Verdict:
    if module is None or limits.inside or nvidia.tegra:
        return NotApplicable(
            "this is a container" if limits.inside else "no NVIDIA kernel module with PCI GPUs is loaded"
        )
    if not nvidia.gpus:
        return NotApplicable("the module holds no GPU")
    minors = [gpu.get("Device Minor", "") for gpu in nvidia.gpus.values()]
    wanted = ["nvidiactl", *(f"nvidia{minor}" for minor in minors if minor.isdigit())]
    missing = [name for name in wanted if name not in names]
    if not missing:
        return f"{', '.join(f'/dev/{name}' for name in wanted)}"
    evidence = Evidence(
        "file", "/dev", f"no {', no '.join(missing)}", says=f"the module holds {len(nvidia.gpus)} GPU(s)"
    )
    return Finding("nvidia-device-nodes-missing", (evidence,), {"path": f"/dev/{missing[0]}"})
