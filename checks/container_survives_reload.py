"""A running container with GPUs keeps them when systemd reloads.

The legacy hook adds device rules behind the engine's back; where systemd manages cgroups, `systemctl daemon-reload`
drops them: https://github.com/NVIDIA/nvidia-container-toolkit/issues/48
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts, EngineFacts, Unknown
from doctor.facts.toolkit import Broken, ToolkitConfig
from doctor.finding import Evidence, Finding, Severity, Sureness


@check("container", needs=["container", "engine"], uses=["toolkit.config"], faults=["nvidia-devices-lost-after-reload"])
def container_survives_reload(
    container: ContainerFacts, engine: EngineFacts, config: ToolkitConfig | Broken | Unknown | None
) -> Verdict:
    if not container.requests_nvidia or container.status != "running":
        return NotApplicable("no running container with NVIDIA GPUs was named")
    cdi = any(one.is_cdi for one in container.requests) or (isinstance(config, ToolkitConfig) and config.mode == "cdi")
    named = container.has_device("/dev/nvidiactl")
    if engine.cgroup_driver != "systemd" or cdi or named or container.privileged:
        ways = "CDI" if cdi else "its own device requests" if named else f"cgroup driver {engine.cgroup_driver}"
        return f"the permissions are the engine's own ({ways})"
    said = "NVML: Unknown Error" in container.log
    evidence = [
        Evidence("engine", "docker info", "cgroup driver systemd", says="a reload of systemd takes the GPU away")
    ]
    if said:
        line = next(n for n, text in enumerate(container.log.splitlines(), 1) if "NVML: Unknown Error" in text)
        evidence.append(Evidence("log", f"log of {container.name}", "Failed to initialize NVML: Unknown Error", line))
    sure: Sureness = "likely" if said else "possible"
    severity: Severity | None = None if said else "note"
    return Finding(
        "nvidia-devices-lost-after-reload", tuple(evidence), sure=sure, severity=severity, subject=container.name
    )
