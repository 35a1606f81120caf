"""Manifests and configurations: which layers make an image, for which platform.

Formats: https://github.com/opencontainers/image-spec/blob/main/image-layout.md , …/manifest.md , …/image-index.md ,
…/config.md ; manifest.json of `docker save`: https://github.com/moby/moby/blob/master/image/tarexport/save.go
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from doctor.binary.reader import File, Part, Source
from doctor.errors import UsageError
from doctor.image.archive import NotTar, members
from doctor.image.examination import Examination
from doctor.text import one_line

# An index may name an index, but nobody needs more levels than that.
_LEVELS = 4
_DIGEST = re.compile(r"(sha256|sha384|sha512):([0-9a-f]{64,128})")
_INDEX = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_LAYER = re.compile(
    r"application/vnd\.oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+(?:gzip|zstd))?"
    r"|application/vnd\.docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:\.gzip|\.zstd)?"
)


class Blobs(Protocol):
    """Where the files of an archive or a layout are found by name."""

    @property
    def at_once(self) -> bool:
        """Whether any place of a blob can be read at once."""
        ...

    def get(self, name: str) -> Source | None:
        """The file of that name inside, or None."""
        ...

    def identity(self, name: str) -> str:
        """What tells this blob from any other, without reading it; empty if nothing does."""
        ...


@dataclass(frozen=True, slots=True)
class Config:
    """An image's configuration."""

    architecture: str = ""
    variant: str = ""
    system: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    working_dir: str = ""
    diff_ids: tuple[str, ...] = ()
    size: int = 0
    """Bytes of all layers, as an engine tells them; 0 where it does not."""

    @property
    def platform(self) -> str:
        """Such as linux/arm64/v8; empty where it is not said."""
        return "/".join(filter(None, (self.system, self.architecture, self.variant)))


@dataclass(frozen=True, slots=True)
class Manifest:
    """The layers of an image by the names of their blobs, the lowest first."""

    digest: str
    config: Config
    layers: tuple[str, ...]


