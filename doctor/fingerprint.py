"""The fingerprint of a report: equal for the same fault with the same telling values, over weeks and machines.

`1:lib-cudart-missing:9f1c2ab4`: the version of this rule, the fault, and eight hex digits of SHA-256 over the values.
The version changes whenever equal reports would get another fingerprint; the words of entries play no part.
"""

from __future__ import annotations

import hashlib

from doctor.report import Report

VERSION = 1
TELLING = (
    "library", "symbol", "arch", "device", "xid", "module", "required", "supported", "cudnn_built", "cudnn_loaded",
    "glibc", "package", "cuda", "driver", "cuda_driver", "torch", "target", "service",
)  # fmt: skip
"""Values that make a fault another one. Paths, numbers of processes and devices, sizes, addresses and names of
containers differ from machine to machine and are left out, reasons too: they are free text."""


def fingerprint(report: Report) -> str:
    """The fingerprint of the report's diagnosis; without one `1:none` or `1:unknown`."""
    if report.first is None:
        return f"{VERSION}:{'none' if report.examined else 'unknown'}"
    finding = report.first.finding
    quoted = " ".join(item.text for item in finding.evidence).lower()
    # Versions that the log tells in passing, far from the fault, are of the machine and not of the fault.
    values = [
        f"{name}={value}" for name in TELLING if (value := finding.values.get(name, "").lower()) and value in quoted
    ]
    digest = hashlib.sha256("\n".join([finding.fault, *values]).encode()).hexdigest()
    return f"{VERSION}:{finding.fault}:{digest[:8]}"
