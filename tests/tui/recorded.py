"""A doctor of recorded machines for the app: real knowledge grammar, matching and diagnosis; no engine, no clock.

Where it stands in for the live doctor: what the engine and the probes would have told is written down here.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from doctor.bundles.ticket import Ticket
from doctor.check import Check
from doctor.diagnose import diagnose
from doctor.engine import CheckFinished, Event, ProbeFinished, ProbeStarted, ReportReady, SoFar
from doctor.errors import UsageError
from doctor.finding import Evidence, Finding, Outcome
from doctor.image.examination import Cancelled, Progress
from doctor.image.record import Contents
from doctor.knowledge import Base, parse_entry
from doctor.live import CauseFound, ContainersListed, Doctor, EngineSilent, FailedContainer, LiveEvent
from doctor.report import Corrected, Report
from doctor.snapshot import Reading, Snapshot, Target

HERE = Path(__file__).parent
NOW = 1_795_500_000.0
TAKEN = "2026-11-24T06:00:00Z"


@cache
def base() -> Base:
    entries = [
        parse_entry(path.read_text(encoding="utf-8"), f"knowledge/{path.name}")
        for path in sorted((HERE / "entries").glob("*.md"))
    ]
    return Base({entry.id: entry for entry in entries})


def reading(key: str, content: object = "", state: str = "ok", error: str = "") -> Reading:
    text = content if isinstance(content, str) else json.dumps(content)
    return Reading(key, state, text, error)  # type: ignore[arg-type]


def nvidia(gpus: int, module: str = "550.54.15", libraries: str = "550.54.15") -> list[Reading]:
    """What NVIDIA's module and libraries say of themselves."""
    if not gpus:
        return [reading("names:/proc/driver/nvidia/gpus", state="missing")]
    addresses = [f"0000:{17 + n:02x}:00.0" for n in range(gpus)]
    line = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {module}  Sat Aug 19 01:15:15 UTC 2023\n"
    return [
        reading("names:/proc/driver/nvidia/gpus", "\n".join(addresses)),
        *(
            reading(f"file:/proc/driver/nvidia/gpus/{address}/information", "Model: \t\t NVIDIA A100 80GB PCIe\n")
            for address in addresses
        ),
        reading("file:/proc/driver/nvidia/version", line + "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)"),
        reading("names:/usr/lib/x86_64-linux-gnu like lib(?:cuda|nvidia", f"libcuda.so.{libraries}"),
    ]


def snapshot(*more: Reading, gpus: int = 2, uid: int = 0, container: str | None = None) -> Snapshot:
    """A host with NVIDIA device nodes and Docker."""
    names = [f"nvidia{n}" for n in range(gpus)] + (["nvidiactl", "nvidia-uvm"] if gpus else []) + ["null", "tty"]
    readings = [
        reading("host:system", {"system": "Linux", "machine": "x86_64", "kernel": "6.8.0", "uid": uid, "groups": [uid],
                                "environment": {}}),
        reading("names:/dev", "\n".join(sorted(names))),
        reading("docker:version", {"Version": "27.1.1", "Components": [{"Name": "Engine"}]}),
        reading("docker:info", {"ServerVersion": "27.1.1", "CgroupVersion": "2", "CgroupDriver": "systemd",
                                "SecurityOptions": [], "Runtimes": {"runc": {}, "nvidia": {}}}),
        *nvidia(gpus),
        *more,
    ]  # fmt: skip
    return Snapshot(TAKEN, "0.1.0", Target(container), {one.key: one for one in readings})


def check(identity: str, area: str, says: str, *needs: str, faults: Sequence[str] = ()) -> Check:
    return Check(identity, area, needs, (), tuple(faults), lambda: says, says)


