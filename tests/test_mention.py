"""What only speaks about an error, and what is one."""

from __future__ import annotations

import pytest

from doctor.knowledge import shipped
from doctor.logs import explain_text
from doctor.match import continues, patterns_of
from doctor.mention import in_code_span, is_mention, is_source, source_lines


@pytest.mark.parametrize(
    "line",
    [
        '    ("hipErrorMemoryAllocation", CONV_TYPE, API_DRIVER),',
        "command: ['sh', '-c', 'while true; do echo \"amdgpu driver is not loaded\"; done']",
        '        echo "NVIDIA kernel module not loaded"',
        "If `rocminfo` prints `ROCk module is NOT loaded`, load the driver",
        "    ('llama-server: error while loading shared libraries: libcuda.so.1: cannot open shared object file: '",
        r'    "Unable to open /dev/kfd read-write: %s\n"',
        '    160             "Cannot re-initialize CUDA in forked subprocess. " + msg)',
        '    message: "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.".to_string(),',
        '- ✅ Should show "Insufficient nvidia.com/gpu" error if no node has 2 GPUs available',
        "- `WARNING: Could not find any nv files on this host`:",
        "> **Troubleshooting**: If the device plugin logs show `could not load NVML library: libnvidia-ml.so.1: cannot open"
        " shared object file`, the plugin needs to run with the NVIDIA runtime.",
        "      pattern: /NVRM: Xid|GPU has fallen off the bus|RmInitAdapter failed/i,",
        '   - For "Error: unknown runtime specified nvidia", restart Docker: `sudo systemctl restart docker`',
        "- **#1034: nvidia-container-cli: mount error: mount operation failed: /proc/driver/nvidia: permission denied:**",
        "- Fixed hipErrorNoBinaryForGpu when the override is unset",
        "b2c3d4e5 ROCm: work around Memory access fault by GPU node-1",
        "[       OK ] HipErrorTest.hipErrorNoBinaryForGpu (0 ms)",
        "tests/test_gpu.py::test_hip_out_of_memory PASSED",
        "This PR says in the README that FP8 is only supported on GPUs with compute capability 8.9",
        '    @warn "HSA runtime is unavailable"',
        "    5: 'rocblas_status_memory_error',",
        "HIP_CHECK(hipMalloc(&a, n)); // hipErrorOutOfMemory on small cards",
        '<summary><b>SGLang: "No HIP GPUs available"</b></summary>',
        '**Q: SGLang fails with "No HIP GPUs available"**',
        '    334                     raise CudaDriverError("CUDA initialized before forking")',
        "This error message is due to a shm-size that is too small. Try updating it.",
        "If RM detects a driver/library version mismatch, usually after an upgrade, it reports it.",
        'command -v nvcc >/dev/null 2>&1 || { echo -e "${RED}CUDA toolkit not found.${NC}"; exit 1; }',
        'pattern: ".*uncorrectable ECC error encountered.*"',
        '  "signature": "InternalError: CUDA driver version is insufficient for CUDA runtime version",',
        "operations: [{ id: 'op-1', name: 'qwen3-8b', error: 'no space left on device' }],",
        'svc.UpdateStatus("job-2", &OpStatus{Processed: true, Error: errors.New("no space left on device")})',
    ],
)
def test_mentions(line: str) -> None:
    assert is_mention(line)


@pytest.mark.parametrize(
    "line",
    [
        "import torch 报的错误是ImportError: libcudart.so.12: cannot open shared object file: No such file or directory",
        r'"$ rocminfo\nUnable to open /dev/kfd read-write: No such file or directory\nFailed to get user name\n"',
        "  what():  /ort/cuda_call.cc:121 CUDNN failure 1: CUDNN_STATUS_NOT_INITIALIZED ; expr=cudnnCreate(&handle_); ",
        "RuntimeError: HIP error: invalid device function",
        '//                            "status"  : "rocsparse_status_memory_error",',
        "Unable to open /dev/kfd read-write: Permission denied",
        "this patched build says: CUDA error: out of memory",
        "docker: Error response from daemon: unknown or invalid runtime name: amd",
        "- **Exception Message:** HIP error: invalid device function",
        "[ 5.61] amdgpu 0000:03:00.0: amdgpu: Fatal error during GPU init",
        "If reserved memory is large try setting PYTORCH_HIP_ALLOC_CONF; HIP out of memory",
        "StartContainer failed &ContainerMetadata{Name:cuda,Attempt:0,} error: no space left on device",
        'Error { kind: StorageFull, message: "No space left on device" }',
        "<summary>no space left on device</summary>",
        "The error is an undefined symbol: _ZN3c104cuda9SetDeviceEa originating from vllm._C.abi3.so",
        "HIP_CHECK(hipDeviceSynchronize()) failed: hipErrorLaunchFailure (719) at solver.cpp:318",
        "raise RuntimeError( RuntimeError: Cannot re-initialize CUDA in forked subprocess.",
    ],
)
def test_errors_are_no_mentions(line: str) -> None:
    assert not is_mention(line)


