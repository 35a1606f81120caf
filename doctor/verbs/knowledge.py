"""The knowledge base: what is known of each fault, and the tests of that.

examples:
  gpu-doctor knowledge list
  gpu-doctor knowledge show cuda-no-kernel-image
  gpu-doctor knowledge search "error 803"
  gpu-doctor knowledge test my-entries/
  gpu-doctor knowledge new our-proxy-blocks-registry
"""

from __future__ import annotations

import argparse
import difflib
import errno
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from doctor.codes import meaning
from doctor.errors import UsageError
from doctor.knowledge import ID, Base, Entry, EntryError, fill, lacking, load
from doctor.logs import run_examples
from doctor.match import check_patterns, patterns_of
from doctor.output import writing
from doctor.search import codes, search
from doctor.verbs import options as shared

SCAFFOLD = """\
+++
title     = "What is wrong, as a sentence"
area      = "container"
severity  = "blocking"
reviewed  = {today}

[[match]]
line = \'\'\'the words that the program prints\'\'\'
sure = "certain"
+++

What is wrong and why we think so, in a paragraph that stands alone.

## Fix: what to do
where: host · risk: safe

```sh
command to copy
```

Verify:

```sh
command that shows it worked
```

## Sources
- https://example.org/where-this-is-told : what it supports

## Examples

```log match
error: the words that the program prints
```

```log near-miss none
a line that looks like it and is harmless
```
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("list", "show", "search", "test", "new"))
    parser.add_argument("words", metavar="ID, TEXT or DIR", nargs="*", default=[])
    shared.knowledge(parser)
    shared.output(parser, ("text", "json"))


def run(options: argparse.Namespace) -> int:
    actions = {"list": _list, "show": _show, "search": _search, "test": _test, "new": _new}
    return actions[options.action](options)


def _list(options: argparse.Namespace) -> int:
    if options.words:
        raise UsageError(
            f"knowledge list takes no words; `gpu-doctor knowledge search {shlex.join(options.words)}` looks for some"
        )
    base, _ = shared.base(options)
    return _entries(list(base.entries.values()), options)


def _entries(entries: Sequence[Entry], options: argparse.Namespace, meanings: Sequence[str] = ()) -> int:
    if options.format == "json":
        content = [
            {
                "id": one.id,
                "area": one.area,
                "severity": one.severity,
                "title": fill(one.title, {}),
                "summary": fill(one.summary, {}),
            }
            for one in entries
        ]
        shared.write(json.dumps(content, indent=2, ensure_ascii=False) + "\n", options)
    else:
        rows = [f"{row}; no entry is about it" for row in meanings]
        rows += [f"{one.id:<38} {fill(one.title, {})}" for one in entries]
        shared.write("".join(f"{row}\n" for row in rows), options)
    return 0


def _show(options: argparse.Namespace) -> int:
    base, _ = shared.base(options)
    if len(options.words) != 1:
        raise UsageError("knowledge show takes one fault id; `gpu-doctor knowledge list` names them")
    entry = base.entries.get(options.words[0])
    if entry is None:
        near = difflib.get_close_matches(options.words[0], base.entries, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; `gpu-doctor knowledge list` names them"
        raise UsageError(f"there is no entry {options.words[0]!r}{hint}")
    if options.format == "json":
        from doctor.render.entry import entry_json

        shared.write(json.dumps(entry_json(entry), indent=2, ensure_ascii=False) + "\n", options)
    else:
        from doctor.render.entry import entry_text

        shared.write(entry_text(entry, shared.look(options).width), options)
    return 0


def _search(options: argparse.Namespace) -> int:
    base, patterns = shared.base(options)
    if not options.words:
        raise UsageError("knowledge search takes words, an error code or a pasted line")
    text = " ".join(options.words)
    found, meanings = search(text, base, patterns), [meaning(row) for row in codes(text, base)]
    if not found and not meanings:
        shared.write("", options)
        raise UsageError(f"nothing known matches {text!r}")
    return _entries(found, options, meanings)


def _test(options: argparse.Namespace) -> int:
    from doctor.check import unknown_checks

    folders = [Path(word) for word in options.words]
    for folder in folders:
        if not folder.is_dir():
            told = f"is a file; test its folder: {folder.parent}" if folder.exists() else "no such folder"
            raise UsageError(f"knowledge test {folder}: {told}")
        if not os.access(folder, os.R_OK | os.X_OK):
            raise UsageError(f"knowledge test {folder}: {os.strerror(errno.EACCES)}")
    base = load([*options.knowledge, *folders])
    tested = _identities(base, folders)
    if not tested and not base.errors:
        raise UsageError(f"knowledge test {folders[0]}: there is no entry in it (a file ID.md)")
    if unusable := [row for one in tested for row in _unusable(base.entries[one])]:
        shared.write("\n".join([*base.errors, *unusable]) + "\n", options)
        return 1
    failures = [
        *base.errors,
        *(f"{base.entries[one].file}: {lack}" for one in tested for lack in lacking(base.entries[one], base)),
        *(row for one in tested for row in unknown_checks(base.entries[one])),
        *run_examples(base, patterns_of(base), tested),
    ]
    count = sum(len(base.entries[one].examples) for one in tested)
    rows = [*failures, f"{count} examples, {len(failures)} failed"]
    shared.write("\n".join(rows) + "\n", options)
    return 1 if failures else 0


def _unusable(entry: Entry) -> list[str]:
    """Why the patterns of an entry of ours cannot be used; those of other folders were tried when they were read."""
    try:
        check_patterns(entry)
    except EntryError as error:
        return [str(error)]
    return []


def _identities(base: Base, folders: Sequence[Path]) -> list[str]:
    """The entries of the given folders, or all."""
    if not folders:
        return list(base.entries)
    return [one for one, entry in base.entries.items() if any(Path(entry.file).parent == folder for folder in folders)]


def _new(options: argparse.Namespace) -> int:
    from datetime import date

    if len(options.words) != 1 or not ID.fullmatch(options.words[0]):
        raise UsageError("knowledge new takes one id such as area-what-is-wrong, in lower case with dashes")
    folder = options.knowledge[0] if options.knowledge else shared.config_folder() / "knowledge"
    path = folder / f"{options.words[0]}.md"
    if os.path.lexists(path):
        raise UsageError(f"{path} exists")
    with writing(path):
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(SCAFFOLD.replace("{today}", date.today().isoformat()))
    print(f"{path}: edit it, then `gpu-doctor knowledge test {folder}`")
    return 0
