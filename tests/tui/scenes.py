"""Every screen and state of the app as a table: the snapshot tests and the pictures in screenshots/ are made of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import recorded as told
from recorded import HERE, Recorded
from textual import events
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from doctor.finding import Evidence, Finding
from doctor.report import Report
from doctor.tui import knowledge, log
from doctor.tui.app import DoctorApp

Step = str | Callable[[DoctorApp, Pilot[Any]], Awaitable[None]]
WIDE, NARROW = (120, 40), (80, 24)
SIZES = {"wide": WIDE, "narrow": NARROW}
SETTLE_SECONDS = 30.0


@dataclass(frozen=True)
class Scene:
    """One state of the app, and what a person must be able to see in it."""

    name: str
    doctor: Callable[[], Recorded]
    steps: Sequence[Step] = ()
    shows: Sequence[str] = ()
    """Words that stand on the screen at any size."""
    sizes: Sequence[str] = ("wide", "narrow")
    size: tuple[int, int] | None = None
    theme: str = "textual-dark"
    mono: bool = False
    ascii_only: bool = False


knowledge.SEARCH_SECONDS = log.TYPING_SECONDS = log.FOLLOWING_SECONDS = 0.001
"""Nobody types here: what waits for a pause in the typing need not wait."""


async def settle(app: DoctorApp, pilot: Pilot[Any]) -> None:
    """Wait until the jobs are done or held, and what they told is drawn."""
    loop = asyncio.get_running_loop()
    end = loop.time() + SETTLE_SECONDS
    quiet = 0
    while quiet < 6 and loop.time() < end:
        await asyncio.sleep(0.005)
        held = isinstance(app._doctor, Recorded) and app._doctor.holding
        working = app._doctor is None or app.jobs.busy(*(("examine",) if held else ()))
        quiet = 0 if working or has_messages(app) else quiet + 1
    for widget in app.screen.query(Input):
        widget.cursor_blink = False
    for field in app.screen.query(TextArea):
        field.cursor_blink = False
    await pilot.pause()


def has_messages(app: DoctorApp) -> bool:
    """Whether anything of the app has still something to do."""
    nodes = [app, *(node for screen in app.screen_stack for node in (screen, *screen.walk_children()))]
    return any(node.message_queue_size or node._next_callbacks for node in nodes)


async def play(app: DoctorApp, pilot: Pilot[Any], steps: Sequence[Step]) -> None:
    await settle(app, pilot)
    for step in steps:
        if isinstance(step, str):
            await pilot.press(step)
        else:
            await step(app, pilot)
        await settle(app, pilot)


@contextlib.contextmanager
def a_folder() -> Iterator[None]:
    """A working folder of its own, with the tickets in it: no path of this machine shows in a picture."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        write_tickets(Path(folder) / "week-47")
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def write_tickets(folder: Path) -> None:
    folder.mkdir()
    texts = {
        "ACME-4711.log": "RuntimeError: CUDA error: no kernel image is available for execution on the device\n",
        "ACME-4713.log": (HERE / "nccl.log").read_text(),
        "ACME-4720.txt": "Failed to initialize NVML: Driver/library version mismatch\n",
        "ACME-4722.log": "[rank0] RuntimeError: No CUDA GPUs are available\n",
        "ACME-4729.log": "ImportError: libcudnn.so.9: cannot open shared object file: No such file or directory\n",
        "ACME-4733.log": "RuntimeError: CUDA error: no kernel image is available for execution on the device\n"
        "RuntimeError: CUDA error: invalid device function\n",
        "ACME-4740.log": "ncclSystemError: System call (e.g. socket, malloc) or external library call failed\n",
        "ACME-4741.log": "epoch 3 loss 0.12\n",
    }
    for number, (name, text) in enumerate(texts.items()):
        path = folder / name
        path.write_text(text)
        os.utime(path, (told.NOW - 86400 + number * 3600, told.NOW - 86400 + number * 3600))
    (folder / "ACME-4750.log").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(60))
    os.utime(folder / "ACME-4750.log", (told.NOW, told.NOW))


