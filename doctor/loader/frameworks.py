"""Libraries that Python frameworks load by hand before anything that needs them is loaded.

`import torch` opens the libraries of the `nvidia-*` wheels itself, so that an extension that only says
`libcudart.so.12`, with no path to it, finds it already there. Which framework loads what follows from the files that
are installed beside the extension; nothing is assumed of a framework that is not.

Sources: https://github.com/pytorch/pytorch/blob/main/torch/__init__.py (_load_global_deps, _preload_cuda_deps, and
_rocm_init for https://github.com/ROCm/TheRock/blob/main/docs/packaging/python_packaging.md),
https://github.com/jax-ml/jax/blob/main/jax_plugins/cuda/__init__.py (_load_nvidia_libraries),
https://github.com/cupy/cupy/blob/main/cupy_backends/cuda/libs/__init__.py (cupy 14, by way of
https://github.com/NVIDIA/cuda-python/tree/main/cuda_pathfinder),
https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html (preload_dlls),
https://www.tensorflow.org/install/pip (libtensorflow_framework is loaded with the package).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

from doctor.loader.files import Files, Header
from doctor.loader.ldconfig import matches, read_text
from doctor.tree import Paths, join


class Preloaded(NamedTuple):
    """A library that is in the process before it is asked for. `how` names who loads it, in words."""

    path: str
    file: str
    header: Header
    how: str


@dataclass(frozen=True, slots=True)
class Framework:
    """A Python package that loads libraries by hand. All paths are patterns below the folder of packages.

    `marker`: the file that shows it is installed, with a word that it `says` where versions differ. `opens`: its own
    libraries, loaded on import with all that they need. `by_hand`: libraries it opens besides. `serves`: packages that
    are only ever used with it. `own`: beginnings of library names that only it provides, so that whoever needs one is
    loaded after it. `how`: what the person reads.
    """

    marker: str
    says: str
    opens: tuple[str, ...]
    by_hand: tuple[str, ...]
    serves: tuple[str, ...]
    own: tuple[str, ...]
    how: str


# torch names its libraries as "libcublas.so.*[0-9]", a folder each in CUDA 11 and 12 wheels and one for all in 13.
_TORCH_CUDA = (
    "libcublasLt",
    "libcublas",
    "libcudnn",
    "libnvrtc",
    "libnvrtc-builtins",
    "libcudart",
    "libcupti",
    "libcufft",
    "libcurand",
    "libnvJitLink",
    "libcusparse",
    "libcusparseLt",
    "libcusolver",
    "libnccl",
    "libnvshmem_host",
    "libcufile",
    "libnvToolsExt",
)
# What torch opens even if its own libraries found all they need: these two since 2.4, all since 2.9 or so.
_TORCH_ALWAYS = ("libnvJitLink", "libnvrtc")
_JAX_CUDA = (
    "libcudart",
    "libnvrtc",
    "libcublas",
    "libcublasLt",
    "libnccl",
    "libcupti",
    "libcusparse",
    "libcusolver",
    "libcufft",
    "libnvshmem_host",
    "libcudnn",
)
_ONNX_CUDA = ("libcublasLt", "libcublas", "libnvrtc", "libcurand", "libcufft", "libcudart", "libcudnn")


def _wheels(names: Collection[str]) -> tuple[str, ...]:
    return tuple(f"nvidia/*/lib/{name}.so.*[0-9]" for name in names)


FRAMEWORKS = (
    Framework(
        marker="torch/__init__.py",
        says="",
        opens=("torch/lib/libtorch_global_deps.so", "torch/lib/libtorch_python.so"),
        by_hand=(*_wheels(_TORCH_CUDA), "_rocm_sdk_core/lib/*.so*", "_rocm_sdk_libraries_*/lib/*.so*"),
        serves=("torch", "functorch", "torchvision", "torchaudio", "bitsandbytes", "nvidia"),
        own=("libtorch", "libc10", "libshm.so"),
        how="preloaded by torch",
    ),
    Framework(
        marker="tensorflow/libtensorflow_framework.so.2",
        says="",
        opens=(
            "tensorflow/libtensorflow_framework.so.2",
            "tensorflow/libtensorflow_cc.so.2",
            "tensorflow/python/_pywrap_tensorflow_internal.so",
        ),
        by_hand=(),
        serves=("tensorflow",),
        own=("libtensorflow_framework", "libtensorflow_cc", "_pywrap_tensorflow_internal"),
        how="preloaded by tensorflow",
    ),
    Framework(
        marker="jax_plugins/xla_cuda*/__init__.py",
        says="_load_nvidia_libraries",
        opens=(),
        by_hand=_wheels(_JAX_CUDA),
        serves=("jaxlib", "jax_plugins", "jax_cuda12_plugin", "jax_cuda13_plugin", "nvidia"),
        own=(),
        how="preloaded by jax",
    ),
    Framework(
        marker="triton/_C/libtriton.so",
        says="",
        opens=("triton/_C/libtriton.so",),
        by_hand=(),
        serves=("triton",),
        own=("libtriton",),
        how="preloaded by triton",
    ),
    Framework(
        marker="cupy_backends/cuda/libs/__init__.py",
        says="load_nvidia_dynamic_lib",
        opens=(),
        by_hand=("nvidia/*/lib/*.so.*[0-9]",),
        serves=("cupy", "cupy_backends", "cupyx"),
        own=(),
        how="preloaded by cupy",
    ),
    Framework(
        marker="onnxruntime/__init__.py",
        says="def preload_dlls",
        opens=(),
        by_hand=_wheels(_ONNX_CUDA),
        serves=("onnxruntime",),
        own=("libonnxruntime",),
        how="preloaded by onnxruntime, if the program calls onnxruntime.preload_dlls() or imports torch first",
    ),
)


# Plug-ins that their owner tries to open and does without. What only they need is not missing from an image.
# https://docs.nvidia.com/nvshmem/api/gen/env.html (NVSHMEM_BOOTSTRAP, NVSHMEM_REMOTE_TRANSPORT),
# https://docs.nvidia.com/gpudirect-storage/configuration-guide/index.html (RDMA),
# https://onnxruntime.ai/docs/execution-providers/ (a provider is opened when a session asks for it),
# https://github.com/bitsandbytes-foundation/bitsandbytes/blob/main/bitsandbytes/cextension.py (one build of many),
# https://docs.cupy.dev/en/stable/install.html (additional CUDA libraries)
OPTIONAL = (
    (r"nvshmem_bootstrap_.*\.so[.0-9]*", "a start-up method of NVSHMEM that must be asked for"),
    (r"nvshmem_transport_.*\.so[.0-9]*", "a network transport of NVSHMEM"),
    (r"libcufile_rdma\.so[.0-9]*", "cuFile's access to storage over RDMA"),
    (r"libonnxruntime_providers_tensorrt\.so", "ONNX Runtime's TensorRT provider"),
    (r"libbitsandbytes_(?:cuda|rocm|xpu)[0-9a-z_]*\.so", "bitsandbytes' build for one CUDA, ROCm or XPU version"),
    (r"(?:cutensor|cusparselt|cudnn|nccl)\.cpython-.*\.so", "cupy's module for a library it can do without"),
)


def optional(path: str) -> str | None:
    """What the plug-in at `path` is for, if its owner does without it; None for any other file."""
    name = path.rpartition("/")[2]
    return next((purpose for pattern, purpose in OPTIONAL if re.fullmatch(pattern, name)), None)


def packages_folder(path: str) -> str | None:
    """The folder of Python packages that `path` lies in."""
    match = re.match(r"(.*/(?:site|dist)-packages)/", path)
    return match[1] if match else None


Closure = Callable[[str, Callable[[str], Preloaded | None]], list[Preloaded]]


class Preloads:
    """What the frameworks of one tree load by hand; each framework is looked into once."""

    def __init__(self, paths: Paths, files: Files, closure: Closure) -> None:
        """`closure` gives all that is loaded along with a library, with a last resort for what is not found."""
        self._paths = paths
        self._files = files
        self._closure = closure
        self._known: dict[tuple[str, str], dict[str, Preloaded]] = {}

    def find(self, root: str, needs: Collection[str], needed: str) -> Preloaded | None:
        """The library that is in the process of `root` already when it asks for `needed`; `needs` are all its needs."""
        packages = packages_folder(root)
        if packages is None:
            return None
        package = root[len(packages) + 1 :].partition("/")[0]
        for framework in FRAMEWORKS:
            if package in framework.serves or any(name.startswith(framework.own) for name in needs):
                found = self._of(packages, framework).get(needed)
                if found is not None:
                    return found
        return None

    def _of(self, packages: str, framework: Framework) -> dict[str, Preloaded]:
        key = (packages, framework.marker)
        if key not in self._known:
            # Set first: the framework's own libraries are followed on the way and may ask the same question.
            self._known[key] = {}
            self._known[key] = self._look(packages, framework)
        return self._known[key]

    def _look(self, packages: str, framework: Framework) -> dict[str, Preloaded]:
        if not self._installed(packages, framework):
            return {}
        by_hand: dict[str, Preloaded] = {}
        for pattern in framework.by_hand:
            for path in matches(self._paths, join(packages, pattern)):
                opened = self._files.at(path)
                if opened is not None:
                    _name(by_hand, Preloaded(path, opened[0].path, opened[1], ""), framework.how)
        along: dict[str, Preloaded] = {}
        asked: set[str] = set()

        def last_resort(needed: str) -> Preloaded | None:
            asked.add(needed)
            return by_hand.get(needed)

        for pattern in framework.opens:
            for path in matches(self._paths, join(packages, pattern)):
                for found in self._closure(path, last_resort):
                    _name(along, found, framework.how)
        if framework.marker.startswith("torch/") and not asked.intersection(by_hand):
            by_hand = self._opened_anyway(packages, by_hand)
        return by_hand | along

    def _opened_anyway(self, packages: str, by_hand: dict[str, Preloaded]) -> dict[str, Preloaded]:
        """What torch opens by hand although its own libraries have found all they need: that changed over time."""
        text = read_text(self._paths, f"{packages}/torch/__init__.py")
        if "_preload_cuda_deps(required=False)" in text:
            return by_hand
        always = _TORCH_ALWAYS if "/proc/self/maps" in text else ()
        return {
            name: found
            for name, found in by_hand.items()
            if "/_rocm_sdk_" in found.path or name.partition(".so")[0] in always
        }

    def _installed(self, packages: str, framework: Framework) -> bool:
        markers = matches(self._paths, join(packages, framework.marker))
        if framework.says:
            return any(framework.says in read_text(self._paths, path) for path in markers)
        return any(self._paths.resolve(path) for path in markers)


def _name(known: dict[str, Preloaded], found: Preloaded, how: str) -> None:
    named = found._replace(how=how)
    known.setdefault(found.path.rpartition("/")[2], named)
    if found.header.soname:
        known.setdefault(found.header.soname, named)
