"""The CDI specifications for NVIDIA mount the driver's present libraries.

They name files with the driver's version; after an update those files are gone and containers do not start.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import NvidiaFacts, ToolkitFacts
from doctor.finding import Evidence, Finding


@check("toolkit", needs=["toolkit", "nvidia"], faults=["nvidia-cdi-device-unresolvable"])
def cdi_specs_current(toolkit: ToolkitFacts, nvidia: NvidiaFacts) -> Verdict:
    versioned = [spec for spec in toolkit.specs if spec.driver_versions]
    if not versioned or not nvidia.versions:
        return NotApplicable(
            "no CDI specification names driver libraries" if not versioned else "no driver library is here"
        )
    stale = [spec for spec in versioned if not set(spec.driver_versions) & set(nvidia.versions)]
    if not stale:
        return f"{versioned[0].path} mounts {versioned[0].driver_versions[0]}"
    return [
        Finding(
            "nvidia-cdi-device-unresolvable",
            (
                Evidence("file", spec.path, f"mounts libraries of {spec.driver_versions[0]}"),
                Evidence("file", nvidia.libraries[0].path, nvidia.versions[0], says="what is installed"),
            ),
            {"path": spec.path, "driver": nvidia.versions[0]},
            subject=spec.path,
        )
        for spec in stale
    ]
