"""ROCR_VISIBLE_DEVICES and HIP_VISIBLE_DEVICES, where they are set, name GPUs that are there.

An empty value hides all. HIP's numbers count those that ROCR left over:
https://rocm.docs.amd.com/en/latest/conceptual/gpu-isolation.html
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import AmdFacts, ContainerFacts, HostFacts, Unknown
from doctor.finding import Evidence, Finding

NAMES = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL")


@check("amd", needs=["host", "amd"], uses=["container"], faults=["amd-no-hip-device", "amd-invalid-device-ordinal"])
def amd_visible_devices_name_gpus(host: HostFacts, amd: AmdFacts, container: ContainerFacts | Unknown) -> Verdict:
    names = container.environment if container else host.environment
    settings = [(name, value) for name in NAMES if (value := names.get(name)) is not None]
    if not settings or not (amd.gpus or amd.kfd):
        return NotApplicable("none of the variables is set" if not settings else "ROCm has no GPU here")
    place = f"environment of {container.name}" if container else "environment"
    subject = container.name if container else ""
    left = len(amd.gpus)
    for name, value in settings:
        evidence = Evidence("environment", place, f"{name}={value}", says=f"{left} GPU(s) are there")
        wanted = [item.strip() for item in value.split(",") if item.strip()]
        if not wanted or wanted[0] == "-1":
            return Finding("amd-no-hip-device", (evidence,), {"reason": f"{name} hides every GPU"}, subject=subject)
        beyond = [item for item in wanted if item.isdigit() and int(item) >= left]
        if beyond and left:
            fault = "amd-no-hip-device" if beyond[0] == wanted[0] else "amd-invalid-device-ordinal"
            return Finding(fault, (evidence,), {"index": beyond[0], "count": str(left)}, sure="likely", subject=subject)
        left = min(left, len(wanted)) if name.startswith("ROCR") else left
    return ", ".join(f"{name}={value}" for name, value in settings)
