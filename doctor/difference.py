"""What differs between two machines, or two reports: the one that works and the one that does not.

What a finding rests on that only one side has comes first; then the areas of doctor/aspects.py, in its order. What one
side did not look at is no difference, and is told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from doctor.aspects import ASPECTS, Aspect
from doctor.check import Check
from doctor.facts import Facts, Unknown, lookup


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise."""

    area: str
    name: str
    a: tuple[str, ...]
    """What only the first has. Empty: nothing."""
    b: tuple[str, ...]
    both: bool
    """There are further values, which both have."""
    is_telling: bool = False
    """A check that finds a fault on one side alone looks at it."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What the two say differently of one thing; empty where one says nothing."""

    id: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Comparison:
    findings: tuple[Changed, ...]
    """Fault to title. Those of the second come first, the gravest at the head."""
    checks: tuple[Changed, ...]
    """Checks that pass on one side and find something on the other."""
    differences: tuple[Difference, ...]
    not_compared: tuple[Changed, ...]
    """What one side alone knows, with the other's reason."""

    def __bool__(self) -> bool:
        return bool(self.findings or self.checks or self.differences)


def compare_facts(a: Facts, b: Facts, checks: Iterable[Check], judged: Comparison) -> Comparison:
    """The comparison of two machines' reports with that of their facts."""
    changed = {one.id for one in judged.checks}
    telling = tuple(need for one in checks if one.id in changed for need in (*one.needs, *one.uses))
    found: list[Difference] = []
    unknown: dict[str, Changed] = {}
    for aspect in ASPECTS:
        left, right = lookup(a, aspect.need), lookup(b, aspect.need)
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            if not (isinstance(left, Unknown) and isinstance(right, Unknown)):
                unknown.setdefault(aspect.need, Changed(aspect.need, _reason(left), _reason(right)))
        else:
            found += _difference(aspect, _values(aspect, left), _values(aspect, right), telling)
    found.sort(key=lambda one: not one.is_telling)
    return Comparison(judged.findings, judged.checks, tuple(found), tuple(unknown.values()))


def _reason(value: Any) -> str:
    return value.reason if isinstance(value, Unknown) else ""


def _values(aspect: Aspect, fact: Any) -> Counter[str]:
    return Counter(map(str, aspect.values(fact)))


def _difference(aspect: Aspect, a: Counter[str], b: Counter[str], telling: tuple[str, ...]) -> Iterator[Difference]:
    if a != b:
        told = any(_meets(aspect.need, need) for need in telling)
        yield Difference(aspect.area, aspect.name, _rows(a - b), _rows(b - a), bool(a & b), told)


def _meets(one: str, other: str) -> bool:
    return one == other or one.startswith(other + ".") or other.startswith(one + ".")


def _rows(values: Counter[str]) -> tuple[str, ...]:
    return tuple(f"{value} ×{count}" if count > 1 else value for value, count in sorted(values.items()))


def compare_reports(a: Mapping[str, Any], b: Mapping[str, Any]) -> Comparison:
    """The comparison of two reports in their JSON form."""
    left, right = _checks(a), _checks(b)
    # Of those that pass on both sides the words differ wherever the machines do.
    judged = tuple(one for one in _changed(left, right) if one.a[:5] != one.b[:5] and one.a and one.b)
    image = tuple(_of_images(a.get("image") or {}, b.get("image") or {}))
    return Comparison(_changed(_titles(a, b), _titles(b, a)), judged, (*_of_values(a, b), *image), ())


def _titles(report: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, str]:
    """Fault to title. What is a note here and an error there counts as found there alone."""
    graver = {str(one["fault"]) for one in other["findings"] if one["severity"] != "note"}
    told: dict[str, str] = {}
    for one in report["findings"]:
        if one["severity"] != "note" or str(one["fault"]) not in graver:
            told.setdefault(str(one["fault"]), str(one["title"]))
    return told


def _checks(report: Mapping[str, Any]) -> dict[str, str]:
    """Those that judged; a check that was skipped has nothing to compare."""
    judged = (one for one in report.get("checks") or () if one["state"] in ("passed", "found"))
    return {str(one["id"]): f"{one['state']}: {one['says']}" for one in judged}


def _changed(a: dict[str, str], b: dict[str, str]) -> tuple[Changed, ...]:
    names = [*b, *(name for name in a if name not in b)]
    return tuple(Changed(name, a.get(name, ""), b.get(name, "")) for name in names if a.get(name) != b.get(name))


def _of_values(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    """Values of the findings that both have."""
    mine = {str(one["fault"]): one.get("values") or {} for one in reversed(a["findings"])}
    for one in b["findings"]:
        before, now = mine.get(str(one["fault"]), {}), one.get("values") or {}
        for name in sorted(before.keys() | now.keys()) if before else ():
            left, right = ((str(side[name]),) if name in side else () for side in (before, now))
            if left != right:
                yield Difference(str(one["fault"]), name, left, right, both=False)


def _of_images(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    for name in ("reference", "platform", "stack", "cuda", "rocm", "glibc", "frameworks", "libraries", "verdicts"):
        left, right = Counter(_image(a.get(name))), Counter(_image(b.get(name)))
        if left != right:
            yield Difference("image", name, _rows(left - right), _rows(right - left), bool(left & right))


def _image(value: Any) -> Iterator[str]:
    """A plain value, or rows of frameworks, libraries that are missing and verdicts on GPUs."""
    if not isinstance(value, list):
        yield from () if value is None else (str(value),)
        return
    for one in value:
        if "needed" not in one:
            yield f"{one.get('name')} {one.get('version') or one.get('runs')}"
        elif not one.get("found"):
            yield f"{one['needed']} is missing"
