"""What a log calls an error and no entry knows: shown where there is no diagnosis, and never a finding."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest

from doctor import match
from doctor.knowledge import Base
from doctor.logs import explain_text
from doctor.match import Patterns, whole_lines
from doctor.render.appearance import Appearance
from doctor.render.html import body
from doctor.render.text import report_text
from doctor.reply import draft
from doctor.report import Report, exit_code
from doctor.triage.answer import answer
from doctor.tui.blocks import unexplained
from doctor.unexplained import FAILURES, SHOWN

Told = Callable[[str], Report]


@pytest.fixture
def told(base: Base, patterns: Patterns) -> Told:
    return lambda text: explain_text(text, "a.log", base, patterns)


@pytest.mark.parametrize(
    "line",
    [
        "RuntimeError: plan creation failed: HIPFOO_WEIRD on gfx1100 device",
        "ERROR 09-06 23:28:45 [core.py:714] app.errors.SolverError: diverged",
        "  what(): invalid device pointer: 0x5400000",
        "Fatal Python error: Aborted",
        "Caught signal 11 (Segmentation fault: address not mapped to object at address 0x18)",
        "Error: unable to start container: looking up supplemental groups",
        "solver.cpp:79:16: error: 'decode' was not declared in this scope",
        'time="2020-12-15T11:28:40Z" level=fatal msg="Error watching fields: the module is not loaded"',
        '{"level": "error", "msg": "no route"}',
        "F0301 18:29:35.160429 14841 Context.cpp:117] Check failed: isReadable(id)",
        "FFmpeg exited with code 218",
        "llama_init: failed to load model",
        "[rserver] ERROR Attempt to run server as another user",
    ],
)
def test_an_error_that_no_entry_knows_is_shown_and_is_no_finding(line: str, told: Told) -> None:
    report = told(f"INFO starting on cuda:0\n{line}\n")
    assert [(one.line, one.text.strip()) for one in report.unexplained] == [(2, line.strip())]
    assert report.diagnoses == ()
    assert report.verdict == "none"
    assert exit_code(report, "warning") == 0


@pytest.mark.parametrize(
    "text",
    [
        "INFO 0 errors, 0 warnings\nINFO finished, exit code 0\n",
        "UserWarning: Failed to initialize NumPy: No module named 'numpy'\n",
        "GPU models and configuration: Could not collect\n",
        "NCCL INFO NET/Plugin: Could not find: libnccl-net.so. Using internal network plugin.\n",
        'raise RuntimeError("plan creation failed")\n',
        "def plan(x):\n    if x < 0:\n        raise ValueError('x')\n    return x\n# Error: what may come\n",
    ],
)
def test_what_is_no_error_is_not_shown(text: str, told: Told) -> None:
    assert told(text).unexplained == ()


def test_where_a_fault_is_known_the_rest_is_its_noise(told: Told) -> None:
    report = told("RuntimeError: something odd\nImportError: libcudart.so.12: cannot open shared object file\n")
    assert report.first is not None
    assert report.failures
    assert report.unexplained == ()


def test_what_stands_around_an_error_is_not_shown_for_it(told: Told) -> None:
    log = (
        'ERROR 09-06 [core.py:714]   File "worker.py", line 366, in execute\n'
        "ERROR 09-06 [core.py:714]     output = self.run()\n"
        "ERROR 09-06 [core.py:714]              ^^^^^^^^^^\n"
        "ERROR 09-06 [core.py:714] During handling of the above exception, another exception occurred:\n"
        "ERROR 09-06 [core.py:714] SolverError: diverged\n"
    )
    assert [one.line for one in told(log).unexplained] == [5]


def test_few_lines_are_shown_each_once_and_tracebacks_before_loggers(told: Told) -> None:
    lines = [f"ERROR request {n} was refused after {n * 3} ms" for n in range(40)]
    lines += ["ERROR queue is full", "ERROR worker has gone", "SolverError: diverged at step 17"]
    shown = told("\n".join(lines)).unexplained
    assert len(shown) <= SHOWN
    assert shown[0].line == 1
    assert shown[-1].text == "SolverError: diverged at step 17"


def test_the_desk_sees_the_error_and_the_reply_quotes_it(told: Told) -> None:
    report = told("INFO start\nSolverError: diverged at step 17\n")
    ticket = answer(report, "error")
    assert (ticket.state, ticket.line) == ("nothing", 2)
    assert ticket.title == "an error that no entry knows: SolverError: diverged at step 17"
    assert "    SolverError: diverged at step 17   (line 2)\n" in draft(report)


def test_marks_in_the_line_are_text(told: Told) -> None:
    report = told("SolverError: [bold]\x1b[31mdiverged\x1b[0m <b>&amp;</b>\n")
    assert [one.text for one in report.unexplained] == ["SolverError: [bold]diverged <b>&</b>"]


def test_an_error_code_is_told_by_the_vendor_s_own_table(told: Told) -> None:
    report = told("RuntimeError: HIP error: hipErrorInvalidValue in launch\nRuntimeError: odd\n")
    assert [one.says for one in report.unexplained] == ["hipErrorInvalidValue is HIP error 1: invalid argument", ""]


def test_a_log_full_of_harmless_failure_words_is_not_searched_for_long(
    patterns: Patterns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(match, "FLOOD", 500)
    lines = 40_000
    log = b"INFO my Error: nothing happened, exit code 0, and it failed to foo\n" * lines
    scan = patterns.scan(whole_lines(io.BytesIO(log)))
    tried = {pattern: scan.tried[pattern] for pattern in FAILURES if scan.tried[pattern]}
    assert tried
    assert max(tried.values()) < lines / 2


@pytest.mark.parametrize(("kind", "steps"), [("log", True), ("container", False)])
def test_what_to_look_at_next_is_told_where_it_was_not_looked_at(kind: str, steps: bool, told: Told) -> None:
    report = replace(told("SolverError: diverged\n"), kind=kind)
    text = report_text(report, Appearance(color=False, unicode=True, width=100, verbose=False))
    assert text.startswith("? open  Nothing known is wrong, but something failed\n")
    assert ("gpu-doctor check --container <container>" in text) == steps
    assert text.endswith("No known fault was found; what failed is not known here.\n")


def test_where_too_little_was_seen_the_conclusion_says_so(told: Told) -> None:
    report = replace(told("SolverError: diverged\n"), kind="container", examined=False)
    text = report_text(report, Appearance(color=False, unicode=True, width=100, verbose=False))
    assert text.startswith("! WARN  Too little could be examined to tell\n")
    assert "SolverError: diverged" in text
    assert text.endswith("Nothing was found, but too little could be examined.\n")


def test_a_mere_note_is_no_headline(told: Told) -> None:
    report = told("RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB\nSolverError: diverged\n")
    (item,) = report.diagnoses
    page = body(replace(report, diagnoses=(replace(item, severity="note"),)))
    assert '<h1><span class="sign warning">? nothing known is wrong, but something failed</span></h1>' in page
    assert f'<h2><span class="note">{item.title}</span></h2>' in page


def test_the_app_tells_the_meaning_of_a_code_too(told: Told) -> None:
    report = told("RuntimeError: HIP error: hipErrorInvalidValue in launch\n")
    rows = [row for block in unexplained(report) for row in block.rows(90)]
    assert " a.log, line 1: hipErrorInvalidValue is HIP error 1: invalid argument" in [
        "".join(piece for piece, _ in row) for row in rows
    ]
