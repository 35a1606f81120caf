"""kubectl describe, and kubectl get -o json or yaml, of pods and nodes.

https://kubernetes.io/docs/reference/kubectl/generated/kubectl_describe/
"""

from __future__ import annotations

import re
from typing import Any

from doctor.bundles.outputs.inspected import objects
from doctor.bundles.pasted import Pasted, pairs
from doctor.facts import yaml
from doctor.snapshot import Reading

RESOURCES = ("nvidia.com/gpu", "amd.com/gpu")
KUBELET = Reading("node:/var/lib/kubelet", "missing")
KUBERNETES = pairs(cluster="kubernetes")
OF_GPUS = r"device-plugin|gpu-operator|nvidia-|amd-gpu|gpu-feature-discovery"
"""Pods of which doctor/probes/kubernetes.py keeps the rows."""
POD = re.compile(
    r"^ *Name: +\S+ *\n *Namespace: +\S+ *\n(?=(?: .*\n|\S.*\n){0,12}? *(?:Node|Containers):)", re.MULTILINE
)
FIELDS = (("image", r"^ *Image: +(\S+)"), ("pod", r"^ *Name: +(\S+)"), ("namespace", r"^ *Namespace: +(\S+)"),
          ("node", r"^ *Node: +([^\s/]+)"))  # fmt: skip
RUNTIME = re.compile(r"Container Runtime Version: +(?P<engine>\w+)://")
NODE = re.compile(r"^ *Name: +(?P<name>\S+)\s*\n(?: *Roles: .*\n)? *Labels:", re.MULTILINE)
LIST = r"^ *{title}:\s*\n((?: +\S+: .*\n)+)"


def pod(text: str, name: str) -> Pasted | None:
    """Described pods: image, name and node of the first as values; the vendors' plug-ins as kubectl lists them."""
    described = list(POD.finditer(text))
    if not described:
        return None
    ends = [one.start() for one in described[1:]] + [len(text)]
    parts = [text[one.start() : end] for one, end in zip(described, ends, strict=True)]
    values = {key: _value(parts[0], pattern) for key, pattern in FIELDS}
    rows = [row for part in parts if re.search(OF_GPUS, row := _pod_row(part))]
    readings = (KUBELET, Reading("command:kubectl get pods", "ok", "\n".join(rows))) if rows else ()
    return Pasted("kubectl describe pod", readings, pairs(**values), KUBERNETES)


def _pod_row(part: str) -> str:
    """As doctor/probes/kubernetes.py has kubectl print it."""
    cells = [_value(part, rf"^ *{key}: +([^\s/]+)") or "<none>" for key in ("Namespace", "Name", "Node", "Status")]
    waiting = re.findall(r"^ *State: +Waiting\s*\n *Reason: +(\S+)", part, re.MULTILINE)
    return " ".join([*cells, ",".join(waiting) or "<none>", "<none>"])


def _value(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1) if found and found.group(1) != "<none>" else ""


def node(text: str, name: str) -> Pasted | None:
    """Described nodes: how many GPUs they have and offer."""
    found = list(NODE.finditer(text))
    if not found:
        return None
    ends = [one.start() for one in found[1:]] + [len(text)]
    rows = [_described(one["name"], text[one.start() : end]) for one, end in zip(found, ends, strict=True)]
    runtime = RUNTIME.search(text)
    engine = pairs(engine=runtime["engine"] if runtime else "")
    return Pasted("kubectl describe node", _readings(rows), circumstances=(*KUBERNETES, *engine))


def _described(name: str, part: str) -> str:
    ready = re.search(r"^ +Ready +(True|False|Unknown) ", part, re.MULTILINE)
    labelled = "nvidia.com/gpu.present=true" in part or "pci-10de.present=true" in part
    has, offers = _listed(part, "Capacity"), _listed(part, "Allocatable")
    return _row(name, ready.group(1) if ready else "True", has, offers, labelled)


def _listed(text: str, title: str) -> dict[str, str]:
    found = re.search(LIST.format(title=title), text, re.MULTILINE)
    rows = (row.split(":", 1) for row in found.group(1).splitlines()) if found else ()
    return {row[0].strip(): row[1].strip() for row in rows}


def nodes(text: str, name: str) -> Pasted | None:
    """Nodes of `kubectl get nodes -o json` or `-o yaml`."""
    found = [one for value in objects(text) for one in _items(value)]
    if not found and (begin := re.search(r"^apiVersion: ", text, re.MULTILINE)):
        found = _items(yaml.loads(text[begin.start() :]))
    rows = [_of_object(one) for one in found if one.get("kind") == "Node"]
    return Pasted("kubectl get nodes -o", _readings(rows), circumstances=KUBERNETES) if rows else None


def _items(value: Any) -> list[dict[str, Any]]:
    return list(value.get("items") or [value]) if isinstance(value, dict) else []


def _of_object(content: dict[str, Any]) -> str:
    status, meta = content.get("status") or {}, content.get("metadata") or {}
    ready = next(
        (one.get("status", "") for one in status.get("conditions") or () if one.get("type") == "Ready"), "True"
    )
    labels = meta.get("labels") or {}
    labelled = any(str(labels.get(key)) in ("true", "True") for key in ("nvidia.com/gpu.present",
                   "feature.node.kubernetes.io/pci-10de.present"))  # fmt: skip
    has = {key: str(value) for key, value in (status.get("capacity") or {}).items()}
    offers = {key: str(value) for key, value in (status.get("allocatable") or {}).items()}
    return _row(str(meta.get("name", "node")), ready, has, offers, labelled)


def _row(name: str, ready: str, has: dict[str, str], offers: dict[str, str], labelled: bool) -> str:
    """As doctor/probes/kubernetes.py has kubectl print it."""
    cells = [name, ready]
    for resource in RESOURCES:
        cells += [has.get(resource, "<none>"), offers.get(resource, "<none>")]
    return " ".join([*cells, "true" if labelled else "<none>"])


def _readings(rows: list[str]) -> tuple[Reading, ...]:
    return (KUBELET, Reading("command:kubectl get nodes", "ok", "\n".join(rows)))
