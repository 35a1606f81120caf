"""ld.so.cache and ld.so.conf read as the loader and ldconfig read them, also when they lie."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from doctor.binary.reader import Damaged, Memory, Reader
from doctor.loader.ldconfig import Cache, CacheEntry, by_name, configured_folders, matches, parse_cache
from doctor.tree import Paths, RecordedTree
from tests.loader.conftest import Root


def parsed(data: bytes) -> Cache:
    return parse_cache(Reader(Memory(data)))


def printed(root: Root) -> list[tuple[str, str]]:
    """What ldconfig itself says is in the cache."""
    program = shutil.which("ldconfig", path="/sbin:/usr/sbin:/usr/bin:/bin")
    assert program is not None
    done = subprocess.run([program, "-r", str(root.folder), "-p"], capture_output=True, check=True)
    return re.findall(r"\t(\S+) \(.*\) => (\S+)", done.stdout.decode("utf-8", "replace"))


def filled(root: Root, *options: str) -> bytes:
    root.text("/etc/ld.so.conf", "/opt/one\n/opt/two\n")
    root.library("/opt/one/libone.so.1")
    root.library("/opt/two/libtwo.so.1")
    root.library("/opt/two/libone.so.1")
    root.library("/opt/one/glibc-hwcaps/x86-64-v3/libone.so.1")
    root.library("/opt/two/lib32.so.1", options=["-m32"])
    root.ldconfig(*options)
    return root.path("/etc/ld.so.cache").read_bytes()


@pytest.mark.parametrize("format", ["new", "compat", "old"])
def test_what_ldconfig_wrote_is_what_it_says(root: Root, format: str) -> None:
    cache = parsed(filled(root, "-c", format))
    entries = [(entry.name, entry.path) for entry in cache.entries]
    if format == "old":
        # ldconfig prints nothing of a cache in the old format alone, which has no folders for a processor.
        assert ("libtwo.so.1", "/opt/two/libtwo.so.1") in entries
        assert all(entry.hwcaps is None for entry in cache.entries)
        return
    assert entries == printed(root)
    assert "ldconfig" in (cache.generator or "")
    if format == "compat":
        # Here ldconfig counts the names of the folders from the wrong place, and the loader finds none of them.
        assert by_name(cache, "x86_64", 64, ("x86-64-v3",))["libone.so.1"] == "/opt/one/libone.so.1"
        return
    assert [entry.hwcaps for entry in cache.entries if "glibc-hwcaps" in entry.path] == ["x86-64-v3"]
    assert by_name(cache, "x86_64", 64, ("x86-64-v3",))["libone.so.1"].endswith("x86-64-v3/libone.so.1")
    assert by_name(cache, "x86_64", 64, ())["libone.so.1"] in ("/opt/one/libone.so.1", "/opt/two/libone.so.1")
    assert by_name(cache, "i386", 32, ()) == {"lib32.so.1": "/opt/two/lib32.so.1"}


def made(rows: list[tuple[int, bytes, bytes, int]], order: str = "<", flags: int = 2, hwcaps: bytes = b"") -> bytes:
    """A cache in the new format, of either byte order."""
    start = 48 + 24 * len(rows)
    strings = b""
    table = b""
    for kind, name, path, hwcap in rows:
        at = start + len(strings)
        table += struct.pack(order + "iIIIQ", kind, at, at + len(name) + 1, 0, hwcap)
        strings += name + b"\0" + path + b"\0"
    strings += hwcaps + b"\0"
    strings += b"\0" * (-(start + len(strings)) % 4)
    extensions = start + len(strings)
    header = b"glibc-ld.so.cache1.1" + struct.pack(order + "II", len(rows), len(strings))
    header += bytes([flags, 0, 0, 0]) + struct.pack(order + "IIII", extensions, 0, 0, 0)
    directory = struct.pack(order + "II", 0xEAA42174, 1)
    directory += struct.pack(order + "IIII", 1, 0, extensions + 24, 4)
    directory += struct.pack(order + "I", extensions - len(hwcaps) - 1 - (extensions - len(hwcaps) - 1) % 1)
    return header + table + strings + directory


@pytest.mark.parametrize(("order", "flags"), [("<", 2), (">", 3), ("<", 0), (">", 0)])
def test_both_byte_orders(order: str, flags: int) -> None:
    cache = parsed(made([(0x303, b"liba.so", b"/l/liba.so", 0)], order, flags))
    assert cache.entries == (CacheEntry("liba.so", "/l/liba.so", 0x303),)


def test_entries_of_other_machines_and_given_up_capabilities_do_not_count() -> None:
    cache = parsed(
        made(
            [
                (0xA03, b"liba.so", b"/arm/liba.so", 0),
                (0x303, b"liba.so", b"/legacy/liba.so", 1 << 3),
                (0x303, b"liba.so", b"/unknown/liba.so", (1 << 62) | 7),
                (0x303, b"liba.so", b"/plain/liba.so", 0),
            ]
        )
    )
    assert by_name(cache, "x86_64", 64, ("x86-64-v3",)) == {"liba.so": "/plain/liba.so"}
    assert by_name(cache, "aarch64", 64, ()) == {"liba.so": "/arm/liba.so"}
    assert by_name(cache, "unheard-of", 64, ()) == {"liba.so": "/arm/liba.so"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"ld.so-1.7.0",
        b"ld.so-1.7.0\0\xff\xff\xff\xff" + b"\xff" * 40,
        b"glibc-ld.so.cache1.1",
        b"glibc-ld.so.cache1.1" + b"\xff" * 28,
        b"glibc-ld.so.cache1.1" + struct.pack("<II", 2, 0) + bytes(20),
        made([(0x303, b"liba.so", b"/l/liba.so", 0)], flags=1),
        b"\x7fELF" + bytes(100),
    ],
)
def test_what_is_no_cache_is_refused(data: bytes) -> None:
    with pytest.raises(Damaged):
        parsed(data)


def test_lying_places_of_strings_lose_only_their_entry() -> None:
    data = bytearray(made([(0x303, b"liba.so", b"/l/liba.so", 0), (0x303, b"libb.so", b"/l/libb.so", 0)]))
    struct.pack_into("<I", data, 48 + 4, 0xFFFFFFF0)
    assert [entry.name for entry in parsed(bytes(data)).entries] == ["libb.so"]


def test_entries_that_share_one_long_string_are_bounded() -> None:
    rows = 20_000
    text = b"x" * 4000
    table = struct.pack("<iIIIQ", 0x303, 48 + 24 * rows, 48 + 24 * rows, 0, 0) * rows
    header = b"glibc-ld.so.cache1.1" + struct.pack("<II", rows, len(text)) + bytes([2, 0, 0, 0]) + bytes(16)
    with pytest.raises(Damaged, match="beyond all measure"):
        parsed(header + table + text + b"\0")
    with pytest.raises(Damaged, match="bytes is not read"):
        parse_cache(Reader(Memory(bytes((32 << 20) + 1))))


@pytest.fixture(scope="module")
def real() -> bytes:
    rows = [(0x303, b"lib%d.so" % number, b"/usr/lib/lib%d.so" % number, number % 3) for number in range(30)]
    old = b"ld.so-1.7.0\0" + struct.pack("<I", 1) + struct.pack("<iII", 3, 0, 0)
    return old + b"\0" * (-len(old) % 8) + made(rows, hwcaps=b"x86-64-v3")


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_cache_gives_entries_or_is_refused(real: bytes, data: st.DataObject) -> None:
    changed = bytearray(real[: data.draw(st.integers(0, len(real)))])
    for _ in range(data.draw(st.integers(0, 6))):
        if len(changed) >= 4:
            at = data.draw(st.integers(0, len(changed) - 4))
            number = data.draw(
                st.sampled_from([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, len(real), 48]) | st.integers(0, 2**32 - 1)
            )
            struct.pack_into("<I", changed, at, number)
    try:
        cache = parsed(bytes(changed))
    except Damaged:
        return
    assert len(cache.entries) <= 30
    assert all(entry.name and entry.path and len(entry.path) <= 4096 for entry in cache.entries)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300).map(lambda tail: b"glibc-ld.so.cache1.1" + tail))
def test_any_bytes_after_the_magic_end_well(data: bytes) -> None:
    try:
        entries = parsed(data).entries
    except Damaged:
        return
    assert len(entries) * 24 <= len(data)


def test_configuration_is_read_like_ldconfig_reads_it() -> None:
    tree = RecordedTree.of(
        {
            "/etc/ld.so.conf": b"/one/ # why\n\n  /two\ninclude ld.so.conf.d/*.conf /more/?.conf\nhwcap 1 nosegneg\nrelative\n",
            "/etc/ld.so.conf.d/b.conf": b"/b\n/one\n",
            "/etc/ld.so.conf.d/a.conf": b"\t/a=libc6\ninclude\t/etc/ld.so.conf\n",
            "/etc/ld.so.conf.d/.hidden.conf": b"/hidden\n",
            "/real/x.conf": b"/x",
        },
        {"/more": "/real"},
    )
    assert configured_folders(Paths(tree)) == (
        ("/one", "/etc/ld.so.conf"),
        ("/two", "/etc/ld.so.conf"),
        ("/a", "/etc/ld.so.conf.d/a.conf"),
        ("/b", "/etc/ld.so.conf.d/b.conf"),
        ("/x", "/more/x.conf"),
    )


def test_a_configuration_that_includes_itself_ends() -> None:
    files = {f"/etc/c/{number}.conf": b"include *.conf\n/f%d\n" % number for number in range(30)}
    tree = RecordedTree.of({"/etc/ld.so.conf": b"include c/*.conf\n", **files})
    assert {folder for folder, _ in configured_folders(Paths(tree))} <= {f"/f{number}" for number in range(30)}


def test_patterns_stay_in_the_tree(tmp_path: Path) -> None:
    tree = RecordedTree.of({"/a/one.so": b"", "/b/two.so": b""}, {"/c": "/b"})
    paths = Paths(tree)
    assert matches(paths, "/*/*.so") == ["/a/one.so", "/b/two.so", "/c/two.so"]
    assert matches(paths, "/../../a/*.so") == ["/../../a/one.so"]
    assert matches(paths, "/[ab]/nothing*") == []
