"""Bundles that support tools write: many files, one ticket.

sosreport: https://github.com/sosreport/sos ; must-gather of OpenShift: https://github.com/openshift/must-gather ;
of the GPU operator: https://github.com/NVIDIA/gpu-operator/blob/main/hack/must-gather.sh .
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from doctor.bundles.pasted import Pasted
from doctor.facts.toolkit import CONFIG, CONTAINERD, DAEMON
from doctor.snapshot import Reading

SOS = {"sos_commands", "sos_logs", "sos_reports", "sos_strings"}
GATHERED = {"cluster-scoped-resources", "must-gather.log", "must-gather.logs", "must-gather.log.gz"}
ROOT = re.compile(r"sosreport-|sos-[\w.-]+-\d{4}-\d\d-\d\d|must-gather|inspect\.local\.|nvidia-gpu-operator_")
TELLING = re.compile(
    r"dmesg|journal|messages|syslog|kern\.log|nvidia|amdgpu|rocm|cuda|docker|podman|containerd|cri-?o|kube|dcgm"
    r"|lspci|lsmod|uname|os-release|must-gather|operator|pod|daemonset|node|event|driver|toolkit",
    re.IGNORECASE,
)

FILES = (CONFIG, *(path for path in (*DAEMON, *CONTAINERD) if path.startswith("/")))
"""Configuration that bundles hold under the path that it has on the machine."""
TOOLKIT = Reading("node:/usr/bin/nvidia-ctk", "failed", error="not in the bundle")


def configuration(name: str, data: bytes) -> Pasted | None:
    """A file of a bundle that a probe would have read as it stands."""
    path = next((path for path in FILES if name.endswith(path)), None)
    if path is None:
        return None
    return Pasted(path, (TOOLKIT, Reading(f"file:{path}", "ok", data.decode("utf-8", "replace"))))


def is_support_bundle(names: Iterable[str]) -> bool:
    """Whether paths, as they stand in an archive or a folder, are those of such a bundle."""
    return any(_tells(name.removeprefix("./").split("/")) for name in names)


def _tells(parts: list[str]) -> bool:
    return bool(ROOT.match(parts[0]) and len(parts) > 1) or not (SOS | GATHERED).isdisjoint(parts[:3])


def is_telling(name: str) -> bool:
    """Whether a file of a bundle may say something about a GPU or a container."""
    return bool(TELLING.search(name))
