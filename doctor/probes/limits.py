"""What confines programs here: SELinux, AppArmor, user namespaces, limits, shared memory, a container around us."""

from __future__ import annotations

from collections.abc import Iterator

from doctor.probes import Probe
from doctor.probes.system import System
from doctor.snapshot import Reading, Target

FILES = (
    "/sys/fs/selinux/enforce",
    "/sys/fs/selinux/booleans/container_use_devices",
    "/sys/module/apparmor/parameters/enabled",
    "/proc/sys/user/max_user_namespaces",
    "/proc/sys/kernel/unprivileged_userns_clone",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "/proc/sys/kernel/yama/ptrace_scope",
    "/proc/self/limits",
    "/proc/self/status",
    "/proc/self/cgroup",
    "/sys/fs/cgroup/devices/devices.list",
)
# Bind mounts of driver files, and how /dev/shm is made.
MOUNTS = r"nvidia|libcuda|/dev/shm |/dev/kfd|/dev/dri| / "
STATUS = r"^(?:CapEff|NoNewPrivs|Seccomp|Groups):"


def limits(system: System, target: Target) -> Iterator[Reading]:
    for path in FILES:
        yield system.lines(path, STATUS) if path.endswith("/status") else system.file(path)
    yield system.lines("/proc/self/mountinfo", MOUNTS)
    yield system.space("/dev/shm")
    yield system.names("/dev/infiniband")
    yield system.node("/.dockerenv")
    yield system.node("/run/.containerenv")
    yield system.file("/run/systemd/container")
    yield system.node("/.singularity.d")
    yield system.node("/run/secrets/kubernetes.io")


PROBES = (
    Probe("limits", "SELinux, AppArmor, user namespaces, limits, shared memory; whether this is a container", limits),
)
