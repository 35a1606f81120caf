"""docker inspect and docker info, Podman's too where they have the same form.

https://docs.docker.com/reference/api/engine/ : the JSON of GET /containers/{id}/json, /images/{name}/json and /info.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from doctor.bundles.pasted import Pasted, pairs
from doctor.snapshot import Reading

OPENING = re.compile(r"^[ \t]*(?=\[\s*\{\s*\"|\{\s*\")", re.MULTILINE)
TRIES = 200
LOG = 256 << 10
NAMES = re.compile(r"^ (?P<name>[A-Z][\w ]+): *(?P<value>.*)$", re.MULTILINE)


def objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects of a text, also those in lists, where one begins a line."""
    decoder = json.JSONDecoder()
    at = 0
    for _ in range(TRIES):
        found = OPENING.search(text, at)
        if not found:
            return
        try:
            value, at = decoder.raw_decode(text, found.end())
        except ValueError:
            at = found.end() + 1
            continue
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                yield one


def inspect(text: str, name: str) -> Pasted | None:
    """The container and the image that were inspected; the first of each."""
    found = list(objects(text))
    container = next((one for one in found if "HostConfig" in one and "State" in one and "Config" in one), None)
    images = [one for one in found if "RepoTags" in one and "Architecture" in one]
    readings = []
    if container:
        # What the ticket's program said is the container's log as far as it is known.
        readings.append(Reading("docker:log", "ok", text[-LOG:]))
        # The engine writes the name with a slash before it.
        content = {"Id": "", "Image": "", **container, "Name": str(container.get("Name", "")).lstrip("/")}
        readings.append(Reading("docker:container", "ok", json.dumps(content)))
    if images:
        readings.append(Reading("docker:image", "ok", json.dumps(images[0])))
    if not readings:
        return None
    config = (container or {}).get("Config") or {}
    tags = [tag for one in images for tag in one.get("RepoTags") or ()]
    image = str(config.get("Image") or "") or next(iter(tags), "")
    named = str((container or {}).get("Name", "")).lstrip("/")
    engine = "podman" if "OCIRuntime" in (container or {}) else "docker"
    return Pasted("docker inspect", tuple(readings), pairs(container=named, image=image), pairs(engine=engine))


def info(text: str, name: str) -> Pasted | None:
    """The engine's own account: JSON, or the text of `docker info`."""
    content = next((one for one in objects(text) if "DefaultRuntime" in one), None) or _of_text(text)
    if not content:
        return None
    version = json.dumps({"Version": content.get("ServerVersion", ""), "Components": []})
    readings = (Reading("docker:info", "ok", json.dumps(content)), Reading("docker:version", "ok", version))
    return Pasted("docker info", readings, circumstances=(("engine", "docker"),))


def _of_text(text: str) -> dict[str, Any]:
    told = {one["name"]: one["value"].strip() for one in NAMES.finditer(text)}
    if not {"Runtimes", "Default Runtime", "Server Version"} <= told.keys():
        return {}
    security = re.search(r"^ Security Options:\n((?:  .*\n)*)", text, re.MULTILINE)
    content: dict[str, Any] = {
        "ServerVersion": told["Server Version"],
        "Runtimes": {one: {} for one in told["Runtimes"].split()},
        "DefaultRuntime": told["Default Runtime"],
        "CgroupDriver": told.get("Cgroup Driver", ""),
        "CgroupVersion": told.get("Cgroup Version", ""),
        "Architecture": told.get("Architecture", ""),
        "DockerRootDir": told.get("Docker Root Dir", ""),
        "SecurityOptions": security.group(1).split() if security else [],
    }
    folders = re.search(r"^ CDI spec directories:\n((?:  .*\n)*)", text, re.MULTILINE)
    if folders:
        content["CDISpecDirs"] = folders.group(1).split()
    return content
