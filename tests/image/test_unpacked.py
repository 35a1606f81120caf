"""Random access into what comes one byte after another: equal to the bytes themselves, in flat memory."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable

import pytest

from doctor.binary.reader import Memory
from doctor.image import unpacked as module
from doctor.image.examination import Examination
from doctor.image.unpacked import Broken, Unpacked, streamed, unpacked
from tests.image.conftest import zstd


def members(data: bytes) -> bytes:
    """Several gzip members one after another, as pigz and stargz write them, with padding at the end."""
    return b"".join(gzip.compress(data[at : at + 70_000], 1) for at in range(0, len(data), 70_000)) + bytes(300)


def frames(data: bytes) -> bytes:
    """Several zstd frames, with a skippable one in front, as zstd:chunked writes them."""
    skippable = b"\x50\x2a\x4d\x18" + (4).to_bytes(4, "little") + b"note"
    return skippable + b"".join(zstd(data[at : at + 70_000]) for at in range(0, len(data), 70_000))


@pytest.fixture(scope="module")
def data() -> bytes:
    noise = random.Random(7)
    return b"".join(noise.randbytes(3_000) + bytes([noise.randrange(256)]) * 9_000 for _ in range(200))


@pytest.mark.parametrize("pack", [lambda data: gzip.compress(data, 6), members, zstd, frames])
def test_any_place_gives_the_same_bytes(
    pack: Callable[[bytes], bytes], data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SPACING", 100_000)
    monkeypatch.setattr(module, "POINTS", 8)
    source, _ = unpacked(Memory(pack(data)), Examination(), at_once=True)
    assert isinstance(source, Unpacked)
    places = random.Random(8)
    for _ in range(60):
        at, size = places.randrange(len(data) + 5_000), places.randrange(1, 60_000)
        assert source.read_at(at, size) == data[at : at + size]
    assert source.read_at(0, len(data) + 1) == data
    assert len(source._points) <= 8


def test_stream_begins_again_to_go_back(data: bytes) -> None:
    begun = []

    def feed():  # type: ignore[no-untyped-def]
        begun.append(1)
        yield from (data[at : at + 4_096] for at in range(0, len(data), 4_096))

    source = streamed(feed, Examination())
    assert source.read_at(500_000, 10) == data[500_000:500_010]
    assert source.read_at(900_000, 10) == data[900_000:900_010]
    assert source.read_at(5, 10) == data[5:15]
    assert source.read_at(len(data) - 2, 10) == data[-2:]
    assert len(begun) - 1 == 1


@pytest.mark.parametrize("pack", [lambda data: gzip.compress(data, 6), zstd])
def test_cut_short(pack: Callable[[bytes], bytes], data: bytes) -> None:
    packed = pack(data)
    source, _ = unpacked(Memory(packed[: len(packed) // 2]), Examination(), at_once=True)
    with pytest.raises(Broken):
        source.read_at(len(data) - 10, 10)
    assert source.read_at(0, 100) == data[:100]


def checked(data: bytes) -> bytes:
    """zstd with a checksum: without one, damage inside a literal is not damage to the format."""
    from backports.zstd import CompressionParameter, compress

    return compress(data, options={CompressionParameter.checksum_flag: 1})


@pytest.mark.parametrize("pack", [lambda data: gzip.compress(data, 6), checked])
def test_damage_in_the_middle(pack: Callable[[bytes], bytes], data: bytes) -> None:
    packed = bytearray(pack(data))
    packed[len(packed) // 2 : len(packed) // 2 + 64] = bytes(64)
    source, _ = unpacked(Memory(bytes(packed)), Examination(), at_once=True)
    with pytest.raises(Broken):
        source.read_at(0, len(data))
