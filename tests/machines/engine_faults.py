"""Toolkits, engines and containers, each broken in one way, and those that only look so."""

from __future__ import annotations

import json

from tests.machines.build import Machine, Reply, machine
from tests.machines.parts import (
    DAEMON,
    GPUS,
    H100,
    RX7900,
    T4,
    amd,
    as_user,
    cdi,
    container,
    docker,
    kernel_log,
    linux,
    nvidia,
    podman,
    toolkit,
)

DRIVER = "570.133.20"
TOML = "/etc/nvidia-container-runtime/config.toml"


def h100() -> Machine:
    return docker(toolkit(nvidia(linux(), DRIVER, H100, H100)), "nvidia")


@machine({"nvidia_toolkit_installed": "nvidia-toolkit-not-installed"})
def toolkit_not_installed() -> Machine:
    return docker(nvidia(linux(), DRIVER, H100), daemon=None)


@machine({}, near={"nvidia_toolkit_installed": "the GPU Operator's, in a folder of its own"})
def healthy_toolkit_of_the_operator() -> Machine:
    m = docker(nvidia(linux(), DRIVER, H100), daemon=None)
    m.file("/usr/local/nvidia/toolkit/nvidia-container-runtime")
    return m


@machine({"nvidia_toolkit_knows_cgroups": "nvidia-cgroup-error"})
def toolkit_older_than_cgroup_v2() -> Machine:
    return docker(toolkit(nvidia(linux(), DRIVER, H100), version="1.7.0"), "nvidia")


@machine({}, near={"nvidia_toolkit_knows_cgroups": "the same old toolkit on cgroup v1"})
def healthy_old_toolkit_on_cgroup_v1() -> Machine:
    return docker(
        toolkit(nvidia(linux(), DRIVER, H100), version="1.7.0"), "nvidia", CgroupVersion="1", CgroupDriver="cgroupfs"
    )


@machine({"nvidia_config_readable": "container-engine-config-invalid"})
def toolkit_config_broken() -> Machine:
    m = h100()
    m.file(TOML, '[nvidia-container-cli]\nno-cgroups = yes\nldconfig = "@/sbin/ldconfig.real"\n')
    return m


@machine({}, near={"nvidia_config_readable": "empty: the defaults hold"})
def healthy_empty_toolkit_config() -> Machine:
    m = h100()
    m.file(TOML, "# nothing here\n")
    return m


@machine({"nvidia_config_manages_cgroups": "nvidia-no-cgroups-set"})
def no_cgroups_on_a_rootful_engine() -> Machine:
    return docker(toolkit(nvidia(linux(), DRIVER, H100), cgroups="no-cgroups = true"), "nvidia")


@machine({}, near={"nvidia_config_manages_cgroups": "set, and mode cdi does without the hook"})
def healthy_no_cgroups_in_cdi_mode() -> Machine:
    return cdi(
        docker(toolkit(nvidia(linux(), DRIVER, H100), cgroups="no-cgroups = true", mode="cdi"), "nvidia"), DRIVER, "0"
    )


@machine({"nvidia_config_fits_rootless": "nvidia-rootless-or-no-cgroups"})
def rootless_docker_with_the_hook() -> Machine:
    return as_user(docker(toolkit(nvidia(linux(), DRIVER, H100)), "nvidia", SecurityOptions=["name=rootless"]))


@machine({}, near={"nvidia_config_fits_rootless": "no-cgroups = true"})
def healthy_rootless_docker() -> Machine:
    m = toolkit(nvidia(linux(), DRIVER, H100), cgroups="no-cgroups = true")
    return as_user(docker(m, "nvidia", SecurityOptions=["name=rootless"]))


@machine({"nvidia_config_ldconfig_exists": "nvidia-hook-ldconfig-or-ldcache"})
def ubuntus_ldconfig_on_debian() -> Machine:
    m = docker(toolkit(nvidia(linux(distribution="debian"), DRIVER, H100)), "nvidia")
    m.drop("/sbin/ldconfig.real")
    return m


@machine({"nvidia_config_fits_mode": "nvidia-cdi-device-unresolvable"})
def mode_cdi_without_specification() -> Machine:
    return docker(toolkit(nvidia(linux(), DRIVER, H100), mode="cdi"), "nvidia")


