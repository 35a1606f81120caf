"""Values that follow from a finding's values: what a SONAME belongs to, what a target is called."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from doctor.finding import Finding

TOOLKIT_IMAGES = {
    "12.9": "nvidia/cuda:12.9.2-devel-ubuntu22.04",
    "13.3": "nvidia/cuda:13.3.0-devel-ubuntu24.04",
    "11.8": "nvidia/cuda:11.8.0-devel-ubuntu22.04",
}
"""An image with a compiler by toolkit release, the one for most GPUs first, its tag as data.image_tags says."""


def derive(finding: Finding) -> Finding:
    """The finding with the values that follow from those it has. Only a library's short name is written out."""
    values: dict[str, str] = {}
    library = file_of(finding.values.get("library", ""))
    if library:
        values.update(of_library(library, _cuda_major(finding.values)))
        if kind := re.search(r"\.(dll$|so(?:\.|$))", library.lower()):
            values["system"] = "windows" if kind[1] == "dll" else "linux"
        every = [file_of(name) for name in finding.values.get("libraries", library).split()]
        values.update(of_libraries(every, _cuda_major(finding.values)))
    if path := finding.values.get("path"):
        values.update(of_path(path))
    if arch := finding.values.get("arch"):
        values.update(of_arch(arch))
        values.update(of_gfx(arch))
    if own := finding.values.get("arch") or finding.values.get("compute_capability"):
        values.update(age_of(own, finding.values.get("supported", "")))
    if offered := finding.values.get("cuda_driver"):
        values.update(of_driver(offered))
    if symbol := finding.values.get("symbol"):
        values.update(of_symbol(symbol))
    if framework := finding.values.get("framework") or finding.values.get("seems_framework"):
        values.update(of_framework(framework, finding.values.get("compute_capability", "")))
    if size := finding.values.get("size"):
        values.update(of_memory(size, finding.values))
    named = {"library": library} if library else {}
    return replace(finding, values={**values, **finding.values, **named}) if values or named else finding


@dataclass(frozen=True, slots=True)
class GpuBuild:
    """How a framework's build for CUDA is installed."""

    name: str
    """As its makers write it."""
    install: str
    check: str
    """A first call on the GPU."""
    older: str = ""
    """The build for a driver that offers an older CUDA."""
    newest: str = ""
    """The build for Blackwell, where that is another."""


GPU_BUILDS = {
    "tensorflow": GpuBuild(
        "TensorFlow",
        'pip install --upgrade "tensorflow[and-cuda]"',
        """python3 -c 'import tensorflow as tf; print(tf.config.list_physical_devices("GPU"))'""",
        'pip install "tensorflow[and-cuda]==2.14.*"',
    ),
    "jax": GpuBuild(
        "JAX",
        'pip install --upgrade "jax[cuda12]"',
        "python3 -c 'import jax; print(jax.devices())'",
        'pip install "jax[cuda11_pip]==0.4.25" -f https://storage.googleapis.com/jax-releases/jax_cuda_releases.html',
    ),
    "paddle": GpuBuild(
        "Paddle",
        "pip uninstall -y paddlepaddle paddlepaddle-gpu"
        " && pip install paddlepaddle-gpu -i https://www.paddlepaddle.org.cn/packages/stable/cu126/",
        "python3 -c 'import paddle; paddle.utils.run_check()'",
        "pip install paddlepaddle-gpu -i https://www.paddlepaddle.org.cn/packages/stable/cu<major><minor>/",
        "pip uninstall -y paddlepaddle paddlepaddle-gpu"
        " && pip install paddlepaddle-gpu -i https://www.paddlepaddle.org.cn/packages/stable/cu129/",
    ),
    "cupy": GpuBuild(
        "CuPy",
        'pip uninstall -y cupy cupy-cuda11x && pip install "cupy-cuda12x[ctk]"',
        "python3 -c 'import cupy; print(cupy.ones(3).sum())'",
        "pip install cupy-cuda<major>x",
    ),
    "mxnet": GpuBuild(
        "MXNet",
        "pip uninstall -y mxnet && pip install mxnet-cu112",
        "python3 -c 'import mxnet as mx; print(mx.nd.ones(3, mx.gpu()))'",
        "pip install mxnet-cu<major><minor>",
    ),
    "onnxruntime": GpuBuild(
        "ONNX Runtime",
        'pip uninstall -y onnxruntime onnxruntime-gpu && pip install "onnxruntime-gpu[cuda,cudnn]"',
        "python3 -c 'import onnxruntime as o; print(o.get_available_providers())'",
        'pip install "onnxruntime-gpu<1.19"',
    ),
    "xgboost": GpuBuild(
        "XGBoost",
        "pip uninstall -y xgboost xgboost-cpu && pip install xgboost",
        """python3 -c 'import xgboost; print(xgboost.build_info()["USE_CUDA"])'""",
    ),
    "faiss": GpuBuild(
        "Faiss",
        "pip uninstall -y faiss-cpu && pip install faiss-gpu-cu12",
        "python3 -c 'import faiss; print(faiss.get_num_gpus())'",
    ),
}
"""As the frameworks' own pages say: https://www.tensorflow.org/install/pip ,
https://docs.jax.dev/en/latest/installation.html , https://docs.cupy.dev/en/stable/install.html ,
https://www.paddlepaddle.org.cn/documentation/docs/install/index_cn.html , https://pypi.org/project/mxnet-cu112/ ,
https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html ,
https://xgboost.readthedocs.io/en/latest/install.html , https://pypi.org/project/faiss-gpu-cu12/ .
PyTorch's depends on more than its name, and stands in the entries."""


