"""What is in the files of the image that was asked about, as the image probe recorded it, and what follows from it."""

from __future__ import annotations

import json

from doctor.facts.unknown import Unknown
from doctor.image.record import Contents, from_json
from doctor.image.verdict import Verdict, arch_of, findings, judge
from doctor.snapshot import Snapshot

__all__ = ["Contents", "Verdict", "arch_of", "findings", "image_content", "judge"]

READING = "image:contents"


def image_content(snapshot: Snapshot) -> Contents | Unknown:
    reading = snapshot.get(READING)
    if reading is None or reading.state != "ok":
        return Unknown(reading.why_not if reading else "no image's files were looked at", READING)
    return from_json(json.loads(reading.text))
