"""Static archives (`lib*.a`): the objects in them, in place.

Source: https://man.freebsd.org/cgi/man.cgi?query=ar&sektion=5 (common header, BSD names) and
https://www.sco.com/developers/gabi/latest/ch4.eheader.html's companion `ar.h` (GNU long names and symbol tables start
with `/` and are skipped).
"""

from __future__ import annotations

from collections.abc import Iterator

from doctor.binary.magic import STATIC_ARCHIVE
from doctor.binary.reader import Damaged, Part, Reader

_HEADER = 60
MAX_MEMBERS = 100_000


def objects(reader: Reader) -> Iterator[Reader]:
    """A reader for each member that is not a symbol table; all draw on the budget of `reader`. Raises Damaged."""
    at = len(STATIC_ARCHIVE)
    for _ in range(MAX_MEMBERS):
        if at >= reader.size:
            return
        header = reader.exactly(at, _HEADER, "a static archive's member header")
        if header[58:60] != b"`\n":
            raise Damaged(at, "no member of a static archive where one should be")
        try:
            size = int(header[48:58])
        except ValueError:
            raise Damaged(at + 48, "a member of a static archive without a size") from None
        at += _HEADER
        if not 0 <= size <= reader.size - at:
            raise Damaged(at, f"a member of a static archive says {size} bytes, but only {reader.size - at} are left")
        if not header.startswith((b"/ ", b"// ", b"/SYM64/", b"__.SYMDEF")):
            # A BSD long name stands before the object itself.
            name = int(header[3:16]) if header[:3] == b"#1/" and header[3:16].strip().isdigit() else 0
            yield Reader(Part(reader, at + min(name, size), size - min(name, size)))
        at += size + size % 2
    raise Damaged(at, f"more than {MAX_MEMBERS} members in a static archive")
