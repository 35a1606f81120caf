"""The container engine: Docker, or Podman through its Docker-compatible socket. Only GET requests are made."""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from doctor.probes import Probe, cdi
from doctor.probes.host import ENVIRONMENT
from doctor.probes.system import System
from doctor.snapshot import Reading, Target

API_SECONDS = 5
LOG_LINES = 2000
LOG_BYTES = 1 << 20
LISTED = 200
DETAILED = 8
"""Containers that failed lately and are inspected one by one for their error."""

NO_SSH = (
    "ssh is not spoken here; forward the socket with `ssh -nNT -L /tmp/engine.sock:/var/run/docker.sock HOST`, "
    "then set DOCKER_HOST=unix:///tmp/engine.sock"
)
# Options of `podman run` whose values may be secrets.
VARIABLES = ("-e", "--env")
LABELLED = ("-l", "--label", "--annotation")
NEWEST_API = "1.51"
"""From 1.52 on the engine tells no more of a MAC address that was asked for, nor GraphDriver of containerd's store."""
EVENTS = ("start", "oom", "kill", "stop", "die")
EVENTS_KEPT = 64

# What each answer may carry into a snapshot. The rest (labels, host names, whole environments) stays where it is.
INFO = (
    "ServerVersion",
    "OperatingSystem",
    "OSType",
    "Architecture",
    "KernelVersion",
    "Driver",
    "DockerRootDir",
    "Runtimes",
    "DefaultRuntime",
    "CgroupDriver",
    "CgroupVersion",
    "SecurityOptions",
    "CDISpecDirs",
    "DiscoveredDevices",
    "ExperimentalBuild",
    "NCPU",
    "MemTotal",
    "Warnings",
    "LoggingDriver",
)
HOST_CONFIG = (
    "Binds",
    "NetworkMode",
    "PortBindings",
    "RestartPolicy",
    "AutoRemove",
    "CapAdd",
    "CapDrop",
    "CgroupnsMode",
    "GroupAdd",
    "IpcMode",
    "Privileged",
    "SecurityOpt",
    "ShmSize",
    "Runtime",
    "Memory",
    "MemorySwap",
    "NanoCpus",
    "CpusetCpus",
    "Devices",
    "DeviceCgroupRules",
    "DeviceRequests",
    "Ulimits",
    "PidMode",
    "UsernsMode",
    "ReadonlyRootfs",
    "Tmpfs",
    "OomKillDisable",
    "Mounts",
    "ExtraHosts",
    "Init",
    "UTSMode",
    "CgroupParent",
    "CpuShares",
    "CpusetMems",
    "MemoryReservation",
    "PidsLimit",
    "OomScoreAdj",
    "Sysctls",
    "Dns",
    "DnsSearch",
    "DnsOptions",
    "VolumesFrom",
    "Links",
    "PublishAllPorts",
    "BlkioWeight",
    "BlkioWeightDevice",
    "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "MemorySwappiness",
    "StorageOpt",
    "VolumeDriver",
    "MaskedPaths",
    "ReadonlyPaths",
)
CONFIG = (
    "Hostname", "User", "Tty", "OpenStdin", "AttachStdout", "Cmd", "Image", "WorkingDir", "Entrypoint", "ExposedPorts",
    "StopSignal", "StopTimeout", "Healthcheck", "Volumes", "Domainname", "MacAddress",
)  # fmt: skip
# What was asked of a network; what it gave (addresses, gateways) says nothing of how to ask again.
NETWORK = ("IPAMConfig", "Aliases", "DriverOpts", "GwPriority", "MacAddress")
# Options of log drivers that say nothing of a place or a key.
LOG_OPTIONS = ("max-size", "max-file", "compress", "mode", "max-buffer-size", "tag", "labels", "env")
ENGINES_OWN = (
    "com.docker.",
    "desktop.docker.",
    "io.podman.",
    "io.buildah.",
    "io.kubernetes.",
    "io.containerd.",
    "io.container.",
    "org.opencontainers.image.stopSignal",
)
"""What labels begin with that an engine, compose or a cluster puts there itself."""
IMAGE = (
    "Id",
    "RepoTags",
    "RepoDigests",
    "Architecture",
    "Variant",
    "Os",
    "Size",
    "Created",
    "RootFS",
    "GraphDriver",
)
LABELS = (
    "maintainer",
    "com.nvidia.volumes.needed",
    "com.nvidia.cudnn.version",
    "org.opencontainers.image.version",
    "org.opencontainers.image.ref.name",
    "com.docker.compose.service",
    "com.docker.compose.project",
)


