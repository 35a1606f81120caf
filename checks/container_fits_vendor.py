"""The container asks for the GPUs of the vendor that this host has.

Decided only where the host shows device nodes of the one vendor and none of the other.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts, DeviceFacts
from doctor.finding import Evidence, Finding


@check("container", needs=["container", "devices"], faults=["framework-wrong-vendor"])
def container_fits_vendor(container: ContainerFacts, devices: DeviceFacts) -> Verdict:
    has_nvidia, has_amd = bool(devices.nvidia), devices.kfd is not None
    if has_nvidia == has_amd:
        return NotApplicable(
            "the host has GPU device nodes of both vendors" if has_amd else "the host has no GPU device nodes"
        )
    if has_amd and container.requests_nvidia and not container.requests_amd:
        asked, there = "NVIDIA", "AMD (/dev/kfd)"
    elif has_nvidia and container.requests_amd and not container.requests_nvidia:
        asked, there = "AMD", f"NVIDIA ({devices.nvidia[0]})"
    else:
        return "the container asks for the host's own GPUs"
    evidence = Evidence(
        "engine",
        f"configuration of {container.name}",
        f"asks for {asked} GPUs",
        says=f"the host's device nodes are of {there}",
    )
    return Finding(
        "framework-wrong-vendor",
        (evidence,),
        {"vendor": asked, "device": there},
        sure="likely",
        subject=container.name,
    )
