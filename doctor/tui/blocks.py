"""A diagnosis and an entry as blocks to read: prose, evidence, commands, sources. Each knows what copying it means.

The knowledge base is imported where it is used: the first screen is drawn before it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from doctor.text import plain
from doctor.tui.literal import clean, cut_middle, wrap, wrap_prose
from doctor.tui.rows import Cards, Row
from doctor.tui.signs import SIGNS
from doctor.words import SURE_WORDS, SUSPECT_WORDS, UNEXPLAINED

if TYPE_CHECKING:
    from doctor.diagnose import Diagnosis, SetAside
    from doctor.finding import Evidence
    from doctor.knowledge import Cause, Entry, Fix
    from doctor.report import Corrected, Report

GRAVITY = {"error": "blocking", "warning": "degraded", "note": "notice"}
EVIDENCE_LINES = 6


@dataclass(frozen=True, slots=True)
class Block:
    """Something to read, and what it stands for."""

    rows: Callable[[int], Sequence[Row]]
    commands: tuple[str, ...] = ()
    """What `y` copies here."""
    destroys: bool = False
    """Whether these commands lose data; they are copied as a comment."""
    evidence: Evidence | None = None
    link: str = ""
    fault: str = ""
    """Another entry that it speaks of."""

    @property
    def copy(self) -> str:
        """The commands as they go to the clipboard: no newline at the end, so that pasting runs nothing."""
        text = "\n".join(plain(command).rstrip("\n") for command in self.commands)
        return "\n".join(f"# {line}" for line in text.split("\n")) if self.destroys else text


def cards(blocks: Sequence[Block]) -> Cards[Block]:
    """The blocks as what a list shows."""
    return Cards(blocks, lambda block, width: block.rows(width))


def title(text: str, style: str = "strong") -> Block:
    return Block(lambda width: [((f" {piece}", style),) for piece in wrap(clean(text), width - 2)])


def note(text: str, indent: str = " ") -> Block:
    return Block(lambda width: [((indent + piece, "muted"),) for piece in wrap(clean(text), width - len(indent) - 1)])


def labelled(label: str, text: str) -> Block:
    """A short label and a text beside it."""

    def rows(width: int) -> list[Row]:
        first, *rest = wrap(clean(text), width - 14)
        return [((f" {label:<12}", "muted"), (first, "muted")), *(((" " * 13 + piece, "muted"),) for piece in rest)]

    return Block(rows)


def gap() -> Block:
    return Block(lambda width: [()])


def unexplained(report: Report) -> Iterator[Block]:
    """What failed in words that no entry knows."""
    yield title(f"{UNEXPLAINED}:")
    for one in report.unexplained:
        yield note(f"{one.name}, line {one.line}" + (f": {one.says}" if one.says else ""))
        yield quote(one.text)


def related(fault: str) -> Block:
    """Another entry; choosing it opens it."""
    return Block(lambda width: [((f"   └ {fault}", "accent"),)], fault=fault)


def quote(line: str) -> Block:
    return Block(lambda width: [(("   ┆ ", "quote"), (piece, "quote")) for piece in wrap(clean(line), width - 6)])


def prose(text: str, indent: str = " ") -> Block:
    """Our own words with values filled in: `code` is shown as such, everything else stands as it is."""

    def rows(width: int) -> list[Row]:
        found: list[Row] = []
        inside = False
        for line in wrap_prose(text, width - len(indent) - 1):
            row, inside = _with_code(line, inside and bool(line))
            found.append(((indent, ""), *row))
        return found

    return Block(rows)


def _with_code(line: str, inside: bool) -> tuple[Row, bool]:
    pieces: list[tuple[str, str]] = []
    for n, piece in enumerate(re.split(r"`", line)):
        inside = inside if n == 0 else not inside
        if piece:
            pieces.append((piece, "code" if inside else ""))
    return tuple(pieces), inside


def command(text: str, *, destroys: bool = False, all_of: tuple[str, ...] = (), hint: bool = True) -> Block:
    """A command as it is typed; lines that do not fit go on, indented, and are copied whole."""
    lines = [line.expandtabs(4) for line in plain(text).rstrip("\n").split("\n")]

    def rows(width: int) -> list[Row]:
        found: list[Row] = []
        for line in lines:
            for n, piece in enumerate(_wrapped_command(line, width - 6)):
                found.append(((" ", ""), ("┃ ", "accent"), (f"{'    ' if n else ''}{piece}", "command")))
        if hint:
            used = sum(len(piece) for piece, _ in found[-1])
            label = "y copy"
            if used + len(label) + 2 <= width:
                found[-1] = (*found[-1], (" " * (width - used - len(label) - 1), ""), (label, "muted"))
        return found

    return Block(rows, commands=all_of or (text,), destroys=destroys)


def _wrapped_command(line: str, width: int) -> list[str]:
    """Broken at spaces, or within a word that is too long; its own indentation kept."""
    indent = line[: len(line) - len(line.lstrip())]
    words = line.lstrip()
    first = wrap(words, width - len(indent))[0]
    rest = words[len(first) :].lstrip()
    more = wrap(rest, width - len(indent) - 4) if rest else []
    return [indent + first, *(indent + piece for piece in more)]


def headline(item: Diagnosis) -> Row:
    """Sign, word and how sure it is."""
    sign = SIGNS[item.severity]
    return ((sign.text, sign.style), ("  ", ""), (SURE_WORDS[item.finding.sure], "muted"))


def diagnosis_card(item: Diagnosis, number: int, width: int) -> list[Row]:
    """One finding in the list of findings."""
    role = {"consequence": "follows from it", "also": "", "cause": ""}[item.role]
    logged = [evidence.line for evidence in item.finding.evidence if evidence.source == "log"]
    lines = sorted({line for line in logged if line})
    where = f"line{'s' if len(lines) > 1 else ''} {', '.join(map(str, lines[:3]))}" if lines else ""
    tail = "  ".join(filter(None, (role, where)))
    rows: list[Row] = [((f" {number:<2}", "muted"), *headline(item), (f"  {tail}" if tail else "", "muted"))]
    rows += [((f"    {piece}", "strong"),) for piece in wrap(clean(item.title), width - 5)]
    rows.append(((f"    {item.finding.fault}", "muted"),))
    for fault in item.explains:
        rows += [((f"    {piece}", "muted"),) for piece in wrap(f"explains {fault}", width - 5)]
    return rows


def aside_card(item: SetAside, width: int) -> list[Row]:
    """What was seen too, and why it is no finding."""
    line = next((f", line {evidence.line}" for evidence in item.finding.evidence if evidence.line), "")
    text = f"{item.finding.fault}{line}: yields to {item.yields_to}"
    pieces = wrap(text, width - 16)
    first = ((" –  ", "muted"), ("set aside  ", "muted"), (pieces[0], "muted"))
    return [first, *(((f"               {piece}", "muted"),) for piece in pieces[1:])]


def wrong(item: Diagnosis, report: Report) -> Iterator[Block]:
    """What is wrong, in words."""
    from doctor.diagnose import in_words

    words = f"{item.finding.fault} · {item.severity} · {SURE_WORDS[item.finding.sure]}"
    yield note(words)
    yield gap()
    yield prose(item.explanation)
    if item.explains:
        yield gap()
        yield title("Explains")
        for fault in item.explains:
            yield related(fault)
    for heading, seen, suspect in in_words(item.causes):
        yield gap()
        yield title(heading)
        if seen:
            yield prose(f"Seen: {seen}", "   ")
        if suspect:
            yield from _told(suspect.cause)
    if report.not_examined:
        yield gap()
        yield title("Not looked at")
        for row in report.not_examined:
            yield note(row, "   ")


def _told(cause: Cause) -> Iterator[Block]:
    yield prose(cause.text, "   ")
    for text in cause.commands:
        yield command(text)


def evidence(item: Diagnosis) -> Iterator[Block]:
    """Why we think so: each quoted line with its place."""
    for number, one in enumerate(item.finding.evidence, 1):
        yield Block(partial(_evidence_rows, number, one), evidence=one)


def _evidence_rows(number: int, one: Evidence, width: int) -> list[Row]:
    place = f"line {one.line}" if one.line else ""
    name = cut_middle(clean(one.name), width - len(place) - 8)
    space = " " * max(1, width - len(name) - len(place) - 5)
    rows: list[Row] = [((f" {number}  ", "muted"), (name, ""), (space, ""), (place, "muted"))]
    quoted = [piece for line in plain(one.text).split("\n")[:EVIDENCE_LINES] for piece in wrap(clean(line), width - 7)]
    rows += [(("    ┆ ", "quote"), (piece, "quote")) for piece in quoted[: EVIDENCE_LINES * 2]]
    if one.says:
        rows += [((f"    {piece}", ""),) for piece in wrap(clean(one.says), width - 5)]
    rows.append(())
    return rows


def fixes(item: Diagnosis, corrected: Corrected | None = None) -> Iterator[Block]:
    """What to do, each command to copy; first of all the person's own command line, corrected."""
    from doctor.knowledge import fill

    if corrected and item.role == "cause":
        (_, first), (other, second) = corrected.forms
        yield title("Your own command line, corrected")
        yield note("; ".join(corrected.changes))
        yield from (command(text, all_of=first) for text in first)
        yield from (note(remark) for remark in corrected.remarks)
        yield gap()
        yield title(f"The same {other[:1].lower()}{other[1:]}")
        yield from (command(text, all_of=second) for text in second)
        yield gap()
    for number, fix in enumerate(item.fixes, 1):
        if number > 1:
            yield gap()
        yield from fix_blocks(fix, number, len(item.fixes))
    if item.entry.ask:
        yield gap()
        yield title("To be surer, ask for the output of")
        for text in item.entry.ask:
            yield command(fill(text, item.finding.values))


