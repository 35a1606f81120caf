"""rocminfo, amd-smi and rocm-smi: which AMD GPUs there are.

https://github.com/ROCm/rocminfo , https://rocm.docs.amd.com/projects/amdsmi/ , https://github.com/ROCm/rocm_smi_lib
"""

from __future__ import annotations

import re

from doctor.bundles.pasted import Pasted, pairs

AGENT = re.compile(
    r"^ *Name: +(?P<gfx>gfx[0-9a-f]{3,4})\s*$(?:\n.*){0,3}?\n *Marketing Name: *(?P<name>.*?) *$", re.MULTILINE
)
AMD_SMI = re.compile(r"MARKET_NAME: *(?P<name>.+)")
AMD_SMI_TARGET = re.compile(r"TARGET_GRAPHICS_VERSION: *(?P<gfx>gfx[0-9a-f]{3,4})")
ROCM_SMI = re.compile(r"GPU\[(?P<index>\d+)\]\s*: *Card [Ss]eries: *\t*(?P<name>.+)")
ROCM_SMI_TARGET = re.compile(r"GPU\[\d+\]\s*: *GFX Version: *\t*(?P<gfx>gfx[0-9a-f]{3,4})")


def agents(text: str, name: str) -> Pasted | None:
    """The first GPU that any of the tools names."""
    agent = AGENT.search(text)
    if agent:
        return Pasted("rocminfo", values=pairs(arch=agent["gfx"], device=agent["name"]))
    for tool, named, target in (("amd-smi", AMD_SMI, AMD_SMI_TARGET), ("rocm-smi", ROCM_SMI, ROCM_SMI_TARGET)):
        found, gfx = named.search(text), target.search(text)
        if found or gfx:
            device = found["name"].strip() if found else ""
            return Pasted(tool, values=pairs(arch=gfx["gfx"] if gfx else "", device=device))
    return None
