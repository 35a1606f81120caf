"""Log text and knowledge entries to findings.

One Hyperscan automaton over the raw bytes finds the lines that hold a literal of some pattern; only those lines
meet the RE2 patterns themselves. Both are linear in the log, whatever the patterns. A log is read once, in chunks,
and what is kept does not grow with it.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from typing import Any, BinaryIO

from doctor.automaton import automaton, itself, whole
from doctor.context import CONTEXT, PLACES
from doctor.finding import SURENESS, Evidence, Finding
from doctor.knowledge import Base, EntryError, Head, Matcher
from doctor.literals import required
from doctor.mention import among_source, in_code_span, is_mention, is_statement, source_lines
from doctor.text import one_line, plain
from doctor.unexplained import FAILURES, KEPT

CHUNK = 256 << 10
"""Bytes read at once: few enough to stay in the processor's cache."""
LINE = 4000
"""Characters of a line that a pattern sees, around the literal."""
JOINED = 256 << 10
"""Logs up to this size are also read with broken lines joined: a terminal or a screenshot wrapped them."""
HITS = 64
"""Hits kept for one pattern; a log that repeats its error a million times tells nothing more."""
LIBRARIES = 12
"""Libraries told of one fault."""
HITS_NEAR = 1024
"""Hits looked at for a pattern that counts only near another."""
AROUND = 32 << 10
"""Bytes before and after a line in which its neighbours are looked for."""
NEIGHBOURS = 6
"""Lines before and after that tell whether a line stands in source code."""
FLOOD = 400_000
"""Tries of patterns after which it pays to build the automaton anew for this log; then after twice as many."""
VAIN = 500
"""Lines on which a pattern was tried without a hit, after which it is looked for itself and not by a literal."""

MARKUP = (b"\x1b", b"\r", b'\\"', b"\\n", b"\\t", b"\\u00", b"&quot;", b"&#", b"&lt;", b"&gt;", b"&amp;", b"<br",
          b"\xe2\x80\x98", b"\xe2\x80\x99", b"\xe2\x80\x9c", b"\xe2\x80\x9d", b"\x00", b"](http", b"&nbsp;",
          b"\xc2\xa0", b"\xe2\x80\xaf", b"\xe2\x80\x8b", b"\xe2\x81\xa0", b"\xef\xbb\xbf", b"\xe2\x80\x91",
          b"\xef\xbc\x9a", b"[0m")  # fmt: skip
"""Bytes whose presence means that a message may be written otherwise than its program prints it."""

PLAINER = (
    (b'\\"', b'"'), (b"&quot;", b'"'), (b"&#39;", b"'"), (b"&#x27;", b"'"), (b"&#x60;", b"`"),
    (b"&#34;", b'"'), (b"&lt;", b"<"), (b"&gt;", b">"), (b"&amp;", b"&"), (b"\xe2\x80\x98", b"'"),
    (b"\xe2\x80\x99", b"'"), (b"\xe2\x80\x9c", b'"'), (b"\xe2\x80\x9d", b'"'), (b"\x00", b""),
    (b"<br>", b"\r"), (b"<br/>", b"\r"), (b"<br />", b"\r"),
    # what web pages and chats put in place of a blank or a hyphen, and between letters where a line may break;
    # a keyboard's other colon
    (b"&nbsp;", b" "), (b"\xc2\xa0", b" "), (b"\xe2\x80\xaf", b" "), (b"\xe2\x80\x91", b"-"),
    (b"\xe2\x80\x8b", b""), (b"\xe2\x81\xa0", b""), (b"\xef\xbb\xbf", b""), (b"\xef\xbc\x9a", b": "),
)  # fmt: skip
JSON_LINE = re.compile(
    rb'(?m)^[^\n]{0,400}?(?:"(?:log|msg|message|MESSAGE|error|err|exc_info|exception|stack\w{0,8}|text\w{0,8})" ?: ?"'
    rb'|\b(?:msg|message|error|err)=")[^\n]*'
)
"""A line of a log that holds the program's own lines as escapes."""
JSON_ESCAPES = (
    (b"\\n", b"\r"), (b"\\t", b"\t"), (b"\\u001b", b"\x1b"), (b"\\u003c", b"<"), (b"\\u003e", b">"),
    (b"\\u0026", b"&"), (b"\\u0027", b"'"), (b"\\u0022", b'"'),
)  # fmt: skip
"""Lines within a line are parted by \\r, so that the log's lines keep their numbers."""
LINKED = re.compile(rb"\[([^\[\]\n]{3,120})\]\(https?://\1/?\)")
"""A name that a mail program or a site took for an address: [nvidia.com/gpu=all](http://nvidia.com/gpu=all)."""
ANSI = re.compile(rb"\x1b(?:\[[0-?]{0,32}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,2048}(?:\x07|\x1b\\)?|[ -/]?[0-~])?")
COLOUR = re.compile(
    rb"(?:\^\[|ESC|#033|\\033|\\x1b|\\u001b|\xe2\x90\x9b)\[[0-9;]{0,16}[A-Za-z]"
    rb"|\[(?:[01]|[39][0-9]|[0-4]?[0-9](?:;[0-9]{1,3}){1,4})m(?!\])"
)
"""A colour whose escape character was written out, as rsyslog and editors do, or lost on the way."""

