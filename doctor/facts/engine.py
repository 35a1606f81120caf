"""The container engine as recorded, and the container that was asked about."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

from doctor.facts.read import content_of
from doctor.facts.unknown import Unknown
from doctor.snapshot import Snapshot

# Variables that the vendors' base images set: https://gitlab.com/nvidia/container-images/cuda and
# https://github.com/ROCm/ROCm-docker
CUDA_SIGNS = ("CUDA_VERSION", "NVIDIA_REQUIRE_CUDA", "NV_CUDA_CUDART_VERSION")
ROCM_SIGNS = ("ROCM_PATH", "ROCM_VERSION", "PYTORCH_ROCM_ARCH", "ROCM_HOME", "HIP_PATH")
# vendor/class=name: https://github.com/cncf-tags/container-device-interface/blob/main/SPEC.md
CDI_NAME = re.compile(r"[A-Za-z][\w.-]*/[A-Za-z][\w.-]*=[\w.:-]+")
NO_ROOM = re.compile(r"No space left on device|Errno 28|ENOSPC|os error 28")
NEVER = "0001-01-01T00:00:00Z"
PROFILE = "seccomp={"
DEFAULT_NETWORKS = ("bridge", "podman")
ADDRESSES = (("ip", "IPv4Address"), ("ip6", "IPv6Address"))
# Options of docker and podman run to their names in the long form of --network.
TYPED = {"--ip": "ip", "--ip6": "ip6", "--mac-address": "mac-address", "--network-alias": "alias"}
MOUNT_VALUES = (
    ("bind-propagation", "BindOptions", "Propagation"),
    ("volume-subpath", "VolumeOptions", "Subpath"),
    ("image-subpath", "ImageOptions", "Subpath"),
    ("tmpfs-size", "TmpfsOptions", "SizeBytes"),
    ("tmpfs-mode", "TmpfsOptions", "Mode"),
)


@dataclass(frozen=True, slots=True)
class ListedContainer:
    """A container in the engine's list."""

    name: str
    image: str
    state: str
    status: str
    exit_code: int | None
    error: str
    oom_killed: bool

    @property
    def failed(self) -> bool:
        """Never started, ended with an error, restarts, is dead, or had a process killed for memory."""
        if self.state in ("dead", "restarting") or self.oom_killed or self.error:
            return True
        return self.state == "exited" and self.exit_code not in (0, None)


