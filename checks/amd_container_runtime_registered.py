"""The AMD runtime that the container asks for is one that the engine knows."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts, EngineFacts
from doctor.finding import Evidence, Finding


@check("engine", needs=["container", "engine"], faults=["amd-container-toolkit"])
def amd_container_runtime_registered(container: ContainerFacts, engine: EngineFacts) -> Verdict:
    visible = container.environment.get("AMD_VISIBLE_DEVICES")
    if container.runtime != "amd" and not visible:
        return NotApplicable("the container does not ask for AMD's runtime")
    if container.runtime == "amd" and ("amd" in engine.runtimes or engine.kind == "podman"):
        return "runtime amd is registered"
    if engine.default_runtime == "amd" or container.has_device("/dev/kfd"):
        return "its default runtime, or its own devices, give AMD GPUs"
    told = f"runtime {container.runtime or 'default'}" + (f", AMD_VISIBLE_DEVICES={visible}" if visible else "")
    evidence = (
        Evidence("engine", f"configuration of {container.name}", told),
        Evidence("engine", "docker info", f"Runtimes: {', '.join(engine.runtimes)}"),
    )
    return Finding("amd-container-toolkit", evidence, {"runtime": "amd"}, sure="likely", subject=container.name)
