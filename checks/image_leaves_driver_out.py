"""The image holds no driver files and no stubs that would take the place of the driver's own.

The driver belongs to the host; the container toolkit brings its files in when a container starts.
"""

from doctor.check import Verdict, check
from doctor.facts.image_content import Contents, findings

FAULTS = ("nvidia-hook-mount-conflict", "cuda-compat-library-conflict")


@check("image", needs=["image_content"], faults=FAULTS)
def image_leaves_driver_out(contents: Contents) -> Verdict:
    found = [finding for finding in findings(contents, ()) if finding.fault in FAULTS]
    return found or "no driver files and no stubs in the loader's way"
