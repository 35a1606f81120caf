"""The host's NVIDIA driver runs the CUDA version that the container's image is built for.

By CUDA_VERSION of the image, or NVIDIA_REQUIRE_CUDA, which the toolkit enforces:
https://docs.nvidia.com/deploy/cuda-compatibility/
"""

import re

from doctor.check import NotApplicable, Verdict, check
from doctor.data.cuda import cuda_for_driver, driver_supports_cuda, minimum_driver
from doctor.facts import ContainerFacts, ImageFacts, NvidiaFacts, NvmlFacts, Unknown
from doctor.finding import Evidence, Finding, Sureness


@check("cuda", needs=["container", "image", "nvidia"], uses=["nvml"], faults=["cuda-driver-too-old"])
def container_cuda_fits_driver(
    container: ContainerFacts, image: ImageFacts, nvidia: NvidiaFacts, nvml: NvmlFacts | Unknown
) -> Verdict:
    said = image.environment.get("CUDA_VERSION") or ""
    required = re.search(r"cuda>=(\d+\.\d+)", image.environment.get("NVIDIA_REQUIRE_CUDA") or "")
    cuda = said or (required.group(1) if required else "")
    driver = nvidia.driver or (nvml.driver if nvml else "")
    if not cuda or not driver:
        return NotApplicable("the image names no CUDA version" if not cuda else "the driver's version is not known")
    short = ".".join(cuda.split(".")[:2])
    support = driver_supports_cuda(driver, short)
    if support in ("yes", "minor-compat"):
        return f"driver {driver} runs CUDA {short}" + (" by minor-version compatibility" if support != "yes" else "")
    if support == "unknown":
        return NotApplicable(f"whether driver {driver} runs CUDA {short} is not in the tables")
    least = minimum_driver(short)
    offers = (nvml.cuda if nvml else "") or cuda_for_driver(driver) or ""
    evidence = (
        Evidence("engine", f"image {container.image}", f"CUDA {cuda}"),
        Evidence(
            "file", "/proc/driver/nvidia/version", driver, says=f"it offers CUDA {offers}" if offers else "the driver"
        ),
    )
    values = {"cuda": short, "driver": driver, "image": container.image}
    values |= ({"required": least.starts} if least else {}) | ({"cuda_driver": offers} if offers else {})
    # Data-centre GPUs run it with the image's cuda-compat package.
    sure: Sureness = "likely" if support == "forward-compat-needed" else "certain"
    return Finding("cuda-driver-too-old", evidence, values, sure=sure, subject=container.name)
