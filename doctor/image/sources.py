"""Where an image's files come from, the quickest safe way first.

`fs://DIR` an unpacked root · `archive://FILE[:TAG]` of `docker save` or an OCI archive · `oci-dir://DIR[:NAME]` a
layout · `container://NAME` a container's own files · a plain path to one of these · else an engine's image: its layer
folders where they can be read, its blobs in containerd's store, else the engine's `save` stream. Nothing is pulled and
no container is made.

API: https://docs.docker.com/reference/api/engine/ (inspect, GraphDriver, get, export).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from doctor.binary.reader import File, Memory, Part, Source
from doctor.errors import UsageError
from doctor.image import cache
from doctor.image.archive import LayerReader, NotTar, members
from doctor.image.examination import Examination
from doctor.image.folder import FolderReader
from doctor.image.layers import Layer
from doctor.image.oci import ArchiveBlobs, Blobs, Config, FolderBlobs, Images, Manifest, config_of, identity_of
from doctor.image.unpacked import Broken, streamed, unpacked
from doctor.text import one_line

# An engine that reads its own disk for `save` may be slow to begin.
API_SECONDS = 60
# Where containerd keeps blobs: on its own, inside Docker with the containerd image store, and for k3s.
CONTENT = (
    "/var/lib/containerd/io.containerd.content.v1.content",
    "/var/lib/docker/containerd/daemon/io.containerd.content.v1.content",
    "/var/lib/rancher/k3s/agent/containerd/io.containerd.content.v1.content",
)
SCHEMES = ("archive", "oci-dir", "fs", "container")


@dataclass(frozen=True, slots=True)
class Planned:
    """A layer that can be read. `key` is the name under which it is kept, empty where it must be read anew."""

    name: str
    key: str
    read: Callable[[], Layer]


@dataclass(frozen=True, slots=True)
class Opened:
    """An image whose layers are known but not read yet, the lowest first."""

    reference: str
    how_read: str
    digest: str
    config: Config
    layers: tuple[Planned, ...] = field(default=())


@contextmanager
def open_image(reference: str, platform: str, examination: Examination) -> Iterator[Opened]:
    """The image that a reference names, readable until the context ends.

    `platform` such as linux/amd64 chooses where there are several. Raises UsageError with one line.
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
            yield _container(reference, rest, examination)
        else:
            yield _of_engine(reference, platform, examination, stack)


def _scheme(reference: str) -> tuple[str, str]:
    """The kind of source and the rest of the reference; an empty kind is an engine's image."""
    if "\0" in reference or not reference.strip() or len(reference) > 4096:
        raise UsageError("an empty or malformed image reference")
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
    read = FolderReader(path, path, examination, overlay=False).read
    return Opened(reference, "an unpacked root", "", Config(), (Planned(path, "", read),))


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
    return _of_manifest(reference, "an archive, in place", manifest, blobs, examination)


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
    return Opened(reference, "an archive of a root file system", "", Config(), (planned,))


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
    return _of_manifest(reference, "an OCI layout, in place", manifest, blobs, examination)


def _of_manifest(reference: str, how: str, manifest: Manifest, blobs: Blobs, examination: Examination) -> Opened:
    names = manifest.layers[: examination.limits.layers]
    if len(manifest.layers) > len(names):
        examination.leave_out(reference, f"more than {len(names)} layers")
    layers = []
    for number, name in enumerate(names, 1):
        identity = blobs.identity(name)
        key = cache.key_of("blob", identity, name) if identity else ""
        said = f"layer {number} of {len(names)}"
        layers.append(Planned(said, key, partial(_read_blob, blobs, name, said, examination)))
    return Opened(reference, how, manifest.digest, manifest.config, tuple(layers))


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


# The engine's images and containers


def _of_engine(reference: str, platform: str, examination: Examination, stack: ExitStack) -> Opened:
    found = _ask(reference, lambda api: api.inspect_image(reference), f"image {reference!r}")
    api, address, content = found
    config = config_of(content)
    digest = str(content.get("Id") or "")
    local = address.startswith(("unix://", "/"))
    if local and (folders := _folders(content)):
        return Opened(
            reference, "the engine's layer folders", digest, config, _planned_folders(folders, config, examination)
        )
    if local and (opened := _in_content_store(reference, digest, platform, examination, stack)):
        return opened
    source = streamed(lambda: iter(api.get_image(digest or reference)), examination)
    blobs = StreamBlobs(source, reference, examination)
    manifest = Images(blobs, reference, examination).choose("", platform)
    return _of_manifest(reference, "the engine's save stream", manifest, blobs, examination)