CHECKS = (
    check("driver_matches", "driver", "The driver's module and libraries have one version", "host",
          faults=["nvidia-driver-library-mismatch"]),
    check("module_loaded", "driver", "The NVIDIA module is loaded", "host"),
    check("no_xid", "driver", "The kernel log has no Xid errors", "host"),
    check("nodes_present", "devices", "The GPU device nodes are there", "devices"),
    check("mig_agrees", "devices", "MIG agrees with the request", "devices"),
    check("engine_answers", "engine", "The container engine answers", "engine", faults=["container-engine-unreachable"]),
    check("runtime_registered", "engine", "The NVIDIA runtime is registered", "engine"),
    check("survives_reload", "engine", "GPUs survive a reload of systemd", "engine"),
    check("requests_gpu", "container", "The container asks for the GPUs that its program needs", "container"),
    check("shm_size", "container", "The container did not overrun its shared memory", "container"),
    check("code_fits", "image", "The image has GPU code for the devices", "image"),
    check("libraries_resolve", "image", "The libraries of the image are found", "image"),
)  # fmt: skip

PASSED = {
    "driver_matches": "550.54.15 in the kernel and in user space",
    "module_loaded": "nvidia, nvidia_uvm, nvidia_modeset",
    "no_xid": "0 of 4,112 lines since boot",
    "nodes_present": "/dev/nvidia0, nvidia1, nvidiactl, nvidia-uvm",
    "mig_agrees": "MIG is off, none is asked for",
    "engine_answers": "docker 27.1.1, rootful, cgroup v2 (systemd)",
    "runtime_registered": "nvidia, runc",
    "survives_reload": "CDI names the devices",
}
NO_CONTAINER = "needs container: no container was named"


def outcomes(**other: tuple[str, str]) -> tuple[Outcome, ...]:
    """Everything passes or is skipped, save what is told otherwise as (state, words)."""
    made = []
    for one in CHECKS:
        state, words = other.get(one.id) or (
            ("passed", PASSED[one.id]) if one.id in PASSED else ("skipped", NO_CONTAINER)
        )
        seen = state in ("passed", "found")
        made.append(Outcome(one.id, one.area, state, words if seen else one.says, None if seen else words))  # type: ignore[arg-type]
    return tuple(sorted(made, key=lambda one: (one.area, one.check)))


MISMATCH = Finding(
    "nvidia-driver-library-mismatch",
    (
        Evidence("file", "/proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05", 1,
                 "the loaded module is 535.104.05"),
        Evidence("command", "nvidia-smi", "Failed to initialize NVML: Driver/library version mismatch", 1,
                 "the libraries are 550.54.15"),
    ),
    {"module": "535.104.05", "libraries": "550.54.15"},
)  # fmt: skip
NO_GPU = Finding(
    "framework-no-gpu-found",
    (Evidence("log", "log of trainer", "RuntimeError: No CUDA GPUs are available", 3),),
    sure="likely",
)
SHM = Finding(
    "nccl-shared-memory",
    (
        Evidence("log", "log of ddp-train", "node-3:41:90 [0] misc/shmutils.cc:72 NCCL WARN Error: failed to extend "
                 "/dev/shm/nccl-9dK2 to 33030532 bytes", 4),
        Evidence("engine", "docker inspect ddp-train", '"ShmSize": 67108864', None, "the container has 64 MB of it"),
    ),
    {"bytes": "33030532", "container": "ddp-train", "image": "acme/trainer:2.3"},
)  # fmt: skip
READINGS = (
    *nvidia(2, module="535.104.05"),
    reading("command:nvidia-smi", "Failed to initialize NVML: Driver/library version mismatch\n"
            "NVML library version: 550.54"),
    reading("docker:log", "INFO building model\nTraceback (most recent call last):\n"
            "RuntimeError: No CUDA GPUs are available"),
)  # fmt: skip


def report(findings: Sequence[Finding] = (), checks: tuple[Outcome, ...] = (), **other: object) -> Report:
    diagnoses = diagnose(findings, base())
    kind = other.pop("kind", "machine")
    name = other.pop("name", "this machine")
    return Report(kind, name, TAKEN, "0.1.0", diagnoses.ranked, diagnoses.set_aside, checks, **other)  # type: ignore[arg-type]