def fix_blocks(fix: Fix, number: int, of: int) -> Iterator[Block]:
    """One way out."""
    words = fix.title[:1].upper() + fix.title[1:]
    yield title(f"{number}  {words}" if of > 1 else words)
    holds = "".join(f" · {name}: {', '.join(values)}" for name, values in fix.when.items())
    yield note(f"{fix.where} · risk: {fix.risk}{holds}")
    if fix.text:
        yield prose(fix.text)
    for text in fix.commands:
        yield command(text, destroys=fix.risk == "destructive", all_of=fix.commands)
    if fix.risk == "destructive":
        yield note("This loses data. It is copied as a comment, so that pasting it runs nothing.")
    for label, texts in (("Verify", fix.verify), ("Undo", fix.undo)):
        if texts:
            yield note(label)
        for text in texts:
            yield command(text, hint=False)


def sources(entry: Entry) -> Iterator[Block]:
    """Where it is told."""
    for source in entry.sources:
        address = source.address.removeprefix("https://")

        def rows(width: int, address: str = address, says: str = source.says) -> list[Row]:
            found: list[Row] = [((f" {cut_middle(clean(address), width - 2)}", "accent"),)]
            return found + [((f"   {piece}", "muted"),) for piece in wrap(clean(says), width - 4)]

        yield Block(rows, link=source.address)


