"""What files load, in words and in JSON: libraries that are missing or too old in full, the others on request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from doctor.data.libraries import Provider, provider_of
from doctor.loader.resolution import Edge, Resolution
from doctor.text import one_line

_WIDTH = 300


def is_wrong(edge: Edge) -> bool:
    """Whether the file of this edge does not load."""
    return edge.missing or bool(edge.versions_missing)


def library_json(edge: Edge) -> dict[str, Any]:
    """An edge as plain data for `json`."""
    provider = provider_of(edge.needed)
    return {
        "needed": edge.needed,
        "by": edge.by,
        "found": edge.found,
        "kind": edge.kind,
        "how": edge.how,
        "versions_missing": list(edge.versions_missing),
        "searched": [{"how": place.how, "path": place.path, "outcome": place.outcome} for place in edge.searched],
        "elsewhere": list(edge.elsewhere),
        "present_instead": list(edge.other_versions),
        "component": provider.component or None,
        "provider": {
            "pip": list(provider.pip),
            "apt": list(provider.apt),
            "debian": provider.debian or None,
            "conda": provider.conda or None,
            "sure": not provider.names_unverified,
        },
        "known_majors": list(provider.majors),
    }


def library_lines(resolution: Resolution, verbose: bool) -> Iterator[str]:
    """What the files load: each missing library once, in the order of loading, and a closing line."""
    missing: dict[tuple[str, str], list[Edge]] = {}
    for edge in resolution.edges:
        if edge.missing:
            missing.setdefault((edge.needed, edge.kind), []).append(edge)
    for edges in missing.values():
        yield from _missing(edges, verbose)
    for edge in resolution.edges:
        if edge.versions_missing:
            nodes = ", ".join(edge.versions_missing)
            yield _line(f"too old: {edge.found} has no {nodes}, needed by {edge.by}")
        elif not edge.missing and (verbose or edge.kind == "from-driver"):
            where = f"{edge.found} ({edge.how})" if edge.found else edge.how
            yield _line(f"{edge.needed} of {edge.by}: {where}")
    for problem in resolution.problems:
        yield _line(f"not followed: {problem.path}: {problem.reason}")
    if resolution.incomplete:
        yield _line(f"not all was followed: {resolution.incomplete}")
    wrong = sum(is_wrong(edge) for edge in resolution.edges)
    yield f"{len(resolution.edges)} libraries looked for, {wrong} missing or too old"


def _missing(edges: Sequence[Edge], verbose: bool) -> Iterator[str]:
    """One library that several files miss, with where it was looked for on behalf of the first of them."""
    edge = edges[0]
    others = list(dict.fromkeys(one.by for one in edges))[1:]
    yield _line(f"missing: {edge.needed}, needed by {edge.by}" + (f" and {len(others)} more" if others else ""))
    yield from (f"  needed by {_line(by)}" for by in (others if verbose else others[:3]))
    yield from (f"  {_line(line)}" for line in provided_by(provider_of(edge.needed)))
    if edge.kind == "after-ldconfig":
        yield f"  {_line(edge.how)}"
    yield from (f"  {_line(path)} is there, where the loader does not look" for path in edge.elsewhere)
    if edge.other_versions:
        yield f"  {_line('there instead: ' + ', '.join(edge.other_versions))}"
    yield from (f"  searched {_line(place.path)} ({_line(place.how)}): {place.outcome}" for place in edge.searched)


def provided_by(provider: Provider) -> Sequence[str]:
    """What a library belongs to and which packages have it, as far as that is known."""
    packages = {
        "pip": provider.pip,
        "apt": tuple(dict.fromkeys([*filter(None, [provider.debian]), *provider.apt])),
        "conda": tuple(filter(None, [provider.conda])),
    }
    named = "; ".join(f"{tool}: {', '.join(names)}" for tool, names in packages.items() if names)
    doubt = " (names not confirmed)" if named and provider.names_unverified else ""
    if not provider.component:
        return [f"provided by {named}{doubt}"] if named else []
    lines = [f"of {provider.component}" + (f", provided by {named}{doubt}" if named else "")]
    if provider.known == "other-major" and provider.majors:
        lines.append(f"known versions of it are {', '.join(provider.majors)}")
    return lines


def _line(text: str) -> str:
    return one_line(text, _WIDTH)
