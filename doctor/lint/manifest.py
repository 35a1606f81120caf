"""Kubernetes manifests: https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/ , extended resources:
https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#extended-resources
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from doctor.lint.flaw import IMAGE_SHM, NAMES, Edit, Flaw, block_end, vendor_of
from doctor.lint.yaml_lines import at, has_line, item_line, line_of, mappings

PLACES = (
    ("spec",),
    ("spec", "template", "spec"),
    ("spec", "jobTemplate", "spec", "template", "spec"),
)
WRONG = {
    "nvidia.com/gpus": "nvidia.com/gpu", "nvidia/gpu": "nvidia.com/gpu", "gpu": "nvidia.com/gpu",
    "nvidia.com": "nvidia.com/gpu", "nvidia-gpu": "nvidia.com/gpu", "alpha.kubernetes.io/nvidia-gpu": "nvidia.com/gpu",
    "amd.com/gpus": "amd.com/gpu", "amd/gpu": "amd.com/gpu", "amd.com": "amd.com/gpu",
}  # fmt: skip
SERVICE = re.compile(r"plugin|operator|exporter|dcgm|toolkit|feature-discovery|/driver:|validator|mig-manager")
"""Images that serve the cluster's GPUs and use none."""
WHOLE = re.compile(r"\d+|\{\{.*\}\}")
GPU = re.compile(r"(?:nvidia\.com/(?:gpu|mig-[\w.]+)|amd\.com/gpu)(?:\.shared)?")


def is_manifest(document: Any) -> bool:
    return isinstance(document, dict) and "apiVersion" in document and "kind" in document


def flaws(document: dict[str, Any], lines: Sequence[str]) -> Iterator[Flaw]:
    """What is wrong with the GPU requests of an object's pods."""
    if document.get("kind") == "List":
        for one in mappings(document.get("items")):
            yield from flaws(one, lines)
        return
    for place in PLACES:
        spec = at(document, *place)
        for key in ("containers", "initContainers"):
            for container in mappings(at(spec, key)):
                yield from _of_container(container, spec, lines, key == "containers")


def _of_container(
    container: dict[str, Any], spec: dict[str, Any], lines: Sequence[str], is_main: bool
) -> Iterator[Flaw]:
    name, image = str(container.get("name", "")), str(container.get("image") or "")
    line = line_of(container, "image", line_of(container, "name"))
    resources = container.get("resources")
    asked = _asked(resources)
    misnamed = any(one in WRONG for kind in ("limits", "requests") for one in at(resources, kind) or ())
    yield from _resources(name, resources, lines)
    vendor = vendor_of(image)
    values = {"container": name, "image": image}
    wrong = "nvidia.com" if vendor == "rocm" else "amd.com" if vendor == "cuda" else ""
    bad = next((one for one in asked if wrong and one.startswith(wrong)), None)
    if bad:
        limits = at(resources, "limits")
        at_line = line_of(limits, bad, line)
        right = "amd.com/gpu" if vendor == "rocm" else "nvidia.com/gpu"
        edits = tuple(
            _renamed(lines, line_of(part, bad), bad, right)
            for part in (limits, at(resources, "requests"))
            if part and bad in part and has_line(part, bad)
        )
        yield Flaw("framework-wrong-vendor", at_line, f"{bad} is asked for; the image is for {NAMES[vendor]}", values,
                   edits, f"ask for {right}", subject=name)  # fmt: skip
    elif is_main and vendor and not (asked or misnamed or _is_given(container, spec)):
        fault = "nvidia-gpu-not-requested" if vendor == "cuda" else "amd-kfd-missing"
        resource = "nvidia.com/gpu" if vendor == "cuda" else "amd.com/gpu"
        says = f"the image is for {NAMES[vendor]}, and the container asks for no {resource}"
        yield Flaw(fault, line, says, values, sure="possible", severity="warning", subject=name,
                   edits=_new_limit(container, resource, lines), change=f"ask for a {resource}")  # fmt: skip
    if asked and IMAGE_SHM.search(image) and not _has_shm(container, spec):
        says = "processes of this image share tensors through /dev/shm, which has 64 MB by default"
        yield Flaw("container-shm-too-small", line, says, values, _shm(container, spec, lines),
                   "mount memory at /dev/shm",
                   sure="possible", severity="warning", subject=name)  # fmt: skip
    yield from _host_paths(name, container, spec, lines)
    if "amd.com/gpu" in asked:
        yield from _groups(name, container, spec)


