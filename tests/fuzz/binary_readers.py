"""A fuzz target for each reader of binary formats, and a mutating driver that needs nothing but Python.

    python tests/fuzz/binary_readers.py [TARGET] [SECONDS]

A target takes any bytes. It fails by raising anything but Damaged or by giving a result that does not survive JSON.
`tests/binary/test_bad_input.py` runs each for a few hundred inputs; an atheris run can use TARGETS as it is.
"""

from __future__ import annotations

import json
import random
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from doctor.binary.bundle import count_bundles
from doctor.binary.cubin import cubin_target
from doctor.binary.details import details
from doctor.binary.device_code import Depth
from doctor.binary.elf import read_elf
from doctor.binary.fatbin import count_images
from doctor.binary.offload import count_offload_images
from doctor.binary.ptx import count_ptx
from doctor.binary.reader import Damaged, Memory, Problems, Reader
from doctor.binary.record import Counts, from_json, to_json
from doctor.binary.scan import scan_file
from doctor.binary.static_archive import objects
from doctor.binary.zip_archive import members, open_member
from doctor.loader.ldconfig import by_name, parse_cache

FIXTURES = Path(__file__).parent.parent / "binary" / "fixtures"
READS = 200_000


def _counting(
    count: Callable[[Reader, int, int, Counts, Problems], None],
) -> Callable[[bytes], None]:
    def target(data: bytes) -> None:
        with suppress(Damaged):
            count(Reader(Memory(data), reads=READS), 0, len(data), {}, Problems())

    return target


def elf(data: bytes) -> None:
    reader = Reader(Memory(data), reads=READS)
    with suppress(Damaged):
        headers = read_elf(reader)
        if headers.machine == "cuda":
            cubin_target(reader, headers)


def more_of_elf(data: bytes) -> None:
    with suppress(Damaged):
        json.dumps(details(Reader(Memory(data))))


def ld_so_cache(data: bytes) -> None:
    with suppress(Damaged):
        by_name(parse_cache(Reader(Memory(data))), "x86_64", 64, ("x86-64-v3",))


def fatbin(data: bytes) -> None:
    for expected in (True, False):
        _counting(lambda *words, flag=expected: count_images(*words, expected=flag))(data)


def ptx(data: bytes) -> None:
    with suppress(Damaged):
        count_ptx(Reader(Memory(data)), {})


def static_archive(data: bytes) -> None:
    with suppress(Damaged):
        for member in objects(Reader(Memory(data), reads=READS)):
            assert 0 <= member.size <= len(data)


def zip_archive(data: bytes) -> None:
    reader = Reader(Memory(data), reads=READS)
    with suppress(Damaged):
        for member in members(reader):
            with suppress(Damaged):
                content = open_member(reader, member)
                assert len(content.read_at(content.size // 2, 64)) <= 64
                assert len(content.read_at(0, 64)) <= 64


def file(data: bytes) -> None:
    for depth in Depth:
        found = scan_file(Reader(Memory(data), reads=READS), "fuzz/gfx90a.co", depth)
        assert from_json(json.loads(json.dumps(to_json(found)))) == found


TARGETS: dict[str, Callable[[bytes], None]] = {
    "elf": elf,
    "details": more_of_elf,
    "fatbin": fatbin,
    "bundle": _counting(count_bundles),
    "offload": _counting(count_offload_images),
    "ptx": ptx,
    "static_archive": static_archive,
    "zip_archive": zip_archive,
    "ld_so_cache": ld_so_cache,
    "file": file,
}

_SEEDS = {
    "elf": ("cuda/k90a.cubin", "cuda/mixed.so", "amd/o_gfx942.hsaco", "cuda/relocatable.o"),
    "details": ("cuda/mixed.so", "cuda/relocatable.o", "amd/offload.o"),
    "fatbin": ("cuda/k.fatbin", "cuda/lto.fatbin"),
    "bundle": ("amd/b_plain.hipfb", "amd/b_c_v1.hipfb", "amd/b_c_v2.hipfb", "amd/b_c_v3.hipfb", "amd/cat_tight.hipfb"),
    "offload": ("amd/packed.offload",),
    "ptx": ("cuda/k90a.ptx",),
    "static_archive": ("cuda/libdevice.a",),
}


def seeds(target: str) -> list[bytes]:
    """Valid inputs of a target to start from."""
    if target == "zip_archive":
        return [_zip(method) for method in (0, 8)]
    if target == "ld_so_cache":
        return [_cache()]
    names = _SEEDS.get(target) or tuple([name for row in _SEEDS.values() for name in row] + ["cuda/no_sections.so"])
    return [(FIXTURES / name).read_bytes() for name in names]


def _zip(method: int) -> bytes:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.write(FIXTURES / "cuda/k90a.cubin", "a.cubin")
        archive.write(FIXTURES / "amd/b_c_v3.hipfb", "b/c.co")
    return buffer.getvalue()


def _cache() -> bytes:
    """An ld.so.cache of the new format with two libraries."""
    texts = b"liba.so.1\0/lib/liba.so.1\0libb.so.2\0/usr/lib/libb.so.2\0"
    at = 48 + 2 * 24
    rows = [struct.pack("<iIIIQ", 0x303, at + key, at + value, 0, 0) for key, value in ((0, 10), (25, 35))]
    head = b"glibc-ld.so.cache1.1" + struct.pack("<IIB3xI12x", 2, len(texts), 2, 0)
    return head + b"".join(rows) + texts


_NUMBERS = (0, 1, 2, 3, 7, 8, 63, 64, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1, (1 << 64) - 8)


def mutated(seed: bytes, source: random.Random) -> bytes:
    """`seed` with a few fields overwritten by telling numbers or noise, and perhaps cut or repeated."""
    data = bytearray(seed)
    # Headers are at the start and, for ELF and zip, at the end: most changes go there.
    for _ in range(source.choice((1, 1, 2, 4, 16))):
        width = source.choice((1, 2, 4, 8))
        where = source.choice((source.randrange(min(len(data), 256)), source.randrange(len(data)), len(data) - 64))
        where = max(0, min(where + source.randrange(-8, 9), len(data) - width))
        value = source.choice((*_NUMBERS, source.getrandbits(64), len(data)))
        data[where : where + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    if source.random() < 0.2:
        del data[source.randrange(1, len(data) + 1) :]
    if source.random() < 0.1:
        start = source.randrange(len(data) or 1)
        data[start:start] = data[start : start + source.randrange(4096)]
    return bytes(data)


def main() -> int:
    chosen = sys.argv[1:2] or list(TARGETS)
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    for name in chosen:
        source = random.Random()
        inputs = seeds(name)
        end = time.monotonic() + seconds
        worst = 0.0
        runs = 0
        while time.monotonic() < end:
            data = mutated(source.choice(inputs), source)
            start = time.monotonic()
            try:
                TARGETS[name](data)
            except BaseException:
                Path(f"crash-{name}").write_bytes(data)
                raise
            worst = max(worst, time.monotonic() - start)
            runs += 1
        print(f"{name}: {runs} inputs, slowest {worst * 1000:.0f} ms")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
