"""What of a machine is worth comparing with another's: the facts that decide whether a GPU container runs, in words.

Addresses, identities, times and free space differ between any two machines and tell nothing; they are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from doctor.facts.engine import ContainerFacts
from doctor.facts.host import HostFacts
from doctor.facts.nvml import NvmlFacts
from doctor.facts.toolkit import Broken

ENVIRONMENT = ("NVIDIA_", "CUDA_", "HIP_", "ROCR_", "HSA_", "ROCM_", "LD_", "GPU_", "NCCL_", "PYTORCH_", "DOCKER_")
"""Beginnings of variables that matter to GPUs, the loader and the engine."""


@dataclass(frozen=True, slots=True)
class Aspect:
    area: str
    name: str
    need: str
    """The dotted fact; where it is unknown there is nothing to compare."""
    values: Callable[[Any], Iterable[object]]
    """What it is here: any number of values, in any order. Empty: there is none of it."""


def _nvml(nvml: NvmlFacts) -> Iterator[str]:
    if nvml.hung:
        yield "does not answer"
    elif nvml.error:
        yield nvml.error.says
    else:
        yield f"answers for {len(nvml.answering)} of {len(nvml.gpus)} GPU(s)"


def _settings(config: Any) -> Iterator[str]:
    """A configuration file's own settings; those that are off or empty are as good as not there."""
    if isinstance(config, Broken):
        yield f"cannot be read: {config.error}"
    elif config is not None:
        for name in config.__slots__:
            value = getattr(config, name)
            if isinstance(value, dict):
                yield from (f"runtime {key}: {one}" for key, one in value.items())
            elif value and name != "path":
                yield f"{name.replace('_', '-')}: {'on' if value is True else value}"


def _variables(environment: dict[str, str | None]) -> Iterator[str]:
    return (f"{name}={value}" for name, value in environment.items() if name.startswith(ENVIRONMENT))


def _megabytes(size: int | None) -> list[str]:
    return [] if size is None else [f"{size >> 20} MB"]


def _requests(container: ContainerFacts) -> Iterator[str]:
    for one in container.requests:
        which = ",".join(one.ids) or ("all" if one.count == -1 else str(one.count))
        yield f"{one.driver or 'GPUs'} {which}"


def _state(container: ContainerFacts) -> Iterator[str]:
    yield f"{container.status}, exit code {container.exit_code}" + (f", {container.error}" if container.error else "")


def _capabilities(container: ContainerFacts) -> Iterator[str]:
    yield from (f"+{one}" for one in container.cap_add)
    yield from (f"-{one}" for one in container.cap_drop)


def _groups(host: HostFacts) -> Iterator[str]:
    return (f"{host.group_names.get(one, '')} ({one})".strip() for one in host.groups)


