"""Compatibility facts: GPUs, CUDA and ROCm support, drivers, framework builds, SONAMEs, error codes.

Each `*.json` file here holds the day its facts were checked, the addresses of its sources under short
keys, and tables with one row a line. A row names its sources by those keys; the loaders put the addresses in
their place. A row marked `unverified` is a lead: rules that rest on it alone answer "unknown".

Every loader reads one file, once, when it is first called. Tuples come back in file order.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class NvidiaGpu:
    """A board. `names` are those a person or the driver calls it by; empty for internal code names."""

    product: str
    chip: str
    compute_capability: str
    architecture: str
    sources: tuple[str, ...]
    names: tuple[str, ...] = ()
    pci_ids: tuple[str, ...] = ()
    unverified: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class AmdGpu:
    """A board or processor graphics, with the LLVM target it is compiled for."""

    product: str
    gfx: str
    architecture: str
    sources: tuple[str, ...]
    names: tuple[str, ...] = ()
    codename: str = ""
    pci_ids: tuple[str, ...] = ()
    unverified: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class AmdTarget:
    """An LLVM target. `official_from` to `official_to` are the ROCm releases whose matrix lists it on Linux.

    `kfd_version` is `gfx_target_version` of the kernel's topology. `unsure` are releases that were not read.
    """

    gfx: str
    kfd_version: int
    sources: tuple[str, ...]
    official_from: str = ""
    official_to: str = ""
    unsure: tuple[str, ...] = ()
    therock_ready: bool = False
    unverified: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class GenericTarget:
    """A generic LLVM target such as gfx11-generic, and the processors that run its code."""

    generic: str
    members: tuple[str, ...]
    sources: tuple[str, ...]
    unverified: bool = False


@dataclass(frozen=True, slots=True)
class FeatureMode:
    """The mode (`+` or `-`) of a target feature when nothing was set; `switchable` by HSA_XNACK."""

    gfx: str
    feature: str
    default: str
    sources: tuple[str, ...]
    switchable: bool = False


@dataclass(frozen=True, slots=True)
class Override:
    """A value of HSA_OVERRIDE_GFX_VERSION that makes `gfx` load code of `runs_as`. Never supported by AMD."""

    gfx: str
    value: str
    runs_as: str
    sources: tuple[str, ...]
    unverified: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A sentence that the rules of `doctor.arch` and its neighbours rest on."""

    id: str
    says: str
    sources: tuple[str, ...]
    unverified: bool = False


@dataclass(frozen=True, slots=True)
class CudaToolkit:
    """A toolkit and the targets its ptxas writes ("86", "90a", "100f"). `max_ptx` is its PTX ISA version."""

    cuda: str
    targets: tuple[str, ...]
    max_ptx: str
    sources: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class PtxIsa:
    """The first CUDA version that reads a PTX ISA version."""

    ptx: str
    cuda: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Family:
    """Compute capabilities that run the family-specific code of a target (suffix f); `unsure` ones may."""

    target: str
    members: tuple[str, ...]
    sources: tuple[str, ...]
    unsure: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Integrated:
    """A compute capability of a GPU on a system chip, to which the rule of equal majors does not apply."""

    compute_capability: str
    device: str
    sources: tuple[str, ...]
    unverified: bool = False


@dataclass(frozen=True, slots=True)
class ToolkitDriver:
    """Linux drivers of a CUDA release: `starts` is the oldest that runs it, `full` the one made for it."""

    cuda: str
    starts: str
    sources: tuple[str, ...]
    full: str = ""
    unverified: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class DriverBranch:
    """A driver branch (550 of 550.54.15) and the newest CUDA version it supports."""

    branch: int
    max_cuda: str
    sources: tuple[str, ...]
    unverified: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class BranchLife:
    """What kind a branch is and the month (YYYY-MM) its support ends or ended; empty where not stated."""

    branch: int
    kind: str
    sources: tuple[str, ...]
    ends: str = ""


@dataclass(frozen=True, slots=True)
class ArchitectureDriver:
    """The last branch for an architecture (0: still supported); whether it takes the open kernel modules."""

    architecture: str
    compute_capabilities: tuple[str, ...]
    open_modules: str
    sources: tuple[str, ...]
    last_branch: int = 0


@dataclass(frozen=True, slots=True)
class FirstDriver:
    """The first branch and CUDA version for a compute capability."""

    compute_capability: str
    first_branch: int
    first_cuda: str
    sources: tuple[str, ...]
    unverified: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class ImageRequirement:
    """Older branches on which an nvidia/cuda image of that version may start, by its NVIDIA_REQUIRE_CUDA."""

    cuda: str
    branches: tuple[int, ...]
    sources: tuple[str, ...]
    unverified: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class AmdgpuDriver:
    """A kernel driver release and the ROCm versions (major.minor) tested with it."""

    driver: str
    rocm: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RocmDrivers:
    """A ROCm release and the kernel driver releases that its matrix lists."""

    rocm: str
    drivers: tuple[str, ...]
    sources: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class RocmSystems:
    """Operating systems that the matrix of a ROCm release lists."""

    rocm: str
    systems: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Build:
    """A published build of a framework: its CUDA or ROCm version and the targets it has code for.

    `targets` are compute capabilities or gfx targets, `ptx` compute capabilities; both are empty where no
    source states them. `default` is the one a plain `pip install` gets.
    """

    framework: str
    version: str
    platform: str
    sources: tuple[str, ...]
    cuda: str = ""
    rocm: str = ""
    cudnn: str = ""
    torch: str = ""
    targets: tuple[str, ...] = ()
    ptx: tuple[str, ...] = ()
    default: bool = False
    unverified: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class ImageTag:
    """A tag that was published, with the versions its name or its documentation states."""

    image: str
    tag: str
    sources: tuple[str, ...]
    rocm: str = ""
    torch: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ImageName:
    """How the tags of an image are built."""

    image: str
    pattern: str
    sources: tuple[str, ...]
    example: str = ""
    unverified: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Soname:
    """A shared library and who provides it.

    `kind`: driver (injected into a container, never installed there), cuda, rocm, framework or distribution.
    `capability` is the NVIDIA_DRIVER_CAPABILITIES word that has it injected. `names_unverified`: no source was
    found for the package names.
    """

    soname: str
    component: str
    kind: str
    sources: tuple[str, ...]
    capability: str = ""
    pip: tuple[str, ...] = ()
    apt: tuple[str, ...] = ()
    debian: str = ""
    debian_releases: tuple[str, ...] = ()
    conda: str = ""
    unverified: bool = False
    names_unverified: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """An error code of a library or driver. Several names of one code are several rows.

    `group`: cudaError, CUresult, nvml, cublas, cudnn, cudnn8, nccl, hipError, hsa_status, rocblas, miopen,
    rccl or xid.
    """

    group: str
    code: int
    name: str
    sources: tuple[str, ...]
    message: str = ""
    action: str = ""
    investigate: str = ""
    unverified: bool = False
    note: str = ""


