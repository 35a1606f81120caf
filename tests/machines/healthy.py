"""Machines on which all is well."""

from __future__ import annotations

from tests.machines.build import Machine, Reply, machine
from tests.machines.parts import (
    A100,
    APU,
    GPUS,
    GTX1080,
    H100,
    MI210,
    MI300X,
    RTX5090,
    RX7900,
    T4,
    amd,
    as_user,
    cdi,
    container,
    docker,
    fabric,
    inside,
    kernel_log,
    linux,
    nvidia,
    podman,
    tell,
    toolkit,
)


@machine()
def healthy_without_gpu() -> Machine:
    return docker(linux(), daemon=None)


@machine(
    near={
        "nvidia_fabric_manager_runs": "four NVSwitches",
        "nvidia_fabric_manager_matches_driver": "its own version is asked",
    }
)
def healthy_h100_hgx() -> Machine:
    m = fabric(nvidia(linux(), "570.133.20", *[H100] * 8), "570.133.20")
    for index in range(8):
        tell(m, index, fabric={"state": 3, "status": 0})
    return docker(toolkit(m), "nvidia")


@machine(near={"nvidia_mig_usable": "MIG is on, and there are devices"})
def healthy_a100_with_mig() -> Machine:
    m = nvidia(linux(), "550.127.05", A100, A100, cuda=12040)
    tell(m, 0, mig=[1, 1], instances=["NVIDIA A100-SXM4-80GB MIG 3g.40gb"] * 2)
    m.names("/dev/nvidia-caps", ["nvidia-cap1", "nvidia-cap2"])
    return docker(toolkit(m), "nvidia")


@machine(near={"nvidia_module_kind_fits_gpu": "Blackwell, with the open modules it needs"})
def healthy_rtx5090() -> Machine:
    return docker(toolkit(nvidia(linux(), "570.133.07", RTX5090)), "nvidia")


@machine(near={"nvidia_driver_supports_gpu": "Pascal on 580, the last branch for it"})
def healthy_gtx1080() -> Machine:
    return docker(toolkit(nvidia(linux(), "580.82.09", GTX1080, kind="proprietary", cuda=13000)), "nvidia")


@machine()
def healthy_t4_rootless_podman_with_cdi() -> Machine:
    m = cdi(
        toolkit(nvidia(linux(distribution="rocky"), "535.183.01", T4, kind="proprietary", cuda=12020)),
        "535.183.01",
        "0",
        "all",
    )
    return as_user(podman(m))


@machine(near={"jetson_files_listed": "a Jetson with its lists"})
def healthy_jetson_orin() -> Machine:
    """L4T: the GPU is no PCI device, the driver's libraries have no versions of desktop drivers."""
    m = linux("5.15.148-tegra", arch="aarch64")
    m.file("/etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n")
    m.file("/proc/device-tree/compatible", b"nvidia,p3737-0000+p3701-0005\0nvidia,tegra234\0")
    m.names("/usr/lib/aarch64-linux-gnu/nvidia", ["libcuda.so.1", "libcuda.so.1.1", "libnvidia-ml.so.1"])
    m.names("/etc/nvidia-container-runtime/host-files-for-container.d", ["devices.csv", "drivers.csv"])
    m.names("/dev", ["nvhost-gpu", "nvmap", "nvgpu"])
    return docker(toolkit(m), "nvidia", Architecture="aarch64")


WSL = "/usr/lib/wsl/lib"


@machine(
    near={"wsl_adapter_present": "it has both", "wsl_no_linux_driver": "libcuda.so.1 lies in /usr/lib/wsl/lib alone"}
)
def healthy_wsl2() -> Machine:
    m = linux("5.15.167.4-microsoft-standard-WSL2")
    m.names(WSL, ["libcuda.so.1", "libcuda.so.1.1", "libdxcore.so", "libnvidia-ml.so.1", "nvidia-smi"])
    m.node("/dev/dxg", major=10, minor=125)
    gpu = nvidia(linux(), "572.83", RTX5090, cuda=12080)
    m.commands["child doctor.probes.nvml_child"] = gpu.commands["child doctor.probes.nvml_child"]
    return docker(toolkit(m), "nvidia")


@machine(
    near={
        "amd_iommu_passes_through": "eight GPUs, the IOMMU on, and iommu=pt",
        "amd_memory_reachable": "eight GPUs with a large BAR",
    }
)
def healthy_mi300x() -> Machine:
    m = amd(linux(), *[MI300X] * 8, dkms="6.12.12")
    m.names("/sys/class/iommu", ["ivhd0", "ivhd1"])
    m.edit("/proc/cmdline", "quiet", "quiet iommu=pt")
    return docker(m, daemon=None)


@machine(
    near={
        "amd_rocm_supports_gpu": "gfx90a with a ROCm that lists it",
        "amd_nodes_permitted": "a user in the render group",
    }
)
def healthy_mi210() -> Machine:
    return as_user(docker(amd(linux(), MI210), daemon=None), groups=(44, 993, 1000))


