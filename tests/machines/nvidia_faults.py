"""NVIDIA hosts, each broken in one way, and those that only look so."""

from __future__ import annotations

from tests.machines.build import Machine, Reply, machine
from tests.machines.healthy import WSL
from tests.machines.parts import (
    A100,
    CHILD,
    GTX1080,
    H100,
    K80,
    LIBRARIES,
    RTX5090,
    T4,
    as_user,
    docker,
    fabric,
    inside,
    kernel_log,
    linux,
    load,
    nvidia,
    nvml_fails,
    pci,
    service,
    tell,
    toolkit,
    unload,
)

MODULES = ("nvidia", "nvidia_modeset", "nvidia_uvm", "nvidia_drm")


def h100() -> Machine:
    return docker(toolkit(nvidia(linux(), "570.133.20", H100, H100)), "nvidia")


def unloaded() -> Machine:
    """The driver is installed and not in the kernel."""
    m = h100()
    unload(m, *MODULES)
    m.drop("/proc/driver/nvidia")
    for path in [one for one in m.nodes if one.startswith("/dev/nvidia")]:
        m.drop(path)
    for path in [one for one in m.files if one.endswith("/uevent")]:
        m.edit(path, "DRIVER=nvidia\n", "")
    return m


@machine(
    {"nvidia_driver_loaded": "nvidia-driver-not-loaded"},
    near={
        "nvidia_gpus_bound": "no driver bound is not another driver bound",
        "nvidia_module_not_blacklisted": "only nouveau is blacklisted",
        "nvidia_module_built_for_kernel": "the module exists for this kernel",
        "nvidia_module_signature_accepted": "not loaded, and none was refused",
    },
)
def driver_not_loaded() -> Machine:
    m = unloaded()
    m.file(
        "/etc/modprobe.d/nvidia.conf",
        "blacklist nouveau\noptions nouveau modeset=0\noptions nvidia NVreg_EnableGpuFirmware=1\n",
    )
    return m


@machine(
    {
        "nvidia_driver_loaded": "nvidia-driver-not-loaded",
        "nvidia_module_built_for_kernel": "nvidia-driver-build-failed",
    },
    cause="nvidia-driver-build-failed",
)
def driver_not_built_after_kernel_update() -> Machine:
    m = unloaded()
    m.file("/var/lib/dkms/nvidia/570.133.20/6.8.0-41-generic/x86_64/log/make.log")
    m.commands["modinfo -F filename nvidia"] = Reply("", "modinfo: ERROR: Module nvidia not found.", "failed", 1)
    return m


@machine(
    {"nvidia_driver_loaded": "nvidia-driver-not-loaded", "nvidia_module_not_blacklisted": "nvidia-driver-not-loaded"}
)
def driver_blacklisted() -> Machine:
    m = unloaded()
    m.file("/etc/modprobe.d/blacklist-gpu.conf", "# laptop: save power\nblacklist nvidia\n")
    return m


@machine(
    {
        "nvidia_driver_loaded": "nvidia-driver-not-loaded",
        "nvidia_module_signature_accepted": "nvidia-secure-boot-module-rejected",
    },
    cause="nvidia-secure-boot-module-rejected",
)
def driver_rejected_by_secure_boot() -> Machine:
    m = unloaded()
    m.file("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", b"\x06\0\0\0\x01")
    kernel_log(m, "secureboot: Secure boot enabled", "nvidia: Loading of unsigned module is rejected")
    return m


@machine(
    {"nvidia_driver_loaded": "nvidia-driver-not-loaded", "nvidia_gpus_bound": "nvidia-nouveau-conflict"},
    cause="nvidia-nouveau-conflict",
)
def nouveau_in_the_way() -> Machine:
    m = unloaded()
    load(m, "nouveau")
    pci(m, "0000:17:00.0", H100.ids, driver="nouveau")
    pci(m, "0000:27:00.0", H100.ids, driver="nouveau")
    return m


@machine(
    {"nvidia_gpus_bound": "nvidia-nouveau-conflict"},
    near={
        "nvidia_driver_loaded": "one GPU without it, the others with",
        "nvidia_every_gpu_answers": "the one for a virtual machine is not listed",
    },
)
def one_gpu_for_a_virtual_machine() -> Machine:
    """Set aside on purpose: a note."""
    m = h100()
    pci(m, "0000:37:00.0", H100.ids, driver="vfio-pci")
    return m


