"""A ticket system that answers by itself where the cause is certain: reads tickets as JSON lines, writes answers.

python examples/ticket_system.py < tickets.jsonl > answers.jsonl
"""

import json
import sys

from doctor import diagnose_ticket, draft_reply_of, fingerprint_of, missing_evidence_of

for line in sys.stdin:
    ticket = json.loads(line)
    report = diagnose_ticket(ticket["text"], str(ticket["id"]))
    first = report.diagnoses[0] if report.diagnoses else None
    answer = {
        "id": ticket["id"],
        "group": fingerprint_of(report),  # equal for the same fault with the same values, over weeks
        "ask": missing_evidence_of(report),
        "draft": draft_reply_of(report),
        "send": first is not None and first.finding.sure == "certain",
    }
    print(json.dumps(answer))
