"""Values that follow from others: which package has a library depends on the CUDA release, and is never guessed."""

from __future__ import annotations

import shlex

import pytest

from doctor import diagnose_log
from doctor.diagnose import diagnose
from doctor.finding import Finding
from doctor.knowledge import Base
from doctor.values import derive


def package(library: str, **values: str) -> str:
    return derive(Finding("lib-cudnn-missing", (), {"library": library, **values})).values["pip_package"]


@pytest.mark.parametrize(
    ("library", "values", "expected"),
    [
        ("libcublas.so.12", {}, "nvidia-cublas-cu12"),
        ("libnccl.so.2", {"torch": "2.4.0+cu121"}, "nvidia-nccl-cu12"),
        ("libnccl.so.2", {"torch": "1.13.1+cu117"}, "nvidia-nccl-cu11"),
        ("libcusparse.so.12", {"cuda": "13.0"}, "nvidia-cusparse"),
        ("libcudnn.so.9", {"cuda": "12.8"}, '"nvidia-cudnn-cu12>=9"'),
        ("libnvrtc-builtins.so.12.1", {}, '"nvidia-cuda-nvrtc-cu12==12.1.*"'),
        ("libcupti.so.11.7", {}, '"nvidia-cuda-cupti-cu11==11.7.*"'),
    ],
)
def test_the_package_is_that_of_the_cuda_release(library: str, values: dict[str, str], expected: str) -> None:
    assert package(library, **values) == expected
    assert len(shlex.split(expected)) == 1, "one word for the shell"


@pytest.mark.parametrize("values", [{}, {"torch": "2.4.0+rocm6.1"}, {"cuda": "10.2"}])
def test_where_the_release_is_not_known_the_reader_chooses(values: dict[str, str]) -> None:
    chosen = package("libnccl.so.2", **values)
    assert chosen == "<nvidia-nccl-cu11 or nvidia-nccl-cu12 or nvidia-nccl-cu13, by the CUDA version>"


@pytest.mark.parametrize(
    ("offered", "release", "index"),
    [
        ("11060", "11.6", "cu118"),
        ("12.2", "12.2", "cu126"),
        ("12080", "12.8", "cu128"),
        ("13.0", "13.0", "cu130"),
        ("10010", "10.1", None),
    ],
)
def test_what_a_driver_offers_names_the_wheels_that_run_on_it(offered: str, release: str, index: str | None) -> None:
    values = derive(Finding("cuda-driver-too-old", (), {"cuda_driver": offered})).values
    assert (values["cuda_offered"], values.get("torch_index")) == (release, index)


@pytest.mark.parametrize("offered", ["unknown", "535.104", "110600", ""])
def test_what_is_no_release_of_cuda_names_none(offered: str) -> None:
    assert "cuda_offered" not in derive(Finding("cuda-driver-too-old", (), {"cuda_driver": offered})).values


MODERN = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.69 GiB of "
    "which 0.10 GiB is free. {}Including non-PyTorch memory, this process has {} memory in use. Of the allocated memory "
    "4.00 GiB is allocated by PyTorch, and {} is reserved by PyTorch but unallocated."
)
OLD = (
    "RuntimeError: CUDA out of memory. Tried to allocate 2.93 GiB (GPU 0; 11.17 GiB total capacity; {} already "
    "allocated; 2.22 GiB free; 8.52 GiB reserved in total by PyTorch)"
)


@pytest.mark.parametrize(
    ("said", "likely", "fix"),
    [
        (MODERN.format("", "23.00 GiB", "3.50 GiB"), "the memory is there, but in pieces", "let PyTorch keep"),
        (OLD.format("5.54 GiB"), "the memory is there, but in pieces", "let PyTorch keep"),
        (MODERN.format("Process 811 has 18.90 GiB memory in use. ", "4.60 GiB", "20.00 MiB"),
         "another process uses the GPU", "free the memory"),
        (MODERN.format("", "23.00 GiB", "20.00 MiB"), "the model, batch size or context does not fit", "ask for less"),
        (MODERN.format("", "23.00 GiB", "1.90 GiB"), None, "ask for less"),
        (OLD.format("8.40 GiB"), "the model, batch size or context does not fit", "ask for less"),
        (OLD.format("7.40 GiB"), None, "ask for less"),
        ("ValueError: Free memory on device cuda:0 (54.34/79.18 GiB) on startup is less than desired GPU memory "
         "utilization (0.92, 72.84 GiB).", "another process uses the GPU", "free the memory"),
    ],
)  # fmt: skip
def test_pytorchs_account_decides_why_memory_was_lacking(said: str, likely: str | None, fix: str) -> None:
    first = diagnose_log(said).first
    assert first is not None
    assert first.finding.fault == "cuda-out-of-memory"
    assert [one.cause.title for one in first.causes if one.state == "likely"] == ([likely] if likely else [])
    assert first.fixes[0].title.startswith(fix)