@machine()
def healthy_rx7900xtx() -> Machine:
    return docker(amd(linux(), RX7900), daemon=None)


@machine(near={"amd_rocm_supports_gpu": "an APU that ROCm does not list, beside a card that it lists"})
def healthy_apu_beside_discrete_gpu() -> Machine:
    return docker(amd(linux(), RX7900, APU), daemon=None)


@machine()
def healthy_both_vendors() -> Machine:
    return docker(toolkit(amd(nvidia(linux(), "570.133.20", T4), RX7900)), "nvidia")


@machine(
    near={
        "container_requests_gpu": "--gpus all",
        "container_driver_capabilities": "compute,utility",
        "container_cuda_fits_driver": "CUDA 12.8 by minor-version compatibility on 550",
        "container_gpu_ids_exist": "GPU 1 of two",
        "container_fits_image": "a CUDA image that asks for NVIDIA GPUs",
        "container_fits_vendor": "NVIDIA asked for, NVIDIA here",
        "container_platform": "the same architecture",
        "cuda_visible_devices_name_gpus": "index 1 of two",
    }
)
def healthy_container_on_nvidia() -> Machine:
    m = docker(toolkit(nvidia(linux(), "550.127.05", H100, H100, cuda=12040)), "nvidia")
    names = {"CUDA_VERSION": "12.8.1", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility", "CUDA_VISIBLE_DEVICES": "0,1"}
    return container(m, names, state={"ExitCode": 0}, DeviceRequests=[{**GPUS, "Count": 0, "DeviceIDs": ["1"]}])


@machine(
    near={
        "container_kfd_permitted": "user 1000 with the group 993",
        "container_requests_kfd": "a ROCm image with /dev/kfd",
        "container_dri_beside_kfd": "both are passed",
        "amd_gfx_override_fits": "11.0.0 on a gfx1100",
        "amd_visible_devices_name_gpus": "index 0 of one",
    }
)
def healthy_container_on_amd() -> Machine:
    m = docker(amd(linux(), RX7900), daemon=None)
    devices = [
        {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"} for path in ("/dev/kfd", "/dev/dri")
    ]
    names = {"ROCM_PATH": "/opt/rocm", "HSA_OVERRIDE_GFX_VERSION": "11.0.0", "HIP_VISIBLE_DEVICES": "0"}
    return container(m, names, state={"ExitCode": 0}, Devices=devices, GroupAdd=["993"], User="1000")


@machine(
    near={
        "here_driver_libraries_present": "both libraries are mounted",
        "here_gpu_given": "NVIDIA_VISIBLE_DEVICES=all, and a node",
        "here_shared_memory": "1 GB, not the default",
    }
)
def healthy_inside_nvidia_container() -> Machine:
    m = inside(nvidia(linux(), "570.133.20", H100))
    m.environment = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}
    m.spaces["/dev/shm"] = {"size": 1 << 30, "free": 1 << 30, "inodes": 0, "free_inodes": 0}
    return m


@machine(near={"here_kfd_with_render_nodes": "both"})
def healthy_inside_amd_container() -> Machine:
    m = inside(amd(linux(), MI300X))
    m.spaces["/dev/shm"] = {"size": 1 << 34, "free": 1 << 34, "inodes": 0, "free_inodes": 0}
    return m


@machine(
    near={
        "nvidia_no_hardware_xid": "Xid 31 and 43 are of programs",
        "nvidia_no_gpu_fell_off": "the log has Xids, none of them 79",
    }
)
def healthy_after_a_programs_fault() -> Machine:
    m = docker(toolkit(nvidia(linux(), "570.133.20", H100)), "nvidia")
    kernel_log(
        m,
        "NVRM: Xid (PCI:0000:17:00): 31, pid=4242, name=python, Ch 00000008, intr 00000000. MMU Fault: ENGINE GRAPHICS GPCCLIENT_T1_0",
        "NVRM: Xid (PCI:0000:17:00): 43, pid=4242, name=python, Ch 00000008",
    )
    return m


@machine(
    near={
        "nvidia_nvml_answers": "NVML is not usable here, nvidia-smi answers",
        "nvidia_memory_free": "one GPU is full, the other is free",
    }
)
def healthy_told_by_nvidia_smi() -> Machine:
    m = docker(toolkit(nvidia(linux(), "570.133.20", H100, H100)), "nvidia")
    m.commands["child doctor.probes.nvml_child"] = Reply(
        '{"error": {"code": -1, "name": "no-binding", "says": "nvidia-ml-py is not installed"}}\n'
    )
    row = "{0}, NVIDIA H100 80GB HBM3, GPU-5ad7a7e5-0a4d-0c4f-8f1e-00000000000{0}, 00000000:{1}:00.0, 81559, {2}, Disabled, Enabled, Default, 570.133.20\n"
    m.commands["nvidia-smi"] = Reply(row.format(0, 17, 81400) + row.format(1, 27, 5))
    return m
