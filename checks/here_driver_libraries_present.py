"""In this container, the NVIDIA driver's libraries are beside its device nodes."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import HostFacts, LimitFacts, NvidiaFacts
from doctor.finding import Evidence, Finding, Severity

LIBRARIES = (("libcuda.so.1", "compute"), ("libnvidia-ml.so.1", "utility"))


@check("here", needs=["limits", "nvidia", "host"], faults=["nvidia-driver-capability-missing"])
def here_driver_libraries_present(limits: LimitFacts, nvidia: NvidiaFacts, host: HostFacts) -> Verdict:
    if not limits.inside or not nvidia.nodes:
        return NotApplicable(
            "this is no container" if not limits.inside else "this container has no NVIDIA device node"
        )
    missing = [(name, word) for name, word in LIBRARIES if nvidia.library(name) is None]
    if not missing:
        return f"{nvidia.library('libcuda.so.1')} in this container"
    library, word = missing[0]
    asked = host.environment.get("NVIDIA_DRIVER_CAPABILITIES", "not set")
    evidence = (
        Evidence("file", next(iter(nvidia.nodes)), "a device node is here", says=f"{library} is not"),
        Evidence("environment", "environment", f"NVIDIA_DRIVER_CAPABILITIES={asked}", says=f"{word} brings it"),
    )
    severity: Severity | None = None if word == "compute" else "warning"
    return Finding("nvidia-driver-capability-missing", evidence, {"library": library}, sure="likely", severity=severity)