# What engines and loggers put before a message: quotes, compose services, timestamps, ranks, buildkit steps.
PREFIX = (
    r"(?:(?:>\s?)+|\s*[│┃║] ?|(?:<(?:pre|code|p|blockquote)>)+"
    r"|\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]?\d*(?:Z|[+-]\d\d:?\d\d)?\]?\s+(?:[-|] )?"
    r"|\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?\s+|\[rank\d+\]:\s*|(?:stdout|stderr) [FP] |\[pod/[^\]\s]+\] "
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ [\w./@-]+(?:\[\d+\])?: "
    r"|\w[\w./-]{0,59}\s+\|\s|#\d+\s+(?:\d+\.\d+\s)?|\((?:pid=|[A-Z]\w*\s?pid=)[^)]*\)\s*|\[\d+,\d+\]<std(?:err|out)>:\s*)"
)


PREFIXES = 4
"""Of them that are taken from one line."""
WALLS = " │┃║"
"""At the end of a line in a frame, as Python's rich draws it around a traceback."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One line that matched a pattern."""

    line: int
    text: str
    values: dict[str, str]
    whole: str = ""
    """The line as the pattern saw it; `text` is what is shown of it."""
    near: frozenset[tuple[str, int]] = frozenset()
    """Of the (pattern, within) pairs that matchers ask for beside it, those that are there."""


@dataclass(slots=True)
class Scan:
    """What one log held."""

    name: str
    lines: int = 0
    size: int = 0
    hits: dict[str, list[Hit]] = field(default_factory=dict)
    """By pattern."""
    mentions: int = 0
    """Lines that matched but are source code or advice."""
    tried: Counter[str] = field(default_factory=Counter)
    """On how many lines the literals of each pattern stand."""

    def of(self, pattern: str | None) -> list[Hit]:
        return self.hits.get(pattern, []) if pattern else []


