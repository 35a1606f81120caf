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
NODE = re.compile(r"^Name: +(?P<name>\S+)\s*\n(?:.*\n){0,12}?Labels:", re.MULTILINE)
LIST = re.compile(r"^{title}:\s*\n((?: +\S+: .*\n)+)")


def pod(text: str, name: str) -> Pasted | None:
    """Of a described pod: its containers' image and node, as values."""
    if not re.search(r"^Namespace: ", text, re.MULTILINE):
        return None
    values = {key: _value(text, pattern) for key, pattern in (("image", r"^ +Image: +(\S+)"), ("pod", r"^Name: +(\S+)"),
              ("namespace", r"^Namespace: +(\S+)"), ("node", r"^Node: +([^\s/]+)"))}  # fmt: skip
    return Pasted("kubectl describe pod", values=pairs(**values))


def _value(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1) if found and found.group(1) != "<none>" else ""


def node(text: str, name: str) -> Pasted | None:
    """A described node: how many GPUs it has and offers."""
    found = NODE.search(text)
    if not found:
        return None
    begin = found.start()
    has, offers = _listed(text, "Capacity", begin), _listed(text, "Allocatable", begin)
    ready = re.search(r"^  Ready +(True|False|Unknown) ", text[begin:], re.MULTILINE)
    labelled = "nvidia.com/gpu.present=true" in text or "pci-10de.present=true" in text
    row = _row(found["name"], ready.group(1) if ready else "True", has, offers, labelled)
    return Pasted("kubectl describe node", _readings([row]))


def _listed(text: str, title: str, begin: int) -> dict[str, str]:
    found = re.search(LIST.pattern.replace("{title}", title), text[begin:], re.MULTILINE)
    rows = (row.split(":", 1) for row in found.group(1).splitlines()) if found else ()
    return {row[0].strip(): row[1].strip() for row in rows}


def nodes(text: str, name: str) -> Pasted | None:
    """Nodes of `kubectl get nodes -o json` or `-o yaml`."""
    found = [one for value in objects(text) for one in _items(value)]
    if not found and (begin := re.search(r"^apiVersion: ", text, re.MULTILINE)):
        found = _items(yaml.loads(text[begin.start() :]))
    rows = [_of_object(one) for one in found if one.get("kind") == "Node"]
    return Pasted("kubectl get nodes -o", _readings(rows)) if rows else None


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