def of_framework(framework: str, capability: str = "") -> dict[str, str]:
    """The commands that install a framework's build for CUDA, and a first call on the GPU."""
    build = GPU_BUILDS.get(framework)
    if not build:
        return {}
    blackwell = re.match(r"1\d\.|1\d\d$", capability)
    install = build.newest if blackwell and build.newest else build.install
    values = {"framework_name": build.name, "gpu_build": install, "gpu_check": build.check, "older_build": build.older}
    return {name: value for name, value in values.items() if value}


def file_of(library: str) -> str:
    """The file of a library that a linker or framework calls by its short name: cuBLAS, cublas are libcublas.so."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", library):
        return library
    short = library.lower() if library[2:].isupper() else library
    return f"{short}.so" if short.startswith("lib") else f"lib{short}.so"


def _cuda_major(values: dict[str, str]) -> str:
    """The CUDA release that the program is of, by torch's own version or what the log says: 12 of `2.4.0+cu121`."""
    built = re.search(r"\+cu(\d+)\d$", values.get("torch", "")) or re.match(r"(\d+)\.", values.get("cuda", ""))
    return built.group(1) if built else ""


def of_library(soname: str, cuda_major: str = "") -> dict[str, str]:
    """What a SONAME belongs to and who provides it: libcudart.so.12 is major 12 of libcudart, of the CUDA runtime.

    Package names that are only derived from those of another version are left out. Where NVIDIA has one package for
    each CUDA release, `cuda_major` decides; where it is not known, the names stand in a blank for the reader.
    """
    found = re.match(r"(lib[\w+.-]*?)\.so(?:\.(\d+))?", soname)
    if not found:
        return {}
    from doctor.data.libraries import provider_of

    provider = provider_of(soname)
    sure = not provider.names_unverified
    packages = [name for name in provider.apt if not name.endswith("-x")]
    own = packages[0] if packages and sure else ""
    names = (own, provider.debian) if provider.kind == "rocm" else (provider.debian, own)  # AMD's source comes first
    values = {
        "library_stem": found.group(1),
        "soname_major": found.group(2) or "",
        "component": provider.component,
        "pip_package": pip_package(provider.pip, cuda_major) if sure else "",
        "apt_package": names[0] or names[1],
        "conda_package": provider.conda if sure else "",
        "provider": _provider(provider.kind, provider.debian),
        "nature": _nature(provider.kind, provider.debian),
        "known_majors": ", ".join(provider.majors),
    }
    return {name: value for name, value in values.items() if value}