class Patterns:
    """Every pattern of a knowledge base, compiled for one pass over a log."""

    def __init__(self, entries: Iterable[Head]) -> None:
        self._near: dict[str, set[tuple[str, int]]] = {}
        self._most: dict[str, int] = {}
        for matcher in (matcher for entry in entries for matcher in entry.matchers):
            self._most[matcher.line] = max(self._most.get(matcher.line, 0), HITS_NEAR if matcher.near else HITS)
            if matcher.near:
                self._near.setdefault(matcher.line, set()).add((matcher.near, matcher.within))
            if matcher.unless:
                self._most.setdefault(matcher.unless, 1)
        for pattern in (*CONTEXT, *PLACES):
            self._most.setdefault(pattern, 1)
        for pattern in FAILURES:
            self._most.setdefault(pattern, KEPT)
        self._triggers, self._whole = whole(self._most, MARKUP)
        self._sought, self._automaton = self._triggers, self._whole

    def literals(self) -> list[bytes]:
        """Every literal that the automaton looks for."""
        return [trigger.text for trigger in self._triggers if trigger.is_literal]

    def __len__(self) -> int:
        return len(self._most)

    def _events(self, chunk: bytes) -> tuple[list[tuple[int, int]], bool]:
        """(end of literal, literal number) for each candidate in the chunk, and whether markup was seen."""
        events: list[tuple[int, int]] = []
        markup: list[int] = []
        known = len(self._sought)

        def seen(number: int, _start: int, end: int, _flags: int, _context: object) -> None:
            if number < known:
                events.append((end, number))
            else:
                markup.append(number)

        self._automaton.scan(chunk, match_event_handler=seen)
        events.sort()
        return events, bool(markup)

    def scan(self, chunks: Iterable[bytes], name: str = "log") -> Scan:
        """Search a log that comes in chunks of whole lines."""
        scan = Scan(name)
        self._sought, self._automaton = self._triggers, self._whole
        small = bytearray()
        tail, flood = b"", FLOOD
        for chunk, following in _with_following(chunks):
            if scan.size + len(chunk) <= JOINED:
                small += chunk
            chunk_lines = chunk.count(b"\n") + (not chunk.endswith(b"\n"))
            self._scan_chunk(chunk, tail, following[:AROUND], scan)
            scan.lines += chunk_lines
            scan.size += len(chunk)
            tail = chunk[-AROUND:]
            if scan.tried.total() > flood:
                self._relieve(scan)
                flood *= 2
        if 0 < scan.size <= JOINED:
            text = plainer(bytes(small)).replace(b"\r", b" ").decode("utf-8", "replace")
            self._second_look(text, scan)
        return scan

    def _second_look(self, text: str, scan: Scan) -> None:
        """At a small log as a whole: is it one at all, and did something break its lines?"""
        source = source_lines(text)
        for pattern, hits in scan.hits.items():
            said = [hit for hit in hits if hit.line not in source]
            scan.mentions += len(hits) - len(said)
            scan.hits[pattern] = said
        if not source:
            _JoinedLines(self, scan).search(text)

    def _relieve(self, scan: Scan) -> None:
        """Build the automaton anew for a log that repeats itself.

        Patterns that are full are no longer looked for, and those that were tried often in vain are looked for
        themselves, which finds no line that holds but their literal.
        """
        import hyperscan

        full = {pattern for pattern, hits in scan.hits.items() if len(hits) >= self._most[pattern]}
        vain = {pattern for pattern, tries in scan.tried.items() if tries >= VAIN and not scan.hits.get(pattern)}
        full |= vain.intersection(FAILURES)  # what no entry knows is not worth a long search
        vain -= full
        kept = [(one, tuple(p for p in one.patterns if p not in full and p not in vain)) for one in self._triggers]
        sought = [one._replace(patterns=patterns) for one, patterns in kept if patterns]
        with suppress(hyperscan.error):  # too large for Hyperscan: as before, then
            sought += map(itself, sorted(vain))
            self._automaton = automaton(sought, MARKUP)
            self._sought = sought

    def _scan_chunk(self, chunk: bytes, tail: bytes, head: bytes, scan: Scan) -> None:
        """Match the candidate lines of a chunk that stands between two others."""
        events, markup = self._events(chunk)
        if markup:
            chunk = plainer(chunk)
            events, _ = self._events(chunk)
        line, counted, begin, end = scan.lines + 1, 0, 0, -1
        patterns: dict[str, None] = {}
        around = partial(_lines_around, tail, chunk, head)
        for position, number in events:
            if position > end:
                self._match(chunk[begin:end], line, patterns, scan, cache(partial(around, begin, end)))
                begin, end = _window(chunk, position)
                line += chunk.count(b"\n", counted, begin)
                counted = begin
                patterns = {}
            patterns.update(dict.fromkeys(self._sought[number].patterns))
        self._match(chunk[begin:end], line, patterns, scan, cache(partial(around, begin, end)))

    def _match(
        self, data: bytes, line: int, patterns: Iterable[str], scan: Scan, around: Callable[[int], list[str]]
    ) -> None:
        for pattern in patterns:
            scan.tried[pattern] += 1
        wanted = [one for one in patterns if len(scan.hits.setdefault(one, [])) < self._most[one]]
        if not wanted:
            return
        text = _untitled(without_prefix(data.decode("utf-8", "replace")), line, around)
        mention: bool | None = None
        for pattern in wanted:
            hits = scan.hits[pattern]
            found = _re2(pattern).search(text)
            if not found:
                continue
            if mention is None:
                mention = not _raised(text, around) and (is_mention(text) or among_source(text, around(NEIGHBOURS)))
            if mention or in_code_span(text, *found.span()):
                scan.mentions += 1
            else:
                hits.append(_hit(found, text, line, self.beside(pattern, around)))

    def beside(self, pattern: str, lines: Callable[[int], list[str]]) -> frozenset[tuple[str, int]]:
        """Which of the patterns that matchers want near this one are there, given the lines around it."""
        wanted = self._near.get(pattern, ())
        return frozenset((near, within) for near, within in wanted if _in_a_line(near).search("\n".join(lines(within))))

    def candidates(self, data: bytes) -> list[tuple[int, int, tuple[str, ...]]]:
        """(first byte, end, patterns) of each trigger in a small piece of text."""
        events, _ = self._events(data)
        return [(end - self._sought[n].reach, end, self._sought[n].patterns) for end, n in events]


