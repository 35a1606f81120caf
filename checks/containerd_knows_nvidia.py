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
    if isinstance(containerd, Broken):
        evidence = Evidence("file", containerd.path, containerd.error, says="containerd refuses to start with it")
        return Finding("container-engine-config-invalid", (evidence,), {"path": containerd.path})
    if not is_node or not nvidia.module:
        return NotApplicable("no Kubernetes node with an NVIDIA driver")
    runtimes = (*(containerd or ()), *(toolkit.crio or ()))
    if containerd is None and toolkit.crio is None:
        return NotApplicable("neither containerd nor CRI-O has a configuration file")
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
