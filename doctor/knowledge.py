"""The knowledge base: one Markdown file a fault, read strictly.

Grammar (knowledge/__init__.py tells it for the author of an entry): TOML front matter between two `+++` lines,
an explanation, then the sections `## Cause: …`, `## Fix: …`, `## Ask`, `## Sources` and `## Examples`.
Anything else is an error that names the file and the line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypeVar, cast

import tomli

from doctor.cache import cached, cached_at, keep
from doctor.finding import SURENESS, Severity, Sureness
from doctor.version import __version__

Where = Literal["host", "container", "dockerfile", "compose", "cluster"]
Risk = Literal["safe", "restart", "reboot", "destructive"]
WHERE = ("host", "container", "dockerfile", "compose", "cluster")
RISKS = ("safe", "restart", "reboot", "destructive")
SEVERITY_OF: dict[str, Severity] = {"blocking": "error", "degraded": "warning", "notice": "note"}
CIRCUMSTANCES = (
    "engine", "system", "distro", "vendor", "cluster", "gpu", "copy", "loaded", "memory", "relative", "symbol",
    "framework", "said", "only said", "board", "stage",
)  # fmt: skip
DECIDING = ("check", "shown by")
DECIDED = re.compile(rf"(?:{'|'.join((*DECIDING, *CIRCUMSTANCES))}): ?\w")
"""The first line under a cause where facts decide whether it is this one."""
FRONT_KEYS = {
    "title", "area", "severity", "yields_to", "explains", "corrects", "codes", "words", "reviewed", "retired",
    "extends", "match",
}  # fmt: skip
PATTERN_KEYS = ("line", "not", "near", "unless")
MATCH_KEYS = {*PATTERN_KEYS, "within", "sure", "severity", "values"}
ID = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+")
FENCE = re.compile(r"(`{3,})(.*)")
# Not within doubled braces: those are the templates of `docker --format`.
SHARED = re.compile(r"\(\?&(\w+)\)")
"""A part of a pattern that knowledge/shared.toml names, written as Perl writes the call of a named group."""
BLANK = re.compile(r"(?<!\{)\{([a-z_]+)(?:\|([^{}]*))?\}(?!\})")


class EntryError(Exception):
    """An entry that breaks the grammar. The text is `file:line: what was expected`."""


class Matcher(NamedTuple):
    """When a line of a log shows the fault.

    A named tuple, since thousands are made at each start.
    """

    line: str
    """RE2 pattern, searched in one line. Named groups become the finding's values."""
    sure: Sureness
    severity: Severity | None = None
    """None: the entry's."""
    but_not: str | None = None
    """The same line must not match this."""
    near: str | None = None
    """A line within `within` lines, before or after, must match this."""
    within: int = 20
    unless: str | None = None
    """No line anywhere in the log may match this."""
    values: Mapping[str, str] = MappingProxyType({})
    at: int = 0
    """Line of the file, for error messages."""


@dataclass(frozen=True, slots=True)
class Deciding:
    """Checks that tell whether a cause is the one, or a fix the one that is needed."""

    check: tuple[str, ...] = ()
    """It is where one of them finds something, and is not where all of them passed."""
    shown_by: tuple[str, ...] = ()
    """It is where one of them finds something; where they pass nothing follows, for states come and go."""


@dataclass(frozen=True, slots=True)
class Fix:
    """One way out."""

    title: str
    where: Where
    risk: Risk
    commands: tuple[str, ...]
    verify: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    text: str = ""
    when: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Circumstances under which it holds, such as {"engine": ("docker",)}. An unknown circumstance excludes nothing."""
    decided_by: Deciding = Deciding()
    """Checks that find what it mends."""
    language: str = "sh"


@dataclass(frozen=True, slots=True)
class Cause:
    """One of several causes of the same message, and how to tell whether it is this one."""

    title: str
    text: str
    commands: tuple[str, ...]
    when: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Circumstances under which it can be this one."""
    decided_by: Deciding = Deciding()
    """Checks that find it."""


Part = TypeVar("Part", Cause, Fix)


@dataclass(frozen=True, slots=True)
class Source:
    address: str
    says: str


