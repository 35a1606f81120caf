"""Recommendations: only what the tables support, limits by generation, lines that a shell and YAML readers take."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest

from doctor.gpus import Gpu, find_gpu, gpu_named
from doctor.recommend import FRAMEWORKS, VENDORS, Machine, recommend


def gpu(name: str) -> Gpu:
    found = find_gpu(name)
    assert isinstance(found, Gpu), name
    return found


def one(name: str, framework: str = "torch", machine: Machine | None = None):  # type: ignore[no-untyped-def]
    advice = recommend([gpu(name)], framework, machine or Machine())
    assert len(advice) == 1
    return advice[0]


def test_volta_stays_with_cuda_12() -> None:
    """CUDA 13.0 dropped Volta: https://docs.nvidia.com/cuda/archive/13.0.0/cuda-toolkit-release-notes/"""
    advice = one("V100")
    assert "-cuda12." in advice.image
    assert any("CUDA 12.9 was the last" in row for row in advice.limits)
    assert any("580" in row for row in advice.limits)


@pytest.mark.parametrize("name", ["RTX 5090", "B200"])
def test_blackwell_needs_cuda_12_8(name: str) -> None:
    image = one(name).image
    cuda = tuple(int(part) for part in image.partition("-cuda")[2].partition("-")[0].split("."))
    assert cuda >= (12, 8)
    assert any("CUDA 12.8 or later" in row and "570" in row for row in one(name).limits)


def test_driver_bounds_the_choice() -> None:
    assert one("A100", "none", Machine(driver="470.57.02")).image.startswith("nvidia/cuda:<11.")
    new = one("RTX 5090", "none", Machine(driver="570.124.06"))
    assert ":12." in new.image


def test_mi50_is_told_that_it_was_dropped() -> None:
    advice = one("gfx906")
    assert advice.image == ""
    assert any("dropped" in row for row in advice.limits)


def test_rdna4_and_cdna3_get_rocm() -> None:
    for name in ("gfx1201", "MI300X"):
        advice = one(name)
        assert advice.image.startswith("rocm/pytorch:")
        assert advice.line.startswith("ROCm ")


def test_mixed_fleet_has_an_image_for_each_vendor_and_label() -> None:
    advice = recommend([gpu("V100"), gpu("MI300X"), gpu("T4")], "torch", Machine())
    assert [[item.vendor for item in row.gpus] for row in advice] == [["nvidia", "nvidia"], ["amd"]]
    pods = [next(way.text for way in row.ways if way.title == "Kubernetes") for row in advice]
    assert "nvidia.com/gpu: 1" in pods[0]
    assert "amd.com/gpu: 1" in pods[1]
    for minor in ("0", "5"):
        assert f'- {{key: nvidia.com/gpu.compute.minor, operator: In, values: ["{minor}"]}}' in pods[0]
    pod = next(way.text for way in one("V100").ways if way.title == "Kubernetes")
    assert 'nvidia.com/gpu.compute.major: "7"' in pod


def test_gpus_that_no_one_image_fits_are_split() -> None:
    """Kepler ended with CUDA 11, Blackwell begins with 12.8."""
    advice = recommend([gpu("sm_35"), gpu("RTX 5090")], "none", Machine())
    assert [[item.target for item in row.gpus] for row in advice] == [["3.5"], ["12.0"]]


def test_amd_line_uses_the_hosts_own_group_numbers() -> None:
    advice = one("MI300X", machine=Machine(groups=(44, 992)))
    words = shlex.split(next(way.text for way in advice.ways if way.title == "docker run"))
    assert [word for word in words if word.startswith(("--device", "--group"))] == [
        "--device=/dev/kfd", "--device=/dev/dri", "--group-add=44", "--group-add=992",
    ]  # fmt: skip
    assert not any("seccomp" in word or "ipc" in word for word in words)


def test_engine_decides_the_nvidia_line() -> None:
    assert "--gpus" in one("A100").ways[0].text
    assert "--device=nvidia.com/gpu=all" in one("A100", machine=Machine(engine="podman")).ways[0].text
    assert "--device=nvidia.com/gpu=all" in one("A100", machine=Machine(cdi=True)).ways[0].text


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(
    "name",
    [
        "P100",
        "V100",
        "T4",
        "A100",
        "RTX 4090",
        "H100",
        "B200",
        "RTX 5090",
        "gfx906",
        "gfx90a",
        "gfx942",
        "gfx1030",
        "gfx1100",
        "gfx1103",
        "gfx1201",
    ],
)
def test_every_line_is_shell_and_every_fact_has_its_source(name: str, framework: str) -> None:
    advice = one(name, framework)
    for way in advice.ways:
        if way.language == "sh" and "<" not in way.text:
            done = subprocess.run(["sh", "-n"], input=way.text, capture_output=True, text=True, timeout=10, check=False)
            assert done.returncode == 0, way.text
    if advice.image:
        assert advice.sources
        assert advice.checked >= "2026-01-01"
    else:
        assert advice.limits


def test_two_sentences() -> None:
    text = " ".join(VENDORS)
    assert len(VENDORS) == 2
    assert "torch.cuda" in text
    assert "cannot run on an AMD GPU" in text


def test_what_is_not_published_is_said_and_what_is_lost_is_not_recommended() -> None:
    """vLLM does not publish its targets; its newest release is built with a CUDA that has dropped Pascal."""
    new = one("RTX 5090", "vllm")
    assert new.image.startswith("vllm/vllm-openai:v")
    assert any("is not published" in row and "gpu-doctor image" in row for row in new.limits)
    assert one("GTX 1080", "vllm").image == ""
    # Built with a CUDA that cannot write code for Blackwell.
    assert one("RTX 5090", "tensorflow").image == ""


def test_a_drivers_own_cuda_goes_before_compatibility() -> None:
    chosen = one("A100", "none", Machine(driver="580.95.05"))
    assert chosen.image.startswith("nvidia/cuda:12.9")
    assert not any("minor-version" in row for row in chosen.limits)


def test_podman_gets_full_names() -> None:
    for name in ("A100", "MI300X"):
        line = next(way.text for way in one(name, machine=Machine(engine="podman")).ways if way.title == "podman run")
        assert "docker.io/" in line


def test_verb() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "doctor", "recommend", "--gpu", "RTX 5090", "--gpu", "MI300X", "--framework", "torch", "--json"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content["schema"] == "gpu-doctor/recommend/1"
    assert [len(row["gpus"]) for row in content["recommendations"]] == [1, 1]
    assert all(row["sources"] and row["start"] for row in content["recommendations"])


@pytest.mark.parametrize(
    ("name", "labeller"), [("RTX 5090", "GPU Feature Discovery"), ("MI300X", "AMD's node labeller")]
)
def test_a_pod_that_chooses_nodes_says_who_labels_them(name: str, labeller: str) -> None:
    """The device plugin alone sets no such labels, and the pod would wait for ever."""
    (advice,) = recommend([gpu_named(name)], "torch", Machine())
    pod = next(way for way in advice.ways if way.title == "Kubernetes")
    assert "nodeSelector" in pod.text
    assert f"the labels of {labeller}: without them the pod stays Pending" in pod.when
