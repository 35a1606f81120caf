"""Where the engine is rootless, the NVIDIA hook leaves cgroups alone.

Without rights it cannot change them, and the container does not start.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import EngineFacts, NvidiaFacts, ToolkitFacts
from doctor.facts.toolkit import CONFIG, Broken, ToolkitConfig
from doctor.finding import Evidence, Finding


@check(
    "toolkit",
    needs=["toolkit.config", "engine", "nvidia"],
    uses=["toolkit"],
    faults=["nvidia-rootless-or-no-cgroups"],
)
def nvidia_config_fits_rootless(
    config: ToolkitConfig | Broken | None, engine: EngineFacts, nvidia: NvidiaFacts, toolkit: ToolkitFacts
) -> Verdict:
    if not engine.rootless or not toolkit.has_nvidia or not (nvidia.module or nvidia.wsl):
        return NotApplicable("no rootless engine with the NVIDIA toolkit is here")
    if toolkit.specs and engine.kind == "podman":
        return "the GPUs are described by CDI, which needs no hook"
    if isinstance(config, ToolkitConfig) and (config.no_cgroups or config.mode == "cdi"):
        return "no-cgroups is set" if config.no_cgroups else "mode cdi needs no hook"
    told = "no-cgroups = false" if isinstance(config, ToolkitConfig) else f"no readable {CONFIG}"
    evidence = Evidence("file", CONFIG, told, says=f"{engine.kind} is rootless")
    return Finding("nvidia-rootless-or-no-cgroups", (evidence,), {"path": CONFIG}, sure="likely", severity="warning")