def of_libraries(sonames: list[str], cuda_major: str = "") -> dict[str, str]:
    """What installs all of them in one command: Debian's and pip's packages, RPM's names of the libraries themselves.

    RPM's: https://rpm-software-management.github.io/rpm/manual/dependencies.html
    """
    known = [of_library(soname, cuda_major) for soname in sonames]
    values = {
        "apt_packages": _each([one.get("apt_package", "") for one in known], sonames),
        "pip_packages": _each([one.get("pip_package", "") for one in known], sonames),
        "rpm_names": " ".join(f"'{soname}()(64bit)'" for soname in sonames),
        "sonames": " ".join(sonames),
        "also_missing": f"Missing as well: {', '.join(sonames[1:])}." if sonames[1:] else "",
    }
    return {name: value for name, value in values.items() if value}


def _each(packages: list[str], sonames: list[str]) -> str:
    """The packages, each once, with a blank for the reader where one is not known; nothing where none is."""
    if not any(packages):
        return ""
    return " ".join(dict.fromkeys(one or f"<package of {name}>" for one, name in zip(packages, sonames, strict=True)))


def pip_package(names: tuple[str, ...], cuda_major: str) -> str:
    """The package to install, quoted for the shell where it has a version; those without a suffix are of CUDA 13."""
    quoted = [f'"{name}"' if re.search("[<>=]", name) else name for name in names]
    if len(quoted) < 2:
        return "".join(quoted)
    releases = {(re.findall(r"-cu(\d+)", name) or ["13"])[0]: name for name in quoted}
    return releases.get(cuda_major, f"<{' or '.join(quoted)}, by the CUDA version>")


def _provider(kind: str, debian: str) -> str:
    if kind == "driver":
        return "the NVIDIA driver, which the container toolkit brings into the container"
    return f"the distribution's package {debian}" if kind == "distribution" and debian else ""


def _nature(kind: str, debian: str) -> str:
    """What an ordinary library is, in words; nothing where the library is not known."""
    if kind != "distribution":
        return ""
    package = f" (Debian's and Ubuntu's package {debian})" if debian else ""
    return (
        f"an ordinary library of the operating system{package}, not part of CUDA or ROCm;"
        " slim images leave such libraries out, and wheels do not bring them"
    )


def of_driver(offered: str) -> dict[str, str]:
    """The CUDA release that a driver offers (11060, as the runtime counts, is 11.6), and PyTorch's newest index for it.

    Within a major release a program runs on drivers of an older minor one; code for Blackwell needs 12.8:
    https://docs.nvidia.com/deploy/cuda-compatibility/minor-version-compatibility.html
    """
    found = re.fullmatch(r"(\d{1,2})(?:\.(\d{1,2})|0(\d)0)", offered)
    if not found:
        return {}
    major, minor = int(found[1]), int(found[2] or found[3])
    index = {11: "cu118", 12: "cu128" if minor >= 8 else "cu126", 13: "cu130"}.get(major, "")
    return {"cuda_offered": f"{major}.{minor}", **({"torch_index": index} if index else {})}


OWNERS = {
    r"_Z(?:T[IVS])?NK?(?:3c10|2at|5torch|6caffe2|8pybind116detail11type_casterIN2at)|(?:c10|at|torch)::": "torch",
    r"_{0,2}(?:nvJitLink|cublas|cudnn|nccl|cusparse|cusolver|cufft|nvrtc)": "a CUDA library",
    r"nvml[A-Z]|cu(?:Array|Ctx|Device|Driver|Event|Func|Get|Graph|Init|Launch|Mem|Module|Stream|Tensor)": "the driver",
    r"_?Py[A-Z_]": "Python",
    r"(?:hip|miopen)[A-Z]|(?:hsa|rsmi|rocblas)_": "a ROCm library",
    r"TRITON(?:BACKEND|SERVER|CACHE|REPOAGENT)_|_ZNK?\d+tensorrt_llm": "Triton's server",
    r"_Z\d+\w*N2at6Tensor|_Z\d+__device_stub__": "the module itself",
}
"""How the names of somebody's functions begin."""


def of_symbol(symbol: str) -> dict[str, str]:
    """Whose function a symbol names, where its name tells: a C++ name space, or the prefix of a C library."""
    return next(({"symbol_of": owner} for names, owner in OWNERS.items() if re.match(names, symbol)), {})


IDLE = 20
"""One part in so many of a GPU's memory: with no more than that free or idle, the program itself fills the GPU."""


