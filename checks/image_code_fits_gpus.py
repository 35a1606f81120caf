"""The image has code for this machine's GPUs.

The framework's own libraries decide; the finding names the file, what it carries and what the device needs.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import AmdFacts, NvmlFacts, PciFacts, Unknown
from doctor.facts.gpus import present
from doctor.facts.image_content import Contents, findings, judge

FAULTS = (
    "cuda-no-kernel-image",
    "amd-no-kernel-image",
    "amd-tensile-library-missing",
    "framework-wrong-vendor",
    "framework-cpu-only-build",
)


@check("image", needs=["image_content"], uses=["pci", "nvml", "amd"], faults=FAULTS)
def image_code_fits_gpus(
    contents: Contents, pci: PciFacts | Unknown, nvml: NvmlFacts | Unknown, amd: AmdFacts | Unknown
) -> Verdict:
    gpus = present(pci, nvml, amd)
    if not gpus:
        return NotApplicable("no GPU of this machine is known by its architecture")
    verdicts = [judge(contents, gpu) for gpu in gpus]
    found = [finding for finding in findings(contents, verdicts) if finding.fault in FAULTS]
    # On a machine with GPUs of both vendors an image is for one of them.
    if len({gpu.vendor for gpu in gpus}) > 1:
        found = [finding for finding in found if finding.fault != "framework-wrong-vendor"]
    if found:
        return found
    return "; ".join(f"{verdict.gpu.name}: {verdict.runs}" for verdict in verdicts)
