"""rocminfo, amd-smi and rocm-smi: which AMD GPUs there are.

https://github.com/ROCm/rocminfo , https://rocm.docs.amd.com/projects/amdsmi/ , https://github.com/ROCm/rocm_smi_lib
"""

from __future__ import annotations

import re

from doctor.bundles.outputs.nvidia import arch_of
from doctor.bundles.pasted import Pasted, pairs, same

SIGNS = (b"Marketing Name: ", b"MARKET_NAME", b"market_name", b"Card Series", b"Card series", b"AMD-SMI ",
         b"AMDSMI Tool")  # fmt: skip
GFX = r"gfx[0-9a-f]{3,4}\b"
AGENT = re.compile(
    rf"^ *Name: +(?P<gfx>{GFX})\S*\s*$(?:\n.*){{0,3}}?\n *Marketing Name: *(?P<name>.*?) *$", re.MULTILINE
)
# amd-smi static and rocm-smi --showproductname, as text and as JSON; rocm-smi's older releases write other capitals.
NAME = re.compile(r"(?:\bMARKET_NAME|\"market_name\"|\bCard [Ss]eries\"?)\s*:\s*\"?(?P<name>[^\"\n]+)")
TARGET = re.compile(rf"(?:TARGET_GRAPHICS_VERSION|\"target_graphics_version\"|GFX Version\"?)\s*:\s*\"?(?P<gfx>{GFX})")
# The table of amd-smi 26 and later; a long name is cut on its left.
ROW = re.compile(r"^ *\| [0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.\d +(?P<name>\S.*?) +\| .* W \|", re.MULTILINE)
RELEASE = re.compile(r"\bROCm version: *(?P<rocm>\d+\.\d+(?:\.\d+)?)")


def agents(text: str, name: str) -> Pasted | None:
    """The GPU that a tool names; where there are several kinds nothing is concluded."""
    found = list(AGENT.finditer(text))
    names, targets = [one["name"] for one in found], [one["gfx"] for one in found]
    if not found:
        names = [one["name"].strip() for one in (*NAME.finditer(text), *ROW.finditer(text))]
        targets = [one["gfx"] for one in TARGET.finditer(text)]
    release = RELEASE.search(text)
    if not names and not targets and not release:
        return None
    device = same(names)
    device = "" if device.startswith("...") else device
    arch = same(targets) if targets else arch_of(device)
    values = pairs(arch=arch, device=device, rocm=release["rocm"] if release else "")
    return Pasted("rocminfo", values=values, circumstances=pairs(vendor="amd") if names or targets else ())
