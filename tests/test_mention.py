"""What only speaks about an error, and what is one."""

from __future__ import annotations

import pytest

from doctor.match import continues
from doctor.mention import in_code_span, is_mention, is_source


@pytest.mark.parametrize(
    "line",
    [
        '    ("hipErrorMemoryAllocation", CONV_TYPE, API_DRIVER),',
        "command: ['sh', '-c', 'while true; do echo \"amdgpu driver is not loaded\"; done']",
        '        echo "NVIDIA kernel module not loaded"',
        "If `rocminfo` prints `ROCk module is NOT loaded`, load the driver",
        "- Fixed hipErrorNoBinaryForGpu when the override is unset",
        "b2c3d4e5 ROCm: work around Memory access fault by GPU node-1",
        "[       OK ] HipErrorTest.hipErrorNoBinaryForGpu (0 ms)",
        "tests/test_gpu.py::test_hip_out_of_memory PASSED",
        '    @warn "HSA runtime is unavailable"',
        "    5: 'rocblas_status_memory_error',",
    ],
)
def test_mentions(line: str) -> None:
    assert is_mention(line)


@pytest.mark.parametrize(
    "line",
    [
        "RuntimeError: HIP error: invalid device function",
        "Unable to open /dev/kfd read-write: Permission denied",
        "docker: Error response from daemon: unknown or invalid runtime name: amd",
        "- **Exception Message:** HIP error: invalid device function",
        "[ 5.61] amdgpu 0000:03:00.0: amdgpu: Fatal error during GPU init",
        "If reserved memory is large try setting PYTORCH_HIP_ALLOC_CONF; HIP out of memory",
    ],
)
def test_errors_are_no_mentions(line: str) -> None:
    assert not is_mention(line)


def test_a_quoted_line_with_columns_is_output() -> None:
    event = "the pod is pending, ` Warning  FailedScheduling  7s  volcano  0/1 nodes: no enough gpu cards on node`"
    assert not in_code_span(event, event.index("no enough"), event.index("no enough") + 9)
    told = event.replace("  ", " ")
    assert in_code_span(told, told.index("no enough"), told.index("no enough") + 9)


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


def test_comments_are_not_joined() -> None:
    assert not continues("# the runtime would fail with the following", '"amd-container-runtime: not found"')
    assert not continues("a line that is long enough to be broken", "# and a comment")
    assert continues("a line that is long enough to be broken", "at the edge of the screen")
