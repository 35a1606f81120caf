"""Values that follow from a finding's values: what a SONAME belongs to, what a target is called."""

from __future__ import annotations

import re
from dataclasses import replace

from doctor.finding import Finding


def derive(finding: Finding) -> Finding:
    """The finding with the values that follow from those it has. Nothing that is there is changed."""
    values: dict[str, str] = {}
    if library := finding.values.get("library"):
        values.update(of_library(library))
    if arch := finding.values.get("arch"):
        values.update(of_arch(arch))
    return replace(finding, values={**values, **finding.values}) if values else finding


def of_library(soname: str) -> dict[str, str]:
    """Stem and major version of a SONAME: libcudart.so.12 is major 12 of libcudart."""
    found = re.match(r"(lib[\w+.-]*?)\.so(?:\.(\d+))?", soname)
    if not found:
        return {}
    values = {"library_stem": found.group(1)}
    if found.group(2):
        values["soname_major"] = found.group(2)
    return values


def of_arch(arch: str) -> dict[str, str]:
    """The compute capability of an sm target: sm_120 is 12.0."""
    found = re.fullmatch(r"(?:sm|compute)_(\d+)(\d)[af]?", arch)
    return {"compute_capability": f"{found.group(1)}.{found.group(2)}"} if found else {}
