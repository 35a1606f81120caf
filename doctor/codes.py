"""What an error code means, where a text names it: the tables of the vendors' own headers (doctor/data).

They are imported where they are needed: most logs have a diagnosis and need none.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from doctor.data import ErrorCode

NAME = re.compile(
    r"\b(?:cudaError|CUDA_ERROR_|NVML_ERROR_|CUBLAS_STATUS_|CUDNN_STATUS_|nccl[A-Z]|hipError|HSA_STATUS_ERROR_"
    r"|rocblas_status_|miopenStatus)\w+"
)
XID = re.compile(r"\bXid\b(?: \([^)]{1,40}\))?:? (\d{1,3})\b")
GROUPS = {
    "cudaError": "CUDA error", "CUresult": "CUDA driver error", "nvml": "NVML error", "cublas": "cuBLAS status",
    "cudnn": "cuDNN status", "cudnn8": "status of cuDNN 8", "nccl": "NCCL result", "rccl": "RCCL result",
    "hipError": "HIP error", "hsa_status": "HSA status", "rocblas": "rocBLAS status", "miopen": "MIOpen status",
    "xid": "Xid",
}  # fmt: skip


def named(text: str) -> tuple[ErrorCode, ...]:
    """The codes that the text names, by name or as an Xid's number, each name once."""
    names, numbers = NAME.findall(text), {int(number) for number in XID.findall(text)}
    if not (names or numbers):
        return ()
    from doctor.data import error_codes

    rows = [row for name in names for row in _by_name().get(name, ())]
    rows += [row for row in error_codes() if row.group == "xid" and row.code in numbers]
    return tuple({row.name or f"{row.group} {row.code}": row for row in reversed(rows)}.values())[::-1]


@cache
def _by_name() -> dict[str, list[ErrorCode]]:
    from doctor.data import error_codes

    found: dict[str, list[ErrorCode]] = {}
    for row in error_codes():
        found.setdefault(row.name, []).append(row)
    return found


def meaning(row: ErrorCode) -> str:
    """Such as `hipErrorInvalidValue is HIP error 1: invalid argument`."""
    number = f"{GROUPS[row.group]} {row.code}"
    subject = f"{row.name} is {number}" if row.name and row.group != "xid" else number
    told = row.message or (row.name if row.group == "xid" else "")
    return f"{subject}: {told}" if told else subject