@dataclass(frozen=True, slots=True)
class EngineFacts:
    address: str
    kind: Literal["docker", "podman"]
    version: str
    runtimes: tuple[str, ...]
    default_runtime: str
    cgroup_version: str
    cgroup_driver: str
    cdi_folders: tuple[str, ...] | None
    """Where CDI specifications are read from; None where the engine is too old to say."""
    discovered: tuple[str, ...]
    """Devices that the engine itself lists, CDI names among them."""
    rootless: bool
    architecture: str
    root: str
    containers: tuple[ListedContainer, ...]

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is asked over a network, and so is of another machine."""
        return bool(re.match(r"(?:tcp|https?|ssh)://(?!localhost\b|127\.|\[::1\])", self.address))


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """What --gpus, or --device with a CDI name, asks for."""

    driver: str
    count: int
    ids: tuple[str, ...]
    capabilities: tuple[tuple[str, ...], ...]

    @property
    def is_cdi(self) -> bool:
        return self.driver == "cdi"

    @property
    def is_gpu(self) -> bool:
        return self.driver in ("nvidia", "amd") or any("gpu" in group for group in self.capabilities)


@dataclass(frozen=True, slots=True)
class DeviceMapping:
    host: str
    container: str
    permissions: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A network that a container is attached to, and what was asked of it."""

    network: str
    options: tuple[tuple[str, str], ...] = ()
    """(name, value) as `--network name=…,ip=…` takes them: alias, ip, ip6, link-local-ip, mac-address, driver-opt,
    gw-priority (https://docs.docker.com/reference/cli/docker/container/run/#network)."""


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    """What happened to a container, as the engine heard of it."""

    action: str
    """start, oom, kill, stop or die."""
    signal: str = ""
    """Number or name of the signal that somebody had the engine send."""


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """A container's own configuration and how it ended."""

    id: str
    name: str
    image: str
    """The reference it was started with."""
    status: str
    """created, running, exited, restarting, paused, dead."""
    exit_code: int
    """The state's exit code; the command line's differs where the start failed."""
    error: str
    """The engine's words where it did not start."""
    oom_killed: bool
    never_started: bool
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str
    environment: dict[str, str | None]
    """None: the value was not recorded."""
    working_dir: str
    tty: bool
    stdin: bool
    auto_remove: bool
    runtime: str
    requests: tuple[DeviceRequest, ...]
    devices: tuple[DeviceMapping, ...]
    device_rules: tuple[str, ...]
    others: tuple[tuple[str, str], ...]
    """Further settings, (option, value) as `docker run` takes them; an empty value is a flag."""
    unread: tuple[str, ...]
    """Settings whose values were not recorded, in words."""
    named: tuple[tuple[str, str], ...]
    """(option, name) of labels and annotations, whose values were not recorded either."""
    binds: tuple[str, ...]
    """With anonymous volumes, which are a path alone."""
    mounts: tuple[tuple[str, str, str], ...]
    """(type, source, target) of each mount."""
    tmpfs: dict[str, str]
    ports: dict[str, tuple[str, ...]]
    groups: tuple[str, ...]
    security: tuple[str, ...]
    cap_add: tuple[str, ...]
    cap_drop: tuple[str, ...]
    ulimits: dict[str, tuple[int, int]]
    ipc: str
    pid: str
    network: str
    networks: tuple[Attachment, ...]
    """Those that have a name of their own, and the default one where something was asked of it."""
    shm_size: int
    """Bytes."""
    memory: int
    """Bytes; 0: no limit."""
    memory_swap: int
    """Bytes of memory and swap together, -1: no limit; 0: as the engine sets it, twice the memory."""
    cpus: float
    privileged: bool
    readonly: bool
    init: bool
    detached: bool
    restart: str
    service: str
    """Name of its compose service, or empty."""
    log: str = ""
    """Its last log lines; empty too where they could not be read."""
    events: tuple[ContainerEvent, ...] = ()
    """What the engine remembers since its last start; empty too where it has forgotten, or was not asked."""

    @property
    def ran(self) -> str:
        """Entrypoint and command as one line."""
        return " ".join((*self.entrypoint, *self.command))

    def has_device(self, path: str) -> bool:
        """Whether a device node is passed, itself or by its folder."""
        return any(path == one.host or path.startswith(one.host.rstrip("/") + "/") for one in self.devices)

    def binds_device(self, path: str) -> bool:
        """Whether a path is mounted as a volume, which passes no permission to use a device."""
        return any(source == path for _, source, _ in self.mounts)

    @property
    def memory_folders(self) -> tuple[str, ...]:
        """Where it has memory file systems of its own (--tmpfs), the longest path first: one may lie in another."""
        folders = {*self.tmpfs, *(target for kind, _, target in self.mounts if kind == "tmpfs")}
        return tuple(sorted(folders, key=lambda path: (-len(path), path)))

    @property
    def full_memory_folder(self) -> tuple[str, int, str] | None:
        """The one in which its log says that there was no room, and the line's number and text."""
        for number, line in enumerate(self.log.splitlines(), 1):
            if NO_ROOM.search(line):
                for folder in self.memory_folders:
                    if re.search(rf"(?<![\w/.-]){re.escape(folder.rstrip('/'))}/", line):
                        return folder, number, line.strip()
        return None

    @property
    def killed_on_request(self) -> bool:
        """Whether somebody had the engine send SIGKILL, as `docker stop` does after its time of grace."""
        return any(one.action == "kill" and one.signal in ("9", "KILL", "SIGKILL") for one in self.events)

    @property
    def requests_nvidia(self) -> bool:
        """Whether a GPU of NVIDIA is asked for in any of the ways there are."""
        cdi = any(name.startswith("nvidia.com/") for one in self.requests if one.is_cdi for name in one.ids)
        return cdi or self.runtime.startswith("nvidia") or any(one.is_gpu and not one.is_cdi for one in self.requests)

    @property
    def requests_amd(self) -> bool:
        cdi = any(name.startswith("amd.com/") for one in self.requests if one.is_cdi for name in one.ids)
        return cdi or self.has_device("/dev/kfd") or self.runtime == "amd"


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What the engine's own record says of the container's image; nothing of its files."""

    id: str
    names: tuple[str, ...]
    architecture: str
    system: str
    environment: dict[str, str | None]
    labels: dict[str, str]
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    user: str
    working_dir: str

    @property
    def stack(self) -> tuple[Literal["cuda", "rocm"] | None, str]:
        """What its environment says it is built for, and the variable that says so. None: it does not say, or both."""
        cuda = next((name for name in CUDA_SIGNS if name in self.environment), "")
        rocm = next((name for name in ROCM_SIGNS if name in self.environment), "")
        if bool(cuda) == bool(rocm):
            return None, ""
        sign = cuda or rocm
        value = self.environment[sign]
        return ("cuda" if cuda else "rocm"), f"{sign}={value}" if value is not None else sign


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """Room where the engine keeps its data. Bytes."""

    path: str
    size: int
    free: int
    inodes: int
    """0: the file system makes them as needed."""
    free_inodes: int


def disk(snapshot: Snapshot) -> DiskFacts | Unknown:
    info = content_of(snapshot, "docker:info") or {}
    root = info.get("DockerRootDir") or ""
    content = content_of(snapshot, f"space:{root}")
    if content is None:
        return Unknown("the engine's data folder is not known or not readable", f"space:{root}")
    return DiskFacts(root, content["size"], content["free"], content["inodes"], content["free_inodes"])


def connections(snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    """(address, why not) of engines whose socket is there but that did not answer."""
    readings = (snapshot.readings[key] for key in snapshot.keys("docker:connect "))
    return tuple(
        (one.key.removeprefix("docker:connect "), one.error or one.state)
        for one in readings
        if one.state not in ("ok", "missing")
    )


def engine(snapshot: Snapshot) -> EngineFacts | Unknown:
    info, version = content_of(snapshot, "docker:info"), content_of(snapshot, "docker:version")
    if info is None:
        return Unknown(_why_no_engine(snapshot), "docker:info")
    components = [item.get("Name", "") for item in (version or {}).get("Components") or ()]
    security = info.get("SecurityOptions") or []
    address = snapshot.get("docker:address")
    is_podman = any("Podman" in name for name in components)
    return EngineFacts(
        address=address.text if address else "",
        kind="podman" if is_podman else "docker",
        version=str((version or {}).get("Version") or info.get("ServerVersion") or ""),
        runtimes=tuple(sorted(info.get("Runtimes") or {})),
        default_runtime=info.get("DefaultRuntime") or "",
        cgroup_version=str(info.get("CgroupVersion") or ""),
        cgroup_driver=info.get("CgroupDriver") or "",
        cdi_folders=tuple(info["CDISpecDirs"] or ()) if "CDISpecDirs" in info else None,
        discovered=tuple(str(item.get("ID", "")) for item in info.get("DiscoveredDevices") or ()),
        rootless=any("rootless" in str(item) for item in security),
        architecture=info.get("Architecture") or "",
        root=info.get("DockerRootDir") or "",
        containers=tuple(_listed(item) for item in content_of(snapshot, "docker:containers") or ()),
    )


def container(snapshot: Snapshot) -> ContainerFacts | Unknown:
    content = content_of(snapshot, "docker:container")
    if content is None:
        reading = snapshot.get("docker:container")
        reason = reading.why_not if reading else "no container was named"
        return Unknown(reason, "docker:container")
    state, host, config = content["State"], content["HostConfig"], content["Config"]
    of_image = (content_of(snapshot, "docker:image") or {}).get("Config") or {}
    info = content_of(snapshot, "docker:info") or {}
    default_log = info.get("LoggingDriver") or "json-file"
    typed = _typed(snapshot, config.get("Image") or "")
    return ContainerFacts(
        id=content["Id"],
        name=content["Name"],
        image=config.get("Image") or content["Image"],
        status=state.get("Status", ""),
        exit_code=state.get("ExitCode", 0),
        error=state.get("Error") or "",
        oom_killed=bool(state.get("OOMKilled")),
        never_started=state.get("StartedAt", NEVER) == NEVER,
        entrypoint=_words(config.get("Entrypoint")),
        command=_words(config.get("Cmd")),
        user=config.get("User") or "",
        environment=_environment(config.get("Env")),
        working_dir=config.get("WorkingDir") or "",
        tty=bool(config.get("Tty")),
        stdin=bool(config.get("OpenStdin")),
        auto_remove=bool(host.get("AutoRemove")),
        runtime=host.get("Runtime") or "",
        requests=(
            *map(_request, host.get("DeviceRequests") or ()),
            *_typed_requests(typed),
        ),
        devices=tuple(_device(item) for item in host.get("Devices") or ()),
        device_rules=tuple(host.get("DeviceCgroupRules") or ()),
        others=(
            *_others(content, host, config, of_image),
            *_resources(host),
            *_cgroup_namespace(host, info),
            *_health(config.get("Healthcheck") or {}, of_image.get("Healthcheck") or {}),
            *_logging(host.get("LogConfig") or {}, default_log),
        ),
        unread=tuple(_unread(host)),
        named=tuple(_named(host, config, of_image)),
        binds=(*(host.get("Binds") or ()), *_anonymous(host, config, of_image)),
        mounts=tuple(
            (item.get("Type", ""), item.get("Source", ""), item.get("Destination") or item.get("Target", ""))
            for item in content.get("Mounts") or ()
        ),
        tmpfs=host.get("Tmpfs") or {},
        ports=_ports(host.get("PortBindings")),
        groups=tuple(host.get("GroupAdd") or ()),
        security=tuple(_security(host)),
        cap_add=tuple(name.removeprefix("CAP_") for name in host.get("CapAdd") or ()),
        cap_drop=tuple(name.removeprefix("CAP_") for name in host.get("CapDrop") or ()),
        ulimits={_limit(item["Name"]): (item["Soft"], item["Hard"]) for item in host.get("Ulimits") or ()},
        ipc=host.get("IpcMode") or "",
        pid=host.get("PidMode") or "",
        network=host.get("NetworkMode") or "",
        networks=tuple(_attachments(content, host, config, typed)),
        shm_size=host.get("ShmSize") or 0,
        memory=host.get("Memory") or 0,
        memory_swap=_swap(host.get("Memory") or 0, host.get("MemorySwap") or 0),
        cpus=(host.get("NanoCpus") or 0) / 1e9,
        privileged=bool(host.get("Privileged")),
        readonly=bool(host.get("ReadonlyRootfs")),
        init=bool(host.get("Init")),
        detached=_detached(typed, config),
        restart=_restart(host.get("RestartPolicy")),
        service=(config.get("Labels") or {}).get("com.docker.compose.service", ""),
        events=_events(content_of(snapshot, "docker:events") or []),
        log=log.text if (log := snapshot.get("docker:log")) and log.state == "ok" else "",
    )


def image(snapshot: Snapshot) -> ImageFacts | Unknown:
    content = content_of(snapshot, "docker:image")
    if content is None:
        reading = snapshot.get("docker:image")
        return Unknown(reading.why_not if reading else "no image was looked at", "docker:image")
    config = content.get("Config") or {}
    return ImageFacts(
        id=content.get("Id", ""),
        names=tuple(content.get("RepoTags") or ()),
        architecture=content.get("Architecture", ""),
        system=content.get("Os", ""),
        environment=_environment(config.get("Env")),
        labels=config.get("Labels") or {},
        entrypoint=_words(config.get("Entrypoint")),
        command=_words(config.get("Cmd")),
        user=config.get("User") or "",
        working_dir=config.get("WorkingDir") or "",
    )


def _why_no_engine(snapshot: Snapshot) -> str:
    for key in ("docker:info", *snapshot.keys("docker:connect "), *snapshot.keys("probe:engine")):
        reading = snapshot.get(key)
        if reading and reading.state != "ok":
            return reading.why_not.removeprefix("connect ")
    return "no container engine was found (no socket, DOCKER_HOST not set)"


def _listed(item: dict[str, Any]) -> ListedContainer:
    detail = item.get("detail") or {}
    return ListedContainer(
        name=item["name"],
        image=item["image"],
        state=item["state"],
        status=item["status"],
        exit_code=detail.get("ExitCode"),
        error=detail.get("Error") or "",
        oom_killed=bool(detail.get("OOMKilled")),
    )


def _words(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _environment(items: list[str] | None) -> dict[str, str | None]:
    split = (item.partition("=") for item in items or ())
    return {name: value if equals else None for name, equals, value in split}


def _events(items: list[dict[str, Any]]) -> tuple[ContainerEvent, ...]:
    """Those since the container's last start."""
    events = [ContainerEvent(str(item["action"]), str(item.get("signal") or "")) for item in items]
    last = max((n for n, one in enumerate(events) if one.action == "start"), default=0)
    return tuple(events[last:])