@dataclass(frozen=True, slots=True)
class Example:
    """A log that is the entry's test."""

    text: str
    fault: str
    """What the first finding must be: the entry's id, or for a near miss another id or `none`."""
    values: dict[str, str]
    near_miss: bool
    at: int


@dataclass(frozen=True, slots=True)
class Head:
    """The front matter of an entry: what a log is searched for."""

    id: str
    title: str
    area: str
    severity: Severity
    file: str
    matchers: tuple[Matcher, ...] = ()
    yields_to: tuple[str, ...] = ()
    """Steps back when one of these is found too."""
    explains: tuple[str, ...] = ()
    """These are consequences of it."""
    corrects: tuple[str, ...] = ()
    """Changes to the container's own command line that repair it (doctor/runline.py)."""
    codes: tuple[str, ...] = ()
    """Error codes that end here, such as `cudaError:209` or `xid:79` (doctor/data)."""
    words: tuple[str, ...] = ()
    """Words people search for that stand nowhere else in the entry."""
    reviewed: str = ""
    retired: str = ""
    extends: bool = False


@dataclass(frozen=True, slots=True)
class Entry(Head):
    """All that is known about one fault."""

    text: str = ""
    causes: tuple[Cause, ...] = ()
    fixes: tuple[Fix, ...] = ()
    ask: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    examples: tuple[Example, ...] = ()

    @property
    def summary(self) -> str:
        """The first paragraph: it stands alone."""
        return self.text.split("\n\n", 1)[0]


def fill(template: str, values: dict[str, str]) -> str:
    """The template with each `{name|fallback}` replaced by the value, the fallback, or a `<name>` blank."""

    def value(found: re.Match[str]) -> str:
        name, fallback = found.group(1), found.group(2)
        return values.get(name) or (fallback if fallback is not None else f"<{name}>")

    return BLANK.sub(value, template)


def filled(part: Part, values: dict[str, str]) -> Part:
    """The cause or fix with its title, text and commands filled in."""
    fences = ("commands", "verify", "undo") if isinstance(part, Fix) else ("commands",)
    changes: dict[str, Any] = {name: fill(getattr(part, name), values) for name in ("title", "text")}
    changes |= {name: tuple(fill(command, values) for command in getattr(part, name)) for name in fences}
    return replace(part, **changes)


@dataclass(slots=True)
class _Section:
    title: str
    at: int
    lines: list[tuple[int, str]]


def parse_entry(text: str, file: str) -> Entry:
    """Read one entry. `file` is its path as shown in errors; its stem is the fault id.

    Raises EntryError with `file:line: what was expected`.
    """
    lines = text.splitlines()
    head, body_at = _head(lines, file)
    explanation, sections = _sections(lines, body_at, file)
    prose = "\n".join(explanation).strip()
    if not prose and not head["extends"]:
        raise EntryError(f"{file}:{body_at + 1}: expected an explanation after the front matter")
    body = _Body()
    for section in sections:
        body.add(section, head["id"], file)
    return Entry(
        **head,
        text=prose,
        causes=tuple(body.causes),
        fixes=tuple(body.fixes),
        ask=body.ask,
        sources=body.sources,
        examples=body.examples,
    )


def parse_head(text: str, file: str) -> Head:
    """Read the front matter alone. Raises EntryError as `parse_entry` does."""
    front, mark, _ = text.partition("\n+++\n")
    return Head(**_head((front + mark).splitlines(), file)[0])


def _front_matter(lines: list[str], file: str) -> tuple[dict[str, Any], int]:
    if not lines or lines[0] != "+++":
        raise EntryError(f"{file}:1: expected +++ on the first line")
    try:
        end = lines.index("+++", 1)
    except ValueError:
        raise EntryError(f"{file}:1: the front matter has no closing +++") from None
    try:
        return tomli.loads("\n".join(lines[1:end])), end + 1
    except tomli.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        at = int(found.group(1)) + 1 if found else 2
        raise EntryError(f"{file}:{at}: front matter is not TOML: {error}") from None


def _at(lines: list[str], needle: str, start: int = 0) -> int:
    return next((n for n, line in enumerate(lines[start:], start + 1) if line.strip().startswith(needle)), 1)


