"""Does an image run on a GPU? Pure functions over its `Contents`.

The files of the frameworks decide; files beside them make it "partly". What is not known is "unknown": a file that
could not be read whole never proves that code is absent.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from doctor.arch import Answer, amd_code_runs, cuda_code_runs
from doctor.data.cuda import cuda_for_driver, driver_supports_cuda, older_branches_allowed, version
from doctor.finding import Evidence, Finding, Severity, Sureness
from doctor.gpus import Gpu
from doctor.image.frameworks import ALTERNATIVES, is_primary
from doctor.image.record import Code, Contents, Framework, Library
from doctor.text import one_line

Runs = Literal["yes", "jit", "partly", "no", "wrong-vendor", "unknown"]
_WORST: tuple[Runs, ...] = ("no", "unknown", "jit", "yes")
# Libraries of the vendor that serve special functions or several machines; frameworks run without them.
_SPECIAL = re.compile(
    r"lib(?:cusparseLt|nvshmem|cufile|cusolverMg|cufftw|npp|nvjpeg|torch_nvshmem|cupti|cutensorMg|cublasmp|nvvm)"
)
FEW = 12


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """One file with GPU code. `by` is the target that runs, None where none does."""

    file: str
    runs: Runs
    by: str | None
    because: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of an image on one GPU. `decided_by` is the file that decides, empty where none has GPU code.

    `faults` are the ids of what it will end in.
    """

    gpu: Gpu
    runs: Runs
    because: str
    decided_by: str
    files: tuple[FileVerdict, ...]
    faults: tuple[str, ...]


def judge(contents: Contents, gpu: Gpu, driver: str | None = None) -> Verdict:
    """The verdict for one GPU. `driver` is the version of the NVIDIA driver it will run with, None if not known."""
    mine = "cuda" if gpu.vendor == "nvidia" else "rocm"
    of_vendor = [code for code in contents.code if _has(code, mine)]
    files = tuple(_file(code, gpu, driver, mine) for code in contents.code)
    if contents.stack == "cpu" and contents.not_examined:
        because = f"nothing in it is seen to use a GPU, but not all could be read: {contents.not_examined[0]}"
        return Verdict(gpu, "unknown", because, "", files, ())
    if contents.stack == "cpu":
        return Verdict(gpu, "no", f"the image is CPU-only: {contents.why_stack}", "", files, _cpu_faults(contents))
    if contents.stack not in (mine, "both"):
        names = {"cuda": "NVIDIA (CUDA)", "rocm": "AMD (ROCm)"}
        because = f"the image is built for {names[contents.stack]} GPUs, {contents.why_stack}"
        return Verdict(gpu, "wrong-vendor", because, "", files, ("framework-wrong-vendor",))
    by_file = {one.file: one for one in files}
    verdict = _by_code(gpu, of_vendor, by_file, files, mine)
    return _with_driver(contents, verdict, driver) if mine == "cuda" and driver else verdict


def _has(code: Code, mine: str) -> bool:
    return bool(code.cubin or code.ptx) if mine == "cuda" else bool(code.gfx)


def _file(code: Code, gpu: Gpu, driver: str | None, mine: str) -> FileVerdict:
    if not _has(code, mine):
        return FileVerdict(code.file, "wrong-vendor", None, "it has code for the other vendor's GPUs only")
    answer = _answer(code, gpu, driver)
    if answer.runs == "no" and code.open_end:
        return FileVerdict(code.file, "unknown", None, f"{answer.because}, as far as the file could be read")
    return FileVerdict(code.file, answer.runs, answer.by, answer.because)


def _answer(code: Code, gpu: Gpu, driver: str | None) -> Answer:
    if gpu.vendor == "amd":
        return amd_code_runs(code.gfx, gpu.target)
    return cuda_code_runs(code.cubin, [(target, isa or None) for target, isa in code.ptx], gpu.target, driver)


