"""bbolt databases, read without the program that owns them: containerd keeps there what lies in which folder.

A file is taken in whole and nothing is locked: a writer never touches the pages of its last finished transaction, and
whether one was finished meanwhile is seen by the number that both ends of the reading show.

Format: https://github.com/etcd-io/bbolt/blob/main/internal/common/page.go , …/meta.go , …/bucket.go and inode.go
(little-endian machines only).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

LARGEST = 256 << 20
_PAGE = struct.Struct("<QHHI")
_META = struct.Struct("<IIIIQQQQQQ")
_BRANCH = struct.Struct("<IIQ")
_LEAF = struct.Struct("<IIII")
_MAGIC, _VERSION = 0xED0CDAED, 2
_IS_BRANCH, _IS_LEAF, _IS_BUCKET = 1, 2, 1
_LEVELS = 32
_TRIES = 5


class NotBolt(OSError):
    """The file is no such database, is damaged, or changes faster than it can be read."""

    def __init__(self, why: str) -> None:
        super().__init__(0, why)


class Bucket:
    """A bucket: values and further buckets by key, in the order of the keys."""

    def __init__(self, data: bytes, size: int, root: bytes | int) -> None:
        """`root`: the number of its first page, or the page itself where it lies in its parent. `size` of a page."""
        self._data = data
        self._size = size
        self._root = root

    def items(self) -> Iterator[tuple[bytes, bytes | Bucket]]:
        """Keys, each with its value or its bucket. Raises NotBolt."""
        pages = [(self._root, 0)]
        seen = 0
        while pages:
            root, level = pages.pop()
            page = self._page(root) if isinstance(root, int) else root
            seen += 1
            if level > _LEVELS or seen > len(self._data) // self._size + 1:
                raise NotBolt("its pages lead in a circle")
            try:
                _, flags, count, _ = _PAGE.unpack_from(page)
                if flags & _IS_BRANCH:
                    rows = [_BRANCH.unpack_from(page, at) for at in range(16, 16 + 16 * count, 16)]
                    pages += [(number, level + 1) for _, _, number in reversed(rows)]
                elif flags & _IS_LEAF:
                    yield from self._leaf(page, count)
                else:
                    raise NotBolt("a page of another kind where data should be")
            except struct.error:
                raise NotBolt("a page ends early") from None

    def _page(self, number: int) -> bytes:
        at = number * self._size
        header = self._data[at : at + 16]
        if len(header) < 16:
            raise NotBolt("a page that is not there")
        return self._data[at : at + (1 + _PAGE.unpack(header)[3]) * self._size]

    def _leaf(self, page: bytes, count: int) -> Iterator[tuple[bytes, bytes | Bucket]]:
        for at in range(16, 16 + 16 * count, 16):
            flags, place, key_size, size = _LEAF.unpack_from(page, at)
            start = at + place
            key, value = page[start : start + key_size], page[start + key_size : start + key_size + size]
            if not flags & _IS_BUCKET:
                yield key, value
                continue
            number = struct.unpack_from("<Q", value)[0]
            yield key, Bucket(self._data, self._size, number or value[16:])

    def bucket(self, *keys: bytes) -> Bucket | None:
        """The bucket that lies under these keys. Raises NotBolt."""
        here: Bucket | None = self
        for key in keys:
            found = here.get(key) if here else None
            here = found if isinstance(found, Bucket) else None
        return here

    def get(self, key: bytes) -> bytes | Bucket | None:
        """What has this key, or None. Raises NotBolt."""
        return next((value for name, value in self.items() if name == key), None)

    def text(self, key: bytes) -> str:
        """The value of a key as text, empty where there is none. Raises NotBolt."""
        value = self.get(key)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def read(path: str) -> Bucket:
    """The outermost bucket of a database. Raises OSError, NotBolt among them."""
    with open(path, "rb") as file:
        for _ in range(_TRIES):
            if os.fstat(file.fileno()).st_size > LARGEST:
                raise NotBolt(f"larger than {LARGEST >> 20} MB")
            file.seek(0)
            data = file.read(LARGEST)
            size, root, transaction = _newest(data)
            file.seek(0)
            if _newest(file.read(2 * size) + data[2 * size :])[2] == transaction:
                return Bucket(data, size, root)
    raise NotBolt("it changes faster than it can be read")


def _newest(data: bytes) -> tuple[int, int, int]:
    """Page size, first page and number of the last finished transaction, by whichever of the two heads is whole."""
    found = []
    for at in (0, *(1 << bits for bits in range(9, 17))):
        fields = data[at + 16 : at + 16 + _META.size]
        if len(fields) < _META.size:
            break
        magic, version, size, _, root, _, _, _, transaction, checksum = _META.unpack(fields)
        if magic == _MAGIC and version == _VERSION and checksum == _fnv(fields[:-8]) and at in (0, size) and size:
            found.append((transaction, size, root))
    if not found:
        raise NotBolt("not a bbolt database")
    transaction, size, root = max(found)
    return size, root, transaction


def _fnv(data: bytes) -> int:
    """FNV-1a in 64 bits."""
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value