def _request(item: dict[str, Any]) -> DeviceRequest:
    return DeviceRequest(
        driver=item.get("Driver") or "",
        count=item.get("Count") or 0,
        ids=tuple(item.get("DeviceIDs") or ()),
        capabilities=tuple(tuple(group) for group in item.get("Capabilities") or ()),
    )


def _typed(snapshot: Snapshot, image: str) -> list[str]:
    """The options that a Podman container was made with, as they were typed; none where they are not known."""
    words: list[str] = content_of(snapshot, "podman:command") or []
    own = [n for n, word in enumerate(words) if f"/{image}".endswith((f"/{word}", f"/{word}:latest"))]
    return words[: own[0]] if own else words


def _typed_requests(typed: list[str]) -> tuple[DeviceRequest, ...]:
    """CDI devices: Podman's inspection leaves them out, the command line has them."""
    devices = [word for before, word in pairwise(typed) if before == "--device"]
    devices += [word.removeprefix("--device=") for word in typed if word.startswith("--device=")]
    names = tuple(name for name in devices if CDI_NAME.fullmatch(name))
    return (DeviceRequest("cdi", 0, names, ()),) if names else ()


def _detached(typed: list[str], config: dict[str, Any]) -> bool:
    """Docker tells by what is attached; Podman attaches nothing, whatever was typed."""
    if typed:
        return any(word == "--detach" or re.fullmatch(r"-[a-z]*d[a-z]*", word) for word in typed)
    return config.get("AttachStdout") is False