def _head(lines: list[str], file: str) -> tuple[dict[str, Any], int]:
    """The fields of the front matter, and the number of lines that it takes."""
    identity = Path(file).stem
    if not ID.fullmatch(identity):
        raise EntryError(f"{file}:1: the file name must be a fault id such as area-what-is-wrong.md")
    front, body_at = _front_matter(lines, file)
    extends = front.get("extends", False)
    for key in front:
        if key not in FRONT_KEYS:
            raise EntryError(f"{file}:{_at(lines, key)}: unknown key {key!r}; known: {', '.join(sorted(FRONT_KEYS))}")
    for key in () if extends else ("title", "area", "severity"):
        if not isinstance(front.get(key), str):
            raise EntryError(f'{file}:1: expected {key} = "…" in the front matter')
    severity = front.get("severity", "blocking")
    if severity not in SEVERITY_OF:
        raise EntryError(f"{file}:{_at(lines, 'severity')}: severity is one of {', '.join(SEVERITY_OF)}")
    lists = {}
    for key in ("yields_to", "explains", "corrects", "codes", "words"):
        value = front.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise EntryError(f"{file}:{_at(lines, key)}: {key} is a list of strings")
        lists[key] = tuple(value)
    head = {
        "id": identity,
        "title": front.get("title", ""),
        "area": front.get("area", ""),
        "severity": SEVERITY_OF[severity],
        "file": file,
        "matchers": _matchers(front.get("match", []), file, lines),
        "reviewed": str(front.get("reviewed", "")),
        "retired": str(front.get("retired", "")),
        "extends": bool(extends),
        **lists,
    }
    return head, body_at


def _matchers(tables: list[dict[str, Any]], file: str, lines: list[str]) -> tuple[Matcher, ...]:
    made = []
    places = [n for n, line in enumerate(lines, 1) if "[[match]]" in line and line.lstrip().startswith("[[")]
    for number, table in enumerate(tables):
        at = places[number] if number < len(places) else 1
        for key in table:
            if key not in MATCH_KEYS:
                raise EntryError(
                    f"{file}:{at}: unknown key {key!r} in [[match]]; known: {', '.join(sorted(MATCH_KEYS))}"
                )
        if not isinstance(table.get("line"), str):
            raise EntryError(f"{file}:{at}: expected line = '''pattern''' in [[match]]")
        for key in PATTERN_KEYS:
            if not isinstance(table.get(key, ""), str):
                raise EntryError(f"{file}:{at}: {key} is a pattern between ''' and '''")
        if table.get("sure") not in SURENESS:
            raise EntryError(f'{file}:{at}: expected sure = "certain", "likely" or "possible" in [[match]]')
        if "severity" in table and table["severity"] not in SEVERITY_OF:
            raise EntryError(f"{file}:{at}: severity is one of {', '.join(SEVERITY_OF)}")
        if table["line"].startswith((".*", ".+")):
            raise EntryError(f"{file}:{at}: a pattern is searched for; it must not start with {table['line'][:2]}")
        spelt = {key: _spelt_out(table[key], file, at) for key in PATTERN_KEYS if key in table}
        values = table.get("values", {})
        if not isinstance(values, dict) or not all(isinstance(v, str) for v in values.values()):
            raise EntryError(f"{file}:{at}: values is a table of strings")
        made.append(
            Matcher(
                line=spelt["line"],
                sure=table["sure"],
                severity=SEVERITY_OF[table["severity"]] if "severity" in table else None,
                but_not=spelt.get("not"),
                near=spelt.get("near"),
                within=table.get("within", 20),
                unless=spelt.get("unless"),
                values=values,
                at=at,
            )
        )
    return tuple(made)


def _spelt_out(pattern: str, file: str, at: int) -> str:
    """The pattern with the shared parts in the place of their names."""
    try:
        return _with_parts(pattern) if "(?&" in pattern else pattern
    except KeyError as error:
        known = ", ".join(shared_parts())
        raise EntryError(f"{file}:{at}: unknown part (?&{error.args[0]}); known: {known}") from None


@cache
def _with_parts(pattern: str) -> str:
    """The parts that a part itself calls are spelt out too."""
    return SHARED.sub(lambda found: f"(?:{_with_parts(shared_parts()[found.group(1)])})", pattern)


@cache
def shared_parts() -> dict[str, str]:
    """Parts of patterns that entries call by name."""
    parts: dict[str, str] = tomli.loads(_shared_text())
    return parts


