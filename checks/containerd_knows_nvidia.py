"""containerd or CRI-O on a Kubernetes node with NVIDIA GPUs knows the runtime nvidia, or hands GPUs out by CDI."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import NvidiaFacts, ToolkitFacts
from doctor.facts.toolkit import Broken
from doctor.finding import Evidence, Finding


@check(
    "kubernetes",
    needs=["toolkit.containerd", "kubernetes.is_node", "nvidia"],
    uses=["toolkit"],
    faults=["k8s-runtime-handler-missing", "container-engine-config-invalid"],
)
def containerd_knows_nvidia(
    containerd: tuple[str, ...] | Broken | None, is_node: bool, nvidia: NvidiaFacts, toolkit: ToolkitFacts
) -> Verdict:
    for program, config in (("containerd", containerd), ("CRI-O", toolkit.crio)):
        if isinstance(config, Broken):
            evidence = Evidence("file", config.path, config.error, says=f"{program} refuses to start with it")
            return Finding("container-engine-config-invalid", (evidence,), {"path": config.path})
    if not is_node or not nvidia.module:
        return NotApplicable("no Kubernetes node with an NVIDIA driver")
    configs = [config for config in (containerd, toolkit.crio) if isinstance(config, tuple)]
    if not configs:
        return NotApplicable("neither containerd nor CRI-O has a configuration file that could be read")
    runtimes = [name for config in configs for name in config]
    if any(name.startswith("nvidia") for name in runtimes):
        return f"runtimes {', '.join(runtimes)}"
    if toolkit.names:
        return "no runtime nvidia, and the GPUs are described by CDI"
    evidence = Evidence(
        "file",
        "containerd's configuration" if containerd is not None else "CRI-O's configuration",
        f"runtimes: {', '.join(runtimes) or 'none'}",
        says="no nvidia among them",
    )
    return Finding("k8s-runtime-handler-missing", (evidence,), {"runtime": "nvidia"}, sure="likely")
