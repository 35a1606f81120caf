"""AMD has tested the ROCm release installed here with this amdgpu driver."""

from doctor.check import NotApplicable, Verdict, check
from doctor.data.rocm import rocm_with_driver
from doctor.facts import AmdFacts
from doctor.finding import Evidence, Finding


@check("amd", needs=["amd"], faults=["amd-rocm-driver-mismatch"])
def amd_rocm_tested_with_driver(amd: AmdFacts) -> Verdict:
    if not amd.module_version or not amd.rocm or not amd.gpus:
        return NotApplicable(
            "amdgpu of the kernel's own tree states no version" if amd.rocm else "no ROCm release is installed"
        )
    tested = {release: rocm_with_driver(release, amd.module_version) for release in amd.rocm.values()}
    good = [release for release, answer in tested.items() if answer == "yes"]
    if good:
        return f"ROCm {good[0]} is tested with amdgpu {amd.module_version}"
    if any(answer == "unknown" for answer in tested.values()):
        return NotApplicable(f"no matrix tells of amdgpu {amd.module_version}")
    release = next(iter(tested))
    evidence = Evidence(
        "file", "/sys/module/amdgpu/version", amd.module_version, says=f"not in the matrix of ROCm {release}"
    )
    values = {"rocm": release, "driver": amd.module_version}
    return Finding("amd-rocm-driver-mismatch", (evidence,), values, sure="possible", severity="note")
