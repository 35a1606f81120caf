"""The tickets in what was named on the command line, in order."""

from __future__ import annotations

import glob
import io
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from doctor.bundles import json_lines, mail
from doctor.bundles.archives import Budget, first_names, is_archive, is_tar, leaves, printable
from doctor.bundles.compressed import is_compressed, unpacked
from doctor.bundles.json_lines import Fields
from doctor.bundles.support import is_support_bundle
from doctor.bundles.ticket import Leaf, Ticket
from doctor.input import said
from doctor.text import one_line

DEEPEST = 32
"""Folders within folders that are walked into."""
HEAD = 4096
STATES_FILE = "triage.toml"
"""How far the answers of a folder are, as the app notes it there: no ticket."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How what was named becomes tickets."""

    fields: Fields = field(default_factory=Fields)
    ticket: Literal["file", "folder"] = "file"
    """Whether a folder inside a folder is many tickets or one."""
    spooled: Mapping[str, str] = field(default_factory=dict)
    """Names of what can be read but once, such as standard input, and the file that each was copied to."""


def tickets(paths: Iterable[str], how: Reading | None = None) -> Iterator[Ticket]:
    """Every ticket: files as given, the files of folders by name. Nothing raises: what cannot be read says why."""
    how = how or Reading()
    for path in paths:
        if copy := how.spooled.get(path):
            yield from _of_file(copy, printable(said(path)), os.path.getsize(copy), how)
            continue
        for one in named(path) or [path]:
            yield from _of_path(one, DEEPEST, how, is_named=True)


def named(path: str) -> list[str]:
    """The files and folders that a path or a pattern names; none where there is no such thing."""
    if os.path.lexists(path):
        return [path]
    return sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) else []


def _of_path(path: str, deeper: int, how: Reading, is_named: bool = False) -> Iterator[Ticket]:
    name = printable(path)
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            yield from _of_folder(path, name, deeper, how, is_named)
        elif stat.S_ISREG(status.st_mode):
            yield from _of_file(path, name, status.st_size, how)
        else:
            yield unreadable(name, "not a file or folder")
    except (OSError, ValueError) as error:
        yield unreadable(name, _why(error))


def _of_folder(path: str, name: str, deeper: int, how: Reading, is_named: bool) -> Iterator[Ticket]:
    if not deeper:
        yield unreadable(name, f"folders are nested more than {DEEPEST} deep")
        return
    names = sorted(os.listdir(path))
    own = os.path.basename(os.path.abspath(path))
    if (how.ticket == "folder" and not is_named) or is_support_bundle([*names, *(f"{own}/{one}" for one in names)]):
        yield Ticket(name, path, is_bundle=True)
        return
    for inner in names:
        whole = os.path.join(path, inner)
        # A link to a folder may lead back here.
        if not inner.startswith(".") and inner != STATES_FILE and not (os.path.islink(whole) and os.path.isdir(whole)):
            yield from _of_path(whole, deeper - 1, how)


def _of_file(path: str, name: str, size: int, how: Reading) -> Iterator[Ticket]:
    with open(path, "rb") as stream:
        head = stream.read(HEAD)
        stream.seek(0)
        if not (is_compressed(head) or is_archive(head)):
            yield from _of_text(Ticket(name, path, size=size), head, stream, how)
            return
        if is_compressed(head):
            inner = unpacked(stream, head).read(512)
            stream.seek(0)
            if not is_tar(inner):
                yield Ticket(name, path, size=size)
                return
        if is_support_bundle(first_names(head, stream)):
            yield Ticket(name, path, is_bundle=True, size=size)
            return
        stream.seek(0)
        for leaf in leaves(name, head, stream, Budget(size)):
            yield from _of_leaf(leaf, how)


def _of_text(itself: Ticket, head: bytes, stream: BinaryIO, how: Reading) -> Iterator[Ticket]:
    many = _many(itself.name, head, stream, how)
    yield from many if many is not None else [itself]


def _of_leaf(leaf: Leaf, how: Reading) -> Iterator[Ticket]:
    """A ticket of what an archive holds, or several: there may be mailboxes and exports in it."""
    many = None
    if not (leaf.problem or leaf.is_bundle):
        many = _many(leaf.name, leaf.data[:HEAD], io.BytesIO(leaf.data), how)
    yield from many if many is not None else [_ticket(leaf)]


def _many(name: str, head: bytes, stream: BinaryIO, how: Reading) -> Iterator[Ticket] | None:
    """The tickets of a mailbox or an export; None where it is neither."""
    if mail.is_mailbox(head):
        found = (Leaf(f"{name}:{n}", data, cut) for n, (data, cut) in enumerate(mail.messages(stream), 1))
    elif json_lines.is_export(name, head, how.fields):
        found = (leaf for leaf in json_lines.texts(name, stream, how.fields))
    else:
        return None
    return map(_ticket, found)


def _ticket(leaf: Leaf) -> Ticket:
    return Ticket(leaf.name, leaf=leaf, is_bundle=leaf.is_bundle, size=len(leaf.data))


def unreadable(name: str, reason: str) -> Ticket:
    return Ticket(name, leaf=Leaf(name, b"", problem=one_line(reason, 200)))


def _why(error: Exception) -> str:
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else "the name cannot be a path"
