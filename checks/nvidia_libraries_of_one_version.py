"""The folders that the loader searches hold the NVIDIA driver's libraries in one version only.

Two installations (packages and NVIDIA's own installer) leave two; which one a program gets depends on the loader.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import NvidiaFacts
from doctor.finding import Evidence, Finding


@check("driver", needs=["nvidia"], faults=["nvidia-driver-library-mismatch"])
def nvidia_libraries_of_one_version(nvidia: NvidiaFacts) -> Verdict:
    libraries = [
        one for one in nvidia.libraries if one.name in ("libcuda", "libnvidia-ml") and "/compat" not in one.path
    ]
    versions = {one.version: one for one in libraries}
    if not versions:
        return NotApplicable("no libcuda or libnvidia-ml is installed")
    if len(versions) == 1:
        return f"libcuda and libnvidia-ml are {next(iter(versions))} wherever they lie"
    module = nvidia.module.version if nvidia.module else ""
    evidence = tuple(Evidence("file", one.path, version) for version, one in sorted(versions.items()))
    other = next((version for version in sorted(versions) if version != module), "")
    values = {"driver": other, **({"kernel_driver": module} if module else {})}
    return Finding("nvidia-driver-library-mismatch", evidence, values, sure="possible", severity="warning")