@pytest.mark.parametrize(
    ("symbol", "likely"),
    [
        ("_ZN3c106detail23torchInternalAssertFailEPKcS2_jS2_", "the extension was built for another torch"),
        ("_ZNK2at6Tensor4sizeEl", "the extension was built for another torch"),
        ("__nvJitLinkComplete_12_4", "an older CUDA library comes first on the search path"),
        ("cublasLtGetStatusString", "an older CUDA library comes first on the search path"),
        ("_ZNSt7__cxx1112basic_stringIcE", None),
    ],
)
def test_an_undefined_symbol_tells_whose_it_is(symbol: str, likely: str | None) -> None:
    first = diagnose_log(f"ImportError: /app/ext.so: undefined symbol: {symbol}").first
    assert first is not None
    assert first.finding.fault == "lib-undefined-symbol"
    assert [one.cause.title for one in first.causes if one.state == "likely"] == ([likely] if likely else [])


@pytest.mark.parametrize(
    ("arch", "toolkits", "image"),
    [
        ("sm_110a", "13.0 and later", "nvidia/cuda:13.3.0-devel-ubuntu24.04"),
        ("sm_120", "12.8 and later", "nvidia/cuda:12.9.2-devel-ubuntu22.04"),
        ("sm_101", "12.8 to 12.9", "nvidia/cuda:12.9.2-devel-ubuntu22.04"),
        ("sm_37", "up to 11.8", "nvidia/cuda:11.8.0-devel-ubuntu22.04"),
        ("sm_30", "up to 10.2", None),
        ("sm_20", None, None),
    ],
)
def test_an_image_is_named_only_if_its_toolkit_knows_the_target(arch: str, toolkits: str, image: str) -> None:
    values = derive(Finding("cuda-toolkit-arch-unsupported", (), {"arch": arch})).values
    assert (values.get("toolkits"), values.get("toolkit_image")) == (toolkits, image)


CONDA, FIRST, IMAGE, HOST = (
    "update the C++ runtime of the conda environment",
    "put the newer copy first",
    "use an image of a newer distribution release",
    "start without the host's libraries, or from an image as new as the host",
)


@pytest.mark.parametrize(
    ("folder", "fixes"),
    [
        ("/opt/conda/lib/", [CONDA, HOST]),
        ("/lib/x86_64-linux-gnu/", [FIRST, IMAGE, HOST]),
        ("", [FIRST, CONDA, IMAGE, HOST]),
    ],
)
def test_a_copy_that_is_too_old_is_not_put_first(folder: str, fixes: list[str]) -> None:
    log = f"ImportError: {folder}libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by /opt/module.so)\n"
    first = diagnose_log(log).first
    assert first is not None
    assert [fix.title for fix in first.fixes] == fixes


@pytest.mark.parametrize(
    ("arch", "command"),
    [
        ("gfx1032", "HSA_OVERRIDE_GFX_VERSION=10.3.0 <program>"),
        ("gfx1103:xnack-", "HSA_OVERRIDE_GFX_VERSION=11.0.0 <program>"),
        ("gfx1201", None),
        ("gfx1151", None),
        ("", "HSA_OVERRIDE_GFX_VERSION=<such as 10.3.0> <program>"),
    ],
)
def test_an_override_is_named_only_within_a_family(arch: str, command: str | None, base: Base) -> None:
    finding = derive(Finding("amd-no-kernel-image", (), {"arch": arch} if arch else {}))
    (diagnosis,) = diagnose([finding], base).ranked
    offered = [line for fix in diagnosis.fixes for line in fix.commands if "HSA_OVERRIDE" in line]
    assert offered == ([command] if command else [])


