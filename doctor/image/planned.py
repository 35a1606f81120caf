"""Images whose layers are known, and how each is read: from a folder, a blob, a stream, or what was kept of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from doctor.binary.reader import Memory, Part, Source
from doctor.errors import UsageError
from doctor.image import cache
from doctor.image.archive import LayerReader, NotTar, members
from doctor.image.examination import Examination
from doctor.image.folder import FolderReader
from doctor.image.layers import Layer
from doctor.image.oci import Blobs, Config, Manifest, identity_of
from doctor.image.unpacked import Broken, unpacked
from doctor.text import one_line


@dataclass(frozen=True, slots=True)
class Planned:
    """A layer that can be read. `key` is the name under which it is kept, empty where it must be read anew."""

    name: str
    key: str
    read: Callable[[], Layer]


@dataclass(frozen=True, slots=True)
class Opened:
    """An image whose layers are known but not read yet, the lowest first.

    `key` is the name under which all that was found in it is kept, empty where it must be looked at anew.
    """

    reference: str
    how_read: str
    digest: str
    config: Config
    layers: Iterable[Planned]
    key: str = ""


def by_layers(reference: str, how: str, digest: str, config: Config, layers: tuple[Planned, ...]) -> Opened:
    """An image that is known by its layers."""
    keys = [planned.key for planned in layers]
    key = cache.key_of("contents", reference, how, digest, repr(config), *keys) if keys and all(keys) else ""
    return Opened(reference, how, digest, config, layers, key)


def planned_folders(
    folders: list[str], diff_ids: tuple[str, ...], sizes: bool, examination: Examination
) -> tuple[Planned, ...]:
    planned = []
    for number, folder in enumerate(folders):
        said = f"layer {number + 1} of {len(folders)}"
        digest = diff_ids[number] if len(diff_ids) == len(folders) else ""
        key = cache.key_of("folder", folder, identity_of(os.stat(folder)), digest, str(sizes)) if digest else ""
        planned.append(Planned(said, key, FolderReader(said, folder, examination, overlay=True, sizes=sizes).read))
    return tuple(planned)


def of_manifest(reference: str, how: str, manifest: Manifest, blobs: Blobs, examination: Examination) -> Opened:
    layers = tuple(planned_blobs(manifest, blobs, examination))
    return by_layers(reference, how, manifest.digest, manifest.config, layers)


def planned_blobs(manifest: Manifest, blobs: Blobs, examination: Examination) -> Iterator[Planned]:
    names = manifest.layers[: examination.limits.layers]
    if len(manifest.layers) > len(names):
        examination.leave_out("the image", f"more than {len(names)} layers")
    for number, name in enumerate(names, 1):
        identity = blobs.identity(name)
        key = cache.key_of("blob", identity, name) if identity else ""
        said = f"layer {number} of {len(names)}"
        yield Planned(said, key, partial(_read_blob, blobs, name, said, examination))


def _read_blob(blobs: Blobs, name: str, said: str, examination: Examination) -> Layer:
    if isinstance(blobs, StreamBlobs):
        return blobs.layer(name, said)
    source = blobs.get(name)
    if source is None:
        examination.leave_out(said, f"{one_line(name, 90)} is not there")
        return Layer(said)
    return read_layer(source, blobs.at_once, said, examination)


def read_layer(source: Source, at_once: bool, said: str, examination: Examination) -> Layer:
    """The layer in a blob, whatever it is compressed with. What cannot be read is noted and leaves an empty layer."""
    try:
        inner, whole = unpacked(source, examination, at_once)
        return LayerReader(said, inner, whole, examination).read(source.size if inner is source else 0)
    except NotTar as error:
        head = source.read_at(0, 6)
        known = {b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
        packed = next((word for start, word in known.items() if head.startswith(start)), "")
        examination.leave_out(said, f"compressed with {packed}, which images do not use" if packed else str(error))
    except OSError as error:
        examination.leave_out(said, f"damaged: {error.strerror or error}")
    return Layer(said)


class StreamBlobs:
    """The members of an image archive that comes as a stream, taken in as it passes by: documents and layers."""

    at_once = False

    def __init__(self, source: Source, name: str, examination: Examination) -> None:
        """Reads the stream to its end. Raises UsageError if it is no archive."""
        self._examination = examination
        self._documents: dict[str, bytes] = {}
        self._layers: dict[str, Layer] = {}
        self._links: dict[str, str] = {}
        try:
            for member in members(source):
                examination.member()
                self._take(
                    os.path.normpath(member.name), member.type, member.link, Part(source, member.at, member.size)
                )
        except NotTar as error:
            raise UsageError(f"{one_line(name, 200)} is no image archive: {error}") from None
        except OSError as error:
            examination.leave_out(one_line(name, 200), f"damaged or cut short: {error.strerror or error}")

    def _take(self, path: str, kind: bytes, link: str, part: Part) -> None:
        if kind in (b"1", b"2"):
            base = os.path.dirname(path) if kind == b"2" else ""
            self._links[path] = os.path.normpath(os.path.join(base, link))
            return
        if kind not in (b"0", b"\0", b"7") or not part.size:
            return
        # Documents are told from layers by their first byte; blobs have no other sign.
        if part.size <= self._examination.limits.document and part.read_at(0, 1) in (b"{", b"["):
            self._documents[path] = part.read_at(0, part.size)
        elif path.endswith((".tar", "layer.tar")) or path.startswith("blobs/"):
            self._layers[path] = read_layer(part, False, path[-40:], self._examination)

    def get(self, name: str) -> Source | None:
        data = self._documents.get(os.path.normpath(name))
        return None if data is None else Memory(data)

    def identity(self, name: str) -> str:
        return ""

    def layer(self, name: str, said: str) -> Layer:
        """The layer of that name; an empty one, and a note, if the stream had none."""
        path = os.path.normpath(name)
        found = self._layers.get(path) or self._layers.get(self._links.get(path, ""))
        if found is None:
            self._examination.leave_out(said, f"{one_line(name, 90)} is not there")
            return Layer(said)
        return found


def read_planned(planned: Planned, examination: Examination) -> Layer:
    """The layer, from what was kept if it is there. Raises UsageError where it cannot be read at all."""
    kept = cache.layer_from_json(cache.load(planned.key)) if planned.key else None
    if kept is not None:
        examination.progress(planned.name, 0)
        for _ in kept.entries:
            examination.member()
        again = planned.read
        kept.open = lambda path, entry: again().open(path, entry)  # type: ignore[misc]
        return kept
    before = examination.not_examined()
    try:
        layer = planned.read()
    except NotTar as error:
        raise UsageError(f"{planned.name} is no archive: {error}") from None
    except (Broken, OSError) as error:
        raise UsageError(f"{planned.name} cannot be read: {error.strerror or error}") from None
    if planned.key and before == examination.not_examined():
        cache.save(planned.key, cache.layer_to_json(layer))
    return layer
