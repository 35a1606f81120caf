"""Frameworks and GPU extensions in an image: which are there, in what build, and which files are theirs.

Names and files: https://github.com/pytorch/pytorch/blob/main/setup.py (torch/lib),
https://www.tensorflow.org/install/pip ,
https://docs.jax.dev/en/latest/installation.html (plug-ins), https://onnxruntime.ai/docs/execution-providers/ ,
https://docs.cupy.dev/en/stable/install.html , https://huggingface.co/docs/bitsandbytes/installation ,
https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-backend-reg.cpp and
https://github.com/ollama/ollama/blob/main/docs/development.md (lib/ollama/cuda_v*), core metadata of Python packages:
https://packaging.python.org/en/latest/specifications/core-metadata/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from doctor.binary.record import BinaryFile
from doctor.image.record import Framework

PACKAGES = re.compile(r"(?P<folder>.*/(?:site|dist)-packages)/(?P<top>[^/]+)(?:/(?P<rest>.*))?")


@dataclass(frozen=True, slots=True)
class Known:
    """A framework. `distributions` are regular expressions of package names, `folders` the package's own.

    `core`: a pattern of the files without which it does not run on a GPU at all. `primary`: whether people install it
    for its own sake, so that it decides what an image is for.
    """

    name: str
    distributions: str
    folders: tuple[str, ...]
    core: str
    primary: bool = True


KNOWN = (
    Known("torch", "torch", ("torch",), r"torch/lib/libtorch_(?:cuda|hip)(?:_cu|_cpp)?\.so"),
    Known(
        "tensorflow",
        r"tensorflow(?:-(?:cpu|gpu|rocm|intel))?",
        ("tensorflow",),
        r"tensorflow/(?:libtensorflow_cc\.so\.2|python/_pywrap_tensorflow_internal\.so)",
    ),
    Known(
        "jax",
        r"jaxlib|jax-(?:cuda|rocm)\d*-(?:plugin|pjrt)",
        ("jaxlib", "jax_plugins", "jax_cuda12_plugin", "jax_cuda13_plugin", "jax_rocm60_plugin", "jax_rocm7_plugin"),
        r"jax_plugins/xla_(?:cuda|rocm)\d+/.*\.so|jax_(?:cuda|rocm)\d+_plugin/.*\.so",
    ),
    Known("vllm", "vllm", ("vllm",), r"vllm/_C(?:_stable_libtorch)?\.(?:abi3|cpython-[^/]*)\.so"),
    Known(
        "onnxruntime",
        r"onnxruntime(?:-(?:gpu|rocm|migraphx|training))?",
        ("onnxruntime",),
        r"onnxruntime/capi/libonnxruntime_providers_(?:cuda|rocm|migraphx)\.so",
    ),
    Known("cupy", r"cupy(?:-(?:cuda|rocm)[\dx-]+)?", ("cupy", "cupy_backends"), r"cupy/cuda/(?:cub|thrust)\..*\.so"),
    Known(
        "bitsandbytes",
        "bitsandbytes",
        ("bitsandbytes",),
        r"bitsandbytes/libbitsandbytes_(?:cuda|rocm|hip)[^/]*\.so",
        primary=False,
    ),
    Known("flash-attn", r"flash[-_]attn(?:-\d)?", ("flash_attn",), r"flash_attn_\d*_?cuda.*\.so", primary=False),
    Known("xformers", "xformers", ("xformers",), r"xformers/_C.*\.so", primary=False),
    Known("triton", r"triton|pytorch-triton(?:-rocm)?|triton-rocm", ("triton",), r"(?!)", primary=False),
    Known("torchvision", "torchvision", ("torchvision",), r"torchvision/_C.*\.so", primary=False),
    Known("torchaudio", "torchaudio", ("torchaudio",), r"torchaudio/lib/.*\.so", primary=False),
    Known("apex", "apex", ("apex",), r"(?:amp_C|fused_layer_norm_cuda).*\.so", primary=False),
    Known("deepspeed", "deepspeed", ("deepspeed",), r"(?!)", primary=False),
    Known("transformer-engine", r"transformer[-_]engine.*", ("transformer_engine",), r"(?!)", primary=False),
)
# Builds of one thing for several CUDA or ROCm versions lie side by side; one of them is used.
ALTERNATIVES = ("bitsandbytes", "ollama", "llama.cpp")
_GGML = re.compile(r".*/libggml-(?:cuda|hip)[^/]*\.so(?:\.[\d.]+)?")
_LLAMA = re.compile(r".*/(?:llama-(?:server|cli|bench|run|quantize)|libllama\.so(?:\.[\d.]+)?)")
_OLLAMA = re.compile(r".*/bin/ollama|.*/lib/ollama/.*")
_LOCAL = re.compile(r"\+(?:(?P<cuda>cu(?P<cu>\d{2,3}))|(?P<rocm>rocm(?P<ro>[\d.]+))|(?P<cpu>cpu))")


def owner_of(path: str) -> tuple[str, bool]:
    """The framework whose file this is, or the Python package, or empty; and whether it is a core file of it."""
    match = PACKAGES.fullmatch(path)
    if match is None:
        if _OLLAMA.fullmatch(path):
            return "ollama", bool(_GGML.fullmatch(path))
        if _GGML.fullmatch(path) or _LLAMA.fullmatch(path):
            return "llama.cpp", bool(_GGML.fullmatch(path))
        return "", False
    below = match["top"] + (f"/{match['rest']}" if match["rest"] else "")
    for known in KNOWN:
        if match["top"] in known.folders or re.fullmatch(known.core, below):
            return known.name, re.fullmatch(known.core, below) is not None
    return match["top"].partition(".")[0], False


def is_primary(name: str) -> bool:
    return name in ("ollama", "llama.cpp") or any(known.primary and known.name == name for known in KNOWN)


def distributions(contents: Mapping[str, bytes]) -> dict[str, tuple[str, str]]:
    """Python packages by name: their version and the file that tells it."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted(contents):
        name = path.rpartition("/")[2]
        if name in ("METADATA", "PKG-INFO"):
            head = _metadata(contents[path])
            if "name" in head:
                found.setdefault(_normal(head["name"]), (head.get("version", ""), path))
        elif "/conda-meta/" in path:
            row = _json(contents[path])
            if isinstance(own := row.get("name"), str):
                version = str(row.get("version") or "")
                found.setdefault(_normal(own), (_conda(version, str(row.get("build") or "")), path))
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()[:100]