VALUES = (
    ("--uts", "UTSMode"),
    ("--userns", "UsernsMode"),
    ("--cgroup-parent", "CgroupParent"),
    ("--cpu-shares", "CpuShares"),
    ("--cpuset-cpus", "CpusetCpus"),
    ("--cpuset-mems", "CpusetMems"),
    ("--memory-reservation", "MemoryReservation"),
    ("--pids-limit", "PidsLimit"),
    ("--oom-score-adj", "OomScoreAdj"),
    ("--volume-driver", "VolumeDriver"),
    ("--blkio-weight", "BlkioWeight"),
)
# Podman tells --cpus in these too.
SHARES = (
    ("--cpu-period", "CpuPeriod"),
    ("--cpu-quota", "CpuQuota"),
    ("--cpu-rt-period", "CpuRealtimePeriod"),
    ("--cpu-rt-runtime", "CpuRealtimeRuntime"),
)
# (option, key, what is limited): a device's path and a number.
DEVICE_LIMITS = (
    ("--blkio-weight-device", "BlkioWeightDevice", "Weight"),
    ("--device-read-bps", "BlkioDeviceReadBps", "Rate"),
    ("--device-write-bps", "BlkioDeviceWriteBps", "Rate"),
    ("--device-read-iops", "BlkioDeviceReadIOps", "Rate"),
    ("--device-write-iops", "BlkioDeviceWriteIOps", "Rate"),
)
LISTS = (
    ("--add-host", "ExtraHosts"),
    ("--dns", "Dns"),
    ("--dns-search", "DnsSearch"),
    ("--dns-option", "DnsOptions"),
    ("--volumes-from", "VolumesFrom"),
    ("--device-cgroup-rule", "DeviceCgroupRules"),
)
FLAGS = (("--oom-kill-disable", "OomKillDisable"), ("--publish-all", "PublishAllPorts"))