@cache
def _shared_text() -> str:
    from importlib.resources import files

    return files("knowledge").joinpath("shared.toml").read_text(encoding="utf-8")


def _sections(lines: list[str], start: int, file: str) -> tuple[list[str], list[_Section]]:
    explanation: list[str] = []
    sections: list[_Section] = []
    fence = ""
    for at, line in enumerate(lines[start:], start + 1):
        head = line[:3]
        opened = FENCE.match(line) if head == "```" else None
        if opened and (not fence or line.strip() == fence):
            fence = "" if fence else opened.group(1)
        if head == "## " and not fence:
            sections.append(_Section(line[3:].strip(), at, []))
        elif sections:
            sections[-1].lines.append((at, line))
        else:
            explanation.append(line)
            blank = re.search(r"<[A-Za-z][^>]*>", re.sub(r"`[^`]*`", "", line)) if "<" in line else None
            if blank and not fence:
                raise EntryError(f"{file}:{at}: {blank.group()} stands in prose; a blank may stand only in `code`")
    if fence:
        raise EntryError(f"{file}:{len(lines)}: a ``` fence is not closed")
    return explanation, sections


@dataclass(slots=True)
class _Fence:
    info: str
    text: str
    at: int
    after: str
    """The prose line before it."""


def _fences(section: _Section) -> tuple[list[_Fence], list[tuple[int, str]]]:
    """The fences of a section, and its other lines."""
    fences: list[_Fence] = []
    prose: list[tuple[int, str]] = []
    mark, info, at, body = "", "", 0, list[str]()
    for number, line in section.lines:
        opened = FENCE.match(line) if line[:3] == "```" else None
        if not mark and opened:
            mark, info, at, body = opened.group(1), opened.group(2).strip(), number, []
        elif mark and mark in line and line.strip() == mark:
            before = next((text for _, text in reversed(prose) if text.strip()), "")
            fences.append(_Fence(info, "\n".join(body), at, before.strip()))
            mark = ""
        elif mark:
            body.append(line)
        else:
            prose.append((number, line))
    return fences, prose


@dataclass(slots=True)
class _Body:
    """The sections of an entry, as they are read."""

    causes: list[Cause] = field(default_factory=list)
    fixes: list[Fix] = field(default_factory=list)
    ask: tuple[str, ...] = ()
    sources: tuple[Source, ...] = ()
    examples: tuple[Example, ...] = ()

    def add(self, section: _Section, identity: str, file: str) -> None:
        kind, _, title = section.title.partition(":")
        if kind == "Fix" and title:
            self.fixes.append(_fix(title.strip(), section, file))
        elif kind == "Cause" and title:
            self.causes.append(_cause(title.strip(), section, file))
        elif section.title == "Ask":
            self.ask = tuple(fence.text for fence in _fences(section)[0])
        elif section.title == "Sources":
            self.sources = tuple(_sources(section, file))
        elif section.title == "Examples":
            self.examples = tuple(_examples(identity, section, file))
        else:
            known = "known: Fix: title, Cause: title, Ask, Sources, Examples"
            raise EntryError(f"{file}:{section.at}: unknown section {section.title!r}; {known}")


def _prose(lines: Iterable[tuple[int, str]]) -> str:
    return "\n".join(line for _, line in lines).strip()


def _cause(title: str, section: _Section, file: str) -> Cause:
    fences, prose = _fences(section)
    head = next(((at, line) for at, line in prose if line.strip()), (section.at, ""))
    labels = _labels(head[1], head[0], file, (*DECIDING, *CIRCUMSTANCES)) if DECIDED.match(head[1]) else {}
    said = [line for line in prose if not labels or line != head]
    return Cause(title, _prose(said), tuple(fence.text for fence in fences), *_decided(labels))