@machine({}, near={"nvidia_config_fits_mode": "mode cdi, and a specification"})
def healthy_mode_cdi() -> Machine:
    return cdi(docker(toolkit(nvidia(linux(), DRIVER, H100), mode="cdi"), "nvidia"), DRIVER, "0", "all")


@machine({"nvidia_config_fits_mode": "container-engine-config-invalid"})
def mode_csv_on_a_server() -> Machine:
    return docker(toolkit(nvidia(linux(), DRIVER, H100), mode="csv"), "nvidia")


@machine({"nvidia_config_fits_mode": "container-engine-config-invalid"})
def mode_misspelt() -> Machine:
    return docker(toolkit(nvidia(linux(), DRIVER, H100), mode="legcay"), "nvidia")


ROOT = '[nvidia-container-cli]\nroot = "/run/nvidia/driver"\nldconfig = "@/usr/sbin/ldconfig"\n'


@machine({"nvidia_config_root_exists": "nvidia-nvml-library-missing"})
def root_of_a_driver_container_that_is_gone() -> Machine:
    m = h100()
    m.file(TOML, ROOT)
    m.file("/usr/sbin/ldconfig")
    return m


@machine(
    {},
    near={
        "nvidia_config_root_exists": "the driver container runs",
        "nvidia_config_ldconfig_exists": "in another folder, and there",
    },
)
def healthy_root_of_a_driver_container() -> Machine:
    m = h100()
    m.file(TOML, ROOT)
    m.file("/usr/sbin/ldconfig")
    m.folders.add("/run/nvidia/driver/usr/lib64")
    return m


@machine({"nvidia_toolkit_of_one_version": "nvidia-toolkit-version-mismatch"})
def toolkit_half_upgraded() -> Machine:
    m = h100()
    m.commands["nvidia-container-cli --version"] = Reply("cli-version: 1.13.5\nlib-version: 1.13.5\n")
    return m


@machine({}, near={"nvidia_toolkit_of_one_version": "patch releases apart, as one release was made"})
def healthy_toolkit_patch_releases_apart() -> Machine:
    m = docker(toolkit(nvidia(linux(), DRIVER, H100), version="1.14.5"), "nvidia")
    m.commands["nvidia-container-cli --version"] = Reply("cli-version: 1.14.4\nlib-version: 1.14.4\n")
    return m


@machine({}, near={"nvidia_config_ldconfig_exists": "no ldconfig.real, and it is not asked for"})
def healthy_debians_ldconfig() -> Machine:
    m = docker(toolkit(nvidia(linux(distribution="debian"), DRIVER, H100)), "nvidia")
    m.drop("/sbin/ldconfig.real")
    m.edit(TOML, "ldconfig.real", "ldconfig")
    return m


@machine({"daemon_config_readable": "container-engine-config-invalid"})
def daemon_json_broken() -> Machine:
    m = h100()
    m.file("/etc/docker/daemon.json", '{"runtimes": {"nvidia": {"path": "nvidia-container-runtime"}},}')
    return m


@machine({}, near={"daemon_config_readable": "valid, and empty of runtimes"})
def healthy_daemon_json_without_runtimes() -> Machine:
    return docker(toolkit(nvidia(linux(), DRIVER, H100)), "nvidia", daemon={"log-driver": "journald"})


@machine({"daemon_config_in_force": "nvidia-runtime-not-registered"})
def docker_not_restarted() -> Machine:
    return docker(toolkit(nvidia(linux(), DRIVER, H100)))


@machine({"daemon_default_runtime_known": "container-engine-config-invalid"})
def default_runtime_unknown() -> Machine:
    return docker(toolkit(nvidia(linux(), DRIVER, H100)), daemon={"default-runtime": "nvidia"})


@machine(
    {},
    near={
        "daemon_default_runtime_known": "nvidia as default, and defined",
        "daemon_config_in_force": "the engine knows it",
        "daemon_runtime_programs_exist": "a bare name, found in /usr/bin",
    },
)
def healthy_nvidia_as_default_runtime() -> Machine:
    return docker(
        toolkit(nvidia(linux(), DRIVER, H100)),
        "nvidia",
        daemon={**DAEMON, "default-runtime": "nvidia"},
        DefaultRuntime="nvidia",
    )


