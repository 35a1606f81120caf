"""The CDI devices that the container asks for are described on this host."""

from doctor.check import NotApplicable, Verdict, check
from doctor.facts import ContainerFacts, EngineFacts, ToolkitFacts, Unknown
from doctor.facts.cdi import without_var
from doctor.finding import Evidence, Finding


@check(
    "container",
    needs=["container", "toolkit"],
    uses=["engine"],
    faults=["nvidia-cdi-device-unresolvable", "nvidia-cdi-not-enabled", "amd-container-toolkit"],
)
def container_cdi_names_known(
    container: ContainerFacts, toolkit: ToolkitFacts, engine: EngineFacts | Unknown
) -> Verdict:
    asked = [name for one in container.requests if one.is_cdi for name in one.ids]
    if not asked:
        return NotApplicable("the container asks for no CDI device")
    place = f"configuration of {container.name}"
    if engine and engine.kind == "docker" and not engine.cdi_folders:
        evidence = (
            Evidence("engine", place, f"asks for {asked[0]}"),
            Evidence("engine", "docker info", "no CDI spec directories", says="CDI is off in this engine"),
        )
        return Finding("nvidia-cdi-not-enabled", evidence, {"device": asked[0]}, subject=container.name)
    # Docker says which folders it reads; of another engine all that were found count.
    own = engine.cdi_folders if engine and engine.kind == "docker" else None
    read = toolkit.cdi_folders if own is None else tuple(map(without_var, own))
    specs = [spec for spec in toolkit.specs if spec.folder in read]
    known = {*(engine.discovered if engine else ()), *(name for spec in specs for name in spec.names)}
    unknown = [name for name in asked if name not in known]
    if not unknown:
        return f"{', '.join(asked)} described"
    if any(spec.error for spec in specs):
        return NotApplicable("a CDI specification is written in a form that is not read here, or is broken")
    vendor = "amd-container-toolkit" if unknown[0].startswith("amd.com/") else "nvidia-cdi-device-unresolvable"
    told = ", ".join(sorted(known)[:8]) or "no CDI device at all"
    found = [Evidence("engine", place, f"asks for {unknown[0]}"), Evidence("file", ", ".join(read), told)]
    if elsewhere := next((spec for spec in toolkit.specs if unknown[0] in spec.names), None):
        found.append(Evidence("file", elsewhere.path, unknown[0], says="this engine does not read this folder"))
    return Finding(vendor, tuple(found), {"device": unknown[0]}, sure="likely", subject=container.name)
