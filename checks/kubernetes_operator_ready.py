"""The GPU operator's driver, toolkit and validator pods are through."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts.kubernetes import Pod
from doctor.finding import Evidence, Finding


@check("kubernetes", needs=["kubernetes.pods"], faults=["k8s-gpu-operator-validation"])
def kubernetes_operator_ready(pods: tuple[Pod, ...]) -> Verdict:
    own = [pod for pod in pods if pod.is_validator]
    if not own:
        return NotApplicable("no pod of the GPU operator is here")
    failing = [pod for pod in own if not pod.works]
    if not failing:
        return f"{len(own)} pod(s) of the GPU operator are through"
    evidence = tuple(
        Evidence(
            "command", "kubectl get pods", f"{pod.namespace}/{pod.name} {pod.phase} {' '.join(pod.waiting)}".strip()
        )
        for pod in failing[:4]
    )
    reason = f"{failing[0].name} is {failing[0].waiting[0] if failing[0].waiting else failing[0].phase}"
    return Finding("k8s-gpu-operator-validation", evidence, {"reason": reason}, sure="likely")
