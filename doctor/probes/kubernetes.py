"""Kubernetes as this machine sees it: the kubelet's folder of device plugins, and kubectl where a kubeconfig is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from doctor.probes import Probe
from doctor.probes.system import System
from doctor.snapshot import Reading, Target

READY = ".status.conditions[?(@.type=='Ready')].status"
NODES = (
    f"custom-columns=NAME:.metadata.name,READY:{READY},"
    "NVIDIA:.status.capacity.nvidia\\.com/gpu,FREE:.status.allocatable.nvidia\\.com/gpu,"
    "AMD:.status.capacity.amd\\.com/gpu,FREE:.status.allocatable.amd\\.com/gpu,"
    "PRESENT:.metadata.labels.nvidia\\.com/gpu\\.present"
)
PODS = (
    "custom-columns=NAMESPACE:.metadata.namespace,NAME:.metadata.name,NODE:.spec.nodeName,PHASE:.status.phase,"
    "WAITING:.status.containerStatuses[*].state.waiting.reason,"
    "INIT:.status.initContainerStatuses[*].state.waiting.reason"
)
CLASSES = "custom-columns=NAME:.metadata.name,HANDLER:.handler"
OF_GPUS = r"device-plugin|gpu-operator|nvidia-|amd-gpu|gpu-feature-discovery"
CONFIGS = ("/etc/rancher/k3s/k3s.yaml", "/etc/rancher/rke2/rke2.yaml", "/etc/kubernetes/admin.conf")
SECONDS = 6.0


def kubernetes(system: System, target: Target) -> Iterator[Reading]:
    yield system.node("/var/lib/kubelet")
    yield system.names("/var/lib/kubelet/device-plugins")
    options = _kubeconfig(system)
    if options is None:
        return
    nodes = _get(system, options, "nodes", NODES)
    yield nodes
    if nodes.state == "ok":
        # A cluster that does not answer need not be asked three times.
        yield _get(system, options, "pods", PODS, "--all-namespaces", keep=OF_GPUS)
        yield _get(system, options, "runtimeclasses", CLASSES)


def _get(system: System, options: tuple[str, ...], what: str, columns: str, *more: str, keep: str = "") -> Reading:
    words = ("kubectl", *options, "--request-timeout=4s", "get", what, *more, "--no-headers", "-o", columns)
    return replace(system.command(*words, seconds=SECONDS, keep=keep), key=f"command:kubectl get {what}")


def _kubeconfig(system: System) -> tuple[str, ...] | None:
    """Options that name it; None where none is at hand. kubectl itself knows $KUBECONFIG and ~/.kube/config."""
    home = os.environ.get("HOME", "")
    if os.environ.get("KUBECONFIG") or (home and system.node(f"{home}/.kube/config").state == "ok"):
        return () if system.live else None
    known = next((path for path in CONFIGS if system.live and os.access(path, os.R_OK)), None)
    return (f"--kubeconfig={known}",) if known else None


PROBES = (
    Probe(
        "kubernetes",
        "the kubelet's device plugins; with a kubeconfig: GPUs of the nodes, pods of GPU operators, runtime classes",
        kubernetes,
        timeout=20.0,
    ),
)
