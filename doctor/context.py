"""What a log tells beside its fault: versions and devices in the banners of well-known tools, and the place.

The former fill the values of every finding of the log that has none of its own; the latter put fixes in order.
"""

from __future__ import annotations

SIZE = r"[\d.]+ [KMGT]iB"
VERSION = r"\d{3}\.\d{2,3}(?:\.\d{2,3})?"

CONTEXT = (
    # nvidia-smi; torch.utils.collect_env; /proc/driver/nvidia/version; dpkg -l; dkms; vLLM's collect-env
    rf"Driver Version *: ?(?P<driver>{VERSION})",
    rf"Nvidia driver version *: ?(?P<driver>{VERSION})",
    rf"NVIDIA UNIX .* Kernel Module(?: for \S+)? +(?P<driver>{VERSION})",
    rf"(?:(?:nvidia-(?:driver|dkms|utils|kernel)|libnvidia-compute)-\S+|\bnvidia-\d{{3}}) +(?P<driver>{VERSION})-",
    rf"\bnvidia(?:/|, )(?P<driver>{VERSION})(?:/|,|:| for )",
    r"\bamdgpu(?:/|, )(?P<driver>\d+\.\d+\.\d+)-\d+(?:\.[\d.]+)?(?:/|,|:| for )",
    rf"(?i:\bnvidia[ -]drivers?(?: version)?): ?(?P<driver>{VERSION})\b",
    # what people write beside it: "Tesla T4 / Driver: 450.51.06", "nvidia 390.65 drivers", "RTX 5070 (sm_120)"
    rf"(?:^|[-*/|,(;>·] ?)(?:GPU |Graphics )?[Dd]rivers?(?: [Vv]ersion)?[`*]* ?[:=] ?[`*]*(?P<driver>{VERSION})\b",
    rf"\b(?i:nvidia) (?P<driver>{VERSION})(?: drivers?\b|$)",
    r"\b(?:RTX|GTX|GeForce|Tesla|Quadro) ?\w[\w -]{0,24}(?: GPU)? \((?:compute capability )?`?(?P<arch>sm_\d{2,3})\b",
    r"\b(?:Radeon|Instinct|RX|MI|[Nn]avi)[ -]?\w[\w -]{0,24}(?: GPU)? ?[(/] ?`?(?P<arch>gfx[0-9a-f]{3,4})\b",
    rf"NVRM: loading NVIDIA UNIX .* (?P<driver>{VERSION}) ",
    r"CUDA Version: ?(?P<cuda_driver>\d+\.\d+)",
    r"PyTorch version *: ?(?P<torch>\d+\.\d\S*)",
    r"CUDA used to build PyTorch *: ?(?P<cuda>\d+\.\d+)",
    r"ROCM used to build PyTorch *: ?(?P<rocm>\d+\.\d+\S*)",
    r"GPU models and configuration *: ?(?:GPU 0: )?(?P<device>[A-Z][^\n(]{3,60}\w)",
    r"GPU 0: (?P<device>(?:NVIDIA|Tesla|GeForce|Quadro|AMD|Radeon)[^\n(]{2,60}\w) ?(?:\(UUID|$)",
    r"gcnArchName: ?(?P<arch>gfx[0-9a-f]{3,4})\b",
    r"amdgcn-amd-amdhsa--(?P<arch>gfx[0-9a-f]{3,4})\b",
    r"Please NOTE: device: \d+, (?:GPU|CUDA) Compute Capability: (?P<compute_capability>\d+\.\d)",  # Paddle
    # PyTorch's own account of the memory, of version 2.1 and before; NVML's, where it knows the process itself
    rf"Of the allocated memory (?P<allocated>{SIZE}) is allocated by PyTorch",
    rf"(?P<idle>{SIZE}) is reserved by PyTorch but unallocated",
    rf"\bthis process has (?P<own>{SIZE}) memory in use\b",
    rf"(?P<allocated>{SIZE}) already allocated; {SIZE} free; (?P<reserved>{SIZE}) reserved in total by PyTorch",
    rf"\bProcess \d+ has (?P<others>{SIZE}) memory in use\b.*\bthis process has\b",
)
"""RE2 patterns, as in an entry's matchers; https://github.com/pytorch/pytorch/blob/main/torch/utils/collect_env.py ,
https://docs.nvidia.com/deploy/nvidia-smi/index.html , https://github.com/ROCm/rocminfo ,
https://github.com/pytorch/pytorch/blob/main/c10/cuda/CUDACachingAllocator.cpp"""

