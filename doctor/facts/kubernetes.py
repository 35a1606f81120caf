"""Kubernetes as this machine sees it: what kubectl printed (columns of doctor/probes/kubernetes.py).

Reasons of waiting containers and phases: https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/ ; the
kubelet's folder of plug-ins: https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from doctor.facts.read import is_there, lines_of, text_of
from doctor.facts.unknown import Unknown
from doctor.snapshot import Snapshot

NONE = "<none>"
Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class ClusterNode:
    name: str
    ready: bool
    nvidia: int
    amd: int
    """GPUs that it has by its own count."""
    nvidia_free: int
    amd_free: int
    """GPUs that pods may get."""
    labelled: bool
    """Whether feature discovery saw an NVIDIA GPU in it."""


@dataclass(frozen=True, slots=True)
class Pod:
    namespace: str
    name: str
    node: str
    phase: str
    waiting: tuple[str, ...]
    """Why containers wait, init containers first."""

    @property
    def is_plugin(self) -> bool:
        return "device-plugin" in self.name or "amdgpu-dp" in self.name

    @property
    def is_validator(self) -> bool:
        return "operator-validator" in self.name or "driver-daemonset" in self.name or "container-toolkit" in self.name

    @property
    def works(self) -> bool:
        return self.phase in ("Running", "Succeeded") and not self.waiting


@dataclass(frozen=True, slots=True)
class KubernetesFacts:
    is_node: bool | Unknown
    """Whether a kubelet keeps its data here."""
    plugins: tuple[str, ...] | Unknown
    """Sockets of device plug-ins of this node."""
    nodes: tuple[ClusterNode, ...] | Unknown
    pods: tuple[Pod, ...] | Unknown
    """Pods whose names speak of GPUs."""
    runtime_classes: dict[str, str] | Unknown
    """Name to handler."""


def kubernetes(snapshot: Snapshot) -> KubernetesFacts | Unknown:
    if snapshot.get("node:/var/lib/kubelet") is None:
        return Unknown("Kubernetes was not looked at", "node:/var/lib/kubelet")
    plugins = text_of(snapshot, "names:/var/lib/kubelet/device-plugins")
    return KubernetesFacts(
        is_node=is_there(snapshot, "node:/var/lib/kubelet"),
        plugins=tuple(one for one in plugins.split() if one.endswith(".sock")) if isinstance(plugins, str) else plugins,
        nodes=_rows(snapshot, "nodes", _node),
        pods=_rows(snapshot, "pods", _pod),
        runtime_classes=_classes(snapshot),
    )


def _rows(snapshot: Snapshot, what: str, kind: Callable[[list[str]], Row]) -> tuple[Row, ...] | Unknown:
    key = f"command:kubectl get {what}"
    if snapshot.get(key) is None:
        return Unknown("no kubeconfig is at hand here", key)
    text = text_of(snapshot, key)
    return tuple(kind(line.split()) for line in lines_of(snapshot, key)) if isinstance(text, str) else text


def _count(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _node(row: list[str]) -> ClusterNode:
    return ClusterNode(
        name=row[0],
        ready=row[1] == "True",
        nvidia=_count(row[2]),
        nvidia_free=_count(row[3]),
        amd=_count(row[4]),
        amd_free=_count(row[5]),
        labelled=row[6] == "true",
    )


def _pod(row: list[str]) -> Pod:
    reasons = [word for cell in row[5:3:-1] if cell != NONE for word in cell.split(",")]
    return Pod(row[0], row[1], row[2], row[3], tuple(dict.fromkeys(filter(None, reasons))))


def _classes(snapshot: Snapshot) -> dict[str, str] | Unknown:
    rows = _rows(snapshot, "runtimeclasses", lambda row: (row[0], row[-1]))
    return rows if isinstance(rows, Unknown) else dict(rows)
