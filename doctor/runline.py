"""The container's own command line, corrected: the user's line with what is missing or wrong changed.

Grammar: https://docs.docker.com/reference/cli/docker/container/run/ , https://docs.docker.com/reference/compose-file/ ,
CDI names: https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from doctor.diagnose import Diagnosis
from doctor.facts import ContainerFacts, Facts, ImageFacts
from doctor.facts.engine import DeviceRequest
from doctor.report import Corrected

NVIDIA_ENVIRONMENT = ("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "NVIDIA_REQUIRE_CUDA")
DEFAULT_SHM = 64 << 20
PODMAN_SHM = 64_000 << 10
KFD_GROUP = '"$(stat -c %g /dev/kfd)"'
"""Where the node's group number is not known, the shell looks it up when the line is run."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """A `docker run` line, option by option. What equals the image's or the engine's default is left out."""

    engine: str
    image: str
    name: str
    command: tuple[str, ...]
    entrypoint: tuple[str, ...]
    environment: dict[str, str | None]
    gpus: str
    """The value of --gpus, or empty."""
    runtime: str
    devices: tuple[str, ...]
    groups: tuple[str, ...]
    volumes: tuple[str, ...]
    ports: tuple[str, ...]
    user: str
    working_dir: str
    network: str
    ipc: str
    pid: str
    shm_size: int
    memory: int
    cpus: float
    security: tuple[str, ...]
    cap_add: tuple[str, ...]
    cap_drop: tuple[str, ...]
    ulimits: dict[str, tuple[int, int]]
    restart: str
    platform: str
    flags: tuple[str, ...]
    """Options without a value, such as --rm and --privileged."""
    rest: tuple[str, ...]
    """Options that no correction touches, as they stand."""
    service: str = ""


Change = Callable[[RunLine, Facts], RunLine]


def of_container(container: ContainerFacts, image: ImageFacts | None, engine: str) -> RunLine:
    """The line that would start such a container again."""
    container = _without_podmans_own(container) if engine == "podman" else container
    cdi = [name for one in container.requests if one.is_cdi for name in one.ids]
    inherited = image.environment if image else {}
    own = {k: v for k, v in container.environment.items() if k not in inherited or inherited[k] != v}
    has_entrypoint = container.entrypoint != (image.entrypoint if image else ())
    has_command = has_entrypoint or container.command != (image.command if image else ())
    flags = {"--rm": container.auto_remove, "-i": container.stdin, "-t": container.tty, "--init": container.init,
             "--privileged": container.privileged, "--read-only": container.readonly}  # fmt: skip
    mapped = [_mapping(one.host, one.container, one.permissions) for one in container.devices]
    return RunLine(
        engine=engine,
        image=container.image,
        name=container.name,
        command=container.command if has_command else (),
        entrypoint=container.entrypoint if has_entrypoint else (),
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
        ipc=container.ipc if container.ipc not in ("", "private", "shareable") else "",
        pid=container.pid,
        shm_size=container.shm_size if container.shm_size != DEFAULT_SHM else 0,
        memory=container.memory,
        cpus=container.cpus,
        security=container.security,
        cap_add=container.cap_add,
        cap_drop=container.cap_drop,
        ulimits=container.ulimits,
        restart=container.restart if container.restart not in ("", "no") else "",
        platform="",
        flags=tuple(flag for flag, is_set in flags.items() if is_set),
        rest=tuple(f"--device-cgroup-rule={rule}" for rule in container.device_rules)
        + tuple(f"--tmpfs={path}:{options}".rstrip(":") for path, options in container.tmpfs.items()),
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
        binds=tuple(":".join([*parts[:2], *_options_of_volume(parts[2:])]) for parts in options),
    )


def _options_of_volume(parts: Sequence[str]) -> list[str]:
    kept = [word for word in ",".join(parts).split(",") if word and word not in ("rw", "rprivate", "rbind")]
    return [",".join(kept)] if kept else []


def _mapping(host: str, inner: str, permissions: str) -> str:
    if permissions != "rwm":
        return f"{host}:{inner}:{permissions}"
    return host if host == inner else f"{host}:{inner}"


def _gpus(request: DeviceRequest) -> str:
    parts = []
    if request.ids:
        parts.append(f"device={','.join(request.ids)}")
    elif request.count not in (-1, 0):
        parts.append(f"count={request.count}")
    wanted = [name for group in request.capabilities for name in group if name != "gpu"]
    if wanted:
        parts.append(f"capabilities={','.join(wanted)}")
    if not parts:
        return "all"
    quoted = [f'"{part}"' if "," in part else part for part in parts]
    return ",".join((["count=all"] if not request.ids and request.count == -1 else []) + quoted)


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
    return Corrected(run=as_run(line), compose=as_compose(line), changes=tuple(words))


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
    return replace(line, memory=line.memory * 2)


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


def as_run(line: RunLine) -> str:
    """The line as a shell takes it, an option a line where it is long."""
    words = [_option(text) for text in _options(line)]
    tail = " ".join(shlex.quote(word) for word in (line.image, *line.entrypoint[1:], *line.command))
    whole = " ".join((f"{line.engine} run", *words, tail))
    if len(whole) <= 88:
        return whole
    return " \\\n  ".join((f"{line.engine} run", *words, tail))


