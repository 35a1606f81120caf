"""The driver is new enough for the CUDA version that is in the image.

By its files, not its tag: what the framework is built for counts before what the base image brought.
"""

from dataclasses import replace

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts, NvidiaFacts, NvmlFacts, PciFacts, Unknown
from doctor.facts.gpus import nvidia_driver, present
from doctor.facts.image_content import Contents, findings, judge

FAULTS = ("cuda-driver-too-old", "nvidia-cuda-requirement-unsatisfied")


@check("image", needs=["image_content"], uses=["pci", "nvml", "nvidia", "container"], faults=FAULTS)
def image_cuda_fits_driver(
    contents: Contents,
    pci: PciFacts | Unknown,
    nvml: NvmlFacts | Unknown,
    nvidia: NvidiaFacts | Unknown,
    container: ContainerFacts | Unknown,
) -> Verdict:
    driver = nvidia_driver(nvidia, nvml)
    cuda = contents.version("cuda")
    if not driver or not cuda or contents.stack not in ("cuda", "both"):
        return NotApplicable("no NVIDIA driver is seen here, or the image is not for CUDA")
    gpus = [gpu for gpu in present(pci, nvml, Unknown("not asked")) if gpu.vendor == "nvidia"]
    if not gpus:
        return NotApplicable("no NVIDIA GPU of this machine is known by its architecture")
    verdicts = [judge(contents, gpu, driver) for gpu in gpus]
    found = [finding for finding in findings(contents, verdicts, driver) if finding.fault in FAULTS]
    if container:
        # The same subject as what the configuration alone shows, so that both stand together.
        found = [replace(finding, subject=container.name) for finding in found]
    return found or f"CUDA {cuda} with driver {driver}"
