"""AMD hosts, each broken in one way, and those that only look so."""

from __future__ import annotations

from tests.machines.build import Machine, Reply, machine
from tests.machines.parts import (
    GPUS,
    LIMITS,
    MI210,
    MI300X,
    RX7900,
    Radeon,
    amd,
    as_user,
    container,
    docker,
    inside,
    kernel_log,
    linux,
    pci,
    unload,
)


def mi300x() -> Machine:
    return docker(amd(linux(), MI300X, MI300X, dkms="6.12.12"), daemon=None)


def unloaded() -> Machine:
    m = mi300x()
    unload(m, "amdgpu")
    m.drop("/sys/class/kfd")
    m.drop("/dev/kfd")
    m.drop("/dev/dri")
    for path in [one for one in m.files if one.endswith("/uevent")]:
        m.edit(path, "DRIVER=amdgpu\n", "")
    return m


@machine({"amd_driver_loaded": "amd-driver-not-loaded"})
def amdgpu_blacklisted() -> Machine:
    m = unloaded()
    m.file("/etc/modprobe.d/blacklist-amdgpu.conf", "blacklist amdgpu\n")
    return m


@machine(
    {"amd_driver_loaded": "amd-driver-not-loaded", "amd_module_built_for_kernel": "amd-driver-build-failed"},
    cause="amd-driver-build-failed",
)
def amdgpu_not_built_after_kernel_update() -> Machine:
    m = unloaded()
    m.drop("/var/lib/dkms/amdgpu")
    m.file("/var/lib/dkms/amdgpu/6.12.12-2147987.24.04/6.8.0-41-generic/x86_64/log/make.log")
    return m


@machine(
    {},
    near={
        "amd_driver_loaded": "bound to vfio-pci beside one that computes",
        "amd_gpus_bound": "one is set aside for a virtual machine",
        "amd_module_built_for_kernel": "an older kernel has it too",
    },
)
def healthy_one_amd_gpu_set_aside() -> Machine:
    m = mi300x()
    pci(m, "0000:83:00.0", MI300X.ids, "120000", "vfio-pci")
    m.file("/var/lib/dkms/amdgpu/6.12.12-2147987.24.04/6.8.0-41-generic/x86_64/log/make.log")
    return m


@machine({"amd_driver_initialised": "amd-driver-init-failed", "amd_gpus_bound": "amd-driver-init-failed"})
def amdgpu_without_firmware() -> Machine:
    m = mi300x()
    pci(m, "0000:44:00.0", MI300X.ids, "120000")
    m.drop("/sys/class/kfd/kfd/topology/nodes/2")
    kernel_log(
        m,
        "amdgpu 0000:44:00.0: Direct firmware load for amdgpu/psp_13_0_6_sos.bin failed with error -2",
        "amdgpu 0000:44:00.0: amdgpu: fail to request/validate sos microcode",
        "amdgpu 0000:44:00.0: amdgpu: Fatal error during GPU init",
        "amdgpu: probe of 0000:44:00.0 failed with error -2",
    )
    return m


@machine(
    {},
    near={
        "amd_driver_initialised": "firmware of a part that it does without is missing",
        "amd_no_gpu_hang": "the word reset, and no reset",
        "amd_no_page_fault": "no fault",
    },
)
def healthy_amd_kernel_log() -> Machine:
    m = mi300x()
    kernel_log(
        m,
        "amdgpu 0000:43:00.0: Direct firmware load for amdgpu/isp_4_1_1.bin failed with error -2",
        "amdgpu 0000:43:00.0: amdgpu: MODE1 reset is supported",
        "[drm] Initialized amdgpu 3.61.0 for 0000:43:00.0 on minor 1",
        "kfd kfd: amdgpu: added device 1002:74a1",
    )
    return m


@machine({"amd_kfd_present": "amd-kfd-missing"})
def kfd_node_missing() -> Machine:
    m = mi300x()
    m.drop("/dev/kfd")
    return m


