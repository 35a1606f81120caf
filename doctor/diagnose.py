"""Findings and knowledge to a diagnosis: join, set aside, fold consequences under causes, rank."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from doctor.finding import SEVERITIES, SURENESS, Finding, Outcome, Severity
from doctor.knowledge import CIRCUMSTANCES, Base, Cause, Entry, Fix, fill, filled
from doctor.words import ALTERNATIVE_WORDS, MORE_WORDS, SUSPECT_WORDS

# Values that stand in commands, and what a shell acts on. None of these is in a library's, package's or target's name.
COMMANDED = frozenset((
    "library", "libraries", "library_stem", "soname_major", "needed_by", "node", "path", "package", "pip_package",
    "apt_package", "apt_packages", "pip_packages", "rpm_names", "sonames", "required", "folder", "arch", "target",
    "compute_capability", "pci", "container", "image", "service", "device", "module",
))  # fmt: skip
ACTIVE = re.compile(r"^-|[`;|\n]|\$\(|\$\{|&&|[<>] *[/&(]")

Role = Literal["cause", "consequence", "also"]
State = Literal["likely", "open", "ruled out"]
STATES: tuple[State, ...] = ("likely", "open", "ruled out")
TOLD = {
    "vendor": "this machine's GPUs are of {}",
    "gpu": "the GPU is {} than all that the program has code for",
    "copy": "the library is {} in the image",
    "loaded": "the copy that was loaded is {}",
    "memory": "by the program's own account the missing memory is {}",
    "relative": "a GPU whose code this one can load is {}",
    "symbol": "the function is one of {}",
    "said": "the message says: {}",
    "only said": "the message says: {}",
}
"""Circumstances that decide between causes, in words. Engine, distribution and framework only say which commands are
right."""
FIGURES = ("gpu", "copy", "loaded", "memory", "relative", "symbol")
"""Circumstances that are figures, names and files, and so say more than the message's wording."""
WORDING = ("said", "only said")
"""Circumstances that only the message's wording tells."""
THINGS = ("library", "symbol", "arch", "xid")
"""Values that say what the other values of a finding are about."""

BRIEF = 120
"""Characters of a value in a title."""
ROOT = re.compile(
    r"/[^\s'\"]*/(?:overlay2?|fuse-overlayfs|vfs|btrfs|zfs|snapshots|io\.containerd\.runtime\.v2\.task)/[^\s'\"]*?/(?:merged|rootfs|fs)(?=/)"
)
"""Where engines keep a container's root file system: Docker, Podman, containerd."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """One of several causes of a fault, and what the facts say of it."""

    cause: Cause
    """Filled with the values."""
    state: State
    """Likely where a check found it; ruled out where all checks for it passed, or where the place is another."""
    seen: str = ""
    """What decided it."""


def in_words(suspects: Sequence[Suspect], opened: int | None = None) -> Iterator[tuple[str, str, Suspect | None]]:
    """Causes with their headings and what was seen, told once; those that one thing rules out have one heading.

    Of those that nothing decides the first `opened` (all, if None) are told, and the others share a heading.
    """
    likely, undecided, out = ([one for one in suspects if one.state == state] for state in STATES)
    opened = len(undecided) if opened is None else opened
    for place, suspect in enumerate(likely):
        words = ALTERNATIVE_WORDS[place > 0] if len(likely) > 1 else SUSPECT_WORDS["likely"]
        is_told = place > 0 and likely[place - 1].seen == suspect.seen
        yield f"{words}: {suspect.cause.title}", "" if is_told else suspect.seen, suspect
    for suspect in undecided[:opened]:
        yield f"{SUSPECT_WORDS['open']}: {suspect.cause.title}", suspect.seen, suspect
    if more := undecided[opened:]:
        yield f"{MORE_WORDS if likely or opened else SUSPECT_WORDS['open']}: {_titles(more)}", "", None
    for seen in dict.fromkeys(one.seen for one in out):
        yield f"{SUSPECT_WORDS['ruled out']}: {_titles(one for one in out if one.seen == seen)}", seen, None


def _titles(suspects: Iterable[Suspect]) -> str:
    return "; ".join(one.cause.title for one in suspects)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A finding with the words of its entry."""

    finding: Finding
    entry: Entry
    severity: Severity
    role: Role
    explains: tuple[str, ...]
    """Fault ids of its consequences among the findings."""
    title: str
    explanation: str
    causes: tuple[Suspect, ...]
    """The likeliest first, those that are ruled out last."""
    fixes: tuple[Fix, ...]
    """Those that hold here, filled with the values; what the machine's facts speak for first."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A finding that stepped back for another."""

    finding: Finding
    yields_to: str


@dataclass(frozen=True, slots=True)
class Diagnoses:
    ranked: tuple[Diagnosis, ...]
    set_aside: tuple[SetAside, ...]