@machine(
    {
        "nvidia_driver_matches_libraries": "nvidia-driver-library-mismatch",
        "nvidia_nvml_answers": "nvidia-driver-library-mismatch",
    },
    near={"nvidia_libraries_of_one_version": "one version of libraries, another one in the kernel"},
)
def libraries_updated_under_the_module() -> Machine:
    m = h100()
    m.drop(LIBRARIES)
    m.names(LIBRARIES, ["libcuda.so.1", "libcuda.so.570.158.01", "libnvidia-ml.so.1", "libnvidia-ml.so.570.158.01"])
    return nvml_fails(m, 18, "NVML_ERROR_LIB_RM_VERSION_MISMATCH", "Driver/library version mismatch")


@machine(
    {"nvidia_libraries_of_one_version": "nvidia-driver-library-mismatch"},
    near={"nvidia_driver_matches_libraries": "the module's version is among them"},
)
def two_drivers_beside_each_other() -> Machine:
    m = h100()
    m.names("/usr/lib64", ["libcuda.so.1", "libcuda.so.535.104.05"])
    return m


@machine({}, near={"nvidia_libraries_of_one_version": "cuda-compat has another version by design"})
def healthy_with_cuda_compat() -> Machine:
    m = h100()
    m.names("/usr/local/cuda/compat", ["libcuda.so.1", "libcuda.so.575.51.03"])
    return m


@machine(
    {
        "nvidia_libraries_present": "nvidia-nvml-library-missing",
        "nvidia_nvml_answers": "nvidia-nvml-library-missing",
        "nvidia_smi_installed": "nvidia-smi-not-installed",
    }
)
def driver_without_libraries() -> Machine:
    m = h100()
    m.drop(LIBRARIES)
    m.drop("/usr/bin/nvidia-smi")
    return nvml_fails(m, 12, "NVML_ERROR_LIBRARY_NOT_FOUND", "NVML Shared Library Not Found")


@machine(
    {},
    near={
        "nvidia_libraries_present": "in the folder of another distribution",
        "nvidia_smi_installed": "with the GPU Operator's driver",
    },
)
def healthy_libraries_elsewhere() -> Machine:
    m = docker(
        toolkit(nvidia(linux(), "570.133.20", H100, libraries="/run/nvidia/driver/usr/lib/x86_64-linux-gnu")), "nvidia"
    )
    m.drop("/usr/bin/nvidia-smi")
    m.file("/run/nvidia/driver/usr/bin/nvidia-smi")
    return m


@machine({"nvidia_driver_supports_gpu": "nvidia-driver-no-longer-supports-gpu"})
def kepler_on_a_new_branch() -> Machine:
    return docker(toolkit(nvidia(linux(), "535.183.01", K80, kind="proprietary", cuda=12020)), "nvidia")


@machine(
    {
        "nvidia_module_kind_fits_gpu": "nvidia-driver-no-longer-supports-gpu",
        "nvidia_gpu_initialised": "nvidia-driver-no-longer-supports-gpu",
    }
)
def blackwell_with_proprietary_modules() -> Machine:
    m = docker(toolkit(nvidia(linux(), "570.133.07", RTX5090, kind="proprietary")), "nvidia")
    kernel_log(
        m,
        "NVRM: The NVIDIA GPU 0000:17:00.0 (PCI ID: 10de:2b85)",
        "NVRM: installed in this system requires use of the NVIDIA open kernel modules.",
    )
    return m


@machine(
    {"nvidia_module_kind_fits_gpu": "nvidia-driver-no-longer-supports-gpu"},
    near={"nvidia_driver_supports_gpu": "the branch is right, the kind is not"},
)
def pascal_with_open_modules() -> Machine:
    return docker(toolkit(nvidia(linux(), "570.133.07", GTX1080)), "nvidia")


@machine({"nvidia_gpu_initialised": "nvidia-xid-hardware"})
def gpu_fails_to_initialise() -> Machine:
    m = h100()
    kernel_log(
        m,
        "NVRM: GPU 0000:27:00.0: RmInitAdapter failed! (0x62:0x40:2393)",
        "NVRM: GPU 0000:27:00.0: rm_init_adapter failed, device minor number 1",
    )
    return m


