"""The container's NVIDIA_DRIVER_CAPABILITIES include what a CUDA program needs: compute, and utility for nvidia-smi."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts
from doctor.finding import Evidence, Finding, Severity

NAME = "NVIDIA_DRIVER_CAPABILITIES"


@check("container", needs=["container"], faults=["nvidia-driver-capability-missing"])
def container_driver_capabilities(container: ContainerFacts) -> Verdict:
    value = container.environment.get(NAME)
    cdi = any(one.is_cdi for one in container.requests)
    if not value or cdi or not container.requests_nvidia:
        return NotApplicable("NVIDIA_DRIVER_CAPABILITIES does not decide here")
    # --gpus 'all,capabilities=…' asks on top of the variable.
    more = {name for one in container.requests for group in one.capabilities for name in group}
    given = {*value.split(","), *more}
    if "all" in given or {"compute", "utility"} <= given:
        return f"{NAME}={value}"
    missing = "compute" if "compute" not in given else "utility"
    library = "libcuda.so.1" if missing == "compute" else "libnvidia-ml.so.1"
    evidence = Evidence("engine", f"configuration of {container.name}", f"{NAME}={value}", says=f"no {missing}")
    severity: Severity | None = None if missing == "compute" else "note"
    return Finding(
        "nvidia-driver-capability-missing",
        (evidence,),
        {"library": library},
        sure="likely",
        severity=severity,
        subject=container.name,
    )