def sockets() -> list[str]:
    """Addresses of engines on this machine, the user's own choice first."""
    found = [os.environ[name] for name in ("DOCKER_HOST", "CONTAINER_HOST") if os.environ.get(name)]
    if not found:
        found += filter(None, [_context()])
    run = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    for path in (
        "/var/run/docker.sock",
        f"{run}/docker.sock",
        f"{run}/podman/podman.sock",
        "/run/podman/podman.sock",
    ):
        if _is_socket(path):
            found.append(f"unix://{path}")
    return list(dict.fromkeys(found))


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def _context() -> str | None:
    """The engine that `docker context use` chose; read by hand, since the package creates folders when asked."""
    folder = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        name = json.loads((folder / "config.json").read_text()).get("currentContext")
        for meta in (folder / "contexts" / "meta").glob("*/meta.json"):
            content = json.loads(meta.read_text())
            if content.get("Name") == name:
                return str(content["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError):
        return None
    return None


class _Engine:
    """One engine's API."""

    def __init__(self, system: System, address: str) -> None:
        import docker
        from docker.utils import version_lt

        self.system = system
        self.address = address
        seconds = max(1, round(API_SECONDS * system.patience))
        self.api = docker.APIClient(base_url=address, version="auto", timeout=seconds)
        if version_lt(NEWEST_API, self.api.api_version):
            self.api = docker.APIClient(base_url=address, version=NEWEST_API, timeout=seconds)

    def get(self, key: str, call: Callable[[], Any]) -> tuple[Reading, Any]:
        """One request: its reading, and its answer or None."""
        import docker.errors
        import requests.exceptions

        try:
            answer = call()
        except docker.errors.NotFound as error:
            return self.system.reading(key, "missing", error=str(error.explanation or error)), None
        except docker.errors.APIError as error:
            return self.system.reading(key, "failed", error=str(error.explanation or error)), None
        except requests.exceptions.Timeout:
            return self.system.reading(key, "timeout", error=f"no answer within {API_SECONDS} s"), None
        except (
            docker.errors.DockerException,
            requests.exceptions.RequestException,
            OSError,
            ValueError,
        ) as error:
            return self.system.reading(key, "failed", error=_cause(error)), None
        text = answer if isinstance(answer, str) else json.dumps(answer, sort_keys=True)
        return self.system.reading(key, "ok", text), answer


def _cause(error: BaseException) -> str:
    """The innermost reason: the packages wrap it three times over."""
    seen: list[str] = []
    here: BaseException | None = error
    while here is not None:
        seen.append(str(here))
        if isinstance(here, PermissionError | FileNotFoundError | ConnectionRefusedError):
            return f"{here.strerror}"
        here = here.__cause__ or here.__context__
    for words in ("Permission denied", "No such file or directory", "Connection refused"):
        if any(words in text for text in seen):
            return words
    return seen[0]


def engine(system: System, target: Target) -> Iterator[Reading]:
    if not system.live:
        return
    found = sockets()
    yield system.reading("docker:addresses", "ok", "\n".join(found))
    connected: list[_Engine] = []
    for address in found:
        if address.startswith("ssh://"):
            yield system.reading(f"docker:connect {address}", "failed", error=NO_SSH)
            continue
        try:
            connected.append(_Engine(system, address))
        except Exception as error:  # the package raises its own and those of three others
            reason = _cause(error)
            state = "denied" if "ermission" in reason else "missing" if "No such file" in reason else "failed"
            yield system.reading(f"docker:connect {address}", state, error=reason)  # type: ignore[arg-type]
            continue
        yield system.reading(f"docker:connect {address}", "ok")
    if not connected:
        return
    chosen = _with_container(connected, target.container)
    yield system.reading("docker:address", "ok", chosen.address)
    wanted = ("Version", "ApiVersion", "Components", "Os", "Arch")
    version, _ = chosen.get("docker:version", lambda: _few(chosen.api.version(), wanted))
    yield version
    reading, info = chosen.get("docker:info", lambda: _few(chosen.api.info(), INFO))
    yield reading
    if info and info.get("DockerRootDir"):
        yield system.space(info["DockerRootDir"])
    if info and chosen.address.startswith("unix://"):  # of an engine elsewhere they are not on this machine
        own = [folder for folder in info.get("CDISpecDirs") or () if not folder.endswith(cdi.FOLDERS)]
        yield from cdi.specifications(system, own)
    yield chosen.get("docker:containers", lambda: _containers(chosen))[0]
    if target.container:
        yield from _container(chosen, target.container, "Podman" in version.text)


def _with_container(connected: list[_Engine], name: str | None) -> _Engine:
    """The engine that knows the container, else the first."""
    if name:
        for one in connected:
            if one.get("", lambda one=one: one.api.inspect_container(name))[1] is not None:  # type: ignore[misc]
                return one
    return connected[0]


def _few(content: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: content[name] for name in names if name in content}


def _containers(one: _Engine) -> list[dict[str, Any]]:
    """All containers in short; those that failed lately with their state."""
    listed = one.api.containers(all=True, limit=LISTED)
    short = []
    for container in listed:
        names = [name.lstrip("/") for name in container.get("Names") or ()]
        short.append(
            {
                "id": container["Id"],
                "name": names[0] if names else container["Id"][:12],
                "image": container.get("Image", ""),
                "state": container.get("State", ""),
                "status": container.get("Status", ""),
                "created": container.get("Created", 0),
            }
        )
    suspects = [item for item in short if item["state"] not in ("running", "paused")][:DETAILED]
    for item in suspects:
        _, content = one.get("", lambda item=item: one.api.inspect_container(item["id"]))  # type: ignore[misc]
        if content:
            item["detail"] = _state(content)
    return short


def _state(content: dict[str, Any]) -> dict[str, Any]:
    names = (
        "Status",
        "Running",
        "OOMKilled",
        "Dead",
        "ExitCode",
        "Error",
        "StartedAt",
        "FinishedAt",
        "Restarting",
    )
    return _few(content.get("State") or {}, names)


def _container(one: _Engine, name: str, is_podman: bool) -> Iterator[Reading]:
    reading, content = one.get("docker:container", lambda: _inspected(one.api.inspect_container(name)))
    yield reading
    if content is None:
        return
    if is_podman:
        yield one.get("podman:command", lambda: _typed(one, content["Id"]))[0]
    yield one.get("docker:log", lambda: _log(one, content["Id"]))[0]
    yield one.get("docker:events", lambda: _events(one, content["Id"]))[0]
    yield one.get("docker:image", lambda: _image(one.api.inspect_image(content["Image"])))[0]


def _typed(one: _Engine, identity: str) -> list[str]:
    """The command line that made the container: only Podman's own API tells it, and only it names CDI devices."""
    answer = one.api.get(f"{one.api.base_url}/v4.0.0/libpod/containers/{identity}/json", timeout=one.api.timeout)
    answer.raise_for_status()
    words = (answer.json().get("Config") or {}).get("CreateCommand") or []
    return [recordable(before, str(word)) for before, word in zip(["", *words], words, strict=False)]


def recordable(before: str, word: str) -> str:
    """A word of a command line, without the value of a variable that may not be recorded, or of a label."""
    for option in (*VARIABLES, *LABELLED):
        glued = word.startswith(f"{option}=" if option.startswith("--") else option) and word != option
        if before == option or glued:
            start = word[: len(option)] + "=" * option.startswith("--") if glued else ""
            item = word.removeprefix(start)
            kept = _environment({"Env": [item]})[0] if option in VARIABLES else item.partition("=")[0]
            return start + kept
    return word


def _inspected(content: dict[str, Any]) -> dict[str, Any]:
    config = content.get("Config") or {}
    return {
        "Id": content["Id"],
        "Name": content.get("Name", "").lstrip("/"),
        "Created": content.get("Created", ""),
        "Path": content.get("Path", ""),
        "Args": content.get("Args") or [],
        "Image": content.get("Image", ""),
        "Platform": content.get("Platform", ""),
        "RestartCount": content.get("RestartCount", 0),
        "State": _state(content),
        "Mounts": content.get("Mounts") or [],
        "HostConfig": _host_config(content.get("HostConfig") or {}),
        "Config": _config(config, CONFIG),
        "Networks": {name: _few(one, NETWORK) for name, one in _networks(content).items()},
    }


def _networks(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return (content.get("NetworkSettings") or {}).get("Networks") or {}


def _host_config(host: dict[str, Any]) -> dict[str, Any]:
    logging = host.get("LogConfig") or {}
    options = logging.get("Config") or {}
    kept = {
        "Type": logging.get("Type") or "",
        "Config": _few(options, LOG_OPTIONS),
        "Others": sorted(set(options) - set(LOG_OPTIONS)),
    }
    annotations = sorted(name for name in host.get("Annotations") or {} if not name.startswith(ENGINES_OWN))
    return {**_few(host, HOST_CONFIG), "LogConfig": kept, "AnnotationNames": annotations}


def _config(config: dict[str, Any], wanted: tuple[str, ...]) -> dict[str, Any]:
    names = sorted(name for name in config.get("Labels") or {} if not name.startswith(ENGINES_OWN))
    return {**_few(config, wanted), "Env": _environment(config), "Labels": _labels(config), "LabelNames": names}


def _image(content: dict[str, Any]) -> dict[str, Any]:
    config = content.get("Config") or {}
    wanted = ("User", "Cmd", "Entrypoint", "WorkingDir", "StopSignal", "Healthcheck", "Volumes", "ExposedPorts")
    return {**_few(content, IMAGE), "Config": _config(config, wanted)}


def _environment(config: dict[str, Any]) -> list[str]:
    """NAME=value for the names that may be recorded, NAME alone for the others."""
    items = []
    for item in config.get("Env") or ():
        name, _, value = item.partition("=")
        items.append(item if name in (*ENVIRONMENT, "PATH") else name if value else item)
    return items


def _labels(config: dict[str, Any]) -> dict[str, str]:
    labels = config.get("Labels") or {}
    return {name: labels[name] for name in LABELS if name in labels}


def _log(one: _Engine, identity: str) -> str:
    data = one.api.logs(identity, stdout=True, stderr=True, tail=LOG_LINES, timestamps=False)
    return str(data[-LOG_BYTES:].decode("utf-8", "replace"))


def _events(one: _Engine, identity: str) -> list[dict[str, Any]]:
    """What the engine remembers of how the container started and ended: Docker keeps its last 256 events."""
    told = one.api.events(since=1, until=int(time.time()) + 1, filters={"container": [identity]}, decode=True)
    rows = (
        {
            "action": item.get("Action") or item.get("status"),
            "time": item.get("time"),
            **_few((item.get("Actor") or {}).get("Attributes") or {}, ("signal", "exitCode")),
        }
        for item in told
    )
    return [row for row in rows if row["action"] in EVENTS][-EVENTS_KEPT:]


PROBES = (
    Probe(
        "engine",
        "the container engine's version and settings, the list of containers; of the container you name: its "
        "configuration, state, last log lines, events and image",
        engine,
        timeout=20.0,
    ),
)