@machine({}, near={"nvidia_gpu_initialised": "the log speaks of the GPU, and of no failure"})
def healthy_talkative_kernel_log() -> Machine:
    m = h100()
    kernel_log(
        m,
        "nvidia: loading out-of-tree module taints kernel.",
        "nvidia: module verification failed: signature and/or required key missing - tainting kernel",
        "nvidia 0000:17:00.0: enabling device (0000 -> 0002)",
        "NVRM: loading NVIDIA UNIX Open Kernel Module for x86_64  570.133.20  Release Build",
        "[drm] Initialized nvidia-drm 0.0.0 for 0000:17:00.0 on minor 1",
    )
    return m


@machine({"nvidia_uvm_ready": "nvidia-uvm-not-loaded"})
def uvm_not_loaded() -> Machine:
    m = h100()
    unload(m, "nvidia_uvm")
    m.drop("/dev/nvidia-uvm")
    return m


@machine({"nvidia_uvm_ready": "nvidia-uvm-not-loaded"})
def uvm_node_of_an_earlier_start() -> Machine:
    m = h100()
    m.node("/dev/nvidia-uvm", major=508)
    return m


@machine({}, near={"nvidia_uvm_ready": "another major than usual, and the kernel's own"})
def healthy_uvm_with_another_major() -> Machine:
    m = h100()
    m.edit("/proc/devices", "511 nvidia-uvm", "505 nvidia-uvm")
    m.node("/dev/nvidia-uvm", major=505)
    return m


@machine({"nvidia_device_nodes_present": "nvidia-device-nodes-missing"})
def device_node_missing() -> Machine:
    m = h100()
    m.drop("/dev/nvidia1")
    return m


@machine({}, near={"nvidia_device_nodes_present": "no nvidia1: the second GPU has minor 3"})
def healthy_minor_numbers_with_a_gap() -> Machine:
    m = h100()
    m.drop("/dev/nvidia1")
    m.node("/dev/nvidia3", minor=3)
    m.edit("/proc/driver/nvidia/gpus/0000:27:00.0/information", "Minor: \t 1", "Minor: \t 3")
    return m


@machine({"nvidia_device_nodes_permitted": "nvidia-nvml-permission", "nvidia_nvml_answers": "nvidia-nvml-permission"})
def device_nodes_for_a_group() -> Machine:
    m = as_user(h100())
    for name in ("nvidiactl", "nvidia0", "nvidia1", "nvidia-uvm"):
        m.node(f"/dev/{name}", 0o660, 44, 511 if "uvm" in name else 195)
    return nvml_fails(m, 4, "NVML_ERROR_NO_PERMISSION", "Insufficient Permissions")


@machine({}, near={"nvidia_device_nodes_permitted": "for a group that the user is in"})
def healthy_device_nodes_for_our_group() -> Machine:
    m = as_user(h100(), groups=(44, 1000))
    for name in ("nvidiactl", "nvidia0", "nvidia1", "nvidia-uvm"):
        m.node(f"/dev/{name}", 0o660, 44, 511 if "uvm" in name else 195)
    return m


@machine({"nvidia_nvml_answers": "nvidia-driver-hangs"})
def driver_does_not_answer() -> Machine:
    m = h100()
    m.commands[CHILD] = Reply(
        "", "no answer within 8 s; still there after SIGKILL as process 4242 (state D)", "timeout", None
    )
    m.commands["nvidia-smi"] = Reply("", "no answer within 8 s; killed", "timeout", None)
    return m


@machine({"nvidia_every_gpu_answers": "nvidia-gpu-fell-off-bus", "nvidia_no_gpu_fell_off": "nvidia-gpu-fell-off-bus"})
def gpu_fell_off_the_bus() -> Machine:
    m = h100()
    kernel_log(
        m,
        "NVRM: GPU at PCI:0000:27:00: GPU-5ad7a7e5-0a4d-0c4f-8f1e-000000000001",
        "NVRM: Xid (PCI:0000:27:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.",
    )
    return tell(m, 1, error={"code": 15, "name": "NVML_ERROR_GPU_IS_LOST", "says": "GPU is lost"})


@machine(
    {"nvidia_no_hardware_xid": "nvidia-xid-hardware"},
    near={"nvidia_no_gpu_fell_off": "a bad Xid, and the GPU is still there"},
)
def gpu_with_a_hardware_xid() -> Machine:
    m = h100()
    kernel_log(
        m,
        "NVRM: Xid (PCI:0000:17:00): 48, pid=871, name=python, DBE (double bit error) Occurred",
        "NVRM: Xid (PCI:0000:17:00): 94, pid=871, Contained: CE User Channel",
    )
    return m


