"""Apptainer has its lists of driver files, which --nv and --rocm bring into containers.

https://apptainer.org/docs/user/main/gpu.html
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import AmdFacts, NvidiaFacts, ToolkitFacts, Unknown
from doctor.finding import Evidence, Finding

PROGRAMS = ("/usr/bin/apptainer", "/usr/bin/singularity", "/usr/local/bin/apptainer")


@check("engine", needs=["toolkit"], uses=["nvidia", "amd"], faults=["container-apptainer-gpu-files"])
def apptainer_lists_name_driver_files(
    toolkit: ToolkitFacts, nvidia: NvidiaFacts | Unknown, amd: AmdFacts | Unknown
) -> Verdict:
    if not any(path in toolkit.programs for path in PROGRAMS):
        return NotApplicable("Apptainer is not installed in the usual folders")
    wanted = [("nvliblist.conf", "libcuda.so", "--nv")] if nvidia and nvidia.module else []
    wanted += [("rocmliblist.conf", "libhsa-runtime64.so", "--rocm")] if amd and amd.gpus else []
    if not wanted:
        return NotApplicable("no GPU driver is here")
    for name, library, option in wanted:
        path, names = next(((path, names) for path, names in toolkit.lists.items() if path.endswith(name)), ("", ()))
        if not any(entry.startswith(library) for entry in names):
            told = f"no {library} in it" if path else "not there"
            evidence = Evidence("file", path or f"/etc/apptainer/{name}", told, says=f"{option} brings what it lists")
            return Finding("container-apptainer-gpu-files", (evidence,), {"reason": option}, sure="likely")
    return ", ".join(path for path in toolkit.lists)
