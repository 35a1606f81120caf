"""No CDI device name is described by two specifications of one folder.

Of two folders the later one, /run/cdi, wins; in one folder a name that stands twice is a conflict, and no engine gives
it out: https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ToolkitFacts
from doctor.facts.cdi import CdiSpec
from doctor.finding import Evidence, Finding


@check("toolkit", needs=["toolkit"], faults=["nvidia-cdi-device-unresolvable"])
def cdi_names_described_once(toolkit: ToolkitFacts) -> Verdict:
    if not toolkit.names:
        return NotApplicable("no CDI specification describes a device")
    owner: dict[tuple[str, str], CdiSpec] = {}
    for spec in toolkit.specs:
        for name in spec.names:
            key = (spec.path.rpartition("/")[0], name)
            other = owner.setdefault(key, spec)
            if other is not spec:
                evidence = tuple(Evidence("file", one.path, name) for one in (other, spec))
                return Finding("nvidia-cdi-device-unresolvable", evidence, {"device": name, "path": spec.path})
    return f"{len(toolkit.names)} device name(s), each described once in its folder"
