"""Outputs of tools as people paste them, in the form that the tools print, shortened."""

COLLECT_ENV = """\
Collecting environment information...
PyTorch version: 2.5.1+cu124
Is debug build: False
CUDA used to build PyTorch: 12.4
ROCM used to build PyTorch: N/A

OS: Ubuntu 22.04.4 LTS (x86_64)
GCC version: (Ubuntu 11.4.0-1ubuntu1~22.04) 11.4.0
Libc version: glibc-2.35

Python version: 3.11.9 (main, Apr 19 2024, 16:48:06) [GCC 11.2.0] (64-bit runtime)
Python platform: Linux-6.8.0-45-generic-x86_64-with-glibc2.35
Is CUDA available: True
CUDA runtime version: 12.4.131
CUDA_MODULE_LOADING set to: LAZY
GPU models and configuration: GPU 0: NVIDIA GeForce RTX 5090
Nvidia driver version: 570.86.16
cuDNN version: Could not collect
HIP runtime version: N/A
MIOpen runtime version: N/A

CPU:
Architecture:                         x86_64
"""
VLLM_COLLECT_ENV = """\
INFO 07-21 10:19:29 __init__.py:183] Automatically detected platform cuda.
Collecting environment information...
==============================
        System Info
==============================
OS                           : Red Hat Enterprise Linux release 9.4 (Plow) (x86_64)
GCC version                  : (GCC) 11.5.0 20240719 (Red Hat 11.5.0-2)
Libc version                 : glibc-2.34

==============================
       PyTorch Info
==============================
PyTorch version              : 2.7.0+cu126
Is debug build               : False
CUDA used to build PyTorch   : 12.6
ROCM used to build PyTorch   : N/A

==============================
      Python Environment
==============================
Python platform              : Linux-5.14.0-427.el9.x86_64-x86_64-with-glibc2.34

==============================
       CUDA / GPU Info
==============================
Is CUDA available            : False
CUDA runtime version         : Could not collect
GPU models and configuration :
GPU 0: NVIDIA A100-SXM4-80GB
GPU 1: NVIDIA A100-SXM4-80GB

Nvidia driver version        : 470.161.03
cuDNN version                : Could not collect
"""
VLLM_ROCM = """\
==============================
       PyTorch Info
==============================
PyTorch version              : 2.9.1+git5bc97ba
CUDA used to build PyTorch   : N/A
ROCM used to build PyTorch   : 7.2.26015-fc0010cf6a
==============================
       CUDA / GPU Info
==============================
Is CUDA available            : True
GPU models and configuration : AMD Radeon RX 7900 XTX (gfx1100)
Nvidia driver version        : Could not collect
"""
COLLECT_ENV_SOURCE = """\
env_info_fmt = \"\"\"
PyTorch version              : {torch_version}
CUDA used to build PyTorch   : {cuda_compiled_version}
GPU models and configuration : {nvidia_gpu_models}
Nvidia driver version        : {nvidia_driver_version}
\"\"\"
"""
SMI_2018 = """\
+-----------------------------------------------------------------------------+
| NVIDIA-SMI 384.130                Driver Version: 384.130                   |
|-------------------------------+----------------------+----------------------+
| GPU  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp  Perf  Pwr:Usage/Cap|         Memory-Usage | GPU-Util  Compute M. |
|===============================+======================+======================|
|   0  Quadro M4000        Off  | 0000:08:00.0     Off |                  N/A |
| 46%   34C    P8    11W / 120W |      0MiB /  8126MiB |      1%      Default |
+-------------------------------+----------------------+----------------------+
"""
SMI = """\
Thu Jun  6 09:14:11 2024
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 550.54.15              Driver Version: 550.54.15      CUDA Version: 12.4     |
|-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
|   0  NVIDIA H100 80GB HBM3          On  |   00000000:19:00.0 Off |                    0 |
| N/A   31C    P0             70W /  700W |       4MiB /  81559MiB |      0%      Default |
|                                         |                        |             Disabled |
+-----------------------------------------+------------------------+----------------------+
|   1  NVIDIA H100 80GB HBM3          On  |   00000000:3B:00.0 Off |                    0 |
| N/A   29C    P0             69W /  700W |       4MiB /  81559MiB |      0%   E. Process |
|                                         |                        |             Disabled |
+-----------------------------------------+------------------------+----------------------+
"""
SMI_WINDOWS = """\
+-----------------------------------------------------------------------------------------+
| NVIDIA-SMI 555.85                 Driver Version: 555.85         CUDA Version: 12.5     |
|-----------------------------------------+------------------------+----------------------+
| GPU  Name                  Driver-Model | Bus-Id          Disp.A | Volatile Uncorr. ECC |
|=========================================+========================+======================|
|   0  NVIDIA GeForce RTX 4090      WDDM  |   00000000:01:00.0  On |                  Off |
|  0%   42C    P8             18W /  450W |    1320MiB /  24564MiB |      2%      Default |
|                                         |                        |                  N/A |
+-----------------------------------------+------------------------+----------------------+
"""
SMI_SPARK = """\
| NVIDIA-SMI 580.95.05              Driver Version: 580.95.05      CUDA Version: 13.0     |
|=========================================+========================+======================|
|   0  NVIDIA GB10                    On  |   0000000F:01:00.0 Off |                  N/A |
| N/A   38C    P8              4W /  N/A  | Not Supported          |      0%      Default |
|                                         |                        |                  N/A |
"""
SMI_Q = """\
==============NVSMI LOG==============

Timestamp                                 : Wed Nov 13 15:27:22 2024
Driver Version                            : 550.54.14
CUDA Version                              : 12.4

Attached GPUs                             : 2
GPU 00000000:03:00.0
    Product Name                          : NVIDIA A100-SXM4-40GB
    Product Brand                         : NVIDIA
    MIG Mode
        Current                           : Disabled
        Pending                           : Disabled
    Driver Model
        Current                           : N/A
        Pending                           : N/A
    GPU UUID                              : GPU-7878ba12-9b30-8f49-3da8-7930824af120
    Minor Number                          : 0
    PCI
        Bus Id                            : 00000000:03:00.0
    FB Memory Usage
        Total                             : 40960 MiB
        Used                              : 4 MiB
    Compute Mode                          : Default
    Retired Pages
        Single Bit ECC                    : N/A
        Pending Page Blacklist            : N/A
    Remapped Rows
        Correctable Error                 : 0
        Uncorrectable Error               : 1
        Pending                           : Yes
        Remapping Failure Occurred        : No
    Processes                             : None

GPU 00000000:04:00.0
    Product Name                          : NVIDIA A100-SXM4-40GB
    MIG Mode
        Current                           : Disabled
        Pending                           : Disabled
    GPU UUID                              : GPU-1111ba12-9b30-8f49-3da8-7930824af120
    Minor Number                          : 1
    Compute Mode                          : Default
    Remapped Rows
        Correctable Error                 : 0
        Uncorrectable Error               : 0
        Pending                           : No
        Remapping Failure Occurred        : No
    Processes                             : None

$ uptime
"""
SMI_Q_2018 = """\
==============NVSMI LOG==============

Timestamp                           : Mon Apr  2 19:47:58 2018
Driver Version                      : 375.82

Attached GPUs                       : 1
GPU 0000:01:00.0
    Product Name                    : Quadro M1000M
    Compute Mode                    : Default
"""
SMI_XML = """\
<?xml version="1.0" ?>
<nvidia_smi_log>
\t<driver_version>535.86.05</driver_version>
\t<cuda_version>12.2</cuda_version>
\t<gpu id="00000000:84:00.0">
\t\t<product_name>NVIDIA GeForce RTX 4090</product_name>
"""
ROCMINFO = """\
ROCk module is loaded
=====================
HSA System Attributes
=====================
Runtime Version:         1.1

==========
HSA Agents
==========
*******
Agent 1
*******
  Name:                    AMD Ryzen 9 7900 12-Core Processor
  Uuid:                    CPU-XX
  Marketing Name:          AMD Ryzen 9 7900 12-Core Processor
  Vendor Name:             CPU
*******
Agent 2
*******
  Name:                    gfx1100
  Uuid:                    GPU-398a3f843a146602
  Marketing Name:          Radeon RX 7900 XTX
  Vendor Name:             AMD
  ISA Info:
    ISA 1
      Name:                    amdgcn-amd-amdhsa--gfx1100
"""
ROCMINFO_TWO = (
    ROCMINFO
    + """\
*******
Agent 3
*******
  Name:                    gfx1036
  Uuid:                    GPU-XX
  Marketing Name:          AMD Radeon Graphics
  Vendor Name:             AMD
"""
)
AMD_SMI_STATIC = """\
GPU: 0
    ASIC:
        MARKET_NAME: AMD Instinct MI350X
        VENDOR_ID: 0x1002
        TARGET_GRAPHICS_VERSION: gfx950
    BUS:
        BDF: 0000:05:00.0
    DRIVER:
        NAME: amdgpu
        VERSION: 6.18.3
"""
AMD_SMI_TABLE = """\
+------------------------------------------------------------------------------+
| AMD-SMI 26.0.0+37d158ab      amdgpu version: 6.14.14  ROCm version: 7.0.1    |
| Platform: Linux Baremetal                                                    |
|-------------------------------------+----------------------------------------|
| BDF                        GPU-Name | Mem-Uti   Temp   UEC       Power-Usage |
| GPU  HIP-ID  OAM-ID  Partition-Mode | GFX-Uti    Fan               Mem-Usage |
|=====================================+========================================|
| 0000:09:00.0    AMD Instinct MI325X | 0 %      49 °C   0          144/1000 W |
|   0       0       3        SPX/NPS1 | 0 %        N/A           283/262128 MB |
+-------------------------------------+----------------------------------------+
"""
AMD_SMI_VERSION = (
    "AMDSMI Tool: 25.3.0+ede62f2 | AMDSMI Library version: 25.3.0 | ROCm version: 6.4.0 | amdgpu version: 6.12.12\n"
)
ROCM_SMI = """\
============================ ROCm System Management Interface ============================
====================================== Product Info ======================================
GPU[0]\t\t: Card Series: \t\tAMD Instinct MI300X
GPU[0]\t\t: Card Model: \t\t0x74a1
GPU[0]\t\t: GFX Version: \t\tgfx942
==========================================================================================
"""
ROCM_SMI_JSON = """\
{"card0": {"Card Series": "AMD Instinct MI210", "Card Model": "0x740f", "GFX Version": "gfx90a"}}
"""
INSPECT = """\
[
    {
        "Id": "e5df58841fd6b45786f115ec7c0fac5ef2926ff931d5d50888bde678341b064f",
        "Created": "2024-06-06T09:00:00.000000000Z",
        "Path": "python3",
        "Args": ["serve.py"],
        "State": {
            "Status": "exited", "Running": false, "OOMKilled": false, "Dead": false, "Pid": 0, "ExitCode": 1,
            "Error": "", "StartedAt": "2024-06-06T09:00:01.0Z", "FinishedAt": "2024-06-06T09:00:02.0Z"
        },
        "Image": "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "Name": "/trainer",
        "RestartCount": 0,
        "Platform": "linux",
        "HostConfig": {
            "Binds": null, "NetworkMode": "default", "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "Runtime": "runc", "ShmSize": 67108864, "Privileged": false, "IpcMode": "private",
            "Devices": [], "DeviceRequests": null, "Ulimits": null
        },
        "Mounts": [],
        "Config": {
            "Hostname": "e5df58841fd6", "User": "", "Tty": false, "Env": ["PATH=/usr/bin"], "Cmd": ["python3", "serve.py"],
            "Image": "registry.example/trainer:2.3", "WorkingDir": "/app", "Entrypoint": null, "Labels": {}
        }
    }
]
"""
DOCKER_INFO = """\
Client: Docker Engine - Community
 Version:    26.1.1
Server:
 Containers: 3
 Server Version: 26.1.1
 Cgroup Driver: systemd
 Cgroup Version: 2
 Runtimes: io.containerd.runc.v2 runc
 Default Runtime: runc
 Security Options:
  apparmor
  seccomp
 Operating System: Ubuntu 22.04.4 LTS
 Architecture: x86_64
 Docker Root Dir: /var/lib/docker
"""
POD = """\
Name:             llm-0
Namespace:        serving
Priority:         0
Service Account:  default
Node:             gpu-node-3/10.0.0.13
Labels:           app=llm
Annotations:      <none>
Status:           Running
Containers:
  llm:
    Container ID:   containerd://e1beec661f02024c461cb72bf8013661a781c8ae1d6d65c5e01936c3ab9e6d08
    Image:          registry.example/llm:1.4
    State:          Waiting
      Reason:       CrashLoopBackOff
    Ready:          False
    Limits:
      nvidia.com/gpu:  1
QoS Class:                   BestEffort
"""
PLUGIN_POD = """\
Name:             nvidia-device-plugin-daemonset-x7k2p
Namespace:        kube-system
Priority:         2000001000
Node:             gpu-node-3/10.0.0.13
Labels:           name=nvidia-device-plugin-ds
Status:           Running
Containers:
  nvidia-device-plugin-ctr:
    Image:          nvcr.io/nvidia/k8s-device-plugin:v0.17.0
    State:          Waiting
      Reason:       CrashLoopBackOff
    Ready:          False
QoS Class:                   BestEffort
"""
NODE = """\
Name:               gpu-node-3
Roles:              <none>
Labels:             beta.kubernetes.io/os=linux
                    nvidia.com/gpu.present=true
Conditions:
  Type             Status
  ----             ------
  Ready            True    Wed, 13 Nov 2024 10:00:00 +0000   KubeletReady
Capacity:
  cpu:                12
  nvidia.com/gpu:     4
  pods:               110
Allocatable:
  cpu:                12
  nvidia.com/gpu:     0
  pods:               110
System Info:
  OS Image:                   Ubuntu 22.04.2 LTS
  Container Runtime Version:  containerd://1.7.20
"""
NODES_YAML = """\
apiVersion: v1
items:
- apiVersion: v1
  kind: Node
  metadata:
    labels:
      nvidia.com/gpu.present: "true"
    name: gpu-node-3
  status:
    allocatable:
      cpu: "12"
      nvidia.com/gpu: "0"
    capacity:
      cpu: "12"
      nvidia.com/gpu: "4"
    conditions:
    - type: Ready
      status: "True"
kind: List
"""
BUG_REPORT = f"""\
____________________________________________

Start of NVIDIA bug report log file.  Please include this file, along
with a detailed description of your problem, when reporting a graphics
driver bug via the NVIDIA Linux forum (see forums.developer.nvidia.com)
or by sending email to 'linux-bugs@nvidia.com'.

nvidia-bug-report.sh Version: 34275561

Date: Thu Oct 27 08:50:11 PM UTC 2022
uname: Linux node7 5.15.0-105-generic #115-Ubuntu SMP Mon Apr 15 09:52:04 UTC 2024 x86_64 GNU/Linux
command line flags:

____________________________________________

*** /etc/issue
*** ls: -rw-r--r-- 1 root root 20 2021-12-06 23:41:28.000000000 -0300 /etc/issue
Ubuntu 22.04.4 LTS \\n \\l

____________________________________________

*** /proc/driver/nvidia/./version
*** ls: -r--r--r-- 1 root root 0 2024-05-02 10:00:00.000000000 +0000 /proc/driver/nvidia/./version
NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024
GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)

____________________________________________

/usr/bin/nvidia-smi --query

{SMI_Q}
____________________________________________

/bin/dmesg

[   12.345678] nvidia: loading out-of-tree module taints kernel.
[ 9034.567890] NVRM: Xid (PCI:0000:03:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
[ 9034.567895] NVRM: GPU 0000:03:00.0: GPU has fallen off the bus.
"""