@machine(
    {"amd_render_nodes_present": "amd-dri-missing"}, near={"amd_kfd_present": "/dev/kfd is there, a render node is not"}
)
def render_node_missing() -> Machine:
    m = mi300x()
    m.drop("/dev/dri/renderD129")
    return m


@machine({}, near={"amd_render_nodes_present": "the nodes of a partitioned GPU share one render node"})
def healthy_render_node_shared() -> Machine:
    m = mi300x()
    m.edit("/sys/class/kfd/kfd/topology/nodes/2/properties", "drm_render_minor 129", "drm_render_minor 128")
    m.drop("/dev/dri/renderD129")
    return m


@machine({"amd_nodes_permitted": "amd-kfd-permission"})
def user_not_in_render_group() -> Machine:
    return as_user(mi300x(), groups=(44, 1000))


@machine({"amd_nodes_permitted": "amd-kfd-permission"})
def login_older_than_the_group() -> Machine:
    return as_user(mi300x(), groups=(44, 1000), listed=(44, 993, 1000))


@machine({"amd_topology_has_gpus": "amd-no-hip-device"})
def topology_of_processors_alone() -> Machine:
    m = mi300x()
    for number in (1, 2):
        m.drop(f"/sys/class/kfd/kfd/topology/nodes/{number}")
    return m


@machine({"amd_topology_has_gpus": "amd-device-not-permitted"})
def inside_with_a_forbidden_gpu() -> Machine:
    m = inside(amd(linux(), MI300X))
    m.denied |= {f"/sys/class/kfd/kfd/topology/nodes/1/{name}" for name in ("gpu_id", "properties")}
    m.spaces["/dev/shm"] = {"size": 1 << 34, "free": 1 << 34, "inodes": 0, "free_inodes": 0}
    return m


@machine({}, near={"amd_topology_has_gpus": "one GPU is refused, the other is ours"})
def healthy_inside_with_one_of_two_gpus() -> Machine:
    m = inside(amd(linux(), MI300X, MI300X))
    m.denied.add("/sys/class/kfd/kfd/topology/nodes/1/properties")
    m.drop("/dev/dri/renderD128")
    m.spaces["/dev/shm"] = {"size": 1 << 34, "free": 1 << 34, "inodes": 0, "free_inodes": 0}
    return m


@machine({"amd_no_gpu_hang": "amd-gpu-hang"})
def amd_gpu_hung_and_reset() -> Machine:
    m = docker(amd(linux(), RX7900), daemon=None)
    kernel_log(
        m,
        "amdgpu 0000:43:00.0: amdgpu: ring comp_1.1.0 timeout, signaled seq=4223, emitted seq=4225",
        "amdgpu 0000:43:00.0: amdgpu: GPU reset begin!",
        "amdgpu 0000:43:00.0: amdgpu: GPU reset(1) succeeded!",
    )
    return m


@machine({"amd_no_page_fault": "amd-memory-access-fault"}, near={"amd_no_gpu_hang": "a page fault, and no reset"})
def amd_page_fault() -> Machine:
    m = docker(amd(linux(), RX7900), daemon=None)
    kernel_log(
        m,
        "amdgpu 0000:43:00.0: amdgpu: [gfxhub] page fault (src_id:0 ring:24 vmid:8 pasid:32773)",
        "amdgpu 0000:43:00.0: amdgpu:   in page starting at address 0x00007f1c00000000 from client 10",
    )
    return m


@machine({"amd_rocm_supports_gpu": "amd-arch-unsupported"})
def rocm_does_not_list_the_gpu() -> Machine:
    return docker(amd(linux(), Radeon("1002:73bf", 100306, 8), rocm="6.4.1"), daemon=None)


@machine({"amd_rocm_tested_with_driver": "amd-rocm-driver-mismatch"})
def rocm_untested_with_driver() -> Machine:
    return docker(amd(linux(), MI210, dkms="6.8.5", release="60200", rocm="7.1.0"), daemon=None)