def failed(name: str, image: str, state: str, code: int | None, ago: float, error: str = "") -> FailedContainer:
    return FailedContainer(f"id-{name}", name, image, state, code, NOW - ago, error)


CONTAINERS = (
    failed("ddp-train", "acme/trainer:2.3", "exited", 1, 130),
    failed("trainer", "pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime", "exited", 1, 3000),
    failed("llm-server", "vllm/vllm-openai:v0.6.3", "never started", 128, 7300, "could not select device driver"),
    failed("notebook", "jupyter/scipy-notebook:latest", "killed", 137, 90000),
)
CAUSES = (
    CauseFound("id-ddp-train", "NCCL ran out of /dev/shm", "error"),
    CauseFound("id-trainer", "The framework found no GPU", "error"),
    CauseFound("id-llm-server", "", None),
)
WATCHED: tuple[LiveEvent, ...] = (ContainersListed(CONTAINERS, 17), *CAUSES)


class Recorded(Doctor):
    """Tells what was written down. With `hold` it stops after so many events until `go` is set."""

    def __init__(
        self,
        events: Callable[[str | None], Iterator[Event]],
        watched: Sequence[LiveEvent] = WATCHED,
        *,
        host: str = "gpu-07",
        hold: int | None = None,
        recording: str = "",
        log: Sequence[bytes] = (),
        images: dict[str, Report] | None = None,
        hold_image: bool = False,
        reply: str = "",
    ) -> None:
        super().__init__(base)
        self._events = events
        self._watched = watched
        self._name = host
        self._hold = hold
        self.go = threading.Event()
        self.recording = recording
        self._log = log
        self._images = images or {}
        self._hold_image = hold_image
        self._reply = reply
        self.gpus_asked: tuple[str, ...] = ()
        self.images_read: list[str] = []
        self.asked: list[str | None] = []
        self.holding = False

    @property
    def host(self) -> str:
        return self._name

    def now(self) -> float:
        return NOW

    def checks(self) -> tuple[Check, ...]:
        return CHECKS

    def examine(self, container: str | None = None) -> Iterator[Event]:
        self.asked.append(container)
        for number, event in enumerate(self._events(container)):
            if number == self._hold:
                self.holding = True
                self.go.wait(20)
                self.holding = False
            yield event

    def watch(self, stop: threading.Event) -> Iterator[LiveEvent]:
        yield from self._watched

    def follow(self, container: str) -> Pieces:
        return Pieces(self._log)

    def images(self) -> list[tuple[str, int]]:
        return [(name, 9_800_000_000) for name in self._images] + [("vllm/vllm-openai:v0.6.3", 9_120_000_000)]

    def read_image(self, reference: str, tell: Callable[[Progress], None], stop: threading.Event) -> Contents:
        self.images_read.append(reference)
        if self._hold_image and not self.go.is_set():
            tell(Progress("layer 3 of 11", 4_100_000_000, 9_800_000_000))
            self.holding = True
            self.go.wait(20)
            self.holding = False
            if stop.is_set():
                raise Cancelled
        if reference not in self._images:
            raise UsageError(f"there is no image {reference!r} on this machine")
        return reference  # type: ignore[return-value]

    def judge_image(self, contents: Contents, gpus: Sequence[str]) -> Report:
        self.gpus_asked = tuple(gpus)
        return self._images[str(contents)]

    def tickets(self, folder: Path, stop: threading.Event) -> Iterator[tuple[Ticket, Report]]:
        """The real ones; in pictures with a reply of their own, since its wording belongs to another part."""
        for ticket, made in super().tickets(folder, stop):
            extra = {**made.extra["ticket"], **({"reply": self._reply} if self._reply else {})}
            yield ticket, replace(made, extra={**made.extra, "ticket": extra})

    def gpus(self) -> list[tuple[str, str]]:
        return [("sm_80", "A100"), ("sm_90", "H100"), ("sm_120", "GeForce RTX 5090"), ("gfx942", "Instinct MI300X")]


