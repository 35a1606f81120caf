"""Outputs of tools in a ticket are read as a probe's answers, and joined with the error beside them."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from doctor.bundles.recognise import pasted
from doctor.bundles.sources import tickets
from doctor.bundles.ticket import Leaf, Ticket
from doctor.check import discover
from doctor.knowledge import shipped
from doctor.match import patterns_of
from doctor.report import Report
from doctor.triage.examine import Bench, examine

from . import outputs as o

BENCH = Bench(shipped(), patterns_of(shipped()), discover())
NO_LIBCUDA = "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory\n"
NO_DRIVER = "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU\n"
NO_KERNEL = "RuntimeError: CUDA error: no kernel image is available for execution on the device\n"


def report(text: str) -> Report:
    return examine(Ticket("t", leaf=Leaf("t", text.encode())), BENCH)


def told(text: str) -> dict[str, str]:
    parts = pasted(text.encode(), "t")
    return {name: value for part in reversed(parts) for name, value in (*part.circumstances, *part.values)}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (o.COLLECT_ENV, {"torch": "2.5.1+cu124", "cuda": "12.4", "driver": "570.86.16", "arch": "sm_120", "distro": "ubuntu"}),
        (o.VLLM_COLLECT_ENV, {"torch": "2.7.0+cu126", "driver": "470.161.03", "device": "NVIDIA A100-SXM4-80GB", "distro": "rhel"}),
        (o.VLLM_ROCM, {"rocm": "7.2.26015-fc0010cf6a", "device": "AMD Radeon RX 7900 XTX", "arch": "gfx1100", "vendor": "amd"}),
        (o.SMI_2018, {"driver": "384.130", "device": "Quadro M4000"}),
        (o.SMI, {"driver": "550.54.15", "cuda_driver": "12.4", "device": "NVIDIA H100 80GB HBM3", "arch": "sm_90"}),
        (o.SMI_WINDOWS, {"driver": "555.85", "device": "NVIDIA GeForce RTX 4090"}),
        (o.SMI_SPARK, {"driver": "580.95.05", "device": "NVIDIA GB10", "arch": "sm_121"}),
        (o.SMI_Q, {"driver": "550.54.14", "cuda_driver": "12.4", "device": "NVIDIA A100-SXM4-40GB"}),
        (o.SMI_Q_2018, {"driver": "375.82", "device": "Quadro M1000M"}),
        (o.SMI_XML, {"driver": "535.86.05", "cuda_driver": "12.2", "device": "NVIDIA GeForce RTX 4090"}),
        (o.ROCMINFO, {"arch": "gfx1100", "device": "Radeon RX 7900 XTX", "vendor": "amd"}),
        (o.AMD_SMI_STATIC, {"arch": "gfx950", "device": "AMD Instinct MI350X"}),
        (o.AMD_SMI_TABLE, {"arch": "gfx942", "device": "AMD Instinct MI325X", "rocm": "7.0.1"}),
        (o.AMD_SMI_VERSION, {"rocm": "6.4.0"}),
        (o.ROCM_SMI, {"arch": "gfx942", "device": "AMD Instinct MI300X"}),
        (o.ROCM_SMI_JSON, {"arch": "gfx90a", "device": "AMD Instinct MI210"}),
        (o.INSPECT, {"container": "trainer", "image": "registry.example/trainer:2.3", "engine": "docker"}),
        (o.POD, {"pod": "llm-0", "namespace": "serving", "node": "gpu-node-3", "image": "registry.example/llm:1.4"}),
        (o.NODE, {"cluster": "kubernetes", "engine": "containerd"}),
        (o.BUG_REPORT, {"driver": "550.54.14", "distro": "ubuntu", "device": "NVIDIA A100-SXM4-40GB"}),
    ],
    ids=lambda value: next(iter(value.values())) if isinstance(value, dict) else value[:24],
)  # fmt: skip
def test_an_output_is_recognised_by_its_content(text: str, wanted: dict[str, str]) -> None:
    got = told(f"Hello,\nsee this:\n\n{text}\nThanks\n")
    assert {name: got.get(name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        # Two kinds of GPU: which one the error is about is not known.
        (o.ROCMINFO_TWO, ("arch", "device")),
        # The program's own source, pasted.
        (o.COLLECT_ENV_SOURCE, ("torch", "driver", "device")),
        # Inside a container: the kernel is another distribution's.
        (o.COLLECT_ENV.replace("6.8.0-45-generic", "5.14.0-427.el9.x86_64"), ("distro",)),
        # Cut in the middle of the JSON.
        (o.INSPECT[:900], ("container",)),
    ],
    ids=["two kinds", "source", "container", "cut"],
)
def test_what_is_not_told_is_not_concluded(text: str, absent: tuple[str, ...]) -> None:
    assert not set(absent) & told(text).keys()


@pytest.mark.parametrize(
    "text",
    [
        NO_DRIVER + o.INSPECT,
        "[rank0]: epoch\n" * 900 + NO_DRIVER + o.INSPECT,
        "".join(f"> {line}\n" for line in (NO_DRIVER + o.INSPECT).splitlines()),
    ],
    ids=["plain", "after many brackets", "quoted"],
)
def test_a_containers_configuration_settles_what_its_log_leaves_open(text: str) -> None:
    alone, joined = report(NO_DRIVER).diagnoses[0], report(text).diagnoses[0]
    assert alone.finding.fault == "cuda-no-device"
    assert (joined.finding.fault, joined.finding.sure) == ("nvidia-gpu-not-requested", "certain")
    assert joined.explains == ("cuda-no-device",)
    assert joined.finding.values["container"] == "trainer"


def test_an_error_and_collect_env_are_one_diagnosis_with_the_values_filled_in() -> None:
    got = report("It dies:\n" + NO_KERNEL + o.COLLECT_ENV)
    assert [item.finding.fault for item in got.diagnoses] == ["cuda-no-kernel-image"]
    assert "RTX 5090" in got.diagnoses[0].title
    assert {"sm_120", "570.86.16", "2.5.1+cu124"} <= set(got.diagnoses[0].finding.values.values())


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (o.VLLM_COLLECT_ENV, "cuda-driver-too-old"),
        (o.SMI_Q, "nvidia-xid-hardware"),
        (o.NODE, "k8s-gpu-resource-unavailable"),
        (o.NODES_YAML, "k8s-gpu-resource-unavailable"),
        (o.PLUGIN_POD, "k8s-device-plugin-failed"),
        (o.BUG_REPORT, "nvidia-gpu-fell-off-bus"),
    ],
    ids=lambda value: value[:30],
)
def test_an_output_alone_shows_what_is_wrong(text: str, fault: str) -> None:
    assert report(text).diagnoses[0].finding.fault == fault


@pytest.mark.parametrize("text", [o.SMI, o.ROCMINFO, o.AMD_SMI_TABLE, o.VLLM_ROCM, o.DOCKER_INFO, o.INSPECT,
                                  o.COLLECT_ENV_SOURCE, o.NODE.replace("nvidia.com/gpu:     0", "nvidia.com/gpu:     4")],
                         ids=lambda text: text.split("\n")[0][:30])  # fmt: skip
def test_outputs_of_a_healthy_machine_show_no_fault(text: str) -> None:
    got = report(text)
    assert (got.verdict, [item.finding.fault for item in got.diagnoses]) == ("none", [])


def test_nvidia_bug_report_compressed_is_one_ticket(tmp_path: Path) -> None:
    path = tmp_path / "nvidia-bug-report.log.gz"
    path.write_bytes(gzip.compress(o.BUG_REPORT.encode()))
    (ticket,) = tickets([str(path)])
    got = examine(ticket, BENCH).diagnoses[0]
    assert (got.finding.fault, got.finding.values["device"]) == ("nvidia-gpu-fell-off-bus", "NVIDIA A100-SXM4-40GB")


SOS = {
    "sosreport-node7-2024-06-06-abcdefg/version.txt": "4.7.1\n",
    "sosreport-node7-2024-06-06-abcdefg/sos_commands/kernel/dmesg": "[    1.0] Linux version 6.1\n",
    "sosreport-node7-2024-06-06-abcdefg/sos_commands/podman/podman_ps": "CONTAINER ID  IMAGE\n",
    "sosreport-node7-2024-06-06-abcdefg/sos_commands/nvidia/nvidia-smi": o.SMI,
    "sosreport-node7-2024-06-06-abcdefg/var/log/messages": NO_LIBCUDA,
    "sosreport-node7-2024-06-06-abcdefg/etc/os-release": 'PRETTY_NAME="Rocky Linux 9"\nID="rocky"\nID_LIKE="rhel"\n',
}
CONFIGURED = {
    "sosreport-node7-2024-06-06-abcdefg/version.txt": "4.7.1\n",
    "sosreport-node7-2024-06-06-abcdefg/etc/nvidia-container-runtime/config.toml": "[nvidia-container-cli]\nno-cgroups = true\n",
    "sosreport-node7-2024-06-06-abcdefg/sos_commands/docker/docker_info": o.DOCKER_INFO,
}
GATHERED = {
    "must-gather/cluster-scoped-resources/core/nodes/gpu-node-3.yaml": o.NODES_YAML,
    "must-gather/namespaces/gpu-operator/pods/nvidia-driver-daemonset-1/current.log": "starting\n",
}


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        (SOS, "nvidia-gpu-not-requested"),
        (CONFIGURED, "nvidia-no-cgroups-set"),
        (GATHERED, "k8s-gpu-resource-unavailable"),
    ],
    ids=["sosreport", "configuration", "must-gather"],
)
@pytest.mark.parametrize("packed", ["folder", "xz", "gz"])
def test_a_support_bundle_is_one_ticket(tmp_path: Path, files: dict[str, str], fault: str, packed: str) -> None:
    if packed == "folder":
        for name, text in files.items():
            (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "in" / name).write_text(text)
        path = tmp_path / "in"
    else:
        path = tmp_path / f"bundle.tar.{packed}"
        with tarfile.open(path, f"w:{packed}") as archive:
            for name, text in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))
    (ticket,) = tickets([str(path)])
    got = examine(ticket, BENCH)
    assert ticket.is_bundle
    assert got.diagnoses[0].finding.fault == fault
