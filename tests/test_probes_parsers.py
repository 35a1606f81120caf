"""Parsers of what tools and kernels write: every form is one that was seen, and bad input is an error or Unknown."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.facts import Facts, parse, yaml
from doctor.facts.amd import amd
from doctor.facts.cdi import specs
from doctor.facts.kernel import PATTERNS, KernelFacts, kernel
from doctor.facts.nvidia import Module, NvidiaFacts, nvidia
from doctor.facts.nvml import address
from doctor.facts.toolkit import Broken, DaemonConfig, ToolkitConfig, ToolkitFacts, toolkit
from doctor.facts.unknown import Unknown
from doctor.probes.cdi import folders_told
from doctor.snapshot import Reading, Snapshot, Target


def snapshot(*readings: Reading) -> Snapshot:
    return Snapshot("2026-11-24T12:00:00Z", "0.1.0", Target(), {one.key: one for one in readings})


YAML = """---
cdiVersion: 0.5.0
containerEdits:
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - args:
    - nvidia-cdi-hook
    - create-symlinks
    - --link
    - libcuda.so.1::/usr/lib/x86_64-linux-gnu/libcuda.so
    hookName: createContainer
    path: /usr/bin/nvidia-cdi-hook
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      type: c
  name: "0"
- name: 'it''s'
  annotations: {}
  empty: []
