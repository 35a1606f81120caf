"""Where a node's containerd has the runtime nvidia beside its default one, the cluster has a RuntimeClass for it."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ToolkitFacts, Unknown
from doctor.finding import Evidence, Finding


@check("kubernetes", needs=["kubernetes.runtime_classes"], uses=["toolkit"], faults=["k8s-runtime-handler-missing"])
def kubernetes_runtime_class_exists(classes: dict[str, str], toolkit: ToolkitFacts | Unknown) -> Verdict:
    containerd = toolkit.containerd if toolkit and isinstance(toolkit.containerd, tuple) else ()
    handlers = [name for name in containerd if name.startswith("nvidia")]
    if not handlers:
        return NotApplicable("containerd here has no runtime nvidia")
    if any(handler in classes.values() for handler in handlers):
        return f"RuntimeClass {next(name for name, handler in classes.items() if handler in handlers)}"
    evidence = (
        Evidence("command", "kubectl get runtimeclasses", ", ".join(classes) or "none"),
        Evidence("file", "containerd's configuration", f"runtimes: {', '.join(containerd)}"),
    )
    return Finding(
        "k8s-runtime-handler-missing", evidence, {"runtime": handlers[0]}, sure="possible", severity="warning"
    )
