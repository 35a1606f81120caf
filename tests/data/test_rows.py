"""Every row of the compatibility data: its form, its sources, and that the tables agree with one another."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
import sys
import typing
from collections import Counter
from collections.abc import Callable, Hashable
from importlib import resources
from typing import Any

import pytest

from doctor import data
from doctor.arch import amd_target, cuda_target
from doctor.data.cuda import architecture_of, cuda_reads_ptx, version

# Each table: its loader and what must be unique in it.
TABLES: dict[Callable[[], tuple[Any, ...]], Callable[[Any], Hashable]] = {
    data.nvidia_gpus: lambda row: (row.product, row.chip, row.pci_ids),
    data.amd_gpus: lambda row: (row.product, row.gfx, row.pci_ids),
    data.amd_targets: lambda row: row.gfx,
    data.generic_targets: lambda row: row.generic,
    data.feature_modes: lambda row: (row.gfx, row.feature),
    data.overrides: lambda row: (row.gfx, row.value),
    data.cuda_toolkits: lambda row: row.cuda,
    data.ptx_isas: lambda row: row.ptx,
    data.families: lambda row: row.target,
    data.integrated: lambda row: row.compute_capability,
    data.toolkit_drivers: lambda row: row.cuda,
    data.driver_branches: lambda row: row.branch,
    data.branch_lives: lambda row: row.branch,
    data.architecture_drivers: lambda row: row.architecture,
    data.first_drivers: lambda row: row.compute_capability,
    data.image_requirements: lambda row: row.cuda,
    data.amdgpu_drivers: lambda row: row.driver,
    data.rocm_drivers: lambda row: row.rocm,
    data.rocm_systems: lambda row: row.rocm,
    data.framework_builds: lambda row: (row.framework, row.version, row.platform, row.cuda, row.rocm),
    data.image_tags: lambda row: (row.image, row.tag),
    data.image_names: lambda row: row.image,
    data.sonames: lambda row: row.soname,
    data.error_codes: lambda row: (row.group, row.code, row.name),
}
RULES = ("amd_gpus", "cuda_arch_support", "cuda_driver", "rocm_driver")


def raw(name: str) -> str:
    return (resources.files("doctor.data") / f"{name}.json").read_text(encoding="utf-8")


def test_every_file_has_a_loader() -> None:
    shipped = sorted(path.name for path in resources.files("doctor.data").iterdir() if path.name.endswith(".json"))
    assert shipped == [f"{name}.json" for name in data.FILES]


@pytest.mark.parametrize("name", data.FILES)
def test_file(name: str) -> None:
    content = json.loads(raw(name))
    assert list(content) == ["checked", "sources", "tables"]
    datetime.date.fromisoformat(data.checked(name))
    used = {key for rows in content["tables"].values() for row in rows for key in row["sources"]}
    assert used == set(content["sources"]), "sources that no row names, or names without a source"
    assert all(len(address) > 15 or " " in address for address in content["sources"].values())


@pytest.mark.parametrize("name", data.FILES)
def test_one_row_a_line(name: str) -> None:
    rows = sum(len(rows) for rows in json.loads(raw(name))["tables"].values())
    assert sum(line.startswith('{"') for line in raw(name).splitlines()) == rows


@pytest.mark.parametrize("name", data.FILES)
def test_sources_are_no_downloads_and_no_paths_of_one_machine(name: str) -> None:
    without_addresses = re.sub(r"https?://\S+", "", raw(name))
    paths = set(re.findall(r"(?<![\w/.:$])/([a-z]+)/", without_addresses))
    assert paths <= {"usr", "opt", "sys", "dev", "etc", "proc"}
    assert not re.findall(r"https?://\S+\.(?:whl|deb|rpm|tar\.gz|zip)\b", raw(name))


@pytest.mark.parametrize("loader", TABLES, ids=lambda loader: loader.__name__)
def test_table(loader: Callable[[], tuple[Any, ...]]) -> None:
    rows = loader()
    hints = typing.get_type_hints(type(rows[0]))
    for row in rows:
        assert row.sources, row
        for field, kind in hints.items():
            value = getattr(row, field)
            if typing.get_origin(kind) is tuple:
                assert isinstance(value, tuple), (field, row)
                assert all(isinstance(one, typing.get_args(kind)[0]) for one in value), (field, row)
            else:
                assert type(value) is kind, (field, row)
            if isinstance(value, str):
                assert value == value.strip(), (field, row)
    repeated = [key for key, count in Counter(map(TABLES[loader], rows)).items() if count > 1]
    assert not repeated


@pytest.mark.parametrize("name", RULES)
def test_rules(name: str) -> None:
    for rule in data.rules(name).values():
        assert rule.says.endswith(".")
        assert rule.sources


def test_pci_ids() -> None:
    ids = [gpu.pci_ids for gpu in data.nvidia_gpus()] + [gpu.pci_ids for gpu in data.amd_gpus()]
    owners = Counter(pci for board in ids for pci in board)
    assert [pci for pci, count in owners.items() if count > 1] == []
    assert all(re.fullmatch(r"10de:[0-9a-f]{4}", pci) for gpu in data.nvidia_gpus() for pci in gpu.pci_ids)
    assert all(re.fullmatch(r"1002:[0-9a-f]{4}", pci) for gpu in data.amd_gpus() for pci in gpu.pci_ids)


def test_compute_capabilities_agree_with_architectures() -> None:
    for gpu in data.nvidia_gpus():
        assert architecture_of(gpu.compute_capability) == gpu.architecture, gpu


def test_chips_have_one_compute_capability() -> None:
    """GK110BGL and GK110 are one chip in two boards, and so is every other family of suffixes."""
    seen: dict[str, set[str]] = {}
    for gpu in data.nvidia_gpus():
        if found := re.match(r"(G[A-Z]\d{3}|TU\d{3}|AD\d{3}|G[A-Z]\d\d[A-Z])", gpu.chip):
            seen.setdefault(found.group(1), set()).add(gpu.compute_capability)
    assert len(seen) > 40
    assert {chip: found for chip, found in seen.items() if len(found) > 1} == {}


def test_amd_boards_have_known_targets() -> None:
    known = {row.gfx for row in data.amd_targets()}
    assert {gpu.gfx for gpu in data.amd_gpus()} <= known


def test_kfd_versions_are_the_targets() -> None:
    """gfx_target_version is major * 10000 + minor * 100 + stepping, the last digit of the target in hexadecimal."""
    for row in data.amd_targets():
        digits = row.gfx.removeprefix("gfx")
        major, minor, stepping = int(digits[:-2]), int(digits[-2], 16), int(digits[-1], 16)
        assert row.kfd_version == major * 10000 + minor * 100 + stepping, row


def test_generic_targets_do_not_overlap() -> None:
    members = Counter(member for row in data.generic_targets() for member in row.members)
    assert set(members.values()) == {1}
    assert all(amd_target(name) for row in data.generic_targets() for name in (row.generic, *row.members))


def test_overrides_stay_in_their_generation() -> None:
    for row in data.overrides():
        major, minor, stepping = row.value.split(".")
        assert row.runs_as == f"gfx{major}{minor}{stepping}"
        assert row.gfx.startswith(f"gfx{major}")


def test_toolkits() -> None:
    order = [version(row.cuda) for row in data.cuda_toolkits()]
    assert order == sorted(order)
    for row in data.cuda_toolkits():
        assert all(cuda_target(target) for target in row.targets), row
        read_by = cuda_reads_ptx(row.max_ptx)
        assert read_by, row
        assert version(read_by) <= version(row.cuda), row


def test_ptx_versions_rise_with_cuda() -> None:
    pairs = [(version(row.ptx), version(row.cuda)) for row in data.ptx_isas()]
    assert pairs == sorted(pairs)
    assert [cuda for _, cuda in pairs] == sorted(cuda for _, cuda in pairs)


def test_families_hold_their_own_capability() -> None:
    for row in data.families():
        own = cuda_target(row.target)
        assert own
        assert own.capability in row.members
        assert not set(row.members) & set(row.unsure)


def test_drivers() -> None:
    for row in data.toolkit_drivers():
        assert version(row.starts), row
        assert not row.full or version(row.starts) <= version(row.full) or version(row.cuda)[:2] == (11, 0), row
    branches = [(row.branch, version(row.max_cuda)) for row in data.driver_branches()]
    assert branches == sorted(branches)
    assert [cuda for _, cuda in branches] == sorted(cuda for _, cuda in branches)
    for life in data.branch_lives():
        assert re.fullmatch(r"(20\d\d-(0[1-9]|1[0-2]))?", life.ends), life


def test_each_toolkit_s_own_driver_supports_it() -> None:
    """The driver in a runfile is of the branch that the branch table gives for that CUDA version."""
    newest = {row.branch: version(row.max_cuda) for row in data.driver_branches()}
    for row in data.toolkit_drivers():
        if row.full:
            assert newest[version(row.full)[0]] >= version(row.cuda)[:2], row


def test_architectures_say_what_modules_they_take() -> None:
    kinds = {row.open_modules for row in data.architecture_drivers()}
    assert kinds == {"unsupported", "supported", "required", "unknown"}


def test_builds() -> None:
    for row in data.framework_builds():
        assert bool(row.cuda) != bool(row.rocm), row
        assert version(row.version), row
        assert version(row.cuda or row.rocm), row
        assert row.platform in ("x86_64", "aarch64"), row
        parse = cuda_target if row.cuda else amd_target
        assert all(parse(target) for target in (*row.targets, *row.ptx)), row


def test_torch_has_one_default_a_release() -> None:
    defaults = Counter(row.version for row in data.framework_builds() if row.framework == "torch" and row.default)
    assert set(defaults.values()) == {1}
    assert len(defaults) == 16


def test_builds_name_only_targets_their_toolkit_writes() -> None:
    """A wheel cannot hold machine code that its own ptxas does not write."""
    writes = {row.cuda: row.targets for row in data.cuda_toolkits()}
    for row in data.framework_builds():
        for target in row.targets if row.cuda else ():
            assert target.replace(".", "") in writes[row.cuda], row


def test_sonames() -> None:
    for row in data.sonames():
        assert re.fullmatch(r"[A-Za-z][\w+.-]*\.so(\.[0-9]+)+|lib[\w-]+\.so", row.soname), row
        assert row.kind in ("driver", "cuda", "rocm", "framework", "distribution"), row
        assert not row.capability or row.kind == "driver", row
        assert row.kind != "driver" or not (row.pip or row.conda), "nobody installs a driver library in an image"


def test_error_codes_that_people_look_up() -> None:
    named = {(row.group, row.code): row.name for row in reversed(data.error_codes())}
    assert named["cudaError", 35] == "cudaErrorInsufficientDriver"
    assert named["cudaError", 209] == "cudaErrorNoKernelImageForDevice"
    assert named["cudaError", 804] == "cudaErrorCompatNotSupportedOnDevice"
    assert named["CUresult", 222] == "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"
    assert named["nvml", 18] == "NVML_ERROR_LIB_RM_VERSION_MISMATCH"
    assert named["hipError", 209] == "hipErrorNoBinaryForGpu"
    assert named["hsa_status", 0x1008] == "HSA_STATUS_ERROR_OUT_OF_RESOURCES"
    assert named["rccl", 5] == "ncclInvalidUsage"
    assert ("xid", 79) in named


def test_a_small_question_reads_one_small_file() -> None:
    """Loading is lazy: asking for a library's provider opens no table of GPUs."""
    program = (
        "import sys\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == 'open' else None)\n"
        "from doctor.data.libraries import provider_of\n"
        "assert provider_of('libcudart.so.12').known == 'exact'\n"
        "print(sorted({name.rsplit('/', 1)[-1] for name in opened if name.endswith('.json')}))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "['sonames.json']"
