"""Docker's daemon.json is valid JSON."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts.toolkit import Broken, DaemonConfig
from doctor.finding import Evidence, Finding


@check("engine", needs=["toolkit.daemon"], faults=["container-engine-config-invalid"])
def daemon_config_readable(daemon: DaemonConfig | Broken | None) -> Verdict:
    if daemon is None:
        return NotApplicable("there is no daemon.json")
    if isinstance(daemon, DaemonConfig):
        return f"{daemon.path}: runtimes {', '.join(daemon.runtimes) or 'none of its own'}"
    evidence = Evidence("file", daemon.path, daemon.error, says="dockerd refuses to start with it")
    return Finding("container-engine-config-invalid", (evidence,), {"path": daemon.path})
