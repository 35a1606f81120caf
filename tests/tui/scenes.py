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
from textual.screen import Screen
from textual.widgets import Input, TextArea

from doctor.finding import Evidence, Finding
from doctor.report import Report
from doctor.tui import knowledge, log
from doctor.tui.app import DoctorApp
from doctor.tui.messages import ImagesListed
from doctor.tui.rows import Rows

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
        working = app._doctor is None or app.jobs.busy(*(("examine", "image") if held else ()))
        quiet = 0 if working or has_messages(app) else quiet + 1
    for widget in app.screen.query(Input):
        widget.cursor_blink = False
    for field in app.screen.query(TextArea):
        field.cursor_blink = False
    await pilot.pause()


def has_messages(app: DoctorApp) -> bool:
    """Whether anything of the app has still something to do."""
    nodes = [app, *(node for screen in app.screen_stack for node in (screen, *screen.walk_children()))]
    return any(node.message_queue_size or node._next_callbacks for node in nodes) or is_to_be_drawn(app.screen)


def is_to_be_drawn(screen: Screen[Any]) -> bool:
    """Whether a layout or a drawing waits for the screen's timer, which a busy machine makes late."""
    waits = screen._layout_required or screen._scroll_required or screen._repaint_required
    return bool(waits or screen._dirty_widgets or screen._callbacks)


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


def pasted(name: str) -> Step:
    async def step(app: DoctorApp, pilot: Pilot[Any]) -> None:
        app.post_message(events.Paste((HERE / name).read_text()))

    return step


paste = pasted("nccl.log")


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


async def ask_about(app: DoctorApp, pilot: Pilot[Any]) -> None:
    for name in ("GeForce RTX 5090", "Instinct MI300X"):
        app.screen._add_gpu(name)  # type: ignore[attr-defined]
        await settle(app, pilot)


async def unfold(app: DoctorApp, pilot: Pilot[Any]) -> None:
    """Open what can be opened in the tree of libraries."""
    pane = app.screen.query_one("#libraries", Rows)
    if not pane.display:
        return
    pane.focus()
    for row in (0, 5):
        pane.cursor = row
        await pilot.press("enter")
        await settle(app, pilot)


async def no_images(app: DoctorApp, pilot: Pilot[Any]) -> None:
    app.screen.post_message(ImagesListed(()))


async def inspect_missing(app: DoctorApp, pilot: Pilot[Any]) -> None:
    app.screen.inspect("acme/nothing:1")  # type: ignore[attr-defined]


# Doctors

REPLY = """Hello,

what you sent shows this: the NVIDIA kernel module and the libraries have different versions.

    Failed to initialize NVML: Driver/library version mismatch   (line 1)

An upgrade replaced the libraries under a loaded module; every program that talks to the driver fails until both agree.

Reboot (on the host, risk: reboot):

    sudo reboot

To see that it worked:

    nvidia-smi"""
TORCH = "/opt/venv/lib/python3.11/site-packages/torch/lib/"
CUDNN = "/opt/venv/lib/python3.11/site-packages/nvidia/cudnn/lib/"
CODE = {
    TORCH + "libtorch_cuda.so": ["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90"],
    "/usr/local/cuda/lib64/libcublasLt.so.12": ["sm_50", "sm_80", "sm_90", "compute_90"],
    "/opt/venv/lib/flash_attn_2_cuda.so": ["sm_80", "sm_90"],
    "/app/custom_ops.so": ["compute_75"],
    "/opt/venv/lib/onnxruntime/capi/libonnxruntime_providers_cuda.so": ["sm_52", "sm_60", "sm_70", "sm_75", "sm_80"],
}
RUN_BY = {
    "sm_80": ("sm_80", "sm_80", "sm_80", "compute_75", "sm_80"),
    "sm_120": ("", "compute_90", "", "compute_75", ""),
    "gfx942": ("vendor",) * 5,
}
"""What each of these files runs by on a GPU; empty: by nothing."""


def verdict(gpu: str, name: str, runs: str, because: str) -> dict[str, Any]:
    files = []
    for file, by in zip(CODE, RUN_BY[gpu], strict=True):
        kind = "wrong-vendor" if by == "vendor" else "no" if not by else "jit" if by.startswith("compute") else "yes"
        files.append({"file": file, "runs": kind, "by": by if kind in ("yes", "jit") else None, "because": ""})
    return {"gpu": gpu, "name": name, "runs": runs, "because": because, "files": files}


