"""What a log tells beside its fault: versions and devices in the banners of well-known tools.

They fill the values of every finding of the log that has none of its own.
"""

from __future__ import annotations

VERSION = r"\d{3}\.\d{2,3}(?:\.\d{2,3})?"

CONTEXT = (
    # nvidia-smi; torch.utils.collect_env; /proc/driver/nvidia/version; dpkg -l; vLLM's collect-env
    rf"Driver Version: ?(?P<driver>{VERSION})",
    rf"Nvidia driver version *: ?(?P<driver>{VERSION})",
    rf"NVIDIA UNIX .* Kernel Module(?: for \S+)? +(?P<driver>{VERSION})",
    rf"(?:nvidia-(?:driver|dkms|utils|kernel)|libnvidia-compute)-\S+ +(?P<driver>{VERSION})-",
    rf"NVRM: loading NVIDIA UNIX .* (?P<driver>{VERSION}) ",
    r"CUDA Version: ?(?P<cuda_driver>\d+\.\d+)",
    r"PyTorch version *: ?(?P<torch>\d+\.\d\S*)",
    r"CUDA used to build PyTorch *: ?(?P<cuda>\d+\.\d+)",
    r"ROCM used to build PyTorch *: ?(?P<rocm>\d+\.\d+\S*)",
    r"GPU models and configuration *: ?(?:GPU 0: )?(?P<device>[A-Z][^\n(]{3,60}\w)",
    r"GPU 0: (?P<device>(?:NVIDIA|Tesla|GeForce|Quadro|AMD|Radeon)[^\n(]{2,60}\w) ?(?:\(UUID|$)",
    r"gcnArchName: ?(?P<arch>gfx[0-9a-f]{3,4})\b",
    r"amdgcn-amd-amdhsa--(?P<arch>gfx[0-9a-f]{3,4})\b",
)
"""RE2 patterns, as in an entry's matchers; https://github.com/pytorch/pytorch/blob/main/torch/utils/collect_env.py ,
https://docs.nvidia.com/deploy/nvidia-smi/index.html , https://github.com/ROCm/rocminfo"""