def _fix(title: str, section: _Section, file: str) -> Fix:
    fences, prose = _fences(section)
    head = next(((at, line) for at, line in prose if line.strip()), (section.at, ""))
    labels = _labels(head[1], head[0], file, ("where", "risk", *DECIDING, *CIRCUMSTANCES))
    where, risk = labels.pop("where", ""), labels.pop("risk", "")
    if where not in WHERE or risk not in RISKS:
        labels_wanted = f"`where: {'|'.join(WHERE)} · risk: {'|'.join(RISKS)}`"
        raise EntryError(f"{file}:{head[0]}: expected {labels_wanted} under the title of the fix")
    when, decided_by = _decided(labels)
    commands = [f for f in fences if not f.after.lower().startswith(("verify:", "undo:"))]
    if not commands:
        raise EntryError(f"{file}:{section.at}: the fix {title!r} has no fenced command")
    said = [(at, line) for at, line in prose if (at, line) != head and line.strip().lower() not in ("verify:", "undo:")]
    return Fix(
        title=title,
        where=cast(Where, where),
        risk=cast(Risk, risk),
        commands=tuple(f.text for f in commands),
        verify=tuple(f.text for f in fences if f.after.lower().startswith("verify:")),
        undo=tuple(f.text for f in fences if f.after.lower().startswith("undo:")),
        text=_prose(said),
        when=when,
        decided_by=decided_by,
        language=commands[0].info or "sh",
    )


def _decided(labels: dict[str, str]) -> tuple[dict[str, tuple[str, ...]], Deciding]:
    """The circumstances, and the checks, that labels name."""
    listed = {name: _listed(values) for name, values in labels.items()}
    decided_by = Deciding(*(listed.pop(name, ()) for name in DECIDING))
    return listed, decided_by


