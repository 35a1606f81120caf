"""gpu-doctor: why a GPU container fails, and how to fix it.

What a ticket system or a pipeline calls:

    from doctor import diagnose_log

    report = diagnose_log(open("train.log").read())
    for item in report.diagnoses:          # ranked; the first is the cause; empty: nothing known is wrong
        print(item.finding.fault, item.title, [fix.commands for fix in item.fixes])

`diagnose_ticket` takes whatever people attach, `diagnose_snapshot` what `gpu-doctor record` wrote, `lint_file` a
Dockerfile, compose file or manifest; `to_json`, `fingerprint_of`, `missing_evidence_of` and `draft_reply_of` take the
report that they return. All may be called from many threads; reports are immutable and can be pickled. What is not
named here is not for others to import. Importing this costs nothing: the rest is loaded by the first call.
"""

TYPE_CHECKING = False  # type checkers take it for true; importing typing would be most of the start of `--version`
if TYPE_CHECKING:
    from doctor.api import (
        diagnose_log,
        diagnose_snapshot,
        diagnose_ticket,
        draft_reply_of,
        fingerprint_of,
        lint_file,
        missing_evidence_of,
        to_json,
    )
    from doctor.diagnose import Diagnosis
    from doctor.errors import UsageError
    from doctor.finding import Evidence, Finding
    from doctor.knowledge import Fix
    from doctor.report import Report

__all__ = [
    "Diagnosis",
    "Evidence",
    "Finding",
    "Fix",
    "Report",
    "UsageError",
    "diagnose_log",
    "diagnose_snapshot",
    "diagnose_ticket",
    "draft_reply_of",
    "fingerprint_of",
    "lint_file",
    "missing_evidence_of",
    "to_json",
]
_TYPES = {"Diagnosis": "diagnose", "Evidence": "finding", "Finding": "finding", "Fix": "knowledge", "Report": "report",
          "UsageError": "errors"}  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'doctor' has no attribute {name!r}")
    from importlib import import_module

    found: object = getattr(import_module(f"doctor.{_TYPES.get(name, 'api')}"), name)
    return found


def __dir__() -> list[str]:
    return __all__
