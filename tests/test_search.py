"""What a person types lands on its entry: an error code, a library, an id, words, or a line as the program printed it."""

from __future__ import annotations

import pytest

from doctor.codes import meaning
from doctor.knowledge import shipped
from doctor.match import patterns_of
from doctor.search import codes, search

PATTERNS = patterns_of(shipped())


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("error 803", "cuda-compat-library-conflict"),
        ("cuda 804", "cuda-forward-compat-unsupported"),
        ("error 999", "cuda-init-unknown-error"),
        ("209", "cuda-no-kernel-image"),
        ("CUDA_ERROR_NO_DEVICE", "cuda-no-device"),
        ("cudaErrorInsufficientDriver", "cuda-driver-too-old"),
        ("hipErrorNoBinaryForGpu", "amd-no-kernel-image"),
        ("hip error 100", "amd-no-hip-device"),
        ("HSA_STATUS_ERROR_OUT_OF_RESOURCES", "amd-hsa-init-failed"),
        ("NVML_ERROR_LIB_RM_VERSION_MISMATCH", "nvidia-driver-library-mismatch"),
        ("nvml 18", "nvidia-driver-library-mismatch"),
        ("CUDNN_STATUS_NOT_INITIALIZED", "cudnn-init-failed"),
        ("CUBLAS_STATUS_ALLOC_FAILED", "cublas-init-failed"),
        ("ncclSystemError", "nccl-system-or-network"),
        ("Xid 79", "nvidia-gpu-fell-off-bus"),
        ("xid 48", "nvidia-xid-hardware"),
        ("exit code 137", "container-oom-killed"),
        ("libcudart.so.11.0", "lib-cudart-missing"),
        ("libhsa-runtime64.so.1", "lib-rocm-missing"),
        ("libGL.so.1", "lib-system-missing"),
        ("MIG", "nvidia-mig-misconfigured"),
        ("permission denied kfd", "amd-kfd-permission"),
        ("cuda-no-kernel-image", "cuda-no-kernel-image"),
        (
            "docker: Error response from daemon: unknown or invalid runtime name: nvidia.",
            "nvidia-runtime-not-registered",
        ),
    ],
)
def test_the_entry_that_is_meant_is_among_the_first_two(text: str, first: str) -> None:
    assert first in [entry.id for entry in search(text, shipped(), PATTERNS)[:2]]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("error 209", "cuda-no-kernel-image"),
        ("out of memory", "cuda-out-of-memory"),
        ("hip error 209", "amd-no-kernel-image"),
        ("no-cgroups", "nvidia-no-cgroups-set"),
    ],
)
def test_what_is_asked_for_most_comes_first(text: str, first: str) -> None:
    assert search(text, shipped(), PATTERNS)[0].id == first


@pytest.mark.parametrize("text", ["gibberish nobody wrote", "", "   "])
def test_nothing_known(text: str) -> None:
    assert search(text, shipped(), PATTERNS) == []


@pytest.mark.parametrize(
    ("text", "meanings", "first"),
    [
        ("hipErrorInvalidValue", ["hipErrorInvalidValue is HIP error 1: invalid argument"], None),
        ("cudaErrorInvalidValue", ["cudaErrorInvalidValue is CUDA error 1: invalid argument"], None),
        ("hip error 1", ["hipErrorInvalidValue is HIP error 1: invalid argument"], None),
        ("CUDNN_STATUS_NOT_A_CODE", [], None),
        ("Xid 79", [], "nvidia-gpu-fell-off-bus"),
        ("cuda error 803", [], "cuda-compat-library-conflict"),
        ("cuda 12.4 driver 550.54", [], "cuda-driver-too-old"),
    ],
)
def test_a_code_that_no_entry_is_about_has_its_meaning(text: str, meanings: list[str], first: str | None) -> None:
    """And no entry that merely quotes it stands for it."""
    assert [meaning(row) for row in codes(text, shipped())] == meanings
    found = search(text, shipped(), PATTERNS)
    assert (found[0].id if found else None) == first
