"""The image probe: what is in the files of the container's image, or of an image that was named, as JSON.

Names, versions and targets only, never bytes; read through the layers as they lie, nothing run.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator

from doctor.errors import UsageError
from doctor.image.examination import Cancelled, Examination, Progress
from doctor.image.inventory import examine
from doctor.image.record import to_json
from doctor.probes import Probe
from doctor.probes.system import System
from doctor.snapshot import Reading, Target

SECONDS = 60.0
KEY = "image:contents"
_GOARCH = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64", "ppc64le": "ppc64le"}


def image_content(system: System, target: Target) -> Iterator[Reading]:
    reference = target.image or (f"container://{target.container}" if target.container else "")
    if not reference or not system.live:
        return
    started = time.monotonic()
    limit = SECONDS * system.patience * 0.9

    def tell(progress: Progress) -> None:
        if time.monotonic() - started > limit:
            raise Cancelled

    machine = platform.machine()
    try:
        contents = examine(reference, f"linux/{_GOARCH.get(machine, machine)}", Examination(tell=tell))
    except UsageError as error:
        yield system.reading(KEY, "failed", error=str(error))
        return
    except Cancelled:
        yield system.reading(KEY, "timeout", error=f"not read within {limit:g} s; `gpu-doctor image` takes the time")
        return
    text = json.dumps(to_json(contents), sort_keys=True)
    yield system.reading(KEY, "ok", text, seconds=time.monotonic() - started)


PROBES = (
    Probe(
        "image_content",
        "of the container's image, or one you name: what packages, libraries and GPU code its layers hold",
        image_content,
        timeout=SECONDS,
    ),
)
