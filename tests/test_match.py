"""Logs as people paste them: coloured, quoted, wrapped, huge, hostile."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctor.knowledge import Base, parse_entry, shipped
from doctor.literals import required
from doctor.match import (
    FLOOD,
    HITS,
    Patterns,
    _in_a_line,
    _re2,
    findings,
    patterns_of,
    whole_lines,
    without_prefix,
)

ENTRY = """\
+++
title = "t"
area = "lib"
severity = "blocking"

[[match]]
line = '''(?P<library>lib\\w+\\.so\\.\\d+): cannot open shared object file'''
not = '''libignored'''
sure = "certain"
+++

Words.

## Fix: it
where: host · risk: safe

```sh
true
```

## Sources
- https://example.org/x : says so
"""
NEAR = ENTRY.replace("not = '''libignored'''", "near = '''flash_attn'''\nwithin = 2\nunless = '''out of memory'''")
MESSAGE = "libcudart.so.12: cannot open shared object file"


@pytest.fixture(scope="module")
def small() -> Base:
    return Base({"lib-cudart-missing": parse_entry(ENTRY, "lib-cudart-missing.md")})


def found(text: str | bytes, small: Base) -> list[tuple[int | None, dict[str, str]]]:
    data = text if isinstance(text, bytes) else text.encode()
    scan = patterns_of(small).scan(whole_lines(io.BytesIO(data)), "log")
    return [(item.evidence[0].line, item.values) for item in findings(scan, small)]


LIBRARY = {"library": "libcudart.so.12"}


@pytest.mark.parametrize(
    "text",
    [
        MESSAGE,
        f"ImportError: {MESSAGE}: No such file or directory",
        f"trainer-1  | 2026-11-24T10:00:00.123Z {MESSAGE}",
        f"\x1b[31m{MESSAGE}\x1b[0m",
        "lib\x1b[1mcudart.so.12: cannot open\x1b[0m shared object file",
        f"> {MESSAGE}",
        f"{MESSAGE}\r",
        f"  0%|   | 0/10\r 10%|#  | 1/10\rImportError: {MESSAGE}",
        "libcudart.so.12: cannot open shared object\nfile: No such file or directory",
        "ImportError: libcudart.so.12: cannot open sha\nred object file: No such file or directory",
        f"[rank0]: {MESSAGE}",
        f"日本語のログ {MESSAGE} エラー",
        f"`{MESSAGE}`",
        MESSAGE.replace("libcudart.so.12", "[libcudart.so.12](http://libcudart.so.12)"),
        f"I start the container as told and get `{MESSAGE}`",
        f"i get this error after the update: `{MESSAGE}`",
        f"\ufeff{MESSAGE}",
        f'time="2026-11-24T10:00:00Z" level=error msg="{MESSAGE}"',
        json.dumps({"log": f"ImportError: {MESSAGE}\n", "stream": "stderr"}),
        json.dumps({"message": f'raise ImportError("{MESSAGE}")\n  File "a.py"\nImportError:\t{MESSAGE}'}),
        json.dumps({"msg": f"\x1b[31mlib\x1b[1mcudart.so.12: cannot open\x1b[0m{MESSAGE[28:]}"}),
        f"2026-11-24T10:00:00.123456789Z stderr F {MESSAGE}",
        f"time=2026-11-24T10:00:00Z level=ERROR source=server.go:1 msg={MESSAGE}\n"
        + "time=2026-11-24T10:00:00Z level=INFO x=1;\n" * 20,
    ],
)
def test_however_it_is_pasted(text: str, small: Base) -> None:
    assert found(text, small) == [(1, LIBRARY)]


def test_quotes_and_entities() -> None:
    entry = ENTRY.replace(
        "(?P<library>lib\\w+\\.so\\.\\d+): cannot open shared object file",
        'select device driver "(?P<driver>\\w*)" with',
    )
    base = Base({"lib-cudart-missing": parse_entry(entry, "lib-cudart-missing.md")})
    for text in (
        'select device driver \\"cdi\\" with',
        "select device driver &quot;cdi&quot; with",
        "select device driver “cdi” with",
    ):
        assert found(text, base) == [(1, {"driver": "cdi"})]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_wide_encodings(encoding: str, small: Base) -> None:
    assert found(f"one\ntwo {MESSAGE}\n".encode(encoding), small) == [(2, LIBRARY)]


@pytest.mark.parametrize(
    "text",
    [
        f'    raise ImportError("{MESSAGE}")',
        f"# see {MESSAGE}",
        f'if "{MESSAGE}" in str(error):',
        f'logger.error("{MESSAGE}")',
        f"If you see {MESSAGE}, install the runtime",
        MESSAGE.replace("libcudart", "libignored"),
        "libcudart.so.12: can open shared object file",
        "#include <a.h>\nint f() {\n  g();\n  if (x) {\n" + MESSAGE + "\n    return 1;\n  }\n  return 0;\n}\n",
        "import os\n\n\ndef f():\n    x = 1\n" + f"    message = {MESSAGE}\n" + "    return x\n" * 12,
        "a\nlibcudart.so.12: cannot open\nERROR: something else\nshared object file",
        f"If you have the following error:\n> {MESSAGE}",
        f"The usual reason for `{MESSAGE}` is an image without the runtime",
        f"| `{MESSAGE}` | install the runtime |",
        f"### Docker reports '{MESSAGE}'",
        f"#   $ python a.py\n#   ImportError: {MESSAGE}\n",
        f"Nếu bạn gặp lỗi `{MESSAGE}`, hãy làm theo các bước sau:",
        f"Fixed a container that failed with {MESSAGE}",
        f'const missing = "{MESSAGE}"',
        f'if dmesg | grep -q "{MESSAGE}"; then',
        f'        "echo {MESSAGE} >&2\\n"',
        "",
    ],
)
def test_what_is_not_the_fault(text: str, small: Base) -> None:
    assert found(text, small) == []


def test_line_numbers_across_chunks(small: Base) -> None:
    data = b"x\n" * 5000 + MESSAGE.encode() + b"\n" + b"y\n" * 5000
    scan = patterns_of(small).scan(whole_lines(io.BytesIO(data), chunk=1000), "log")
    assert findings(scan, small)[0].evidence[0].line == 5001
    assert scan.lines == 10001


def test_a_line_longer_than_a_chunk(small: Base) -> None:
    data = b"x" * 50_000 + MESSAGE.encode() + b"y" * 50_000
    scan = patterns_of(small).scan(whole_lines(io.BytesIO(data), chunk=4096), "log")
    assert [item.values for item in findings(scan, small)] == [LIBRARY]


def test_one_huge_line(small: Base) -> None:
    data = b"x " * (25 << 20) + MESSAGE.encode()
    assert found(data, small)[0][1] == LIBRARY


def test_a_flood_keeps_few_and_hides_nothing(small: Base) -> None:
    flood = (MESSAGE.replace("12", "11") + "\n") * 200_000
    scan = patterns_of(small).scan(whole_lines(io.BytesIO(flood.encode()), chunk=1 << 20), "log")
    assert all(len(hits) <= HITS for hits in scan.hits.values())
    assert findings(scan, small)[0].values == {"library": "libcudart.so.11"}


def test_a_log_that_repeats_itself_is_searched_for_the_rest(small: Base) -> None:
    """A pattern tried in vain on every line is looked for otherwise, and found all the same, anchors and prefix too."""
    entry = ENTRY.replace("(?P<library>lib", "^(?:Import|OS)Error: (?P<library>lib").replace(
        "object file'", "object file$'"
    )
    base = Base({"lib-cudart-missing": parse_entry(entry, "lib-cudart-missing.md")})
    flood = "opened: cannot open shared object file\n" * (FLOOD + 1000)
    scan = patterns_of(base).scan(
        whole_lines(io.BytesIO(f"{flood}2026-11-24T10:00:00Z OSError: {MESSAGE}\r\n{flood}".encode()), chunk=1 << 16),
        "log",
    )
    assert [(item.evidence[0].line, item.values) for item in findings(scan, base)] == [(FLOOD + 1001, LIBRARY)]
    assert FLOOD < scan.tried.total() < FLOOD + 4000


def test_near_and_unless() -> None:
    base = Base({"lib-cudart-missing": parse_entry(NEAR, "lib-cudart-missing.md")})
    assert found(f"flash_attn\n\n{MESSAGE}", base)
    assert not found(f"flash_attn\n\n\n{MESSAGE}", base)
    assert not found(f"flash_attn\n{MESSAGE}\n\n\nout of memory", base)


def test_what_the_message_says_counts_unless_messages_contradict() -> None:
    one = "[[match]]\nline = '''refused to open'''\nsure = \"certain\"\nvalues = { said = \"no permission\" }\n+++\n\nWords"
    two = one.replace("refused to open", "nobody listens").replace("no permission", "nothing answers")
    entry = ENTRY.replace("+++\n\nWords", one).replace("+++\n\nWords", two)
    base = Base({"lib-cudart-missing": parse_entry(entry, "lib-cudart-missing.md")})
    assert found("it refused to open", base) == [(1, {"said": "no permission"})]
    assert found("it refused to open\nnobody listens", base) == [(1, {"said_apart": "no permission, nothing answers"})]


def test_what_a_thread_is_called_is_no_comment(small: Base) -> None:
    title = f'# error loading "torch": {MESSAGE}'
    assert found(f"{title}\n\nIt worked yesterday.\n", small)
    assert found(f"{title}\nIt worked yesterday.\n", small)
    assert not found(f"{title}\n# sudo ldconfig\n", small)
    assert not found(f"{title}\nRUN ldconfig\n", small)
    assert not found(f"\n{title}\n\n", small)
    assert found(f"#{title}\nThe image is the newest one.\n", small)
    assert not found(f"{title}\nimport torch\n", small)


def test_the_statement_that_a_traceback_ends_with_is_an_error(small: Base) -> None:
    """The message below it is cut off; the statement is what raised it."""
    statement = f'    raise ImportError("{MESSAGE}")'
    assert found(f'  File "/app/load.py", line 7, in load\n{statement}', small)
    assert not found(f"def load():\n{statement}", small)


def test_a_break_of_html_parts_lines(small: Base) -> None:
    assert found(f"from a import b<br />ImportError: {MESSAGE}</details>", small)


@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    small = Base({"lib-cudart-missing": parse_entry(ENTRY, "lib-cudart-missing.md")})
    scan = PATTERNS.scan(whole_lines(io.BytesIO(data)), "log")
    assert scan.size >= 0
    assert len(findings(scan, small)) <= 1


PATTERNS = Patterns([parse_entry(ENTRY, "lib-cudart-missing.md")])


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        ("no kernel image", {"no kernel image"}),
        (r"GLIBC_2\.\d+' not found", {"' not found"}),
        (r"(?:libcublas|libcufft)\.so", {"libcublas.so", "libcufft.so"}),
        (r"(?i)Out Of Memory", {"out of memory"}),
        (r"(?P<name>abcdef)?ghijkl", {"ghijkl"}),
        (r"x+(?:abcd)+", {"abcd"}),
    ],
)
def test_required_literals(pattern: str, literals: set[str]) -> None:
    assert required(pattern)[0] == literals


@pytest.mark.parametrize("pattern", [r"\d+", "abc", r"(?:abcdef|\d+)", r"(?:abcdef)?", "(unclosed"])
def test_patterns_without_a_literal_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"literal|malformed"):
        required(pattern)


@pytest.mark.parametrize(
    "wrapped",
    [
        "May  1 10:00:00 host dockerd[1234]: {}",
        "<pre><code>{}",
        "`{}`",
        "> > {}",
        "2024-05-01T10:00:00.123456789Z stderr F {}",
        "app-1  | {}",
    ],
)
def test_what_is_put_around_a_message(wrapped: str) -> None:
    message = "nvidia-smi: command not found"
    assert without_prefix(wrapped.format(message)).strip() == message


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ("docker: Error response from daemon: failed\n", {"seems_engine": "docker"}),
        ("Linux 5.14.0-427.el9.x86_64\n", {"seems_distro": "rhel"}),
        ("*** [/nix/store/0abc-linux-6.6.68-dev/lib/modules/x.o] Error 1\n", {"seems_distro": "nixos"}),
        ("/opt/dorado-0.2.1-linux-x64/bin/dorado basecaller\n", {"seems_framework": "another"}),
        ("Linux 6.8.0-45-generic\nLinux 5.14.0-427.el9.x86_64\n", {}),
        ("NVRM: loading\nHIP error: none\n", {}),
        ("#12 [stage-1 5/9] RUN pip install x\n", {"seems_stage": "build"}),
        ("#12 [ 8/10] RUN pip install x\n", {"seems_stage": "build"}),
        (
            'ERROR: failed to solve: process "/bin/sh -c x" did not complete successfully: exit code: 1\n',
            {"seems_stage": "build"},
        ),
        ("linux/amd64\n", {}),
        ("C:\\Program Files\\AMD\\ROCm\\6.1\\bin\n", {"seems_system": "windows"}),
        ('  File "E:\\AI\\run.py", line 3, in <module>\n', {"seems_system": "windows"}),
        ("$ kubectl -n ml exec trainer -- nvidia-smi\n", {"seems_cluster": "kubernetes"}),
        ("GPU: GeForce Game Ready Driver v566.36\n", {"seems_system": "windows", "seems_vendor": "nvidia"}),
        ("Jetson Nano, JetPack 4.6\n", {"seems_board": "jetson"}),
        ("C:\\Users\\me\\app\nUnable to open /dev/kfd\n", {}),
        ('File "/usr/lib/python3/dist-packages/paddle/nn/layer.py", line 9\n', {"seems_framework": "paddle"}),
        ("W tensorflow/core/gpu.cc:9] x\nRuntimeError: c10::Error\n", {}),
    ],
)
def test_signs_of_the_place_are_told_unless_they_contradict(signs: str, expected: dict[str, str], small: Base) -> None:
    ((_, values),) = found(signs + MESSAGE, small)
    assert {name: value for name, value in values.items() if name.startswith("seems_")} == expected


def test_the_lines_of_a_healthy_log_are_hardly_ever_candidates() -> None:
    healthy = (
        "INFO trainer step=17 loss=0.4210 lr=1.0e-04 tokens/s=2211",
        "[rank3] NCCL INFO Channel 3/0 : 3[17] -> 1[4] via P2P/CUMEM",
        "DEBUG vllm.engine Avg prompt throughput: 41.2 tokens/s, GPU KV cache usage: 71.3%",
        '10.0.0.7 - - "GET /v1/models/5 HTTP/1.1" 200 8121',
        "WARNING torch.cuda memory allocated 4711 MiB of 81559 MiB on device cuda:0",
    )
    text = "\n".join(healthy).encode()
    assert patterns_of(shipped()).candidates(text) == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (" ", "\N{NO-BREAK SPACE}"), (" ", "&nbsp;"), (" ", "\N{NARROW NO-BREAK SPACE}"), (": ", "\N{FULLWIDTH COLON}"),
        ("/", "/\N{ZERO WIDTH SPACE}"), ("t", "t\N{WORD JOINER}"), ("-", "\N{NON-BREAKING HYPHEN}"),
        ("cannot", "^[[1;31mcannot^[[0m"), ("cannot", "ESC[1mcannotESC[0m"), ("cannot", "#033[31mcannot#033[0m"), ("cannot", "\\033[1mcannot\\033[0m"),
        ("cannot", "[38;5;9mcannot[0m"), ("cannot", "[31mcannot[39m[0m"),
    ],
)  # fmt: skip
def test_what_pages_chats_and_loggers_make_of_a_message(base: Base, written: str, meant: str) -> None:
    text = "/opt/my-app/run: libfoo.so.12: cannot open shared object file"
    assert written in text
    assert first_of(base, text.replace(written, meant)) == ("libfoo.so.12", text)


def first_of(base: Base, text: str) -> tuple[str, str]:
    [finding] = findings(patterns_of(base).scan([text.encode()]), base)
    return finding.values["library"], finding.evidence[0].text


def test_a_message_in_a_frame(base: Base) -> None:
    lines = (
        "╭──── Traceback ────╮",
        "│ ImportError: libfoo.so.12: cannot open  │",
        "│ shared object file                      │",
    )
    assert first_of(base, "\n".join(lines))[0] == "libfoo.so.12"


def test_a_range_is_no_colour(base: Base) -> None:
    text = "rate[5m] [0m: libfoo.so.12: cannot open shared object file"
    assert first_of(base, text)[1] == "rate[5m] : libfoo.so.12: cannot open shared object file"


def test_the_status_of_containerds_reply_is_no_part_of_a_value() -> None:
    entry = ENTRY.replace("cannot open shared object file'''", "(?P<reason>cannot open .*)'''")
    base = Base({"lib-cudart-missing": parse_entry(entry, "lib-cudart-missing.md")})
    assert found(f"{MESSAGE}: unknown.", base) == [(1, {**LIBRARY, "reason": "cannot open shared object file"})]


def test_ctrl_c_is_heard_while_the_automaton_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes seconds in C; only the main thread gets the interrupt. What fails there is told here."""
    import threading

    import hyperscan

    from doctor.automaton import automaton, triggers

    inside: list[threading.Thread] = []

    class Database:
        def compile(self, **_: object) -> None:
            inside.append(threading.current_thread())
            raise hyperscan.error("beyond it")

    monkeypatch.setattr(hyperscan, "Database", Database)
    with pytest.raises(hyperscan.error, match="beyond it"):
        automaton(triggers(["no kernel image"]), [])
    assert inside
    assert inside[0] is not threading.main_thread()


def test_a_pattern_for_many_lines_at_once_matches_where_it_matches_one_of_them() -> None:
    entries = shipped().entries.values()
    texts = ["\n".join(example.text for example in entry.examples) for entry in entries]
    for number, entry in enumerate(entries):
        for near in {matcher.near for matcher in entry.matchers if matcher.near}:
            for text in (texts[number], texts[number - 1], texts[number - 40]):
                alone = any(_re2(near).search(line) for line in text.split("\n"))
                assert bool(_in_a_line(near).search(text)) == alone, near
    for pattern, text in ((r"^b\s*$", "a\nb\nc"), (r"a\sb", "a\nb"), (r"a[^x]b", "a\nb"), (r"(?i)B$|zz", "ab\nc")):
        alone = any(_re2(pattern).search(line) for line in text.split("\n"))
        assert bool(_in_a_line(pattern).search(text)) == alone, pattern
