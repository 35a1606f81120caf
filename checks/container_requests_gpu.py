"""A container whose environment speaks of NVIDIA GPUs was started with access to them.

NVIDIA's images set NVIDIA_VISIBLE_DEVICES; without --gpus, the nvidia runtime or a CDI device nothing acts on it, and
libcuda.so.1 is not there.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts, EngineFacts, Unknown
from doctor.finding import Evidence, Finding


@check("container", needs=["container"], uses=["engine"], faults=["nvidia-gpu-not-requested"])
def container_requests_gpu(container: ContainerFacts, engine: EngineFacts | Unknown) -> Verdict:
    visible = container.environment.get("NVIDIA_VISIBLE_DEVICES")
    if container.requests_nvidia:
        return "NVIDIA GPUs are requested"
    if visible in (None, "", "void", "none"):
        return NotApplicable("neither the container nor its image asks for NVIDIA GPUs")
    if container.privileged or any("/dev/nvidia" in device.host for device in container.devices):
        return NotApplicable("device nodes are passed by hand")
    if engine and engine.default_runtime.startswith("nvidia"):
        return "the engine's default runtime gives NVIDIA GPUs"
    configured = f"NVIDIA_VISIBLE_DEVICES={visible}, runtime {container.runtime or 'default'}, no device request"
    evidence = Evidence("engine", f"configuration of {container.name}", configured, says="nothing acts on the variable")
    return Finding("nvidia-gpu-not-requested", (evidence,), sure="likely", subject=container.name)
