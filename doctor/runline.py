"""The container's own command line, corrected: the user's line with what is missing or wrong changed.

Grammar: https://docs.docker.com/reference/cli/docker/container/run/ , https://docs.docker.com/reference/compose-file/ ,
CDI names: https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from doctor.diagnose import Diagnosis
from doctor.facts import ContainerFacts, Facts, ImageFacts
from doctor.facts.engine import DeviceRequest
from doctor.report import Corrected
from doctor.runforms import KFD_GROUP, RunLine, as_compose, as_run, compose_lacks

NVIDIA_ENVIRONMENT = ("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_REQUIRE_CUDA")
DEFAULT_SHM = 64 << 20
PODMAN_SHM = 64_000 << 10
MANY_NETWORKS = 25
"""Docker's major version from which `docker run` attaches to several networks at once (API 1.44)."""
SAFE_NAME = re.compile(r"[A-Za-z0-9._/-]+")
PODMAN_SETS = (
    ("--memory-swappiness", "0"),
    ("--pids-limit", "2048"),
    ("--stop-timeout", "10"),
    ("--stop-signal", "SIGTERM"),
    ("--stop-signal", "15"),
)

Change = Callable[[RunLine, Facts], RunLine]


def of_container(container: ContainerFacts, image: ImageFacts | None, engine: str) -> RunLine:
    """The line that would start such a container again."""
    container = _without_podmans_own(container) if engine == "podman" else container
    cdi = [name for one in container.requests if one.is_cdi for name in one.ids]
    inherited = image.environment if image else {}
    own = {k: v for k, v in container.environment.items() if k not in inherited or inherited[k] != v}
    has_entrypoint = container.entrypoint != (image.entrypoint if image else ())
    has_command = has_entrypoint or container.command != (image.command if image else ())
    flags = {
        "-d": container.detached,
        "--rm": container.auto_remove,
        "-i": container.stdin,
        "-t": container.tty,
        "--init": container.init,
        "--privileged": container.privileged,
        "--read-only": container.readonly,
    }
    mapped = [_mapping(one.host, one.container, one.permissions) for one in container.devices]
    return RunLine(
        engine=engine,
        image=container.image,
        name=container.name,
        command=container.command if has_command else (),
        entrypoint=container.entrypoint if has_entrypoint else None,
        environment=own,
        gpus=next((_gpus(one) for one in container.requests if one.is_gpu and not one.is_cdi), ""),
        runtime=container.runtime if container.runtime not in ("", "runc", "crun", "oci") else "",
        devices=(*mapped, *cdi),
        groups=container.groups,
        volumes=container.binds,
        ports=tuple(_port(inner, outer) for inner, outers in container.ports.items() for outer in outers or ("",)),
        user=container.user if container.user != (image.user if image else "") else "",
        working_dir=container.working_dir if container.working_dir != (image.working_dir if image else "") else "",
        network=container.network if container.network not in ("", "default", "bridge") else "",
        networks=container.networks,
        ipc=container.ipc if container.ipc not in ("", "private", "shareable") else "",
        pid=container.pid,
        shm_size=container.shm_size if container.shm_size != DEFAULT_SHM else 0,
        memory=container.memory,
        cpus=container.cpus,
        security=_typed_security(container),
        cap_add=container.cap_add,
        cap_drop=container.cap_drop,
        ulimits=container.ulimits,
        restart=container.restart if container.restart not in ("", "no") else "",
        platform="",
        flags=tuple(flag for flag, is_set in flags.items() if is_set),
        rest=container.others,
        memory_swap=container.memory_swap,
        service=container.service,
    )


def _without_podmans_own(container: ContainerFacts) -> ContainerFacts:
    """What Podman tells of every container, whatever was typed. Seen in Podman 4.3."""
    options = [volume.split(":") for volume in container.binds]
    return replace(
        container,
        environment=_without(container.environment, ("PATH", "TERM", "HOME", "HOSTNAME", "container")),
        cap_drop=tuple(name for name in container.cap_drop if name not in ("AUDIT_WRITE", "MKNOD", "NET_RAW")),
        ulimits={name: limit for name, limit in container.ulimits.items() if name not in ("nofile", "nproc")},
        pid="" if container.pid == "private" else container.pid,
        shm_size=0 if container.shm_size == PODMAN_SHM else container.shm_size,
        working_dir="" if container.working_dir == "/" else container.working_dir,
        others=tuple(one for one in container.others if one not in PODMAN_SETS),
        binds=tuple(":".join([*parts[:2], *_options_of_volume(parts[2:])]) for parts in options),
    )


