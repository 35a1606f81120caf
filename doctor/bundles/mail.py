"""Mail: mailboxes (RFC 4155) cut into messages, and messages (RFC 5322) into the texts that they carry."""

from __future__ import annotations

import email
import email.policy
import html
import re
from collections.abc import Iterator
from email.message import EmailMessage
from typing import BinaryIO

from doctor.bundles.archives import TEXT, Budget, leaves, printable
from doctor.bundles.ticket import Leaf

PARTS = 200
HEADER = re.compile(
    rb"(?:From|To|Subject|Date|Received|Return-Path|Message-ID|MIME-Version|Delivered-To|X-[\w-]+): ", re.IGNORECASE
)
TAGS = re.compile(r"<(?:style|script)\b.*?</(?:style|script)>|<[^>]{0,2000}>", re.DOTALL | re.IGNORECASE)
BREAKS = re.compile(r"<(?:br|/p|/div|/li|/tr|/pre)\b[^>]{0,200}>", re.IGNORECASE)


def is_mailbox(head: bytes) -> bool:
    """Whether it begins as a mailbox does: a `From ` line, then headers."""
    first, _, rest = head.partition(b"\n")
    return first.startswith(b"From ") and bool(re.search(rb"\d\d:\d\d", first)) and bool(HEADER.match(rest))


def is_message(head: bytes) -> bool:
    """Whether it begins with the headers of a message."""
    lines = [line for line in head.replace(b"\r", b"").split(b"\n")[:12] if not line.startswith((b" ", b"\t"))]
    return len(lines) > 3 and sum(bool(HEADER.match(line)) for line in lines[:8]) >= 3


def messages(stream: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Each message of a mailbox, and whether it was cut because it is too large."""
    held: list[bytes] = []
    size, cut, blank = 0, False, True
    for line in _lines(stream):
        if blank and line.startswith(b"From ") and held:
            yield b"".join(held), cut
            held, size, cut = [], 0, False
        blank = not line.strip()
        if size > TEXT:
            cut = True
        elif size or not line.startswith(b"From "):
            held.append(line[1:] if line.startswith(b">From ") else line)
            size += len(line)
        else:
            held.append(b"")
    if size:
        yield b"".join(held), cut


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    while line := stream.readline(1 << 20):
        yield line


def texts(name: str, data: bytes) -> Iterator[Leaf]:
    """What a message carries: its subject and body as one text, and each attachment."""
    message: EmailMessage = email.message_from_bytes(data, policy=email.policy.default)
    body, attached = [f"Subject: {_header(message, 'subject')}"], list[tuple[str, EmailMessage]]()
    has_plain = any(part.get_content_type() == "text/plain" for part in message.walk())
    for number, part in enumerate(message.walk()):
        kind, file = part.get_content_type(), part.get_filename()
        if number > PARTS or part.is_multipart():
            continue
        if file or part.get_content_maintype() != "text":
            attached.append((file or f"part {number}", part))
        elif kind == "text/plain" or not has_plain:
            text = _text(part)
            body.append(_without_markup(text) if kind == "text/html" else text)
    yield Leaf(name, "\n\n".join(body).encode("utf-8", "replace"))
    budget = Budget(len(data))
    for file, part in attached:
        if part.get_content_maintype() in ("image", "audio", "video"):
            continue
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            yield from _attachment(f"{name}:{printable(file)}", content, budget)


def _attachment(name: str, content: bytes, budget: Budget) -> Iterator[Leaf]:
    import io

    yield from leaves(name, content[:512], io.BytesIO(content), budget)


def _header(message: EmailMessage, name: str) -> str:
    try:
        return " ".join(str(message.get(name, "")).split())
    except (ValueError, LookupError, TypeError, AttributeError, IndexError):
        return ""  # the standard library stumbles over some malformed headers


def _text(part: EmailMessage) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    try:
        return content.decode(part.get_content_charset() or "utf-8", "replace")
    except LookupError:
        return content.decode("utf-8", "replace")


def _without_markup(text: str) -> str:
    return html.unescape(TAGS.sub("", BREAKS.sub("\n", text)))
