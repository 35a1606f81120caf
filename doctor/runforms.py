"""A start line as people type it: `docker run` for a shell, and a compose service.

Grammar: https://docs.docker.com/reference/cli/docker/container/run/ , https://docs.docker.com/reference/compose-file/
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from doctor.facts.engine import DEFAULT_NETWORKS, Attachment

WIDE = 88
KFD_GROUP = '"$(stat -c %g /dev/kfd)"'
"""Where the node's group number is not known, the shell looks it up when the line is run."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """A `docker run` line, option by option. What equals the image's or the engine's default is left out."""

    engine: str
    image: str
    name: str
    command: tuple[str, ...]
    entrypoint: tuple[str, ...] | None
    """None: the image's own; empty: none at all."""
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
    rest: tuple[tuple[str, str], ...]
    """(option, value) of those that no correction touches."""
    service: str = ""
    memory_swap: int = 0
    networks: tuple[Attachment, ...] = ()
    """What `network` names, and others; `network` alone where it is no network of its own."""
    named: tuple[tuple[str, str, str], ...] = ()
    """(option, name, container): labels and annotations whose values the shell reads from that container."""


def as_run(line: RunLine) -> str:
    """The line as a shell takes it, an option a line where it is long."""
    words = [_option(name, value) for name, value in _options(line)]
    words += [_read_from(line.engine, *one) for one in line.named]
    tail = " ".join(shlex.quote(word) for word in (line.image, *(line.entrypoint or ())[1:], *line.command))
    whole = " ".join((f"{line.engine} run", *words, tail))
    if len(whole) <= WIDE:
        return whole
    return " \\\n  ".join((f"{line.engine} run", *words, tail))


def _option(name: str, value: str | None) -> str:
    if value is None:
        return name
    quoted = value if value == KFD_GROUP else shlex.quote(value)
    return f"{name} {quoted}" if len(name) == 2 else f"{name}={quoted}"


# Where `docker inspect` and `podman inspect` tell of them.
PLACES = {"--label": ".Config.Labels", "--annotation": ".HostConfig.Annotations"}


def _read_from(engine: str, option: str, name: str, container: str) -> str:
    """A value that is not known here, read from another container when the line is run; the name is a plain word."""
    template = shlex.quote(f'{{{{index {PLACES[option]} "{name}"}}}}')
    return f'{option}="{name}=$({engine} inspect -f {template} {shlex.quote(container)})"'


# Names in the long form of --network to the options that any engine knows.
SHORT = {"alias": "--network-alias", "ip": "--ip", "ip6": "--ip6", "link-local-ip": "--link-local-ip",
         "mac-address": "--mac-address"}  # fmt: skip


def _network_options(line: RunLine) -> Iterator[tuple[str, str]]:
    """Options that every engine knows, as far as they can say it; else the long form, of Docker 25 and Podman."""
    is_short = len(line.networks) == 1 and all(name in SHORT for name, _ in line.networks[0].options)
    if is_short or not line.networks:
        yield from _given(("--network", line.network or (line.networks[0].network if _own_network(line) else "")))
        yield from ((SHORT[name], value) for one in line.networks for name, value in one.options)
        return
    for one in line.networks:
        parts = [f"name={one.network}", *(f"{name}={value}" for name, value in one.options)]
        yield "--network", ",".join(f'"{part}"' if "," in part else part for part in parts)


def _own_network(line: RunLine) -> str:
    """A network that has a name of its own."""
    names = [one.network for one in line.networks if one.network not in DEFAULT_NETWORKS]
    if names:
        return names[0]
    return line.network if line.network not in ("", "host", "none") and ":" not in line.network else ""


def _options(line: RunLine) -> list[tuple[str, str | None]]:
    """(option, value) in the order that people write them; None: a flag."""
    options: list[tuple[str, str | None]] = [(flag, None) for flag in line.flags]
    options += _given(("--name", line.name), ("--platform", line.platform), ("--runtime", line.runtime),
                      ("--gpus", line.gpus))  # fmt: skip
    for name, values in (("--device", line.devices), ("--group-add", line.groups), ("--security-opt", line.security),
                         ("--cap-add", line.cap_add), ("--cap-drop", line.cap_drop)):  # fmt: skip
        options += [(name, value) for value in values]
    options += [("--ulimit", f"{name}={_ulimit(*limit)}") for name, limit in line.ulimits.items()]
    options += _given(("--shm-size", _size(line.shm_size)), ("--memory", _size(line.memory)),
                      ("--memory-swap", _size(line.memory_swap)), ("--cpus", _cpus(line)))  # fmt: skip
    options += _given(("--ipc", line.ipc), ("--pid", line.pid))
    options += _network_options(line)
    options += _given(("--user", line.user), ("--workdir", line.working_dir), ("--restart", line.restart))
    options += [(name, value or None) for name, value in line.rest]
    options += [("-e", name if value is None else f"{name}={value}") for name, value in line.environment.items()]
    options += [("-v", volume) for volume in line.volumes]
    options += [("-p", port) for port in line.ports]
    if line.entrypoint is not None:
        options.append(("--entrypoint", line.entrypoint[0] if line.entrypoint else ""))
    return options