def _options_of_volume(parts: Sequence[str]) -> list[str]:
    kept = [word for word in ",".join(parts).split(",") if word and word not in ("rw", "rprivate", "rbind")]
    return [",".join(kept)] if kept else []


def _typed_security(container: ContainerFacts) -> tuple[str, ...]:
    """The engine itself takes the label away from a container that is privileged or shares the host's processes."""
    implied = container.privileged or container.ipc == "host" or container.pid == "host"
    return tuple(option for option in container.security if not (implied and option == "label=disable"))


def _mapping(host: str, inner: str, permissions: str) -> str:
    if permissions != "rwm":
        return f"{host}:{inner}:{permissions}"
    return host if host == inner else f"{host}:{inner}"


def _gpus(request: DeviceRequest) -> str:
    parts = []
    if request.ids:
        parts.append(f"device={','.join(request.ids)}")
    elif request.count not in (-1, 0):
        parts.append(str(request.count))
    wanted = [name for group in request.capabilities for name in group if name != "gpu"]
    if wanted:
        parts.append(f"capabilities={','.join(wanted)}")
    if not parts:
        return "all"
    quoted = [f'"{part}"' if "," in part else part for part in parts]
    return ",".join((["all"] if not request.ids and request.count == -1 else []) + quoted)


def _port(inner: str, outer: str) -> str:
    port = inner.removesuffix("/tcp")
    return f"{outer}:{port}" if outer else port


def correct(diagnoses: Sequence[Diagnosis], facts: Facts) -> Corrected | None:
    """The container's line with the changes that the diagnoses' entries name.

    None where the first of them, the cause, is nothing that a command line can mend.
    """
    if not facts.container or not diagnoses or not diagnoses[0].entry.corrects:
        return None
    kind = facts.engine.kind if facts.engine else "docker"
    line = of_container(facts.container, facts.image or None, kind)
    words = []
    standing = [item for item in diagnoses if item.severity != "note" and item.role != "consequence"]
    wanted = [name for item in standing for name in item.entry.corrects]
    for name in dict.fromkeys(wanted):
        change, says = CHANGES[name]
        changed = change(line, facts)
        if changed != line:
            words.append(says)
        line = changed
    if not words:
        return None
    first = () if line.service else tuple(_making_room(facts.container, line.engine))
    kept = facts.container if first and not facts.container.auto_remove else None
    line, left_out = _networks(line, facts)
    if kept:
        safe = tuple(one for one in facts.container.named if SAFE_NAME.fullmatch(one[1]))
        line = replace(line, named=tuple((option, name, f"{kept.name}-old") for option, name in safe))
    left_out = (*facts.container.unread, *_names_left(facts.container, line), *left_out)
    unread = tuple(name for name, value in line.environment.items() if value is None)
    return Corrected(
        as_run(line), as_compose(line), tuple(words), unread, line.service, first, left_out,
        tuple(_remarks(line, left_out, unread, kept)),
    )  # fmt: skip


def _networks(line: RunLine, facts: Facts) -> tuple[RunLine, tuple[str, ...]]:
    """With those networks alone that this engine's `run` can attach to, and what is then left out."""
    version = re.match(r"\d+", facts.engine.version) if facts.engine else None
    if line.engine != "docker" or not version or int(version[0]) >= MANY_NETWORKS or len(line.networks) < 2:
        return line, ()
    rest = [f"the network {one.network} (`docker network connect`)" for one in line.networks[1:]]
    return replace(line, networks=line.networks[:1]), tuple(rest)


def _names_left(container: ContainerFacts, line: RunLine) -> Iterator[str]:
    """Labels and annotations whose values the line does not take from the old container."""
    taken = {(option, name) for option, name, _ in line.named}
    for kind in ("label", "annotation"):
        names = [name for option, name in container.named if option == f"--{kind}" and (option, name) not in taken]
        if names:
            yield f"the {kind}{'s' if names[1:] else ''} {', '.join(names)}"


