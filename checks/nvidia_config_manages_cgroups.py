"""The NVIDIA hook permits the GPU in the container's cgroup where the engine runs with root rights.

With no-cgroups = true the device nodes are mounted, and opening them is refused.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import EngineFacts
from doctor.facts.toolkit import CONFIG, Broken, ToolkitConfig
from doctor.finding import Evidence, Finding


@check("toolkit", needs=["toolkit.config", "engine"], faults=["nvidia-no-cgroups-set"])
def nvidia_config_manages_cgroups(config: ToolkitConfig | Broken | None, engine: EngineFacts) -> Verdict:
    if not isinstance(config, ToolkitConfig) or engine.rootless:
        return NotApplicable("the engine is rootless" if engine.rootless else f"no readable {CONFIG}")
    if not config.no_cgroups:
        return "no-cgroups is not set"
    if config.mode == "cdi":
        return "no-cgroups is set, and mode cdi leaves device permissions to the engine"
    evidence = Evidence("file", CONFIG, "no-cgroups = true", says=f"{engine.kind} runs with root rights")
    return Finding("nvidia-no-cgroups-set", (evidence,), {"path": CONFIG}, sure="likely")
