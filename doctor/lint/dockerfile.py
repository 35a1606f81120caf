"""Dockerfiles: https://docs.docker.com/reference/dockerfile/ ; PyTorch's wheels by stack:
https://pytorch.org/get-started/previous-versions/ , NVIDIA's images: https://gitlab.com/nvidia/container-images/cuda
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from doctor.data import framework_builds
from doctor.data.cuda import version
from doctor.lint.flaw import NAMES, Edit, Flaw, vendor_of

INSTRUCTION = re.compile(
    r"^\s*(?P<word>FROM|RUN|ENV|ARG|LABEL|CMD|ENTRYPOINT|COPY|ADD|USER)\b\s*(?P<rest>.*)", re.IGNORECASE
)
FROM = re.compile(r"(?:--platform=\S+\s+)?(?P<image>\S+)(?:\s+AS\s+(?P<stage>\S+))?", re.IGNORECASE)
INDEX = re.compile(
    r"(?P<address>https://download\.pytorch\.org/whl/(?:nightly/|test/)?)(?P<stack>cu\d+|rocm[\d.]+|cpu)\b"
)
INSTALL = re.compile(r"\b(?:pip3?|uv pip|python3? -m pip)\s+install\b(?P<words>.*)")
COMMANDS = re.compile(r"&&|\|\||[;|]")
HEREDOC = re.compile(r"<<-?\s*[\"']?(?P<end>\w+)")
OF_CUDA = re.compile(r"\b(?:cupy-cuda\w+|onnxruntime-gpu|tensorflow\[and-cuda\]|jax\[cuda\w*\]|nvidia-[\w-]+-cu\d+)")
OF_ROCM = re.compile(r"\b(?:tensorflow-rocm|cupy-rocm[\w-]*|jax-rocm[\w-]*|onnxruntime-rocm)\b")
"""Packages whose name says for which stack they are."""
SHOWN = re.compile(r"\b(?:docker|podman) run\b.*?(?P<option>--gpus[= ]\S+)")
GFX = re.compile(r"gfx(?P<major>\d{1,2})(?P<minor>\d)(?P<step>[0-9a-f])")
TORCH = re.compile(r"(?:^|\s)[\"']?torch(?:[=<>~!\[\"'].*?)?(?=\s|$)")
DRIVER = re.compile(
    r"\b(?P<package>nvidia-driver-[\w-]+|nvidia-utils-[\w-]+|libnvidia-(?:compute|gl|encode)[\w-]*|nvidia-driver|libcuda1)\b"
)
BUILDS = re.compile(r"\b(?:flash[-_]attn|apex|deepspeed|xformers|causal[-_]conv1d|mamba[-_]ssm)\b|--no-build-isolation")
ASSIGNED = re.compile(r"(?P<name>[A-Z][A-Z_]+)(?:=|\s+)(?P<value>\"[^\"]*\"|'[^']*'|\S*)")
NEEDS_GPU = re.compile(
    r"(?:^|[;&|]\s*|\bRUN\s+)(?P<command>nvidia-smi|rocm-smi|rocminfo)\b(?!\s*\|\|)|torch\.cuda\.(?:get_device_name|current_device)\("
)
CUDA_TAG = re.compile(r"nvidia/cuda:(?P<cuda>\d+\.\d+)")
ROCM_TAG = re.compile(r":(?:rocm)?(?P<rocm>\d+\.\d+)(?:\.\d+)?")


@dataclass(slots=True)
class _Stage:
    image: str
    name: str
    bases: list[str] = field(default_factory=list)
    """Its image and those that it builds on."""
    wheels: str = ""
    """The index that its torch came from, such as cu124."""

    @property
    def vendor(self) -> str:
        return next((found for image in self.bases if (found := vendor_of(image))), "")

    def release(self, pattern: re.Pattern[str], name: str) -> str:
        return next((found[name] for image in self.bases if (found := pattern.search(image))), "")


@dataclass(frozen=True, slots=True)
class _Instruction:
    word: str
    rest: str
    """With continuation lines joined."""
    line: int
    end: int


def is_dockerfile(name: str, text: str) -> bool:
    base = name.replace("\\", "/").rpartition("/")[2].lower()
    named = base.startswith(("dockerfile", "containerfile")) or base.endswith((".dockerfile", ".containerfile"))
    return named or bool(
        re.search(r"^\s*FROM\s+\S+", text, re.MULTILINE) and re.search(r"^RUN |^CMD ", text, re.MULTILINE)
    )


def flaws(lines: Sequence[str]) -> Iterator[Flaw]:
    """What is wrong with GPUs in a Dockerfile."""
    stages: dict[str, _Stage] = {}
    stage = _Stage("", "")
    arguments: dict[str, str] = {}
    for one in instructions(lines):
        if one.word == "ARG":
            name, _, value = one.rest.partition("=")
            arguments.setdefault(name.strip(), value.strip().strip("\"'"))
        elif one.word == "FROM" and (found := FROM.match(one.rest)):
            image = _expanded(found["image"], arguments)
            below = stages.get(image.lower())
            stage = _Stage(image, found["stage"] or image, [image, *(below.bases if below else ())])
            stage.wheels = below.wheels if below else ""
            stages[stage.name.lower()] = stage
        elif one.word == "RUN":
            yield from _of_run(one, stage, lines)
        elif one.word == "ENV":
            yield from _of_env(one, stage, lines)
    if stage.vendor == "rocm":
        yield from _shown(stage, lines)


def _shown(stage: _Stage, lines: Sequence[str]) -> Iterator[Flaw]:
    """How to start the image, in a comment or a label."""
    for at, line in enumerate(lines):
        if (found := SHOWN.search(line)) and re.match(r"\s*(?:#|LABEL\b)|.*\\$", line, re.IGNORECASE):
            right = line.replace(found["option"], "--device=/dev/kfd --device=/dev/dri", 1)
            yield Flaw("framework-wrong-vendor", at, f"{found['option']} asks for NVIDIA GPUs, the image is for ROCm",
                       {"image": stage.image}, (Edit(at, at + 1, (right,)),), "pass AMD's devices instead",
                       severity="warning", subject=stage.name)  # fmt: skip


def instructions(lines: Sequence[str]) -> Iterator[_Instruction]:
    """Instructions with their continuation lines and without comments."""
    at = 0
    while at < len(lines):
        found = INSTRUCTION.match(lines[at])
        begin = at
        at += 1
        if not found:
            continue
        rows = [found["rest"]]
        while rows[-1].rstrip().endswith("\\") and at < len(lines):
            rows[-1] = rows[-1].rstrip()[:-1]
            if lines[at].lstrip().startswith("#"):
                rows[-1] += "\\"
            else:
                rows.append(lines[at])
            at += 1
        if found["word"].upper() == "RUN" and (mark := HEREDOC.search(rows[0])):
            end = next((n for n in range(at, len(lines)) if lines[n].strip() == mark["end"]), len(lines))
            rows, at = [" ; ".join(line for line in lines[at:end] if not line.lstrip().startswith("#"))], end + 1
        yield _Instruction(found["word"].upper(), " ".join(" ".join(rows).split()), begin, min(at, len(lines)))


def _expanded(text: str, arguments: dict[str, str]) -> str:
    """With the defaults of ARG filled in; what has none stays as it is."""

    def value(found: re.Match[str]) -> str:
        return arguments.get(found.group(1)) or found.group(2) or found.group(0)

    return re.sub(r"\$\{?(\w+)(?::-([^}]*))?\}?", value, text)


def _of_run(one: _Instruction, stage: _Stage, lines: Sequence[str]) -> Iterator[Flaw]:
    values = {"image": stage.image}
    yield from _pip(one, stage, lines)
    if (found := DRIVER.search(one.rest)) and re.search(r"apt(?:-get)?\s.*install|dnf|yum", one.rest):
        line = _line(one, lines, found["package"])
        yield Flaw("nvidia-driver-library-mismatch", line,
                   f"{found['package']} puts a driver into the image, beside the host's own that is mounted",
                   {**values, "package": found["package"]}, _without(lines, line, found["package"]),
                   "leave the driver to the host", sure="likely", severity="warning", subject=stage.name)  # fmt: skip
    if (found := NEEDS_GPU.search(one.rest)) and "|| true" not in one.rest:
        word = found["command"] or "torch.cuda"
        alone = one.rest.strip() == found["command"]
        yield Flaw("framework-no-gpu-found" if not found["command"] else "nvidia-gpu-not-requested"
                   if word == "nvidia-smi" else "amd-kfd-missing", _line(one, lines, word),
                   f"{word} runs while the image is built, where there is no GPU", {**values, "command": word},
                   (Edit(one.line, one.end, ()),) if alone else (), "leave it out", sure="likely", severity="warning",
                   subject=stage.name)  # fmt: skip


def _pip(one: _Instruction, stage: _Stage, lines: Sequence[str]) -> Iterator[Flaw]:
    """The base image against the wheels' index."""
    vendor = stage.vendor
    values = {"image": stage.image, "package": "torch"}
    index = INDEX.search(one.rest)
    if index and vendor:
        stack = index["stack"]
        line = _line(one, lines, index.group())
        other = "cuda" if stack.startswith("cu") else "rocm" if stack.startswith("rocm") else "cpu"
        right = _index_for(stage)
        edits = (
            (Edit(line, line + 1, (lines[line].replace(index.group(), index["address"] + right),)),) if right else ()
        )
        if other not in (vendor, "cpu"):
            yield Flaw("framework-wrong-vendor", line, f"wheels for {NAMES[other]} on an image for {NAMES[vendor]}",
                       values, edits, f"take the wheels of {right}", subject=stage.name)  # fmt: skip
        elif other == "cpu":
            yield Flaw("framework-cpu-only-build", line, f"wheels without GPU code on an image for {NAMES[vendor]}",
                       values, edits, f"take the wheels of {right}", sure="likely", severity="warning",
                       subject=stage.name)  # fmt: skip
    for command in COMMANDS.split(one.rest):
        if found := INSTALL.search(command):
            yield from _installed(one, found["words"], stage, lines)


