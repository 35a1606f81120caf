"""Docker's default runtime is one that daemon.json or Docker itself defines."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts.toolkit import Broken, DaemonConfig
from doctor.finding import Evidence, Finding

OWN = ("runc", "io.containerd.runc.v2", "crun")


@check("engine", needs=["toolkit.daemon"], faults=["container-engine-config-invalid"])
def daemon_default_runtime_known(daemon: DaemonConfig | Broken | None) -> Verdict:
    if not isinstance(daemon, DaemonConfig) or not daemon.default_runtime:
        return NotApplicable("daemon.json sets no default runtime")
    name = daemon.default_runtime
    if name in daemon.runtimes or name in OWN or name.startswith("io.containerd."):
        return f"default runtime {name}"
    evidence = Evidence(
        "file", daemon.path, f'"default-runtime": "{name}"', says=f"no runtime {name} is defined in the file"
    )
    return Finding("container-engine-config-invalid", (evidence,), {"path": daemon.path, "runtime": name})
