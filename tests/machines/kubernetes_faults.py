"""Nodes and clusters, each broken in one way, and those that only look so."""

from __future__ import annotations

from tests.machines.build import Machine, machine
from tests.machines.parts import H100, linux, nvidia, toolkit

CONTAINERD = """version = 2
[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""
NVIDIA = """  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia]
    runtime_type = "io.containerd.runc.v2"
"""
PLUGIN = "nvidia-gpu.sock"


def node(runtimes: str = CONTAINERD + NVIDIA, *sockets: str) -> Machine:
    m = toolkit(nvidia(linux(), "570.133.20", H100))
    m.file("/etc/containerd/config.toml", runtimes)
    m.names("/var/lib/kubelet/device-plugins", ["kubelet.sock", "kubelet_internal_checkpoint", *sockets])
    return m


def cluster(
    m: Machine, nodes: str = "gpu-1 True 8 8 <none> <none> true\n", pods: str = "", classes: str = "nvidia nvidia\n"
) -> Machine:
    m.readings |= {
        "command:kubectl get nodes": nodes,
        "command:kubectl get pods": pods,
        "command:kubectl get runtimeclasses": classes,
    }
    return m


GOOD = (
    "gpu-operator nvidia-device-plugin-daemonset-x7 gpu-1 Running <none> <none>\n"
    "gpu-operator nvidia-operator-validator-b2 gpu-1 Running <none> <none>\n"
    "gpu-operator nvidia-cuda-validator-kk gpu-1 Succeeded <none> <none>\n"
)


@machine(
    {},
    near={
        "containerd_knows_nvidia": "nvidia beside runc",
        "kubelet_has_gpu_plugin": "its socket is there",
        "kubernetes_plugin_pods_work": "running",
        "kubernetes_operator_ready": "a validator that is through",
        "kubernetes_runtime_class_exists": "a class of that handler",
        "kubernetes_nodes_offer_gpus": "all pods' GPUs in use is another matter: they are offered",
    },
)
def healthy_kubernetes_node() -> Machine:
    return cluster(node(CONTAINERD + NVIDIA, PLUGIN), pods=GOOD)


@machine({"containerd_knows_nvidia": "k8s-runtime-handler-missing"})
def containerd_without_nvidia() -> Machine:
    return node(CONTAINERD, PLUGIN)


@machine({"containerd_knows_nvidia": "container-engine-config-invalid"})
def containerd_config_broken() -> Machine:
    return node(CONTAINERD + "[plugins\n", PLUGIN)


CRIO = '[crio.runtime]\ndefault_runtime = "crun"\n[crio.runtime.runtimes.crun]\nruntime_path = "/usr/bin/crun"\n'


def crio_node(*files: str) -> Machine:
    """CRI-O instead of containerd, its settings spread over files as its packages do."""
    m = node(CONTAINERD, PLUGIN)
    m.drop("/etc/containerd/config.toml")
    for number, text in enumerate(files):
        m.file(f"/etc/crio/crio.conf.d/{number}0-settings.conf", text)
    return m


@machine({}, near={"containerd_knows_nvidia": "CRI-O, with nvidia in a file of its own"})
def healthy_crio_node() -> Machine:
    return crio_node(CRIO, '[crio.runtime.runtimes."nvidia"]\nruntime_path = "/usr/bin/nvidia-container-runtime"\n')


@machine({"containerd_knows_nvidia": "k8s-runtime-handler-missing"})
def crio_without_nvidia() -> Machine:
    return crio_node(CRIO)


@machine({"containerd_knows_nvidia": "container-engine-config-invalid"})
def crio_config_broken() -> Machine:
    return crio_node(CRIO, "[crio.runtime\n")


@machine({"kubelet_has_gpu_plugin": "k8s-device-plugin-failed"})
def no_device_plugin() -> Machine:
    return node()


@machine(
    {"kubernetes_plugin_pods_work": "k8s-device-plugin-failed"},
    near={"kubernetes_operator_ready": "the plug-in fails, the validator is through"},
)
def device_plugin_crashes() -> Machine:
    pods = GOOD.replace("x7 gpu-1 Running <none>", "x7 gpu-1 Running CrashLoopBackOff")
    return cluster(node(CONTAINERD + NVIDIA, PLUGIN), pods=pods)


@machine(
    {"kubernetes_operator_ready": "k8s-gpu-operator-validation"},
    near={"kubernetes_plugin_pods_work": "the validator waits, the plug-in runs"},
)
def operator_waits() -> Machine:
    pods = GOOD.replace("b2 gpu-1 Running <none> <none>", "b2 gpu-1 Pending PodInitializing CrashLoopBackOff")
    return cluster(node(CONTAINERD + NVIDIA, PLUGIN), pods=pods)


@machine({"kubernetes_nodes_offer_gpus": "k8s-gpu-resource-unavailable"})
def node_offers_no_gpu() -> Machine:
    return cluster(
        node(CONTAINERD + NVIDIA, PLUGIN),
        nodes="cpu-1 True <none> <none> <none> <none> <none>\ngpu-1 True 8 0 <none> <none> true\n",
        pods=GOOD,
    )


@machine({"kubernetes_runtime_class_exists": "k8s-runtime-handler-missing"})
def no_runtime_class() -> Machine:
    return cluster(node(CONTAINERD + NVIDIA, PLUGIN), pods=GOOD, classes="kata kata-qemu\n")
