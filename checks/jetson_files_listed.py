"""On a Jetson, the lists of files that the toolkit mounts into containers are there.

Its driver is no set of versioned libraries but part of L4T; the toolkit's csv mode reads host-files-for-container.d.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import NvidiaFacts, ToolkitFacts
from doctor.finding import Evidence, Finding

FOLDER = "/etc/nvidia-container-runtime/host-files-for-container.d"


@check("toolkit", needs=["nvidia", "toolkit"], faults=["nvidia-toolkit-not-installed"])
def jetson_files_listed(nvidia: NvidiaFacts, toolkit: ToolkitFacts) -> Verdict:
    if not nvidia.tegra:
        return NotApplicable("this is no Jetson")
    if any(name.endswith(".csv") for name in nvidia.csv_files) or toolkit.specs:
        return f"{', '.join(nvidia.csv_files) or toolkit.specs[0].path}"
    evidence = Evidence("file", FOLDER, "no .csv file", says=nvidia.tegra)
    return Finding("nvidia-toolkit-not-installed", (evidence,), {"path": FOLDER}, sure="likely")