@machine({"daemon_runtime_programs_exist": "nvidia-toolkit-not-installed"})
def runtime_program_removed() -> Machine:
    m = h100()
    m.drop("/usr/bin/nvidia-container-runtime")
    return m


@machine({"cdi_specs_valid": "nvidia-cdi-device-unresolvable"})
def cdi_spec_broken() -> Machine:
    m = h100()
    m.file(
        "/etc/cdi/nvidia.yaml", "cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n  - name: all\n   containerEdits:\n"
    )
    return m


@machine({"cdi_specs_current": "nvidia-cdi-device-unresolvable"})
def cdi_spec_older_than_driver() -> Machine:
    return cdi(h100(), "550.127.05", "0", "1", "all")


@machine(
    {},
    near={
        "cdi_specs_current": "the driver's own version",
        "cdi_specs_valid": "as nvidia-ctk writes it",
        "cdi_nodes_exist": "every node is there",
        "cdi_names_described_once": "the same names in both folders: the later one wins",
    },
)
def healthy_cdi() -> Machine:
    return cdi(cdi(h100(), DRIVER, "0", "1", "all"), DRIVER, "0", "1", "all", path="/run/cdi/nvidia.yaml")


@machine({"cdi_nodes_exist": "nvidia-cdi-device-unresolvable"})
def cdi_names_a_gpu_that_is_gone() -> Machine:
    return cdi(h100(), DRIVER, "0", "1", "2", "all")


@machine({"cdi_names_described_once": "nvidia-cdi-device-unresolvable"})
def cdi_described_twice() -> Machine:
    return cdi(cdi(h100(), DRIVER, "0", "all"), DRIVER, "0", "1", path="/etc/cdi/nvidia-old.yaml")


def asks_for(*names: str) -> list[dict[str, object]]:
    return [{"Driver": "cdi", "Count": 0, "DeviceIDs": list(names), "Capabilities": None, "Options": None}]


@machine({"container_cdi_names_known": "nvidia-cdi-device-unresolvable"})
def container_asks_for_an_unknown_cdi_device() -> Machine:
    return container(cdi(h100(), DRIVER, "0", "1"), DeviceRequests=asks_for("nvidia.com/gpu=all"))


OWN = {"daemon": {**DAEMON, "cdi-spec-dirs": ["/opt/cdi"]}, "CDISpecDirs": ["/opt/cdi"]}


@machine({"container_cdi_names_known": "nvidia-cdi-device-unresolvable"})
def container_asks_for_a_cdi_device_of_a_folder_that_docker_does_not_read() -> Machine:
    return container(
        cdi(docker(h100(), "nvidia", **OWN), DRIVER, "0", "all"), DeviceRequests=asks_for("nvidia.com/gpu=all")
    )


@machine(
    {}, near={"container_cdi_names_known": "described in the engine's own folder", "cdi_specs_valid": "read there too"}
)
def healthy_cdi_in_a_folder_of_its_own() -> Machine:
    m = cdi(docker(h100(), "nvidia", **OWN), DRIVER, "0", "all", path="/opt/cdi/nvidia.yaml")
    return container(m, state={"Status": "running", "ExitCode": 0}, DeviceRequests=asks_for("nvidia.com/gpu=all"))


@machine({"container_cdi_names_known": "nvidia-cdi-not-enabled"})
def container_asks_for_cdi_that_is_off() -> Machine:
    m = docker(cdi(h100(), DRIVER, "0", "all"), "nvidia", CDISpecDirs=[])
    return container(m, DeviceRequests=asks_for("nvidia.com/gpu=all"))


@machine({}, near={"container_cdi_names_known": "described", "container_survives_reload": "systemd's cgroups, and CDI"})
def healthy_container_with_cdi() -> Machine:
    m = cdi(h100(), DRIVER, "0", "1", "all")
    return container(m, state={"Status": "running", "ExitCode": 0}, DeviceRequests=asks_for("nvidia.com/gpu=all"))


