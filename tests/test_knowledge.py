"""Entries are read strictly: each mistake is told with file and line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from doctor.knowledge import EntryError, fill, load, parse_entry, shared_parts, shipped
from doctor.logs import explain_text, run_examples
from doctor.match import patterns_of

GOOD = """\
+++
title = "The thing {name|of ours} is broken"
area = "container"
severity = "blocking"

[[match]]
line = '''the thing (?P<name>\\w+) broke'''
sure = "certain"
+++

The thing broke. Write `<thing>` to name it.

## Cause: wear
It is old.

```sh
thing --age
```

## Fix: mend {name|it}
where: host · risk: restart · distro: debian,ubuntu

First stop it.

```sh
mend <thing>
```

Verify:

```sh
thing --check
```

Undo:

```sh
unmend
```

## Ask

```sh
thing --status
```

## Sources
- https://example.org/thing : things break

## Examples

```log match name=one
the thing one broke
```

```log near-miss none
the thing is whole
```
"""


def test_a_whole_entry() -> None:
    entry = parse_entry(GOOD, "our-thing.md")
    fix = entry.fixes[0]
    assert (entry.id, entry.severity, entry.matchers[0].at) == ("our-thing", "error", 6)
    assert (fix.where, fix.risk, fix.when) == ("host", "restart", {"distro": ("debian", "ubuntu")})
    assert (fix.commands, fix.verify, fix.undo, fix.text) == (
        ("mend <thing>",),
        ("thing --check",),
        ("unmend",),
        "First stop it.",
    )
    assert (entry.causes[0].title, entry.causes[0].commands, entry.ask) == (
        "wear",
        ("thing --age",),
        ("thing --status",),
    )
    assert [(one.fault, one.near_miss, one.values) for one in entry.examples] == [
        ("our-thing", False, {"name": "one"}), ("none", True, {}),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("+++\ntitle", "title", 1, "expected +++"),
        ('sure = "certain"\n+++', 'sure = "certain"', 1, "no closing"),
        ('title = "The', "title = The", 2, "not TOML"),
        ('area = "container"', 'aera = "container"', 3, "unknown key 'aera'"),
        ('severity = "blocking"', 'severity = "bad"', 4, "severity is one of"),
        ('sure = "certain"', 'sure = "quite"', 6, "sure ="),
        ("line = '''the", "line = '''.*the", 6, "must not start"),
        ("line = ", "lime = ", 6, "unknown key 'lime'"),
        ("The thing broke. Write `<thing>`", "The thing broke. Write <thing>", 11, "may stand only in `code`"),
        ("line = '''the", "not = 5\nline = '''the", 6, "not is a pattern"),
        ("line = '''the", "unless = '''(?&hop)'''\nline = '''the", 6, "unknown part (?&hop)"),
        ("## Ask", "## Aks", 41, "unknown section 'Aks'"),
        ("where: host", "were: host", 21, "expected labels"),
        ("risk: restart", "risk: some", 21, "expected `where"),
        ("- https://example.org/thing : things break", "- things break", 48, "what it supports"),
        ("```log match name=one", "```log natch name=one", 52, "expected ```log"),
    ],
)
def test_mistakes_are_told_with_their_line(old: str, new: str, line: int, words: str) -> None:
    assert old in GOOD
    with pytest.raises(EntryError) as told:
        parse_entry(GOOD.replace(old, new, 1), "our-thing.md")
    assert str(told.value).startswith(f"our-thing.md:{line}: ")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


def test_parts_that_entries_share_are_called_by_name() -> None:
    called = parse_entry(GOOD.replace("line = ", "unless = '''one|(?&hip)'''\nline = "), "our-thing.md")
    assert called.matchers[0].unless == f"one|(?:{shared_parts()['hip']})"
    for text in ("RuntimeError: HIP error: out of memory", "/opt/rocm/lib/librccl.so.1"):
        assert re.search(shared_parts()["hip"], text)


def test_a_file_name_that_is_no_id() -> None:
    with pytest.raises(EntryError, match="file name"):
        parse_entry(GOOD, "Thing.md")


def test_fill() -> None:
    assert fill("a {x|b} {y} <z>", {}) == "a b <y> <z>"
    assert fill("a {x|b} {y}", {"x": "1", "y": "2"}) == "a 1 2"
    assert fill("{x|}", {}) == ""


def test_own_entries(tmp_path: Path) -> None:
    (tmp_path / "our-thing.md").write_text(GOOD)
    base = load([tmp_path])
    patterns = patterns_of(base)
    assert base.errors == ()
    assert run_examples(base, patterns, ["our-thing"]) == []
    report = explain_text("the thing two broke", "paste", base, patterns)
    assert report.diagnoses[0].title == "The thing two is broken"


def test_a_broken_own_entry_breaks_nothing(tmp_path: Path) -> None:
    (tmp_path / "our-thing.md").write_text(GOOD)
    (tmp_path / "our-other.md").write_text(GOOD.replace("the thing (?P<name>\\w+) broke", "(unclosed"))
    (tmp_path / "our-third.md").write_bytes(b"\xff\xfe\x00")
    base = load([tmp_path])
    assert "our-thing" in base.entries
    assert "our-other" not in base.entries
    assert [error.split(": ")[0] for error in base.errors] == [
        f"{tmp_path / 'our-other.md'}:6", f"{tmp_path / 'our-third.md'}:1",
    ]  # fmt: skip


def test_an_own_entry_replaces_or_extends(tmp_path: Path) -> None:
    ours = shipped().entries["cuda-no-kernel-image"]
    (tmp_path / "cuda-no-kernel-image.md").write_text(
        "+++\nextends = true\n\n[[match]]\nline = '''our launcher found no kernel'''\nsure = \"certain\"\n+++\n\n"
        "## Fix: our base image\nwhere: dockerfile · risk: safe\n\n```sh\nuse our-base\n```\n"
    )
    extended = load([tmp_path]).entries["cuda-no-kernel-image"]
    assert extended.title == ours.title
    assert extended.fixes[0].title == "our base image"
    assert extended.fixes[1:] == ours.fixes
    assert len(extended.matchers) == len(ours.matchers) + 1
    (tmp_path / "cuda-no-kernel-image.md").write_text(GOOD)
    assert load([tmp_path]).entries["cuda-no-kernel-image"].title.startswith("The thing")
