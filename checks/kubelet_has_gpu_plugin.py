"""A GPU device plug-in is registered with the kubelet of this node."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import AmdFacts, NvidiaFacts, Unknown
from doctor.finding import Evidence, Finding

FOLDER = "/var/lib/kubelet/device-plugins"


@check("kubernetes", needs=["kubernetes.plugins"], uses=["nvidia", "amd"], faults=["k8s-device-plugin-failed"])
def kubelet_has_gpu_plugin(plugins: tuple[str, ...], nvidia: NvidiaFacts | Unknown, amd: AmdFacts | Unknown) -> Verdict:
    gpu = bool(nvidia and nvidia.module) or bool(amd and amd.gpus)
    if not gpu or "kubelet.sock" not in plugins:
        return NotApplicable("no kubelet with a GPU driver is here")
    sockets = [name for name in plugins if "nvidia" in name or "amd" in name or "gpu" in name.lower()]
    if sockets:
        return f"{FOLDER}: {', '.join(sockets)}"
    evidence = Evidence("file", FOLDER, ", ".join(plugins), says="no GPU device plug-in has registered")
    return Finding(
        "k8s-device-plugin-failed", (evidence,), {"reason": "none has registered with the kubelet"}, sure="likely"
    )
