"""Reports as CSV (RFC 4180): a row a report, for spreadsheets and ticket systems."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from doctor.render.appearance import Appearance
from doctor.report import Report
from doctor.text import one_line, plain

COLUMNS = (
    "name", "verdict", "fault", "severity", "confidence", "title", "fingerprint", "line", "evidence", "also", "values",
    "ask", "not_examined",
)  # fmt: skip
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula (https://owasp.org/www-community/attacks/CSV_Injection)."""


def reports_csv(reports: Sequence[Report], look: Appearance) -> str:
    """The header and a row for each report."""
    return head() + "".join(map(row, reports))


def head() -> str:
    return _written(COLUMNS)


def row(report: Report) -> str:
    """The row of one report, by its diagnosis."""
    first = report.first
    evidence = first.finding.evidence[0] if first and first.finding.evidence else None
    ticket = report.extra.get("ticket", {})
    return _written(
        (
            report.name,
            report.verdict,
            first.finding.fault if first else "",
            first.severity if first else "",
            first.finding.sure if first else "",
            first.title if first else "",
            ticket.get("fingerprint", ""),
            str(evidence.line) if evidence and evidence.line else "",
            evidence.text or evidence.says if evidence else "",
            " ".join(item.finding.fault for item in report.diagnoses if item is not first),
            "; ".join(f"{name}={value}" for name, value in sorted(first.finding.values.items())) if first else "",
            "; ".join(ticket.get("missing_evidence", ())),
            "; ".join(report.not_examined),
        )
    )


def _written(cells: Sequence[str]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([_safe(cell) for cell in cells])
    return out.getvalue()


def _safe(cell: str) -> str:
    text = one_line(plain(cell), 2000)
    return f"'{text}" if text.startswith(FORMULA) else text
