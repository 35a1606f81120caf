"""Every NVIDIA GPU that the driver has answers to it."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import LimitFacts, NvmlFacts, PciFacts, Unknown
from doctor.finding import Evidence, Finding

LOST = 15  # NVML_ERROR_GPU_IS_LOST
UNKNOWN = 999


@check("driver", needs=["nvml"], uses=["pci", "limits"], faults=["nvidia-gpu-fell-off-bus", "nvidia-xid-hardware"])
def nvidia_every_gpu_answers(nvml: NvmlFacts, pci: PciFacts | Unknown, limits: LimitFacts | Unknown) -> Verdict:
    if nvml.error or nvml.hung:
        return NotApplicable(f"{nvml.way} did not list GPUs")
    silent = [gpu for gpu in nvml.gpus if gpu.error]
    found = []
    for gpu in silent:
        error = gpu.error
        says = error.says if error else ""
        fault = "nvidia-gpu-fell-off-bus" if error and error.code in (LOST, UNKNOWN) else "nvidia-xid-hardware"
        evidence = Evidence("command", nvml.way, f"GPU {gpu.index}: {says}", says="it no longer answers")
        values = {"index": str(gpu.index), **({"pci": gpu.pci} if gpu.pci else {})}
        found.append(
            Finding(
                fault,
                (evidence,),
                values,
                sure="certain" if error and error.code == LOST else "likely",
                subject=gpu.pci,
            )
        )
    bound = [gpu for gpu in pci.nvidia if gpu.driver == "nvidia"] if pci else []
    listed = {gpu.pci for gpu in nvml.gpus}
    missing = [gpu for gpu in bound if gpu.address not in listed and "" not in listed]
    if missing and not (limits and limits.inside) and not silent:
        for device in missing:
            evidence = Evidence(
                "file", f"/sys/bus/pci/devices/{device.address}", device.name, says=f"{nvml.way} does not list it"
            )
            found.append(
                Finding(
                    "nvidia-xid-hardware", (evidence,), {"pci": device.address}, sure="possible", subject=device.address
                )
            )
    return found or f"{len(nvml.answering)} of {len(nvml.gpus)} GPU(s) answer"
