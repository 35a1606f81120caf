"""SELinux refuses containers no GPU device.

The boolean container_use_devices lets confined containers use those they were given.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import KernelFacts, LimitFacts
from doctor.finding import Evidence, Finding


@check("engine", needs=["limits", "kernel"], faults=["amd-kfd-permission", "nvidia-hook-mount-failed"])
def selinux_permits_gpu(limits: LimitFacts, kernel: KernelFacts) -> Verdict:
    if not limits.selinux:
        return NotApplicable("SELinux does not enforce here")
    denied = kernel.of("selinux")
    if not denied:
        return f"SELinux enforces{_boolean(limits)}; the kernel log has no refused GPU access"
    event = denied[-1]
    evidence = Evidence(
        "kernel", f"kernel log ({kernel.source})", event.text, event.line, says=f"SELinux refused it{_boolean(limits)}"
    )
    amd = event.values["name"].startswith(("kfd", "render", "card", "dri"))
    values = {"reason": "SELinux refused it", "path": event.values["name"]}
    return Finding("amd-kfd-permission" if amd else "nvidia-hook-mount-failed", (evidence,), values, sure="likely")


def _boolean(limits: LimitFacts) -> str:
    if not isinstance(limits.selinux_devices, bool):
        return ""
    return f", and container_use_devices is {'on' if limits.selinux_devices else 'off'}"