@machine({}, near={"amd_rocm_tested_with_driver": "an older driver that the matrix names"})
def healthy_rocm_with_older_driver() -> Machine:
    return docker(amd(linux(), MI210, dkms="6.10.5", release="60303", rocm="6.4.1"), daemon=None)


@machine({"amd_gfx_override_fits": "amd-gfx-override-wrong"}, near={"amd_visible_devices_name_gpus": "device 0 of one"})
def override_of_another_generation() -> Machine:
    m = docker(amd(linux(), RX7900), daemon=None)
    m.environment = {"HSA_OVERRIDE_GFX_VERSION": "10.3.0", "ROCR_VISIBLE_DEVICES": "0"}
    return m


@machine({"amd_gfx_override_fits": "amd-gfx-override-wrong"})
def override_of_no_form() -> Machine:
    m = docker(amd(linux(), RX7900), daemon=None)
    m.environment = {"HSA_OVERRIDE_GFX_VERSION": "gfx1100"}
    return m


@machine({"amd_visible_devices_name_gpus": "amd-no-hip-device"})
def hip_devices_hidden() -> Machine:
    m = mi300x()
    m.environment = {"HIP_VISIBLE_DEVICES": ""}
    return m


@machine({"amd_visible_devices_name_gpus": "amd-invalid-device-ordinal"})
def hip_number_too_high() -> Machine:
    """HIP counts what ROCR left over."""
    m = mi300x()
    m.environment = {"ROCR_VISIBLE_DEVICES": "1", "HIP_VISIBLE_DEVICES": "0,1"}
    return m


@machine({"amd_memory_reachable": "amd-ipc-failed"})
def small_bar() -> Machine:
    return docker(amd(linux(), RX7900, RX7900, visible=1), daemon=None)


@machine({"amd_iommu_passes_through": "amd-ipc-failed"})
def iommu_translates() -> Machine:
    m = mi300x()
    m.names("/sys/class/iommu", ["ivhd0"])
    return m


@machine({"selinux_permits_gpu": "amd-kfd-permission"})
def selinux_refuses_kfd() -> Machine:
    m = amd(linux(distribution="rocky"), RX7900)
    m.file("/sys/fs/selinux/enforce", "1")
    kernel_log(
        m,
        'audit: type=1400 audit(1764000000.1:77): avc:  denied  { read write } for  pid=99 comm="rocminfo" name="kfd" dev="devtmpfs" scontext=system_u:system_r:container_t:s0:c1 tclass=chr_file permissive=0',
    )
    return docker(m, daemon=None)


@machine(
    {},
    near={"selinux_permits_gpu": "it refused something that is no GPU", "apparmor_permits_gpu": "the same of AppArmor"},
)
def healthy_refusals_of_other_things() -> Machine:
    m = amd(linux(distribution="rocky"), RX7900)
    m.file("/sys/fs/selinux/enforce", "1")
    kernel_log(
        m,
        'audit: type=1400 audit(1764000000.1:77): avc:  denied  { read } for  pid=99 comm="httpd" name="index.html" dev="sda1" permissive=0',
        'audit: type=1400 audit(1764000000.1:78): apparmor="DENIED" operation="open" profile="/usr/bin/man" name="/etc/hosts" pid=7',
    )
    return docker(m, daemon=None)


@machine({"apparmor_permits_gpu": "amd-kfd-permission"})
def apparmor_refuses_kfd() -> Machine:
    m = mi300x()
    kernel_log(
        m,
        'audit: type=1400 audit(1764000000.1:78): apparmor="DENIED" operation="open" class="file" profile="docker-default" name="/dev/kfd" pid=7 comm="rocminfo"',
    )
    return m


@machine(
    {"user_namespaces_allowed": "container-user-namespaces-off"},
    near={"here_memory_lockable": "InfiniBand, and no limit"},
)
def user_namespaces_off() -> Machine:
    m = as_user(mi300x(), groups=(993, 1000))
    m.file("/proc/sys/user/max_user_namespaces", "0\n")
    m.names("/dev/infiniband", ["uverbs0"])
    m.file("/proc/self/limits", LIMITS.format(memlock="unlimited"))
    return m