def test_a_quoted_line_with_columns_is_output() -> None:
    event = "the pod is pending, ` Warning  FailedScheduling  7s  volcano  0/1 nodes: no enough gpu cards on node`"
    assert not in_code_span(event, event.index("no enough"), event.index("no enough") + 9)
    told = event.replace("  ", " ")
    assert in_code_span(told, told.index("no enough"), told.index("no enough") + 9)


def test_an_arrow_opens_no_code_span() -> None:
    drawn = "  `-> Because torch==2.7.1+cu128 has no `platform_machine == 'AMD64'`-compatible wheels and only these are"
    assert not in_code_span(drawn, drawn.index("torch"), drawn.index(" has no"))


def test_what_a_bug_report_is_called_is_the_writers_own_error() -> None:
    quoted = "`undefined symbol: _ZN3c105ErrorC2E` when running the wheel on an A100"
    begin = quoted.index("undefined")
    assert in_code_span(quoted, begin, begin + 16)
    titled = f"# [Bug]: {quoted}"
    begin = titled.index("undefined")
    assert not in_code_span(titled, begin, begin + 16)
    asked = "What does this error mean? `CUDA_ERROR_UNKNOWN: unknown error` at the start"
    assert not in_code_span(asked, asked.index("CUDA"), asked.index("CUDA") + 18)
    quoting = "The logs of it mention: `Cannot load libnvidia-encode.so.1`."
    assert not in_code_span(quoting, quoting.index("Cannot"), quoting.index("Cannot") + 11)


def test_a_commit_is_no_log() -> None:
    text = "commit 3f2a9c1d\nAuthor: A <a@example.org>\n    handle hipErrorNoDevice\n"
    assert is_source(text)
    assert not is_source(text.replace("commit", "using"))


def test_a_long_page_is_no_log_but_a_report_is() -> None:
    chapter = "\nThe runtime is told which of the devices it may use by a\n" * 9
    page = "".join(f"# {title}{chapter}" for title in ("Install", "Configure", "Use", "Remove", "Thanks"))
    assert is_source(page)
    assert not is_source("".join(f"### {title}{chapter}" for title in ("Bug", "Steps", "Expected", "Actual", "Logs")))


def test_a_page_with_programs_messages_is_a_log() -> None:
    code = "\n".join(["FROM ubuntu", "RUN apt-get update", "ENV A=1"] * 6)
    assert is_source(code)
    assert not is_source(code + '\ndocker: Error response from daemon: could not select device driver ""')
    assert not is_source(code + "\nCUDA Error: forward compatibility was attempted on non supported HW")
    assert not is_source(code + "\nE   nvrtc: error: invalid value for --gpu-architecture (-arch)")


def test_comments_are_not_joined() -> None:
    assert not continues("# the runtime would fail with the following", '"amd-container-runtime: not found"')
    assert not continues("a line that is long enough to be broken", "# and a comment")
    assert continues("a line that is long enough to be broken", "at the edge of the screen")


@pytest.mark.parametrize(
    "line",
    [
        "    CUDA_ERROR_ECC_UNCORRECTABLE = 214,",
        "\tERROR_OUT_OF_MEMORY                  Result = 2",
        "\t\teccModeRet: nvml.ERROR_GPU_IS_LOST,",
        "        ret = ncclSystemError;",
        "    reason[common.CardTypeMismatch]++",
        '  std::cerr << "CUDA Error : Insufficient CUDA driver " << version << std::endl;',
        "    if res == CUSOLVER_STATUS_ALLOC_FAILED",
        'message(FATAL_ERROR "Could not find nvcc, please set CUDAToolkit_ROOT.")',
        "$(error CUDA_HOME is not set. Please set CUDA_HOME)",
        "    RuntimeError: If no CUDA device is visible, or if more than one device is",
        '  require.ErrorContains(t, err, "ClusterPolicy and GPUCluster cannot co-exist")',
        "# Executing any of these lines will result in Cannot re-initialize CUDA in forked subprocess",
        "# they fail with hipErrorInvalidKernelFile on some of the nodes",
        "- Surface NVML errors when MIG device placement cannot be determined (#1899)",
    ],
)
def test_statements_are_mentions(line: str) -> None:
    assert is_mention(line)