def _groups(name: str, container: dict[str, Any], spec: dict[str, Any]) -> Iterator[Flaw]:
    """The plug-in passes /dev/kfd with the node's owner and mode: other users than root need its group's number."""
    own, pod = container.get("securityContext") or {}, spec.get("securityContext") or {}
    user = own.get("runAsUser", pod.get("runAsUser"))
    if user in (None, 0) or pod.get("supplementalGroups") or pod.get("fsGroup"):
        return
    line = line_of(own, "runAsUser", line_of(pod, "runAsUser", line_of(container, "name")))
    says = f"user {user} may open /dev/kfd only with the group that owns it on the node (supplementalGroups)"
    yield Flaw("amd-kfd-permission", line, says, {"container": name, "path": "/dev/kfd"}, sure="possible",
               severity="warning", subject=name)  # fmt: skip


def _asked(resources: Any) -> list[str]:
    names = [*(at(resources, "limits") or ()), *(at(resources, "requests") or ())]
    return list(dict.fromkeys(str(one) for one in names if GPU.fullmatch(str(one))))


def _resources(name: str, resources: Any, lines: Sequence[str]) -> Iterator[Flaw]:
    fault = "k8s-gpu-resource-unavailable"
    partial: set[Any] = set()
    for kind in ("limits", "requests"):
        part = at(resources, kind)
        for resource, amount in part.items() if isinstance(part, dict) else ():
            line, values = line_of(part, resource), {"container": name, "required": str(resource)}
            if resource in WRONG:
                right = WRONG[resource]
                edits = (_renamed(lines, line, str(resource), right),) if has_line(part, resource) else ()
                yield Flaw(
                    fault, line, f"there is no resource {resource}", values, edits, f"name it {right}", subject=name
                )
            elif GPU.fullmatch(str(resource)) and not WHOLE.fullmatch(str(amount)) and resource not in partial:
                partial.add(resource)
                says = f"{resource} is counted in whole GPUs, not {amount}"
                yield Flaw(fault, line, says, values, _whole(resources, resource, lines), "ask for a whole GPU",
                           subject=name)  # fmt: skip
    limits, requests = at(resources, "limits") or {}, at(resources, "requests") or {}
    for resource in requests:
        is_equal = str(limits.get(resource)) == str(requests[resource])
        if not GPU.fullmatch(str(resource)) or is_equal or resource in partial:
            continue
        line = line_of(requests, resource)
        says = f"{resource} needs a limit equal to its request"
        change = _equal_limit(resources, resource, str(requests[resource]), lines)
        yield Flaw(
            fault, line, says, {"container": name, "required": str(resource)}, change, "set the limit", subject=name
        )


def _whole(resources: Any, resource: Any, lines: Sequence[str]) -> tuple[Edit, ...]:
    """One GPU instead of a part of one, in the limit and in the request."""
    parts = [part for kind in ("limits", "requests") if resource in (part := at(resources, kind) or {})]
    if not all(has_line(part, resource) for part in parts):
        return ()
    places = [line_of(part, resource) for part in parts]
    return tuple(Edit(n, n + 1, (re.sub(r":\s+\S+", ": 1", lines[n], count=1),)) for n in places)


def _equal_limit(resources: Any, resource: str, amount: str, lines: Sequence[str]) -> tuple[Edit, ...]:
    limits, requests = at(resources, "limits"), at(resources, "requests")
    if not has_line(requests, resource):
        return ()
    depth = " " * requests.lc.col
    row = f"{depth}{resource}: {amount}"
    if isinstance(limits, dict) and resource in limits and has_line(limits, resource):
        line = line_of(limits, resource)
        return (Edit(line, line + 1, (row,)),)
    if isinstance(limits, dict) and limits and has_line(resources, "limits"):
        line = line_of(resources, "limits")
        return (Edit(line + 1, line + 1, (row,)),)
    line = line_of(resources, "requests")
    return (Edit(line, line, (" " * resources.lc.col + "limits:", row)),)


def _renamed(lines: Sequence[str], line: int, before: str, after: str) -> Edit:
    return Edit(line, line + 1, (lines[line].replace(before, after, 1),))


def _new_limit(container: dict[str, Any], resource: str, lines: Sequence[str]) -> tuple[Edit, ...]:
    if not has_line(container, "image"):
        return ()
    depth = container.lc.col  # type: ignore[attr-defined]
    limits = at(container, "resources", "limits")
    if isinstance(limits, dict) and limits and has_line(container["resources"], "limits"):
        line = line_of(container["resources"], "limits") + 1
        return (Edit(line, line, (" " * limits.lc.col + f"{resource}: 1",)),)  # type: ignore[attr-defined]
    if "resources" in container:
        return ()
    line = line_of(container, "image") + 1
    rows = ("resources:", "  limits:", f"    {resource}: 1")
    return (Edit(line, line, tuple(" " * depth + row for row in rows)),)