def _given(*options: tuple[str, str]) -> Iterable[tuple[str, str]]:
    return ((name, value) for name, value in options if value)


def _ulimit(soft: int, hard: int) -> str:
    return str(soft) if soft == hard else f"{soft}:{hard}"


def _cpus(line: RunLine) -> str:
    return f"{line.cpus:g}" if line.cpus else ""


def _size(count: int) -> str:
    """Bytes as the engine takes them: 8g, 512m."""
    if not count:
        return ""
    for unit, factor in (("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)):
        if count > 0 and count % factor == 0:
            return f"{count // factor}{unit}"
    return str(count)


# Options to the keys of a compose service.
FLAG_KEYS = {"-i": "stdin_open", "-t": "tty", "--init": "init", "--privileged": "privileged",
             "--read-only": "read_only", "--oom-kill-disable": "oom_kill_disable"}  # fmt: skip
VALUE_KEYS = {
    "--hostname": "hostname", "--uts": "uts", "--userns": "userns_mode", "--cgroup-parent": "cgroup_parent",
    "--cpu-shares": "cpu_shares", "--cpuset-cpus": "cpuset", "--memory-reservation": "mem_reservation",
    "--pids-limit": "pids_limit", "--oom-score-adj": "oom_score_adj", "--stop-signal": "stop_signal",
    "--cpu-period": "cpu_period", "--cpu-quota": "cpu_quota", "--cpu-rt-period": "cpu_rt_period",
    "--cpu-rt-runtime": "cpu_rt_runtime", "--memory-swappiness": "mem_swappiness", "--cgroupns": "cgroup",
    "--domainname": "domainname",
}  # fmt: skip
LIST_KEYS = {
    "--add-host": "extra_hosts", "--dns": "dns", "--dns-search": "dns_search", "--dns-option": "dns_opt",
    "--device-cgroup-rule": "device_cgroup_rules", "--sysctl": "sysctls", "--tmpfs": "tmpfs",
    "--link": "external_links", "--expose": "expose",
}  # fmt: skip
BLKIO_KEYS = {
    "--blkio-weight-device": "weight_device", "--device-read-bps": "device_read_bps",
    "--device-write-bps": "device_write_bps", "--device-read-iops": "device_read_iops",
    "--device-write-iops": "device_write_iops",
}  # fmt: skip
COMPOSE_LACKS = ("--publish-all", "--cpuset-mems", "--volume-driver")


def compose_lacks(line: RunLine) -> list[str]:
    """Options of the line that a compose service has no key for."""
    return [name for name, _ in line.rest if name in COMPOSE_LACKS]


def as_compose(line: RunLine) -> str:
    """The same as a compose service. Strings are written as JSON, which YAML reads as it stands."""
    rows: list[str] = ["services:", f"  {_key(line.service or line.name or 'app')}:", f"    image: {_text(line.image)}"]
    networks = _compose_networks(line)
    fields: list[tuple[str, object]] = [
        ("platform", line.platform), ("runtime", line.runtime), ("user", line.user), ("working_dir", line.working_dir),
        ("entrypoint", list(line.entrypoint or ())), ("command", list(line.command)),
        ("environment", [name if value is None else f"{name}={value}" for name, value in line.environment.items()]),
        ("devices", [d for d in line.devices if "=" not in d]), ("group_add", _compose_groups(line)),
        ("security_opt", list(line.security)), ("cap_add", list(line.cap_add)), ("cap_drop", list(line.cap_drop)),
        ("ipc", line.ipc), ("pid", line.pid), ("network_mode", _compose_mode(line)), ("networks", networks),
        ("mac_address", "" if networks else dict(_asked(line)).get("mac-address", "")),
        ("shm_size", _size(line.shm_size)),
        ("mem_limit", _size(line.memory)), ("memswap_limit", _size(line.memory_swap)), ("cpus", _cpus(line)),
        *_rest(line), ("blkio_config", _blkio(line)), ("storage_opt", _storage(line)),
        ("volumes", [*line.volumes, *_mounts(line)]), ("ports", list(line.ports)),
        ("restart", line.restart), *((key, flag in line.flags) for flag, key in FLAG_KEYS.items()),
    ]  # fmt: skip
    if line.entrypoint == ():
        rows.append("    entrypoint: []")
    for name, value in fields:
        rows += _field(name, value)
    if line.ulimits:
        rows.append("    ulimits:")
        for name, (soft, hard) in line.ulimits.items():
            rows += [f"      {name}:", f"        soft: {soft}", f"        hard: {hard}"]
    rows += [*_healthcheck(line), *_logging(line), *_reservation(line)]
    volumes = [volume.split(":")[0] for volume in line.volumes if volume[0] not in "/.~" and ":" in volume]
    for title, names in (("networks", networks), ("volumes", [*volumes, *_mounted_volumes(line)])):
        if names:
            rows += [f"{title}:", *(row for name in names for row in (f"  {_key(name)}:", "    external: true"))]
    return "\n".join(rows) + "\n"


def _compose_networks(line: RunLine) -> list[str] | dict[str, object]:
    """The networks that have a name of their own: a list, or with what is asked of each."""
    asked = {one.network: _network_keys(one.options) for one in line.networks if one.network not in DEFAULT_NETWORKS}
    if any(asked.values()):
        return dict(asked)
    return [*asked] or ([name] if (name := _own_network(line)) else [])


def _compose_mode(line: RunLine) -> str:
    return "" if _own_network(line) else line.network


def _asked(line: RunLine) -> tuple[tuple[str, str], ...]:
    return line.networks[0].options if line.networks else ()


NETWORK_KEYS = {"ip": "ipv4_address", "ip6": "ipv6_address", "mac-address": "mac_address"}
NETWORK_LISTS = {"alias": "aliases", "link-local-ip": "link_local_ips"}


def _network_keys(options: Iterable[tuple[str, str]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in options:
        if name in NETWORK_KEYS:
            found[NETWORK_KEYS[name]] = value
        elif name in NETWORK_LISTS:
            found[NETWORK_LISTS[name]] = [v for n, v in options if n == name]
        elif name == "gw-priority":
            found["gw_priority"] = int(value)
        else:
            found["driver_opts"] = dict(v.split("=", 1) for n, v in options if n == name)
    return found


def _blkio(line: RunLine) -> dict[str, object]:
    weight = next((int(value) for name, value in line.rest if name == "--blkio-weight"), 0)
    found: dict[str, object] = {"weight": weight} if weight else {}
    for option, key in BLKIO_KEYS.items():
        values = [value.rpartition(":") for name, value in line.rest if name == option]
        what = "weight" if key == "weight_device" else "rate"
        if values:
            found[key] = [{"path": path, what: int(number)} for path, _, number in values]
    return found


def _storage(line: RunLine) -> dict[str, object]:
    return dict(value.partition("=")[::2] for name, value in line.rest if name == "--storage-opt")


def _rest(line: RunLine) -> list[tuple[str, object]]:
    fields: list[tuple[str, object]] = [(VALUE_KEYS[n], _number(v)) for n, v in line.rest if n in VALUE_KEYS]
    for option, key in LIST_KEYS.items():
        values = [value for name, value in line.rest if name == option]
        fields.append((key, [*values, *_memory_mounts(line)] if key == "tmpfs" else values))
    # A name alone would be that of a service.
    fields.append(("volumes_from", [f"container:{value}" for name, value in line.rest if name == "--volumes-from"]))
    fields += [("stop_grace_period", f"{value}s") for name, value in line.rest if name == "--stop-timeout"]
    return fields


def _memory_mounts(line: RunLine) -> list[str]:
    """--mount type=tmpfs, in the short form."""
    found = []
    for parts in filter(_is_short_tmpfs, _mount_parts(line)):
        size = f":size={parts['tmpfs-size']}" if "tmpfs-size" in parts else ""
        found.append(f"{parts.get('target', '')}{size}")
    return found


def _number(value: str) -> str | int:
    """Older versions of compose take numbers as numbers only."""
    return int(value) if value.lstrip("-").isdigit() else value


HEALTH_KEYS = {
    "--health-cmd": "test", "--health-interval": "interval", "--health-timeout": "timeout",
    "--health-retries": "retries", "--health-start-period": "start_period",
    "--health-start-interval": "start_interval",
}  # fmt: skip


def _healthcheck(line: RunLine) -> list[str]:
    if ("--no-healthcheck", "") in line.rest:
        return ["    healthcheck:", "      disable: true"]
    rows = []
    for name, value in line.rest:
        if name in HEALTH_KEYS:
            rows.append(f"      {HEALTH_KEYS[name]}: {value if name == '--health-retries' else _text(value)}")
    return ["    healthcheck:", *rows] if rows else []


def _logging(line: RunLine) -> list[str]:
    rows = [f"      driver: {_text(value)}" for name, value in line.rest if name == "--log-driver"]
    options = [value.partition("=") for name, value in line.rest if name == "--log-opt"]
    rows += ["      options:"] if options else []
    rows += [f"        {_key(name)}: {_text(value)}" for name, _, value in options]
    return ["    logging:", *rows] if rows else []


# Options of --mount to where the long form of a compose volume has them.
MOUNT_KEYS: dict[str, tuple[str, ...]] = {
    "bind-propagation": ("bind", "propagation"), "bind-recursive": ("bind", "recursive"),
    "volume-nocopy": ("volume", "nocopy"), "volume-subpath": ("volume", "subpath"),
    "image-subpath": ("image", "subpath"), "tmpfs-mode": ("tmpfs", "mode"), "tmpfs-size": ("tmpfs", "size"),
}  # fmt: skip


def _mounts(line: RunLine) -> list[str | dict[str, Any]]:
    """--mount: in the short form where that says it all."""
    found: list[str | dict[str, Any]] = []
    for parts in _mount_parts(line):
        if set(parts) <= {"type", "source", "target", "readonly"} and parts["type"] in ("bind", "volume"):
            end = ":ro" if "readonly" in parts else ""
            found.append(f"{parts.get('source', '')}:{parts.get('target', '')}{end}".lstrip(":"))
        elif not _is_short_tmpfs(parts):
            found.append(_long_mount(parts))
    return found


def _mount_parts(line: RunLine) -> list[dict[str, str]]:
    texts = (value for name, value in line.rest if name == "--mount")
    return [{name: value for name, _, value in (part.partition("=") for part in text.split(","))} for text in texts]


def _is_short_tmpfs(parts: dict[str, str]) -> bool:
    return parts["type"] == "tmpfs" and not {"tmpfs-mode", "readonly"} & set(parts)


def _long_mount(parts: dict[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {name: parts[name] for name in ("type", "source", "target") if name in parts}
    if "readonly" in parts:
        given["read_only"] = True
    for name, (group, key) in MOUNT_KEYS.items():
        if name in parts:
            value = parts[name]
            told: object = int(value, 8) if key == "mode" else int(value) if key == "size" else value or True
            given.setdefault(group, {})[key] = told
    return given


def _mounted_volumes(line: RunLine) -> list[str]:
    return [parts["source"] for parts in _mount_parts(line) if parts["type"] == "volume" and parts.get("source")]


def _field(name: str, value: object) -> list[str]:
    if isinstance(value, list) and value:
        return [f"    {name}:", *(f"      - {_text(item)}" for item in value)]
    if isinstance(value, dict) and value:
        return [f"    {name}:", *(f"      {_key(key)}: {_text(item)}" for key, item in value.items())]
    if value is True:
        return [f"    {name}: true"]
    if isinstance(value, int) and value is not False:
        return [f"    {name}: {value}"]
    return [f"    {name}: {_text(value)}"] if value and isinstance(value, str) else []


def _compose_groups(line: RunLine) -> list[str]:
    return ["<number that `stat -c %g /dev/kfd` prints>" if g == KFD_GROUP else g for g in line.groups]


def _reservation(line: RunLine) -> list[str]:
    cdi = [device for device in line.devices if "=" in device]
    wanted = line.gpus.partition("capabilities=")[2].split('"')[0]
    capabilities = f"              capabilities: [{', '.join(['gpu', *filter(None, wanted.split(','))])}]"
    if not line.gpus and not cdi:
        return []
    rows = ["    deploy:", "      resources:", "        reservations:", "          devices:"]
    if cdi:
        rows += [
            "            - driver: cdi",
            "              device_ids:",
            *(f"                - {_text(d)}" for d in cdi),
        ]
        return [*rows, capabilities]
    rows.append("            - driver: nvidia")
    ids = [part.strip('"').removeprefix("device=") for part in line.gpus.split('",') if "device=" in part]
    if ids:
        rows += [
            "              device_ids:",
            *(f"                - {_text(one)}" for one in ids[0].split(",")),
        ]
    else:
        count = line.gpus.split(",")[0]
        rows.append(f"              count: {count if count.isdigit() else 'all'}")
    return [*rows, capabilities]


def _text(value: object) -> str:
    """A dollar sign would be compose's own: it is doubled. Numbers stay numbers, lists and mappings are on one line."""
    return json.dumps(value if isinstance(value, dict | list | int) else str(value), ensure_ascii=False).replace(
        "$", "$$"
    )


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() else _text(name)
