"""containerd's own store: images by name, and the folders that hold their layers unpacked.

Docker uses it where its image store is containerd's, Kubernetes nodes have nothing else. Its databases are read, it is
never asked: that would need its socket and its rights.

Layout: https://github.com/containerd/containerd/blob/main/docs/ops.md ("Base configuration"), buckets:
https://github.com/containerd/containerd/blob/main/core/metadata/buckets.go and
https://github.com/containerd/containerd/blob/main/core/snapshots/storage/bolt.go ; the name of an image's last layer:
https://github.com/opencontainers/image-spec/blob/main/config.md ("Layer ChainID").
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from doctor.image import bolt

# On its own, inside Docker, for k3s, RKE2, k0s and MicroK8s, and without root.
ROOTS = (
    "/var/lib/containerd",
    "/var/lib/docker/containerd/daemon",
    "/var/lib/rancher/k3s/agent/containerd",
    "/var/lib/rancher/rke2/agent/containerd",
    "/var/lib/k0s/containerd",
    "/var/snap/microk8s/common/var/lib/containerd",
)
CONFIGURATION = "/etc/containerd/config.toml"
# Snapshotters that keep each layer as a folder of its own.
_LAYERED = ("overlayfs", "fuse-overlayfs")
# Layers below one another; a file system takes no more than some 500.
_LOWEST = 1000


def roots() -> Iterator[str]:
    """Where containerd may keep its data on this machine."""
    try:
        text = Path(CONFIGURATION).read_text("utf-8", "replace")[: 1 << 20]
    except OSError:
        text = ""
    if match := re.search(r"^root\s*=\s*[\"']([^\"'\n]+)[\"']", text, re.MULTILINE):
        yield match[1]
    yield from ROOTS
    yield os.path.expanduser("~/.local/share/containerd")


def content(root: str) -> str:
    """The folder that has the blobs, laid out as in an OCI layout."""
    return f"{root}/io.containerd.content.v1.content"


def digest_of(root: str, reference: str) -> str:
    """The digest of the image of that name in any namespace, or empty. Raises OSError."""
    names = {reference.encode(), _full_name(reference).encode()}
    database = bolt.read(f"{root}/io.containerd.metadata.v1.bolt/meta.db")
    namespaces = database.bucket(b"v1")
    for _, namespace in namespaces.items() if namespaces else ():
        images = namespace.bucket(b"images") if isinstance(namespace, bolt.Bucket) else None
        for name, image in images.items() if images else ():
            target = image.bucket(b"target") if name in names and isinstance(image, bolt.Bucket) else None
            if target:
                return target.text(b"digest")
    return ""


def _full_name(reference: str) -> str:
    """The name as registries know it: alpine is docker.io/library/alpine:latest."""
    name, at, digest = reference.partition("@")
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif not re.search(r"[.:]|^localhost$", first):
        name = f"docker.io/{name}"
    if not at and ":" not in name.rpartition("/")[2]:
        name += ":latest"
    return name + at + digest


def chain_of(diff_ids: tuple[str, ...]) -> str:
    """The name of the snapshot that has all these layers."""
    chain = ""
    for one in diff_ids:
        chain = f"sha256:{hashlib.sha256(f'{chain} {one}'.encode()).hexdigest()}" if chain else one
    return chain


def folders(root: str, name: str) -> list[str]:
    """The layer folders of a snapshot, the lowest first: `name` is a chain's, or a container's id.

    Empty where there is no such snapshot or its folders cannot be read. Raises OSError where the store cannot be.
    """
    for kind in _LAYERED:
        store = f"{root}/io.containerd.snapshotter.v1.{kind}"
        if not os.path.exists(f"{store}/metadata.db"):
            continue
        snapshots = bolt.read(f"{store}/metadata.db").bucket(b"v1", b"snapshots")
        known = (
            {key.decode(): one for key, one in snapshots.items() if isinstance(one, bolt.Bucket)} if snapshots else {}
        )
        found = [f"{store}/snapshots/{number}/fs" for number in _numbers(known, name)]
        if found and all(os.access(one, os.R_OK | os.X_OK) for one in found):
            return found[::-1]
    return []


def _numbers(known: dict[str, bolt.Bucket], name: str) -> Iterator[int]:
    """The numbers of a snapshot's folders, its own first. Keys are NAMESPACE/COUNT/NAME."""
    key = next((key for key in known if key.rpartition("/")[2] == name), "")
    for _ in range(_LOWEST):
        if key not in known:
            return
        number = known[key].get(b"id")
        yield _varint(number if isinstance(number, bytes) else b"")
        key = known[key].text(b"parent")


def _varint(data: bytes) -> int:
    """An unsigned number in groups of seven bits, the lowest first (Go's encoding/binary)."""
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(data[:9]))