def diagnose(
    findings: Iterable[Finding],
    base: Base,
    circumstances: dict[str, str] | None = None,
    outcomes: Sequence[Outcome] = (),
) -> Diagnoses:
    """Rank findings, with the words of their entries filled in.

    `circumstances` tells what is known of the place (engine, distro, vendor, cluster); fixes for another are left out,
    and so are those for a GPU that is older, or newer, than the code where the finding tells which it is. `outcomes` of
    checks decide between the causes of a fault, and put the fixes in order.
    """
    checked = {outcome.check: outcome for outcome in outcomes}
    joined = _joined(_copyable(finding) for finding in findings if finding.fault in base.entries)
    faults = {finding.fault: finding for finding in joined}
    aside = [SetAside(finding, to) for finding in joined if (to := _yields_to(finding, faults, base))]
    stepped_back = {id(item.finding) for item in aside}
    standing = [finding for finding in joined if id(finding) not in stepped_back]
    explained = _explained(standing, base)
    ranked = sorted(standing, key=lambda finding: (finding.fault in explained, *_rank(finding, base)))
    made = []
    for position, finding in enumerate(ranked):
        role: Role = "consequence" if finding.fault in explained else "also" if position else "cause"
        explains = tuple(sorted(fault for fault, by in explained.items() if finding.fault in by))
        place = _Place(_known(finding, circumstances or {}), checked)
        made.append(_worded(finding, base.entries[finding.fault], role, explains, place))
    return Diagnoses(tuple(made), tuple(aside))


def weighed(finding: Finding, said: Collection[Finding]) -> Finding:
    """What an image's files lack counts where the program's own words, whose findings are `said`, say the same.

    An image holds many programs, and one of them ran: a library that another misses is a note beside the cause.
    """
    alone = finding.fault not in {other.fault for other in said}
    if alone and finding.fault.startswith("lib-") and all(item.source == "image" for item in finding.evidence):
        return replace(finding, sure="possible", severity="note")
    return finding


def _copyable(finding: Finding) -> Finding:
    """Without values that a shell would act on: logs and images are untrusted, and commands are copied and run."""
    kept = {name: value for name, value in finding.values.items() if name not in COMMANDED or not ACTIVE.search(value)}
    return finding if len(kept) == len(finding.values) else replace(finding, values=kept)


def severity_of(finding: Finding, base: Base) -> Severity:
    return finding.severity or base.entries[finding.fault].severity


def _joined(findings: Iterable[Finding]) -> list[Finding]:
    """One finding a fault and subject: evidence of machine, image and log about the same thing stands together.

    A finding from a log has no subject; it joins the others of its fault, whose values come first: they were read,
    not pasted.
    """
    joined: dict[tuple[str, str], Finding] = {}
    for finding in sorted(findings, key=lambda f: not f.subject):
        key = (finding.fault, finding.subject)
        if not finding.subject:
            key = next((k for k in joined if k[0] == finding.fault), key)
        before = joined.get(key)
        joined[key] = _join(before, finding) if before else finding
    return list(joined.values())


def _join(one: Finding, other: Finding) -> Finding:
    return replace(
        one,
        evidence=one.evidence + tuple(item for item in other.evidence if item not in one.evidence),
        values={**other.values, **one.values} if _of_one_thing(one, other) else one.values,
        sure=min(one.sure, other.sure, key=SURENESS.index),
        severity=_graver(one.severity, other.severity),
    )


def _of_one_thing(one: Finding, other: Finding) -> bool:
    """Whether the values of both describe the same thing: what is told of one library is not true of another."""
    both = (one.values, other.values)
    return all(len({values[name] for values in both if name in values}) < 2 for name in THINGS)


def _graver(one: Severity | None, other: Severity | None) -> Severity | None:
    return None if one is None or other is None else min(one, other, key=SEVERITIES.index)


def _yields_to(finding: Finding, faults: dict[str, Finding], base: Base) -> str | None:
    """The fault that this finding steps back for.

    What is certain does not step back for what is only possible, nor a fault for a note.
    """
    for fault in base.entries[finding.fault].yields_to:
        other = faults.get(fault)
        if other is None or (finding.sure == "certain" and other.sure == "possible"):
            continue
        if severity_of(other, base) != "note" or severity_of(finding, base) == "note":
            return fault
    return None


def _explained(findings: list[Finding], base: Base) -> dict[str, set[str]]:
    """Consequence to its causes, among these findings."""
    present = {finding.fault for finding in findings}
    explained: dict[str, set[str]] = {}
    for finding in findings:
        for fault in base.entries[finding.fault].explains:
            if fault in present and fault != finding.fault and finding.sure != "possible":
                explained.setdefault(fault, set()).add(finding.fault)
    return explained


def _rank(finding: Finding, base: Base) -> tuple[int, int, int, int, str, str]:
    """Severity, sureness, breadth of evidence (kinds of source), earliest line, then the id for a stable order."""
    kinds = len({item.source for item in finding.evidence})
    first = min((item.line for item in finding.evidence if item.line), default=0)
    severity = SEVERITIES.index(severity_of(finding, base))
    return severity, SURENESS.index(finding.sure), -kinds, first, finding.fault, finding.subject


