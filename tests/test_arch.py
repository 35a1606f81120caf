"""The rules for code and devices, against truth tables written by hand from the vendors' guides.

NVIDIA: CUDA programming guide (binary compatibility, family-specific targets), Blackwell, Hopper and Ada
compatibility guides, and https://github.com/jax-ml/jax/pull/40492 for Orin. AMD: LLVM's AMDGPUUsage.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor import data
from doctor.arch import (
    Answer,
    amd_code_runs,
    amd_target,
    code_object_runs,
    cubin_runs,
    cuda_code_runs,
    cuda_target,
    override_for,
    ptx_runs,
)
from doctor.builds import framework_builds_for
from doctor.data.cuda import (
    at_least,
    cuda_for_driver,
    driver_branches_for,
    driver_supports_cuda,
    minimum_driver,
    older_branches_allowed,
    toolkits_for,
    version,
)
from doctor.data.libraries import provider_of
from doctor.data.rocm import rocm_support, rocm_with_driver
from doctor.gpus import Ambiguous, Gpu, find_gpu, suggestions

# fmt: off
CUBINS = [
    "sm_35", "sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90", "sm_90a", "sm_100",
    "sm_100a", "sm_100f", "sm_103", "sm_103a", "sm_110", "sm_120", "sm_120a", "sm_120f", "sm_121",
]
# fmt: on
# Device by name, its compute capability, and which of the cubins above run on it. All others do not.
NVIDIA = {
    "Tesla K40m": ("3.5", "sm_35"),
    "Tesla K80": ("3.7", "sm_35"),
    "GTX 750 Ti": ("5.0", "sm_50"),
    "GTX 980": ("5.2", "sm_50"),
    "Jetson Nano": ("5.3", ""),
    "Tesla P100-PCIE-16GB": ("6.0", "sm_60"),
    "GTX 1080": ("6.1", "sm_60"),
    "Jetson TX2": ("6.2", ""),
    "Tesla V100-SXM2-32GB": ("7.0", "sm_70"),
    "Jetson AGX Xavier": ("7.2", ""),
    "Tesla T4": ("7.5", "sm_70 sm_75"),
    "GTX 1660 Ti": ("7.5", "sm_70 sm_75"),
    "NVIDIA A100-SXM4-80GB": ("8.0", "sm_80"),
    "RTX 3090": ("8.6", "sm_80 sm_86"),
    "A10G": ("8.6", "sm_80 sm_86"),
    "Jetson AGX Orin": ("8.7", "sm_87"),
    "RTX 4090": ("8.9", "sm_80 sm_86 sm_89"),
    "L40S": ("8.9", "sm_80 sm_86 sm_89"),
    "NVIDIA H100 80GB HBM3": ("9.0", "sm_90 sm_90a"),
    "GH200 480GB": ("9.0", "sm_90 sm_90a"),
    "B200": ("10.0", "sm_100 sm_100a sm_100f"),
    "B300": ("10.3", "sm_100 sm_100f sm_103 sm_103a"),
    "Jetson T5000": ("11.0", "sm_110"),
    "RTX 5090": ("12.0", "sm_120 sm_120a sm_120f"),
    "RTX PRO 6000 Blackwell Server Edition": ("12.0", "sm_120 sm_120a sm_120f"),
    "NVIDIA GB10": ("12.1", "sm_120 sm_120f sm_121"),
}

# fmt: off
TARGETS = [
    "gfx803", "gfx900", "gfx906:xnack-", "gfx908:sramecc+:xnack-", "gfx90a:sramecc+:xnack-", "gfx90a:xnack+",
    "gfx942", "gfx950", "gfx1010", "gfx1030", "gfx1100", "gfx1151", "gfx1200", "gfx1201", "gfx1250", "gfx9-generic",
    "gfx9-4-generic", "gfx10-1-generic", "gfx10-3-generic", "gfx11-generic", "gfx12-generic",
]
# fmt: on
# Device by name, its target, which of the targets above have machine code for it, which generic ones cover it.
AMD = {
    "RX 580": ("gfx803", "gfx803", ""),
    "Vega 64": ("gfx900", "gfx900", "gfx9-generic"),
    "Radeon VII": ("gfx906", "gfx906:xnack-", "gfx9-generic"),
    "MI50": ("gfx906", "gfx906:xnack-", "gfx9-generic"),
    "MI100": ("gfx908", "gfx908:sramecc+:xnack-", ""),
    "MI210": ("gfx90a", "gfx90a:sramecc+:xnack-", ""),
    "MI250X": ("gfx90a", "gfx90a:sramecc+:xnack-", ""),
    "MI300X": ("gfx942", "gfx942", "gfx9-4-generic"),
    "MI300A": ("gfx942", "gfx942", "gfx9-4-generic"),
    "MI325X": ("gfx942", "gfx942", "gfx9-4-generic"),
    "MI355X": ("gfx950", "gfx950", "gfx9-4-generic"),
    "RX 5700 XT": ("gfx1010", "gfx1010", "gfx10-1-generic"),
    "Radeon Pro W5500": ("gfx1012", "", "gfx10-1-generic"),
    "RX 6900 XT": ("gfx1030", "gfx1030", "gfx10-3-generic"),
    "RX 6700 XT": ("gfx1031", "", "gfx10-3-generic"),
    "RX 6600": ("gfx1032", "", "gfx10-3-generic"),
    "Steam Deck": ("gfx1033", "", "gfx10-3-generic"),
    "RX 7900 XTX": ("gfx1100", "gfx1100", "gfx11-generic"),
    "RX 7800 XT": ("gfx1101", "", "gfx11-generic"),
    "RX 7600": ("gfx1102", "", "gfx11-generic"),
    "Radeon 780M": ("gfx1103", "", "gfx11-generic"),
    "Radeon 8060S": ("gfx1151", "gfx1151", "gfx11-generic"),
    "RX 9060 XT": ("gfx1200", "gfx1200", "gfx12-generic"),
    "RX 9070 XT": ("gfx1201", "gfx1201", "gfx12-generic"),
    "MI455X": ("gfx1250", "gfx1250", ""),
}


BOARDS: tuple[data.NvidiaGpu | data.AmdGpu, ...] = (*data.nvidia_gpus(), *data.amd_gpus())


def target_of(row: data.NvidiaGpu | data.AmdGpu) -> str:
    return row.compute_capability if isinstance(row, data.NvidiaGpu) else row.gfx


def found(text: str) -> Gpu:
    gpu = find_gpu(text)
    assert isinstance(gpu, Gpu), (text, gpu)
    return gpu


@pytest.mark.parametrize("name", NVIDIA)
def test_cubins_on_devices(name: str) -> None:
    capability, runs = NVIDIA[name]
    gpu = found(name)
    assert (gpu.vendor, gpu.compute_capability, gpu.gfx) == ("nvidia", capability, None)
    assert [target for target in CUBINS if cubin_runs(target, capability).runs == "yes"] == runs.split()
    doubtful = [target for target in CUBINS if cubin_runs(target, capability).runs == "unknown"]
    assert doubtful == []


@pytest.mark.parametrize("name", AMD)
def test_code_objects_on_devices(name: str) -> None:
    target, machine_code, generic = AMD[name]
    gpu = found(name)
    assert (gpu.vendor, gpu.compute_capability, gpu.gfx) == ("amd", None, target)
    assert [code for code in TARGETS if code_object_runs(code, target).runs == "yes"] == machine_code.split()
    assert [code for code in TARGETS if code_object_runs(code, target).runs == "jit"] == generic.split()
    doubtful = [code for code in TARGETS if code_object_runs(code, target).runs == "unknown"]
    assert doubtful == (["gfx90a:xnack+"] if target == "gfx90a" else [])


@pytest.mark.parametrize(
    ("target", "device", "runs"),
    [
        ("compute_50", "12.0", "jit"),
        ("compute_90", "9.0", "jit"),
        ("compute_90", "8.9", "no"),
        ("compute_90a", "9.0", "jit"),
        ("compute_90a", "10.0", "no"),
        ("compute_100f", "10.0", "jit"),
        ("compute_100f", "10.3", "jit"),
        ("compute_100f", "12.0", "no"),
        ("compute_103f", "10.0", "no"),
        ("compute_120f", "12.1", "jit"),
        ("compute_121f", "12.0", "no"),
        ("compute_80", "8.7", "jit"),  # unlike cubins, PTX crosses from desktop to Tegra
        ("compute_101", "11.0", "jit"),
        ("compute_101a", "11.0", "unknown"),
        ("compute_12O", "12.0", "unknown"),
    ],
)
def test_ptx_on_devices(target: str, device: str, runs: str) -> None:
    assert ptx_runs(target, None, device, None).runs == runs


@pytest.mark.parametrize(
    ("isa", "driver", "runs"),
    [
        ("8.4", "550.54.15", "jit"),  # CUDA 12.4 reads PTX 8.4
        ("8.5", "550.54.15", "no"),
        ("8.7", "570.86.10", "jit"),
        ("8.8", "570.86.10", "no"),
        ("9.0", "580.65.06", "jit"),
        ("9.9", "580.65.06", "unknown"),
        (None, "580.65.06", "unknown"),
        ("8.4", "nonsense", "unknown"),
        ("8.6", "565.57.01", "jit"),
        ("9.5", "620.10", "unknown"),  # that R620 is made for CUDA 13.5 is not confirmed
        ("9.4", "620.10", "jit"),
        ("9.5", "900.1", "unknown"),
        ("8.4", "900.1", "jit"),  # a later driver reads whatever an earlier one does
    ],
)
def test_ptx_needs_a_driver_that_reads_its_version(isa: str | None, driver: str, runs: str) -> None:
    assert ptx_runs("compute_80", isa, "8.0", driver).runs == runs


def test_uncertain_things_are_unknown() -> None:
    assert cubin_runs("sm_100f", "10.7").runs == "unknown"  # two readings of the guide's table of families
    assert ptx_runs("compute_103f", None, "10.7", None).runs == "unknown"
    assert cubin_runs("sm_101", "11.0").runs == "unknown"
    assert cubin_runs("sm_86", "8.8").runs == "unknown"
    assert cubin_runs("sm_", "8.0").runs == "unknown"
    assert code_object_runs("gfx12-5-generic", "gfx1250").runs == "unknown"
    assert code_object_runs("gfx13-generic", "gfx1300").runs == "unknown"
    assert code_object_runs("gfx906:sramecc+", "gfx906").runs == "unknown"  # MI50 has it on, Radeon VII off


def test_features_must_be_the_devices() -> None:
    assert code_object_runs("gfx90a:xnack+", "gfx90a:xnack+").runs == "yes"
    assert code_object_runs("gfx90a:xnack-", "gfx90a:xnack+").runs == "no"
    assert code_object_runs("gfx90a", "gfx90a:sramecc+:xnack+").runs == "yes"
    assert code_object_runs("gfx908:xnack+", "gfx908").runs == "no"  # HSA_XNACK does not switch it there
    assert "HSA_XNACK" in code_object_runs("gfx942:xnack+", "gfx942").because
    assert code_object_runs("gfx9-4-generic:xnack+", "gfx950:sramecc+:xnack-").runs == "no"


def test_best_of_many() -> None:
    torch_2_6 = ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"]
    assert cuda_code_runs(torch_2_6, [], "8.9") == Answer(
        "yes", "sm_86", "sm_86 runs on 8.9: same major, later minor", "cubin"
    )
    refused = cuda_code_runs(torch_2_6, [], "12.0")
    assert (refused.runs, refused.by) == ("no", None)
    assert "12.0" in refused.because
    assert "sm_90" in refused.because
    assert "no PTX" in refused.because
    assert cuda_code_runs(torch_2_6, [("compute_90", "8.4")], "12.0").runs == "jit"
    too_old = cuda_code_runs(torch_2_6, [("compute_90", "8.4")], "12.0", driver="535.104.05")
    assert too_old.runs == "no"
    assert "535.104.05" in too_old.because
    assert "integrated" in cuda_code_runs(torch_2_6, [], "8.7").because
    assert cuda_code_runs([], [], "8.0").runs == "no"


def test_override_is_a_guess_within_the_family() -> None:
    refused = amd_code_runs(["gfx1030", "gfx1100"], "gfx1031")
    assert refused.runs == "no"
    assert "HSA_OVERRIDE_GFX_VERSION=10.3.0 may load code of gfx1030 (unsupported)" in refused.because
    override = override_for(["gfx1100"], "gfx1102")
    assert override
    assert (override.value, override.runs_as) == ("11.0.0", "gfx1100")
    assert override_for(["gfx1030"], "gfx1010") is None  # widely tried, another instruction set
    assert override_for(["gfx1100"], "gfx1201") is None
    assert override_for(["gfx1100"], "gfx1031") is None
    assert override_for(["gfx1030"], "not a target") is None


@pytest.mark.parametrize("file", ["cuda_arch_support", "amd_gpus"])
def test_answers_rest_on_rules_with_sources(file: str) -> None:
    rules = data.rules(file)
    if file == "amd_gpus":
        answers = [code_object_runs(code, device) for code in TARGETS for device, _, _ in AMD.values()]
    else:
        answers = [cubin_runs(code, device) for code in CUBINS for device, _ in NVIDIA.values()]
        answers += [ptx_runs(code, "8.7", "10.3", "570.1") for code in CUBINS]
        answers.append(cubin_runs("sm_101", "11.0"))
    used = {answer.rule for answer in answers}
    assert used == {rule for rule in rules if rule != "amd-override"}


cuda_texts = st.sampled_from([*CUBINS, "sm_101", "sm_88", "sm_107f", "junk", ""])
devices = st.sampled_from([device for device, _ in NVIDIA.values()] + ["8.8", "10.7", "13.0"])
amd_texts = st.sampled_from([*TARGETS, "gfx13-generic", "junk", ""])
amd_devices = st.sampled_from([device for device, _, _ in AMD.values()] + ["gfx90a:xnack+", "gfx1300"])
RANK = {"yes": 0, "jit": 1, "unknown": 2, "no": 3}


@given(st.lists(cuda_texts), cuda_texts, devices)
def test_more_code_never_runs_on_less(held: list[str], more: str, device: str) -> None:
    before, after = cuda_code_runs(held, [], device), cuda_code_runs([*held, more], [], device)
    assert RANK[after.runs] <= RANK[before.runs]
    assert cuda_code_runs([*reversed(held), *held], [], device) == before


@given(st.lists(amd_texts), amd_texts, amd_devices)
def test_more_amd_code_never_runs_on_less(held: list[str], more: str, device: str) -> None:
    before, after = amd_code_runs(held, device), amd_code_runs([*held, more], device)
    assert RANK[after.runs] <= RANK[before.runs]
    assert amd_code_runs([*reversed(held), *held], device) == before


@given(st.integers(1, 99), st.integers(0, 9), st.integers(1, 99), st.integers(0, 9))
def test_plain_cubins_never_cross_majors(major: int, minor: int, device_major: int, device_minor: int) -> None:
    runs = cubin_runs(f"sm_{major}{minor}", f"{device_major}.{device_minor}").runs
    if (major, minor) == (device_major, device_minor):
        assert runs == "yes"
    elif major != device_major or minor > device_minor:
        assert runs == "no" or {(major, minor), (device_major, device_minor)} == {(10, 1), (11, 0)}


@given(st.integers(3, 20), st.integers(0, 9), devices, devices)
def test_ptx_that_fits_a_device_fits_later_ones(major: int, minor: int, one: str, other: str) -> None:
    older, newer = sorted((one, other), key=version)
    if ptx_runs(f"compute_{major}{minor}", None, older, None).runs == "jit":
        assert ptx_runs(f"compute_{major}{minor}", None, newer, None).runs == "jit"


@given(st.lists(st.text()), st.text(), st.text(), st.text())
def test_no_text_breaks_a_rule(texts: list[str], device: str, driver: str, other: str) -> None:
    assert cuda_code_runs(texts, [(text, other) for text in texts], device, driver).runs in RANK
    assert amd_code_runs(texts, device).runs in RANK
    assert driver_supports_cuda(driver, other) in ("yes", "minor-compat", "forward-compat-needed", "no", "unknown")
    assert rocm_support(device, other).status in ("supported", "unsupported", "unknown")
    assert provider_of(other).soname == other.rsplit("/", 1)[-1]
    find_gpu(device)


def test_targets_are_read_as_tools_write_them() -> None:
    assert [cuda_target(text) for text in ("sm_9", "90b", "sm_1000", "compute 90", "0.5", "sm_00")] == [None] * 6
    assert cuda_target("SM_90A") == cuda_target("compute_90a") == cuda_target("90a") == cuda_target("9.0a")
    assert [amd_target(text) for text in ("gfx", "gfx11", "gfx90a:xnack", "gfx90a:", "gfx9-4-5-generic")] == [None] * 5
    first = amd_target("gfx90a:xnack-:sramecc+")
    assert first == amd_target("gfx90a:sramecc+:xnack-")


# ---- drivers and toolkits ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("driver", "cuda", "support"),
    [
        ("550.54.15", "12.4", "yes"),
        ("550.54.15", "11.8", "yes"),
        ("550.54.15", "12.8", "minor-compat"),
        ("550.54.15", "13.0", "forward-compat-needed"),
        ("470.256.02", "11.8", "minor-compat"),
        ("470.256.02", "12.0", "forward-compat-needed"),
        ("450.51.06", "11.0", "yes"),
        ("450.51.06", "11.2", "forward-compat-needed"),  # minor-version compatibility begins at 450.80.02
        ("525.60.13", "12.9", "minor-compat"),
        ("525", "12.9", "minor-compat"),
        ("580.65.06", "13.0", "yes"),
        ("R580", "13.5", "minor-compat"),
        ("615.71.09", "13.4", "yes"),
        ("620.10", "13.5", "minor-compat"),  # that R620 is made for 13.5 is not confirmed
        ("384.81", "9.0", "yes"),
        ("384.81", "9.2", "no"),
        ("418.39", "10.2", "forward-compat-needed"),
        ("565.57.01", "12.6", "yes"),
        ("900.10", "12.9", "yes"),
        ("900.10", "14.0", "unknown"),
        ("unknown", "12.4", "unknown"),
        ("550.54.15", "", "unknown"),
    ],
)
def test_driver_and_cuda(driver: str, cuda: str, support: str) -> None:
    assert driver_supports_cuda(driver, cuda) == support


@given(st.sampled_from([row.branch for row in data.driver_branches()]), st.sampled_from(data.cuda_toolkits()))
def test_a_newer_driver_supports_no_less(branch: int, toolkit: data.CudaToolkit) -> None:
    order = ["yes", "minor-compat", "forward-compat-needed", "no"]
    later = [row.branch for row in data.driver_branches() if row.branch > branch and not row.unverified]
    here = order.index(driver_supports_cuda(str(branch), toolkit.cuda))
    assert all(order.index(driver_supports_cuda(str(one), toolkit.cuda)) <= here for one in later)


def test_minimum_drivers() -> None:
    twelve_four = minimum_driver("12.4")
    assert twelve_four
    assert (twelve_four.starts, twelve_four.full) == ("525.60.13", "550.54.14")
    update = minimum_driver("12.4.1")
    assert update
    assert update.full == "550.54.15"
    newest = minimum_driver("13.4")
    assert newest
    assert (newest.starts, newest.full) == ("580.65.06", None)
    assert minimum_driver("99.0") is None
    assert minimum_driver("") is None


def test_cuda_of_a_driver() -> None:
    assert cuda_for_driver("535.104.05") == "12.2"
    assert cuda_for_driver("537.10") == "12.2"  # a branch of Windows: at least what the one before it supports
    assert cuda_for_driver("340.108") is None
    assert at_least("525", "525.60.13")
    assert at_least("x", "525.60.13") is None


def test_branches_and_toolkits_of_devices() -> None:
    kepler, pascal, blackwell, hopper = (driver_branches_for(device) for device in ("3.5", "6.1", "12.0", "9.0"))
    assert kepler
    assert pascal
    assert blackwell
    assert hopper
    assert kepler.last == 470
    assert (pascal.last, pascal.open_modules) == (580, "unsupported")
    assert (blackwell.first, blackwell.last, blackwell.open_modules) == (570, None, "required")
    assert (hopper.last, hopper.open_modules) == (None, "supported")
    assert driver_branches_for("13.0") is None
    assert toolkits_for("7.0")[-1] == "12.9"
    assert toolkits_for("12.0")[0] == "12.8"
    assert toolkits_for("3.5")[-1] == "11.8"
    assert toolkits_for("13.0") == ()
    assert older_branches_allowed("13.1") == (535, 550, 570, 575, 580)
    assert older_branches_allowed("12.8") is None, "its row is incomplete"


@pytest.mark.parametrize(
    ("gfx", "rocm", "status"),
    [
        ("gfx90a", "6.4.1", "supported"),
        ("gfx90a:sramecc+:xnack-", "7.1", "supported"),
        ("gfx906", "5.7", "supported"),
        ("gfx906", "6.2.1", "unsupported"),
        ("gfx1201", "6.3", "unsupported"),
        ("gfx1201", "6.4.0", "unsupported"),
        ("gfx1201", "6.4.1", "supported"),
        ("gfx1201", "6.4", "unknown"),
        ("gfx1201", "7.0.2", "supported"),
        ("gfx1101", "6.4", "unknown"),
        ("gfx1031", "7.1", "unsupported"),
        ("gfx942", "7.2.2", "supported"),
        ("gfx90a", "7.2", "unknown"),
        ("gfx1151", "7.14.0", "supported"),
        ("gfx9999", "7.1", "unknown"),
        ("gfx942", "latest", "unknown"),
    ],
)
def test_rocm_and_targets(gfx: str, rocm: str, status: str) -> None:
    support = rocm_support(gfx, rocm)
    assert support.status == status
    assert support.because


def test_rocm_and_kernel_drivers() -> None:
    assert rocm_with_driver("7.1.0", "30.20.0") == "yes"
    assert rocm_with_driver("7.1.0", "6.4.3") == "yes"
    assert rocm_with_driver("7.1.0", "6.2.4") == "untested"
    assert rocm_with_driver("6.2.4", "6.3.1") == "yes"
    assert rocm_with_driver("4.0", "4.0") == "unknown"


# ---- names of GPUs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("NVIDIA GeForce RTX 5090", "12.0"),
        ("rtx5090", "12.0"),
        ("4090 laptop", "8.9"),
        ("rtx 3080ti", "8.6"),
        ("RTX 2080 Super with Max-Q Design", "7.5"),
        ("NVIDIA GeForce RTX 3050 A Laptop GPU", "8.9"),  # an Ada chip under an Ampere name
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "8.0"),
        ("A100", "8.0"),
        ("RTX 6000 Ada", "8.9"),
        ("Quadro RTX 6000", "7.5"),
        ("RTX PRO 6000", "12.0"),
        ("NVIDIA TITAN X (Pascal)", "6.1"),
        ("GeForce GTX TITAN X", "5.2"),
        ("GT 1030", "6.1"),
        ("TITAN RTX", "7.5"),  # not the "RTX TITAN Ada" of the same words
        ("MX450", "7.5"),
        ("DGX Spark", "12.1"),
        ("AMD Instinct MI300X", "gfx942"),
        ("mi250", "gfx90a"),
        ("AMD Radeon RX 7900 XTX", "gfx1100"),
        ("rx7900xtx", "gfx1100"),
        ("R9700", "gfx1201"),
        ("10de:2b85", "12.0"),
        ("10DE:2B85", "12.0"),
        ("0x1002:0x74a1", "gfx942"),
        ("12.0", "12.0"),
        ("sm_120", "12.0"),
        ("sm_90a", "9.0"),
        ("gfx1100", "gfx1100"),
        ("gfx90a:xnack+", "gfx90a:xnack+"),
        ("110000", "gfx1100"),
        ("90010", "gfx90a"),
        ("90012", "gfx90c"),
        ("120001", "gfx1201"),
    ],
)
def test_gpus_by_what_people_call_them(text: str, target: str) -> None:
    gpu = found(text)
    assert gpu.target == target
    assert gpu.generation
    assert not gpu.unverified
    assert gpu.sources


@pytest.mark.parametrize(
    ("text", "targets"),
    [
        ("GT 730", {"3.0", "3.5"}),
        ("GTX 860M", {"3.0", "5.0"}),
        ("Titan X", {"5.2", "6.1"}),
        ("RTX 6000", {"7.5", "8.9", "12.0"}),
        ("680M", {"3.0", "gfx1035"}),
        ("Radeon Pro Vega 20", {"gfx904", "gfx906"}),
        ("AMD Radeon Graphics", {"gfx1102", "gfx1151"}),
        ("Quadro RTX", {"7.5"}),
        ("Ampere", {"8.0", "8.6", "8.7"}),
        ("NVIDIA Blackwell", {"10.0", "10.3", "11.0", "12.0", "12.1"}),
        ("RDNA 4", {"gfx1200", "gfx1201"}),
        ("Aqua Vanjaram", {"gfx942", "gfx950"}),
    ],
)
def test_ambiguous_names_say_so(text: str, targets: set[str]) -> None:
    answer = find_gpu(text)
    assert isinstance(answer, Ambiguous), answer
    assert {gpu.target for gpu in answer.candidates} == targets


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("Hopper", "9.0"),
        ("Ada", "8.9"),
        ("CDNA3", "gfx942"),
        ("Navi 31", "gfx1100"),
        ("navi31", "gfx1100"),
        ("GB202", "12.0"),
        ("Strix Halo", "gfx1151"),
        ("Krackan2", "gfx1153"),
        ("sm90", "9.0"),
        ("compute capability 8.6", "8.6"),
        ("cc 7.5", "7.5"),
    ],
)
def test_architectures_chips_and_ways_to_write_a_capability(text: str, target: str) -> None:
    assert found(text).target == target


def test_names_of_nothing() -> None:
    for text in ("", "foo", "RTX 9999", "gfx", "10de:ffff", "GeForce GTX 580", "Radeon RTX 4090", "gfx11-generic"):
        assert find_gpu(text) is None, text
    assert "Radeon RX 580" in suggestions("Radeon RX 581 580")
    assert "GeForce RTX 4090" in suggestions("RTX 4090 Ti")
    assert suggestions("zzzzzzzz") == ()
    assert suggestions("gfx12") == ("gfx1200", "gfx1201", "gfx1250")


def test_new_targets_are_taken_as_they_stand() -> None:
    assert (found("gfx1310").gfx, found("gfx1310").unverified) == ("gfx1310", True)
    assert (found("sm_130").compute_capability, found("sm_130").unverified) == ("13.0", True)


def test_every_name_of_the_facts_is_found() -> None:
    for row in BOARDS:
        for name in () if row.unverified else row.names:
            answer = find_gpu(name)
            hits = answer.candidates if isinstance(answer, Ambiguous) else (answer,)
            assert target_of(row) in {gpu.target for gpu in hits if gpu}, (name, answer)


def test_every_pci_id_of_the_facts_is_found() -> None:
    for row in BOARDS:
        assert all(found(pci).target == target_of(row) for pci in row.pci_ids), row


# ---- builds and libraries ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("framework", "release", "gpu", "runs"),
    [
        ("torch", "2.6.0", "RTX 5090", {"11.8": "no", "12.4": "no", "12.6": "no"}),
        ("torch", "2.8", "RTX 5090", {"12.6": "no", "12.8": "yes"}),
        ("torch", "2.8.0+cu128", "GTX 1080", {"12.6": "yes", "12.8": "no"}),
        ("torch", "2.11", "V100", {"12.6": "yes", "12.8": "no", "13.0": "no"}),
        ("torch", "2.14.1", "GB10", {"12.6": "no", "13.0": "yes", "13.2": "yes"}),
        ("torch", "2.9", "MI300X", {"6.4": "yes"}),
        ("torch", "2.9", "RX 6700 XT", {"6.4": "no"}),
        ("onnxruntime_gpu", "1.31", "GTX 1080", {"13.0": "no"}),
        ("onnxruntime_gpu", "1.31", "T4", {"13.0": "unknown"}),
        ("torch", "99.0", "T4", {}),
        ("nothing", "", "T4", {}),
    ],
)
def test_builds_for_a_gpu(framework: str, release: str, gpu: str, runs: dict[str, str]) -> None:
    fitting = framework_builds_for(framework, release, found(gpu))
    assert {one.build.cuda or one.build.rocm: one.answer.runs for one in fitting} == runs


def test_inferred_builds_are_unknown() -> None:
    (old,) = [one for one in framework_builds_for("torch", "2.3", found("A100")) if one.build.cuda == "12.1"]
    assert old.build.unverified
    assert old.answer.runs == "unknown"


def test_providers() -> None:
    runtime = provider_of("libcudart.so.12")
    assert (runtime.known, runtime.component, runtime.kind) == ("exact", "CUDA runtime", "cuda")
    assert runtime.pip == ("nvidia-cuda-runtime-cu12",)
    assert {"11.0", "12", "13"} <= set(runtime.majors)
    assert provider_of("/usr/lib/libcudnn.so.9.1.0").component == "cuDNN 9"
    driver = provider_of("libcuda.so.1")
    assert (driver.kind, driver.capability, driver.pip) == ("driver", "compute", ())
    assert provider_of("libGL.so.1").kind == "distribution"
    assert provider_of("libcublas.so.12").conda == "libcublas=12.*"
    assert provider_of("libc10_cuda.so").pip == ("torch",)
    assert provider_of("libcrypto.so.3").debian == "libssl3"
    assert provider_of("libamdhip64.so.6").kind == "rocm"


def test_unknown_major_of_a_known_library() -> None:
    later = provider_of("libcudart.so.14")
    assert (later.known, later.component, later.major, later.unverified) == ("other-major", "CUDA runtime", "14", True)
    assert later.pip == ("nvidia-cuda-runtime",)
    assert later.conda == "cuda-cudart=14.*"
    assert later.debian == ""
    earlier = provider_of("libcudart.so.8.0")
    assert (earlier.known, earlier.pip, earlier.apt) == ("other-major", (), ())
    # Its apt name has the CUDA version, which is not the SONAME's: nothing can be derived from it.
    assert provider_of("libcufft.so.13").apt == ()
    assert provider_of("libcudart.so").known == "other-major"


def test_every_library_is_known_under_any_version() -> None:
    for row in data.sonames():
        stem = row.soname.partition(".so")[0]
        for numbers in ("", ".0", ".99", ".1.2.3", ".x86_64"):
            assert provider_of(f"{stem}.so{numbers}").kind == row.kind, stem
    assert provider_of("libtorch.so.1").pip == ("torch",)


def test_unknown_libraries() -> None:
    assert provider_of("libnvidia-new.so.1").kind == "driver"
    assert provider_of("libnvidia-new.so.1").unverified
    for name, component in {
        "libcustatevec.so.1": "CUDA",
        "libcutensornet.so.2": "CUDA",
        "libhipdnn.so.0": "ROCm",
        "librocm-core.so.1": "ROCm",
        "libpython3.12.so.1.0": "CPython 3.12",
        "libcurl.so.5": "curl",
        "libcunit.so.1": "",
        "libnvpair.so.3": "",
        "librocksdb.so.7": "",
        "libhiredis.so.1": "",
    }.items():
        assert provider_of(name).component == component, name
    nobody = provider_of("libfrobnicate.so.3")
    assert (nobody.known, nobody.component, nobody.kind, nobody.major) == ("unknown", "", "", "3")