async def picture(scene: Scene, size: tuple[int, int]) -> tuple[str, str]:
    """The scene as SVG, and as plain text."""
    doctor = scene.doctor()
    if scene.mono:
        os.environ["NO_COLOR"] = "1"
    try:
        app = DoctorApp(lambda: doctor, ascii_only=scene.ascii_only)
    finally:
        os.environ.pop("NO_COLOR", None)
    with a_folder():
        async with app.run_test(size=scene.size or size) as pilot:
            app.theme = scene.theme
            app.animation_level = "none"
            await play(app, pilot, scene.steps)
            svg, text = app.export_screenshot(), screen_text(app)
            doctor.go.set()
            app.jobs.stop_all()
    return normal(svg), text


def screen_text(app: DoctorApp) -> str:
    """What stands on the screen, line by line."""
    width, height = app.size
    rows = app.screen._compositor.render_strips()
    filters = app.get_line_filters()
    return "\n".join("".join(segment.text for segment in _filtered(list(strip), filters)) for strip in rows[:height])[
        : (width + 1) * height * 4
    ]


def _filtered(segments: list[Any], filters: Sequence[Any]) -> list[Any]:
    from textual.color import Color

    for one in filters:
        if type(one).__name__ == "AsciiFilter":
            segments = one.apply(segments, Color(0, 0, 0))
    return segments


def normal(svg: str) -> str:
    """Without what differs from run to run."""
    svg = re.sub(r"terminal-\d+-", "terminal-", svg)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


# Steps


async def paste(app: DoctorApp, pilot: Pilot[Any]) -> None:
    app.post_message(events.Paste((HERE / "nccl.log").read_text()))


def type_in(text: str) -> Step:
    async def step(app: DoctorApp, pilot: Pilot[Any]) -> None:
        field = app.screen.focused
        assert isinstance(field, Input)
        field.value = text

    return step


async def open_tickets(app: DoctorApp, pilot: Pilot[Any]) -> None:
    app.screen.open_folder(Path("week-47"))  # type: ignore[attr-defined]


async def inspect_image(app: DoctorApp, pilot: Pilot[Any]) -> None:
    app.screen.inspect("acme/trainer:2.3")  # type: ignore[attr-defined]


async def inspect_missing(app: DoctorApp, pilot: Pilot[Any]) -> None:
    app.screen.inspect("acme/nothing:1")  # type: ignore[attr-defined]


# Doctors

