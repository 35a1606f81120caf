"""The NVIDIA kernel module and the driver's libraries have one version.

They part when a package upgrade replaces the libraries under a loaded module. In a container the toolkit mounts the
host's libraries; those that an image brings count the same.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import NvidiaFacts
from doctor.facts.nvidia import Module
from doctor.finding import Evidence, Finding


@check("driver", needs=["nvidia.module"], uses=["nvidia"], faults=["nvidia-driver-library-mismatch"])
def nvidia_driver_matches_libraries(module: Module | None, nvidia: NvidiaFacts) -> Verdict:
    if module is None:
        return NotApplicable("no NVIDIA kernel module is loaded")
    if not nvidia.versions:
        return NotApplicable("no driver library is in the folders where they are kept")
    if module.version in nvidia.versions:
        return f"driver {module.version} in the kernel and in user space"
    library = next(one for one in nvidia.libraries if one.version in nvidia.versions)
    evidence = (
        Evidence("file", "/proc/driver/nvidia/version", module.line, says=f"the loaded module is {module.version}"),
        Evidence("file", library.path, library.version, says="the library's version, by its name"),
    )
    values = {"kernel_driver": module.version, "driver": library.version, "library": f"{library.name}.so.1"}
    return Finding("nvidia-driver-library-mismatch", evidence, values)