MANUAL = """\
### Errors of the driver

You may run into these errors when the driver was updated. Make sure that the module is loaded:

```
NVRM: Xid (PCI:0000:10:1c): 79, GPU has fallen off the bus.
```

This indicates that the card is gone; the node should be rebooted.
Refer to the manual of the card for the meaning of the other numbers.
"""


def test_a_manual_is_no_log() -> None:
    assert is_source(MANUAL)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("You may run into these errors when", "I run into these errors since"),
        ("### Errors of the driver", "### Describe the bug"),
        ("### Errors of the driver", "### Server logs"),
        ("### Errors of the driver", "### dstack version"),
        ("### Errors of the driver", "[12.34] NVRM: loading NVIDIA UNIX x86_64 Kernel Module"),
        ("### Errors of the driver", "==========\nCUDA SETUP: CUDA detection failed! Possible reasons:"),
    ],
)
def test_a_report_is_no_manual(one: str, other: str) -> None:
    assert not is_source(MANUAL.replace(one, other))


def test_assignments_in_a_short_log() -> None:
    assert not is_source('level=INFO source=gpu.go:94 msg="Detecting GPU type"\n' * 8)


def test_objects_that_a_program_prints_under_a_warning_of_python() -> None:
    warning = "/usr/lib/python3/dist-packages/onnxruntime/capi/session.py:118: UserWarning: Specified provider is not available\n"
    printed = "Applied providers: ['CPUExecutionProvider'], with options: {'CPUExecutionProvider': {}}\n" * 8
    assert is_source(printed)
    assert not is_source(warning + printed)


def test_a_log_of_json_objects_is_no_source() -> None:
    line = '{"log":"RuntimeError: CUDA error: out of memory\\n","stream":"stderr","time":"2024-05-01T10:00:00Z"}\n'
    assert not is_source(line * 8)
    line = (
        '{"@timestamp": "2024-05-01T10:00:00Z", "kubernetes": {"pod": "x"}, "message": "CUDA error: out of memory"}\n'
    )
    assert not is_source(line * 8)
    told = 'could not select device driver \\"\\" with capabilities'
    record = f' {{\n  "textPayload": "{told}",\n  "timestamp": "2026-11-29T10:00:00.000Z"\n }},\n'
    assert not is_source(f"[\n{record * 8}]\n")
    assert is_source(f"[\n{record * 8}]\n".replace("textPayload", "example").replace("timestamp", "since"))


@pytest.mark.parametrize(
    "line",
    [
        '        "DefaultCPUAllocator: can\'t allocate memory",  # CPU OOM',
        '        and "CUDA" in exception.args[0] and "out of memory" in exception.args[0]',
        '    pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA is required.")',
        "    c.state.OOMKilled = true",
        '            Reasons: []string{"node(s) didn\'t have enough resources: GPUs"},',
        'Basic.Stats.DiskFullIn="Disk full in (approx.)"',
        "- ``rocblas_status == rocblas_status_memory_error`` : indicates there is not sufficient device memory",
        "**问题**：`AssertionError: Torch not compiled with CUDA enabled`",
        "**`CUDA error: out of memory`** lower the batch size",
        "1. **`CUDA error: out of memory`**",
        'docker info || err "Cannot connect to the Docker daemon"',
    ],
)
def test_more_statements_are_mentions(line: str) -> None:
    assert is_mention(line)


@pytest.mark.parametrize(
    "line",
    [
        'I0129 05:42:59.0 3 event.go:294] "Event occurred" reason="UnexpectedAdmissionError" message="Allocate failed"',
        'time="2024-05-01T10:00:00Z" level=error msg="Disk full"',
        '                "OOMKilled": true,',
        "OSError: libcudart.so.12: cannot open shared object file: No such file or directory",
        "RuntimeError('CUDA error: out of memory')",
        "**```Error: stat nvidia.com/gpu=all: no such file or directory```**",
        "Check failed: err == cudaSuccess || err == cudaErrorInvalidValue Unexpected CUDA error: unknown error",
        "* Failed to initialize NVML: Unknown Error",
        "* RuntimeError: cuda runtime error (35) : CUDA driver version is insufficient for CUDA runtime version",
    ],
)
def test_records_are_no_statements(line: str) -> None:
    assert not is_mention(line)