def _installed(one: _Instruction, words: str, stage: _Stage, lines: Sequence[str]) -> Iterator[Flaw]:
    """What one pip installs."""
    values = {"image": stage.image, "package": "torch"}
    has_torch, index = TORCH.search(words), INDEX.search(words)
    if has_torch:
        stage.wheels = index["stack"] if index else ""
    if stage.vendor == "rocm" and has_torch and not re.search(r"index-url|find-links| -f |\.whl|\brocm", words):
        line, right = _line(one, lines, "torch"), _index_for(stage)
        change = _with_index(lines, line, right) if right else ()
        yield Flaw("framework-wrong-vendor", line, "the default index has torch for CUDA, the image is for ROCm",
                   values, change, f"take the wheels of {right}", subject=stage.name)  # fmt: skip
    foreign = {"rocm": OF_CUDA, "cuda": OF_ROCM}.get(stage.vendor)
    if foreign and (named := foreign.search(words)):
        says = f"{named.group()} is for {NAMES['cuda' if stage.vendor == 'rocm' else 'rocm']}, the image is not"
        yield Flaw("framework-wrong-vendor", _line(one, lines, named.group()), says,
                   {**values, "package": named.group()}, subject=stage.name)  # fmt: skip
    built, cuda = BUILDS.search(words), stage.release(CUDA_TAG, "cuda")
    if built and cuda and stage.wheels.startswith("cu") and stage.wheels[2:-1] != cuda.split(".")[0]:
        wheels = f"{stage.wheels[2:-1]}.{stage.wheels[-1]}"
        yield Flaw("framework-cuda-toolkit-mismatch", _line(one, lines, built.group()),
                   f"built with nvcc {cuda} of the image for a torch of CUDA {wheels}",
                   {**values, "cuda": cuda, "required": wheels}, sure="likely", subject=stage.name)  # fmt: skip


