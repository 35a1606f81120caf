"""Where an image's files come from, the quickest safe way first.

`fs://DIR` an unpacked root · `archive://FILE[:TAG]` of `docker save` or an OCI archive · `oci-dir://DIR[:NAME]` a
layout · `container://NAME` a container's own files · a plain path to one of these · else an image of an engine or of
containerd: its layer folders where they can be read, its blobs in containerd's store, else the engine's `save` stream.
Nothing is pulled, and no container is made unasked.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from doctor.binary.reader import File, Source
from doctor.errors import UsageError
from doctor.image.archive import LayerReader, NotTar, members
from doctor.image.examination import Examination
from doctor.image.folder import FolderReader
from doctor.image.local import container_named, image_named
from doctor.image.oci import ArchiveBlobs, Blobs, Config, FolderBlobs, Images, identity_of
from doctor.image.planned import Opened, Planned, StreamBlobs, of_manifest
from doctor.image.record import ARCHIVE, LAYOUT, PACKED_ROOT, ROOT
from doctor.image.unpacked import unpacked
from doctor.input import demand_file
from doctor.text import one_line

SCHEMES = ("archive", "oci-dir", "fs", "container")


@contextmanager
def open_image(
    reference: str, platform: str, examination: Examination, via_container: bool = False
) -> Iterator[Opened]:
    """The image that a reference names, readable until the context ends.

    `platform` such as linux/amd64 chooses where there are several. `via_container`: an engine may be asked to make a
    container where the image's files cannot be read otherwise but through `save`. Raises UsageError with one line.
    """
    scheme, rest = _scheme(reference)
    with ExitStack() as stack:
        if scheme == "fs":
            yield _unpacked_root(reference, rest, examination)
        elif scheme == "archive":
            yield _archive(reference, rest, platform, examination, stack)
        elif scheme == "oci-dir":
            yield _layout(reference, rest, platform, examination, stack)
        elif scheme == "container":
            yield container_named(reference, rest, examination)
        else:
            yield image_named(reference, platform, via_container, examination, stack)


def _scheme(reference: str) -> tuple[str, str]:
    """The kind of source and the rest of the reference; an empty kind is an engine's image."""
    if "\0" in reference or not reference.strip() or len(reference) > 4096:
        raise UsageError("an empty or malformed image reference")
    demand_file(reference, "an image")
    scheme, separator, rest = reference.partition("://")
    if separator:
        if scheme not in SCHEMES:
            raise UsageError(
                f"{one_line(scheme, 40)}:// is no source; there are {', '.join(f'{s}://' for s in SCHEMES)}"
            )
        return scheme, rest
    path = Path(reference)
    looks_like_path = reference.startswith(("/", "./", "../", "~")) or reference.endswith((".tar", ".tar.gz", ".tgz"))
    try:
        if path.is_dir() and (looks_like_path or "/" in reference or path.exists()):
            is_layout = (path / "index.json").is_file() or (path / "manifest.json").is_file()
            return ("oci-dir" if is_layout else "fs"), reference
        if path.exists():
            return "archive", reference
    except OSError as error:
        raise UsageError(f"{one_line(reference, 200)} cannot be read: {error.strerror}") from None
    if looks_like_path:
        raise UsageError(f"{one_line(reference, 200)}: there is no such file or folder")
    return "", reference


def _unpacked_root(reference: str, path: str, examination: Examination) -> Opened:
    try:
        os.listdir(path)
    except OSError as error:
        raise UsageError(f"{one_line(path, 200)} cannot be read: {error.strerror}") from None
    read = FolderReader(path, path, examination, overlay=False, sizes=True).read
    return Opened(reference, ROOT, "", Config(), (Planned(path, "", read),))


def _archive(reference: str, rest: str, platform: str, examination: Examination, stack: ExitStack) -> Opened:
    path, wanted = _path_and_name(rest)
    source, identity = _file(path, stack)
    if source.size == 0:
        raise UsageError(f"{one_line(path, 200)} is empty")
    try:
        inner, whole = unpacked(source, examination, at_once=True)
        if whole:
            # A compressed archive: one pass, as with a stream.
            blobs: Blobs = StreamBlobs(inner, path, examination)
        else:
            blobs = ArchiveBlobs(inner, True, one_line(path, 200), f"{path}:{identity}", examination)
    except OSError as error:
        raise UsageError(f"{one_line(path, 200)} cannot be read: {error.strerror}") from None
    if blobs.get("manifest.json") is None and blobs.get("index.json") is None:
        return _bare_root(reference, path, inner, whole, examination)
    manifest = Images(blobs, one_line(path, 200), examination).choose(wanted, platform)
    return of_manifest(reference, ARCHIVE, manifest, blobs, examination)


def _bare_root(reference: str, path: str, source: Source, whole: int, examination: Examination) -> Opened:
    """A tar archive of a root file system, as `docker export` writes it."""
    reader = LayerReader(one_line(path, 200), source, whole, examination)
    try:
        names = {
            member.name.strip("./").partition("/")[0] for member, _ in zip(members(source), range(2000), strict=False)
        }
    except (NotTar, OSError):
        names = set()
    if not names & {"bin", "usr", "etc", "lib", "opt", "home", "root", "var"}:
        raise UsageError(f"{one_line(path, 200)} holds no image: no manifest.json, no index.json and no root folders")
    planned = Planned(path, "", partial(reader.read, 0))
    return Opened(reference, PACKED_ROOT, "", Config(), (planned,))


def _path_and_name(rest: str) -> tuple[str, str]:
    """A path and the name behind its last colon; the path alone wins if it is there."""
    if os.path.exists(rest) or ":" not in rest:
        return rest, ""
    path, _, name = rest.partition(":")
    while not os.path.exists(path) and ":" in name:
        more, _, name = name.partition(":")
        path = f"{path}:{more}"
    return path, name


def _file(path: str, stack: ExitStack) -> tuple[Source, str]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{one_line(path, 200)} cannot be read: {error.strerror}") from None
    stack.callback(os.close, descriptor)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise UsageError(f"{one_line(path, 200)} is not a regular file")
    return File(descriptor, status.st_size), identity_of(status)


def _layout(reference: str, rest: str, platform: str, examination: Examination, stack: ExitStack) -> Opened:
    path, wanted = _path_and_name(rest)
    if not os.path.isdir(path):
        raise UsageError(f"{one_line(path, 200)}: there is no such folder")
    blobs = FolderBlobs(path)
    stack.callback(blobs.close)
    manifest = Images(blobs, one_line(path, 200), examination).choose(wanted, platform)
    return of_manifest(reference, LAYOUT, manifest, blobs, examination)