@machine({}, near={"user_namespaces_allowed": "few, not none"})
def healthy_few_user_namespaces() -> Machine:
    m = mi300x()
    m.file("/proc/sys/user/max_user_namespaces", "1\n")
    return m


@machine({"here_kfd_with_render_nodes": "amd-dri-missing", "here_memory_lockable": "container-memlock-or-ulimit"})
def inside_with_kfd_alone() -> Machine:
    m = inside(amd(linux(), MI300X))
    m.drop("/dev/dri")
    m.names("/dev/infiniband", ["uverbs0"])
    m.file("/proc/self/limits", LIMITS.format(memlock="65536"))
    m.spaces["/dev/shm"] = {"size": 1 << 34, "free": 1 << 34, "inodes": 0, "free_inodes": 0}
    return m


KFD, DRI = (
    {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"} for path in ("/dev/kfd", "/dev/dri")
)
ROCM = {"ROCM_PATH": "/opt/rocm"}


@machine({"container_dri_beside_kfd": "amd-dri-missing"})
def container_with_kfd_alone() -> Machine:
    return container(mi300x(), ROCM, Devices=[KFD])


@machine({"container_kfd_permitted": "amd-kfd-permission"})
def container_user_without_group() -> Machine:
    return container(mi300x(), ROCM, Devices=[KFD, DRI], User="1000")


@machine({"container_kfd_is_device": "amd-device-not-permitted"})
def container_with_kfd_as_volume() -> Machine:
    mounts = [{"Type": "bind", "Source": path, "Destination": path} for path in ("/dev/kfd", "/dev/dri")]
    return container(mi300x(), ROCM, Mounts=mounts)


@machine(
    {},
    near={
        "container_kfd_is_device": "mounted, and permitted as well",
        "container_memory_lockable": "InfiniBand, with memlock unlimited",
        "container_platform": "the same",
    },
)
def healthy_container_with_kfd_twice() -> Machine:
    mounts = [{"Type": "bind", "Source": "/dev/kfd", "Destination": "/dev/kfd"}]
    rdma = {
        "PathOnHost": "/dev/infiniband/uverbs0",
        "PathInContainer": "/dev/infiniband/uverbs0",
        "CgroupPermissions": "rwm",
    }
    return container(
        mi300x(),
        ROCM,
        state={"ExitCode": 0},
        Mounts=mounts,
        Devices=[KFD, DRI, rdma],
        Ulimits=[{"Name": "memlock", "Soft": -1, "Hard": -1}],
    )


@machine({"container_memory_lockable": "container-memlock-or-ulimit"})
def container_with_rdma_and_little_memlock() -> Machine:
    rdma = {
        "PathOnHost": "/dev/infiniband/uverbs0",
        "PathInContainer": "/dev/infiniband/uverbs0",
        "CgroupPermissions": "rwm",
    }
    return container(
        mi300x(), ROCM, Devices=[KFD, DRI, rdma], Ulimits=[{"Name": "memlock", "Soft": 65536, "Hard": 65536}]
    )


@machine({"container_fits_image": "framework-wrong-vendor", "container_fits_vendor": "framework-wrong-vendor"})
def container_for_rocm_asks_for_nvidia() -> Machine:
    return container(mi300x(), ROCM, DeviceRequests=[GPUS])


@machine({"amd_container_runtime_registered": "amd-container-toolkit"})
def container_wants_amd_runtime() -> Machine:
    return container(mi300x(), {**ROCM, "AMD_VISIBLE_DEVICES": "all"})


@machine(
    {},
    near={
        "amd_container_runtime_registered": "asked for, and registered",
        "daemon_runtime_programs_exist": "the program is there",
    },
)
def healthy_container_with_amd_runtime() -> Machine:
    m = amd(linux(), MI300X)
    m.names("/usr/bin", ["amd-ctk", "amd-container-runtime"])
    m.commands["amd-ctk --version"] = Reply("AMD Container Toolkit CLI version 1.1.0\n")
    docker(m, "amd", daemon={"runtimes": {"amd": {"path": "/usr/bin/amd-container-runtime"}}})
    return container(m, {**ROCM, "AMD_VISIBLE_DEVICES": "all"}, state={"ExitCode": 0}, Runtime="amd")


@machine({"daemon_runtime_programs_exist": "amd-container-toolkit"})
def amd_runtime_not_installed() -> Machine:
    m = amd(linux(), MI300X)
    return docker(m, "amd", daemon={"runtimes": {"amd": {"path": "/usr/bin/amd-container-runtime"}}})


SPEC = '{"cdiVersion": "0.6.0", "kind": "amd.com/gpu", "devices": [{"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/kfd"}, {"path": "/dev/dri/renderD%d"}]}}]}'


@machine({"cdi_nodes_exist": "amd-container-toolkit"})
def amd_cdi_names_a_node_that_is_gone() -> Machine:
    m = mi300x()
    m.file("/etc/cdi/amd.json", SPEC % 136)
    return m


@machine({}, near={"cdi_nodes_exist": "both nodes are there"})
def healthy_amd_cdi() -> Machine:
    m = mi300x()
    m.file("/etc/cdi/amd.json", SPEC % 128)
    return m


NORETRY = "/sys/module/amdgpu/parameters/noretry"
MI100 = Radeon("1002:738c", 90008, 32, "38000")


@machine({"amd_xnack_setting_fits": "amd-xnack-unavailable"})
def xnack_beside_a_gpu_without_retry() -> Machine:
    """One such GPU turns it off for the others too."""
    m = docker(amd(linux(), MI210, RX7900), daemon=None)
    m.environment = {"HSA_XNACK": "1"}
    return m


@machine({"amd_xnack_setting_fits": "amd-xnack-unavailable"})
def xnack_with_a_driver_that_does_not_retry() -> Machine:
    m = docker(amd(linux(), MI100), daemon=None)
    m.file(NORETRY, "1\n")
    return container(m, {**ROCM, "HSA_XNACK": "1"}, Devices=[KFD, DRI])


@machine({}, near={"amd_xnack_setting_fits": "each process may choose, whatever noretry says"})
def healthy_xnack_on_mi210() -> Machine:
    m = docker(amd(linux(), MI210), daemon=None)
    m.file(NORETRY, "1\n")
    m.environment = {"HSA_XNACK": "1"}
    return m


@machine({}, near={"amd_xnack_setting_fits": "an older GPU, loaded with retry"})
def healthy_xnack_on_mi100() -> Machine:
    m = docker(amd(linux(), MI100), daemon=None)
    m.file(NORETRY, "0\n")
    m.environment = {"HSA_XNACK": "1"}
    return m


@machine({"here_devices_permitted": "amd-device-not-permitted"})
def inside_with_kfd_bound() -> Machine:
    """As with -v /dev/kfd:/dev/kfd: version 1 of cgroups tells that nothing permits it."""
    m = inside(amd(linux(), MI300X))
    m.file("/sys/fs/cgroup/devices/devices.list", "c 1:3 rwm\nc 226:* rwm\n")
    m.spaces["/dev/shm"] = {"size": 1 << 34, "free": 1 << 34, "inodes": 0, "free_inodes": 0}
    return m


@machine({"container_requests_kfd": "amd-kfd-missing"})
def container_without_kfd() -> Machine:
    return container(mi300x(), {"ROCM_PATH": "/opt/rocm"}, "RuntimeError: No HIP GPUs are available\n")


@machine({})
def healthy_rocm_image_that_needed_no_gpu() -> Machine:
    return container(mi300x(), {"ROCM_PATH": "/opt/rocm"}, "tests passed\n", state={"ExitCode": 0})