class _JoinedLines:
    """A second look at a small log, at messages that a terminal or a screenshot broke over lines."""

    def __init__(self, patterns: Patterns, scan: Scan) -> None:
        self._patterns = patterns
        self._scan = scan

    def search(self, text: str) -> None:
        lines = [without_prefix(line).strip() for line in text.split("\n")]
        seen = {pattern for pattern, hits in self._scan.hits.items() if hits}.union(FAILURES)
        for glue in (" ", ""):
            self._search_joined(lines, glue, seen)

    def _search_joined(self, lines: list[str], glue: str, seen: set[str]) -> None:
        starts, text = [], ""
        for line in lines:
            starts.append(len(text))
            text += line + glue
        data = text.encode("utf-8", "replace")
        ascii_only = len(data) == len(text)
        for begin, end, patterns in self._patterns.candidates(data):
            if not ascii_only:
                begin, end = (
                    len(data[:begin].decode("utf-8", "replace")),
                    len(data[:end].decode("utf-8", "replace")),
                )
            for pattern in patterns:
                if pattern not in seen:
                    self._try(pattern, lines, glue, starts, begin, end)

    def _try(self, pattern: str, lines: list[str], glue: str, starts: list[int], begin: int, end: int) -> None:
        first, last = bisect_right(starts, max(0, begin)) - 1, bisect_right(starts, end - 1) - 1
        for low, high in ((first, last), (first - 1, last), (first, last + 1), (first - 1, last + 1)):
            if low < 0 or high >= len(lines) or low == high or high - low > 3:
                continue
            if not all(continues(lines[n], lines[n + 1]) for n in range(low, high)):
                continue
            text = glue.join(lines[low : high + 1])[:LINE]
            found = _re2(pattern).search(text)
            around = partial(_slice, lines, low, high)
            if found and not (
                any(map(is_mention, (text, *lines[low : high + 1])))
                or in_code_span(text, *found.span())
                or among_source(text, around(NEIGHBOURS))
            ):
                hits = self._scan.hits.setdefault(pattern, [])
                if len(hits) < HITS and all(hit.line != low + 1 for hit in hits):
                    hits.append(_hit(found, text, low + 1, self._patterns.beside(pattern, around)))
                return


def _untitled(text: str, line: int, around: Callable[[int], list[str]]) -> str:
    """The line without the mark of a heading where it is what a whole thread is called, which is no comment."""
    if line != 1:
        return text
    following = around(1)[-1]
    titled = not (REMARK.match(text) or following.startswith("#") or is_statement(following))
    return TITLE.sub("", text) if titled else text


def _raised(text: str, around: Callable[[int], list[str]]) -> bool:
    """Whether the line is the last that a traceback shows of the program: the statement that raised the error."""
    return text.lstrip().startswith("raise ") and any(map(FRAME.search, around(2)))


def _slice(lines: list[str], low: int, high: int, within: int) -> list[str]:
    return lines[max(0, low - within) : high + within + 1]


NEW_RECORD = re.compile(
    r"\d{4}-\d\d-\d\d|\d\d:\d\d:\d\d|\[|[A-Z]+[:|]|Traceback|File \""
    r"|g?make(?:\[\d+\])?: |[A-Z]\w*(?:Error|Exception|Warning)\b|[-*•#] |\$ |```"
)


REMARK = re.compile(r"# (?:if|when|fix|todo|note|this|the|see|for|to|with|example|disable|enable)\b", re.IGNORECASE)
"""How a comment begins."""
TITLE = re.compile(r"^#{1,2} ")
FRAME = re.compile(r'^\s*File "[^"]+", line \d+, in ')


STATUS = re.compile(r": unknown\.?$")
"""What containerd puts at the end of another program's message: the status of its reply."""


def continues(line: str, following: str) -> bool:
    """Whether the second line may be the rest of the first, which was broken at the edge of a screen."""
    return len(line) >= 24 and bool(following) and not line.startswith("# ") and not NEW_RECORD.match(following)


def _hit(found: Any, text: str, line: int, near: frozenset[tuple[str, int]]) -> Hit:
    begin = max(0, found.start() - 120)
    values = {name: STATUS.sub("", plain(value).strip()) for name, value in found.groupdict().items() if value}
    return Hit(line, one_line(text[begin : begin + 400], 400), values, text, near)


