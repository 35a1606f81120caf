"""The pods of GPU device plug-ins run."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts.kubernetes import Pod
from doctor.finding import Evidence, Finding


@check("kubernetes", needs=["kubernetes.pods"], faults=["k8s-device-plugin-failed"])
def kubernetes_plugin_pods_work(pods: tuple[Pod, ...]) -> Verdict:
    plugins = [pod for pod in pods if pod.is_plugin]
    if not plugins:
        return NotApplicable("no pod is a GPU device plug-in by its name")
    failing = [pod for pod in plugins if not pod.works]
    if not failing:
        return f"{len(plugins)} device plug-in pod(s) run"
    evidence = tuple(
        Evidence(
            "command", "kubectl get pods", f"{pod.namespace}/{pod.name} {pod.phase} {' '.join(pod.waiting)}".strip()
        )
        for pod in failing[:4]
    )
    values = {"reason": failing[0].waiting[0] if failing[0].waiting else failing[0].phase}
    return Finding("k8s-device-plugin-failed", evidence, values, sure="likely")