@machine({"container_survives_reload": "nvidia-devices-lost-after-reload"})
def container_may_lose_its_gpu() -> Machine:
    return container(h100(), state={"Status": "running", "ExitCode": 0}, DeviceRequests=[GPUS])


@machine({"container_survives_reload": "nvidia-devices-lost-after-reload"})
def container_lost_its_gpu() -> Machine:
    return container(
        h100(),
        state={"Status": "running", "ExitCode": 0},
        log="step 1\nFailed to initialize NVML: Unknown Error\n",
        DeviceRequests=[GPUS],
    )


@machine({"container_gpu_ids_exist": "nvidia-unknown-device-id"})
def container_asks_for_gpu_that_is_not_there() -> Machine:
    return container(h100(), DeviceRequests=[{**GPUS, "Count": 0, "DeviceIDs": ["2"]}])


@machine({"container_driver_capabilities": "nvidia-driver-capability-missing"})
def container_without_compute() -> Machine:
    return container(h100(), {"NVIDIA_DRIVER_CAPABILITIES": "graphics"}, DeviceRequests=[GPUS])


@machine({"container_cuda_fits_driver": "cuda-driver-too-old"})
def image_newer_than_driver() -> Machine:
    m = docker(toolkit(nvidia(linux(), "470.256.02", T4, kind="proprietary", cuda=11040)), "nvidia")
    return container(m, {"CUDA_VERSION": "12.8.1"}, DeviceRequests=[GPUS])


@machine({"container_requests_gpu": "nvidia-gpu-not-requested"})
def container_without_gpu() -> Machine:
    return container(h100(), {"CUDA_VERSION": "12.8.1", "NVIDIA_VISIBLE_DEVICES": "all"})


@machine({"container_platform": "container-image-platform-mismatch"})
def container_for_another_processor() -> Machine:
    m = container(h100(), DeviceRequests=[GPUS])
    m.answer("docker:image", Architecture="arm64")
    return m


@machine({"container_killed_for_memory": "container-oom-killed"})
def container_killed() -> Machine:
    return container(h100(), state={"OOMKilled": True, "ExitCode": 137}, DeviceRequests=[GPUS], Memory=16 << 20)


def events(m: Machine, *rows: dict[str, str]) -> Machine:
    """What the engine remembers of the container, as /events of its API tells it."""
    m.readings["docker:events"] = json.dumps([{"time": 1795903309 + n, **row} for n, row in enumerate(rows)])
    return m


def killed(**host: object) -> Machine:
    """Exit code 137 and no flag: the engine did not hear of the reason."""
    return container(h100(), state={"ExitCode": 137}, DeviceRequests=[GPUS], **host)


START, DIE = {"action": "start"}, {"action": "die", "exitCode": "137"}
OOM = (
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset={0},mems_allowed=0,oom_memcg=/docker/{0},"
    "task_memcg=/docker/{0},task=python,pid=4242,uid=0"
)


@machine({"container_killed_for_memory": "container-oom-killed"})
def container_killed_as_the_engines_events_tell() -> Machine:
    return events(killed(), START, {"action": "oom"}, DIE)


@machine({"container_killed_for_memory": "container-oom-killed"})
def container_killed_as_the_kernel_log_tells() -> Machine:
    m = killed()
    kernel_log(m, OOM.format("f" * 64))
    return m


@machine({"container_killed_for_memory": "container-oom-killed"})
def container_with_a_killed_child() -> Machine:
    """Process 1 went on and ended well."""
    m = container(h100(), state={"ExitCode": 0}, DeviceRequests=[GPUS])
    kernel_log(m, f"Task in /docker/{'f' * 64} killed as a result of limit of /docker/{'f' * 64}")
    return m


@machine({"container_killed_for_memory": "container-oom-killed"})
def container_killed_by_nobody_knows_whom() -> Machine:
    m = events(killed(), START, {"action": "kill", "signal": "9"}, DIE, START, DIE)
    kernel_log(m, OOM.format("e" * 64))
    return m


@machine({}, near={"container_killed_for_memory": "exit code 137 after `docker stop`"})
def healthy_container_that_was_stopped() -> Machine:
    asked = ({"action": "kill", "signal": "15"}, {"action": "kill", "signal": "9"}, DIE, {"action": "stop"})
    return events(killed(), START, {"action": "oom"}, DIE, START, *asked)


