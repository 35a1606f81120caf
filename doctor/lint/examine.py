"""A file to its report: which kind it is, the rules of that kind, each flaw with the corrected lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from doctor.diagnose import Diagnosis, diagnose
from doctor.finding import SEVERITIES, Evidence, Finding
from doctor.knowledge import Base, Fix, Where
from doctor.lint import compose, dockerfile, manifest
from doctor.lint.flaw import Flaw, diff
from doctor.lint.yaml_lines import LARGEST, NotYaml, documents
from doctor.logs import binary_kind, now
from doctor.report import Report
from doctor.text import decode, one_line
from doctor.version import __version__

MEANT = re.compile(r"^(?:apiVersion|kind|services):", re.MULTILINE)
"""What is meant as a compose file or manifest says so, also where it is no YAML."""
UNKNOWN = "it is neither a Dockerfile, nor a compose file, nor a Kubernetes manifest"


def lint(name: str, data: bytes, base: Base) -> Report:
    """The report of a Dockerfile, compose file or manifest."""
    if len(data) > LARGEST:
        return _report(name, reason=f"it has more than {LARGEST >> 20} MB")
    if not data.strip():
        return _report(name, reason="it is empty")
    if kind := binary_kind(data[:8192]):
        return _report(name, reason=f"it is {kind}")
    text = decode(data).replace("\r\n", "\n")
    lines = text.removesuffix("\n").split("\n")
    try:
        where, found = _flaws(name, text, lines)
    except NotYaml as error:
        if not (name.lower().endswith((".yaml", ".yml", ".json")) or MEANT.search(text)):
            return _report(name, reason=UNKNOWN)
        hint = "; render the template first, as `helm template` does" if "{{" in text else ""
        return _report(name, reason=one_line(str(error)) + hint)
    if where is None:
        return _report(name, reason=UNKNOWN)
    known = [flaw for flaw in found if flaw.fault in base.entries]
    return _report(name, tuple(_ranked(_diagnosis(name, flaw, lines, where, base) for flaw in known)))


def _flaws(name: str, text: str, lines: list[str]) -> tuple[Where | None, list[Flaw]]:
    if dockerfile.is_dockerfile(name, text):
        return "dockerfile", list(dockerfile.flaws(lines))
    where: Where | None = None
    found: list[Flaw] = []
    for document in documents(text):
        if compose.is_compose(document):
            where, more = "compose", compose.flaws(document, lines)
        elif manifest.is_manifest(document):
            where, more = "cluster", manifest.flaws(document, lines)
        else:
            continue
        found += more
    return where, found


def _report(name: str, diagnoses: tuple[Diagnosis, ...] = (), reason: str = "") -> Report:
    return Report(
        kind="file",
        name=name,
        created=now(),
        tool_version=__version__,
        diagnoses=diagnoses,
        examined=not reason,
        not_examined=(reason,) if reason else (),
    )


def _ranked(diagnoses: Iterable[Diagnosis]) -> Iterator[Diagnosis]:
    """The gravest first, then by line. Flaws of one file do not explain one another."""

    def rank(item: Diagnosis) -> tuple[int, int]:
        return SEVERITIES.index(item.severity), item.finding.evidence[0].line or 0

    for number, item in enumerate(sorted(diagnoses, key=rank)):
        yield replace(item, role="also" if number else "cause")


def _diagnosis(name: str, flaw: Flaw, lines: list[str], where: Where, base: Base) -> Diagnosis:
    quoted = one_line(lines[flaw.line]) if flaw.line < len(lines) else ""
    seen = Evidence("file", name, quoted, flaw.line + 1, flaw.says)
    finding = Finding(flaw.fault, (seen,), flaw.values, flaw.sure, flaw.severity, flaw.subject)
    item = replace(diagnose([finding], base).ranked[0], title=flaw.says)
    change = diff(one_line(name), lines, flaw.edits)
    if not change:
        return item
    own = Fix(flaw.change, where, "safe", (change,), language="diff")
    return replace(item, fixes=(own, *item.fixes))
