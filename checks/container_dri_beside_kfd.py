"""A container that gets /dev/kfd gets /dev/dri as well.

ROCm opens the compute interface and each GPU's render node.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts
from doctor.finding import Evidence, Finding, Severity


@check("container", needs=["container"], faults=["amd-dri-missing", "amd-kfd-missing"])
def container_dri_beside_kfd(container: ContainerFacts) -> Verdict:
    kfd = container.has_device("/dev/kfd") or container.binds_device("/dev/kfd")
    dri = any(device.host.startswith("/dev/dri") for device in container.devices) or container.binds_device("/dev/dri")
    if container.privileged or not (kfd or dri) or container.runtime == "amd":
        return NotApplicable("no AMD device node is passed by hand")
    if kfd and dri:
        return "/dev/kfd and /dev/dri are passed"
    passed, missing, fault = (
        ("/dev/kfd", "/dev/dri", "amd-dri-missing") if kfd else ("/dev/dri", "/dev/kfd", "amd-kfd-missing")
    )
    evidence = Evidence("engine", f"configuration of {container.name}", f"--device={passed}", says=f"no {missing}")
    # /dev/dri alone is enough for graphics and video of any vendor.
    severity: Severity | None = None if kfd else "note"
    return Finding(
        fault,
        (evidence,),
        {"path": missing},
        sure="likely" if kfd else "possible",
        severity=severity,
        subject=container.name,
    )
