"""Under WSL2, no Linux driver hides the libraries of the Windows driver.

NVIDIA: install no Linux driver in WSL. https://docs.nvidia.com/cuda/wsl-user-guide/
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import LimitFacts, NvidiaFacts
from doctor.finding import Evidence, Finding


@check("wsl", needs=["nvidia", "limits"], faults=["nvidia-wsl-no-adapter"])
def wsl_no_linux_driver(nvidia: NvidiaFacts, limits: LimitFacts) -> Verdict:
    if not nvidia.wsl or limits.inside:
        return NotApplicable("this is a container" if limits.inside else "this is not WSL2")
    foreign = [one for one in nvidia.libraries if one.name in ("libcuda", "libnvidia-ml") and "/wsl/" not in one.path]
    if not foreign:
        return "only the libraries of the Windows driver are here"
    evidence = Evidence(
        "file", foreign[0].path, foreign[0].version, says="a library of a Linux driver, which cannot work here"
    )
    return Finding("nvidia-wsl-no-adapter", (evidence,), {"path": foreign[0].path}, sure="likely")