class Pieces:
    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    def close(self) -> None:
        pass


AREAS = (("host", "the kernel"), ("devices", "device nodes"), ("engine", "the container engine"))


def told(made: Report, seen: Snapshot) -> Iterator[Event]:
    """The events of a run that ends in this report; what it found is told as soon as the driver was looked at."""
    yield from (ProbeStarted(area, says) for area, says in AREAS)
    order = ("host", "devices", "engine")
    areas = {"driver": "host", "devices": "devices"}
    for area in order:
        yield ProbeFinished(area, 3, 0.1)
        yield from (CheckFinished(one) for one in made.outcomes if areas.get(one.area, "engine") == area)
        yield SoFar(replace(made, diagnoses=made.diagnoses[:1]), seen)
    yield ReportReady(made, seen)


def mismatch(container: str | None) -> Iterator[Event]:
    found = outcomes(driver_matches=("found", "kernel 535.104.05, libraries 550.54.15"),
                     mig_agrees=("skipped", "needs nvidia.mig: nvidia-smi: version mismatch"))  # fmt: skip
    yield from told(report([MISMATCH, NO_GPU], found, not_examined=("dmesg: permission denied",)), snapshot(*READINGS))


def with_container(container: str | None) -> Iterator[Event]:
    if container is None:
        yield from mismatch(None)
        return
    found = outcomes(shm_size=("found", "64 MB, and NCCL asked for more"), requests_gpu=("passed", "--gpus all"))
    corrected = Corrected(
        run="docker run --name ddp-train --gpus all --shm-size=8g \\\n  -v /data:/data acme/trainer:2.3 python train.py",
        compose='services:\n  ddp-train:\n    image: "acme/trainer:2.3"\n    shm_size: "8g"',
        changes=("8 GB of shared memory",),
        first=("docker rename ddp-train ddp-train-old",),
        remarks=(
            "The old container keeps its files and log as ddp-train-old; when all is well: docker rm ddp-train-old",
        ),
    )
    made = report([SHM], found, kind="container", name=container, corrected=corrected)
    yield from told(made, snapshot(READINGS[-1], container=container))


def healthy(container: str | None) -> Iterator[Event]:
    not_examined = ("dmesg: permission denied", "kubernetes: no kubectl")
    yield from told(report([], outcomes(), not_examined=not_examined), snapshot(uid=1000))


def no_gpu(container: str | None) -> Iterator[Event]:
    skipped = {one.id: ("skipped", "needs a GPU") for one in CHECKS if one.area in ("driver", "devices")}
    not_examined = ("lspci -k: not installed",)
    yield from told(report([], outcomes(**skipped), not_examined=not_examined), snapshot(gpus=0))


def crashed(container: str | None) -> Iterator[Event]:
    words = (
        "Traceback (most recent call last):\n  File \"checks/libraries_resolve.py\", line 14\nKeyError: 'DT_RUNPATH'"
    )
    yield from told(report([], outcomes(libraries_resolve=("crashed", words))), snapshot())


UNREACHABLE = Finding(
    "container-engine-unreachable",
    (
        Evidence("engine", "docker:connect unix:///var/run/docker.sock", "permission denied", None,
                 "the socket belongs to group docker, and you are not in it"),
    ),
    {"socket": "/var/run/docker.sock"},
)  # fmt: skip


def denied(container: str | None) -> Iterator[Event]:
    why = "docker:connect unix:///var/run/docker.sock: permission denied"
    states = {one.id: ("skipped", f"needs engine: {why}") for one in CHECKS if one.area == "engine"}
    states["engine_answers"] = ("found", "permission denied")
    seen = snapshot(uid=1000)
    readings = {key: one for key, one in seen.readings.items() if not key.startswith("docker:")}
    made = report([UNREACHABLE], outcomes(**states), not_examined=(f"engine: {why}",))
    yield from told(made, Snapshot(TAKEN, "0.1.0", Target(), readings))


SILENT = (EngineSilent("Permission denied: its socket belongs to group docker"),)
