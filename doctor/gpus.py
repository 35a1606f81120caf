"""GPUs by the words people use: product, chip, PCI id, compute capability, gfx target, kfd version, architecture.

`find_gpu("rtx 5090")`, `find_gpu("10de:2b85")`, `find_gpu("sm_120")`, `find_gpu("gfx90a:xnack+")`, `find_gpu("90010")`
and `find_gpu("Navi 31")` all give a `Gpu`. A name that several different chips share ("Ampere") gives `Ambiguous`,
which names them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from doctor import data
from doctor.arch import amd_target, cuda_target
from doctor.data.cuda import architecture_of
from doctor.errors import UsageError
from doctor.text import one_line

Vendor = Literal["nvidia", "amd"]


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, as far as code for it is concerned: an NVIDIA one has a compute capability, an AMD one a gfx target.

    `gfx` keeps the features it was asked with ("gfx90a:xnack+"). `generation` is the architecture's name, empty
    where the target is new to the facts; then, and where a row is a lead only, `unverified` is set.
    """

    vendor: Vendor
    name: str
    compute_capability: str | None
    gfx: str | None
    generation: str
    pci_ids: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    unverified: bool = False

    @property
    def target(self) -> str:
        """What code must be built for: the compute capability or the gfx target."""
        return self.compute_capability or self.gfx or ""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Words that several GPUs with different targets go by, the nearest names first."""

    text: str
    candidates: tuple[Gpu, ...]


# Words that say nothing: they are dropped from names and questions alike.
# fmt: off
_NOISE = frozenset({
    "nvidia", "amd", "ati", "geforce", "radeon", "instinct", "tesla", "graphics", "gpu", "card", "corporation",
    "inc", "the", "with", "design", "generation", "edition", "series", "family", "accelerator", "r", "tm",
})
# fmt: on
# Words that tell a vendor.
_VENDORS: dict[str, Vendor] = {
    "nvidia": "nvidia",
    "geforce": "nvidia",
    "quadro": "nvidia",
    "tesla": "nvidia",
    "jetson": "nvidia",
    "amd": "amd",
    "ati": "amd",
    "radeon": "amd",
    "instinct": "amd",
    "firepro": "amd",
    "ryzen": "amd",
}
# Words of a name that a question may leave out ("4090", "A100"). Said in a question, a line's word must be in the
# name, while a form (size, plug) may differ: 80GB of an "H100 80GB HBM3" is in no other name of that board.
# fmt: off
_LINES = frozenset({
    "rtx", "gtx", "gts", "gt", "rx", "mx", "quadro", "firepro", "jetson", "agx", "pro", "ada", "blackwell",
    "pascal", "laptop", "server", "workstation", "grid", "r9", "embedded", "ai",
})
# fmt: on
_FORM = re.compile(r"[0-9]+gb|sxm[0-9]*|pcie|fhhl|dgxs|dgx|hgx|nvl|hbm[0-9]*e?|ac|oam|cnx|rev|oem")
_GLUED = re.compile(r"\b(rtx|gtx|gts|gt|rx|mx|ti|navi|vega)(?=[0-9])")
_ENDING = re.compile(r"(?<=[0-9])(ti|super|xtx|xt|gre)\b")
_CAPABILITY = re.compile(r"(?:sm|compute)[ _-]?([0-9]{2,3}[af]?)|(?:cc|compute capability)? ?([0-9]{1,2}\.[0-9])")
_MIG = re.compile(r"\bmig\s+[0-9]+[cg]\.\S+")


def find_gpu(text: str) -> Gpu | Ambiguous | None:
    """The GPU that a text names, several if it names several, None if it names none of those known.

    Targets and compute capabilities that are well formed but new to the facts are taken as they stand.
    """
    asked = " ".join(text.split())[:200]
    return _by_pci_id(asked) or _by_target(asked) or _by_architecture(asked) or _by_name(asked)


def gpu_named(text: str) -> Gpu:
    """The GPU that a person's text names. Raises UsageError with the names that it could be."""
    found = find_gpu(text)
    if isinstance(found, Gpu):
        return found
    if isinstance(found, Ambiguous):
        names = ", ".join(f"{gpu.name} ({gpu.target})" for gpu in found.candidates[:6])
        raise UsageError(f"--gpu {one_line(text, 60)!r} is several GPUs: {names}")
    near = ", ".join(suggestions(text))
    raise UsageError(f"--gpu {one_line(text, 60)!r} is no known GPU" + (f"; did you mean: {near}?" if near else ""))


