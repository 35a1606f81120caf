"""The ldconfig that the NVIDIA toolkit is told to run is on the host.

Debian and Ubuntu: Ubuntu's /sbin/ldconfig is a script around ldconfig.real; Debian has no such second file.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ToolkitFacts
from doctor.facts.toolkit import CONFIG, Broken, ToolkitConfig
from doctor.finding import Evidence, Finding


@check("toolkit", needs=["toolkit.config"], uses=["toolkit"], faults=["nvidia-hook-ldconfig-or-ldcache"])
def nvidia_config_ldconfig_exists(config: ToolkitConfig | Broken | None, toolkit: ToolkitFacts) -> Verdict:
    if not isinstance(config, ToolkitConfig) or not config.ldconfig.startswith("@"):
        return NotApplicable(f"{CONFIG} names no ldconfig of the host")
    path = config.ldconfig.removeprefix("@")
    if path in toolkit.programs:
        return f"{path} is there"
    if path not in toolkit.absent:
        return NotApplicable(f"whether {path} is there was not looked at")
    evidence = (
        Evidence("file", CONFIG, f'ldconfig = "{config.ldconfig}"'),
        Evidence("file", path, "not there"),
    )
    return Finding("nvidia-hook-ldconfig-or-ldcache", evidence, {"path": path})