def _index_for(stage: _Stage) -> str:
    """The index of published torch wheels that fits the base image: the newest that is not newer than it."""
    cuda, rocm = stage.release(CUDA_TAG, "cuda"), stage.release(ROCM_TAG, "rocm")
    kind, have = ("rocm", rocm) if stage.vendor == "rocm" else ("cuda", cuda)
    builds = {str(getattr(one, kind)) for one in framework_builds() if one.framework == "torch" and getattr(one, kind)}
    known = sorted({version(one)[:2] for one in builds}, reverse=True)
    fitting = [one for one in known if not have or one <= version(have)[:2]]
    if not fitting:
        return ""
    major, minor = fitting[0]
    return f"rocm{major}.{minor}" if kind == "rocm" else f"cu{major}{minor}"


def _with_index(lines: Sequence[str], line: int, stack: str) -> tuple[Edit, ...]:
    address = f" --index-url https://download.pytorch.org/whl/{stack}"
    changed, count = re.subn(r"\binstall\b", lambda found: found.group() + address, lines[line], count=1)
    return (Edit(line, line + 1, (changed,)),) if count else ()


def _without(lines: Sequence[str], line: int, package: str) -> tuple[Edit, ...]:
    rest = re.sub(rf"\s*{re.escape(package)}(?:=\S+)?", "", lines[line], count=1)
    alone = rest.strip() in ("", "\\")
    return (Edit(line, line + 1, () if alone else (rest,)),) if re.search(r"install\s+\S|^\s*\S", rest) or alone else ()


