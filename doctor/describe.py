"""What was examined, in a line: how a container fares, what a machine is, which facts are the container's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from doctor.facts import ContainerFacts, Facts, LimitFacts
from doctor.facts.gpus import nvidia_driver
from doctor.facts.host import Node

SHOWN = 6
"""Device nodes that are named before they are only counted."""


def container_state(container: ContainerFacts) -> str:
    """Such as `exited with code 137, out of memory`."""
    if container.never_started:
        return "never started"
    words = container.status
    if container.status in ("exited", "dead"):
        words = f"{container.status} with code {container.exit_code}"
    if container.oom_killed:
        return f"{words}, out of memory"
    return f"{words}, stopped or killed on request" if container.killed_on_request else words


def machine(facts: Facts) -> str:
    """System, GPUs and engine, as far as they are known."""
    host, engine = facts.host, facts.engine
    words = [f"{host.distribution or host.system}, Linux {host.kernel}, {host.machine}"] if host else []
    if host and host.system != "Linux":
        words = [f"{host.system} {host.kernel}, {host.machine}"]
    words += filter(None, (_gpus(facts), f"{engine.kind} {engine.version}" if engine else ""))
    return "; ".join(words)


def _gpus(facts: Facts) -> str:
    """Names and counts, and the driver; that there is none only where we could look."""
    if facts.nvml and facts.nvml.gpus:
        names = [gpu.name for gpu in facts.nvml.gpus]
        names += [gpu.model.name if gpu.model else "AMD GPU" for gpu in facts.pci.amd] if facts.pci else []
    elif facts.nvidia and facts.nvidia.tegra:
        return facts.nvidia.tegra
    elif facts.nvidia and facts.nvidia.wsl:
        return "WSL2"
    elif not facts.pci:
        return ""
    else:
        names = [
            gpu.model.name if gpu.model else f"GPU {gpu.vendor}:{gpu.device}"
            for gpu in (*facts.pci.nvidia, *facts.pci.amd)
        ]
    if not names:
        return "no NVIDIA or AMD GPU on the PCI bus"
    counted = ", ".join(f"{count} × {name}" if count > 1 else name for name, count in Counter(names).items())
    driver = nvidia_driver(facts.nvidia, facts.nvml)
    return f"{counted}, NVIDIA driver {driver}" if driver else counted


def surroundings(facts: Facts) -> Iterator[str]:
    """Inside a container: whose the facts are, and what it was given."""
    if not facts.limits or not facts.limits.inside:
        return
    kind = "a container" if facts.limits.inside == "container" else f"a {facts.limits.inside} container"
    yield (
        f"this runs inside {kind}: device nodes, libraries, programs, environment and limits are the container's; the "
        "kernel with its modules and its log, and the PCI bus, are the host's"
    )
    yield f"this container has {'; '.join(_given(facts))}"


def _given(facts: Facts) -> Iterator[str]:
    limits = facts.limits
    nodes = [*(facts.nvidia.nodes.values() if facts.nvidia else ()), *(facts.amd.nodes if facts.amd else ())]
    paths = sorted({node.path for node in nodes})
    more = f" and {len(paths) - SHOWN} more" if len(paths) > SHOWN else ""
    yield f"{', '.join(paths[:SHOWN])}{more}" if paths else "no GPU device node"
    if limits and limits.mounts:
        files = [path for path in limits.mounts if "nvidia" in path or "libcuda" in path]
        yield f"{len(files)} driver file(s) mounted from the host" if files else "no driver file mounted from the host"
    if facts.host:
        names = ("NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES")
        yield from (f"{name}={facts.host.environment[name]}" for name in names if name in facts.host.environment)
    if limits and limits.capabilities is not None:
        yield f"capabilities {', '.join(limits.capabilities) or 'none that matter here'}"
    if limits and nodes:
        yield _rules(limits, nodes)


def _rules(limits: LimitFacts, nodes: Sequence[Node]) -> str:
    if limits.device_rules is None:
        return "device rules that cannot be read (cgroup v2)"
    refused = [node.path for node in nodes if not limits.permits(node.major or 0, node.minor or 0)]
    return f"device rules that refuse {', '.join(refused[:SHOWN])}" if refused else "device rules that permit them"
