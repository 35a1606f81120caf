"""Parts of machines, laid out as Linux and the drivers do.

Where the forms are from: /proc/modules kernel/module/procfs.c, /proc/devices fs/char_dev.c, uevent drivers/pci/pci-driver.c,
topology drivers/gpu/drm/amd/amdkfd/kfd_topology.c, mem_info_* drivers/gpu/drm/amd/amdgpu/amdgpu_vram_mgr.c, all of Linux 6.8;
/proc/driver/nvidia kernel-open/nvidia/nv-procfs.c of https://github.com/NVIDIA/open-gpu-kernel-modules ; WSL
https://learn.microsoft.com/windows/wsl/ ; Jetson https://docs.nvidia.com/jetson/ ; docker info
https://docs.docker.com/reference/api/engine/
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.machines.build import Machine, Reply

CHILD = "child doctor.probes.nvml_child"
RELEASES = {
    "ubuntu": 'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nNAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n',
    "debian": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n',
    "rocky": 'NAME="Rocky Linux"\nVERSION_ID="9.4"\nID="rocky"\nID_LIKE="rhel centos fedora"\nPRETTY_NAME="Rocky Linux 9.4"\n',
}
LIMITS = (
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max open files            1024                 1048576              files     \n"
    "Max locked memory         {memlock:<20} {memlock:<20} bytes     \n"
)
DEVICES = "Character devices:\n  1 mem\n  4 tty\n195 nvidia\n195 nvidiactl\n234 nvidia-caps\n{uvm} nvidia-uvm\n226 drm\n235 kfd\n\nBlock devices:\n  8 sd\n"


def linux(kernel: str = "6.8.0-45-generic", distribution: str = "ubuntu", arch: str = "x86_64") -> Machine:
    """A machine without a GPU and without an engine."""
    m = Machine()
    m.file("/proc/sys/kernel/osrelease", kernel)
    m.file("/proc/sys/kernel/arch", arch)
    m.file("/proc/version", f"Linux version {kernel} (buildd@lcy02) #45-Ubuntu SMP\n")
    m.file("/etc/os-release", RELEASES[distribution])
    m.file("/etc/group", "root:x:0:\nvideo:x:44:\nrender:x:993:\nalice:x:1000:\n")
    m.file("/proc/modules", "ext4 1089536 2 - Live 0x0000000000000000\n")
    m.file("/proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 ro quiet\n")
    m.file("/proc/devices", DEVICES.format(uvm=511))
    m.file("/proc/self/limits", LIMITS.format(memlock=8388608))
    m.file("/proc/self/mountinfo", "23 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n")
    m.file("/proc/sys/user/max_user_namespaces", "127000\n")
    m.file("/sys/module/apparmor/parameters/enabled", "Y\n")
    m.folders |= {"/sys/bus/pci/devices", "/dev", f"/lib/modules/{kernel}", "/etc/modprobe.d", "/sys/class/iommu"}
    m.spaces["/dev/shm"] = {"size": 67_000_000_000, "free": 66_000_000_000, "inodes": 0, "free_inodes": 0}
    m.commands["dmesg"] = Reply("[    0.000000] Linux version 6.8.0-45-generic\n")
    m.node("/dev/null", major=1, minor=3)
    for name in ("nvidia", "amdgpu"):
        m.commands[f"modinfo -F filename {name}"] = Reply("", f"modinfo: ERROR: Module {name} not found.", "failed", 1)
    return m


def load(m: Machine, *names: str) -> None:
    """Modules in the running kernel."""
    rows = "".join(f"{name} 1024000 2 - Live 0x0000000000000000 (OE)\n" for name in names)
    m.files["/proc/modules"] = rows + str(m.files["/proc/modules"])
    for name in names:
        m.file(f"/sys/module/{name}/initstate", "live\n")


def unload(m: Machine, *names: str) -> None:
    rows = str(m.files["/proc/modules"]).splitlines(keepends=True)
    m.files["/proc/modules"] = "".join(row for row in rows if row.split()[0] not in names)
    for name in names:
        m.drop(f"/sys/module/{name}")


def kernel_log(m: Machine, *lines: str) -> None:
    m.commands["dmesg"] = Reply("".join(f"[ {100 + number:5}.000001] {line}\n" for number, line in enumerate(lines)))


def pci(m: Machine, address: str, ids: str, kind: str = "30200", driver: str = "") -> None:
    vendor, device = ids.upper().split(":")
    bound = f"DRIVER={driver}\n" if driver else ""
    text = f"{bound}PCI_CLASS={kind}\nPCI_ID={vendor}:{device}\nPCI_SUBSYS_ID={vendor}:16C1\nPCI_SLOT_NAME={address}\n"
    m.file(f"/sys/bus/pci/devices/{address}/uevent", text)
    m.file(f"/sys/bus/pci/devices/{address}/resource", "0x00 0x00 0x00\n")
    m.file(f"/sys/bus/pci/devices/{address}/numa_node", "0\n")


@dataclass(frozen=True)
class Card:
    name: str
    ids: str
    capability: tuple[int, int]
    gigabytes: int
    kind: str = "30200"
    ecc: bool = True


H100 = Card("NVIDIA H100 80GB HBM3", "10de:2330", (9, 0), 80)
A100 = Card("NVIDIA A100-SXM4-80GB", "10de:20b2", (8, 0), 80)
RTX5090 = Card("NVIDIA GeForce RTX 5090", "10de:2b85", (12, 0), 32, "30000", False)
GTX1080 = Card("NVIDIA GeForce GTX 1080", "10de:1b80", (6, 1), 8, "30000", False)
T4 = Card("Tesla T4", "10de:1eb8", (7, 5), 15)
K80 = Card("Tesla K80", "10de:102d", (3, 7), 11)

LIBRARIES = "/usr/lib/x86_64-linux-gnu"


def address_of(index: int) -> str:
    return f"0000:{0x17 + index * 0x10:02x}:00.0"


def nvidia(
    m: Machine, driver: str, *cards: Card, kind: str = "open", cuda: int = 12080, libraries: str = LIBRARIES
) -> Machine:
    """A working driver and its cards."""
    load(m, "nvidia", "nvidia_modeset", "nvidia_uvm", "nvidia_drm")
    m.file("/sys/module/nvidia/version", f"{driver}\n")
    name = "Open Kernel Module for x86_64" if kind == "open" else "x86_64 Kernel Module"
    m.file(
        "/proc/driver/nvidia/version",
        f"NVRM version: NVIDIA UNIX {name}  {driver}  Release Build\nGCC version:  gcc version 13\n",
    )
    m.file(
        "/proc/driver/nvidia/params", "DeviceFileUID: 0\nDeviceFileGID: 0\nDeviceFileMode: 438\nModifyDeviceFiles: 1\n"
    )
    m.names(libraries, [f"{one}.so{end}" for one in ("libcuda", "libnvidia-ml") for end in (".1", f".{driver}")])
    m.file("/usr/bin/nvidia-smi")
    for path, major, minor in (("nvidiactl", 195, 255), ("nvidia-uvm", 511, 0), ("nvidia-uvm-tools", 511, 1)):
        m.node(f"/dev/{path}", major=major, minor=minor)
    m.commands["modinfo -F filename nvidia"] = Reply("/lib/modules/6.8.0-45-generic/updates/dkms/nvidia.ko\n")
    m.commands["modinfo -F version nvidia"] = Reply(f"{driver}\n")
    m.commands["modinfo -F license nvidia"] = Reply("Dual MIT/GPL\n" if kind == "open" else "NVIDIA\n")
    rows: list[dict[str, Any]] = [{"driver": driver, "cuda": cuda, "count": len(cards)}]
    for index, card in enumerate(cards):
        address = address_of(index)
        pci(m, address, card.ids, card.kind, "nvidia")
        m.node(f"/dev/nvidia{index}", minor=index)
        m.file(
            f"/proc/driver/nvidia/gpus/{address}/information",
            f"Model: \t\t {card.name}\nIRQ:   \t\t 120\nGPU UUID: \t {uuid(index)}\nBus Location: \t {address}\nDevice Minor: \t {index}\n",
        )
        rows.append(answer_of(index, card))
    ask(m, *rows)
    return m


def uuid(index: int) -> str:
    return f"GPU-5ad7a7e5-0a4d-0c4f-8f1e-00000000000{index}"


def answer_of(index: int, card: Card, **changes: Any) -> dict[str, Any]:
    """What NVML tells of a healthy card (doctor/probes/nvml_child.py)."""
    total = card.gigabytes << 30
    mig = [0, 0] if card.ids in (H100.ids, A100.ids) else None
    row = {
        "index": index, "name": card.name, "uuid": uuid(index), "pci": f"0000{address_of(index)}".upper(), "minor": index,
        "capability": list(card.capability), "total": total, "used": 600 << 20, "mode": 0, "persistence": 1,
        "ecc": [1, 1] if card.ecc else None, "mig": mig, "rows": [0, 0, 0, 0] if mig else None,
        "pages_pending": 0 if card.ecc and not mig else None, "uncorrected": 0 if card.ecc else None, "processes": [],
    }  # fmt: skip
    return {**row, **changes}


def ask(m: Machine, *rows: dict[str, Any]) -> None:
    m.commands[CHILD] = Reply("".join(json.dumps(row) + "\n" for row in rows))


def rows_of(m: Machine) -> list[dict[str, Any]]:
    return [json.loads(line) for line in m.commands[CHILD].text.splitlines()]


def tell(m: Machine, index: int, **changes: Any) -> Machine:
    """Change what NVML says of one card."""
    rows = rows_of(m)
    rows[index + 1] = {**rows[index + 1], **changes}
    ask(m, *rows)
    return m


def nvml_fails(m: Machine, code: int, name: str, says: str) -> Machine:
    ask(m, {"error": {"code": code, "name": name, "says": says}})
    m.commands["nvidia-smi"] = Reply("", f"Failed to initialize NVML: {says}", "failed", code)
    return m


def fabric(m: Machine, version: str, active: str = "active", switches: int = 4) -> Machine:
    for number in range(switches):
        pci(m, f"0000:c{number}:00.0", "10de:22a3", "68000", "nvidia-nvswitch")
    m.file("/usr/bin/nv-fabricmanager")
    m.commands["nv-fabricmanager --version"] = Reply(f"Fabric Manager version is : {version}\n")
    service(m, active)
    return m


def service(m: Machine, active: str) -> None:
    loaded = "loaded" if active else "not-found"
    m.commands["systemctl show"] = Reply(
        f"Id=nvidia-fabricmanager.service\nLoadState={loaded}\nActiveState={active or 'inactive'}\nResult=success\n"
    )


CONFIG = """disable-require = false
[nvidia-container-cli]
environment = []
ldconfig = "@/sbin/ldconfig.real"
load-kmods = true
{cgroups}
[nvidia-container-runtime]
log-level = "info"
mode = "{mode}"
"""


def toolkit(m: Machine, version: str = "1.17.8", mode: str = "auto", cgroups: str = "#no-cgroups = false") -> Machine:
    """NVIDIA's container toolkit, as its packages leave it."""
    names = (
        "nvidia-ctk",
        "nvidia-cdi-hook",
        "nvidia-container-cli",
        "nvidia-container-runtime",
        "nvidia-container-runtime-hook",
    )
    m.names("/usr/bin", names)
    m.file("/sbin/ldconfig")
    m.file("/sbin/ldconfig.real")
    m.file("/etc/nvidia-container-runtime/config.toml", CONFIG.format(mode=mode, cgroups=cgroups))
    m.commands["nvidia-ctk --version"] = Reply(
        f"NVIDIA Container Toolkit CLI version {version}\ncommit: f202b80a9b9d\n"
    )
    m.commands["nvidia-container-cli --version"] = Reply(
        f"cli-version: {version}\nlib-version: {version}\nbuild date: 2025-05-30T13:47+00:00\n"
    )
    return m


