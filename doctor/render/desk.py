"""The forms of a triage: the piece that each ticket adds, made where it was examined, and the whole around the pieces.

The whole is written as answers come in; what is grouped waits on disk (doctor/triage/spool.py). Memory does not grow
with the number of tickets.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from typing import TextIO

from doctor.render import csv, html, junit, sarif
from doctor.render.appearance import Appearance
from doctor.render.markdown import escaped, report_markdown
from doctor.report import Report, to_json
from doctor.text import one_line
from doctor.triage.answer import STATES, Answer, State
from doctor.triage.spool import Spool

WORDS: dict[State, str] = {
    "fault": "with a known fault",
    "unsure": "unsure",
    "nothing": "nothing found",
    "unread": "not read",
}
HEADINGS: dict[State, str] = {
    "fault": "",
    "unsure": "unsure: ",
    "nothing": "nothing found",
    "unread": "not read",
}
OPEN = 60
"""Tickets up to which the groups of an HTML overview are open; with more the causes and their counts come first."""
PAGES = 5000
"""Tickets that get a page of their own in HTML and a section in Markdown: a browser holds no more."""


def _json_line(report: Report, look: Appearance) -> str:
    return json.dumps(to_json(report), ensure_ascii=not look.unicode) + "\n"


def _json(report: Report, look: Appearance) -> str:
    return json.dumps(to_json(report), ensure_ascii=not look.unicode, indent=2)


def _sarif(report: Report, look: Appearance) -> str:
    rules = {item.finding.fault: sarif.rule(item) for item in report.diagnoses}
    return json.dumps([list(sarif.results(report, {})), rules, sarif.notifications(report)])


PIECES: dict[str, Callable[[Report, Appearance], str]] = {
    "text": lambda report, look: "",
    "json": _json,
    "jsonl": _json_line,
    "csv": lambda report, look: csv.row(report),
    "markdown": lambda report, look: report_markdown(report),
    "html": lambda report, look: html.body(report),
    "sarif": _sarif,
    "junit": lambda report, look: junit.suite(report),
}


@dataclass(slots=True)
class Tally:
    """Counts that do not grow with the tickets."""

    states: Counter[State]
    code: int = 0

    def add(self, one: Answer) -> None:
        self.states[one.state] += 1
        # Findings outrank what could not be examined.
        self.code = 1 if 1 in (one.code, self.code) else max(one.code, self.code)

    @property
    def total(self) -> int:
        return sum(self.states.values())

    def says(self) -> str:
        """`24 tickets: 20 with a known fault, 4 nothing found`."""
        told = ", ".join(f"{self.states[state]:,} {WORDS[state]}" for state in STATES if self.states[state])
        told = told or "there is no file in what was named"
        return f"{self.total:,} ticket{'s' if self.total != 1 else ''}: {told}"


def write(answers: Iterable[Answer], form: str, out: TextIO, look: Appearance, quiet: bool = False) -> int:
    """Write all answers; returns the exit code, which is 3 where there was no ticket at all."""
    tally = Tally(Counter())
    with ExitStack() as stack:
        counted = _counted(answers, tally)
        if form == "jsonl":
            for one in counted:
                out.write(one.piece)
                out.flush()
        elif form == "text":
            _text(counted, out, look, tally, stack.enter_context(Spool()), quiet)
        else:
            WHOLES[form](counted, out, look, tally, stack.enter_context(Spool()))
    return tally.code if tally.total else 3


def _counted(answers: Iterable[Answer], tally: Tally) -> Iterator[Answer]:
    for one in answers:
        tally.add(one)
        yield one


def _write_json(answers: Iterator[Answer], out: TextIO, look: Appearance, tally: Tally, spool: Spool) -> None:
    """One report alone stands as an object, as with every other verb; several as a list."""
    head = list(islice(answers, 2))
    if len(head) == 1:
        out.write(head[0].piece + "\n")
        return
    mark = "["
    for one in (*head, *answers):
        out.write(f"{mark}\n{one.piece}")
        mark = ","
    out.write(f"{'' if head else '['}\n]\n")


def _write_csv(answers: Iterator[Answer], out: TextIO, look: Appearance, tally: Tally, spool: Spool) -> None:
    out.write(csv.head())
    out.writelines(one.piece for one in answers)


def _write_junit(answers: Iterator[Answer], out: TextIO, look: Appearance, tally: Tally, spool: Spool) -> None:
    out.write(junit.HEAD)
    out.writelines(one.piece for one in answers)
    out.write(junit.TAIL)


def _write_sarif(answers: Iterator[Answer], out: TextIO, look: Appearance, tally: Tally, spool: Spool) -> None:
    from doctor.version import __version__

    rules: dict[str, object] = {}
    out.write(f'{{"$schema": "{sarif.SCHEMA}", "version": "2.1.0", "runs": [{{"results": [')
    mark = ""
    for one in answers:
        results, some, told = json.loads(one.piece)
        rules.update(some)
        for result in results:
            out.write(f"{mark}\n{json.dumps(result)}")
            mark = ","
        for notification in told:
            spool.add((0, ""), json.dumps(notification))
    driver = {"name": "gpu-doctor", "semanticVersion": __version__, "rules": [rules[fault] for fault in sorted(rules)]}
    notified = spool.groups()
    out.write(f'],\n"tool": {{"driver": {json.dumps(driver)}}},\n"columnKind": "unicodeCodePoints",\n')
    out.write(f'"invocations": [{{"executionSuccessful": {json.dumps(not notified)}, "toolExecutionNotifications": [')
    for number, notification in enumerate(spool.texts((0, "")) if notified else ()):
        out.write(("," if number else "") + "\n" + notification)
    out.write("]}]}]}\n")


# Text


def _text(answers: Iterator[Answer], out: TextIO, look: Appearance, tally: Tally, spool: Spool, quiet: bool) -> None:
    """A line a ticket below its cause, the commonest cause first; what is unsure, clean or unread after that."""
    asked: dict[tuple[int, str], tuple[str, ...]] = {}
    heads: dict[tuple[int, str], Answer] = {}
    for one in answers:
        spool.add(one.group, _ticket_line(one, look))
        asked.setdefault(one.group, one.ask)
        heads.setdefault(one.group, one)
    for group in spool.groups():
        state = STATES[group[0]]
        if quiet and state == "nothing":
            continue
        count, severity = spool.count(group), heads[group].severity
        sign = f"{look.sign(severity)}  " if severity else ""
        cause = f"{one_line(heads[group].cause, 200)} [{group[1]}]" if group[1] else ""
        heading = f"{sign}{HEADINGS[state]}{cause} · {count:,} ticket{'s' if count != 1 else ''}"
        out.write(_fit(look.paint(heading, severity), look) + "\n")
        out.writelines(_fit(line, look) + "\n" for line in spool.texts(group))
        if state != "fault" and asked[group]:
            out.write("  ask for the output of:\n")
            out.writelines(f"    {look.paint(row, 'command')}\n" for ask in asked[group] for row in ask.split("\n"))
        out.write("\n")
    out.write(tally.says() + "\n")


def _ticket_line(one: Answer, look: Appearance) -> str:
    place = one_line(one.name, 200) + (f":{one.line}" if one.line else "")
    digest = one.fingerprint.rpartition(":")[2] if one.fault else ""
    sure = "" if one.sure in ("certain", "") else f"  ({one.sure})"
    return f"  {digest + '  ' if digest else ''}{place}  {one_line(one.title, 300)}{sure}"


def _fit(text: str, look: Appearance) -> str:
    return text if look.unicode else text.replace("·", "-").encode("ascii", "replace").decode()


# Markdown


def _write_markdown(answers: Iterator[Answer], out: TextIO, look: Appearance, tally: Tally, spool: Spool) -> None:
    causes: dict[tuple[int, str], str] = {}
    with Spool() as sections:
        for number, one in enumerate(answers, 1):
            words = f"- {escaped(one.name)}: {escaped(one.title)}" + (f" ({one.sure})" if one.sure else "")
            spool.add(one.group, words)
            causes.setdefault(one.group, one.cause)
            if number <= PAGES and one.state != "nothing":
                sections.add((0, ""), one.piece)
        out.write(f"# Triage\n\n{tally.says()}\n")
        for group in spool.groups():
            cause = f"{escaped(causes[group])}, `{group[1]}`" if group[1] else ""
            out.write(f"\n## {HEADINGS[STATES[group[0]]]}{cause} ({spool.count(group):,})\n\n")
            out.writelines(f"{row}\n" for row in spool.texts(group))
        for section in sections.texts((0, "")) if sections.groups() else ():
            out.write(f"\n---\n\n{section}\n")


# HTML


def _write_html(answers: Iterator[Answer], out: TextIO, look: Appearance, tally: Tally, spool: Spool) -> None:
    heads: dict[tuple[int, str], Answer] = {}
    out.write(html.HEAD)
    for number, one in enumerate(answers, 1):
        if number <= PAGES:
            out.write(html.page(one.piece, number))
        name = html.text(one_line(one.name, 300))
        named = f'<a href="#t{number}">{name}</a>' if number <= PAGES else name
        said = html.text(one_line(one.title, 300)) + (f" ({one.sure})" if one.sure not in ("", "certain") else "")
        spool.add(one.group, f'<li>{named} <span class="faint">{said}</span></li>')
        heads.setdefault(one.group, replace(one, piece=""))
    out.write('<main id="overview">\n<h1>Triage</h1>\n<ul class="counts">')
    colors = {"fault": "error", "unsure": "warning", "nothing": "good", "unread": "faint"}
    for state in STATES:
        if tally.states[state]:
            out.write(f'<li class="{colors[state]}"><b>{tally.states[state]:,}</b>{WORDS[state]}</li>')
    out.write("</ul>\n")
    total = sum(tally.states.values())
    if total > PAGES:
        out.write(f'<p class="faint">The first {PAGES:,} tickets have a page of their own.</p>\n')
    for group in spool.groups():
        _html_group(group, heads[group], out, spool, is_open=total <= OPEN)
    out.write("</main>\n" + html.TAIL)


def _html_group(group: tuple[int, str], first: Answer, out: TextIO, spool: Spool, is_open: bool) -> None:
    cause = f"{html.text(first.cause)} <code>{html.text(group[1])}</code>" if group[1] else ""
    severity = first.severity
    sign = f'<span class="sign {severity}">{html.SIGNS[severity]}</span>' if severity else ""
    count = f'<span class="many">{spool.count(group):,}</span>'
    said = f"{count}{sign}{HEADINGS[STATES[group[0]]]}{cause}"
    out.write(f"<details{' open' if is_open else ''}><summary>{said}</summary>\n")
    out.write('<ol class="tickets">')
    out.writelines(spool.texts(group))
    out.write("</ol></details>\n")


WHOLES: dict[str, Callable[[Iterator[Answer], TextIO, Appearance, Tally, Spool], None]] = {
    "json": _write_json,
    "csv": _write_csv,
    "junit": _write_junit,
    "sarif": _write_sarif,
    "markdown": _write_markdown,
    "html": _write_html,
}
FORMATS = tuple(PIECES)