def _making_room(container: ContainerFacts, engine: str) -> Iterator[str]:
    """The name is taken by the container that failed, and what it uses while it runs: it is kept under another name."""
    name = shlex.quote(container.name)
    runs = container.status in ("running", "restarting", "paused")
    if runs:
        yield f"{engine} stop {name}"
    if not (runs and container.auto_remove):
        yield f"{engine} rename {name} {name}-old"


def _remarks(
    line: RunLine, left_out: Sequence[str], unread: Sequence[str], kept: ContainerFacts | None
) -> Iterator[str]:
    if unread:
        names = ", ".join(unread[:6]) + (" …" if unread[6:] else "")
        yield f"The value of {names} was not read: set it in the shell that runs this."
    if left_out:
        yield f"Not carried over, since not read: {'; '.join(left_out)}."
    if line.named and kept:
        names = ", ".join(name for _, name, _ in line.named)
        yield f"The line reads {names} from {kept.name}-old when it runs; the compose form lacks that."
    if lacking := compose_lacks(line):
        yield f"Compose has no key for {', '.join(lacking)}."
    if kept:
        name = shlex.quote(kept.name)
        yield f"The old container keeps its files and log as {name}-old; when all is well: {line.engine} rm {name}-old"


def request_nvidia(line: RunLine, facts: Facts) -> RunLine:
    """--gpus all for Docker; the CDI name for Podman, whose --gpus needs a newer version."""
    if line.gpus or any(device.startswith("nvidia.com/") for device in line.devices):
        return line
    line = replace(line, environment=_without(line.environment, NVIDIA_ENVIRONMENT[:1]))
    if line.engine == "podman":
        return replace(line, devices=(*line.devices, "nvidia.com/gpu=all"), runtime="")
    return replace(line, gpus="all", runtime="" if line.runtime.startswith("nvidia") else line.runtime)


def drop_nvidia(line: RunLine, facts: Facts) -> RunLine:
    devices = tuple(device for device in line.devices if "nvidia" not in device)
    runtime = "" if line.runtime.startswith("nvidia") else line.runtime
    environment = _without(line.environment, NVIDIA_ENVIRONMENT)
    return replace(line, gpus="", devices=devices, runtime=runtime, environment=environment)


def request_amd(line: RunLine, facts: Facts) -> RunLine:
    """Both device nodes. The groups matter to a user other than root alone."""
    own = tuple(device for device in line.devices if not device.startswith(("/dev/kfd", "/dev/dri", "amd.com/")))
    unbound = tuple(volume for volume in line.volumes if not volume.startswith(("/dev/kfd", "/dev/dri")))
    line = replace(line, devices=("/dev/kfd", "/dev/dri", *own), volumes=unbound)
    return line if _is_root(line, facts) else add_device_groups(line, facts)


def drop_amd(line: RunLine, facts: Facts) -> RunLine:
    devices = tuple(d for d in line.devices if not d.startswith(("/dev/kfd", "/dev/dri", "amd.com/")))
    volumes = tuple(v for v in line.volumes if not v.startswith(("/dev/kfd", "/dev/dri")))
    groups = tuple(g for g in line.groups if g not in ("video", "render"))
    return replace(line, devices=devices, volumes=volumes, groups=groups)


def add_device_groups(line: RunLine, facts: Facts) -> RunLine:
    """By number: a name would be looked up in the image's /etc/group, which often lacks it or has another number."""
    numbers = [str(gid) for gid in facts.devices.amd_groups if gid] if facts.devices else []
    named = tuple(group for group in line.groups if group not in ("render", "video"))
    return replace(line, groups=tuple(dict.fromkeys((*named, *(numbers or [KFD_GROUP])))))


def devices_not_volumes(line: RunLine, facts: Facts) -> RunLine:
    """A volume shows the node but gives no permission in the devices cgroup; --device gives both."""
    bound = [volume for volume in line.volumes if volume.startswith("/dev/")]
    passed = [volume.removesuffix(":rw").removesuffix(":ro") for volume in bound]
    devices = [path.split(":")[0] if len(set(path.split(":"))) == 1 else path for path in passed]
    return replace(
        line,
        volumes=tuple(volume for volume in line.volumes if volume not in bound),
        devices=tuple(dict.fromkeys((*line.devices, *devices))),
    )


