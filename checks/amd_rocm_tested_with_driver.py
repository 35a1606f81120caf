"""AMD has tested the ROCm release installed here with this amdgpu driver."""

from doctor.check import NotApplicable, Verdict, check
from doctor.data.rocm import rocm_with_driver
from doctor.facts import AmdFacts
from doctor.finding import Evidence, Finding


@check("amd", needs=["amd"], faults=["amd-rocm-driver-mismatch"])
def amd_rocm_tested_with_driver(amd: AmdFacts) -> Verdict:
    if not amd.release or not amd.rocm or not amd.gpus:
        return NotApplicable("no ROCm release is installed" if not amd.rocm else "amdgpu is not that of AMD's packages")
    tested = {release: rocm_with_driver(release, amd.release) for release in amd.rocm.values()}
    good = [release for release, answer in tested.items() if answer == "yes"]
    if good:
        return f"ROCm {good[0]} is tested with driver release {amd.release}"
    if any(answer == "unknown" for answer in tested.values()):
        return NotApplicable(f"no matrix tells of driver release {amd.release}")
    rocm = next(iter(tested))
    evidence = Evidence("command", "package amdgpu-dkms", amd.release, says=f"not in the matrix of ROCm {rocm}")
    values = {"rocm": rocm, "driver": amd.release}
    return Finding("amd-rocm-driver-mismatch", (evidence,), values, sure="possible", severity="note")
