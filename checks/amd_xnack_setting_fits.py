"""HSA_XNACK=1, where it is set, is something that every GPU here can do.

It asks for retry after page faults, so that managed memory can move; one GPU that cannot do it turns it off for the
whole process: kfd_process_xnack_mode() in drivers/gpu/drm/amd/amdkfd/kfd_process.c of Linux. What noretry decides:
https://docs.kernel.org/gpu/amdgpu/module-parameters.html
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import AmdFacts, ContainerFacts, HostFacts, Unknown
from doctor.finding import Evidence, Finding

PER_PROCESS = ("gfx90a", "gfx942", "gfx950")
"""Targets on which each process chooses: KFD_SUPPORT_XNACK_PER_PROCESS in amdkfd/kfd_priv.h of Linux."""


@check("amd", needs=["host", "amd"], uses=["container"], faults=["amd-xnack-unavailable"])
def amd_xnack_setting_fits(host: HostFacts, amd: AmdFacts, container: ContainerFacts | Unknown) -> Verdict:
    value = (container.environment if container else host.environment).get("HSA_XNACK")
    targets = list(dict.fromkeys(gpu.gfx for gpu in amd.gpus if gpu.gfx))
    if value != "1" or not targets:
        return NotApplicable("HSA_XNACK is not set to 1" if value != "1" else "ROCm has no GPU here")
    unable = [gfx for gfx in targets if not _able(gfx, amd.noretry)]
    if not unable:
        return f"HSA_XNACK=1 on {', '.join(targets)}"
    place = f"environment of {container.name}" if container else "environment"
    says = "retry is off in the driver (amdgpu.noretry)" if unable[0].startswith("gfx9") else "it has no retry at all"
    evidence = (
        Evidence("environment", place, "HSA_XNACK=1"),
        Evidence("file", "/sys/class/kfd/kfd/topology/nodes", unable[0], says=says),
    )
    subject = container.name if container else ""
    return Finding("amd-xnack-unavailable", evidence, {"arch": unable[0]}, sure="likely", subject=subject)


def _able(gfx: str, noretry: int | None) -> bool:
    """Older gfx9 has the mode that the driver was loaded with; gfx10 and later have none."""
    return gfx in PER_PROCESS or (gfx.startswith("gfx9") and noretry == 0)
