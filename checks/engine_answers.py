"""The container engine answers."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import EngineFacts, Unknown
from doctor.finding import Evidence, Finding


@check("engine", needs=["host"], uses=["engine", "connections"], faults=["container-engine-unreachable"])
def engine_answers(host: object, engine: EngineFacts | Unknown, connections: tuple[tuple[str, str], ...]) -> Verdict:
    if engine:
        words = "rootless" if engine.rootless else "rootful"
        return f"{engine.kind} {engine.version}, {words}, cgroup v{engine.cgroup_version} ({engine.cgroup_driver})"
    if not connections:
        return NotApplicable("no container engine is on this machine, or its socket is elsewhere (set DOCKER_HOST)")
    evidence = tuple(Evidence("engine", address, reason, says="the engine's socket") for address, reason in connections)
    address, reason = connections[0]
    said = "no permission" if "ermission" in reason else "nothing answers"
    return Finding("container-engine-unreachable", evidence, {"reason": reason, "path": address, "said": said})