def entry_blocks(entry: Entry, examples: bool = False) -> Iterator[Block]:
    """An entry of the knowledge base, to read."""
    from doctor.knowledge import fill, filled

    yield title(fill(entry.title, {}))
    count = len(entry.matchers)
    matchers = f"{count} matcher{'s' if count != 1 else ''}"
    yield note(f"{entry.area} · {GRAVITY[entry.severity]} · {matchers} · {entry.file}")
    yield gap()
    yield prose(fill(entry.text, {}))
    for cause in entry.causes:
        yield gap()
        blank = filled(cause, {})
        yield title(f"{SUSPECT_WORDS['open']}: {blank.title}")
        yield from _told(blank)
    for number, fix in enumerate(entry.fixes, 1):
        yield gap()
        yield from fix_blocks(filled(fix, {}), number, len(entry.fixes))
    if entry.ask:
        yield gap()
        yield title("Ask for the output of")
        for text in entry.ask:
            yield command(fill(text, {}))
    yield gap()
    if entry.matchers:
        yield title("Recognised by")
        for matcher in entry.matchers:
            yield note(matcher.line, "   ")
    else:
        yield note("Found by looking at the machine, not in logs.")
    for label, faults in (("Yields to", entry.yields_to), ("Explains", entry.explains)):
        if faults:
            yield gap()
            yield title(label)
            for fault in faults:
                yield related(fault)
    if entry.codes:
        yield gap()
        yield note(f"Error codes: {', '.join(entry.codes)}")
    yield gap()
    if examples:
        yield title("Examples")
        for example in entry.examples:
            yield note(f"{'near miss of ' if example.near_miss else ''}{example.fault}", "   ")
            for line in plain(example.text).split("\n"):
                yield quote(line)
    else:
        missed = sum(example.near_miss for example in entry.examples)
        misses = f"{missed} near miss{'es' if missed != 1 else ''}"
        yield note(f"Examples: {len(entry.examples) - missed} match, {misses} (x shows them)")
    yield gap()
    yield title("Sources")
    yield from sources(entry)