def test_a_banner_in_columns_is_no_comment() -> None:
    """XMRig tells its set-up in lines that begin like those of a comment in C."""
    line = " * CUDA         disabled (failed to load CUDA plugin)"
    assert not is_source(f"{line}\n * OPENCL       disabled\n * MEMORY       3.2/15.4 GB\n")
    assert not is_mention(line)
    assert is_mention(" * CUDA kernels are not available then")


def test_a_diff_between_fences_is_no_log_whatever_stands_around_it() -> None:
    hunk = "```diff\n@@ -537,7 +537,7 @@ Questions\n-usually `CUDA driver version is insufficient for CUDA runtime version`\n```\n"
    assert source_lines(f"The log is another.\n{hunk}Thanks") == frozenset((2, 3, 4))
    assert not source_lines("The log is another.\n" + hunk.replace("@@ -537,7 +537,7 @@", ""))


def test_a_diff_is_no_log() -> None:
    hunk = '@@ -1,3 +1,3 @@\n try:\n-    die("CUDA error: out of memory")\n+    die("CUDA error: out of memory on %d" % n)\n'
    assert is_source("--- a/x.py\n+++ b/x.py\n" + hunk)
    assert not is_source("RuntimeError: CUDA error: out of memory\n" * 4 + hunk)


CONFIGURATION = """{
    "default-runtime": "nvidia",
    "runtimes": {
        "nvidia": {
            "path": "/usr/bin/nvidia-container-runtime",
            "runtimeArgs": []
        }
    }
}
"""


def test_a_configuration_beside_an_error_is_no_source() -> None:
    assert not is_source(CONFIGURATION + "docker: Error response from daemon: Unknown runtime specified nvidia.\n")
    assert not is_source('The state:\n"oom-test": {\n"state": {\n"termination": {\n"exitCode": 137\n}\n},\n')
    assert is_source(
        CONFIGURATION + "def test():\n    x = 1\n    if x:\n    return x\n    assert x == 2\n    import y\n"
    )


def test_the_writers_own_error_in_a_code_span() -> None:
    line = "But still get error `docker: Error response from daemon: Unknown runtime specified nvidia.`"
    assert not in_code_span(line, line.index("Unknown"), line.index("nvidia"))
    line = "here is `nvidia-smi` from within the worker: `Failed to initialize NVML: Unknown Error`"
    assert not in_code_span(line, line.index("Failed"), line.index("Error"))


MANUALS = {
    "answers to several troubles, in whatever language": """### Q6: 메모리 부족

**증상:**
```
RuntimeError: CUDA out of memory
```

**해결:**
배치 크기 줄이기

### Q7: 학습이 너무 느림

**해결:**
모델 크기 줄이기
""",
    "questions and answers by number": """Q9: 下载完模型后，如何修改代码

A9: 请参考配置文件

Q10: 显卡内存爆了，提示"OutOfMemoryError: CUDA out of memory"

A10: 将 `LLM_HISTORY_LEN` 的值调低
""",
    "a page that lost the marks of its headings": """Introduction

The kernel refuses to load modules that are not signed with a trusted key.

Symptoms

  • dmesg shows Loading of unsigned module is rejected

Common Causes

  • Secure Boot is enabled
""",
    "chapters underlined as in reStructuredText": """################
 Troubleshooting
################

 Error messages
****************

.. code::

   nvidia-container-cli: requirement error: unsatisfied condition: cuda>=10.0

This error message indicates that the drivers installed on the agent are not compatible with it.

To resolve this issue, run the following commands. If the first succeeds, you should use older images.

Make sure you back up the database and temporarily shut down the master before proceeding further.
""",
}


@pytest.mark.parametrize("text", MANUALS.values(), ids=MANUALS)
def test_a_page_of_troubles_is_a_document(text: str) -> None:
    assert is_source(text)


def test_what_somebody_pastes_around_an_own_error_is_no_source() -> None:
    pasted = """I run this script in the container and it ends with CUDA error: out of memory

```
import torch

def main():
    x = torch.ones(2)
    return x

def other():
    if main():
        return 1
    for y in range(3):
        assert y
    return 2
```
"""
    assert not is_source(pasted)
    assert is_source(pasted.replace("I run this script in the container and", "running this script in a container"))


def test_what_may_fail_is_told_by_a_manual() -> None:
    told = "**HIP GPU Errors**: Launching experiments may fail with the error `No HIP GPUs are available`. Update the driver."
    begin = told.index("No HIP")
    assert in_code_span(told, begin, begin + 25)
    own = told.replace("may fail", "fails")
    assert not in_code_span(own, own.index("No HIP"), own.index("No HIP") + 25)


