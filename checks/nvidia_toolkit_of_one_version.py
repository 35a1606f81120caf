"""The parts of the NVIDIA Container Toolkit are of one release.

The hook hands options to nvidia-container-cli; an older one does not know them, and no container with GPUs starts:
https://github.com/NVIDIA/nvidia-container-runtime/issues/26 . Patch releases may differ:
https://github.com/NVIDIA/libnvidia-container/issues/241
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.data.cuda import version
from doctor.facts import ToolkitFacts
from doctor.finding import Evidence, Finding


@check("toolkit", needs=["toolkit"], faults=["nvidia-toolkit-version-mismatch"])
def nvidia_toolkit_of_one_version(toolkit: ToolkitFacts) -> Verdict:
    own, library = version(toolkit.version)[:2], version(toolkit.library)[:2]
    if not own or not library:
        return NotApplicable("the versions of nvidia-ctk and libnvidia-container are not both known")
    if own == library:
        return f"toolkit {toolkit.version}, libnvidia-container {toolkit.library}"
    evidence = (
        Evidence("command", "nvidia-ctk --version", toolkit.version),
        Evidence("command", "nvidia-container-cli --version", toolkit.library, says="of another release"),
    )
    values = {"toolkit": toolkit.version, "library_version": toolkit.library}
    return Finding("nvidia-toolkit-version-mismatch", evidence, values, sure="possible", severity="warning")
