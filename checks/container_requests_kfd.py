"""A container that needs AMD GPUs was started with access to them.

ROCm reaches a GPU through /dev/kfd and the render nodes alone; an image cannot hold them:
https://rocm.docs.amd.com/projects/install-on-linux/en/latest/how-to/docker.html
"""

from doctor.check import NotApplicable, Verdict, check, said_in
from doctor.facts import ContainerFacts, ImageFacts
from doctor.finding import Evidence, Finding, Sureness

# What programs say that find no AMD GPU: PyTorch's, HIP's and rocminfo's words.
NO_GPU = ("No HIP GPUs are available", "hipErrorNoDevice", "no ROCm-capable device is detected", "/dev/kfd")


@check("container", needs=["container", "image"], faults=["amd-kfd-missing"])
def container_requests_kfd(container: ContainerFacts, image: ImageFacts) -> Verdict:
    if container.requests_amd:
        return "AMD GPUs are requested"
    by_hand = container.privileged or container.binds_device("/dev/kfd")
    if by_hand or container.requests_nvidia or "AMD_VISIBLE_DEVICES" in container.environment:
        return NotApplicable("it asks in another way, or for another vendor's GPU")
    stack, sign = image.stack
    if stack != "rocm":
        return NotApplicable("its image is not known to be one for ROCm")
    said = said_in(container, NO_GPU)
    if not said and container.exit_code == 0:
        return NotApplicable("nothing shows that it needed one: it ended well, or runs")
    asked = Evidence(
        "engine", f"configuration of {container.name}", "no /dev/kfd", says=f"the image is for ROCm ({sign})"
    )
    sure: Sureness = "certain" if said else "likely"
    return Finding("amd-kfd-missing", (asked, *said), {"path": "/dev/kfd"}, sure, subject=container.name)
