"""The NVIDIA hook is new enough for the host's cgroup version.

libnvidia-container handles cgroup v2 from 1.8.0 on: https://github.com/NVIDIA/libnvidia-container/releases/tag/v1.8.0
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.data.cuda import version
from doctor.facts import EngineFacts, ToolkitFacts
from doctor.finding import Evidence, Finding

SINCE = (1, 8, 0)


@check("toolkit", needs=["toolkit", "engine"], faults=["nvidia-cgroup-error"])
def nvidia_toolkit_knows_cgroups(toolkit: ToolkitFacts, engine: EngineFacts) -> Verdict:
    library = toolkit.library or toolkit.version
    if not version(library):
        return NotApplicable("no NVIDIA toolkit told its version")
    if engine.cgroup_version != "2" or version(library) >= SINCE:
        return f"libnvidia-container {library} with cgroup v{engine.cgroup_version}"
    evidence = Evidence("command", "nvidia-container-cli --version", library, says="cgroup v2 needs 1.8.0 or newer")
    return Finding("nvidia-cgroup-error", (evidence,), {"reason": f"libnvidia-container {library} with cgroup v2"})