@machine({"nvidia_fabric_manager_runs": "nvidia-fabric-manager", "nvidia_fabric_ready": "nvidia-fabric-manager"})
def fabric_manager_stopped() -> Machine:
    m = fabric(h100(), "570.133.20", "failed")
    return tell(tell(m, 0, fabric={"state": 2, "status": 0}), 1, fabric={"state": 2, "status": 0})


@machine(
    {"nvidia_fabric_manager_matches_driver": "nvidia-fabric-manager", "nvidia_fabric_ready": "nvidia-fabric-manager"},
    near={"nvidia_fabric_manager_runs": "it runs, in another version"},
)
def fabric_manager_of_another_version() -> Machine:
    m = fabric(h100(), "570.124.06")
    return tell(tell(m, 0, fabric={"state": 1, "status": 999}), 1, fabric={"state": 1, "status": 999})


@machine(
    {"nvidia_fabric_manager_runs": "nvidia-fabric-manager"},
    near={"nvidia_fabric_ready": "a fabric set up before the service was removed"},
)
def fabric_manager_not_installed() -> Machine:
    m = fabric(h100(), "570.133.20")
    m.drop("/usr/bin/nv-fabricmanager")
    service(m, "")
    return tell(m, 0, fabric={"state": 3, "status": 0})


@machine({"nvidia_mig_usable": "nvidia-mig-misconfigured"})
def mig_without_devices() -> Machine:
    m = docker(toolkit(nvidia(linux(), "550.127.05", A100, cuda=12040)), "nvidia")
    return tell(m, 0, mig=[1, 1], instances=[])


@machine({"nvidia_mig_usable": "nvidia-mig-misconfigured"})
def mig_waits_for_a_reset() -> Machine:
    return tell(h100(), 0, mig=[0, 1])


@machine({"nvidia_memory_healthy": "nvidia-xid-hardware"})
def memory_row_could_not_be_replaced() -> Machine:
    return tell(h100(), 1, rows=[0, 2, 0, 1])


@machine({"nvidia_memory_healthy": "nvidia-xid-hardware"})
def memory_pages_wait_for_a_reset() -> Machine:
    m = docker(toolkit(nvidia(linux(), "535.183.01", T4, kind="proprietary", cuda=12020)), "nvidia")
    return tell(m, 0, pages_pending=1)


@machine(
    {},
    near={
        "nvidia_memory_healthy": "rows were replaced, none is pending",
        "nvidia_compute_mode_shared": "exclusive, and nobody holds it",
    },
)
def healthy_with_replaced_rows() -> Machine:
    return tell(h100(), 0, rows=[3, 1, 0, 0], mode=3)


@machine({"nvidia_compute_mode_shared": "cuda-device-busy"})
def gpu_held_exclusively() -> Machine:
    m = docker(toolkit(nvidia(linux(), "570.133.20", T4)), "nvidia")
    return tell(m, 0, mode=3, processes=[[4711, 1 << 30]])


@machine({"nvidia_memory_free": "cuda-out-of-memory"})
def gpu_memory_full() -> Machine:
    m = docker(toolkit(nvidia(linux(), "570.133.20", T4)), "nvidia")
    return tell(m, 0, used=(15 << 30) - (100 << 20), processes=[[4711, 14 << 30]])


@machine({"cuda_visible_devices_name_gpus": "cuda-no-device"})
def cuda_devices_hidden() -> Machine:
    m = h100()
    m.environment = {"CUDA_VISIBLE_DEVICES": ""}
    return m


@machine({"cuda_visible_devices_name_gpus": "cuda-invalid-device-ordinal"})
def cuda_device_number_too_high() -> Machine:
    m = h100()
    m.environment = {"CUDA_VISIBLE_DEVICES": "0,2"}
    return m


@machine({"wsl_adapter_present": "nvidia-wsl-no-adapter"})
def wsl_without_adapter() -> Machine:
    m = linux("5.15.167.4-microsoft-standard-WSL2")
    m.names(WSL, ["libdxcore.so"])
    return docker(toolkit(m), "nvidia")


@machine({"wsl_no_linux_driver": "nvidia-wsl-no-adapter"})
def wsl_with_a_linux_driver() -> Machine:
    m = linux("5.15.167.4-microsoft-standard-WSL2")
    m.names(WSL, ["libcuda.so.1", "libdxcore.so"])
    m.node("/dev/dxg", major=10, minor=125)
    m.names(LIBRARIES, ["libcuda.so.1", "libcuda.so.550.127.05"])
    m.commands[CHILD] = nvidia(linux(), "572.83", RTX5090).commands[CHILD]
    return docker(toolkit(m), "nvidia")