@dataclass(frozen=True, slots=True)
class _Place:
    """What is known of the place."""

    known: dict[str, str]
    checked: dict[str, Outcome]
    decided: bool = False
    """Whether a check or a figure speaks for one cause: then what only goes with the message is no more than possible.
    """

    def weigh(self, item: Cause | Fix) -> tuple[State, str]:
        """Whether the facts speak for a cause, or a fix, and what was seen."""
        known = [name for name in TOLD if name in item.when and self.known.get(name)]
        told = "; ".join(TOLD[name].format(self.known[name]) for name in known)
        if not holds(item, self.known):
            return "ruled out", told
        if found := self.found(item):
            return "likely", found
        check = [self.checked[name] for name in item.decided_by.check if name in self.checked]
        if check and len(check) == len(item.decided_by.check) and all(one.state == "passed" for one in check):
            return "ruled out", "; ".join(one.says for one in check)
        worded = all(name in WORDING for name in known)
        return ("likely", told) if told and not (worded and self.decided) else ("open", "")

    def shows(self, item: Cause | Fix) -> bool:
        """Whether the message that it wants is there, or a check has found it; without any message none is missing."""
        wanted, said = item.when.get("only said"), self.known.get("only said")
        return not wanted or said is None or bool(self.found(item) or set(wanted) & set(said.split(", ")))

    def decides(self, cause: Cause) -> bool:
        """Whether more than the message speaks for the cause."""
        figures = (name for name in FIGURES if name in cause.when and name in self.known)
        return holds(cause, self.known) and (any(figures) or bool(self.found(cause)))

    def found(self, item: Cause | Fix) -> str:
        """What a check found that speaks for it."""
        checks = (*item.decided_by.check, *item.decided_by.shown_by)
        outcomes = (self.checked[name] for name in checks if name in self.checked)
        return next((outcome.says for outcome in outcomes if outcome.state == "found"), "")


def _known(finding: Finding, circumstances: dict[str, str]) -> dict[str, str]:
    """The circumstances, with those that the finding itself tells."""
    told = {
        "gpu": "gpu_age",
        "copy": "copy",
        "loaded": "loaded",
        "memory": "memory",
        "relative": "relative",
        "symbol": "symbol_of",
        "framework": "framework",
        "said": "said",
        "system": "system",
    }
    own = {name: finding.values.get(value, "") for name, value in told.items()}
    known = {**circumstances, **{name: value for name, value in own.items() if value}}
    if any(item.source == "log" for item in finding.evidence):  # where there is no message, none is missing
        known["only said"] = finding.values.get("said") or finding.values.get("said_apart", "")
    return known


def _worded(finding: Finding, entry: Entry, role: Role, explains: tuple[str, ...], place: _Place) -> Diagnosis:
    values = finding.values
    told = {name: values[f"seems_{name}"] for name in CIRCUMSTANCES if f"seems_{name}" in values}
    # what is common, where no sign tells otherwise
    seems = {"system": values.get("system", "linux"), "board": "none", "stage": "run", **told}
    causes = sorted(filter(place.shows, entry.causes), key=lambda cause: not holds(cause, seems))
    place = replace(place, decided=any(map(place.decides, causes)))
    suspects = [Suspect(filled(cause, values), *place.weigh(cause)) for cause in causes]
    fixes = [fix for fix in entry.fixes if place.shows(fix) and holds(fix, place.known)]
    fixes.sort(key=lambda fix: _order(fix, place, seems))
    return Diagnosis(
        finding=finding,
        entry=entry,
        severity=finding.severity or entry.severity,
        role=role,
        explains=explains,
        title=fill(entry.title, {name: _brief(value) for name, value in values.items()}),
        explanation=fill(entry.text, values),
        causes=tuple(sorted(suspects, key=lambda suspect: STATES.index(suspect.state))),
        fixes=tuple(filled(fix, values) for fix in fixes),
    )


def _brief(value: str) -> str:
    """The value as a title shows it: a path as the container sees it, and no more of a long one than tells it apart."""
    value = ROOT.sub("", value)
    return value if len(value) <= BRIEF else f"{value[: BRIEF - 1].rstrip()}…"


def _order(fix: Fix, place: _Place, seems: dict[str, str]) -> tuple[int, bool]:
    """By what is known; what the log's signs speak against comes first by nothing, and last among its like."""
    state, against = STATES.index(place.weigh(fix)[0]), not holds(fix, seems) or _is_foreign(fix, seems)
    return max(state, STATES.index("open")) if against else state, against


def _is_foreign(fix: Fix, seems: dict[str, str]) -> bool:
    """A distribution's packages, or an engine that no sign shows, for a program that runs on Windows itself."""
    return seems["system"] == "windows" and ("distro" in fix.when or ("engine" in fix.when and "engine" not in seems))


def holds(item: Cause | Fix, circumstances: dict[str, str]) -> bool:
    """Whether nothing that is known speaks against the cause or fix.

    What wants a message that is not there is out of place (`_Place.shows`), which rules nothing out.
    """
    told = ((name, allowed) for name, allowed in item.when.items() if name != "only said")
    return all(circumstances.get(name, allowed[0]) in allowed for name, allowed in told)
