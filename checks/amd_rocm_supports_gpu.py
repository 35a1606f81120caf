"""The ROCm release installed here supports an AMD GPU of this machine.

Unsupported is not the same as not working, so this is a note; the matrices are in doctor/data/rocm_driver.json.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.data.rocm import rocm_support
from doctor.facts import AmdFacts
from doctor.finding import Evidence, Finding


@check("amd", needs=["amd"], faults=["amd-arch-unsupported"])
def amd_rocm_supports_gpu(amd: AmdFacts) -> Verdict:
    targets = [gpu.gfx for gpu in amd.gpus if gpu.gfx]
    if not targets or not amd.rocm:
        return NotApplicable("no ROCm release is installed here" if targets else "ROCm has no GPU here")
    release = max(amd.rocm.values(), key=lambda text: [int(part) for part in text.split(".") if part.isdigit()])
    support = {gfx: rocm_support(gfx, release) for gfx in dict.fromkeys(targets)}
    # One that is supported is enough: an APU beside it is not what one computes on.
    good = [gfx for gfx, one in support.items() if one.status == "supported"]
    if good:
        # Such as an integrated GPU beside a card: a program may pick it.
        others = [gfx for gfx in support if gfx not in good]
        aside = f"; {', '.join(others)} beside it is not listed, and ROCR_VISIBLE_DEVICES can hide it" if others else ""
        return f"ROCm {release} supports {', '.join(good)}{aside}"
    if any(one.status == "unknown" for one in support.values()):
        return NotApplicable("; ".join(one.because for one in support.values()))
    gfx, one = next(iter(support.items()))
    evidence = Evidence("file", f"/opt/rocm-{release}", one.because)
    return Finding(
        "amd-arch-unsupported", (evidence,), {"arch": gfx, "rocm": release}, sure="possible", severity="note"
    )
