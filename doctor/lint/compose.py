"""Compose files: https://github.com/compose-spec/compose-spec/blob/main/spec.md , `deploy`:
https://docs.docker.com/compose/how-tos/gpu-support/ , AMD: https://rocm.docs.amd.com/projects/install-on-linux/en/latest/how-to/docker.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from doctor.lint.flaw import IMAGE_SHM, Edit, Flaw, block_end, indent_of, vendor_of
from doctor.lint.yaml_lines import at, has_line, item_line, line_of, mappings

RESERVATION = (
    "deploy:",
    "  resources:",
    "    reservations:",
    "      devices:",
    "        - driver: nvidia",
    "          {which}",
    "          capabilities: [gpu]",
)
NODES = ("/dev/kfd", "/dev/dri")


def is_compose(document: Any) -> bool:
    return isinstance(document, dict) and isinstance(document.get("services"), dict) and "kind" not in document


def flaws(document: dict[str, Any], lines: Sequence[str]) -> Iterator[Flaw]:
    """What is wrong with the GPU requests of a compose file."""
    services = document["services"]
    for name, service in services.items():
        if isinstance(service, dict):
            yield from _Service(str(name), service, line_of(services, name), lines).flaws()


class _Service:
    def __init__(self, name: str, service: dict[str, Any], line: int, lines: Sequence[str]) -> None:
        self.name = name
        self.service = service
        self.line = line
        self.lines = lines
        self.image = str(service.get("image") or "")
        self.vendor = vendor_of(self.image)
        self.reserved = list(mappings(at(service, "deploy", "resources", "reservations", "devices")))
        self.devices = [str(one).split(":")[0] for one in service.get("devices") or () if isinstance(one, str)]
        self.environment = _environment(service.get("environment"))

    def flaws(self) -> Iterator[Flaw]:
        wrong = list(self._syntax())
        yield from wrong
        yield from self._vendor()
        yield from self._amd()
        # A request in a wrong form is a request.
        yield from self._nvidia(is_misspelt=any(one.severity is None for one in wrong))
        yield from self._shm()

    @property
    def asks_nvidia(self) -> bool:
        reserved = any(
            str(one.get("driver", "nvidia")) == "nvidia" or _is_cdi(one, "nvidia.com/") for one in self.reserved
        )
        return bool(self.service.get("gpus")) or reserved or str(self.service.get("runtime", "")).startswith("nvidia")

    @property
    def asks_amd(self) -> bool:
        """By CDI or AMD's runtime; by device nodes is another matter."""
        cdi = any(one.startswith("amd.com/gpu") for one in self.devices)
        reserved = any(str(one.get("driver")) == "amd" or _is_cdi(one, "amd.com/") for one in self.reserved)
        return cdi or reserved or str(self.service.get("runtime", "")).startswith("amd")

    def _flaw(self, fault: str, line: int, says: str, **more: Any) -> Flaw:
        values = {"service": self.name, **({"image": self.image} if self.image else {}), **more.pop("values", {})}
        return Flaw(fault, line, says, values, subject=self.name, **more)

    def _key(self, key: str) -> int:
        return line_of(self.service, key, self.line)

    def _block(self, key: str) -> tuple[int, int]:
        begin = self._key(key)
        return begin, block_end(self.lines, begin)

    def _depth(self) -> int:
        """How far in the keys of the service stand."""
        own = (line_of(self.service, key, -1) for key in self.service)
        return next((indent_of(self.lines[line]) for line in own if line >= 0), indent_of(self.lines[self.line]) + 2)

    def _put(self, rows: Sequence[str], begin: int, end: int) -> Edit:
        return Edit(begin, end, tuple(" " * self._depth() + row for row in rows))

    def _append(self, rows: Sequence[str]) -> tuple[Edit, ...]:
        """New keys at the end of the service, where it stands in lines of its own."""
        if not any(has_line(self.service, key) for key in self.service):
            return ()
        end = block_end(self.lines, self.line)
        return (self._put(rows, end, end),)

    # Forms that compose refuses

    def _syntax(self) -> Iterator[Flaw]:
        fault = "container-compose-gpu-syntax"
        for key in ("device_requests", "gpu", "deviceRequests"):
            if key in self.service:
                edit = (self._put(self._reservation(), *self._block(key)),) if has_line(self.service, key) else ()
                says = f"compose has no key {key}"
                yield self._flaw(fault, self._key(key), says, edits=edit, change="ask for the GPUs under deploy",
                                 values={"reason": key})  # fmt: skip
        gpus = self.service.get("gpus")
        if "gpus" in self.service and not (gpus == "all" or isinstance(gpus, list) or "${" in str(gpus)):
            edit = (self._put(["gpus: all"], *self._block("gpus")),) if has_line(self.service, "gpus") else ()
            yield self._flaw(fault, self._key("gpus"), "gpus is the word all, or a list of device requests",
                             edits=edit, change="write gpus: all", values={"reason": "gpus"})  # fmt: skip
        yield from self._misplaced()
        for number, one in enumerate(self.reserved):
            yield from self._reserved(one, number)
        yield from self._runtime()

    def _misplaced(self) -> Iterator[Flaw]:
        """Device requests that stand where compose does not look for them."""
        fault = "container-compose-gpu-syntax"
        own = self.service.get("resources")
        if isinstance(own, dict) and any("devices" in (at(own, kind) or ()) for kind in ("reservations", "limits")):
            begin, end = self._block("resources")
            shifted = tuple(f"  {row}" if row.strip() else row for row in self.lines[begin:end])
            edits: tuple[Edit, ...] = (Edit(begin, end, (" " * self._depth() + "deploy:", *shifted)),)
            is_free = has_line(self.service, "resources") and "deploy" not in self.service
            yield self._flaw(fault, begin, "resources belong under deploy", edits=edits if is_free else (),
                             change="put resources under deploy", values={"reason": "resources"})  # fmt: skip
        resources = at(self.service, "deploy", "resources")
        limits = at(resources, "limits")
        if isinstance(limits, dict) and "devices" in limits:
            line = line_of(resources, "limits", self.line)
            alone = set(limits) == {"devices"} and "reservations" not in resources and has_line(resources, "limits")
            edits = (Edit(line, line + 1, (self.lines[line].replace("limits", "reservations", 1),)),) if alone else ()
            yield self._flaw(fault, line_of(limits, "devices", self.line), "devices belong under reservations",
                             edits=edits, change="reserve them", values={"reason": "devices"})  # fmt: skip

    def _reserved(self, one: dict[str, Any], number: int) -> Iterator[Flaw]:
        devices = at(self.service, "deploy", "resources", "reservations", "devices")
        line = item_line(devices, number, self.line)
        fault = "container-compose-gpu-syntax"
        if not one.get("capabilities"):
            own = [line_of(one, key, -1) for key in one]
            edits: tuple[Edit, ...] = ()
            if own and min(own) >= 0 and has_line(one, next(iter(one))):
                last = max(block_end(self.lines, at_line) if at_line != line else at_line + 1 for at_line in own)
                depth = one.lc.col  # type: ignore[attr-defined]
                edits = (Edit(last, last, (" " * depth + "capabilities: [gpu]",)),)
            yield self._flaw(fault, line, "a device request needs capabilities", edits=edits,
                             change="add capabilities: [gpu]", values={"reason": "capabilities"})  # fmt: skip
        if "count" in one and one.get("device_ids"):
            at_line = line_of(one, "count", line)
            removable = has_line(one, "count") and not self.lines[at_line].lstrip().startswith("- ")
            yield self._flaw(fault, at_line, "count and device_ids exclude one another",
                             edits=(Edit(at_line, at_line + 1, ()),) if removable else (),
                             change="leave count out", values={"reason": "count"})  # fmt: skip

    def _reservation(self) -> list[str]:
        ids = [one for one in self.environment.get("NVIDIA_VISIBLE_DEVICES", "").split(",") if one]
        named = ids if ids and all(one.isdigit() or one.startswith("GPU-") for one in ids) else []
        which = f"device_ids: [{', '.join(repr(one) for one in named)}]" if named else "count: all"
        return [row.format(which=which) if "{which}" in row else row for row in RESERVATION]

    def _runtime(self) -> Iterator[Flaw]:
        if self.service.get("runtime") != "nvidia" or self.vendor == "rocm":
            return
        edits: tuple[Edit, ...] = ()
        if has_line(self.service, "runtime"):
            begin, end = self._block("runtime")
            if self.reserved or self.service.get("gpus"):
                edits = (Edit(begin, end, ()),)
            elif "deploy" not in self.service:
                edits = (self._put(self._reservation(), begin, end),)
        yield self._flaw("nvidia-runtime-not-registered", self._key("runtime"),
                         "runtime: nvidia is the old form; it works only where that runtime is registered",
                         edits=edits, sure="possible",
                         change="ask for the GPUs under deploy", severity="warning")  # fmt: skip

    # What fits not together

    def _vendor(self) -> Iterator[Flaw]:
        if self.vendor == "rocm" and self.asks_nvidia:
            key = next(k for k in ("gpus", "runtime", "deploy") if k in self.service)
            edits: tuple[Edit, ...] = ()
            only_gpus = key != "deploy" or set(at(self.service, "deploy") or ()) <= {"resources"}
            if has_line(self.service, key) and only_gpus and not self.devices:
                edits = (self._put(_amd_rows(self.service), *self._block(key)),)
            yield self._flaw("framework-wrong-vendor", self._key(key),
                             f"{key} asks for NVIDIA GPUs, the image is for ROCm",
                             edits=edits, change="pass AMD's devices instead", values={"reason": key})  # fmt: skip
        elif self.vendor == "cuda" and "/dev/kfd" in self.devices and not self.asks_nvidia:
            yield self._flaw("framework-wrong-vendor", self._key("devices"),
                             "AMD's /dev/kfd is passed; the image is for CUDA")  # fmt: skip

    def _amd(self) -> Iterator[Flaw]:
        mounted = [
            (number, source)
            for number, volume in enumerate(self.service.get("volumes") or ())
            if (source := _source(volume)).startswith(NODES)
        ]
        if mounted:
            number, source = mounted[0]
            yield self._flaw("amd-device-not-permitted", item_line(self.service["volumes"], number, self.line),
                             f"{source} as a volume can be seen, but not opened: it belongs under devices",
                             edits=self._devices_for(mounted), change="pass it as a device",
                             values={"path": source})  # fmt: skip
        if self.vendor != "rocm" or self.asks_nvidia or self.asks_amd or self.service.get("privileged") or mounted:
            return
        if not any(one.startswith("/dev/kfd") for one in self.devices):
            rows = ["devices:", "  - /dev/kfd", "  - /dev/dri"] if not self.devices else []
            edits = self._append(rows) if rows and "devices" not in self.service else ()
            yield self._flaw("amd-kfd-missing", self._key("devices"), "an image for ROCm without /dev/kfd",
                             edits=edits or self._device("/dev/kfd"), change="pass /dev/kfd and /dev/dri",
                             sure="likely", values={"path": "/dev/kfd"})  # fmt: skip
        elif not any(one.startswith("/dev/dri") for one in self.devices):
            yield self._flaw("amd-dri-missing", self._key("devices"), "/dev/kfd is passed without /dev/dri",
                             edits=self._device("/dev/dri"), change="pass /dev/dri too",
                             values={"path": "/dev/dri"})  # fmt: skip
        user = str(self.service.get("user", "0")).split(":")[0]
        if self.devices and user not in ("", "0", "root") and not self.service.get("group_add"):
            yield self._flaw("amd-kfd-permission", self._key("user"), f"user {user} may not open /dev/kfd",
                             edits=self._append(["group_add:", "  - video", "  - render"]),
                             change="add the groups video and render", sure="likely",
                             values={"path": "/dev/kfd"})  # fmt: skip

    def _devices_for(self, mounted: Sequence[tuple[int, str]]) -> tuple[Edit, ...]:
        """Device entries in the place of volumes, where no list of devices is there yet."""
        volumes = self.service["volumes"]
        if "devices" in self.service or not has_line(self.service, "volumes") or not isinstance(volumes[0], str):
            return ()
        rows = ("devices:", *(f"  - {source}" for _, source in mounted))
        if len(mounted) == len(volumes):
            return (self._put(rows, *self._block("volumes")),)
        gone = [item_line(volumes, number, -1) for number, _ in mounted]
        return (*(Edit(line, line + 1, ()) for line in gone), *self._append(rows)) if min(gone) >= 0 else ()

    def _device(self, path: str) -> tuple[Edit, ...]:
        devices = self.service.get("devices")
        if not isinstance(devices, list) or not devices or not has_line(self.service, "devices"):
            return ()
        last = item_line(devices, len(devices) - 1, -1)
        dash = self.lines[last].split("- ")[0] if last >= 0 and "- " in self.lines[last] else None
        return (Edit(last + 1, last + 1, (f"{dash}- {path}",)),) if dash is not None else ()

    def _nvidia(self, is_misspelt: bool) -> Iterator[Flaw]:
        capabilities = self.environment.get("NVIDIA_DRIVER_CAPABILITIES", "")
        words = {one.strip() for one in capabilities.split(",")}
        if capabilities and "${" not in capabilities and not words & {"all", "compute"}:
            yield self._flaw("nvidia-driver-capability-missing", self._key("environment"),
                             f"NVIDIA_DRIVER_CAPABILITIES={capabilities} leaves out compute, which brings libcuda",
                             values={"required": "compute"})  # fmt: skip
        passes = self.service.get("privileged") or any("nvidia" in one for one in self.devices)
        if self.asks_nvidia or passes or self.vendor == "rocm" or is_misspelt:
            return
        visible = self.environment.get("NVIDIA_VISIBLE_DEVICES", "")
        if visible not in ("", "void", "none") or self.vendor == "cuda":
            says = f"NVIDIA_VISIBLE_DEVICES={visible} is set" if visible else "the image is for CUDA"
            yield self._flaw("nvidia-gpu-not-requested", self._key("environment" if visible else "image"),
                             f"{says}, but the service asks for no GPU",
                             edits=self._append(self._reservation()) if "deploy" not in self.service else (),
                             change="ask for the GPUs", sure="possible", severity="warning")  # fmt: skip

    def _shm(self) -> Iterator[Flaw]:
        asks = self.asks_nvidia or self.asks_amd or "/dev/kfd" in self.devices
        shared = self.service.get("shm_size") or self.service.get("ipc") in ("host", "shareable")
        if not asks or shared or not IMAGE_SHM.search(self.image) or "/dev/shm" in str(self.service.get("volumes", "")):
            return
        yield self._flaw("container-shm-too-small", self._key("image"),
                         "processes of this image share tensors through /dev/shm, which has 64 MB by default",
                         edits=self._append(["shm_size: 8gb"]), change="enlarge /dev/shm", sure="possible",
                         severity="warning")  # fmt: skip


def _is_cdi(request: dict[str, Any], vendor: str) -> bool:
    ids = request.get("device_ids")
    return request.get("driver") == "cdi" and any(str(one).startswith(vendor) for one in ids or ())


def _source(volume: Any) -> str:
    return str(volume.get("source", "")) if isinstance(volume, dict) else str(volume).split(":")[0]


def _amd_rows(service: dict[str, Any]) -> list[str]:
    rows = ["devices:", "  - /dev/kfd", "  - /dev/dri"]
    return rows if "group_add" in service else [*rows, "group_add:", "  - video", "  - render"]


def _environment(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {str(name): "" if one is None else str(one) for name, one in value.items()}
    split = (str(one).partition("=") for one in (value if isinstance(value, list) else ()))
    return {name: text for name, _, text in split}
