"""The literal text that every match of a pattern must contain, so that one automaton can find the candidates.

The idea is that of RE2's FilteredRE2 (https://github.com/google/re2/blob/main/re2/filtered_re2.h), whose Python
wrapper gives no positions.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any

if sys.version_info >= (3, 11):
    from re import _constants as codes  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]
else:
    import sre_constants as codes
    import sre_parse as parser

SHORTEST = 4
LONG = 12
MOST = 40
"""Literals that one pattern may be found by, where its alternatives multiply."""
# fmt: off
COMMON = frozenset(
    {
        "amdgpu", "available", "build", "built", "client", "container", "containers", "cuda", "cudnn", "default",
        "detected", "device", "devices", "docker", "driver", "enabled", "engine", "failed", "failure", "found", "gpu",
        "gpus", "image", "install", "installed", "kernel", "launch", "library", "loaded", "loading", "memory", "model",
        "module", "node", "nodes", "not", "nvidia", "package", "python", "pytorch", "rocm", "running", "runtime",
        "server", "service", "status", "support", "supported", "system", "tensorflow", "tensors", "torch", "torch.",
        "using", "version", "warning",
    }
)
# fmt: on
"""Words so frequent in healthy logs that they are a poor sign. In lower case."""


def required(pattern: str) -> tuple[frozenset[str], bool]:
    """Literals of which every match contains at least one, and whether letter case is ignored.

    Raises ValueError when the pattern is malformed or there is no such set of literals of 4 characters or more:
    such a pattern would have to be tried on every line.
    """
    try:
        parsed = parser.parse(pattern)
    except (re.error, OverflowError) as error:
        raise ValueError(f"malformed pattern: {error}") from None
    found = _required(parsed)
    if not found or min(map(len, found)) < SHORTEST:
        raise ValueError(f"the pattern needs a literal text of {SHORTEST} characters or more that every match contains")
    # A group may ignore case alone, (?i:…): looking for all of it in any case only makes more candidates.
    caseless = bool(parsed.state.flags & re.IGNORECASE) or "(?i" in pattern
    return (frozenset(text.lower() for text in found) if caseless else found), caseless


def _required(items: Any) -> frozenset[str]:
    """The best set for a sequence: the one that is no common word, then whose shortest literal is longest."""
    candidates: list[frozenset[str]] = []
    runs = frozenset([""])
    for item in [*_flat(items), (codes.AT, None)]:
        texts = _texts([item])
        if texts and len(texts) * len(runs) <= MOST:
            if len(texts) > 1:
                candidates.append(runs)
            runs = frozenset(run + text for run in runs for text in texts)
            continue
        code, argument = item
        if code is codes.BRANCH:
            beginnings = [_beginning(branch) for branch in argument[1]]
            if len(runs) * len(beginnings) <= MOST:
                candidates.append(frozenset(run + beginning for run in runs for beginning in beginnings))
        candidates.append(runs)
        runs = frozenset([""])
        candidates.append(_required_of(code, argument))
    best = max(candidates, key=_worth, default=frozenset())
    return frozenset(text for text in best if not any(other in text for other in best if other != text))


def _texts(items: Any) -> frozenset[str]:
    """All texts that a sequence stands for, where they are few: letters, [Ee], (?:one|other), (?:maybe )?; or none."""
    texts = frozenset([""])
    for code, argument in _flat(items):
        if code is codes.LITERAL:
            more = frozenset([chr(argument)])
        elif code is codes.IN and len(argument) <= 4 and all(kind is codes.LITERAL for kind, _ in argument):
            more = frozenset(chr(letter) for _, letter in argument)
        elif code is codes.BRANCH:
            branches = [_texts(branch) for branch in argument[1]]
            more = frozenset().union(*branches) if all(branches) else frozenset()
        elif code is codes.MAX_REPEAT and argument[:2] == (0, 1) and (inner := _texts(argument[2])):
            more = inner | {""}
        else:
            return frozenset()
        if not more or len(texts) * len(more) > MOST:
            return frozenset()
        texts = frozenset(text + tail for text in texts for tail in more)
    return texts


def _flat(items: Any) -> Iterator[tuple[Any, Any]]:
    """The items with groups opened: a group in a sequence is as mandatory as its neighbours."""
    for code, argument in items:
        if code is codes.SUBPATTERN:
            yield from _flat(argument[-1])
        else:
            yield code, argument


def _beginning(branch: Any) -> str:
    """The literal text that an alternative begins with."""
    text = ""
    for code, argument in _flat(branch):
        if code is not codes.LITERAL:
            break
        text += chr(argument)
    return text


def _required_of(code: Any, argument: Any) -> frozenset[str]:
    if code is codes.BRANCH:
        branches = [_required(branch) for branch in argument[1]]
        return frozenset().union(*branches) if all(branches) else frozenset()
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT) and argument[0] >= 1:
        return _required(argument[2])
    return frozenset()


def is_weak(literal: str) -> bool:
    """Whether the literal alone stands on too many lines of healthy logs to be a sign."""
    word = literal.strip().lower()
    return word in COMMON or (len(word) <= 5 and word.isalpha())


def _worth(literals: frozenset[str]) -> tuple[bool, bool, int, int, int]:
    """Longer is rarer, up to a length from which on fewer is better."""
    shortest = min(map(len, literals), default=0)
    strong = not any(map(is_weak, literals))
    return (shortest >= SHORTEST, strong, min(shortest, LONG), -len(literals), shortest)