def library(needed: str, by: str, found: str | None, kind: str, how: str, *searched: str) -> dict[str, Any]:
    provider = "nvidia-cudnn-cu12" if "cudnn" in needed else None
    return {"needed": needed, "by": [by], "found": found, "kind": kind, "how": how, "provider": provider,
            "searched": list(searched)}  # fmt: skip


IMAGE = {
    "reference": "acme/trainer:2.3",
    "digest": "sha256:9f1c0d5e7b3a2c4f",
    "platform": "linux/amd64",
    "size": 9_800_000_000,
    "read_from": "the engine's layer folders",
    "distribution": "Ubuntu 22.04.5 LTS",
    "stack": "cuda",
    "why_stack": "by what the files of torch 2.5.1+cu124 link and carry",
    "cuda": "12.4",
    "cudnn": None,
    "rocm": None,
    "glibc": "2.35",
    "musl": None,
    "frameworks": [{"name": "torch", "version": "2.5.1+cu124", "build": "cuda", "built_for": "12.4"}],
    "code": [
        {"file": file, "cubin": [one for one in targets if one.startswith("sm")],
         "ptx": [one for one in targets if one.startswith("compute")], "gfx": []}
        for file, targets in CODE.items()
    ],
    "libraries": [
        library("libc10_cuda.so", TORCH + "libtorch_cuda.so", TORCH + "libc10_cuda.so", "runpath", "runpath $ORIGIN"),
        library("libcudart.so.12", TORCH + "libc10_cuda.so", "/usr/local/cuda/lib64/libcudart.so.12", "ld.so.cache",
                "ld.so.cache"),
        library("libcudnn.so.9", TORCH + "libtorch_cuda.so", None, "missing", "not found",
                f"{CUDNN}libcudnn.so.9 (no such folder)", "/usr/local/cuda/lib64/libcudnn.so.9 (absent)",
                "/etc/ld.so.cache (does not list it)"),
        library("libcuda.so.1", TORCH + "libtorch_cuda.so", None, "from-driver",
                "from the driver: put in when the container starts"),
    ],
    "verdicts": [
        verdict("sm_80", "A100 PCIe 80GB", "yes", "libtorch_cuda.so: sm_80 is machine code for 8.0"),
        verdict("sm_120", "GeForce RTX 5090", "no", "libtorch_cuda.so: the device is 12.0; there is sm_50 to sm_90, no PTX"),
        verdict("gfx942", "Instinct MI300X", "wrong-vendor", "the image is built for NVIDIA (CUDA) GPUs"),
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
    Scene("overview-denied", silent, shows=["group docker", "not root", "usermod"]),
    Scene("overview-crashed", doctor(told.crashed, watched=()), shows=["BUG", "KeyError"]),
    Scene("overview-replay", doctor(recording="acme-4711.json, taken 2026-11-20"), shows=["REPLAY acme-4711.json"]),
    Scene("finding", doctor(), [*TO_FOUND, "enter"], shows=["sudo reboot", "1 of 2"]),
    Scene("finding-corrected", doctor(told.with_container), ["enter", *TO_FOUND, "enter"], shows=["--shm-size=8g"]),
    Scene("finding-evidence", doctor(), [*TO_FOUND, "enter", "tab"], shows=["NVRM version"], sizes=["narrow"]),
    Scene("finding-causes", doctor(), [pasted("memory.log"), "enter", "tab", "tab"], shows=["is likely"]),
    Scene("raw", doctor(), [*TO_FOUND, "enter", "v"], shows=["Raw reading", "NVRM version"]),
    Scene("log-empty", doctor(), ["2"], shows=["Paste a log here"]),
    Scene("log", doctor(), [paste], shows=["NCCL ran out of /dev/shm", "set aside"]),
    Scene("log-unexplained", doctor(), [pasted("unknown.log")], shows=["something failed", "line 3", "No entry"]),
    Scene("image-empty", doctor(), ["3"], shows=["Which image?", "vllm/vllm-openai:v0.6.3"]),
    Scene("image-none", lambda: Recorded(told.mismatch), ["3", no_images], shows=["No image chosen"], sizes=["narrow"]),
    Scene("image-reading", doctor(hold_image=True), ["3", inspect_image], shows=["4.1 GB of 9.8 GB", "esc stops"]),
    Scene("image", doctor(), ["3", inspect_image, ask_about, unfold], shows=["RTX 5090", "fails", "what if"]),
    Scene("image-code", doctor(), ["3", inspect_image, ask_about, "tab"], shows=["libtorch_cuda.so", "PTX 90", "none"],
          sizes=["narrow"]),
    Scene("image-libraries", doctor(), ["3", inspect_image, "tab", "tab", unfold], sizes=["narrow"],
          shows=["libcudnn.so.9", "no such folder", "runpath $ORIGIN"]),
    Scene("image-missing", doctor(), ["3", inspect_missing], shows=["cannot be read"], sizes=["narrow"]),
    Scene("image-what-if", doctor(), ["3", "d"], shows=["H100"], sizes=["wide"]),
    Scene("triage-empty", doctor(), ["4"], shows=["No tickets"]),
    Scene("triage", doctor(reply=REPLY), ["4", open_tickets, "space", "j"], shows=["ACME-4713", "week-47"]),
    Scene("knowledge", doctor(), ["5"], shows=["nccl-shared-memory"]),
    Scene("knowledge-search", doctor(), ["5", "slash", type_in("cudnn"), "enter"], shows=["lib-cudnn-missing"]),
    Scene("knowledge-entry", doctor(), ["5", "enter"], shows=["usermod"], sizes=["narrow"]),
    Scene("help", doctor(), ["question_mark"], shows=["Copy the commands of this fix"]),
    Scene("palette", doctor(), ["colon", type_in("cudnn")], shows=["knowledge: lib-cudnn-missing"], sizes=["wide"]),
    Scene("export", doctor(), ["e"], shows=["markdown"], sizes=["narrow"]),
    Scene("save", doctor(), ["s"], shows=["Replaced", "command:nvidia-smi"], sizes=["narrow"]),
    Scene("too-small", doctor(), size=(50, 12), shows=["gpu-doctor check"], sizes=["narrow"]),
    Scene("overview-light", doctor(), theme="textual-light", sizes=["wide"], shows=["sudo reboot"]),
    Scene("log-light", doctor(), [paste], theme="textual-light", sizes=["wide"], shows=["set aside"]),
    Scene("image-light", doctor(), ["3", inspect_image, ask_about], theme="textual-light", sizes=["wide"],
          shows=["PTX 90"]),
    Scene("triage-light", doctor(reply=REPLY), ["4", open_tickets, "space", "j"], theme="textual-light", sizes=["wide"],
          shows=["ACME-4713"]),
    Scene("knowledge-light", doctor(), ["5"], theme="textual-light", sizes=["wide"], shows=["nccl-shared-memory"]),
    Scene("overview-ansi-light", doctor(), theme="ansi-light", sizes=["narrow"], shows=["FAIL"]),
    Scene("overview-ansi", doctor(), theme="ansi-dark", sizes=["narrow"], shows=["FAIL"]),
    Scene("overview-ascii", doctor(), ascii_only=True, shows=["x FAIL", "sudo reboot"]),
    *(
        Scene(f"{name}-mono", make, steps, mono=True, sizes=["narrow"], shows=shows)
        for name, make, steps, shows in (
            ("overview", doctor(), (), ["FAIL", "pass"]),
            ("overview-running", doctor(told.mismatch, hold=9), (), ["run"]),
            ("finding", doctor(), (*TO_FOUND, "enter"), ["sudo reboot"]),
            ("log", doctor(), (paste,), ["FAIL"]),
            ("image", doctor(), ("3", inspect_image, ask_about, "tab"), ["none", "PTX"]),
            ("export", doctor(), ("e",), ["markdown"]),
            ("help", doctor(), ("question_mark",), ["Copy the commands"]),
            ("triage", doctor(reply=REPLY), ("4", open_tickets, "space", "j"), ["[x]"]),
            ("knowledge", doctor(), ("5",), ["nccl-shared-memory"]),
        )
    ),
)  # fmt: skip


def pictures() -> Iterator[tuple[str, Scene, tuple[int, int]]]:
    """(file name without suffix, scene, size) of every picture."""
    for scene in SCENES:
        for size in scene.sizes:
            yield f"{scene.name}-{size}", scene, SIZES[size]