def of_memory(size: str, values: dict[str, str]) -> dict[str, str]:
    """Where the memory is that an allocation of `size` lacked, by PyTorch's own account of it; nothing where it fits.

    The account: https://github.com/pytorch/pytorch/blob/main/c10/cuda/CUDACachingAllocator.cpp
    """
    asked = bytes_of(size)
    idle, reserved, allocated, others, own, count = (
        bytes_of(values.get(name, "")) for name in ("idle", "reserved", "allocated", "others", "own", "count")
    )
    if not asked:
        return {}
    idle = max(idle, reserved - allocated)
    if max(allocated, own) + max(asked, count / IDLE) > count > IDLE * idle:  # to have the GPU alone would not do
        return {"memory": "with this program"}
    if idle >= asked:
        return {"memory": "in pieces"}
    return {"memory": "with other processes"} if others >= asked else {}


def bytes_of(size: str) -> float:
    """Bytes of a size such as `2.93 GiB`; 0 for what is none."""
    found = re.fullmatch(r"([\d.]+) ?([KMGT]?)i?B", size)
    return float(found[1]) * 1024 ** " KMGT".index(found[2] or " ") if found and found[1].count(".") < 2 else 0


def of_path(path: str) -> dict[str, str]:
    """Whose copy of a library was loaded, as far as its folder tells: a conda environment's or the system's."""
    if re.search(r"conda|mamba|/envs/", path):
        return {"loaded": "conda's"}
    return {"loaded": "the system's"} if re.match(r"/(?:usr/)?lib(?:32|64|x32)?/", path) else {}


def of_arch(arch: str) -> dict[str, str]:
    """The compute capability of an sm target (sm_120 is 12.0), the toolkits that know it, an image with one of them."""
    if arch == "native":  # nvcc's own word for the GPU that it sees, since 11.6
        return {"toolkits": "11.6 and later", "toolkit_image": next(iter(TOOLKIT_IMAGES.values()))}
    found = re.fullmatch(r"(?:sm|compute)_(\d+)(\d)[af]?", arch)
    if not found:
        return {}
    from doctor.data.cuda import toolkits_for

    capability = f"{found.group(1)}.{found.group(2)}"
    known = toolkits_for(capability)
    if not known:
        return {"compute_capability": capability}
    image = next((image for release, image in TOOLKIT_IMAGES.items() if release in known), "")
    return {
        "compute_capability": capability,
        "toolkits": _span(known),
        **({"toolkit_image": image} if image else {}),
    }


def of_gfx(arch: str) -> dict[str, str]:
    """The HSA_OVERRIDE_GFX_VERSION by which a gfx target loads a relative's code, or that none is known."""
    found = re.fullmatch(r"(gfx[0-9a-f]{3,4})(?::.*)?", arch)
    if not found:
        return {}
    from doctor.data import overrides

    known = [row.value for row in overrides() if row.gfx == found[1] and not row.unverified]
    return {"override": known[0], "relative": "known"} if known else {"relative": "not known"}


def _span(releases: tuple[str, ...]) -> str:
    """Toolkit releases in words; the table of facts neither begins with the first toolkit nor ends with the last."""
    from doctor.data import cuda_toolkits

    every = cuda_toolkits()
    first, last = releases[0], releases[-1]
    if first == every[0].cuda:
        return f"up to {last}"
    return f"{first} and later" if last == every[-1].cuda else f"{first} to {last}"


def age_of(arch: str, supported: str) -> dict[str, str]:
    """Whether an NVIDIA GPU is newer or older than all that a program has code for; nothing where it is neither."""
    own = re.fullmatch(r"(?:(?:sm|compute)_)?(\d+)(?:\.(\d))?[af]?", arch)
    bare = re.fullmatch(r"\d{2,3}(?:[ ,]+\d{2,3})*", supported.strip())  # Paddle's list
    written = r"\d+" if bare else r"\b(?:sm|compute)_(\d+)[af]?\b"
    there = [int(number) for number in re.findall(written, supported)]
    if own is None or not there or "more" in supported:
        return {}
    mine = int(own[1] + (own[2] or ""))
    age = "older" if mine < min(there) else "newer" if mine > max(there) else ""
    return {"gpu_age": age} if age else {}
