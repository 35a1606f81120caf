"""The NVIDIA Container Toolkit is installed where an engine and an NVIDIA driver are."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import EngineFacts, LimitFacts, NvidiaFacts, ToolkitFacts
from doctor.finding import Evidence, Finding


@check("toolkit", needs=["toolkit", "nvidia", "engine", "limits"], faults=["nvidia-toolkit-not-installed"])
def nvidia_toolkit_installed(
    toolkit: ToolkitFacts, nvidia: NvidiaFacts, engine: EngineFacts, limits: LimitFacts
) -> Verdict:
    if limits.inside or not (nvidia.module or nvidia.tegra or "/usr/lib/wsl/lib" in nvidia.sonames):
        return NotApplicable("this is a container" if limits.inside else "no NVIDIA driver is loaded")
    if toolkit.has_nvidia:
        return f"NVIDIA Container Toolkit {toolkit.version or 'of unknown version'}"
    if toolkit.specs or any(name.startswith("nvidia") for name in engine.runtimes):
        return "the engine knows NVIDIA GPUs by a toolkit that lies elsewhere"
    evidence = Evidence(
        "file",
        "/usr/bin/nvidia-container-runtime",
        "not there",
        says=f"{engine.kind} and driver {nvidia.driver} are here",
    )
    return Finding("nvidia-toolkit-not-installed", (evidence,), {"driver": nvidia.driver}, sure="likely")