def _of_env(one: _Instruction, stage: _Stage, lines: Sequence[str]) -> Iterator[Flaw]:
    for found in ASSIGNED.finditer(one.rest):
        name, value = found["name"], found["value"].strip("\"'")
        values = {"image": stage.image}
        line = _line(one, lines, name)
        if name == "NVIDIA_DRIVER_CAPABILITIES" and not {"all", "compute"} & set(value.split(",")) and "$" not in value:
            edits = (Edit(line, line + 1, (lines[line].replace(value, f"{value},compute", 1),)),) if value else ()
            yield Flaw("nvidia-driver-capability-missing", line,
                       f"{value or 'nothing'} leaves out compute, which brings libcuda",
                       {**values, "required": "compute"}, edits, "add compute", subject=stage.name)  # fmt: skip
        elif name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES") and value in ("", "-1"):
            yield Flaw("cuda-no-device" if name[0] == "C" else "amd-no-hip-device", line,
                       f"{name}={value} hides every GPU from the image's programs", values,
                       (Edit(one.line, one.end, ()),), "leave it out", subject=stage.name)  # fmt: skip
        elif name == "HSA_OVERRIDE_GFX_VERSION" and not re.fullmatch(r"\d+\.\d+\.\d+", value) and "$" not in value:
            gfx = GFX.fullmatch(value)
            right = f"{gfx['major']}.{gfx['minor']}.{int(gfx['step'], 16)}" if gfx else ""
            edits = (Edit(line, line + 1, (lines[line].replace(value, right, 1),)),) if right else ()
            yield Flaw("amd-gfx-override-wrong", line, f"{value} is not three numbers, such as 10.3.0", values, edits,
                       f"write {right}", subject=stage.name)  # fmt: skip
        elif name == "LD_LIBRARY_PATH" and (bad := re.search(r"[^:]*/(?:stubs|compat)(?=:|/|$)", value)):
            edits = (
                Edit(line, line + 1, (lines[line].replace(bad.group() + ":", "").replace(":" + bad.group(), ""),)),
            )
            yield Flaw("cuda-compat-library-conflict", line,
                       f"{bad.group()} goes before the driver's own libcuda", {**values, "path": bad.group()},
                       edits, "leave that folder out", sure="likely", severity="warning",
                       subject=stage.name)  # fmt: skip


def _line(one: _Instruction, lines: Sequence[str], word: str) -> int:
    """The line of an instruction that holds a word."""
    return next((at for at in range(one.line, one.end) if word in lines[at]), one.line)
