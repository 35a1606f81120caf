"""NVIDIA's management library answers.

What it answers when it fails is the cause: https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html
"""

from doctor.check import Verdict, check
from doctor.facts import LimitFacts, NvidiaFacts, NvmlFacts, Unknown
from doctor.finding import Evidence, Finding, Sureness

# nvmlReturn_t to the fault that it shows, outside and inside a container.
OUTSIDE = {
    4: "nvidia-nvml-permission",
    9: "nvidia-driver-not-loaded",
    12: "nvidia-nvml-library-missing",
    15: "nvidia-gpu-fell-off-bus",
    18: "nvidia-driver-library-mismatch",
}
INSIDE = {
    4: "nvidia-devices-lost-after-reload",
    12: "nvidia-driver-capability-missing",
    999: "nvidia-devices-lost-after-reload",
}


@check(
    "driver",
    needs=["nvml"],
    uses=["limits", "nvidia"],
    faults=[
        *OUTSIDE.values(),
        "nvidia-driver-capability-missing",
        "nvidia-devices-lost-after-reload",
        "nvidia-driver-hangs",
        "cuda-init-unknown-error",
    ],
)
def nvidia_nvml_answers(nvml: NvmlFacts, limits: LimitFacts | Unknown, nvidia: NvidiaFacts | Unknown) -> Verdict:
    if nvml.hung:
        evidence = Evidence("command", nvml.way, nvml.hung, says="the driver does not answer")
        return Finding("nvidia-driver-hangs", (evidence,), {"driver": nvml.driver} if nvml.driver else {})
    if nvml.error is None:
        return f"{nvml.way} answers: driver {nvml.driver}, {len(nvml.gpus)} GPU(s)"
    faults = {**OUTSIDE, **(INSIDE if limits and limits.inside else {})}
    evidence = Evidence("command", nvml.way, nvml.error.says, says=f"error {nvml.error.code}")
    sure: Sureness = "certain" if nvml.error.code in OUTSIDE else "likely"
    values = {"code": str(nvml.error.code)}
    if nvidia and nvidia.module and nvml.error.code == 18:
        values["kernel_driver"] = nvidia.module.version
    return Finding(faults.get(nvml.error.code, "cuda-init-unknown-error"), (evidence,), values, sure=sure)