def _others(
    content: dict[str, Any], host: dict[str, Any], config: dict[str, Any], image: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    """What `docker run` was told beside the options that have a field of their own; 0, "" and private are defaults."""
    hostname = config.get("Hostname") or ""
    if hostname and not content["Id"].startswith(hostname) and host.get("NetworkMode") != "host":
        yield "--hostname", hostname
    if config.get("Domainname"):
        yield "--domainname", str(config["Domainname"])
    yield from (("--expose", text) for text in _exposed(host, config, image))
    yield from ((option, str(host[key])) for option, key in VALUES if host.get(key) not in (None, 0, "", "private"))
    yield from ((option, str(value)) for option, key in LISTS for value in host.get(key) or ())
    yield from (("--sysctl", f"{name}={value}") for name, value in (host.get("Sysctls") or {}).items())
    yield from (("--link", _link(text)) for text in host.get("Links") or ())
    yield from ((option, "") for option, key in FLAGS if host.get(key))
    yield from (("--mount", text) for item in host.get("Mounts") or () if (text := _mount(item)))
    yield from (("--tmpfs", f"{path}:{options}".rstrip(":")) for path, options in (host.get("Tmpfs") or {}).items())
    if config.get("StopSignal") and config["StopSignal"] != image.get("StopSignal"):
        yield "--stop-signal", str(config["StopSignal"])
    if config.get("StopTimeout") is not None:
        yield "--stop-timeout", str(config["StopTimeout"])


def _resources(host: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Shares of the processor, of disks and of swap."""
    if not host.get("NanoCpus"):
        yield from ((option, str(host[key])) for option, key in SHARES if host.get(key))
    for option, key, what in DEVICE_LIMITS:
        yield from ((option, f"{one['Path']}:{one[what]}") for one in host.get(key) or ())
    if host.get("MemorySwappiness") not in (None, -1):
        yield "--memory-swappiness", str(host["MemorySwappiness"])
    yield from (("--storage-opt", f"{name}={value}") for name, value in (host.get("StorageOpt") or {}).items())


def _cgroup_namespace(host: dict[str, Any], info: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Where it is not the default of this cgroup version (https://docs.docker.com/reference/cli/dockerd/)."""
    default = {"1": "host", "2": "private"}.get(str(info.get("CgroupVersion") or ""))
    if default and host.get("CgroupnsMode") not in (None, "", default):
        yield "--cgroupns", str(host["CgroupnsMode"])


def _exposed(host: dict[str, Any], config: dict[str, Any], image: dict[str, Any]) -> Iterator[str]:
    """Ports that are neither published nor the image's own; those in a row as a range, TCP without saying so."""
    known = {*(image.get("ExposedPorts") or ()), *(host.get("PortBindings") or ())}
    own = [text.partition("/") for text in config.get("ExposedPorts") or () if text not in known]
    ports = sorted((kind, int(number)) for number, _, kind in own if number.isdigit())
    first = 0
    for at, (kind, number) in enumerate(ports):
        if at + 1 < len(ports) and ports[at + 1] == (kind, number + 1):
            continue
        span = f"{ports[first][1]}-{number}" if first < at else str(number)
        yield span if kind in ("", "tcp") else f"{span}/{kind}"
        first = at + 1


def _security(host: dict[str, Any]) -> Iterator[str]:
    """A seccomp profile is recorded whole, not as the file's name that the option takes; Docker tells of no masks."""
    yield from (option for option in host.get("SecurityOpt") or () if not option.startswith(PROFILE))
    if host.get("MaskedPaths") == [] == host.get("ReadonlyPaths") and not host.get("Privileged"):
        yield "systempaths=unconfined"


def _attachments(
    content: dict[str, Any], host: dict[str, Any], config: dict[str, Any], typed: list[str]
) -> Iterator[Attachment]:
    """The network that it was started with comes first."""
    mode = str(host.get("NetworkMode") or "default")
    if mode in ("host", "none") or ":" in mode:
        return
    networks: dict[str, dict[str, Any]] = content.get("Networks") or {}
    first = mode if mode in networks else next(iter(networks), "")
    runs = (content.get("State") or {}).get("Running", True)
    for name in sorted(networks, key=lambda name: name != first):
        mac = config.get("MacAddress") if name == first else ""
        given = "" if runs else networks[name].get("MacAddress")  # while it runs it has one in any case
        options = (*_asked(networks[name], content["Id"]), *((("mac-address", mac or given),) if mac or given else ()))
        typed_too = _typed_addresses(typed) if name == first else ()
        if name not in DEFAULT_NETWORKS or options or typed_too:
            yield Attachment(name, tuple(dict.fromkeys((*options, *typed_too))))


def _asked(network: dict[str, Any], identity: str) -> Iterator[tuple[str, str]]:
    given = network.get("IPAMConfig") or {}
    yield from ((name, str(given[key])) for name, key in ADDRESSES if given.get(key))
    yield from (("link-local-ip", str(one)) for one in given.get("LinkLocalIPs") or ())
    yield from (("alias", str(one)) for one in network.get("Aliases") or () if not identity.startswith(one))
    yield from (("driver-opt", f"{name}={value}") for name, value in (network.get("DriverOpts") or {}).items())
    if network.get("GwPriority"):
        yield "gw-priority", str(network["GwPriority"])


def _typed_addresses(typed: list[str]) -> tuple[tuple[str, str], ...]:
    """Podman's inspection leaves out what was asked of a network, the command line has it."""
    words = [part for word in typed for part in (word.split("=", 1) if word.startswith("--") else [word])]
    return tuple((name, value) for option, value in pairwise(words) for name in (TYPED.get(option),) if name)


SPANS = (
    ("--health-interval", "Interval"),
    ("--health-timeout", "Timeout"),
    ("--health-start-period", "StartPeriod"),
    ("--health-start-interval", "StartInterval"),
)


def _health(own: dict[str, Any], inherited: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Its health check, as far as the image's is not the same. `--health-cmd` is always given to a shell."""
    kind, *words = own.get("Test") or [""]
    if kind == "NONE" and own != inherited:
        yield "--no-healthcheck", ""
    elif words and own.get("Test") != inherited.get("Test"):
        yield "--health-cmd", words[0] if kind == "CMD-SHELL" else shlex.join(words)
    for option, key in SPANS:
        if own.get(key) and own[key] != inherited.get(key):
            whole, part = divmod(own[key], 10**9)
            yield option, f"{own[key] // 10**6}ms" if part else f"{whole}s"
    if own.get("Retries") and own["Retries"] != inherited.get("Retries"):
        yield "--health-retries", str(own["Retries"])


def _logging(logging: dict[str, Any], default: str) -> Iterator[tuple[str, str]]:
    if logging.get("Type") not in (None, "", default):
        yield "--log-driver", logging["Type"]
    yield from (("--log-opt", f"{name}={value}") for name, value in (logging.get("Config") or {}).items())


def _unread(host: dict[str, Any]) -> Iterator[str]:
    names = (host.get("LogConfig") or {}).get("Others") or ()
    if names:
        yield f"the log option{'s' if len(names) > 1 else ''} {', '.join(names)}"
    if any(option.startswith(PROFILE) for option in host.get("SecurityOpt") or ()):
        yield "the seccomp profile, of whose file the engine keeps no name"


def _named(host: dict[str, Any], config: dict[str, Any], image: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name in sorted(set(config.get("LabelNames") or ()) - set(image.get("LabelNames") or ())):
        yield "--label", name
    yield from (("--annotation", name) for name in host.get("AnnotationNames") or ())


def _anonymous(host: dict[str, Any], config: dict[str, Any], image: dict[str, Any]) -> Iterator[str]:
    """Volumes without a name that were asked for on the command line."""
    own = set(config.get("Volumes") or ()) - set(image.get("Volumes") or ())
    mounted = {item.get("Target") for item in host.get("Mounts") or ()}
    bound = {text.split(":")[1] for text in host.get("Binds") or () if ":" in text}
    yield from sorted(own - mounted - bound)


def _link(text: str) -> str:
    """/other:/own/alias as it was typed: other:alias."""
    other, _, alias = text.partition(":")
    return f"{other.lstrip('/')}:{alias.rpartition('/')[2]}"


def _mount(item: dict[str, Any]) -> str:
    parts = [f"type={item.get('Type', 'volume')}"]
    parts += [f"{name}={item[key]}" for name, key in (("source", "Source"), ("target", "Target")) if item.get(key)]
    parts += ["readonly"] if item.get("ReadOnly") else []
    parts += ["bind-recursive=disabled"] if (item.get("BindOptions") or {}).get("NonRecursive") else []
    parts += ["volume-nocopy"] if (item.get("VolumeOptions") or {}).get("NoCopy") else []
    for name, group, key in MOUNT_VALUES:
        if value := (item.get(group) or {}).get(key):
            parts.append(f"{name}={value:o}" if key == "Mode" else f"{name}={value}")
    return ",".join(parts)


def _swap(memory: int, swap: int) -> int:
    return 0 if swap == 2 * memory else swap


def _limit(name: str) -> str:
    """As --ulimit takes it; Podman tells RLIMIT_NOFILE."""
    return name.removeprefix("RLIMIT_").lower()


def _device(item: dict[str, Any]) -> DeviceMapping:
    path = item.get("PathOnHost", "")
    return DeviceMapping(path, item.get("PathInContainer") or path, item.get("CgroupPermissions") or "rwm")


def _ports(bindings: dict[str, Any] | None) -> dict[str, tuple[str, ...]]:
    found = {}
    for inner, outer in (bindings or {}).items():
        found[inner] = tuple(_binding(at.get("HostIp") or "", at.get("HostPort") or "") for at in outer or ())
    return found


def _binding(address: str, port: str) -> str:
    """As -p takes it: an address always has a place for the port behind it, be it empty."""
    where = f"[{address}]" if ":" in address else address
    return f"{where}:{port}" if where else port


def _restart(policy: dict[str, Any] | None) -> str:
    name = (policy or {}).get("Name") or ""
    count = (policy or {}).get("MaximumRetryCount") or 0
    return f"{name}:{count}" if count and name == "on-failure" else name
