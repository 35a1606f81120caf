"""HSA_OVERRIDE_GFX_VERSION, where it is set, does not make a GPU pass for what it cannot run.

It replaces the target of every GPU. It helps only between targets whose instructions agree (doctor/arch.py).
"""

import re

from doctor.check import NotApplicable, Verdict, check
from doctor.data import overrides
from doctor.facts import AmdFacts, ContainerFacts, HostFacts, Unknown
from doctor.finding import Evidence, Finding

NAME = "HSA_OVERRIDE_GFX_VERSION"


@check("amd", needs=["host", "amd"], uses=["container"], faults=["amd-gfx-override-wrong"])
def amd_gfx_override_fits(host: HostFacts, amd: AmdFacts, container: ContainerFacts | Unknown) -> Verdict:
    value = (container.environment if container else host.environment).get(NAME)
    if not value:
        return NotApplicable(f"{NAME} is not set")
    place = f"environment of {container.name}" if container else "environment"
    subject = container.name if container else ""
    parts = re.fullmatch(r"(\d{1,2})\.(\d{1,2})\.(\d{1,2})", value)
    evidence = Evidence("environment", place, f"{NAME}={value}")
    if parts is None:
        told = Evidence("environment", place, f"{NAME}={value}", says="not of the form 10.3.0")
        return Finding("amd-gfx-override-wrong", (told,), {"reason": "not of the form 10.3.0"}, subject=subject)
    target = f"gfx{int(parts[1])}{int(parts[2]):x}{int(parts[3]):x}"
    own = [gpu.gfx for gpu in amd.gpus if gpu.gfx]
    if not own:
        return NotApplicable("which targets the GPUs have is not known")
    known = {row.gfx for row in overrides() if row.value == value}
    wrong = [gfx for gfx in own if gfx != target and gfx not in known]
    if not wrong:
        return f"{NAME}={value} for {', '.join(own)}"
    node = Evidence("file", "/sys/class/kfd/kfd/topology/nodes", wrong[0], says=f"it is made to pass for {target}")
    values = {"arch": wrong[0], "target": target}
    return Finding(
        "amd-gfx-override-wrong", (evidence, node), values, sure="likely", severity="warning", subject=subject
    )