def suggestions(text: str, most: int = 5) -> tuple[str, ...]:
    """Names near to a text that named no GPU, nearest first."""
    lowered = " ".join(text.lower().split())[:200]
    if lowered.startswith("gfx"):
        return tuple(row.gfx for row in data.amd_targets() if row.gfx.startswith(lowered[:5]))[:most]
    known = {name.lower(): name for name, _ in _named()}
    numbers = set(re.findall(r"[0-9]{3,}", lowered))
    sharing = [low for low in known if numbers & set(re.findall(r"[0-9]{3,}", low))]
    near = difflib.get_close_matches(lowered, sharing or list(known), n=most, cutoff=0.3 if sharing else 0.6)
    return tuple(known[low] for low in near)


def _by_pci_id(text: str) -> Gpu | None:
    found = re.fullmatch(r"(?:0x)?([0-9a-f]{4})[: ](?:0x)?([0-9a-f]{4})", text.lower())
    return _pci_index().get(f"{found.group(1)}:{found.group(2)}") if found else None


@cache
def _pci_index() -> dict[str, Gpu]:
    return {pci_id: gpu for gpu in _boards() for pci_id in gpu.pci_ids}


def _by_target(text: str) -> Gpu | None:
    lowered = text.lower()
    if re.fullmatch(r"[0-9]{5,6}", lowered):
        return _of_gfx(_gfx_of_kfd(int(lowered)))
    if lowered.startswith("gfx"):
        return _of_gfx(lowered)
    found = _CAPABILITY.fullmatch(lowered)
    return _of_capability(found[1] or found[2]) if found else None


def _by_architecture(text: str) -> Gpu | Ambiguous | None:
    """The targets of an architecture: "Hopper" is one of them, "Ampere" several."""
    lowered = re.sub(r"\b(rdna|cdna) (?=[0-9])", r"\1", re.sub(r"^(?:nvidia|amd) ", "", text.lower()))
    # "Ada" is short for Ada Lovelace; rows of AMD's tell discrete boards from processors ("RDNA3 APU").
    said = re.compile(rf"{re.escape(lowered)}(?: lovelace| apu)?", re.IGNORECASE)
    found = [_of_capability(row.compute_capability) for row in data.nvidia_gpus() if said.fullmatch(row.architecture)]
    found += [_of_gfx(row.gfx) for row in data.amd_gpus() if said.fullmatch(row.architecture) and not row.unverified]
    targets = tuple(sorted({gpu for gpu in found if gpu}, key=lambda gpu: (len(gpu.target), gpu.target)))
    return targets[0] if len(targets) == 1 else Ambiguous(text, targets) if targets else None


def _gfx_of_kfd(kfd_version: int) -> str:
    """Source: gfx_target_version in drivers/gpu/drm/amd/amdkfd/kfd_device.c of Linux: 90010 is gfx90a."""
    return f"gfx{kfd_version // 10000}{kfd_version // 100 % 100:x}{kfd_version % 100:x}"


def _of_gfx(gfx: str) -> Gpu | None:
    target = amd_target(gfx)
    if target is None or target.processor.endswith("-generic"):
        return None
    rows = [row for row in data.amd_gpus() if row.gfx == target.processor]
    sure = [row for row in rows if not row.unverified] or rows
    known = next((row for row in data.amd_targets() if row.gfx == target.processor), None)
    return Gpu(
        vendor="amd",
        name=target.processor,
        compute_capability=None,
        gfx=gfx,
        generation=sure[0].architecture if sure else "",
        sources=known.sources if known else (),
        unverified=not sure or sure[0].unverified,
    )


def _of_capability(text: str) -> Gpu | None:
    target = cuda_target(text)
    if target is None:
        return None
    architecture = architecture_of(target.capability)
    return Gpu(
        vendor="nvidia",
        name=f"compute capability {target.capability}",
        compute_capability=target.capability,
        gfx=None,
        generation=architecture or "",
        sources=("https://developer.nvidia.com/cuda-gpus",) if architecture else (),
        unverified=architecture is None,
    )