def _by_code(
    gpu: Gpu, of_vendor: list[Code], by_file: dict[str, FileVerdict], files: tuple[FileVerdict, ...], mine: str
) -> Verdict:
    deciding = _deciding(of_vendor)
    if not deciding:
        because = "nothing in it has GPU code that could be read: it may compile for the GPU when it runs"
        return Verdict(gpu, "unknown", because, "", files, ())
    groups: dict[str, list[FileVerdict]] = defaultdict(list)
    for code in deciding:
        groups[code.owner or code.file].append(by_file[code.file])
    told = [_of_group(owner, verdicts) for owner, verdicts in groups.items()]
    ranked = sorted(told, key=lambda one: _WORST.index(one.runs))
    worst, best = ranked[0], ranked[-1]
    no_code = "cuda-no-kernel-image" if mine == "cuda" else "amd-no-kernel-image"
    if best.runs == "no":
        return Verdict(gpu, "no", f"{_short(worst.file)}: {worst.because}", worst.file, files, (no_code,))
    if worst.runs == "no":
        because = f"{_short(worst.file)} has no code for it: {worst.because}"
        return Verdict(gpu, "partly", because, worst.file, files, (no_code,))
    beside = [code for code in of_vendor if code not in deciding and by_file[code.file].runs == "no"]
    telling = [code for code in beside if not _SPECIAL.match(_short(code.file))]
    if telling and worst.runs != "unknown":
        because = f"{_short(telling[0].file)} beside it has no code for this GPU: {by_file[telling[0].file].because}"
        return Verdict(gpu, "partly", because, telling[0].file, files, tuple(dict.fromkeys(map(_fault_of, telling))))
    return Verdict(gpu, worst.runs, f"{_short(worst.file)}: {worst.because}", worst.file, files, ())


def _fault_of(code: Code) -> str:
    """What a file beside the framework ends in where it lacks the code."""
    if code.gfx:
        return (
            "amd-tensile-library-missing" if re.search(r"/(?:rocblas|hipblaslt)/", code.file) else "amd-no-kernel-image"
        )
    return "cuda-no-kernel-image"


def _deciding(codes: Sequence[Code]) -> list[Code]:
    """The files that decide: core files of main frameworks, else own programs, else extensions, else the libraries."""
    chosen = [code for code in codes if code.role == "core" and is_primary(code.owner)]
    for wanted in (("own",), ("core", "part"), ("vendor",)):
        chosen = chosen or [code for code in codes if code.role in wanted]
    if chosen and chosen[0].role == "vendor":
        plain = [code for code in chosen if not _SPECIAL.match(_short(code.file))]
        chosen = plain or chosen
    return chosen


def _of_group(owner: str, verdicts: list[FileVerdict]) -> FileVerdict:
    """One verdict for a framework: all of its core files are used, unless they are alternatives."""
    ranked = sorted(verdicts, key=lambda one: _WORST.index(one.runs))
    return ranked[-1] if owner in ALTERNATIVES else ranked[0]


def _cpu_faults(contents: Contents) -> tuple[str, ...]:
    return ("framework-cpu-only-build",) if any(is_primary(one.name) for one in contents.frameworks) else ()


def _short(path: str) -> str:
    path = one_line(path)
    return path.rpartition("/")[2] if not path.endswith("/*") else path.split("/")[-2] + "/*"


# Drivers


def _with_driver(contents: Contents, verdict: Verdict, driver: str) -> Verdict:
    """The verdict with what the driver's version adds."""
    if verdict.runs in ("no", "wrong-vendor"):
        return verdict
    cuda = contents.version("cuda")
    support = driver_supports_cuda(driver, cuda) if cuda else "unknown"
    if unmet := requirement_unmet(contents.environment.get("NVIDIA_REQUIRE_CUDA", ""), driver):
        because = f"the image demands {unmet}; driver {driver} supports CUDA {cuda_for_driver(driver)}"
        return replace(
            verdict, runs="no", because=because, faults=(*verdict.faults, "nvidia-cuda-requirement-unsatisfied")
        )
    if support not in ("no", "forward-compat-needed"):
        return verdict
    newest = cuda_for_driver(driver)
    because = f"it uses CUDA {cuda}, driver {driver} supports up to {newest}"
    if support == "forward-compat-needed" and contents.compat:
        because += "; only the compat libraries in the image could bridge that, and only data-centre GPUs take them"
        return replace(verdict, runs="unknown", because=because, faults=(*verdict.faults, "cuda-driver-too-old"))
    return replace(verdict, runs="no", because=because, faults=(*verdict.faults, "cuda-driver-too-old"))


