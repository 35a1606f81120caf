"""A container that needs NVIDIA GPUs was started with access to them.

Without --gpus, the nvidia runtime or a CDI device, the driver's libcuda.so.1 is not in the container: programs that
link it do not start, those that load it later find no driver or one of version 0. NVIDIA_VISIBLE_DEVICES alone, which
NVIDIA's images set, does nothing.
"""

from doctor.check import NotApplicable, Verdict, check, said_in
from doctor.facts import ContainerFacts, EngineFacts, Unknown
from doctor.finding import Evidence, Finding, Sureness

# What programs say that find no driver: the loader's, CUDA's, PyTorch's and NVIDIA's entrypoint's words.
NO_DRIVER = (
    "libcuda.so.1: cannot open shared object file",
    "CUDA driver version is insufficient for CUDA runtime version",
    "no CUDA-capable device is detected",
    "CUDA_ERROR_NO_DEVICE",
    "No CUDA GPUs are available",
    "Found no NVIDIA driver on your system",
    "The NVIDIA Driver was not detected",
    "CUDA driver is a stub library",
    "libnvidia-ml.so.1: cannot open shared object file",
)


@check("container", needs=["container"], uses=["engine"], faults=["nvidia-gpu-not-requested"])
def container_requests_gpu(container: ContainerFacts, engine: EngineFacts | Unknown) -> Verdict:
    if container.requests_nvidia:
        return "NVIDIA GPUs are requested"
    if container.privileged or any("/dev/nvidia" in device.host for device in container.devices):
        return NotApplicable("device nodes are passed by hand")
    if engine and engine.default_runtime.startswith("nvidia"):
        return "the engine's default runtime gives NVIDIA GPUs"
    evidence = said_in(container, NO_DRIVER)
    visible = container.environment.get("NVIDIA_VISIBLE_DEVICES")
    if not evidence and visible in (None, "", "void", "none"):
        return NotApplicable("neither the container's log nor its environment asks for NVIDIA GPUs")
    runtime = container.runtime or "default"
    configured = f"no device request, runtime {runtime}" + (f", NVIDIA_VISIBLE_DEVICES={visible}" if visible else "")
    place = f"configuration of {container.name}"
    asked = Evidence("engine", place, configured, says="nothing gives it the GPU")
    sure: Sureness = "certain" if evidence else "likely"
    return Finding("nvidia-gpu-not-requested", (asked, *evidence), sure=sure, subject=container.name)
