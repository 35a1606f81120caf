"""What is wrong with files, as compilers tell it: a line each that editors can jump to, and the corrected lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from doctor.diagnose import Diagnosis
from doctor.render.appearance import Appearance
from doctor.report import Report
from doctor.text import one_line, plain


def lint_text(reports: Sequence[Report], look: Appearance) -> str:
    """All files. The diffs are not indented, so that `patch -p0` finds them in it."""
    rows = [row for report in reports for row in _file(report, look)]
    errors, warnings = (sum(report.count(kind) for report in reports) for kind in ("error", "warning"))
    unread = sum(not report.examined for report in reports)
    told = [
        f"{count} {word}{'s' if count != 1 else ''}"
        for count, word in ((errors, "error"), (warnings, "warning"))
        if count
    ]
    told += [f"{unread} not read"] if unread else []
    rows.append(f"{len(reports)} file{'s' if len(reports) != 1 else ''}: {', '.join(told) or 'nothing known is wrong'}")
    text = "\n".join(rows) + "\n"
    return text if look.unicode else text.encode("ascii", "replace").decode()


def _file(report: Report, look: Appearance) -> Iterator[str]:
    name = one_line(report.name, 400)
    for item in report.diagnoses:
        yield from _flaw(name, item, look)
    for reason in report.not_examined:
        yield f"{name}: not read: {one_line(reason, 300)}"


def _flaw(name: str, item: Diagnosis, look: Appearance) -> Iterator[str]:
    seen = item.finding.evidence[0]
    sure = "" if item.finding.sure == "certain" else f", {'a guess' if item.finding.sure == 'possible' else 'likely'}"
    head = f"{name}:{seen.line}: {item.severity}{sure}: {plain(item.title)}"
    yield f"{look.paint(head, item.severity)}  [{item.finding.fault}]"
    if seen.text:
        yield f"    {plain(seen.text)}"
    if look.verbose:
        yield from ("", *(f"  {row}" for row in plain(item.explanation).split("\n")))
    own = next((fix for fix in item.fixes if fix.language == "diff"), None)
    if own:
        yield from ("", f"  {plain(own.title)}:", *plain(own.commands[0]).split("\n"))
    elif item.fixes:
        fix = item.fixes[0]
        yield from (
            "",
            f"  {plain(fix.title)}:",
            *(f"    {row}" for one in fix.commands for row in plain(one).split("\n")),
        )
    yield ""
