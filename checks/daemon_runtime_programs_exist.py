"""The NVIDIA or AMD runtime that daemon.json names is installed."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ToolkitFacts
from doctor.facts.toolkit import Broken, DaemonConfig
from doctor.finding import Evidence, Finding

PROGRAMS = {
    "nvidia-container-runtime": "nvidia-toolkit-not-installed",
    "amd-container-runtime": "amd-container-toolkit",
}


@check("engine", needs=["toolkit.daemon"], uses=["toolkit"], faults=list(PROGRAMS.values()))
def daemon_runtime_programs_exist(daemon: DaemonConfig | Broken | None, toolkit: ToolkitFacts) -> Verdict:
    if not isinstance(daemon, DaemonConfig):
        return NotApplicable("there is no readable daemon.json")
    named = {name: path for name, path in daemon.runtimes.items() if path.split("/")[-1] in PROGRAMS}
    # A bare name is looked up in the engine's PATH; only the usual folder was looked at.
    paths = {name: path if "/" in path else f"/usr/bin/{path}" for name, path in named.items()}
    looked = {name: path for name, path in paths.items() if path in toolkit.programs or path in toolkit.absent}
    if not looked:
        return NotApplicable("daemon.json names no runtime of a GPU toolkit, or it was not looked for")
    missing = [(name, path) for name, path in looked.items() if path not in toolkit.programs]
    if not missing:
        return ", ".join(looked.values())
    name, path = missing[0]
    evidence = (Evidence("file", daemon.path, f"runtime {name}: {named[name]}"), Evidence("file", path, "not there"))
    return Finding(PROGRAMS[path.split("/")[-1]], evidence, {"runtime": name, "path": path}, sure="likely")