@machine({"jetson_files_listed": "nvidia-toolkit-not-installed"})
def jetson_without_lists() -> Machine:
    m = linux("5.15.148-tegra", arch="aarch64")
    m.file("/etc/nv_tegra_release", "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n")
    m.names("/usr/lib/aarch64-linux-gnu/nvidia", ["libcuda.so.1"])
    return docker(toolkit(m), "nvidia")


@machine({"here_gpu_given": "nvidia-gpu-not-requested", "here_shared_memory": "container-shm-too-small"})
def inside_without_gpu() -> Machine:
    """sysfs and /proc of the host show; the GPU was not given."""
    m = inside(nvidia(linux(), "570.133.20", H100))
    for path in [one for one in m.nodes if one.startswith("/dev/nvidia")]:
        m.drop(path)
    m.drop(LIBRARIES)
    m.drop("/usr/bin/nvidia-smi")
    m.environment = {"NVIDIA_VISIBLE_DEVICES": "all"}
    m.spaces["/dev/shm"] = {"size": 64 << 20, "free": 64 << 20, "inodes": 0, "free_inodes": 0}
    return m


@machine(
    {
        "here_driver_libraries_present": "nvidia-driver-capability-missing",
        "nvidia_nvml_answers": "nvidia-driver-capability-missing",
    }
)
def inside_without_driver_libraries() -> Machine:
    m = inside(nvidia(linux(), "570.133.20", H100))
    m.drop(LIBRARIES)
    m.environment = {"NVIDIA_VISIBLE_DEVICES": "all", "NVIDIA_DRIVER_CAPABILITIES": "graphics"}
    m.spaces["/dev/shm"] = {"size": 1 << 30, "free": 1 << 30, "inodes": 0, "free_inodes": 0}
    return nvml_fails(m, 12, "NVML_ERROR_LIBRARY_NOT_FOUND", "NVML Shared Library Not Found")


@machine(
    {"nvidia_nvml_answers": "nvidia-devices-lost-after-reload"},
    near={"here_gpu_given": "the node is there, opening it is refused"},
)
def inside_after_a_reload() -> Machine:
    m = inside(nvidia(linux(), "570.133.20", H100))
    m.environment = {"NVIDIA_VISIBLE_DEVICES": "all"}
    m.spaces["/dev/shm"] = {"size": 1 << 30, "free": 1 << 30, "inodes": 0, "free_inodes": 0}
    return nvml_fails(m, 999, "NVML_ERROR_UNKNOWN", "Unknown Error")


RULES = "/sys/fs/cgroup/devices/devices.list"


@machine({"here_devices_permitted": "nvidia-devices-lost-after-reload"})
def inside_without_device_rules() -> Machine:
    """The nodes are there; version 1 of cgroups tells that nothing permits them."""
    m = inside(nvidia(linux(), "570.133.20", H100))
    m.file(RULES, "c 136:* rwm\nc 1:3 rwm\nb *:* m\nc *:* m\n")
    m.environment = {"NVIDIA_VISIBLE_DEVICES": "all"}
    m.spaces["/dev/shm"] = {"size": 1 << 30, "free": 1 << 30, "inodes": 0, "free_inodes": 0}
    return m


@machine({}, near={"here_devices_permitted": "both majors are permitted, one node by node"})
def healthy_inside_with_device_rules() -> Machine:
    m = inside(nvidia(linux(), "570.133.20", H100))
    m.file(RULES, "c 1:3 rwm\nc 195:* rw\nc 511:0 rw\nc 511:1 rw\n")
    m.environment = {"NVIDIA_VISIBLE_DEVICES": "all"}
    m.spaces["/dev/shm"] = {"size": 1 << 30, "free": 1 << 30, "inodes": 0, "free_inodes": 0}
    return m


def eight(**changes: object) -> Machine:
    m = docker(toolkit(nvidia(linux(), "570.133.20", *[H100] * 8)), "nvidia")
    for index in range(8):
        tell(m, index, **changes)
    return m


@machine({"nvidia_persistence_on": "nvidia-persistence-off"})
def eight_gpus_that_fall_asleep() -> Machine:
    return eight(persistence=0)


@machine({}, near={"nvidia_persistence_on": "off, and all of them in use"})
def healthy_eight_gpus_in_use() -> Machine:
    return eight(persistence=0, processes=[[4242, 1 << 30]])