FILES = (
    "amd_gpus",
    "cuda_arch_support",
    "cuda_driver",
    "error_codes",
    "framework_builds",
    "nvidia_gpus",
    "rocm_driver",
    "sonames",
)


@cache
def _file(name: str) -> dict[str, Any]:
    text = (resources.files(__name__) / f"{name}.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def _table(name: str, table: str, kind: type[Row]) -> tuple[Row, ...]:
    content = _file(name)
    addresses = content["sources"]
    return tuple(_row(kind, raw, addresses) for raw in content["tables"][table])


def _row(kind: type[Row], raw: dict[str, Any], addresses: dict[str, str]) -> Row:
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}
    values["sources"] = tuple(addresses[key] for key in values["sources"])
    return kind(**values)


def checked(name: str) -> str:
    """The day (YYYY-MM-DD) on which the facts of the file were last compared with their sources."""
    day: str = _file(name)["checked"]
    return day


@cache
def nvidia_gpus() -> tuple[NvidiaGpu, ...]:
    return _table("nvidia_gpus", "gpus", NvidiaGpu)


@cache
def amd_gpus() -> tuple[AmdGpu, ...]:
    return _table("amd_gpus", "gpus", AmdGpu)


@cache
def amd_targets() -> tuple[AmdTarget, ...]:
    return _table("amd_gpus", "targets", AmdTarget)


@cache
def generic_targets() -> tuple[GenericTarget, ...]:
    return _table("amd_gpus", "generic_targets", GenericTarget)


@cache
def feature_modes() -> tuple[FeatureMode, ...]:
    return _table("amd_gpus", "feature_modes", FeatureMode)


@cache
def overrides() -> tuple[Override, ...]:
    return _table("amd_gpus", "overrides", Override)


@cache
def cuda_toolkits() -> tuple[CudaToolkit, ...]:
    return _table("cuda_arch_support", "toolkits", CudaToolkit)


@cache
def ptx_isas() -> tuple[PtxIsa, ...]:
    return _table("cuda_arch_support", "ptx_isa", PtxIsa)


@cache
def families() -> tuple[Family, ...]:
    return _table("cuda_arch_support", "families", Family)


@cache
def integrated() -> tuple[Integrated, ...]:
    return _table("cuda_arch_support", "integrated", Integrated)


@cache
def toolkit_drivers() -> tuple[ToolkitDriver, ...]:
    return _table("cuda_driver", "toolkits", ToolkitDriver)


@cache
def driver_branches() -> tuple[DriverBranch, ...]:
    return _table("cuda_driver", "branches", DriverBranch)


@cache
def branch_lives() -> tuple[BranchLife, ...]:
    return _table("cuda_driver", "lifecycle", BranchLife)


@cache
def architecture_drivers() -> tuple[ArchitectureDriver, ...]:
    return _table("cuda_driver", "architectures", ArchitectureDriver)


@cache
def first_drivers() -> tuple[FirstDriver, ...]:
    return _table("cuda_driver", "first_drivers", FirstDriver)


@cache
def image_requirements() -> tuple[ImageRequirement, ...]:
    return _table("cuda_driver", "image_requirements", ImageRequirement)


@cache
def amdgpu_drivers() -> tuple[AmdgpuDriver, ...]:
    return _table("rocm_driver", "tested", AmdgpuDriver)


@cache
def rocm_drivers() -> tuple[RocmDrivers, ...]:
    return _table("rocm_driver", "drivers_of", RocmDrivers)


@cache
def rocm_systems() -> tuple[RocmSystems, ...]:
    return _table("rocm_driver", "distributions", RocmSystems)


@cache
def framework_builds() -> tuple[Build, ...]:
    return _table("framework_builds", "builds", Build)


@cache
def image_tags() -> tuple[ImageTag, ...]:
    return _table("framework_builds", "image_tags", ImageTag)


@cache
def image_names() -> tuple[ImageName, ...]:
    return _table("framework_builds", "image_names", ImageName)


@cache
def sonames() -> tuple[Soname, ...]:
    return _table("sonames", "sonames", Soname)


@cache
def error_codes() -> tuple[ErrorCode, ...]:
    return _table("error_codes", "codes", ErrorCode)


@cache
def rules(name: str) -> dict[str, Rule]:
    """The rules of a file by id: of "amd_gpus", "cuda_arch_support", "cuda_driver" or "rocm_driver"."""
    return {rule.id: rule for rule in _table(name, "rules", Rule)}