def _is_given(container: dict[str, Any], spec: dict[str, Any]) -> bool:
    """Whether it gets a GPU, or needs none, without asking for a resource."""
    environment = {one.get("name"): str(one.get("value", "")) for one in mappings(container.get("env"))}
    by_class = "nvidia" in str(spec.get("runtimeClassName", "")) and "NVIDIA_VISIBLE_DEVICES" in environment
    claimed = bool(at(container, "resources", "claims"))  # dynamic resource allocation
    mounts = any(one.get("mountPath", "").startswith("/dev/") for one in mappings(container.get("volumeMounts")))
    serves = bool(SERVICE.search(str(container.get("image"))))
    return by_class or claimed or serves or mounts or _is_privileged(container)


def _is_privileged(container: dict[str, Any]) -> bool:
    return bool(at(container, "securityContext", "privileged"))


def _has_shm(container: dict[str, Any], spec: dict[str, Any]) -> bool:
    mounted = any(one.get("mountPath") == "/dev/shm" for one in mappings(container.get("volumeMounts")))
    return mounted or bool(spec.get("hostIPC"))


def _shm(container: dict[str, Any], spec: dict[str, Any], lines: Sequence[str]) -> tuple[Edit, ...]:
    """A memory volume at /dev/shm, where neither list is there yet or both can be added to."""
    if not has_line(container, "image") or not has_line(spec, "containers"):
        return ()
    inner, outer = " " * container.lc.col, " " * spec.lc.col  # type: ignore[attr-defined]
    mount = ("- name: shm", "  mountPath: /dev/shm")
    volume = ("- name: shm", "  emptyDir:", "    medium: Memory", "    sizeLimit: 8Gi")
    return (
        _added(container, "volumeMounts", mount, inner, line_of(container, "image") + 1, lines),
        _added(spec, "volumes", volume, outer, line_of(spec, "containers"), lines),
    )


def _added(
    mapping: dict[str, Any], key: str, rows: Sequence[str], indent: str, otherwise: int, lines: Sequence[str]
) -> Edit:
    """An item at the head of a list, or the list, put before the line `otherwise`."""
    if mapping.get(key) and has_line(mapping, key):
        line = line_of(mapping, key) + 1
        found = re.match(r" *", lines[line])
        inner = found.group() if found and line < len(lines) else indent + "  "
        return Edit(line, line, tuple(inner + row for row in rows))
    return Edit(otherwise, otherwise, (f"{indent}{key}:", *(f"{indent}  {row}" for row in rows)))


def _host_paths(name: str, container: dict[str, Any], spec: dict[str, Any], lines: Sequence[str]) -> Iterator[Flaw]:
    if _is_privileged(container) or SERVICE.search(str(container.get("image"))):
        return
    paths = {one.get("name"): (one, str(at(one, "hostPath", "path") or "")) for one in mappings(spec.get("volumes"))}
    for number, mount in enumerate(mappings(container.get("volumeMounts"))):
        volume, path = paths.get(mount.get("name"), ({}, ""))
        if re.match(r"/dev/(?:kfd|dri|nvidia)", path):
            vendor = "nvidia.com/gpu" if "nvidia" in path else "amd.com/gpu"
            fault = "amd-device-not-permitted" if vendor == "amd.com/gpu" else "nvidia-gpu-not-requested"
            line = line_of(volume.get("hostPath"), "path", line_of(volume, "name"))
            yield Flaw(fault, line, f"{path} as a hostPath can be seen, but not opened; {vendor} as a limit permits it",
                       {"container": name, "path": path}, _unmounted(number, volume, container, spec, lines, vendor),
                       f"ask for a {vendor} instead", subject=name)  # fmt: skip


def _unmounted(
    number: int,
    volume: dict[str, Any],
    container: dict[str, Any],
    spec: dict[str, Any],
    lines: Sequence[str],
    vendor: str,
) -> tuple[Edit, ...]:
    """Without a mount and its volume, and with a limit where there is none."""
    index = next((n for n, one in enumerate(spec["volumes"]) if one is volume), -1)
    edits = (_dropped(container, "volumeMounts", number, lines), _dropped(spec, "volumes", index, lines))
    limit = () if _asked(container.get("resources")) else _new_limit(container, vendor, lines)
    return (*(edit for edit in edits if edit), *limit) if all(edits) else ()


def _dropped(mapping: dict[str, Any], key: str, index: int, lines: Sequence[str]) -> Edit | None:
    """A list without one of its items; the key goes with the last of them."""
    begin = line_of(mapping, key, -1) if len(mapping[key]) == 1 else item_line(mapping[key], index, -1)
    return Edit(begin, block_end(lines, begin), ()) if begin >= 0 and has_line(mapping, key) else None
