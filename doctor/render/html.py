"""Reports as one HTML file that needs nothing else: an overview, and a page for each report, chosen by its address.

No script, no font, no picture and no address is loaded: the file forbids itself to. Pages stand before the overview,
so that a stream of reports can be written as it comes; the style shows the page that the address names, else the
overview. Light and dark follow the reader's system.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from doctor.diagnose import Diagnosis, Suspect, in_words
from doctor.knowledge import Fix
from doctor.render.appearance import Appearance
from doctor.report import Report
from doctor.text import plain
from doctor.words import SURE_WORDS, UNEXPLAINED_TEXT

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2024; --faint: #5f6b76; --line: #d8dee4; --well: #f4f6f8;
  --error: #b42318; --warning: #8a5a00; --note: #0b5cad; --good: #1a7f37; --link: #0b5cad; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e4e8ec; --faint: #9aa6b2; --line: #333b43;
  --well: #1d2226; --error: #ff8a7a; --warning: #e8b44a; --note: #7cb7ff; --good: #6fd08c; --link: #7cb7ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 1.75rem 0 .5rem; } h3 { font-size: 1rem; }
a { color: var(--link); } nav { display: flex; gap: 1rem; } p { max-width: 46rem; }
.page { display: none; } .page:target { display: block; } .page:target ~ #overview { display: none; }
.faint { color: var(--faint); } .error { color: var(--error); } .warning { color: var(--warning); }
.note { color: var(--note); } .good { color: var(--good); }
.sign { font-weight: 600; margin-right: .4rem; white-space: nowrap; }
pre { background: var(--well); border: 1px solid var(--line); border-radius: 6px; padding: .6rem .75rem;
  margin: .5rem 0; white-space: pre-wrap; font: 14px/1.45 ui-monospace, monospace; }
code { font: .9em ui-monospace, monospace; background: var(--well); padding: .1em .25em; border-radius: 4px; }
details { margin: .6rem 0; } summary { cursor: pointer; font-weight: 600; }
summary code { white-space: nowrap; font-weight: 400; }
.many { display: inline-block; min-width: 2.5rem; text-align: right; margin-right: .7rem;
  font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: .3rem .6rem .3rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; } th { font-weight: 600; }
td.count, th.count { text-align: right; white-space: nowrap; width: 4rem; }
.counts { display: flex; flex-wrap: wrap; gap: 1rem 2rem; padding: 0; list-style: none; }
.counts b { font-size: 1.6rem; display: block; line-height: 1.1; }
ol.tickets { list-style: none; padding: 0; margin: .3rem 0; }
ol.tickets li { padding: .3rem 0; border-bottom: 1px solid var(--line); }
@media print { .page { display: block; break-before: page; } nav { display: none; } }
"""
HEAD = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>gpu-doctor report</title>
<style>{STYLE}</style>
</head>
<body>
"""
TAIL = "</body>\n</html>\n"
SIGNS = {"error": "✗ fault", "warning": "! warning"}
CODE = re.compile(r"`([^`\n]+)`")


def reports_html(reports: Sequence[Report], look: Appearance) -> str:
    """The whole document."""
    pages = [page(body(report), number) for number, report in enumerate(reports, 1)]
    rows = "".join(f"<li>{line(report, number)}</li>" for number, report in enumerate(reports, 1))
    listed = f'<main id="overview"><h1>gpu-doctor report</h1><ol class="tickets">{rows}</ol></main>\n'
    return HEAD + "".join(pages) + listed + TAIL


def page(content: str, number: int) -> str:
    """A page, to be put before the overview. Pages are numbered from 1, in order."""
    before = f'<a href="#t{number - 1}">previous</a>' if number > 1 else ""
    links = f'<nav><a href="#overview">overview</a>{before}<a href="#t{number + 1}">next</a></nav>'
    return f'<article class="page" id="t{number}">{links}\n{content}</article>\n'


def line(report: Report, number: int) -> str:
    """A report in the overview: sign, name and what is wrong."""
    first = report.first
    said = first.title if first else "; ".join(report.not_examined)
    return f'{sign(report)}<a href="#t{number}">{text(report.name)}</a> <span class="faint">{text(said)}</span>'


def sign(report: Report) -> str:
    kind, words = report.headline
    if report.first:
        return f'<span class="sign {kind}">{SIGNS[kind]}</span>'
    mark, style = ("✓", "good") if kind == "passed" else ("?", "warning")
    return f'<span class="sign {style}">{mark} {words[:1].lower()}{words[1:]}</span>'


def body(report: Report) -> str:
    """What stands on the page of a report."""
    return "".join(_body(report))


def _body(report: Report) -> Iterator[str]:
    first = report.first
    yield f'<p class="faint">{text(report.kind)} {text(report.name)}</p>'
    yield f"<h1>{sign(report)}{text(first.title)}</h1>" if first else f"<h1>{sign(report)}</h1>"
    if report.unexplained:
        yield from (_evidence(one.name, one.line, one.text, one.says) for one in report.unexplained)
        yield f"<p>{text(UNEXPLAINED_TEXT)}</p>"
    for item in report.diagnoses:
        yield from _diagnosis(item, is_first=item is first)
    if report.corrected:
        yield "<h2>The container’s own line, corrected</h2>"
        (_, own), (other, second) = report.corrected.forms
        yield from (_block(command) for command in own)
        yield from (f"<p>{text(remark)}</p>" for remark in report.corrected.remarks)
        yield _folded(other, "".join(_block(command) for command in second))
    if report.set_aside:
        rows = (f"<code>{one.finding.fault}</code> yields to <code>{one.yields_to}</code>" for one in report.set_aside)
        yield _folded("Seen too, and set aside", _listed(rows))
    if report.outcomes:
        rows = (f"<code>{text(one.check)}</code> {one.state}: {text(one.says)}" for one in report.outcomes)
        yield _folded(f"Checks ({len(report.outcomes)})", _listed(rows))
    if report.not_examined:
        yield "<h2>Not looked at</h2>" + _listed(map(text, report.not_examined))
    yield from _desk(report.extra.get("ticket", {}))


def _desk(ticket: dict[str, object]) -> Iterator[str]:
    asked = ticket.get("missing_evidence")
    if isinstance(asked, list) and asked:
        yield "<h2>Ask for the output of</h2>" + "".join(_block(str(command)) for command in asked)
    if ticket.get("reply"):
        yield _folded("Drafted reply", _block(str(ticket["reply"])))
    if ticket.get("fingerprint"):
        yield f'<p class="faint">fingerprint <code>{text(str(ticket["fingerprint"]))}</code></p>'


def _diagnosis(item: Diagnosis, is_first: bool) -> Iterator[str]:
    told = f"<code>{item.finding.fault}</code> · {item.severity} · {SURE_WORDS[item.finding.sure]}"
    if is_first:
        yield f"<p>{told}</p>"
    else:
        role = {"consequence": " · follows from it", "also": " · also", "cause": ""}[item.role]
        yield f'<h2><span class="{item.severity}">{text(item.title)}</span></h2><p>{told}{role}</p>'
    yield from (f"<p>{prose(part)}</p>" for part in item.explanation.split("\n\n"))
    rows = "".join(_evidence(one.name, one.line, one.text, one.says) for one in item.finding.evidence)
    yield _folded(f"Evidence ({len(item.finding.evidence)})", rows, is_open=is_first)
    if item.role != "consequence":
        yield from map(_suspect, in_words(item.causes))
        yield from (_fix(fix, is_open=is_first and not number) for number, fix in enumerate(item.fixes))
    if item.finding.values:
        pairs = (f"<tr><th>{text(k)}</th><td>{text(v)}</td></tr>" for k, v in sorted(item.finding.values.items()))
        yield _folded("Values", f"<table>{''.join(pairs)}</table>")
    links = (f'<a href="{html.escape(one.address)}">{text(one.address)}</a>' for one in item.entry.sources)
    yield _folded("Sources", _listed(links))


def _evidence(name: str, at: int | None, quoted: str, says: str) -> str:
    place = text(name) + (f", line {at}" if at else "") + (f": {text(says)}" if says else "")
    return f'<p class="faint">{place}</p>' + (_block(quoted) if quoted else "")


def _suspect(told: tuple[str, str, Suspect | None]) -> str:
    heading, seen, suspect = told
    if suspect is None:
        return f'<p class="faint">{text(heading)}.{f" Seen: {text(seen)}" if seen else ""}</p>'
    content = f'<p class="faint">Seen: {text(seen)}</p>' if seen else ""
    content += f"<p>{prose(suspect.cause.text)}</p>" if suspect.cause.text else ""
    content += "".join(map(_block, suspect.cause.commands))
    return _folded(text(heading), content, is_open=bool(seen))


def _fix(fix: Fix, is_open: bool) -> str:
    parts = [f"<p>{prose(fix.text)}</p>" if fix.text else "", *map(_block, fix.commands)]
    for label, commands in (("Verify", fix.verify), ("Undo", fix.undo)):
        if commands:
            parts += [f'<p class="faint">{label}</p>', *map(_block, commands)]
    return _folded(f"Fix: {text(fix.title)}", "".join(parts), f"{fix.where} · risk: {fix.risk}", is_open)


def _folded(title: str, content: str, aside: str = "", is_open: bool = False) -> str:
    """A part that the reader opens and closes. `title` and `content` are HTML."""
    said = f' <span class="faint">{text(aside)}</span>' if aside else ""
    return f"<details{' open' if is_open else ''}><summary>{title}{said}</summary>{content}</details>"


def _listed(rows: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{row}</li>' for row in rows)}</ul>"


def _block(content: str) -> str:
    return f"<pre>{text(content.rstrip())}</pre>"


def prose(content: str) -> str:
    """Our own words: only code in backticks is marked up."""
    return CODE.sub(r"<code>\1</code>", text(content))


def text(content: str) -> str:
    """Untrusted text: nothing in it is markup."""
    return html.escape(plain(content))
