"""The container's image is built for this machine's processor."""

from doctor.check import Verdict, check
from doctor.facts import ContainerFacts, HostFacts, ImageFacts
from doctor.finding import Evidence, Finding


@check("container", needs=["container", "image", "host"], faults=["container-image-platform-mismatch"])
def container_platform(container: ContainerFacts, image: ImageFacts, host: HostFacts) -> Verdict:
    if image.architecture in ("", host.goarch):
        return f"image and host are {host.goarch}"
    evidence = Evidence(
        "engine",
        f"image {container.image}",
        f"architecture {image.architecture}",
        says=f"this machine is {host.goarch}",
    )
    values = {"target": image.architecture, "required": host.goarch}
    return Finding("container-image-platform-mismatch", (evidence,), values, sure="likely", subject=container.name)
