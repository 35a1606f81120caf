"""Images made in a moment: tar layers with real GPU libraries of a few kilobytes, in every wrapping."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FIXTURES = Path(__file__).parent.parent / "binary" / "fixtures"
PACKAGES = "usr/lib/python3/dist-packages"


def cuda(name: str) -> bytes:
    """A real library or cubin made with nvcc; `cuda/cuobjdump.json` says what is in it."""
    return (FIXTURES / "cuda" / name).read_bytes()


def amd(name: str) -> bytes:
    return (FIXTURES / "amd" / name).read_bytes()


def tar(
    files: dict[str, bytes | None], links: dict[str, str] | None = None, hard: dict[str, str] | None = None
) -> bytes:
    """A layer: files by name, None for a folder; links by target."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type, entry.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(entry)
            else:
                entry.size, entry.mode = len(content), 0o755
                archive.addfile(entry, io.BytesIO(content))
        for kind, named in ((tarfile.SYMTYPE, links), (tarfile.LNKTYPE, hard)):
            for name, target in (named or {}).items():
                entry = tarfile.TarInfo(name)
                entry.type, entry.linkname = kind, target
                archive.addfile(entry)
    return data.getvalue()


def zstd(data: bytes) -> bytes:
    from backports.zstd import compress

    return compress(data, 3)


PACKED = {"": lambda data: data, "+gzip": lambda data: gzip.compress(data, 1), "+zstd": zstd}


@dataclass
class Layout:
    """An OCI layout in a folder, written blob by blob."""

    root: Path
    manifests: list[dict[str, Any]] = field(default_factory=list)

    def blob(self, data: bytes) -> dict[str, Any]:
        digest = hashlib.sha256(data).hexdigest()
        place = self.root / "blobs" / "sha256"
        place.mkdir(parents=True, exist_ok=True)
        (place / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def image(
        self, layers: Iterable[bytes], packing: str = "+gzip", architecture: str = "amd64", name: str = "",
        media: str = "", env: Iterable[str] = (),
    ) -> dict[str, Any]:  # fmt: skip
        config = {"architecture": architecture, "os": "linux", "config": {"Env": list(env)}, "rootfs": {"diff_ids": []}}
        media = media or f"application/vnd.oci.image.layer.v1.tar{packing}"
        rows = [{**self.blob(PACKED[packing](layer)), "mediaType": media} for layer in layers]
        manifest = {"schemaVersion": 2, "config": self.blob(json.dumps(config).encode()), "layers": rows}
        row = {**self.blob(json.dumps(manifest).encode()), "mediaType": "application/vnd.oci.image.manifest.v1+json",
               "platform": {"os": "linux", "architecture": architecture}}  # fmt: skip
        if name:
            row["annotations"] = {"org.opencontainers.image.ref.name": name}
        self.manifests.append(row)
        return row

    def write(self) -> Path:
        (self.root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": self.manifests}))
        (self.root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return self.root


def saved(layers: Iterable[bytes], env: Iterable[str] = (), architecture: str = "amd64") -> bytes:
    """An archive as `docker save` writes it: layers first, manifest.json last."""
    files: dict[str, bytes | None] = {}
    names = []
    layers = list(layers)
    for number, layer in enumerate(layers):
        names.append(f"layer{number}/layer.tar")
        files[names[-1]] = layer
    ids = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
    rootfs = {"type": "layers", "diff_ids": ids}
    config = {"architecture": architecture, "os": "linux", "config": {"Env": list(env)}, "rootfs": rootfs}
    files["0123.json"] = json.dumps(config).encode()
    files["manifest.json"] = json.dumps([{"Config": "0123.json", "RepoTags": ["made:1"], "Layers": names}]).encode()
    return tar(files)


def torch_layer(version: str, library: bytes | None, cuda_version: str | None = None, hip: str | None = None) -> bytes:
    """A torch as far as it can be told from outside: metadata, version.py and its GPU library."""
    said = f"__version__ = '{version}'\ncuda: Optional[str] = {cuda_version!r}\nhip: Optional[str] = {hip!r}\n"
    files: dict[str, bytes | None] = {
        f"{PACKAGES}/torch-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n\nText".encode(),
        f"{PACKAGES}/torch/version.py": said.encode(),
        f"{PACKAGES}/torch/__init__.py": b"",
    }
    if library is not None:
        name = "libtorch_hip.so" if hip else "libtorch_cuda.so"
        files[f"{PACKAGES}/torch/lib/{name}"] = library
    return tar(files)


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A cache of one's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "gpu-doctor" / "images"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")