def _option(option: tuple[str, str]) -> str:
    name, value = option
    if not value:
        return name
    quoted = value if value == KFD_GROUP else shlex.quote(value)
    return f"{name} {quoted}" if len(name) == 2 else f"{name}={quoted}"


def _options(line: RunLine) -> list[tuple[str, str]]:
    """(option, value) in the order that people write them."""
    options: list[tuple[str, str]] = [(flag, "") for flag in line.flags]
    single = (
        ("--name", line.name),
        ("--platform", line.platform),
        ("--runtime", line.runtime),
        ("--gpus", line.gpus),
    )
    options += [(name, value) for name, value in single if value]
    for name, values in (("--device", line.devices), ("--group-add", line.groups), ("--security-opt", line.security),
                         ("--cap-add", line.cap_add), ("--cap-drop", line.cap_drop)):  # fmt: skip
        options += [(name, value) for value in values]
    options += [("--ulimit", f"{name}={soft}:{hard}") for name, (soft, hard) in line.ulimits.items()]
    sizes = (
        ("--shm-size", _size(line.shm_size)),
        ("--memory", _size(line.memory)),
        ("--cpus", f"{line.cpus:g}" if line.cpus else ""),
    )
    options += [(name, value) for name, value in sizes if value]
    places = (("--ipc", line.ipc), ("--pid", line.pid), ("--network", line.network), ("--user", line.user),
              ("--workdir", line.working_dir), ("--restart", line.restart))  # fmt: skip
    options += [(name, value) for name, value in places if value]
    options += [("-e", name if value is None else f"{name}={value}") for name, value in line.environment.items()]
    options += [("-v", volume) for volume in line.volumes]
    options += [("-p", port) for port in line.ports]
    if line.entrypoint:
        options.append(("--entrypoint", line.entrypoint[0]))
    options += [(option.partition("=")[0], option.partition("=")[2]) for option in line.rest]
    return options


def _size(count: int) -> str:
    """Bytes as the engine takes them: 8g, 512m."""
    if not count:
        return ""
    for unit, factor in (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)):
        if count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)


def as_compose(line: RunLine) -> str:
    """The same as a compose service. Strings are written as JSON, which YAML reads as it stands."""
    service = line.service or line.name or "app"
    rows: list[str] = ["services:", f"  {_key(service)}:", f"    image: {_text(line.image)}"]
    fields: list[tuple[str, object]] = [
        ("platform", line.platform), ("runtime", line.runtime), ("user", line.user), ("working_dir", line.working_dir),
        ("entrypoint", list(line.entrypoint)), ("command", list(line.command)),
        ("environment", [name if value is None else f"{name}={value}" for name, value in line.environment.items()]),
        ("devices", [d for d in line.devices if "=" not in d]), ("group_add", _compose_groups(line)),
        ("security_opt", list(line.security)), ("cap_add", list(line.cap_add)), ("cap_drop", list(line.cap_drop)),
        ("ipc", line.ipc), ("pid", line.pid), ("network_mode", line.network), ("shm_size", _size(line.shm_size)),
        ("mem_limit", _size(line.memory)), ("volumes", list(line.volumes)), ("ports", list(line.ports)),
        ("restart", line.restart), ("privileged", "--privileged" in line.flags),
    ]  # fmt: skip
    for name, value in fields:
        rows += _field(name, value)
    if line.ulimits:
        rows.append("    ulimits:")
        for name, (soft, hard) in line.ulimits.items():
            rows += [f"      {name}:", f"        soft: {soft}", f"        hard: {hard}"]
    return "\n".join(rows + _reservation(line)) + "\n"


def _field(name: str, value: object) -> list[str]:
    if isinstance(value, list) and value:
        return [f"    {name}:", *(f"      - {_text(item)}" for item in value)]
    if value is True:
        return [f"    {name}: true"]
    return [f"    {name}: {_text(value)}"] if value and isinstance(value, str) else []


def _compose_groups(line: RunLine) -> list[str]:
    return ["<number that `stat -c %g /dev/kfd` prints>" if g == KFD_GROUP else g for g in line.groups]


def _reservation(line: RunLine) -> list[str]:
    cdi = [device for device in line.devices if "=" in device]
    if not line.gpus and not cdi:
        return []
    rows = ["    deploy:", "      resources:", "        reservations:", "          devices:"]
    if cdi:
        rows += [
            "            - driver: cdi",
            "              device_ids:",
            *(f"                - {_text(d)}" for d in cdi),
        ]
        return [*rows, "              capabilities: [gpu]"]
    rows.append("            - driver: nvidia")
    ids = [part.strip('"').removeprefix("device=") for part in line.gpus.split('",') if "device=" in part]
    if ids:
        rows += [
            "              device_ids:",
            *(f"                - {_text(one)}" for one in ids[0].split(",")),
        ]
    else:
        count = line.gpus.removeprefix("count=")
        rows.append(f"              count: {count if count.isdigit() else 'all'}")
    return [*rows, "              capabilities: [gpu]"]


def _text(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False)


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() else _text(name)
