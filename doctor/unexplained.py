"""What a log calls an error in words that no entry knows. It is shown, so that "nothing known" is no all-clear."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from doctor.codes import meaning, named
from doctor.finding import Evidence

if TYPE_CHECKING:
    from doctor.match import Hit, Scan

FAILURES = (
    # the last line of a traceback, and how programs in other languages end
    r"(?:^|\] |\) )(?:\w+\.){0,6}[A-Z]\w*(?:Error: |Exception: |Failure: )|^\s*what\(\): +\S",
    r"^(?:\w+\.){0,6}(?:AssertionError|MemoryError|NotImplementedError|RecursionError)$",
    r"^(?:panic: |fatal error: |[Ff]atal (?:Python )?error\b|FATAL(?: ERROR)?: |terminate called|thread '.*' panicked)",
    r"\b(?:Segmentation fault|core dumped|Illegal instruction|Assertion [`'].*failed|SIG(?:SEGV|ABRT|BUS|ILL))\b",
    # engines, shells, build tools and compilers
    r"\bError response from daemon: |^(?:Error|error|ERROR): \S|\bfailed to solve: ",
    r"^\S+:\d+(?::\d+)?: (?:fatal )?error: ",
    # loggers: ERROR, level=error, "level":"fatal", glog
    r"^.{0,60}\b(?:ERROR|CRITICAL|FATAL|SEVERE)\b",
    r"\blevel=\"?(?:error|fatal|panic)\b|\"level\": ?\"(?:error|fatal|panic)\"",
    r"^[EF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ [\w/-]+(?:\.cpp:|\.cc:|\.cu:|\.go:|\.py:)\d+\]",
    r"\bexit(?:ed with|s with|)? (?:code|status):? \(?-?[1-9]|\breturned a non-zero code",
    r"^(?:[\w./-]+: )?(?:[Ff]ailed|[Uu]nable|[Cc]ould not|[Cc]annot) (?:to )?(?:load|open|init\w*|create|find|start"
    r"|connect|allocate|get|set|read|access|launch|run|detect|register|enable|use|compile|build|import)\b",
)
"""RE2 patterns, what tells most first. None names a fault: a line that fits is no finding."""
KEPT = 16
"""Lines that are kept for one pattern, from the log's begin on: what fails first makes the rest fail."""
SHOWN = 3
FRAME = re.compile(
    r'File "|\^{3}|^\s(?!\s*what\(\))|\] {2,}|Traceback \(most recent|During handling of|warning\b', re.IGNORECASE
)
"""Lines around an error, of which a logger calls each an error."""


def failures(scan: Scan) -> tuple[Evidence, ...]:
    """The most telling lines of a log that its programs call an error, in the log's order; of an error code that they
    name, what the vendors' tables say."""
    chosen: dict[str, Hit] = {}
    for pattern in FAILURES:
        for hit in scan.of(pattern):
            if not FRAME.search(hit.whole) and len(chosen) < SHOWN:
                chosen.setdefault(re.sub(r"[\d\W]+", " ", hit.text), hit)
    return tuple(
        Evidence("log", scan.name, hit.text, hit.line, "; ".join(map(meaning, named(hit.text))))
        for hit in sorted(chosen.values(), key=lambda hit: hit.line)
    )
