"""Every CDI specification can be read and describes a device."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ToolkitFacts
from doctor.finding import Evidence, Finding


@check("toolkit", needs=["toolkit"], faults=["nvidia-cdi-device-unresolvable"])
def cdi_specs_valid(toolkit: ToolkitFacts) -> Verdict:
    if not toolkit.specs:
        return NotApplicable("there is no CDI specification")
    broken = [spec for spec in toolkit.specs if spec.error and "not read here" not in spec.error]
    if not broken:
        return (
            ", ".join(
                f"{spec.path}: {len(spec.devices)} device(s) of {spec.kind}" for spec in toolkit.specs if not spec.error
            )
            or "written in a form that is not read here"
        )
    return [
        Finding(
            "nvidia-cdi-device-unresolvable",
            (Evidence("file", spec.path, spec.error, says="the engine leaves this specification out"),),
            {"path": spec.path},
            severity="warning",
            subject=spec.path,
        )
        for spec in broken
    ]
