"""The NVIDIA toolkit's config.toml can be read."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts.toolkit import CONFIG, Broken, ToolkitConfig
from doctor.finding import Evidence, Finding


@check("toolkit", needs=["toolkit.config"], faults=["container-engine-config-invalid"])
def nvidia_config_readable(config: ToolkitConfig | Broken | None) -> Verdict:
    if config is None:
        return NotApplicable(f"there is no {CONFIG}")
    if isinstance(config, ToolkitConfig):
        return f"{CONFIG}: mode {config.mode}"
    evidence = Evidence("file", config.path, config.error, says="not TOML")
    return Finding("container-engine-config-invalid", (evidence,), {"path": config.path})
