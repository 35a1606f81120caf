"""Finding entries by word, id, error code or a pasted line."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

from doctor.codes import named
from doctor.data import ErrorCode, error_codes
from doctor.diagnose import diagnose
from doctor.knowledge import Base, Entry
from doctor.match import Patterns, findings, whole_lines

NUMBER = re.compile(
    r"(?i)\b(?:(?P<group>xid|cuda|hip|nvml|hsa|nccl|cudnn|cublas|rocblas|miopen)\b)?\s*(?:error|code|status|err)?"
    r"\s*[#:=(]?\s*(?<![\d.])(?P<number>\d{1,4})\b(?!\.\d)"
)
SONAME = re.compile(r"\blib[\w+.-]+?\.so(?:\.\d+)*\b")
SHORT = 3
"""Letters up to which a word is looked for as a whole: "mig" is no part of "might"."""


def search(text: str, base: Base, patterns: Patterns) -> list[Entry]:
    """Entries for a text, the best first: what the matchers say of it as a log, then ids, codes and words."""
    scores: dict[str, float] = {}
    for line in (text, *(f"{name}: cannot open shared object file" for name in SONAME.findall(text))):
        scan = patterns.scan(whole_lines(io.BytesIO(line.encode())), "query")
        for place, item in enumerate(diagnose(findings(scan, base), base).ranked):
            scores[item.entry.id] = scores.get(item.entry.id, 0) + 100 - place
    for identity, score in _by_code(SONAME.sub("", text), base):
        scores[identity] = max(scores.get(identity, 0), score)
    words = [word for word in re.findall(r"[\w.+-]+", _without_codes(text, base).lower()) if len(word) > 1]
    for entry in base.entries.values():
        score = _by_words(words, entry)
        if score:
            scores[entry.id] = scores.get(entry.id, 0) + score
    # Where the words fit both vendors, NVIDIA's is asked for more often.
    ranked = sorted(scores, key=lambda identity: (-scores[identity], identity.startswith("amd-"), identity))
    return [base.entries[identity] for identity in ranked]


def codes(text: str, base: Base) -> tuple[ErrorCode, ...]:
    """The error codes in a text that no entry is about: their meaning is all that is known."""
    told = {code for entry in base.entries.values() for code in entry.codes}
    numbered = (
        row
        for group, number in _numbers(text)
        for row in error_codes()
        if group and str(row.code) == number and _fits(group, row.group.lower())
    )
    rows = dict.fromkeys((*named(text), *numbered))
    return tuple(row for row in rows if f"{row.group}:{row.code}" not in told)


def _without_codes(text: str, base: Base) -> str:
    """The text without the codes that no entry is about: an entry that merely quotes one is no answer.

    Any Xid is a matter of the entries that tell what an Xid is.
    """
    rows = [row for row in codes(text, base) if row.group != "xid"]
    for row in rows:
        text = text.replace(row.name, " ") if row.name else text
    return NUMBER.sub(lambda found: " " if found["group"] else found[0], text) if rows else text


def _numbers(text: str) -> list[tuple[str, str]]:
    """The numbers in a text, each with the word that says whose error it is, or an empty one."""
    return [((found["group"] or "").lower(), found["number"]) for found in NUMBER.finditer(text)]


def _by_code(text: str, base: Base) -> Iterable[tuple[str, float]]:
    """Entries that name an error code: by number ("error 803", "Xid 79") or by name (cudaErrorNoDevice)."""
    wanted = _numbers(text)
    names = set(re.findall(r"\b[A-Za-z][A-Za-z_]*[A-Z_][A-Za-z0-9_]+\b", text))
    for entry in base.entries.values():
        for code in entry.codes:
            group, _, number = code.partition(":")
            for word, value in wanted:
                if value == number and _fits(word, group.lower()):
                    yield entry.id, 60 if word in group.lower() and word else 40
            if names & set(_names(group, number)):
                yield entry.id, 80


def _fits(word: str, group: str) -> bool:
    """Whether a word before a number may mean the group: "Xid 79" is no CUDA error."""
    if not word:
        return True
    return word in group or (word == "cuda" and group == "curesult")


def _names(group: str, number: str) -> Iterable[str]:
    return (row.name for row in error_codes() if row.group == group and str(row.code) == number)


def _by_words(words: list[str], entry: Entry) -> float:
    if not words:
        return 0
    identity = entry.id.split("-")
    title = entry.title.lower()
    named = " ".join(entry.words).lower()
    prose = entry.text.lower()
    examples = " ".join(example.text for example in entry.examples if not example.near_miss).lower()
    score = 0.0
    for word in words:
        best = max(
            10.0 if word == entry.id else 0,
            6.0 if "-" in word and f"-{word}-" in f"-{entry.id}-" else 0,
            5.0 if word in identity else 0,
            4.0 if _has(title, word) else 0,
            4.0 if _has(named, word) else 0,
            2.0 if _has(examples, word) else 0,
            1.0 if _has(prose, word) else 0,
        )
        if not best:
            return 0
        score += best
    return score


def _has(text: str, word: str) -> bool:
    return word in text and (len(word) > SHORT or re.search(rf"\b{re.escape(word)}\b", text) is not None)