def _planned_folders(folders: list[str], config: Config, examination: Examination) -> tuple[Planned, ...]:
    planned = []
    for number, folder in enumerate(folders):
        said = f"layer {number + 1} of {len(folders)}"
        digest = config.diff_ids[number] if len(config.diff_ids) == len(folders) else ""
        key = cache.key_of("folder", folder, identity_of(os.stat(folder)), digest) if digest else ""
        planned.append(Planned(said, key, FolderReader(said, folder, examination, overlay=True).read))
    return tuple(planned)


def _folders(content: dict[str, Any]) -> list[str]:
    """The layer folders of an image or container, the lowest first; empty where they cannot be read."""
    driver = content.get("GraphDriver") or {}
    data = driver.get("Data") or {}
    upper, lower = data.get("UpperDir"), data.get("LowerDir") or ""
    if not str(driver.get("Name", "")).startswith(("overlay", "fuse-overlayfs")) or not upper:
        return []
    folders = [*reversed([one for one in lower.split(":") if one]), upper]
    # A container's lowest writable parts end in -init; all of them are plain folders.
    return folders if all(os.access(one, os.R_OK | os.X_OK) for one in folders) else []


def _in_content_store(
    reference: str, digest: str, platform: str, examination: Examination, stack: ExitStack
) -> Opened | None:
    """The image by its blobs in containerd's store, where that can be read and has it."""
    algorithm, _, name = digest.partition(":")
    for root in CONTENT:
        if os.access(f"{root}/blobs/{algorithm}/{name}", os.R_OK):
            blobs = FolderBlobs(root)
            stack.callback(blobs.close)
            manifest = Images(blobs, reference, examination).of_digest(digest, platform)
            if all(blobs.identity(layer) for layer in manifest.layers):
                return _of_manifest(reference, "blobs of containerd's store", manifest, blobs, examination)
    return None


def _container(reference: str, name: str, examination: Examination) -> Opened:
    """A container's file system: the folders of its image and its own on top."""
    api, address, content = _ask(reference, lambda api: api.inspect_container(name), f"container {name!r}")
    image = content.get("Image") or ""
    config = config_of({"Config": content.get("Config"), **_platform_of(api, image)})
    if address.startswith(("unix://", "/")) and (folders := _folders(content)):
        layers = [*_planned_folders(folders, Config(), examination)]
        return Opened(reference, "the container's layer folders", image, config, tuple(layers))
    source = streamed(lambda: iter(api.export(name)), examination)
    reader = LayerReader("the container's export stream", source, examination.limits.whole, examination)
    planned = Planned(reference, "", partial(reader.read, 0))
    return Opened(reference, "the engine's export stream", image, config, (planned,))


def _platform_of(api: Any, image: str) -> dict[str, Any]:
    try:
        content = api.inspect_image(image)
    except Exception:  # the image may be gone; the container's files are not
        return {}
    return {key: content.get(key) for key in ("Architecture", "Variant", "Os")}


def _ask(reference: str, call: Callable[[Any], Any], what: str) -> tuple[Any, str, Any]:
    """The first engine that knows it: its API, its address and its answer. Raises UsageError."""
    import docker
    import docker.errors

    from doctor.probes.engine import sockets

    addresses = sockets()
    reasons = []
    for address in addresses:
        try:
            api = docker.APIClient(base_url=address, version="auto", timeout=API_SECONDS)
            return api, address, call(api)
        except docker.errors.NotFound:
            reasons.append(f"{address} has none")
        except Exception as error:  # the package raises its own and those of three others
            reasons.append(f"{address}: {_innermost(error)}")
    if not addresses:
        raise UsageError(
            f"{one_line(reference, 120)} is no file or folder, and no container engine was found to ask for it"
        )
    raise UsageError(f"there is no {one_line(what, 200)} here, and nothing is pulled ({'; '.join(reasons)})")


def _innermost(error: BaseException) -> str:
    here: BaseException | None = error
    while here is not None:
        if isinstance(here, OSError) and here.strerror:
            return here.strerror
        here = here.__cause__ or here.__context__
    return one_line(str(error), 120)


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
