"""The driver root that the NVIDIA toolkit's config.toml names is on the host.

It is another folder than / where a driver container brings the driver (/run/nvidia/driver); without it the hook finds
no libnvidia-ml.so.1: https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/troubleshooting.html
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ToolkitFacts
from doctor.facts.toolkit import CONFIG, Broken, ToolkitConfig
from doctor.finding import Evidence, Finding


@check("toolkit", needs=["toolkit.config", "toolkit"], faults=["nvidia-nvml-library-missing"])
def nvidia_config_root_exists(config: ToolkitConfig | Broken | None, toolkit: ToolkitFacts) -> Verdict:
    if not isinstance(config, ToolkitConfig) or config.root in ("", "/"):
        return NotApplicable(f"{CONFIG} names no other root than /")
    if config.root in toolkit.programs:
        return f"root {config.root} is there"
    if config.root not in toolkit.absent:
        return NotApplicable(f"whether {config.root} is there was not looked at")
    evidence = (Evidence("file", CONFIG, f'root = "{config.root}"'), Evidence("file", config.root, "not there"))
    return Finding("nvidia-nvml-library-missing", evidence, {"path": config.root}, sure="likely")