PLACES = {
    r"docker: Error response from daemon|Error response from daemon: ": ("engine", "docker"),
    r"\bpodman (?:run|start)\b|/containers/storage/overlay": ("engine", "podman"),
    r"/\.singularity\.d/|\b(?:singularity|apptainer)(?: -\S+)* (?:exec|run|shell)\b": ("engine", "apptainer"),
    r"/etc/enroot/|/enroot[-/]|\b(?:pyxis|enroot(?:-nsenter|-mount)?): ": ("engine", "enroot"),
    r"FailedCreatePodSandBox|UnexpectedAdmissionError|\bkubelet(?:\[\d+\]:|, | {2,}[A-Z])": ("cluster", "kubernetes"),
    r"\bkubectl (?:-n \S+ )?(?:exec|logs|describe|get|apply) ": ("cluster", "kubernetes"),
    r"\b[A-Z]:[\\/]{1,2}(?:Users|Program Files|ProgramData|Windows)[\\/]|-win-x86_64-|windows-amd64|win_amd64": (
        "system", "windows"),
    r"[\\](?:Scripts|site-packages|AppData|_MEI\d+)[\\]|[\\]TensileLibrary": ("system", "windows"),
    r"^\s*File \"[A-Z]:[\\/]": ("system", "windows"),  # a traceback of Python
    r"\bWinError \d|Windows-1[01]-10\.|(?:amd|hip|gpu)_windows\.go": ("system", "windows"),
    r"\b(?:nvcuda|cudart64_\d+)\.dll\b|Game Ready Driver": ("system", "windows"),
    r"\[\w+ @ 0000[0-9a-f]{12}\]": ("system", "windows"),  # FFmpeg: an address as Windows writes one
    r"/dev/(?:kfd|dri)\b|/opt/rocm|microsoft-standard-WSL2": (
        "system", "linux"),
    r"\b[Jj]etson\b|\bJetPack\b|-tegra\b|/tegra/|\bl4t-|\bnv_tegra_release\b": ("board", "jetson"),
    # BuildKit, Docker's former builder, Buildah
    r"\[(?:[\w.-]+)? *\d+/\d+\] RUN |did not complete successfully: exit code|executor failed running \["
    r"|error building at|^(?:Step|STEP) \d+/\d+ ?: ?RUN |^The command '/bin/\w+ .* returned a non-zero": (
        "stage", "build"),
    r"\bNixOS\b|/nix/store/\S*-(?:linux-\d|nvidia-)|/run/(?:current|booted)-system/": ("distro", "nixos"),
    r"\d-generic\b": ("distro", "ubuntu"),
    r"\d-(?:cloud-)?amd64\b": ("distro", "debian"),
    r"\d\.el(?:7|8|9|10)(?:_\d+)?\.(?:x86_64|aarch64)": ("distro", "rhel"),
    r"\d\.fc[34]\d\.(?:x86_64|aarch64)": ("distro", "fedora"),
    r"\bhipError[A-Z]|\bHIP error|/opt/rocm|[+/]rocm\d|\bRCCL\b|/rccl/|librccl|\[amdgpu\]|amdgpu: ": ("vendor", "amd"),
    r"\bamd\.com/gpu|https?://repo\.radeon\.com/|\bAMD Instinct": ("vendor", "amd"),
    r"\brocm/(?:pytorch|vllm|tensorflow|dev-ubuntu)": ("vendor", "amd"),
    r"\bnvidia\.com/(?:gpu|mig-)|https?://developer\.download\.nvidia\.c": ("vendor", "nvidia"),
    r"NVRM: |NVIDIA-SMI|/dev/nvidia\d|libcuda\.so|libnvidia-|\bGeForce\b|\+cu1\d\d\b": ("vendor", "nvidia"),
    r"-packages/torch/|\btorch\.cuda\.\w|\bc10::|TORCH_USE_CUDA_DSA|\+cu1\d\d\b": ("framework", "torch"),
    r"RuntimeError: (?:CUDA error: |CUDA out of memory|cuDNN error: |NCCL error in: |No CUDA GPUs are available)": (
        "framework", "torch"),
    r"\btorch\.OutOfMemoryError\b|\bProcessGroupNCCL\b": ("framework", "torch"),
    r"[IWEF] tensorflow/|external/local_(?:xla|tsl)/|-packages/tensorflow|\btensorflow\.python\b": (
        "framework", "tensorflow"),
    r"-packages/jax(?:lib)?/|\bjax\._src\b|\bxla_bridge\b|XlaRuntimeError": ("framework", "jax"),
    r"-packages/paddle/|\bpaddle::|PaddlePaddle|\bpaddle\.(?:base|fluid|framework|device)\b|gpu_resources\.cc:": (
        "framework", "paddle"),
    r"-packages/cupy|\bcupy_backends\b|\bcupy\.cuda\b": ("framework", "cupy"),
    r"\bmxnet\.base\b|MXNetError|-packages/mxnet|/mshadow/": ("framework", "mxnet"),
    r"ONNXRuntimeError|onnxruntime::|\[\w:onnxruntime:|onnxruntime/capi|onnxruntime_providers": (
        "framework", "onnxruntime"),
    r"\bggml_cuda|\bggml-cuda|\bllama_model_load|\bllama runner\b|starting llama server": ("framework", "llama.cpp"),
    r"\[TRT\]|\bnvinfer1::": ("framework", "tensorrt"),
    r"\bTorchSharp\b": ("framework", "torchsharp"),
    r"OpenCV\(\d\.|\bcudaError_t \d+ : |\[\w+ @ (?:0x|0000)[0-9a-f]+\]": ("framework", "another"),
    r"\b(?i:blender|hashcat|gromacs|lammps|openmm|darknet|dorado|guppy_basecaller|relion|cryosparc|colmap)\b": (
        "framework", "another"),
    r"\b(?i:xmrig|ccminer|ethminer|ctranslate2|deepstream)\b|TRITONBACKEND_|\bmodel_lifecycle\.cc": (
        "framework", "another"),
    r"cudnn_conv_layer|\bsyncedmem\.cpp|/caffe/|\bcaffe::|-packages/numba/|\bnumba\.cuda\b": ("framework", "another"),
}  # fmt: skip
"""Signs of where a log comes from: names of kernel releases, an engine's own words, a vendor's or a framework's names.

They are no proof, a log quotes much: what speaks against a fix here only moves it behind the others.
"""
