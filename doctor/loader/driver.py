"""Libraries that come with the driver of the host and are put into a container when it starts.

None of them belongs in an image, so an image that lacks them is healthy. The OpenGL front ends (`libGL.so.1`,
`libEGL.so.1`, `libOpenCL.so.1` …) are not among them: toolkits leave those to the image unless told otherwise.

Sources: https://github.com/NVIDIA/libnvidia-container/blob/main/src/nvc_info.c (libraries by capability),
https://github.com/NVIDIA/nvidia-container-toolkit/blob/main/pkg/nvcdi/driver-nvml.go (all files of the driver's
version), …/pkg/nvcdi/driver-wsl.go (WSL2), …/internal/discover/graphics.go.
AMD: nothing but device files is put in, the whole of ROCm is in the image:
https://rocm.docs.amd.com/projects/install-on-linux/en/latest/how-to/docker.html
"""

from __future__ import annotations

from collections.abc import Mapping

# By the capability (NVIDIA_DRIVER_CAPABILITIES) that must be asked for. A name is everything before ".so".
LIBRARIES: Mapping[str, tuple[str, ...]] = {
    "utility": ("libnvidia-ml", "libnvidia-cfg", "libnvidia-nscq"),
    "compute": (
        "libcuda",
        "libcudadebugger",
        "libnvidia-opencl",
        "libnvidia-gpucomp",
        "libnvidia-ptxjitcompiler",
        "libnvidia-fatbinaryloader",
        "libnvidia-allocator",
        "libnvidia-compiler",
        "libnvidia-pkcs11",
        "libnvidia-pkcs11-openssl3",
        "libnvidia-nvvm",
        "libnvidia-nvvm70",
        "libnvidia-tileiras",
    ),
    "video": ("libvdpau_nvidia", "libnvidia-encode", "libnvidia-opticalflow", "libnvcuvid"),
    "graphics": (
        "libnvidia-eglcore",
        "libnvidia-glcore",
        "libnvidia-tls",
        "libnvidia-glsi",
        "libnvidia-fbc",
        "libnvidia-ifr",
        "libnvidia-rtcore",
        "libnvoptix",
        "libGLX_nvidia",
        "libGLX_indirect",
        "libEGL_nvidia",
        "libGLESv2_nvidia",
        "libGLESv1_CM_nvidia",
        "libnvidia-glvkspirv",
        "libnvidia-cbl",
        "libnvidia-egl-gbm",
        "libnvidia-egl-wayland",
        "libnvidia-egl-wayland2",
        "libnvidia-egl-xcb",
        "libnvidia-egl-xlib",
        "libnvidia-vulkan-producer",
        "libglxserver_nvidia",
    ),
    "ngx": ("libnvidia-ngx",),
    "WSL2": ("libdxcore", "libcuda_loader", "libnvidia-ml_loader", "libnvdxgdmal"),
}

_CAPABILITY = {name: capability for capability, names in LIBRARIES.items() for name in names}


def capability(name: str) -> str | None:
    """The capability under which a toolkit puts in the library of this file name, or None if none does.

    A `libnvidia-*` that is not in the list is "any": toolkits of the CDI kind put in every file of the driver. The
    toolkit's own libraries are not.
    """
    stem, dot, _ = name.partition(".so")
    if not dot:
        return None
    if stem in _CAPABILITY:
        return _CAPABILITY[stem]
    return "any" if stem.startswith("libnvidia-") and not stem.startswith("libnvidia-container") else None