@machine(
    {"container_shared_memory": "container-shm-too-small"},
    near={"container_killed_for_memory": "ended by a signal, another one"},
)
def container_with_bus_error() -> Machine:
    return container(h100(), state={"ExitCode": 135}, DeviceRequests=[GPUS])


@machine(
    {},
    near={
        "container_shared_memory": "exit code 1, no bus error",
        "container_killed_for_memory": "exit code 1",
        "container_gpu_ids_exist": "a count that there is",
    },
)
def healthy_host_under_a_failing_program() -> Machine:
    return container(h100(), DeviceRequests=[{**GPUS, "Count": 2}])


@machine(
    {
        "engine_runtime_registered": "nvidia-runtime-not-registered",
        "daemon_config_in_force": "nvidia-runtime-not-registered",
    }
)
def container_with_unknown_runtime() -> Machine:
    return container(docker(toolkit(nvidia(linux(), DRIVER, H100))), Runtime="nvidia")


@machine({}, near={"engine_runtime_registered": "asked for, and known"})
def healthy_container_with_nvidia_runtime() -> Machine:
    return container(h100(), {"NVIDIA_VISIBLE_DEVICES": "all"}, Runtime="nvidia")


NO_ROOM = "step 12\nOSError: [Errno 28] No space left on device: '{}/checkpoint.pt'\n"


@machine({"container_tmpfs_roomy": "container-no-space"})
def container_that_filled_its_tmpfs() -> Machine:
    return container(h100(), log=NO_ROOM.format("/data"), DeviceRequests=[GPUS], Tmpfs={"/data": "size=2m"})


@machine({}, near={"container_tmpfs_roomy": "a folder beside it is full"}, cause="container-no-space")
def healthy_tmpfs_beside_a_full_volume() -> Machine:
    return container(h100(), log=NO_ROOM.format("/database"), DeviceRequests=[GPUS], Tmpfs={"/data": "size=2m"})


@machine({"engine_disk_space": "container-no-space"})
def engine_disk_full() -> Machine:
    m = h100()
    m.readings["space:/var/lib/docker"] = json.dumps(
        {"size": 10**12, "free": 10**7, "inodes": 10**7, "free_inodes": 10**6}
    )
    return m


@machine({}, near={"engine_disk_space": "a file system that makes inodes as needed", "engine_answers": "rootless"})
def healthy_rootless_podman_on_btrfs() -> Machine:
    m = podman(linux())
    m.readings["space:/var/lib/docker"] = json.dumps({"size": 10**12, "free": 10**10, "inodes": 0, "free_inodes": 0})
    return as_user(m)


@machine({"engine_answers": "container-engine-unreachable"})
def engine_refuses() -> Machine:
    m = nvidia(linux(), DRIVER, H100)
    m.refused["docker:connect unix:///var/run/docker.sock"] = ("denied", "Permission denied")
    return m


@machine({"apparmor_permits_gpu": "nvidia-hook-mount-failed"})
def apparmor_refuses_the_hook() -> Machine:
    m = h100()
    kernel_log(
        m,
        'audit: type=1400 audit(1764000000.1:78): apparmor="DENIED" operation="mount" class="mount" profile="snap.docker.dockerd" name="/proc/driver/nvidia/" pid=7',
    )
    return m


@machine({"apptainer_lists_name_driver_files": "container-apptainer-gpu-files"})
def apptainer_without_its_list() -> Machine:
    m = nvidia(linux(), DRIVER, H100)
    m.file("/usr/bin/apptainer")
    return m


@machine({}, near={"apptainer_lists_name_driver_files": "both lists, and both vendors"})
def healthy_apptainer() -> Machine:
    m = amd(nvidia(linux(), DRIVER, T4), RX7900)
    m.file("/usr/bin/apptainer")
    m.file("/etc/apptainer/nvliblist.conf", "# nvliblist.conf\nnvidia-smi\nlibcuda.so\nlibnvidia-ml.so\n")
    m.file("/etc/apptainer/rocmliblist.conf", "rocm-smi\nlibhsa-runtime64.so\nlibamdhip64.so\n")
    return m
