"""The target id of an AMD code object: an ELF file with e_machine 224.

Source: https://llvm.org/docs/AMDGPUUsage.html (ELF header, e_flags, code object versions, target ids) and
LLVM `llvm/include/llvm/BinaryFormat/ELF.h` for processors that clang 22 does not build for yet. The names of
52 processors are held to objects that clang 22 made (tests/binary/fixtures/amd).
"""

from __future__ import annotations

import re

from doctor.binary.elf import ElfFile
from doctor.binary.reader import Damaged

# EF_AMDGPU_MACH (bits 0-7 of e_flags)
PROCESSORS = {
    0x20: "gfx600",
    0x21: "gfx601",
    0x22: "gfx700",
    0x23: "gfx701",
    0x24: "gfx702",
    0x25: "gfx703",
    0x26: "gfx704",
    0x28: "gfx801",
    0x29: "gfx802",
    0x2A: "gfx803",
    0x2B: "gfx810",
    0x2C: "gfx900",
    0x2D: "gfx902",
    0x2E: "gfx904",
    0x2F: "gfx906",
    0x30: "gfx908",
    0x31: "gfx909",
    0x32: "gfx90c",
    0x33: "gfx1010",
    0x34: "gfx1011",
    0x35: "gfx1012",
    0x36: "gfx1030",
    0x37: "gfx1031",
    0x38: "gfx1032",
    0x39: "gfx1033",
    0x3A: "gfx602",
    0x3B: "gfx705",
    0x3C: "gfx805",
    0x3D: "gfx1035",
    0x3E: "gfx1034",
    0x3F: "gfx90a",
    0x40: "gfx940",
    0x41: "gfx1100",
    0x42: "gfx1013",
    0x43: "gfx1150",
    0x44: "gfx1103",
    0x45: "gfx1036",
    0x46: "gfx1101",
    0x47: "gfx1102",
    0x48: "gfx1200",
    0x49: "gfx1250",
    0x4A: "gfx1151",
    0x4B: "gfx941",
    0x4C: "gfx942",
    0x4E: "gfx1201",
    0x4F: "gfx950",
    0x50: "gfx1310",
    0x51: "gfx9-generic",
    0x52: "gfx10-1-generic",
    0x53: "gfx10-3-generic",
    0x54: "gfx11-generic",
    0x55: "gfx1152",
    0x58: "gfx1153",
    0x59: "gfx12-generic",
    0x5A: "gfx1251",
    0x5B: "gfx12-5-generic",
    0x5C: "gfx1172",
    0x5D: "gfx1170",
    0x5E: "gfx1171",
    0x5F: "gfx9-4-generic",
    0x62: "gfx11-7-generic",
    0x63: "gfx13-generic",
}

_V2, _V3 = 0, 1
# From code object version 4 on a feature has two bits: 0 unsupported, 1 any, 2 off, 3 on.
_SIGNS = {0: "", 1: "", 2: "-", 3: "+"}


def code_object_target(elf: ElfFile) -> str:
    """The target id, such as `gfx90a:sramecc+:xnack-`, of a code object.

    A feature that is not named may be on or off in the device. Raises Damaged when the processor is not
    known.
    """
    processor = PROCESSORS.get(elf.flags & 0xFF)
    if elf.abi_version == _V2:
        raise Damaged(48, "an AMD code object of version 2, whose header does not name its processor")
    if processor is None:
        raise Damaged(48, f"AMD processor number 0x{elf.flags & 0xFF:02x} is not known")
    if elf.abi_version == _V3:
        # One bit a feature: on, or off; whether the processor has the feature at all is not said.
        signs = {"sramecc": "+" if elf.flags & 0x200 else "", "xnack": "+" if elf.flags & 0x100 else ""}
    else:
        signs = {"sramecc": _SIGNS[elf.flags >> 10 & 3], "xnack": _SIGNS[elf.flags >> 8 & 3]}
    return processor + "".join([f":{feature}{sign}" for feature, sign in signs.items() if sign])


# Longest first, so that `gfx1100` is not taken for a shorter name. MIOpen appends the number of compute units
# (`gfx90a68`, `gfx1030_36`), so that what follows the processor says nothing about the end of its name.
_IN_NAME = re.compile(
    "("
    + "|".join(sorted(map(re.escape, PROCESSORS.values()), key=lambda name: (-len(name), name)))
    + r")((?:[-:](?:xnack|sramecc)[+-])*)"
)


def target_in_name(name: str) -> str | None:
    """The target id that the name of a kernel library file carries, such as `Kernels.so-000-gfx906-xnack-.hsaco`.

    Source of the forms: file names in https://github.com/ROCm/rocBLAS/issues/1277,
    https://github.com/ROCm/hipBLASLt/pull/1011 and https://github.com/ROCm/TheRock/issues/7976.
    """
    hit = _IN_NAME.search(name)
    if hit is None:
        return None
    features = re.findall(r"(xnack|sramecc)([+-])", hit[2])
    return hit[1] + "".join([f":{feature}{sign}" for feature, sign in sorted(features)])
