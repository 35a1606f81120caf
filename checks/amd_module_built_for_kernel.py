"""Where amdgpu comes from DKMS, it is built for the running kernel."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ModuleFacts, PciFacts
from doctor.finding import Evidence, Finding, Severity


@check("amd", needs=["pci", "modules"], faults=["amd-driver-build-failed"])
def amd_module_built_for_kernel(pci: PciFacts, modules: ModuleFacts) -> Verdict:
    versions = modules.dkms["amdgpu"]
    if not pci.amd or not versions:
        return NotApplicable("no AMD GPU is on the PCI bus" if not pci.amd else "DKMS has no amdgpu here")
    kernels = modules.dkms_kernels("amdgpu")
    if modules.kernel in kernels:
        return f"amdgpu {', '.join(versions)} is built for kernel {modules.kernel}"
    built = f"built for: {', '.join(kernels) or 'no kernel'}"
    version = next(iter(versions))
    evidence = Evidence(
        "file", f"/var/lib/dkms/amdgpu/{version}", built, says=f"the running kernel is {modules.kernel}"
    )
    # The kernel's own amdgpu steps in where there is one.
    severity: Severity | None = "warning" if modules.loaded and "amdgpu" in modules.loaded else None
    return Finding("amd-driver-build-failed", (evidence,), {"kernel": modules.kernel}, sure="likely", severity=severity)
