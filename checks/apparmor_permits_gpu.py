"""AppArmor refuses no program the GPU's files."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import KernelFacts
from doctor.finding import Evidence, Finding


@check("engine", needs=["limits.apparmor", "kernel"], faults=["nvidia-hook-mount-failed", "amd-kfd-permission"])
def apparmor_permits_gpu(apparmor: bool, kernel: KernelFacts) -> Verdict:
    denied = kernel.of("apparmor")
    if not apparmor and not denied:
        return NotApplicable("AppArmor is not on")
    if not denied:
        return "AppArmor is on; the kernel log has no refused GPU access"
    event = denied[-1]
    amd = event.values["name"].startswith(("/dev/kfd", "/dev/dri"))
    evidence = Evidence("kernel", f"kernel log ({kernel.source})", event.text, event.line, says="AppArmor refused it")
    values = {"reason": "AppArmor refused it", "path": event.values["name"]}
    return Finding("amd-kfd-permission" if amd else "nvidia-hook-mount-failed", (evidence,), values, sure="likely")