IMAGE = {
    "reference": "acme/trainer:2.3",
    "digest": "sha256:9f1c0d5e7b3a2c4f",
    "platform": "linux/amd64",
    "size": 9_800_000_000,
    "stack": "cuda",
    "cuda": "12.4",
    "rocm": None,
    "glibc": "2.35",
    "frameworks": [{"name": "torch", "version": "2.5.1+cu124"}],
    "code": [
        {"file": "/opt/venv/lib/torch/lib/libtorch_cuda.so",
         "cubin": ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"], "ptx": [], "gfx": []},
        {"file": "/usr/local/cuda/lib64/libcublasLt.so.12", "cubin": ["sm_50", "sm_80", "sm_90"], "ptx": ["compute_90"],
         "gfx": []},
        {"file": "/opt/venv/lib/flash_attn_2_cuda.so", "cubin": ["sm_80", "sm_90"], "ptx": [], "gfx": []},
        {"file": "/app/custom_ops.so", "cubin": [], "ptx": ["compute_75"], "gfx": []},
        {"file": "/opt/venv/lib/onnxruntime/capi/libonnxruntime_providers_cuda.so",
         "cubin": ["sm_52", "sm_60", "sm_70", "sm_75", "sm_80"], "ptx": [], "gfx": []},
    ],
    "libraries": [
        {"needed": "libc10_cuda.so", "by": ["/opt/venv/lib/torch/lib/libtorch_cuda.so"],
         "found": "/opt/venv/lib/torch/lib/libc10_cuda.so", "provider": None, "searched": []},
        {"needed": "libcudnn.so.9", "by": ["/opt/venv/lib/torch/lib/libtorch_cuda.so"], "found": None,
         "provider": "nvidia-cudnn-cu12",
         "searched": ["runpath $ORIGIN: no", "LD_LIBRARY_PATH /usr/local/cuda/lib64: no", "ld.so.cache: no entry"]},
        {"needed": "libcuda.so.1", "by": ["/opt/venv/lib/torch/lib/libtorch_cuda.so"], "found": None,
         "provider": "host driver", "searched": []},
        {"needed": "libc.so.6", "by": ["/opt/venv/lib/torch/lib/libtorch_cuda.so", "/app/custom_ops.so"],
         "found": "/lib/x86_64-linux-gnu/libc.so.6", "provider": None, "searched": []},
    ],
    "verdicts": [
        {"gpu": "sm_80", "name": "A100", "runs": "yes", "because": "", "files": [
            {"file": "/opt/venv/lib/torch/lib/libtorch_cuda.so", "runs": "yes", "by": "sm_80"},
            {"file": "/usr/local/cuda/lib64/libcublasLt.so.12", "runs": "yes", "by": "sm_80"},
            {"file": "/opt/venv/lib/flash_attn_2_cuda.so", "runs": "yes", "by": "sm_80"},
            {"file": "/app/custom_ops.so", "runs": "jit", "by": "compute_75"},
            {"file": "/opt/venv/lib/onnxruntime/capi/libonnxruntime_providers_cuda.so", "runs": "yes", "by": "sm_80"}]},
        {"gpu": "sm_120", "name": "GeForce RTX 5090", "runs": "no", "because": "", "files": [
            {"file": "/opt/venv/lib/torch/lib/libtorch_cuda.so", "runs": "no", "by": None},
            {"file": "/usr/local/cuda/lib64/libcublasLt.so.12", "runs": "jit", "by": "compute_90"},
            {"file": "/opt/venv/lib/flash_attn_2_cuda.so", "runs": "no", "by": None},
            {"file": "/app/custom_ops.so", "runs": "jit", "by": "compute_75"},
            {"file": "/opt/venv/lib/onnxruntime/capi/libonnxruntime_providers_cuda.so", "runs": "no", "by": None}]},
        {"gpu": "gfx942", "name": "Instinct MI300X", "runs": "wrong-vendor", "because": "", "files": [
            {"file": "/opt/venv/lib/torch/lib/libtorch_cuda.so", "runs": "wrong-vendor", "by": None}]},
    ],
}  # fmt: skip


def image_report() -> Report:
    found = [
        Finding("cuda-no-kernel-image", (Evidence("image", "libtorch_cuda.so", "sm_50 60 70 75 80 86 90, no PTX", None,
                                                  "no code runs on sm_120"),),
                {"device": "the GeForce RTX 5090", "arch": "sm_120"}),
        Finding("lib-cudnn-missing", (Evidence("image", "libtorch_cuda.so", "NEEDED libcudnn.so.9"),)),
    ]  # fmt: skip
    return told.report(found, kind="image", name="acme/trainer:2.3", extra={"image": IMAGE})


def doctor(events: Callable[..., Any] = told.mismatch, **other: Any) -> Callable[[], Recorded]:
    return lambda: Recorded(events, images={"acme/trainer:2.3": image_report()}, **other)


def silent() -> Recorded:
    return Recorded(told.denied, told.SILENT)


TO_FOUND: tuple[Step, ...] = ("tab", "tab")
SCENES: tuple[Scene, ...] = (
    Scene("overview-running", doctor(told.mismatch, hold=9), shows=["run", "FAIL", "running"]),
    Scene("overview-found", doctor(), shows=["sudo reboot", "ddp-train", "kernel module"]),
    Scene("overview-container", doctor(told.with_container), ["enter"], shows=["container ddp-train", "/dev/shm"]),
    Scene("overview-nothing", doctor(told.healthy, watched=()), shows=["Nothing found", "Not looked"]),
    Scene("overview-no-gpu", doctor(told.no_gpu, watched=(), host="laptop"), shows=["no GPU", "Not looked"]),
    Scene("overview-denied", silent, shows=["permission denied", "not root"]),
    Scene("overview-crashed", doctor(told.crashed, watched=()), shows=["BUG", "KeyError"]),
    Scene("overview-replay", doctor(recording="acme-4711.json, taken 2026-11-20"), shows=["REPLAY acme-4711.json"]),
    Scene("finding", doctor(), [*TO_FOUND, "enter"], shows=["sudo reboot", "1 of 2"]),
    Scene("finding-corrected", doctor(told.with_container), ["enter", *TO_FOUND, "enter"], shows=["--shm-size=8g"]),
    Scene("finding-evidence", doctor(), [*TO_FOUND, "enter", "tab"], shows=["NVRM version"], sizes=["narrow"]),
    Scene("raw", doctor(), [*TO_FOUND, "enter", "v"], shows=["Raw reading", "NVRM version"]),
    Scene("log-empty", doctor(), ["2"], shows=["Paste a log here"]),
    Scene("log", doctor(), [paste], shows=["NCCL ran out of /dev/shm", "set aside"]),
    Scene("image-empty", doctor(), ["3"], shows=["No image chosen"]),
    Scene("image", doctor(), ["3", inspect_image], shows=["libtorch_cuda.so", "PTX 90", "none"]),
    Scene("image-libraries", doctor(), ["3", inspect_image, "tab"], shows=["libcudnn.so.9"], sizes=["narrow"]),
    Scene("image-missing", doctor(), ["3", inspect_missing], shows=["cannot be read"], sizes=["narrow"]),
    Scene("image-what-if", doctor(), ["3", "d"], shows=["H100"], sizes=["wide"]),
    Scene("triage-empty", doctor(), ["4"], shows=["No tickets"]),
    Scene("triage", doctor(), ["4", open_tickets, "space", "j"], shows=["ACME-4713", "week-47"]),
    Scene("knowledge", doctor(), ["5"], shows=["nccl-shared-memory"]),
    Scene("knowledge-search", doctor(), ["5", "slash", type_in("cudnn"), "enter"], shows=["lib-cudnn-missing"]),
    Scene("knowledge-entry", doctor(), ["5", "enter"], shows=["--shm-size=8g"], sizes=["narrow"]),
    Scene("help", doctor(), ["question_mark"], shows=["Copy the commands of this fix"]),
    Scene("palette", doctor(), ["colon", type_in("cudnn")], shows=["knowledge: lib-cudnn-missing"], sizes=["wide"]),
    Scene("export", doctor(), ["e"], shows=["markdown"], sizes=["narrow"]),
    Scene("save", doctor(), ["s"], shows=["Replaced", "command:nvidia-smi"], sizes=["narrow"]),
    Scene("too-small", doctor(), size=(50, 12), shows=["gpu-doctor check"], sizes=["narrow"]),
    Scene("overview-light", doctor(), theme="textual-light", sizes=["wide"], shows=["sudo reboot"]),
    Scene("log-light", doctor(), [paste], theme="textual-light", sizes=["wide"], shows=["set aside"]),
    Scene("image-light", doctor(), ["3", inspect_image], theme="textual-light", sizes=["wide"], shows=["PTX 90"]),
    Scene("overview-ansi", doctor(), theme="ansi-dark", sizes=["narrow"], shows=["FAIL"]),
    Scene("overview-ascii", doctor(), ascii_only=True, shows=["x FAIL", "sudo reboot"]),
    *(
        Scene(f"{name}-mono", make, steps, mono=True, sizes=["narrow"], shows=shows)
        for name, make, steps, shows in (
            ("overview", doctor(), (), ["FAIL", "pass"]),
            ("overview-running", doctor(told.mismatch, hold=9), (), ["run"]),
            ("finding", doctor(), (*TO_FOUND, "enter"), ["sudo reboot"]),
            ("log", doctor(), (paste,), ["FAIL"]),
            ("image", doctor(), ("3", inspect_image), ["none", "PTX"]),
            ("triage", doctor(), ("4", open_tickets, "space"), ["[x]"]),
            ("knowledge", doctor(), ("5",), ["nccl-shared-memory"]),
        )
    ),
)  # fmt: skip


def pictures() -> Iterator[tuple[str, Scene, tuple[int, int]]]:
    """(file name without suffix, scene, size) of every picture."""
    for scene in SCENES:
        for size in scene.sizes:
            yield f"{scene.name}-{size}", scene, SIZES[size]