DAEMON = {"runtimes": {"nvidia": {"args": [], "path": "nvidia-container-runtime"}}}


def docker(m: Machine, *runtimes: str, daemon: dict[str, Any] | None = DAEMON, **changes: Any) -> Machine:
    """A Docker engine; runtimes beside its own."""
    known = ("runc", "io.containerd.runc.v2", *runtimes)
    info = {
        "ServerVersion": "28.3.2", "OperatingSystem": "Ubuntu 24.04.1 LTS", "OSType": "linux", "Architecture": "x86_64",
        "DockerRootDir": "/var/lib/docker", "Runtimes": {name: {} for name in known}, "DefaultRuntime": "runc",
        "CgroupDriver": "systemd", "CgroupVersion": "2", "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin"],
        "CDISpecDirs": ["/etc/cdi", "/var/run/cdi"],
    }  # fmt: skip
    m.readings |= {
        "docker:address": "unix:///var/run/docker.sock",
        "docker:version": json.dumps({"Version": "28.3.2", "Components": [{"Name": "Engine"}]}),
        "docker:info": json.dumps({**info, **changes}, sort_keys=True),
        "docker:containers": "[]",
        "space:/var/lib/docker": json.dumps({"size": 10**12, "free": 10**11, "inodes": 10**7, "free_inodes": 10**6}),
    }
    if daemon is not None:
        m.file("/etc/docker/daemon.json", json.dumps(daemon, indent=4))
    return m


