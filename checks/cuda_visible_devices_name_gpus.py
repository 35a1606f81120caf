"""CUDA_VISIBLE_DEVICES, where it is set, names GPUs that are there.

Empty or -1 hides all; CUDA stops at the first index that does not exist:
https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cuda-environment-variables
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts, HostFacts, NvmlFacts, Unknown
from doctor.finding import Evidence, Finding

NAME = "CUDA_VISIBLE_DEVICES"


@check("cuda", needs=["host"], uses=["container", "nvml"], faults=["cuda-no-device", "cuda-invalid-device-ordinal"])
def cuda_visible_devices_name_gpus(
    host: HostFacts, container: ContainerFacts | Unknown, nvml: NvmlFacts | Unknown
) -> Verdict:
    settings = [("environment", host.environment)]
    if container:
        recorded = {name: value for name, value in container.environment.items() if value is not None}
        settings = [(f"environment of {container.name}", recorded)]
    place, value = next(((place, names[NAME]) for place, names in settings if NAME in names), ("", None))
    if value is None:
        return NotApplicable(f"{NAME} is not set")
    wanted = [item.strip() for item in value.split(",")]
    evidence = Evidence("environment", place, f"{NAME}={value}")
    # A container's GPUs are numbered anew: how many it has shows only where all are asked for.
    count = (
        len(nvml.gpus)
        if nvml and nvml.gpus and (not container or any(one.count == -1 for one in container.requests))
        else None
    )
    if wanted[0] in ("", "-1", "NoDevFiles"):
        return Finding("cuda-no-device", (evidence,), subject=container.name if container else "", sure="likely")
    beyond = [item for item in wanted if item.isdigit() and count is not None and int(item) >= count]
    if beyond:
        values = {"index": beyond[0], "count": str(count)}
        fault = "cuda-no-device" if wanted[0] == beyond[0] else "cuda-invalid-device-ordinal"
        return Finding(fault, (evidence,), values, subject=container.name if container else "", sure="likely")
    return f"{NAME}={value}" + (f" of {count} GPU(s)" if count is not None else "")
