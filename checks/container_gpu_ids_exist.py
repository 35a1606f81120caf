"""The NVIDIA GPUs that the container asks for by number or UUID are there."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts, NvmlFacts
from doctor.finding import Evidence, Finding

WORDS = ("all", "none", "void", "")


@check("container", needs=["container", "nvml"], faults=["nvidia-unknown-device-id"])
def container_gpu_ids_exist(container: ContainerFacts, nvml: NvmlFacts) -> Verdict:
    asked = [name for one in container.requests if one.is_gpu and not one.is_cdi for name in one.ids]
    if container.runtime.startswith("nvidia") and not asked:
        asked = (container.environment.get("NVIDIA_VISIBLE_DEVICES") or "").split(",")
    asked = [name for name in asked if name not in WORDS]
    most = max((one.count for one in container.requests if one.is_gpu), default=0)
    if not nvml.gpus or not (asked or most > 0):
        return NotApplicable("no GPU is asked for by number" if nvml.gpus else "the GPUs are not known")
    known = {str(gpu.index) for gpu in nvml.gpus} | {gpu.uuid for gpu in nvml.gpus}
    wrong = [name for name in asked if name not in known and not name.startswith("MIG-") and ":" not in name]
    if not wrong and most <= len(nvml.gpus):
        return f"{', '.join(asked) or most} of {len(nvml.gpus)} GPU(s)"
    evidence = (
        Evidence(
            "engine", f"configuration of {container.name}", f"asks for GPU {wrong[0] if wrong else f'count {most}'}"
        ),
        Evidence("command", nvml.way, f"{len(nvml.gpus)} GPU(s), numbered from 0"),
    )
    values = {"device": wrong[0] if wrong else str(most), "count": str(len(nvml.gpus))}
    return Finding("nvidia-unknown-device-id", evidence, values, subject=container.name)