def requirement_unmet(required: str, driver: str) -> str:
    """The condition of NVIDIA_REQUIRE_CUDA that the driver does not meet, or empty.

    Conditions: a space is "or", a comma "and". A brand is the GPU's, which is not known here: what holds for some brand
    is not unmet. Source: https://github.com/NVIDIA/libnvidia-container/blob/main/src/cli/dsl.c
    """
    newest = cuda_for_driver(driver)
    if not required.strip() or newest is None:
        return ""
    if any(_holds(clause.split(","), driver, newest) is not False for clause in required.split()):
        return ""
    first = required.split()[0]
    cuda = first.removeprefix("cuda>=")
    # Older branches may start a newer image, as the image itself lists: their clauses were judged above.
    allowed = older_branches_allowed(cuda)
    if allowed and version(driver)[:1] and version(driver)[0] in allowed:
        return ""
    return first


def _holds(conditions: Iterable[str], driver: str, newest: str) -> bool | None:
    """Whether all hold; None where one cannot be told and none fails."""
    sure: bool | None = True
    for condition in conditions:
        match = re.fullmatch(r"(cuda|driver|arch|brand)(>=|<=|!=|=|>|<)([\w.]+)", condition)
        if match is None or match[1] in ("brand", "arch"):
            sure = None
            continue
        have = newest if match[1] == "cuda" else driver
        size = len(version(match[3]))
        mine, wanted = version(have)[:size], version(match[3])
        holds = {">=": mine >= wanted, "<=": mine <= wanted, "=": mine == wanted, "!=": mine != wanted,
                 ">": mine > wanted, "<": mine < wanted}[match[2]]  # fmt: skip
        if not holds:
            return False
    return sure


# Findings


