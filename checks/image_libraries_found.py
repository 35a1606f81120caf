"""The image has the libraries that its GPU programs need, where the loader finds them.

What the driver brings into a container is not missing from an image.
"""

from doctor.check import Verdict, check
from doctor.facts.image_content import Contents, findings

FAULTS = (
    "lib-cudart-missing",
    "lib-cuda-math-missing",
    "lib-cudnn-missing",
    "lib-nccl-missing",
    "lib-tensorrt-missing",
    "lib-rocm-missing",
    "lib-system-missing",
    "lib-glibc-too-old",
    "lib-libstdcxx-too-old",
    "lib-cuda-version-node-missing",
)


@check("image", needs=["image_content"], faults=FAULTS)
def image_libraries_found(contents: Contents) -> Verdict:
    found = [finding for finding in findings(contents, ()) if finding.fault in FAULTS]
    return found or f"{sum(one.found is not None for one in contents.libraries)} GPU libraries found"