def enlarge_shm(line: RunLine, facts: Facts) -> RunLine:
    return replace(line, shm_size=max(line.shm_size * 2, 8 << 30)) if line.ipc != "host" else line


def raise_memory(line: RunLine, facts: Facts) -> RunLine:
    return replace(line, memory=line.memory * 2, memory_swap=max(line.memory_swap * 2, -1))


def enlarge_tmpfs(line: RunLine, facts: Facts) -> RunLine:
    """Ten times the size of the one that was full: how much the program needs is not known."""
    full = facts.container.full_memory_folder if facts.container else None
    if full is None:
        return line
    return replace(line, rest=tuple((name, _tenfold(value, full[0])) for name, value in line.rest))


def _tenfold(value: str, folder: str) -> str:
    """The value of --tmpfs or --mount for the folder, with more room."""
    if not value.startswith(f"{folder}:") and f"target={folder}" not in value.split(","):
        return value
    return re.sub(r"size=(\d+)", lambda found: f"size={int(found[1]) * 10}", value)


def default_runtime(line: RunLine, facts: Facts) -> RunLine:
    """Not --runtime=nvidia where the engine does not know it; --gpus asks for the same."""
    if not line.runtime.startswith("nvidia"):
        return replace(line, runtime="")
    return request_nvidia(replace(line, runtime=""), facts)


def fit_image(line: RunLine, facts: Facts) -> RunLine:
    """Ask for the GPUs that the image is built for, unless this host is seen to have the other vendor's."""
    stack = facts.image.stack[0] if facts.image else None
    nodes = facts.devices
    if stack == "cuda" and not (nodes and nodes.kfd and not nodes.nvidia):
        return request_nvidia(drop_amd(line, facts), facts)
    if stack == "rocm" and not (nodes and nodes.nvidia and not nodes.kfd):
        return request_amd(drop_nvidia(line, facts), facts)
    return line


def native_platform(line: RunLine, facts: Facts) -> RunLine:
    return replace(line, platform=f"linux/{facts.host.goarch}") if facts.host else line


def all_capabilities(line: RunLine, facts: Facts) -> RunLine:
    return replace(line, environment={**line.environment, "NVIDIA_DRIVER_CAPABILITIES": "all"})


def unlimited_memlock(line: RunLine, facts: Facts) -> RunLine:
    return replace(line, ulimits={**line.ulimits, "memlock": (-1, -1)})


CHANGES: dict[str, tuple[Change, str]] = {
    "request-nvidia-gpus": (request_nvidia, "asks for the NVIDIA GPUs"),
    "drop-nvidia-request": (drop_nvidia, "no longer asks for NVIDIA GPUs"),
    "request-amd-devices": (
        request_amd,
        "passes /dev/kfd and /dev/dri, with their groups for a user other than root",
    ),
    "drop-amd-devices": (drop_amd, "no longer passes AMD devices"),
    "add-device-groups": (add_device_groups, "adds the groups that own the device nodes, by number"),
    "devices-not-volumes": (devices_not_volumes, "passes device nodes with --device instead of as volumes"),
    "enlarge-shm": (enlarge_shm, "8 GB of shared memory"),
    "raise-memory": (raise_memory, "twice the memory limit: how much the program needs is not known"),
    "enlarge-tmpfs": (enlarge_tmpfs, "ten times the room in --tmpfs: how much the program needs is not known"),
    "default-runtime": (default_runtime, "asks with --gpus instead of an unregistered runtime"),
    "fit-image": (fit_image, "asks for the GPUs that the image is built for"),
    "native-platform": (native_platform, "asks for the image of this machine's processor"),
    "all-driver-capabilities": (all_capabilities, "asks for all parts of the driver"),
    "unlimited-memlock": (unlimited_memlock, "no limit on locked memory"),
}
"""What an entry's `corrects` may name."""


def _without(environment: dict[str, str | None], names: Iterable[str]) -> dict[str, str | None]:
    return {name: value for name, value in environment.items() if name not in names}


def _is_root(line: RunLine, facts: Facts) -> bool:
    user = line.user or (facts.image.user if facts.image else "")
    return user.split(":")[0] in ("", "0", "root")
