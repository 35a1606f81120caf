"""The target of a bare cubin: an ELF file with e_machine 190.

Toolkits before 13 (EI_ABIVERSION 7) keep the SM number and the `a` in e_flags; 13 (EI_ABIVERSION 8) moved
the number and marks `a` in `.nv.compat`. The `f` of family-specific code stands nowhere but in the options
that ptxas notes down. Source of the fields: LLVM `llvm/include/llvm/BinaryFormat/ELF.h` (EF_CUDA_*), whose
accelerator bit for the new ABI (0x8) nvcc 13.0 does not set; seen right on 77 old and 21 new cubins of known
targets (tests/binary/fixtures/cuda).
"""

from __future__ import annotations

import re

from doctor.binary.elf import ElfFile
from doctor.binary.reader import Damaged, Reader

_OLD_ABI = 7
_OLD_ACCELERATED = 0x800
_FIRST_WITH_SUFFIX = 90  # sm_90 is the oldest with an `a`
# A record of `.nv.compat`: a one-byte value of attribute 9, which is 1 for architecture-specific code.
_COMPAT_ACCELERATED = b"\x02\x09\x01"
_NOTED_ARCHITECTURE = re.compile(rb"-arch[ =]sm_(\d+)([af]?)")


def cubin_target(reader: Reader, elf: ElfFile) -> str:
    """The target, such as `sm_90a`, of the cubin in `reader` whose headers are `elf`. Raises Damaged without one."""
    if elf.abi_version <= _OLD_ABI:
        number = elf.flags & 0xFF
        # CUPTI has cubins for sm_60 with this bit, which cannot mean a suffix there.
        suffix = "a" if number >= _FIRST_WITH_SUFFIX and elf.flags & _OLD_ACCELERATED else ""
    else:
        number = elf.flags >> 8 & 0xFF
        suffix = _suffix(reader, elf, number)
    if number == 0:
        raise Damaged(0, "the cubin names no architecture")
    return f"sm_{number}{suffix}"


def _suffix(reader: Reader, elf: ElfFile, number: int) -> str:
    if number >= _FIRST_WITH_SUFFIX and (elf.unreadable or not elf.sections):
        raise Damaged(0, f"a cubin for sm_{number} whose sections are gone: whether a or f belongs to it is not known")
    for section in elf.sections:
        if section.name == ".nv.compat" and reader.read_at(section.offset, 3) == _COMPAT_ACCELERATED:
            return "a"
    for section in elf.sections:
        if section.name == ".note.nv.tkinfo":
            noted = _NOTED_ARCHITECTURE.search(reader.read_at(section.offset, min(section.size, 65_536)))
            if noted is not None and int(noted[1]) == number:
                return noted[2].decode()
    return ""
