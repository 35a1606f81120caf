"""Images and containers that engines and containerd have on this machine, by the quickest way that can be read.

That is an engine's layer folders, containerd's snapshots or its blobs, else the engine's `save` stream, or the `export`
stream of a container that is made for it where that is allowed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

from doctor.errors import UsageError
from doctor.image import cache, containerd, engines
from doctor.image.archive import LayerReader
from doctor.image.borrowed import borrowed
from doctor.image.engines import Engine, EngineError
from doctor.image.examination import Examination
from doctor.image.oci import FolderBlobs, Images, config_of
from doctor.image.planned import Opened, Planned, StreamBlobs, by_layers, of_manifest, planned_blobs, planned_folders
from doctor.image.unpacked import streamed
from doctor.text import one_line


def image_named(
    reference: str, platform: str, via_container: bool, examination: Examination, stack: ExitStack
) -> Opened:
    """An image by the name that an engine or containerd knows it by. Raises UsageError."""
    what = f"image {one_line(repr(reference), 200)}"
    try:
        engine, content = engines.ask(reference, what, lambda engine: engine.image(reference))
    except UsageError:
        # A node of Kubernetes has containerd alone.
        if opened := _by_name_in_containerd(reference, platform, examination, stack):
            return opened
        raise
    config = config_of(content)
    digest = str(content.get("Id") or "")
    if _is_local(engine):
        if folders := _folders(content):
            layers = planned_folders(folders, config.diff_ids, not config.size, examination)
            return by_layers(reference, "the engine's layer folders", digest, config, layers)
        if opened := _in_containerd(reference, digest, _roots(engine), platform, examination, stack):
            return opened
    if via_container:
        how = "the export stream of a container that was made for it and removed again"
        layers_of: Callable[[], Iterator[Planned]] = partial(_of_made, engine, digest or reference, examination, stack)
    else:
        how = "the engine's save stream"
        layers_of = partial(_of_saved, engine, digest or reference, platform, examination)
    # The engine itself vouches for the digest: what was found under it once needs no stream again.
    key = cache.key_of("contents", reference, engine.address, digest, platform) if digest else ""
    return Opened(reference, how, digest, config, layers_of(), key)


def _of_made(engine: Engine, image: str, examination: Examination, stack: ExitStack) -> Iterator[Planned]:
    """The files of a container that is made of the image when the first of them is asked for."""
    yield _exported(engine, stack.enter_context(borrowed(engine, image)), examination)


def _of_saved(engine: Engine, image: str, platform: str, examination: Examination) -> Iterator[Planned]:
    """The layers of the engine's archive of an image, which is streamed when the first of them is asked for."""
    blobs = StreamBlobs(streamed(lambda: engine.save(image), examination), image, examination)
    manifest = Images(blobs, image, examination).choose("", platform)
    yield from planned_blobs(manifest, blobs, examination)


def _is_local(engine: Engine) -> bool:
    return engine.address.startswith(("unix://", "/"))


def _exported(engine: Engine, container: str, examination: Examination) -> Planned:
    source = streamed(lambda: engine.export(container), examination)
    reader = LayerReader("the export stream", source, examination.limits.whole, examination)
    return Planned("the export stream", "", partial(reader.read, 0))


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


def container_named(reference: str, name: str, examination: Examination) -> Opened:
    """A container's file system: the folders of its image and its own on top. Raises UsageError."""
    what = f"container {one_line(repr(name), 200)}"
    engine, content = engines.ask(reference, what, lambda engine: engine.container(name))
    image = str(content.get("Image") or "")
    config = config_of({"Config": content.get("Config"), **_known_of(engine, image)})
    if _is_local(engine):
        folders = _folders(content) or _container_in_containerd(str(content.get("Id") or ""), engine)
        if folders:
            layers = planned_folders(folders, (), not config.size, examination)
            return Opened(reference, "the container's layer folders", image, config, layers)
    layers = (_exported(engine, str(content.get("Id") or name), examination),)
    return Opened(reference, "the engine's export stream", image, config, layers)


def _known_of(engine: Engine, image: str) -> dict[str, Any]:
    try:
        content = engine.image(image)
    except EngineError:  # the image may be gone; the container's files are not
        return {}
    return {key: content.get(key) for key in ("Architecture", "Variant", "Os", "Size")}


# containerd's store


def _roots(engine: Engine) -> list[str]:
    """Where containerd's data may lie: inside the engine's own folder first."""
    try:
        own = engine.info().get("DockerRootDir")
    except EngineError:
        own = None
    return [*([f"{own}/containerd/daemon"] if isinstance(own, str) else []), *containerd.roots()]


def _by_name_in_containerd(reference: str, platform: str, examination: Examination, stack: ExitStack) -> Opened | None:
    for root in containerd.roots():
        with suppress(OSError):
            if digest := containerd.digest_of(root, reference):
                return _in_containerd(reference, digest, [root], platform, examination, stack)
    return None


def _in_containerd(
    reference: str, digest: str, roots: Iterable[str], platform: str, examination: Examination, stack: ExitStack
) -> Opened | None:
    """The image by its unpacked layers, else by its blobs, where containerd has it and lets itself be read."""
    algorithm, _, name = digest.partition(":")
    for root in roots:
        content = containerd.content(root)
        if not os.access(f"{content}/blobs/{algorithm}/{name}", os.R_OK):
            continue
        blobs = FolderBlobs(content)
        stack.callback(blobs.close)
        manifest = Images(blobs, reference, examination).of_digest(digest, platform)
        with suppress(OSError):
            if folders := containerd.folders(root, containerd.chain_of(manifest.config.diff_ids)):
                layers = planned_folders(folders, manifest.config.diff_ids, True, examination)
                return by_layers(reference, "containerd's snapshots", manifest.digest, manifest.config, layers)
        if all(blobs.identity(layer) for layer in manifest.layers):
            return of_manifest(reference, "blobs of containerd's store", manifest, blobs, examination)
    return None


def _container_in_containerd(identity: str, engine: Engine) -> list[str]:
    for root in _roots(engine):
        with suppress(OSError):
            if folders := containerd.folders(root, identity):
                return folders
    return []