def _metadata(data: bytes) -> dict[str, str]:
    """Name and version of a METADATA file: its head ends at the first empty line."""
    head = data[:65536].decode("utf-8", "replace").replace("\r\n", "\n").partition("\n\n")[0]
    rows = (line.partition(":") for line in head.split("\n") if ":" in line)
    return {key.strip().lower(): value.strip()[:200] for key, _, value in rows if key.lower() in ("name", "version")}


def _json(data: bytes) -> dict[str, object]:
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _conda(version: str, build: str) -> str:
    """A conda build's text holds what a wheel has in its local version: cuda124py311h…, cpu_generic…"""
    if cuda := re.search(r"cuda_?(\d{2})\.?(\d)", build):
        return f"{version}+cu{cuda[1]}{cuda[2]}"
    return f"{version}+cpu" if build.startswith("cpu") else version


def frameworks(
    contents: Mapping[str, bytes], packages: Mapping[str, tuple[str, str]], signs: Mapping[str, set[str]]
) -> tuple[Framework, ...]:
    """The frameworks of an image. `signs`: the vendors (cuda, rocm) that each owner's files link or have code for."""
    found = []
    for known in KNOWN:
        names = [name for name in packages if re.fullmatch(known.distributions, name)]
        if not names:
            continue
        name = min(names, key=lambda one: (one != known.name, len(one), one))
        version, where = packages[name]
        told = _told(contents, where, known, version)
        version = told.get("version") or version
        build, built_for = _build(names, version, told, signs.get(known.name, set()), known)
        found.append(Framework(known.name, version, build, built_for, where))
    for name in ("ollama", "llama.cpp"):
        if name in signs:
            vendors = sorted(signs[name])
            found.append(Framework(name, "", "+".join(vendors) or "cpu", "", "its program files"))
    return tuple(found)


def _told(contents: Mapping[str, bytes], where: str, known: Known, version: str) -> dict[str, str]:
    """What the package says of itself in version.py, read as text: version, cuda, hip, rocm."""
    match = PACKAGES.fullmatch(where)
    if match is None:
        return {}
    path = f"{match['folder']}/{known.folders[0]}/version.py"
    text = contents.get(path, b"")[:65536].decode("utf-8", "replace")
    rows = re.findall(r"^(__version__|cuda|hip|rocm)\s*(?::[^=\n]*)?=\s*['\"]([^'\"\n]{1,80})['\"]", text, re.MULTILINE)
    told = {"version" if name == "__version__" else name: value for name, value in rows}
    if told.get("version", "").partition("+")[0] != version.partition("+")[0]:
        # Another copy, or a file that is not what the package came with.
        told.pop("version", None)
    return told


def _build(
    names: Iterable[str], version: str, told: Mapping[str, str], signs: set[str], known: Known
) -> tuple[str, str]:
    """For which vendor it is built, and for which version of CUDA or ROCm, by what tells it most surely."""
    if told.get("hip") or told.get("rocm"):
        release = told.get("rocm") or ".".join(told["hip"].split(".")[:2])
        return "rocm", release
    if told.get("cuda"):
        return "cuda", told["cuda"]
    if local := _LOCAL.search(version):
        if local["cu"]:
            digits = local["cu"]
            return "cuda", f"{digits[:-1]}.{digits[-1]}"
        return ("rocm", local["ro"]) if local["ro"] else ("cpu", "")
    vendors = sorted(signs)
    if vendors:
        named = re.search(r"(?:cuda|cu|rocm)-?(\d+)", " ".join(sorted(names)))
        return "+".join(vendors), named[1] if named and len(vendors) == 1 else ""
    return ("", "") if known.core == r"(?!)" else ("cpu", "")


_CUDA_NAMES = (
    "libcuda libcudart libcublas libcublasLt libcudnn libcufft libcurand libcusolver libcusparse libnccl"
    " libnvrtc libnvJitLink libnvinfer libcupti libnppc libnppig libnvjpeg libcutensor libcusparseLt"
)
CUDA_STEMS = frozenset(_CUDA_NAMES.split())
_ROCM_NAMES = (
    "libamdhip64 libhsa-runtime64 librocblas libhipblas libhipblaslt libMIOpen librccl libhiprtc"
    " librocfft libhipfft libhiprand librocrand librocsolver libhipsolver librocsparse libhipsparse"
    " libroctx64 libroctracer64 libmigraphx libmigraphx_c"
)
ROCM_STEMS = frozenset(_ROCM_NAMES.split())


def vendors_of(file: BinaryFile) -> set[str]:
    """The vendors whose libraries a file links or whose code it carries."""
    stems = {name.partition(".so")[0] for name in file.needed}
    found = set()
    if file.cubin or file.ptx or stems & CUDA_STEMS:
        found.add("cuda")
    if file.gfx or stems & ROCM_STEMS:
        found.add("rocm")
    return found