def _listed(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _labels(line: str, at: int, file: str, known: tuple[str, ...]) -> dict[str, str]:
    labels = {}
    for part in line.split("·"):
        name, colon, value = part.partition(":")
        name = name.strip()
        if not colon or name not in known:
            raise EntryError(
                f"{file}:{at}: expected labels such as `where: host · risk: safe`; known: {', '.join(known)}"
            )
        labels[name] = value.strip()
    return labels


def _sources(section: _Section, file: str) -> Iterator[Source]:
    for at, line in section.lines:
        if not line.strip():
            continue
        found = re.match(r"- (https?://\S+|[^:]+?)\s*(?: : (.*))?$", line)
        if not found or not found.group(2):
            raise EntryError(f"{file}:{at}: expected `- https://address : what it supports`")
        yield Source(found.group(1), found.group(2).strip())


def _examples(identity: str, section: _Section, file: str) -> Iterator[Example]:
    for fence in _fences(section)[0]:
        words = re.findall(r'[a-z_]+="[^"]*"|\S+', fence.info)
        if words[:2] == ["log", "match"]:
            values = dict(word.split("=", 1) for word in words[2:])
            yield Example(fence.text, identity, {k: v.strip('"') for k, v in values.items()}, False, fence.at)
        elif words[:2] == ["log", "near-miss"] and len(words) == 3:
            yield Example(fence.text, words[2], {}, True, fence.at)
        else:
            raise EntryError(f"{file}:{fence.at}: expected ```log match name=value … or ```log near-miss fault-id|none")


@dataclass(frozen=True, slots=True)
class Base:
    """The entries in force, and the errors of those that could not be read."""

    entries: Mapping[str, Entry]
    errors: tuple[str, ...] = ()
    front: Mapping[str, Head] | None = None
    """Their front matter, where that was read first."""

    @property
    def heads(self) -> Mapping[str, Head]:
        """What a log is searched for."""
        return self.entries if self.front is None else self.front


class _Shelf(Mapping[str, Entry]):
    """Entries that are read whole when they are asked for: of all but the few that a log shows, the heads suffice."""

    def __init__(self, texts: dict[str, tuple[str, str]]) -> None:
        """`texts`: by id, text and file."""
        self._texts = texts
        self._read: dict[str, Entry] = {}

    def __getitem__(self, identity: str) -> Entry:
        if identity not in self._read:
            self._read[identity] = parse_entry(*self._texts[identity])
        return self._read[identity]

    def __contains__(self, identity: object) -> bool:
        return identity in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


@cache
def shipped() -> Base:
    """The entries that come with the program. Raises EntryError: ours must be right."""
    from importlib.resources import files

    texts = {
        one.name.removesuffix(".md"): (one.read_text(encoding="utf-8"), f"knowledge/{one.name}")
        for one in sorted(files("knowledge").iterdir(), key=lambda one: one.name)
        if one.name.endswith(".md")
    }
    return Base(_Shelf(texts), front=_heads(texts))


def _heads(texts: Mapping[str, tuple[str, str]]) -> dict[str, Head]:
    """The front matter of each, out of the cache where it was kept: as TOML it takes longer than a small log."""
    at = cached_at(
        "heads", repr((__version__, Head.__slots__, Matcher._fields, sorted(texts))).encode(), *_written(texts)
    )
    if kept := cached(at):
        return {row[0]: _head_of(row) for row in json.loads(kept)}
    heads = {identity: parse_head(*text) for identity, text in texts.items()}
    keep(at, json.dumps([astuple(head) for head in heads.values()]).encode())
    return heads


def _written(texts: Mapping[str, tuple[str, str]]) -> Iterator[bytes]:
    """All that the heads are made of."""
    yield _shared_text().encode()
    yield from (text.encode() for _, (text, _) in sorted(texts.items()))


def _head_of(row: list[Any]) -> Head:
    """A head as JSON holds it: tuples have become lists."""
    plain, matchers, names, others = row[:5], row[5], row[6:11], row[11:]
    values: list[Any] = [*plain, tuple(Matcher(*one) for one in matchers), *map(tuple, names), *others]
    return Head(*values)


def lacking(entry: Entry, base: Base) -> list[str]:
    """What an entry must have to be trusted and has not; nothing of one that is retired."""
    if entry.retired:
        return []
    examples = {example.near_miss for example in entry.examples}
    named = {*entry.yields_to, *entry.explains, *(example.fault for example in entry.examples)} - {"none"}
    wanted = (
        (entry.sources, "no source"),
        (entry.fixes, "no fix"),
        (any(fix.verify for fix in entry.fixes), "no way to see that a fix worked"),
        (not entry.matchers or False in examples, "no example"),
        (not entry.matchers or True in examples, "no near miss"),
    )
    told = [words for there, words in wanted if not there]
    stated = {matcher.values["said"] for matcher in entry.matchers if "said" in matcher.values}
    goes_by = [item.when for item in entry.causes] + [item.when for item in entry.fixes]
    heeded = {words for when in goes_by for label in ("said", "only said") for words in when.get(label, ())}
    never = {words for when in goes_by for words in when.get("only said", ())} - stated
    told += [f'no cause and no fix goes by said = "{one}"' for one in sorted(stated - heeded)]
    told += [f'no matcher states said = "{one}"' for one in sorted(never)]
    return told + [f"there is no entry {one}" for one in sorted(named) if one not in base.entries]


def load(folders: Iterable[Path]) -> Base:
    """The shipped entries with those of the given folders laid over them, in order.

    An entry of the same id replaces ours, or adds to it with `extends = true`. One that cannot be read is left
    out and told in `errors`; it never breaks the rest.
    """
    paths = [path for folder in folders for path in sorted(folder.glob("*.md"))]
    if not paths:
        return shipped()
    entries = dict(shipped().entries)
    errors = []
    for path in paths:
        try:
            entry = parse_entry(path.read_text(encoding="utf-8"), str(path))
            _try_patterns(entry)
            entries[entry.id] = _laid_over(entries.get(entry.id), entry)
        except (EntryError, OSError, UnicodeDecodeError) as error:
            errors.append(str(error) if isinstance(error, EntryError) else f"{path}:1: {error}")
    return Base(entries, tuple(errors))


def _try_patterns(entry: Entry) -> None:
    from doctor.match import check_patterns

    check_patterns(entry)


def _laid_over(ours: Entry | None, theirs: Entry) -> Entry:
    if not theirs.extends:
        return theirs
    if ours is None:
        raise EntryError(f"{theirs.file}:1: extends = true, but there is no entry {theirs.id} to extend")
    return replace(
        ours,
        title=theirs.title or ours.title,
        text=f"{ours.text}\n\n{theirs.text}".strip(),
        matchers=theirs.matchers + ours.matchers,
        yields_to=theirs.yields_to + ours.yields_to,
        explains=theirs.explains + ours.explains,
        words=theirs.words + ours.words,
        causes=theirs.causes + ours.causes,
        fixes=theirs.fixes + ours.fixes,
        ask=theirs.ask + ours.ask,
        sources=theirs.sources + ours.sources,
        examples=theirs.examples + ours.examples,
        file=theirs.file,
    )