def podman(m: Machine, rootless: bool = True) -> Machine:
    docker(m, daemon=None)
    m.readings["docker:version"] = json.dumps({"Version": "5.2.2", "Components": [{"Name": "Podman Engine"}]})
    if rootless:
        m.answer("docker:info", SecurityOptions=["name=rootless"])
    return m


GPUS = {"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]], "Options": {}}


def container(
    m: Machine, image: dict[str, str] | None = None, log: str = "", state: dict[str, Any] | None = None, **host: Any
) -> Machine:
    """The container that is asked about; `image` is its image's environment, `host` changes its HostConfig."""
    environment = [f"{name}={value}" for name, value in {"PATH": "/usr/bin", **(image or {})}.items()]
    m.container = "trainer"
    content = {
        "Id": "f" * 64, "Name": "trainer", "Image": "sha256:" + "a" * 64, "Mounts": host.pop("Mounts", []),
        "State": {"Status": "exited", "ExitCode": 1, "Error": "", "OOMKilled": False, "StartedAt": "2026-11-24T11:00:00Z", **(state or {})},
        "HostConfig": {"Runtime": "runc", "ShmSize": 64 << 20, "IpcMode": "private", **host},
        "Config": {"Image": "trainer:2.3", "Cmd": ["python", "train.py"], "Env": environment, "User": host.get("User", "")},
    }  # fmt: skip
    own = {
        "Id": "sha256:" + "a" * 64,
        "RepoTags": ["trainer:2.3"],
        "Architecture": "amd64",
        "Os": "linux",
        "Config": {"Env": environment},
    }
    m.readings |= {
        "docker:container": json.dumps(content, sort_keys=True),
        "docker:image": json.dumps(own, sort_keys=True),
        "docker:log": log,
    }
    return m


def cdi(m: Machine, driver: str, *devices: str, path: str = "/etc/cdi/nvidia.yaml") -> Machine:
    """A specification in the form in which nvidia-ctk writes it."""
    rows = ["---", "cdiVersion: 0.5.0", "containerEdits:", "  deviceNodes:", "  - path: /dev/nvidiactl", "  - path: /dev/nvidia-uvm",
            "  hooks:", "  - args:", "    - nvidia-cdi-hook", "    - update-ldcache", "    hookName: createContainer", "    path: /usr/bin/nvidia-cdi-hook",
            "  mounts:", f"  - containerPath: {LIBRARIES}/libcuda.so.{driver}", f"    hostPath: {LIBRARIES}/libcuda.so.{driver}", "    options:", "    - ro", "    - nosuid",
            "devices:"]  # fmt: skip
    for name in devices:
        node = "0" if name == "all" else name
        rows += ["- containerEdits:", "    deviceNodes:", f"    - path: /dev/nvidia{node}", f'  name: "{name}"']
    m.file(path, "\n".join([*rows, "kind: nvidia.com/gpu", ""]))
    return m


@dataclass(frozen=True)
class Radeon:
    ids: str
    version: int
    """gfx_target_version."""
    gigabytes: int
    kind: str = "30000"


MI300X = Radeon("1002:74a1", 90402, 192, "120000")
MI210 = Radeon("1002:740f", 90010, 64, "38000")
RX7900 = Radeon("1002:744c", 110000, 24)
APU = Radeon("1002:164e", 100306, 2)


def amd(
    m: Machine, *cards: Radeon, dkms: str = "", release: str = "60401", rocm: str = "6.4.1", visible: int = 100
) -> Machine:
    """A working amdgpu and its cards; `visible` is the percentage of memory that the BAR reaches."""
    load(m, "amdgpu")
    if dkms:
        m.file("/sys/module/amdgpu/version", f"{dkms}\n")
        m.file(f"/var/lib/dkms/amdgpu/{dkms}-2147987.24.04/6.8.0-45-generic/x86_64/log/make.log")
        m.commands["dpkg-query"] = Reply(f"1:{dkms}.{release}-2147987.24.04")
    m.node("/dev/kfd", 0o660, 993, 235, 0)
    nodes = "/sys/class/kfd/kfd/topology/nodes"
    m.file(f"{nodes}/0/gpu_id", "0\n")
    m.file(f"{nodes}/0/name", "\n")
    m.file(
        f"{nodes}/0/properties",
        "cpu_cores_count 64\nsimd_count 0\nmem_banks_count 1\ngfx_target_version 0\ndrm_render_minor 0\n",
    )
    for index, card in enumerate(cards):
        address, minor = f"0000:{0x43 + index:02x}:00.0", 128 + index
        pci(m, address, card.ids, card.kind, "amdgpu")
        m.file(f"/sys/bus/pci/devices/{address}/mem_info_vram_total", f"{card.gigabytes << 30}\n")
        m.file(
            f"/sys/bus/pci/devices/{address}/mem_info_vis_vram_total", f"{(card.gigabytes << 30) * visible // 100}\n"
        )
        m.node(f"/dev/dri/renderD{minor}", 0o660, 993, 226, minor)
        m.node(f"/dev/dri/card{index}", 0o660, 44, 226, index)
        m.file(f"{nodes}/{index + 1}/gpu_id", f"{50000 + index}\n")
        m.file(f"{nodes}/{index + 1}/name", "ip discovery\n")
        m.file(
            f"{nodes}/{index + 1}/properties",
            f"cpu_cores_count 0\nsimd_count 416\nvendor_id 4098\ndevice_id {int(card.ids[5:], 16)}\nlocation_id {(0x43 + index) << 8}\n"
            f"domain 0\ndrm_render_minor {minor}\ngfx_target_version {card.version}\n",
        )
    if rocm:
        m.file(f"/opt/rocm-{rocm}/.info/version", f"{rocm}-83\n")
    m.commands["modinfo -F filename amdgpu"] = Reply(
        "/lib/modules/6.8.0-45-generic/kernel/drivers/gpu/drm/amd/amdgpu/amdgpu.ko.zst\n"
    )
    m.commands["modinfo -F license amdgpu"] = Reply("GPL and additional rights\n")
    return m


def inside(m: Machine, engine: str = "docker") -> Machine:
    """The same seen from inside a container."""
    m.file({"docker": "/.dockerenv", "podman": "/run/.containerenv", "apptainer": "/.singularity.d/env"}[engine])
    return m


def as_user(
    m: Machine, uid: int = 1000, groups: tuple[int, ...] = (1000,), listed: tuple[int, ...] | None = None
) -> Machine:
    m.uid, m.groups, m.listed = uid, groups, groups if listed is None else listed
    return m