kind: nvidia.com/gpu   # a comment
last:
"""


def test_yaml() -> None:
    found = yaml.loads(YAML)
    assert found["cdiVersion"] == "0.5.0"
    assert found["kind"] == "nvidia.com/gpu"
    assert found["last"] is None
    assert found["containerEdits"]["env"] == ["NVIDIA_VISIBLE_DEVICES=void"]
    hook = found["containerEdits"]["hooks"][0]
    assert hook["args"][-1] == "libcuda.so.1::/usr/lib/x86_64-linux-gnu/libcuda.so"
    assert hook["path"] == "/usr/bin/nvidia-cdi-hook"
    assert found["devices"] == [
        {"containerEdits": {"deviceNodes": [{"path": "/dev/nvidia0", "type": "c"}]}, "name": "0"},
        {"name": "it's", "annotations": {}, "empty": []},
    ]


@pytest.mark.parametrize("text", ["a:\n\tb: 1", "a: 'b", "just words\nmore: 1", "a: 1\n   b: 2", "a: *x", "a: 1\na: 2"])
def test_what_is_no_yaml_is_told_with_its_line(text: str) -> None:
    with pytest.raises(ValueError, match="line"):
        yaml.loads(text)


@given(st.text(alphabet="abc:- \n\"'#[]{}&*!|>?%", max_size=200))
def test_any_text_is_yaml_or_an_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        yaml.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "- " * 5000 + "x",
        "[" * 5000,
        "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(f"{n}: &{n} [{', '.join([f'*{o}'] * 9)}]\n" for o, n in zip("abcdefgh", "bcdefghi", strict=True)),
        "a: &a [*a]",
    ],
    ids=["block", "flow", "bomb", "ring"],
)  # fmt: skip
def test_deep_and_endless_yaml_ends(text: str) -> None:
    with pytest.raises(ValueError, match=r"too deep|aliases|line 1"):
        yaml.loads(text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "empty"),
        ("- a", "not a mapping"),
        ("kind: nvidia.com/gpu", "no cdiVersion"),
        ("cdiVersion: 0.5.0", "no kind"),
        ("cdiVersion: 0.5.0\nkind: nvidia.com/gpu\n", "it describes no device"),
    ],
)
def test_cdi_that_is_none(text: str, error: str) -> None:
    (spec,) = specs(snapshot(Reading("file:/etc/cdi/x.yaml", "ok", text)))
    assert spec.error == error


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"features": {"cdi": true}, "cdi-spec-dirs": ["/opt/cdi", "/srv/cdi/"]}', ["/opt/cdi", "/srv/cdi/"]),
        ('    cdi_spec_dirs = ["/etc/cdi", "/var/run/cdi"]\n', ["/etc/cdi", "/var/run/cdi"]),
        ("cdi_spec_dirs = [\n  '/opt/cdi',\n]\n", ["/opt/cdi"]),
        ('# cdi_spec_dirs = ["/opt/cdi"]\n', []),
        ('cdi_spec_dirs = ["relative"]\n', []),
    ],
    ids=["daemon.json", "containerd", "containers.conf", "a comment", "no path"],
)
def test_folders_that_an_engine_reads_cdi_from(text: str, told: list[str]) -> None:
    assert folders_told(text) == told


def test_the_newest_folder_comes_last() -> None:
    text = json.dumps({"cdiVersion": "0.6.0", "kind": "amd.com/gpu", "devices": [{"name": "0"}]})
    readings = [Reading(f"file:{folder}/amd.json", "ok", text) for folder in ("/run/cdi", "/etc/cdi")]
    assert [spec.path for spec in specs(snapshot(*readings))] == ["/etc/cdi/amd.json", "/run/cdi/amd.json"]


VERSIONS = (
    (
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12 19:39:15 UTC 2024",
        "535.183.01",
        "proprietary",
    ),
    (
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build  (dvs-builder@U16)",
        "570.86.15",
        "open",
    ),
    ("NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.95  Release Build", "580.95", "open"),
)


@pytest.mark.parametrize(("line", "version", "kind"), VERSIONS)
def test_module_version(line: str, version: str, kind: str) -> None:
    facts = nvidia(
        snapshot(
            Reading("names:/proc/driver/nvidia", "ok", "version"),
            Reading("file:/proc/driver/nvidia/version", "ok", line),
        )
    )
    assert isinstance(facts, NvidiaFacts)
    assert isinstance(facts.module, Module)
    assert (facts.module.version, facts.module.kind) == (version, kind)


def test_could_not_look_is_not_absence() -> None:
    for state, expected in (("missing", None), ("denied", Unknown), ("timeout", Unknown)):
        key = "file:/proc/driver/nvidia/version"
        facts = nvidia(snapshot(Reading("names:/proc/driver/nvidia", "ok", ""), Reading(key, state, error="no")))
        assert isinstance(facts, NvidiaFacts)
        assert facts.module is None if expected is None else isinstance(facts.module, Unknown)
        assert isinstance(facts.has_smi, bool)
        assert isinstance(facts.fabric.installed, Unknown), "its program was not looked for"


LINES = (
    (
        "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
        "xid",
        {"pci": "0000:3b:00", "xid": "79"},
    ),
    ("NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus.", "fell-off", {}),
    ("NVRM: API mismatch: the client has the version 535.104.05, but", "mismatch", {"library": "535.104.05"}),
    (
        "NVRM: GPU 0000:01:00.0: RmInitAdapter failed! (0x26:0x56:1463)",
        "nvidia-init",
        {"pci": "0000:01:00.0", "code": "0x26:0x56:1463"},
    ),
    ("NVRM: installed in this system requires use of the NVIDIA open kernel modules.", "nvidia-needs-open", {}),
    ("NVRM: installed in this system is not supported by the", "nvidia-unsupported", {}),
    ("NVRM: supported through the NVIDIA 470.xx Legacy drivers. Please", "nvidia-unsupported", {}),
    ("amdgpu: Loading of module with unavailable key is rejected", "module-rejected", {"module": "amdgpu"}),
    ("nvidia: Loading of unsigned module is rejected", "module-rejected", {"module": "nvidia"}),
    ("Loading of module with unavailable key is rejected", "module-rejected", {}),
    (
        "amdgpu 0000:03:00.0: amdgpu: ring gfx_0.0.0 timeout, signaled seq=1, emitted seq=2",
        "amd-hang",
        {"ring": "gfx_0.0.0"},
    ),
    ("amdgpu 0000:03:00.0: amdgpu: GPU reset begin!", "amd-reset", {}),
    ("amdgpu 0000:03:00.0: amdgpu: GPU reset(2) failed", "amd-reset", {}),
    (
        "amdgpu 0000:c1:00.0: amdgpu: [gfxhub0] no-retry page fault (src_id:0 ring:24 vmid:9 pasid:32769)",
        "amd-page-fault",
        {},
    ),
    (
        "amdgpu 0000:03:00.0: Direct firmware load for amdgpu/psp_13_0_0_sos.bin failed with error -2",
        "amd-firmware",
        {"file": "amdgpu/psp_13_0_0_sos.bin"},
    ),
    ("amdgpu 0000:03:00.0: amdgpu: Fatal error during GPU init", "amd-init", {}),
    ("amdgpu: probe of 0000:03:00.0 failed with error -12", "amd-init", {"pci": "0000:03:00.0"}),
    (
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=libpod-3714,mems_allowed=0,"
        "oom_memcg=/libpod_parent/libpod-3714,task_memcg=/libpod_parent/libpod-3714,task=memory,pid=7,uid=0",
        "oom",
        {"cgroup": "/libpod_parent/libpod-3714", "process": "memory", "pid": "7"},
    ),
    (
        "Task in /docker/9f86 killed as a result of limit of /docker/9f86",
        "oom",
        {"old_cgroup": "/docker/9f86"},
    ),
)


@pytest.mark.parametrize(("line", "kind", "values"), LINES)
def test_kernel_lines(line: str, kind: str, values: dict[str, str]) -> None:
    facts = kernel(snapshot(Reading("command:dmesg", "ok", f"first\n[   12.345678] {line}")))
    assert isinstance(facts, KernelFacts)
    (event,) = facts.events
    assert (event.kind, event.line) == (kind, 2)
    assert event.values == values


def test_every_kind_of_kernel_line_is_tried() -> None:
    tried = {kind for _, kind, _ in LINES} | {"selinux", "apparmor"}
    assert {kind for kind, _ in PATTERNS} == tried


def test_an_empty_journal_is_no_log() -> None:
    """Without rights journalctl ends well and shows nothing."""
    facts = kernel(
        snapshot(
            Reading("command:dmesg", "failed", error="dmesg: read kernel buffer failed: Operation not permitted"),
            Reading("command:journalctl --dmesg -n", "ok", ""),
        )
    )
    assert isinstance(facts, Unknown)
    assert "Operation not permitted" in facts.reason


def config(path: str, text: str) -> ToolkitFacts:
    facts = toolkit(snapshot(Reading("node:/usr/bin/nvidia-ctk", "missing"), Reading(f"file:{path}", "ok", text)))
    assert isinstance(facts, ToolkitFacts)
    return facts


def test_toolkit_config() -> None:
    path = "/etc/nvidia-container-runtime/config.toml"
    found = config(
        path,
        '[nvidia-container-cli]\nno-cgroups = true\nldconfig = "@/sbin/ldconfig"\n[nvidia-container-runtime]\nmode = "cdi"\n',
    ).config
    assert found == ToolkitConfig(True, "@/sbin/ldconfig", "", "cdi")
    assert isinstance(config(path, "[x").config, Broken)


def test_daemon_config() -> None:
    text = '{"runtimes": {"nvidia": {"path": "/usr/bin/nvidia-container-runtime"}}, "features": {"cdi": true}, "exec-opts": ["native.cgroupdriver=cgroupfs"]}'
    found = config("/etc/docker/daemon.json", text).daemon
    assert isinstance(found, DaemonConfig)
    assert (found.runtimes, found.cdi, found.cgroup_driver) == (
        {"nvidia": "/usr/bin/nvidia-container-runtime"},
        True,
        "cgroupfs",
    )
    assert config("/etc/docker/daemon.json", " \n").daemon is None
    assert isinstance(config("/etc/docker/daemon.json", "[1]").daemon, Broken)


@pytest.mark.parametrize(
    "text",
    [
        '[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.nvidia]',
        '[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]',
        "[plugins.cri.containerd.runtimes.nvidia]",
    ],
)
def test_containerd_config_of_every_version(text: str) -> None:
    assert config("/etc/containerd/config.toml", text).containerd == ("nvidia",)


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("1:6.8.5.60200-2009582.24.04", "6.2.0"),
        ("1:6.12.12.60401-2164967.24.04", "6.4.1"),
        ("6.12.12.60401", "6.4.1"),
        ("1:6.16.6.30200000-2255209.24.04", "30.20.0"),
        ("unknown", ""),
    ],
)
def test_amd_driver_release(version: str, release: str) -> None:
    readings = (
        Reading("node:/dev/kfd", "missing"),
        Reading("names:/sys/module/amdgpu", "missing"),
        Reading("command:dpkg-query --show x", "ok", version),
    )
    facts = amd(snapshot(*readings))
    assert not isinstance(facts, Unknown)
    assert facts.release == release


def test_pci_addresses() -> None:
    assert address("00000000:17:00.0") == "0000:17:00.0"
    assert address("00010000:3B:00.0") == "0000:3b:00.0"
    assert address("") == ""


@given(st.lists(st.tuples(st.sampled_from(["file:/proc/modules", "command:dmesg", "child:doctor.probes.nvml_child", "file:/etc/cdi/a.json", "names:/sys/bus/pci/devices",
                                           "file:/sys/bus/pci/devices/a/uevent", "file:/proc/self/limits", "names:/proc/driver/nvidia", "command:kubectl get nodes",
                                           "node:/var/lib/kubelet", "node:/dev/kfd", "names:/sys/module/amdgpu", "file:/sys/class/kfd/kfd/topology/nodes/1/properties"]),
                          st.sampled_from(["ok", "missing", "denied", "timeout", "failed"]), st.text(max_size=60)), max_size=12))  # fmt: skip
def test_any_reading_parses_or_is_unknown(rows: list[tuple[str, str, str]]) -> None:
    facts = parse(snapshot(*(Reading(key, state, text) for key, state, text in rows)))  # type: ignore[arg-type]
    assert isinstance(facts, Facts)
