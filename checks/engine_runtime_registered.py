"""The runtime that the container asks for is one that the engine knows."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts, EngineFacts
from doctor.finding import Evidence, Finding


@check("engine", needs=["container", "engine"], faults=["nvidia-runtime-not-registered"])
def engine_runtime_registered(container: ContainerFacts, engine: EngineFacts) -> Verdict:
    if not container.runtime.startswith("nvidia"):
        return NotApplicable("the container asks for no GPU runtime")
    if container.runtime in engine.runtimes or engine.kind == "podman":
        return f"runtime {container.runtime} is registered"
    known = ", ".join(engine.runtimes)
    evidence = Evidence("engine", "docker info", f"Runtimes: {known}", says=f"no {container.runtime} among them")
    return Finding("nvidia-runtime-not-registered", (evidence,), {"runtime": container.runtime}, subject=container.name)
