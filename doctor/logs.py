"""Diagnosis of a log alone: no machine needed, nothing touched."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from typing import BinaryIO

from doctor.diagnose import diagnose, weighed
from doctor.errors import UsageError
from doctor.finding import Finding
from doctor.knowledge import Base
from doctor.match import Patterns, findings, whole_lines
from doctor.report import Report
from doctor.unexplained import failures
from doctor.values import derive
from doctor.version import __version__

BINARY_MAGICS = {
    b"\x7fELF": "an ELF file; try `gpu-doctor binary`",
    b"\x1f\x8b": "gzip-compressed; unpack it first, or give it to `gpu-doctor triage`",
    b"PK\x03\x04": "a zip archive; give it to `gpu-doctor triage`, or a wheel to `gpu-doctor binary`",
    b"\x28\xb5\x2f\xfd": "zstd-compressed; unpack it first",
    b"\xfd7zXZ": "xz-compressed; unpack it first",
    b"BZh": "bzip2-compressed; unpack it first",
    b"\x89PNG": "a picture; paste its text instead",
    b"\xff\xd8\xff": "a picture; paste its text instead",
    b"%PDF": "a PDF; paste its text instead",
    b'{\n  "schema": "gpu-doctor/report/': "a report that gpu-doctor made; `gpu-doctor diff` compares two",
    b'{"schema": "gpu-doctor/report/': "a report that gpu-doctor made; `gpu-doctor diff` compares two",
}


def now() -> str:
    """The time as the report writes it: UTC, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def binary_kind(head: bytes) -> str | None:
    """What a file is that is not text, from its first bytes; None when it may be a log."""
    for magic, kind in BINARY_MAGICS.items():
        if head.startswith(magic):
            return kind
    if head.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")):
        return None
    controls = sum(byte < 9 or 13 < byte < 27 for byte in head)
    # Packed or encrypted data has all bytes alike; letters of another alphabet come without control characters.
    is_mixed = controls * 25 > len(head) and sum(byte > 127 for byte in head) * 4 > len(head)
    return "a binary file" if controls * 10 > len(head) or is_mixed else None


def explain_stream(
    stream: BinaryIO,
    name: str,
    base: Base,
    patterns: Patterns,
    created: str | None = None,
    beside: Sequence[Finding] = (),
    notes: Sequence[str] = (),
) -> Report:
    """Diagnose one log. Raises UsageError when it is not text.

    `beside` is what is known from elsewhere, such as the image that printed it: both about one thing are one diagnosis.
    """
    head = stream.read(8192)
    if kind := binary_kind(head):
        raise UsageError(f"{name} is not a log: it is {kind}")
    scan = patterns.scan(whole_lines(stream, head), name)
    said = findings(scan, base)
    diagnoses = diagnose([derive(one) for one in (*(weighed(one, said) for one in beside), *said)], base)
    return Report(
        kind="log",
        name=name,
        created=created or now(),
        tool_version=__version__,
        diagnoses=diagnoses.ranked,
        set_aside=diagnoses.set_aside,
        failures=failures(scan),
        notes=(*base.errors, *notes),
        examined=scan.size > 0,
        not_examined=() if scan.size else ("the log is empty",),
    )


def explain_text(text: str, name: str, base: Base, patterns: Patterns) -> Report:
    """Diagnose a log that is already text, such as a paste."""
    return explain_stream(io.BytesIO(text.encode("utf-8", "replace")), name, base, patterns)


def run_examples(base: Base, patterns: Patterns, identities: Iterable[str] | None = None) -> list[str]:
    """Run the examples of entries through the whole street; each failure as `file:line: what happened`."""
    failures = []
    for identity in identities if identities is not None else base.entries:
        entry = base.entries[identity]
        for example in entry.examples:
            report = explain_text(example.text, f"{identity} example", base, patterns)
            causes = [item for item in report.diagnoses if item.severity != "note" or not example.near_miss]
            first = causes[0].finding.fault if causes else "none"
            found = {item.finding.fault for item in report.diagnoses}
            where = f"{entry.file}:{example.at}"
            if first != example.fault:
                failures.append(f"{where}: expected {example.fault}, found {first}")
            elif example.near_miss and identity in found and identity != example.fault:
                failures.append(f"{where}: a near miss, but {identity} is among the findings")
            elif not example.near_miss:
                values = causes[0].finding.values
                wrong = {k: (v, values.get(k)) for k, v in example.values.items() if values.get(k) != v}
                failures += [f"{where}: expected {k}={v!r}, found {got!r}" for k, (v, got) in wrong.items()]
    return failures