ASPECTS = tuple(
    Aspect(area, *row)
    for area, rows in (
        ("driver", (
            ("NVIDIA kernel module", "nvidia.module", lambda m: [f"{m.version} {m.kind}".strip()] if m else []),
            ("NVIDIA driver libraries", "nvidia", lambda n: n.versions),
            ("NVML", "nvml", _nvml),
            ("newest CUDA of the driver", "nvml", lambda n: [n.cuda] if n.cuda else []),
            ("Fabric Manager", "nvidia.fabric", lambda f: [f"{f.active} {f.version}".strip()] if f.active else []),
            ("amdgpu module", "amd", lambda a: [a.module_version or "of the kernel"] if a.module_loaded else []),
            ("ROCm on the host", "amd", lambda a: set(a.rocm.values())),
            ("loaded GPU modules", "modules.loaded", lambda names: names),
            ("module settings", "modules", lambda m: [one.line for one in m.settings]),
            ("Secure Boot", "modules.secure_boot", lambda on: ["on" if on else "off"]),
        )),
        ("GPUs", (
            ("GPUs on the PCI bus", "pci", lambda p: [
                f"{one.name.partition(' at ')[0]}, {one.driver or 'no driver'}" for one in (*p.nvidia, *p.amd)]),
            ("GPUs that NVML lists", "nvml", lambda n: [one.name for one in n.answering]),
            ("MIG", "nvml", lambda n: ["on" if one.mig else "off" for one in n.answering if one.mig is not None]),
            ("compute mode", "nvml", lambda n: [one.mode for one in n.answering if one.mode]),
            ("fabric", "nvml", lambda n: [one.fabric for one in n.answering if one.fabric]),
            ("GPUs that ROCm lists", "amd.topology", lambda nodes: [one.gfx for one in nodes if one.is_gpu]),
        )),
        ("toolkit", (
            ("NVIDIA Container Toolkit", "toolkit", lambda t: [t.version or "installed"] if t.has_nvidia else []),
            ("libnvidia-container", "toolkit", lambda t: [t.library] if t.library else []),
            ("AMD Container Toolkit", "toolkit", lambda t: [t.amd_version or "installed"] if t.has_amd else []),
            ("NVIDIA toolkit's config.toml", "toolkit.config", _settings),
            ("daemon.json", "toolkit.daemon", _settings),
            ("containerd's runtimes", "toolkit.containerd",
             lambda names: [names.error] if isinstance(names, Broken) else names or ()),
            ("CDI devices", "toolkit", lambda t: t.names),
            ("driver that CDI was written for", "toolkit", lambda t: {v for s in t.specs for v in s.driver_versions}),
        )),
        ("engine", (
            ("engine", "engine", lambda e: [f"{e.kind} {e.version}" + (", rootless" if e.rootless else "")]),
            ("runtimes", "engine", lambda e: e.runtimes),
            ("default runtime", "engine", lambda e: [e.default_runtime] if e.default_runtime else []),
            ("cgroups", "engine", lambda e: [f"v{e.cgroup_version} {e.cgroup_driver}"]),
            ("CDI folders", "engine", lambda e: e.cdi_folders or ()),
        )),
        ("device nodes", (
            ("device nodes", "devices", lambda d: [
                f"{one.path} {one.mode:04o} {one.uid}:{one.gid}" for one in d.nodes.values()]),
        )),
        ("user and groups", (
            ("user", "host", lambda h: [h.uid]),
            ("groups", "host", _groups),
        )),
        ("container", (
            ("container's image", "container", lambda c: [c.image]),
            ("container's command", "container", lambda c: [c.ran] if c.ran else []),
            ("container's state", "container", _state),
            ("container's runtime", "container", lambda c: [c.runtime] if c.runtime else []),
            ("GPU requests", "container", _requests),
            ("container's devices", "container", lambda c: [one.host for one in c.devices]),
            ("container's groups", "container", lambda c: c.groups),
            ("container's user", "container", lambda c: [c.user] if c.user else []),
            ("container's /dev/shm", "container", lambda c: _megabytes(c.shm_size)),
            ("ipc", "container", lambda c: [c.ipc] if c.ipc else []),
            ("memory limit", "container", lambda c: _megabytes(c.memory or None)),
            ("privileged", "container", lambda c: ["yes" if c.privileged else "no"]),
            ("security options", "container", lambda c: c.security),
            ("capabilities", "container", _capabilities),
            ("ulimits", "container", lambda c: [f"{name} {soft}:{hard}" for name, (soft, hard) in c.ulimits.items()]),
            ("mounts", "container", lambda c: [f"{source}:{target}" for _, source, target in c.mounts]),
            ("container's environment", "container", lambda c: _variables(c.environment)),
        )),
        ("image", (
            ("image's processor", "image", lambda i: [i.architecture]),
            ("image's environment", "image", lambda i: _variables(i.environment)),
            ("image's stack", "image_content", lambda c: [c.stack]),
            ("distribution of the image", "image_content", lambda c: [c.distribution] if c.distribution else []),
            ("glibc of the image", "image_content", lambda c: [c.glibc] if c.glibc else []),
            ("components", "image_content", lambda c: {f"{one.component} {one.version}" for one in c.versions}),
            ("frameworks", "image_content", lambda c: {f"{one.name} {one.version}" for one in c.frameworks}),
            ("missing libraries", "image_content", lambda c: {one.needed for one in c.libraries if not one.found}),
            ("GPU code", "image_content", lambda c: {t for one in c.code for t in (*one.cubin, *one.gfx)}),
        )),
        ("host", (
            ("distribution", "host", lambda h: [h.distribution] if h.distribution else []),
            ("kernel", "host", lambda h: [h.kernel]),
            ("processor of the host", "host", lambda h: [h.machine]),
            ("environment of this user", "host", lambda h: _variables(h.environment)),
            ("inside a container", "limits", lambda one: [one.inside] if one.inside else []),
            ("SELinux", "limits.selinux", lambda on: ["enforcing"] if on else []),
            ("AppArmor", "limits.apparmor", lambda on: ["on"] if on else []),
            ("locked memory", "limits.memlock", lambda size: ["unlimited"] if size is None else [f"{size >> 10} KB"]),
            ("/dev/shm of the host", "limits.shm_size", _megabytes),
            ("GPUs that nodes offer", "kubernetes.nodes", lambda nodes: [
                f"{one.name}: {one.nvidia_free + one.amd_free}" for one in nodes]),
            ("device plug-ins", "kubernetes.plugins", lambda names: names),
            ("runtime classes", "kubernetes.runtime_classes", lambda names: names),
        )),
    )
    for row in rows
)  # fmt: skip
"""By relevance."""