def findings(contents: Contents, verdicts: Sequence[Verdict], driver: str | None = None) -> Iterator[Finding]:
    """What is wrong with an image on these GPUs, and in itself, each with its evidence."""
    groups: dict[tuple[str, str, bool], list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        for fault in verdict.faults:
            groups[fault, verdict.decided_by, verdict.runs == "partly"].append(verdict)
    for (fault, _, _), group in groups.items():
        yield _of_verdicts(contents, group, fault, driver)
    yield from _of_libraries(contents)
    yield from _of_versions(contents)
    yield from _of_driver_files(contents)


def _named(contents: Contents) -> dict[str, str]:
    """The value that commands need; without it they show their blank."""
    return {"image": contents.in_engine} if contents.in_engine else {}


def _of_verdicts(contents: Contents, group: list[Verdict], fault: str, driver: str | None) -> Finding:
    """One finding for all GPUs that fail for the same reason in the same file."""
    first = group[0]
    one = _of_verdict(contents, first, fault, driver)
    if len(group) == 1:
        return one
    others = [_of_verdict(contents, verdict, fault, driver).evidence[0] for verdict in group[1:]]
    names = [verdict.gpu.name for verdict in group]
    device = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    values = {key: value for key, value in one.values.items() if key != "arch"}
    return replace(
        one,
        evidence=tuple(dict.fromkeys((*one.evidence, *others))),
        values={**values, "device": device},
        subject=device,
    )


def _of_verdict(contents: Contents, verdict: Verdict, fault: str, driver: str | None) -> Finding:
    gpu = verdict.gpu
    values = {**_named(contents), "device": gpu.name, "arch": arch_of(gpu)}
    severity: Severity | None = None
    if fault == "framework-wrong-vendor":
        built, asked = ("NVIDIA (CUDA)", "AMD (ROCm)") if contents.stack == "cuda" else ("AMD (ROCm)", "NVIDIA (CUDA)")
        values |= {"built": built, "asked": asked, "vendor": built.split()[0]}
        evidence = _seen(contents.reference, contents.why_stack, says=f"{gpu.name} is a GPU for {asked}")
    elif fault == "framework-cpu-only-build":
        one = next(one for one in contents.frameworks if is_primary(one.name))
        values |= {"package": one.name, "torch": one.version}
        evidence = _seen(one.where, f"{one.name} {one.version}", says=contents.why_stack)
    elif fault in ("cuda-driver-too-old", "nvidia-cuda-requirement-unsatisfied"):
        cuda = contents.version("cuda") or ""
        where = next((one.where for one in contents.versions if one.component == "cuda"), contents.reference)
        required = contents.environment.get("NVIDIA_REQUIRE_CUDA", "").partition(" ")[0]
        newest = cuda_for_driver(driver or "") or ""
        values |= {"driver": driver or "", "cuda": cuda, "cuda_driver": newest, "required": required or cuda}
        evidence = _seen(where, f"CUDA {cuda}", says=verdict.because)
        severity = "warning" if verdict.runs == "unknown" else None
    else:
        code = next(code for code in contents.code if code.file == verdict.decided_by)
        values |= {"supported": carries(code), "code": code.file, "package": code.owner}
        evidence = _seen(code.file, f"carries {carries(code)}", says=f"{gpu.name} needs {needs_of(gpu)}")
        severity = _severity(verdict, code)
    return Finding(
        fault,
        (evidence,),
        {key: one_line(value) for key, value in values.items() if value},
        "certain",
        severity,
        gpu.name,
    )


def _seen(name: str, text: str, says: str = "") -> Evidence:
    """Evidence out of an image. Names in it are anybody's: on one line, and without what steers a terminal."""
    return Evidence("image", one_line(name), one_line(text), says=one_line(says))


def _severity(verdict: Verdict, code: Code) -> Severity | None:
    """A file beside the framework matters to those who use it: a note for a library, a warning for a framework."""
    if verdict.runs != "partly":
        return None
    return "warning" if code.role == "core" or "/rocblas/" in code.file else "note"


def arch_of(gpu: Gpu) -> str:
    """sm_120 of an NVIDIA GPU, the gfx target of an AMD one."""
    return f"sm_{gpu.target.replace('.', '')}" if gpu.vendor == "nvidia" else gpu.target


def needs_of(gpu: Gpu) -> str:
    """What code a GPU needs, in words."""
    if gpu.vendor == "amd":
        return f"code for {gpu.target}"
    arch = arch_of(gpu)
    return f"{arch} code, an earlier one of the same major, or PTX up to {arch.replace('sm', 'compute')}"


def carries(code: Code) -> str:
    """The targets of a file in a row."""
    targets = [*code.cubin, *dict.fromkeys(target for target, _ in code.ptx), *code.gfx]
    return ", ".join(targets[:FEW]) + (f" and {len(targets) - FEW} more" if len(targets) > FEW else "")


def fault_of_library(needed: str, component: str) -> str:
    """The fault that a missing library ends in."""
    stem = needed.partition(".so")[0]
    if stem.startswith("libcudart"):
        return "lib-cudart-missing"
    if stem.startswith("libcudnn"):
        return "lib-cudnn-missing"
    if stem == "libnccl":
        return "lib-nccl-missing"
    if stem.startswith(("libnvinfer", "libnvonnxparser")):
        return "lib-tensorrt-missing"
    if component == "cuda" or stem.startswith(("libcu", "libnv", "libnpp")):
        return "lib-cuda-math-missing"
    if component == "rocm" or stem.startswith(
        ("libroc", "libhip", "libhsa", "libamd", "libMIOpen", "librccl", "libmigraphx")
    ):
        return "lib-rocm-missing"
    return "lib-system-missing"


def _of_libraries(contents: Contents) -> Iterator[Finding]:
    """One finding a fault, about the library that weighs most: what is missing together is put in together."""
    groups: dict[str, list[Library]] = defaultdict(list)
    for one in contents.libraries:
        fault = fault_of_library(one.needed, one.component.lower())
        if one.kind in ("missing", "after-ldconfig") and (
            fault != "lib-system-missing" or one.deciding or one.at_start
        ):
            groups[fault].append(one)
    for fault, missing in groups.items():
        first = min(missing, key=lambda one: (not one.deciding, not one.at_start))
        grave = first.deciding and (first.at_start or fault != "lib-system-missing")
        values = {"library": one_line(first.needed), "needed_by": _short(first.by[0]), **_named(contents)}
        values["copy"] = "elsewhere" if first.elsewhere else "absent"
        if first.elsewhere:
            values["folder"] = one_line(first.elsewhere[0].rpartition("/")[0])
        evidence = tuple(item for one in (first, *missing) for item in _of_library(one))
        sure: Sureness = "certain" if first.at_start else "likely"
        yield Finding(
            fault, tuple(dict.fromkeys(evidence)), values, sure, None if grave else "warning", contents.reference
        )


def _of_library(one: Library) -> Iterator[Evidence]:
    yield _seen(one.by[0], f"needs {one.needed}", says=_where(one))
    if one.elsewhere:
        yield _seen(one.elsewhere[0], one.needed, says="it lies here, where the loader does not look")


def _where(one: Library) -> str:
    if one.kind == "after-ldconfig":
        return one.how
    folders = [place.partition(" (")[0].rpartition("/")[0] for place in one.searched]
    return f"not in {', '.join(dict.fromkeys(folder for folder in folders[:4] if folder))}" if folders else "not found"


def _of_versions(contents: Contents) -> Iterator[Finding]:
    for one in contents.version_faults:
        node = one.nodes[-1]
        fault = "lib-cuda-version-node-missing"
        if node.startswith("GLIBC_"):
            fault = "lib-glibc-too-old"
        elif node.startswith(("GLIBCXX_", "CXXABI_", "GCC_")):
            fault = "lib-libstdcxx-too-old"
        elif not node.startswith("lib"):
            continue
        evidence = _seen(one.by, f"needs {node} of {one.library}", says=f"{one.found} does not have it")
        values = {
            "library": one_line(one.library),
            "node": one_line(node),
            "needed_by": _short(one.by),
            **_named(contents),
        }
        if re.fullmatch(r"GLIBC_\d[\d.]*", node):
            # as a loader's message names it: the version that is asked for
            values["glibc"] = node.removeprefix("GLIBC_")
        yield Finding(fault, (evidence,), values, "certain", None, one.by)


def _of_driver_files(contents: Contents) -> Iterator[Finding]:
    if contents.baked:
        evidence = tuple(
            _seen(path, path, says="a file of the NVIDIA driver, which belongs to the host")
            for path in contents.baked[:3]
        )
        values = {"path": one_line(contents.baked[0]), "count": str(len(contents.baked)), **_named(contents)}
        yield Finding("nvidia-hook-mount-conflict", evidence, values, "likely", "warning")
    if contents.stubs:
        evidence = (_seen(contents.stubs[0], contents.stubs[0], says="a stub in a folder that the loader searches"),)
        values = {"path": one_line(contents.stubs[0]), "library": "libcuda.so.1", **_named(contents)}
        yield Finding("cuda-compat-library-conflict", evidence, values, "likely", "warning")


def as_json(contents: Contents, verdicts: Sequence[Verdict]) -> dict[str, object]:
    """The `image` part of the report (report.schema.json)."""
    return {
        "reference": contents.reference,
        "digest": contents.digest or None,
        "platform": contents.platform,
        "size": contents.size,
        "read_from": contents.how_read,
        "distribution": contents.distribution or None,
        "stack": contents.stack,
        "why_stack": contents.why_stack,
        "cuda": contents.version("cuda"),
        "rocm": contents.version("rocm"),
        "cudnn": contents.version("cudnn"),
        "nccl": contents.version("nccl"),
        "glibc": contents.glibc or None,
        "musl": contents.musl or None,
        "versions": [
            {"component": one.component, "version": one.version, "where": one.where} for one in contents.versions
        ],
        "frameworks": [_framework(one) for one in contents.frameworks],
        "environment": dict(sorted(contents.environment.items())),
        "code": [
            {
                "file": code.file,
                "cubin": list(code.cubin),
                "ptx": list(dict.fromkeys(target for target, _ in code.ptx)),
                "gfx": list(code.gfx),
                "owner": code.owner or None,
                "role": code.role,
            }
            for code in contents.code
        ],
        "libraries": [
            {
                "needed": one.needed,
                "by": list(one.by),
                "found": one.found,
                "kind": one.kind,
                "how": one.how,
                "provider": one.provider,
                "searched": list(one.searched),
            }
            for one in contents.libraries
        ],
        "verdicts": [
            {
                "gpu": arch_of(verdict.gpu),
                "name": verdict.gpu.name,
                "runs": verdict.runs,
                "because": verdict.because,
                "decided_by": verdict.decided_by or None,
                "faults": list(verdict.faults),
                "files": [
                    {"file": one.file, "runs": one.runs, "by": one.by, "because": one.because} for one in verdict.files
                ],
            }
            for verdict in verdicts
        ],
    }


def _framework(one: Framework) -> dict[str, str | None]:
    return {
        "name": one.name,
        "version": one.version or None,
        "build": one.build or None,
        "built_for": one.built_for or None,
        "where": one.where,
    }