SCRIPT = """import torch

model = torch.nn.Linear(10, 10).to("cuda")
for epoch in range(10):
    loss = model(torch.randn(4, 10).to("cuda")).sum()
    loss.backward()
    print(f"epoch {epoch}")
torch.save(model, "model.pt")
result = model.eval()
shape = result.weight.shape
mean = float(result.weight.mean())
print(shape, mean)
"""


def faults(text: str) -> list[str]:
    report = explain_text(text, "paste", shipped(), patterns_of(shipped()))
    return [diagnosis.finding.fault for diagnosis in report.diagnoses]


MISSING = "libcudart.so.12: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{SCRIPT}\nIt prints:\n\n{MISSING}\n", 16),
        (f"{SCRIPT}{MISSING}\n", 13),
        (f"{MISSING}\n\nMy script:\n\n{SCRIPT}", 1),
    ],
)
def test_what_a_script_printed_is_no_part_of_it(text: str, line: int) -> None:
    assert text.split("\n")[line - 1] == MISSING
    lines = source_lines(text)
    assert lines
    assert line not in lines
    assert faults(text) == ["lib-cudart-missing"]


@pytest.mark.parametrize("place", [f"    # {MISSING}", f"    {MISSING}", f'message = "{MISSING}"'])
def test_what_a_script_says_is_a_part_of_it(place: str) -> None:
    assert not faults(SCRIPT.replace("    loss.backward()", place))
    assert not faults(f'{SCRIPT}\n"""\n{place}\n"""\n')


def test_a_whole_message_in_a_code_span_is_an_error_unless_advice_stands_beside_it() -> None:
    told = "The frequency of the `RuntimeError: No HIP GPUs are available` here is very high"
    begin = told.index("No HIP")
    assert not in_code_span(told, begin, begin + 25)
    for other in (
        told.replace("here is very high", "is high if the driver is old"),
        told.replace("RuntimeError: ", ""),
        told.replace("here is very high", "was fixed by a new driver"),
    ):
        begin = other.index("No HIP")
        assert in_code_span(other, begin, begin + 25)


def test_a_line_of_several_code_spans_is_judged_by_what_stands_outside() -> None:
    line = "`W dso_loader.cc:55 did not load the dynamic library` `libhip_hcc.so: cannot open shared object file`"
    begin = line.index("libhip_hcc.so: ")
    assert not in_code_span(line, begin, begin + 44)


def test_an_error_apart_from_the_few_lines_before_it() -> None:
    dockerfile = "FROM ubuntu\nRUN apt-get update\nWORKDIR /app\nCOPY . .\nENV A=1\nUSER app\n"
    start = "started the container as told\n" * 30
    assert faults(f"{start}{dockerfile}\n{MISSING}\n{start}") == ["lib-cudart-missing"]
    assert not faults(f"{start}{dockerfile}{MISSING}\nRUN make\n\n{start}")


def test_the_last_words_of_mpi_are_no_manual() -> None:
    told = "=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   EXIT CODE: 135\n"
    told += "=   CLEANING UP REMAINING PROCESSES\n=   YOU CAN IGNORE THE BELOW CLEANUP MESSAGES\n" + "=" * 70 + "\n"
    assert not is_source(f"I run it in a container:\n```\n{'=' * 70}\n{told}Bus error (signal 7)\n```\n")


def test_a_pattern_that_takes_the_closing_mark_along_stands_in_the_span() -> None:
    row = "| `Could not load library libcudnn_ops_infer.so.8` | cuDNN 缺失或路径不对 | 加到 `LD_LIBRARY_PATH` |"
    assert in_code_span(row, row.index("Could"), row.index("` |") + 1)


def test_what_make_says_stands_in_no_manual() -> None:
    advice = "It is recommended to set the CC environment variable to the compiler of the kernel.\n" * 9
    assert is_source(advice)
    assert not is_source(f"{advice}make[2]: *** [/usr/src/nvidia/Kbuild:194: cc_version_check] Error 1\n")
    assert not is_source(
        f"{advice}modprobe: FATAL: Module nvidia not found in directory /lib/modules/6.2.0-1011-azure\n"
    )


def test_an_example_of_a_message_is_none() -> None:
    shown = "the message in the log:\n\nNVRM: Xid (PCI:0000:03:00): 79, GPU has fallen off the bus.\n"
    assert faults(f"I found {shown}") == ["nvidia-gpu-fell-off-bus"]
    assert not faults(f"The following is an example of {shown}")