def _window(chunk: bytes, position: int) -> tuple[int, int]:
    """First byte and end of the line around `position`, LINE bytes at most."""
    first, last = max(0, position - LINE // 2), min(len(chunk), position + LINE // 2)
    begin = max(chunk.rfind(b"\n", first, position), chunk.rfind(b"\r", first, position)) + 1 or first
    ends = [end for end in (chunk.find(b"\n", position, last), chunk.find(b"\r", position, last)) if end >= 0]
    return begin, min(ends, default=last)


def _lines_around(tail: bytes, chunk: bytes, head: bytes, begin: int, end: int, within: int) -> list[str]:
    """The line at begin:end of the chunk and those before and after it, within AROUND bytes."""
    before = tail + chunk[:begin] if begin < AROUND else chunk[begin - AROUND : begin]
    after = chunk[end : end + AROUND] + head
    lines = (
        *_parted(before.removesuffix(b"\n"))[-within:],
        chunk[begin:end],
        *_parted(after.removeprefix(b"\n"))[:within],
    )
    return [without_prefix(line.decode("utf-8", "replace")) for line in lines]


def _parted(data: bytes) -> list[bytes]:
    """The lines of a text, those that \\r parts among them."""
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data.split(b"\n")


def _with_following(chunks: Iterable[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Each chunk with the one after it."""
    before = None
    for chunk in chunks:
        if before is not None:
            yield before, chunk
        before = chunk
    if before is not None:
        yield before, b""


@lru_cache(maxsize=4096)
def _re2(pattern: str, *, spans_lines: bool = True) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    options.never_nl = not spans_lines
    return re2.compile(pattern, options)


def _in_a_line(pattern: str) -> Any:
    """The pattern, for many lines at once: it matches in one of them, as it would match that line alone."""
    return _re2(f"(?m){pattern}", spans_lines=False)


def plainer(chunk: bytes) -> bytes:
    """The bytes as the program printed them: no colours, entities, escaped or typographic quotes. Keeps lines."""
    if any(written in chunk for written, _ in JSON_ESCAPES):
        chunk = JSON_LINE.sub(lambda found: _replaced(found.group(), JSON_ESCAPES), chunk)
    if b"\x1b" in chunk:
        chunk = ANSI.sub(b"", chunk)
    if b"[0m" in chunk:
        chunk = COLOUR.sub(b"", chunk)
    if b"](http" in chunk:
        chunk = LINKED.sub(rb"\1", chunk)
    return _replaced(chunk, PLAINER)


def _replaced(data: bytes, table: Iterable[tuple[bytes, bytes]]) -> bytes:
    for written, meant in table:
        if written in data:
            data = data.replace(written, meant)
    return data


def without_prefix(text: str) -> str:
    """The line without what engines and loggers put before a message, and without the marks of code around it."""
    return _without_prefix(text) if len(text) <= LINE else _without_prefix.__wrapped__(text)


@lru_cache(maxsize=2048)  # the neighbours of one line are those of the next
def _without_prefix(text: str) -> str:
    rest = text
    for _ in range(PREFIXES):
        if not (found := _re2(f"^{PREFIX}").search(rest)):
            break
        rest = rest[found.end() :]
    rest = rest.rstrip(WALLS)
    return rest.strip()[1:-1] if _re2(r"^\s*`[^`]+`\s*$").search(rest) else rest


def whole_lines(stream: BinaryIO, head: bytes = b"", chunk: int = CHUNK) -> Iterator[bytes]:
    """The stream in chunks that end at a line's end; a line longer than a chunk comes in overlapping pieces.

    `head` is what was read of it before. UTF-16 and UTF-32 text is turned into UTF-8.
    """
    decode = _transcoder(head)
    carry = b""
    data = head or stream.read(chunk)
    while data:
        following = stream.read(chunk)
        carry += decode(data) if decode else data
        cut = carry.rfind(b"\n") + 1
        if not following:
            yield carry
        elif cut:
            yield carry[:cut]
            carry = carry[cut:]
        elif len(carry) > chunk:
            yield carry
            carry = carry[-LINE:]
        data = following


def _transcoder(data: bytes) -> Callable[[bytes], bytes] | None:
    for mark, encoding in (
        (b"\xff\xfe\x00\x00", "utf-32"),
        (b"\x00\x00\xfe\xff", "utf-32"),
        (b"\xff\xfe", "utf-16"),
        (b"\xfe\xff", "utf-16"),
    ):
        if data.startswith(mark):
            decoder = codecs.getincrementaldecoder(encoding)("replace")
            return lambda piece: decoder.decode(piece).encode("utf-8", "replace")
    return None


def check_patterns(entry: Head) -> None:
    """Raises EntryError, with file and line, when a pattern of the entry cannot be used."""
    for matcher in entry.matchers:
        for pattern in (matcher.line, matcher.unless):
            if pattern:
                _check(pattern, entry.file, matcher.at, needs_literal=True)
        for pattern in (matcher.near, matcher.but_not):
            if pattern:
                _check(pattern, entry.file, matcher.at, needs_literal=False)


def _check(pattern: str, file: str, at: int, needs_literal: bool) -> None:
    import re2

    try:
        if needs_literal:
            required(pattern)
        _re2(pattern)
    except (ValueError, re2.error) as error:
        raise EntryError(f"{file}:{at}: {one_line(str(error))} in {pattern!r}") from None


def findings(scan: Scan, base: Base) -> list[Finding]:
    """What the hits of a scan show: a finding for each fault, the surest matcher first."""
    found = []
    context = _context(scan)
    for entry in base.heads.values():
        matched = [(matcher, hits) for matcher in entry.matchers if (hits := _satisfied(matcher, scan))]
        if matched and not entry.retired:
            finding = _finding(entry, matched, scan)
            found.append(replace(finding, values={**context, **finding.values}))
    return found


def _context(scan: Scan) -> dict[str, str]:
    """Versions and devices that the log tells in passing, the first of each."""
    values: dict[str, str] = {}
    for pattern in CONTEXT:
        for hit in scan.of(pattern):
            for name, value in hit.values.items():
                values.setdefault(name, value)
    return {**_place(scan), **values}


def _place(scan: Scan) -> dict[str, str]:
    """Where the log seems to come from, as `seems_engine` and the like; nothing where its signs contradict."""
    told: dict[str, set[str]] = {}
    for pattern, (name, value) in PLACES.items():
        if scan.of(pattern):
            told.setdefault(f"seems_{name}", set()).add(value)
    return {name: values.pop() for name, values in told.items() if len(values) == 1}


def _satisfied(matcher: Matcher, scan: Scan) -> list[Hit]:
    hits = scan.of(matcher.line)
    if not hits or scan.of(matcher.unless):
        return []
    if matcher.but_not:
        hits = [hit for hit in hits if not _re2(matcher.but_not).search(hit.whole)]
    if matcher.near:
        hits = [hit for hit in hits if (matcher.near, matcher.within) in hit.near]
    return hits


def _finding(entry: Head, matched: list[tuple[Matcher, list[Hit]]], scan: Scan) -> Finding:
    matched.sort(key=lambda pair: (SURENESS.index(pair[0].sure), pair[1][0].line))
    values: dict[str, str] = {}
    for matcher, hits in matched:
        for hit in hits:
            for name, value in {**matcher.values, **hit.values}.items():
                values.setdefault(name, value)
    if len(missing := _libraries(matched)) > 1:
        values["libraries"] = " ".join(missing[:LIBRARIES])
    telling = [matcher for matcher, _ in matched if "said" in matcher.values]
    if len(apart := {matcher.values["said"] for matcher in telling if matcher.sure == telling[0].sure}) > 1:
        del values["said"]  # messages that contradict each other decide nothing
        values["said_apart"] = ", ".join(sorted(apart))
    lines: dict[int, Hit] = {}
    for _, hits in matched:
        for hit in hits:
            lines.setdefault(hit.line, hit)
    quoted = list(lines.values())[:5]
    severities = [matcher.severity or entry.severity for matcher, _ in matched]
    return Finding(
        fault=entry.id,
        evidence=tuple(Evidence("log", scan.name, hit.text, hit.line) for hit in quoted),
        values=values,
        sure=matched[0][0].sure,
        severity=min(severities, key=("error", "warning", "note").index),
    )


def _libraries(matched: list[tuple[Matcher, list[Hit]]]) -> list[str]:
    """Every library that the surest lines name, in their order."""
    surest = [hit for matcher, hits in matched for hit in hits if matcher.sure == matched[0][0].sure]
    return list(dict.fromkeys(hit.values["library"] for hit in surest if hit.values.get("library")))


def patterns_of(base: Base) -> Patterns:
    """The compiled patterns of a base."""
    return Patterns(base.heads.values())


def with_name(finding: Finding, name: str) -> Finding:
    """The finding with its log evidence named otherwise."""
    return replace(finding, evidence=tuple(replace(item, name=name) for item in finding.evidence))
