"""The device nodes that CDI specifications pass are on the host."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import LimitFacts, ToolkitFacts
from doctor.finding import Evidence, Finding

VENDORS = {"nvidia.com": "nvidia-cdi-device-unresolvable", "amd.com": "amd-container-toolkit"}
# Made when a graphical session starts or a program asks; specifications often name them all the same.
OPTIONAL = ("/dev/nvidia-modeset", "/dev/nvidia-uvm-tools", "/dev/nvidia-uvm")


@check("toolkit", needs=["toolkit", "limits"], faults=list(VENDORS.values()))
def cdi_nodes_exist(toolkit: ToolkitFacts, limits: LimitFacts) -> Verdict:
    specs = [spec for spec in toolkit.specs if spec.nodes and spec.kind.split("/")[0] in VENDORS]
    if not specs or limits.inside:
        return NotApplicable(
            "this is a container" if limits.inside else "no CDI specification of a GPU passes device nodes"
        )
    found = []
    for spec in specs:
        gone = [path for path in spec.nodes if toolkit.nodes.get(path) is False and path not in OPTIONAL]
        if gone:
            evidence = (Evidence("file", spec.path, f"passes {gone[0]}"), Evidence("file", gone[0], "not there"))
            fault = VENDORS[spec.kind.split("/")[0]]
            found.append(
                Finding(fault, evidence, {"path": spec.path, "device": gone[0]}, sure="likely", subject=spec.path)
            )
    return found or f"{sum(len(spec.nodes) for spec in specs)} device nodes of {len(specs)} specification(s) are there"