def config_of(content: Any) -> Config:
    """A configuration from its JSON: of a blob, or an engine's answer to inspect. Odd parts are left out."""
    content = content if isinstance(content, dict) else {}
    lowered = {str(name).lower(): value for name, value in content.items()}
    inner = lowered.get("config")
    inner = inner if isinstance(inner, dict) else {}
    items = [item for item in _list(inner.get("Env")) if isinstance(item, str)]
    pairs = (item.partition("=") for item in items)
    labels = inner.get("Labels")
    rootfs = lowered.get("rootfs")
    rootfs = rootfs if isinstance(rootfs, dict) else {}
    ids = rootfs.get("diff_ids") or rootfs.get("Layers")
    return Config(
        architecture=_word(lowered.get("architecture")),
        variant=_word(lowered.get("variant")),
        system=_word(lowered.get("os")),
        environment={name: value for name, equals, value in pairs if equals},
        labels={str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else {},
        working_dir=_word(inner.get("WorkingDir")),
        diff_ids=tuple(str(one) for one in _list(ids)),
        size=size if isinstance(size := lowered.get("size"), int) and size > 0 else 0,
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _word(value: Any) -> str:
    return one_line(value, 200) if isinstance(value, str) else ""


class Images:
    """The images that the files of an archive or layout hold."""

    def __init__(self, blobs: Blobs, name: str, examination: Examination) -> None:
        self._blobs = blobs
        self._name = name
        self._examination = examination

    def choose(self, wanted: str, platform: str) -> Manifest:
        """The image named `wanted` ("" for the only one) for a platform such as linux/amd64.

        Raises UsageError with one line that names what there is instead.
        """
        saved = self._blobs.get("manifest.json")
        if saved is not None:
            return self._saved(self._json("manifest.json"), wanted)
        if self._blobs.get("index.json") is not None:
            return self._laid_out(self._json("index.json"), wanted, platform)
        raise UsageError(f"{self._name} is no image: it has neither manifest.json nor index.json")

    def _json(self, name: str) -> Any:
        source = self._blobs.get(name)
        if source is None:
            raise UsageError(f"{self._name} is incomplete: {one_line(name, 90)} is not in it")
        if source.size > self._examination.limits.document:
            raise UsageError(f"{self._name}: {one_line(name, 90)} is larger than any manifest")
        try:
            return json.loads(source.read_at(0, source.size))
        except (ValueError, RecursionError, OSError):
            raise UsageError(f"{self._name}: {one_line(name, 90)} is damaged: not JSON") from None

    def _saved(self, content: Any, wanted: str) -> Manifest:
        rows = [row for row in _list(content) if isinstance(row, dict)]
        named = [row for row in rows if not wanted or wanted in _list(row.get("RepoTags"))]
        if len(named) != 1 and len(rows) > 1:
            tags = ", ".join(one_line(str(tag), 60) for row in rows for tag in _list(row.get("RepoTags"))[:1])
            raise UsageError(
                f"{self._name} holds several images; name one with archive://FILE:TAG: {tags or 'no tags'}"
            )
        if not rows:
            raise UsageError(f"{self._name} holds no image: its manifest.json is empty")
        row = named[0] if named else rows[0]
        config = row.get("Config")
        layers = [name for name in _list(row.get("Layers")) if isinstance(name, str)]
        if not isinstance(config, str):
            raise UsageError(f"{self._name} is damaged: its manifest names no configuration")
        digest = config.removesuffix(".json").rpartition("/")[2]
        return Manifest(f"sha256:{digest}", config_of(self._json(config)), tuple(layers))

    def _laid_out(self, index: Any, wanted: str, platform: str) -> Manifest:
        digest = self._of_index(index, wanted, platform, 0)
        content = self._json(_blob(digest))
        return self.of_digest_content(digest, content, platform)

    def of_digest(self, digest: str, platform: str) -> Manifest:
        """The image of an index or manifest that is known by its digest. Raises UsageError."""
        return self.of_digest_content(digest, self._json(_blob(digest)), platform)

    def of_digest_content(self, digest: str, content: Any, platform: str, level: int = 0) -> Manifest:
        if not isinstance(content, dict):
            raise UsageError(f"{self._name} is damaged: a manifest that is no object")
        if "manifests" in content:
            if level >= _LEVELS:
                raise UsageError(f"{self._name}: an index inside an index inside an index")
            inner = self._of_index(content, "", platform, level)
            return self.of_digest_content(inner, self._json(_blob(inner)), platform, level + 1)
        config = content.get("config")
        name = config.get("digest") if isinstance(config, dict) else None
        if not isinstance(name, str):
            raise UsageError(f"{self._name} is damaged: its manifest names no configuration")
        return Manifest(digest, config_of(self._json(_blob(name))), tuple(self._layers(content)))

    def _layers(self, content: dict[str, Any]) -> Iterator[str]:
        for row in _list(content.get("layers")):
            media, digest = row.get("mediaType", ""), row.get("digest", "")
            if not _LAYER.fullmatch(str(media)):
                self._examination.leave_out(
                    str(digest)[:25], f"a layer of unknown media type {one_line(str(media), 80)}"
                )
            elif _DIGEST.fullmatch(str(digest)):
                yield _blob(digest)
            else:
                self._examination.leave_out(one_line(str(digest), 60), "a layer whose digest is none")

    def _of_index(self, index: Any, wanted: str, platform: str, level: int) -> str:
        """The digest of the manifest, or of a further index, that fits best."""
        rows = [row for row in _list(index.get("manifests") if isinstance(index, dict) else None) if _is_image(row)]
        if wanted:
            named = [row for row in rows if wanted in _names(row)]
            if not named:
                known = ", ".join(sorted({one_line(name, 60) for row in rows for name in _names(row)}))
                raise UsageError(f"{self._name} has no image {one_line(wanted, 80)!r}; it has: {known or 'no names'}")
            rows = named
        fitting = [row for row in rows if _fits(row, platform)]
        if not rows:
            raise UsageError(f"{self._name} holds no image")
        if not fitting:
            known = ", ".join(sorted({_platform(row) for row in rows}))
            raise UsageError(f"{self._name} has no image for {platform}; it has: {known}; choose with --platform")
        if level == 0 and not wanted and len({row["digest"] for row in fitting}) > 1 and len(fitting) == len(rows):
            known = ", ".join(sorted({one_line(name, 60) for row in rows for name in _names(row)}))
            if not any("platform" in row for row in rows):
                raise UsageError(f"{self._name} holds several images; add :NAME to choose one: {known or 'no names'}")
        return str(fitting[0]["digest"])


def _is_image(row: Any) -> bool:
    """Whether an index's row is an image: signatures and attestations lie beside them."""
    if not isinstance(row, dict) or not _DIGEST.fullmatch(str(row.get("digest", ""))):
        return False
    return "unknown" not in _platform(row)


def _names(row: dict[str, Any]) -> list[str]:
    notes = row.get("annotations")
    notes = notes if isinstance(notes, dict) else {}
    keys = ("org.opencontainers.image.ref.name", "io.containerd.image.name")
    return [str(notes[key]) for key in keys if key in notes]


def _platform(row: dict[str, Any]) -> str:
    known = row.get("platform")
    if not isinstance(known, dict):
        return "an unnamed platform"
    return "/".join(filter(None, (_word(known.get(key)) for key in ("os", "architecture", "variant"))))


def _fits(row: dict[str, Any], platform: str) -> bool:
    """Whether a row is for a platform; one that names none is not known to be for another."""
    if not isinstance(row.get("platform"), dict):
        return True
    have, want = _platform(row).split("/"), platform.split("/")
    return have[:2] == want[:2] and (len(want) < 3 or have[2:] == want[2:])


def _blob(digest: str) -> str:
    """The blob's name. Raises UsageError for what is no digest: it would be a path of the sender's choice."""
    found = _DIGEST.fullmatch(digest)
    if found is None:
        raise UsageError(f"a manifest names {one_line(digest, 80)!r}, which is no digest")
    return f"blobs/{found[1]}/{found[2]}"


class ArchiveBlobs:
    """The members of a tar archive by name. Links among them are followed, as `docker save` writes some."""

    def __init__(self, source: Source, at_once: bool, name: str, identity: str, examination: Examination) -> None:
        """Reads through the archive's headers. Raises UsageError if it is none."""
        self.at_once = at_once
        self._source = source
        self._identity = identity
        self._found: dict[str, tuple[int, int]] = {}
        links: dict[str, str] = {}
        try:
            for member in members(source):
                examination.member()
                examination.progress(name, member.at, source.size if at_once else 0)
                path = os.path.normpath(member.name)
                if member.type == b"2":
                    links[path] = os.path.normpath(os.path.join(os.path.dirname(path), member.link))
                elif member.type == b"1":
                    links[path] = os.path.normpath(member.link)
                else:
                    self._found[path] = (member.at, member.size)
        except NotTar as error:
            raise UsageError(f"{name} is no image archive: {error}") from None
        except OSError as error:
            examination.leave_out(name, f"the archive is damaged or cut short: {error.strerror}")
        for path, to in links.items():
            if to in self._found:
                self._found.setdefault(path, self._found[to])

    def get(self, name: str) -> Source | None:
        found = self._found.get(os.path.normpath(name))
        if found is None:
            return None
        return Part(self._source, *found)

    def names(self) -> list[str]:
        return list(self._found)

    def identity(self, name: str) -> str:
        found = self._found.get(os.path.normpath(name))
        return f"{self._identity}:{found[0]}:{found[1]}" if found and self._identity else ""


class FolderBlobs:
    """The files of a layout folder by name. Only regular files in it count: a link could lead anywhere."""

    at_once = True

    def __init__(self, root: str) -> None:
        self._root = root
        self._open: list[int] = []

    def get(self, name: str) -> Source | None:
        descriptor = self._descriptor(name)
        if descriptor is None:
            return None
        self._open.append(descriptor)
        return File(descriptor, os.fstat(descriptor).st_size)

    def _descriptor(self, name: str) -> int | None:
        parts = name.split("/")
        if any(part in ("", ".", "..") for part in parts):
            return None
        folder = -1
        try:
            folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            for part in parts[:-1]:
                inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
                os.close(folder)
                folder = inner
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            found = os.open(parts[-1], flags, dir_fd=folder)
        except OSError:
            return None
        finally:
            if folder >= 0:
                os.close(folder)
        if not stat.S_ISREG(os.fstat(found).st_mode):
            os.close(found)
            return None
        return found

    def identity(self, name: str) -> str:
        descriptor = self._descriptor(name)
        if descriptor is None:
            return ""
        try:
            return identity_of(os.fstat(descriptor))
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Closes what was opened. Sources that were given out cannot be read afterwards."""
        for descriptor in self._open:
            with suppress(OSError):
                os.close(descriptor)
        self._open.clear()


def identity_of(status: os.stat_result) -> str:
    """What tells the present contents of a file or folder from any other, as far as its inode knows."""
    return f"{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"
