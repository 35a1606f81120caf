"""The texts of a bundle that is one ticket: a folder, or an archive that a support tool wrote."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator

from doctor.bundles.archives import Budget, leaves, printable
from doctor.bundles.support import is_support_bundle, is_telling
from doctor.bundles.ticket import Leaf, Ticket


def bundle_leaves(ticket: Ticket) -> Iterator[Leaf]:
    """Each text; of a support tool's bundle only those that may say something about a GPU or a container."""
    if ticket.leaf is not None:
        data = ticket.leaf.data
        found = leaves(ticket.name, data[:512], io.BytesIO(data), Budget(len(data)))
    elif os.path.isdir(ticket.path):
        found = _of_folder(ticket.path, ticket.name)
    else:
        found = _of_file(ticket.path, ticket.name)
    is_tool = ticket.leaf is not None or os.path.isfile(ticket.path) or _is_tool_folder(ticket.path)
    return (leaf for leaf in found if not is_tool or leaf.problem or is_telling(leaf.name.removeprefix(ticket.name)))


def _is_tool_folder(path: str) -> bool:
    own = os.path.basename(os.path.abspath(path))
    return is_support_bundle(name for one in os.listdir(path) for name in (one, f"{own}/{one}"))


def _of_folder(path: str, name: str) -> Iterator[Leaf]:
    for folder, folders, files in os.walk(path):
        folders.sort()
        for file in sorted(files):
            whole = os.path.join(folder, file)
            inner = os.path.relpath(whole, path)
            if not file.startswith(".") and not os.path.islink(whole):
                yield from _of_file(whole, f"{name}/{printable(inner)}")


def _of_file(path: str, name: str) -> Iterator[Leaf]:
    try:
        if not os.path.isfile(path):
            return
        with open(path, "rb") as stream:
            head = stream.read(512)
            stream.seek(0)
            yield from leaves(name, head, stream, Budget(os.path.getsize(path)))
    except OSError as error:
        yield Leaf(name, b"", problem=error.strerror or "cannot be read")