@pytest.mark.parametrize(
    ("line", "driver"),
    [
        ("nvidia/550.54.15, 5.15.0-91-generic, x86_64: installed", "550.54.15"),
        ("nvidia, 470.199.02, 5.15.0-91-generic, x86_64: installed", "470.199.02"),
        ("ii  nvidia-384   384.81-0ubuntu1   amd64   NVIDIA binary driver", "384.81"),
        ("Building initial module amdgpu/5.18.13-1538762.20.04 for 6.5.0-41-generic", "5.18.13"),
        ("amdgpu, 5.11.32-1350682, 5.4.0-97-generic, x86_64: installed", "5.11.32"),
        ("NVIDIA drivers: 390.116", "390.116"),
        ("This release requires NVIDIA driver 525.60.13 or later", None),
    ],
)
def test_the_drivers_version_is_read_from_what_other_tools_print(line: str, driver: str | None) -> None:
    first = diagnose_log(f"{line}\nCUDA error: no kernel image is available for execution on the device\n").first
    assert first is not None
    assert first.finding.values.get("driver") == driver


@pytest.mark.parametrize(
    ("values", "age"),
    [
        ({"arch": "sm_120", "supported": "sm_80 sm_90"}, "newer"),
        ({"arch": "sm_61", "supported": "sm_70 sm_90"}, "older"),
        ({"compute_capability": "6.1", "supported": "70 75 80 86"}, "older"),  # Paddle writes bare numbers
        ({"compute_capability": "90", "supported": "70 75 80 86"}, "newer"),
        ({"compute_capability": "8.6", "supported": "70 75 80 86"}, None),
        ({"arch": "sm_120", "supported": "(7.0) - (12.0)"}, None),
    ],
)
def test_a_gpu_is_newer_or_older_than_the_code(values: dict[str, str], age: str | None) -> None:
    assert derive(Finding("cuda-no-kernel-image", (), values)).values.get("gpu_age") == age


@pytest.mark.parametrize(
    ("values", "command"),
    [
        ({"framework": "jax", "seems_framework": "torch"}, "jax[cuda12]"),
        ({"seems_framework": "paddle"}, "/cu126/"),
        ({"framework": "paddle", "compute_capability": "12.0"}, "/cu129/"),
        ({"framework": "torch"}, None),
        ({}, None),
    ],
)
def test_how_a_framework_is_installed_for_cuda(values: dict[str, str], command: str | None) -> None:
    derived = derive(Finding("cuda-no-kernel-image", (), values)).values.get("gpu_build")
    assert command in derived if command and derived else derived is command


def test_a_framework_is_called_as_its_makers_call_it() -> None:
    assert derive(Finding("cuda-no-kernel-image", (), {"seems_framework": "cupy"})).values["framework_name"] == "CuPy"


def test_one_command_installs_every_library_that_is_missing() -> None:
    values = derive(
        Finding("lib-system-missing", (), {"library": "libGL.so.1", "libraries": "libGL.so.1 libnone.so.3"})
    ).values
    assert values["apt_packages"] == "libgl1 <package of libnone.so.3>"
    assert values["rpm_names"] == "'libGL.so.1()(64bit)' 'libnone.so.3()(64bit)'"
    assert values["also_missing"] == "Missing as well: libnone.so.3."
    alone = derive(Finding("lib-system-missing", (), {"library": "libGL.so.1"})).values
    assert (alone["apt_packages"], alone["sonames"], "also_missing" in alone) == ("libgl1", "libGL.so.1", False)


@pytest.mark.parametrize(
    ("library", "system"),
    [("cudart64_12.dll", "windows"), ("libcudart.so.12", "linux"), ("cublas", "linux"), ("libnvonnxparser.a", None)],
)
def test_a_file_name_tells_the_system(library: str, system: str | None) -> None:
    assert derive(Finding("lib-cudart-missing", (), {"library": library})).values.get("system") == system


@pytest.mark.parametrize(
    ("symbol", "owner"),
    [
        ("_ZN3c105ErrorE", "torch"),
        ("__nvJitLinkComplete_12_4", "a CUDA library"),
        ("cuMemCreate", "the driver"),
        ("nvmlInit_v2", "the driver"),
        ("_Py_ZeroStruct", "Python"),
        ("hipLaunchKernelExC", "a ROCm library"),
        ("TRITONBACKEND_StateBuffer", "Triton's server"),
        ("_ZN8pybind116detail11type_casterIN2at6TensorEvE4loadENS_6handleEb", "torch"),
        ("_Z18cutlass_mla_decodeRKN2at6TensorES2_", "the module itself"),
        ("curl_easy_init", None),
    ],
)
def test_a_symbol_tells_whose_it_is(symbol: str, owner: str | None) -> None:
    assert derive(Finding("lib-undefined-symbol", (), {"symbol": symbol})).values.get("symbol_of") == owner
