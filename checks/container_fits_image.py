"""The container asks for the GPUs that its image is built for.

CUDA images set CUDA_VERSION or NVIDIA_REQUIRE_CUDA, ROCm images ROCM_PATH, PYTORCH_ROCM_ARCH or their like. An image
that sets both, or neither, is not judged by its environment.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts, ImageFacts
from doctor.finding import Evidence, Finding


@check("container", needs=["container", "image"], faults=["framework-wrong-vendor"])
def container_fits_image(container: ContainerFacts, image: ImageFacts) -> Verdict:
    stack, sign = image.stack
    if stack is None:
        return NotApplicable("the image's environment does not tell whether it is for CUDA or ROCm")
    asks_nvidia, asks_amd = container.requests_nvidia, container.requests_amd
    if stack == "cuda" and asks_amd and not asks_nvidia:
        built, asked = "NVIDIA (CUDA)", "AMD (/dev/kfd)"
    elif stack == "rocm" and asks_nvidia and not asks_amd:
        built, asked = "AMD (ROCm)", "NVIDIA (--gpus, runtime or CDI)"
    else:
        return f"image for {stack}, asked for as such"
    evidence = (
        Evidence("engine", f"image {container.image}", sign, says=f"the image is built for {built}"),
        Evidence("engine", f"configuration of {container.name}", f"asks for GPUs of {asked}"),
    )
    return Finding("framework-wrong-vendor", evidence, {"built": built, "asked": asked}, subject=container.name)