def _by_name(text: str) -> Gpu | Ambiguous | None:
    words = _words(text)
    if not words:
        # "AMD Radeon Graphics" is what several chips call themselves.
        plain = re.sub(r"^(?:amd|nvidia) ", "", text.lower())
        return _choose(text, [(0, gpu) for name, gpu in _named() if name.lower() == plain], whole=True)
    vendors = {_VENDORS[word] for word in re.findall(r"[a-z]+", text.lower()) if word in _VENDORS}
    key = _key(words)
    found = [
        (len(words ^ of_name), gpu)
        for of_name, gpu in (_index().get(key, ()) if key else _index_of_lines(words))
        if words & _LINES <= of_name and (not vendors or vendors == {gpu.vendor})
    ]
    return _choose(text, found, whole=bool(key))


def _choose(text: str, found: list[tuple[int, Gpu]], whole: bool) -> Gpu | Ambiguous | None:
    """The nearest of the boards that a name fits, if the name decides what code they run."""
    if not found:
        return None
    found = [pair for pair in found if not pair[1].unverified] or found
    nearest = min(distance for distance, _ in found)
    if nearest == 0:
        # An exact name decides among boards of its vendor: "680M" is a GeForce GTX too.
        exact = {gpu.vendor for distance, gpu in found if distance == 0}
        found = [pair for pair in found if pair[0] == 0 or pair[1].vendor not in exact]
    found.sort(key=lambda pair: (pair[0], "/" in pair[1].name))
    if len({(gpu.vendor, gpu.target) for _, gpu in found}) > 1 or not whole:
        unique = {(gpu.name, gpu.target): gpu for _, gpu in reversed(found)}
        return Ambiguous(text, tuple(reversed(unique.values()))[:12])
    same = [gpu for distance, gpu in found if distance == nearest]
    forms = {_words(gpu.name) - _LINES for _, gpu in found}
    if nearest and len(forms) > 1:
        # "A100" is all of its boards, so it keeps the name it was asked by.
        best = replace(same[0], name=text)
    else:
        best = same[0]
        same = [gpu for gpu in same if _words(gpu.name) == _words(best.name)]
    return replace(best, pci_ids=tuple(dict.fromkeys(pci for gpu in same for pci in gpu.pci_ids)))


def _words(text: str) -> frozenset[str]:
    lowered = re.sub(r"\((?:r|tm)\)", " ", _MIG.sub(" ", text.lower()))
    lowered = re.sub(r"([0-9]+)\s*gi?b?\b(?=\s|$|[^0-9a-z])", r"\1gb", lowered)
    lowered = _ENDING.sub(r" \1", _GLUED.sub(r"\1 ", lowered))
    lowered = re.sub(r"\bmax-?\s?q\b|\bmobile\b|\bnotebook\b", "laptop", lowered)
    return frozenset(re.findall(r"[a-z0-9+]+", lowered)) - _NOISE


def _key(words: Iterable[str]) -> frozenset[str]:
    """The words that decide which chip it is."""
    return frozenset(word for word in words if word not in _LINES and not _FORM.fullmatch(word))


@cache
def _index() -> dict[frozenset[str], list[tuple[frozenset[str], Gpu]]]:
    index: dict[frozenset[str], list[tuple[frozenset[str], Gpu]]] = {}
    for name, gpu in _named():
        words = _words(name)
        if key := _key(words):
            index.setdefault(key, []).append((words, gpu))
    return index


def _index_of_lines(words: frozenset[str]) -> list[tuple[frozenset[str], Gpu]]:
    """Boards of a product line, for a text that names no more than the line ("Quadro RTX")."""
    lines = words & _LINES
    return [pair for pairs in _index().values() for pair in pairs if lines and lines <= pair[0]]


@cache
def _named() -> tuple[tuple[str, Gpu], ...]:
    return tuple((name, replace(gpu, name=name)) for gpu, names in _boards().items() for name in names)


@cache
def _boards() -> dict[Gpu, tuple[str, ...]]:
    """Every board of the facts, with its names."""
    boards: dict[Gpu, tuple[str, ...]] = {}
    for row in data.nvidia_gpus():
        gpu = Gpu(
            vendor="nvidia",
            name=row.product,
            compute_capability=row.compute_capability,
            gfx=None,
            generation=row.architecture,
            pci_ids=row.pci_ids,
            sources=row.sources,
            unverified=row.unverified,
        )
        boards[gpu] = (*row.names, row.chip)
    for board in data.amd_gpus():
        gpu = Gpu(
            vendor="amd",
            name=board.product,
            compute_capability=None,
            gfx=board.gfx,
            generation=board.architecture,
            pci_ids=board.pci_ids,
            sources=board.sources,
            unverified=board.unverified,
        )
        boards[gpu] = (*board.names, *filter(None, [board.codename]))
    return boards
