"""The running Docker engine knows the runtimes that daemon.json gives it.

It reads the file when it starts or is told to reload.
"""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import EngineFacts
from doctor.facts.toolkit import Broken, DaemonConfig
from doctor.finding import Evidence, Finding


@check("engine", needs=["toolkit.daemon", "engine"], faults=["nvidia-runtime-not-registered"])
def daemon_config_in_force(daemon: DaemonConfig | Broken | None, engine: EngineFacts) -> Verdict:
    if not isinstance(daemon, DaemonConfig) or not daemon.runtimes or engine.kind != "docker":
        return NotApplicable("no daemon.json gives Docker a runtime")
    if engine.rootless and not daemon.path.startswith("~"):
        return NotApplicable(f"the engine is rootless and reads another file than {daemon.path}")
    missing = [name for name in daemon.runtimes if name not in engine.runtimes]
    if not missing:
        return f"the engine knows {', '.join(daemon.runtimes)}"
    evidence = (
        Evidence("file", daemon.path, f"runtime {missing[0]}: {daemon.runtimes[missing[0]]}"),
        Evidence(
            "engine",
            "docker info",
            f"Runtimes: {', '.join(engine.runtimes)}",
            says="the engine was not restarted since",
        ),
    )
    return Finding("nvidia-runtime-not-registered", evidence, {"runtime": missing[0]}, severity="warning")
