"""Text that speaks about an error without being one: source code, documentation, advice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

# A comment of C; rocSPARSE prints its trace so, its name first and then the columns of an object.
COMMENT = r"//(?:$|[^ ]| [^ r]| r[^o]| {2,19}\S)"
# Lines that are source code or advice in themselves.
MENTION = (
    r"^\s*(?:[+-]\s+|(?:│\s*)?\d{1,5}\s+(?:│\s*)*)?(?:(?:raise|throw|throw new|except|catch|assert|elif|elseif"
    r"|@warn|@error|@debug|@info|def|class|return|case) .*$|import [^:]*$"
    r"|(?:print|printf|fprintf|puts|echo|warnings\.warn|sys\.exit|TORCH_CHECK|console\.\w+|log(?:ger|ging)?\.\w+"
    r"|(?:fmt|errors|t|klog|log)\.[A-Z]\w*|pytest\.\w+|self\.\w+)\s?\(|[A-Z_]{3,}\((?:[^)]|\)+(?:[^ )]| [^fr]|$))*$"
    rf"|(?:{COMMENT}|/\*|<!--)"
    r"|#\s*(?:[A-Z][a-z]+ )?(?:if|when|fix|todo|note|this|the|see|error|for|to|with|example|disable|enable|tool)\b"
    r"|if .*:$|if \(.*[{)]$|if (?:!|\[)"
    r"|(?:if|elif|else|for|while|def|class|with)\b.*:\s+#)"
    # a comment's next line is indented; the item of a list is not, nor a banner's column (` * CUDA      disabled`)
    r"|^[\s+-]+\* (?:@|[A-CE-Z]\w*(?: \S|[^\w: ]|\s*$|[^rn\W]:)|D[a-df-z])"
    r"|\bin (?:str\()?(?:e|ex|exc|err|error|exception|msg|message|line|text|stderr|stdout|output|out)(?:[.\[):]|$)"
    r"|(?:^\s*|, )(?:reason|match)=[rf]?[\"'][^\"']*[\"'][,)]"
    r"|^\s*(?:Expect|Skip|By|It)\(|\[\]string\{|^\s*[\"'].*[\"'] \\$|^\s*\), [rf]?[\"']"
    r"|^\s*(?:[rfbu]{0,2}\"\"\"|'''|[A-Za-z_][\w.]*\s+=\s+[rfbu]{0,2}[\"'])|^\s{2,}#\s"
    r"|^\s*[\"'`][^\"'`]+[\"'`]\s*(?:,|\)|;|:|=>)\s*\S{0,40}$"
    r"|^\s*\(?[\"'][^\"']+[\"'],.*\b[A-Z_]{3,}\)*,?\s*$"
    r"|(?:[;&|]|\b(?:do|then|else))\s+(?:echo|fail|die|err|warn|throw)(?: +[\"'$\w-]|\()"
    r"|^\s*(?:\+ )?(?:\w+::)?(?:echo|print_\w+|die|fail|warn|err|log) +(?:-?\w+ +)*[\"']"
    r"|^\s*[\w.]+: *(?:[\"'][^\"']+[\"'],|(?:fmt\.Errorf|errors\.New)\(.*)\s*$"
    r"|^\s*(?:[-*>] )?If [^`\"]*[`\"][^`\"]+[`\"]"
    # lines of a change log, of git log --oneline, of tests that passed
    r"|^\s*(?:[-*+•]|[0-9a-f]{7,12})\s+(?:\*\*)?(?:[\w/.-]+(?:\([\w/-]+\))?: ?)?(?i:fix(?:e[sd])?|add(?:s|ed)?"
    r"|handle[sd]?|bump|avoid|prevent|skip|work(?:ed)? around|report|improve[sd]?|remove[sd]?|allow|update[sd]?|detect"
    r"|retry|catch)\s"
    r"|^\[\s*(?:RUN|OK|PASSED|SKIPPED)\s*\]|::\w.* (?:PASSED|SKIPPED|XFAIL)\b|--- (?:PASS|SKIP): "
    r"|(?i:\bif (?:you|your \w+) (?:see|sees|get|gets|encounter|run into|hit|receive|are getting|are seeing)\b)"
    r"|(?i:\b(?:fix|fixes|fixed|resolves|avoid|avoids|prevents?) (?:the |an? )?[\"'`])"
    # tables, headings and lists of errors in a manual
    r"|^\s*\|[^|]*`[^`]+`[^|]*\|[^|]+\|?\s*$|^[^|]+\|\s*$"
    r"|^#{2,6} .*(?:[\"'`]|(?i:errors?|fails?|issue|problem)):?\s*$"
    r"|^\s*(?:[-*+] |\d+\. )\*\*[\"'`]|^\s*\*\*[\"'`][^*]*\*\*\s*\S"
    r"|^\s*(?:[-*+] |\d+\. )?\*\*"
    r"(?:(?:Symptoms?|Cause|Fix|Solution|Signature|Trigger)\b|问题|問題|症状|原因|解决)"
    r"|^\s*(?:[-*] )?Should (?:show|fail|print|return|log)\b"
    r"|(?i:\bcommon (?:causes?|errors?|issues?) (?:is|are|of|for)\b)"
    # comments of a shell script, what it looks for, what it assigns
    r"|^#[A-Za-z]|^\s*#\s{2,}\S|^#{1,6} [^\[\"`]*[\"`][^\"`]{8,}[\"`]|^\s*\*\s{3,}\S|^\s*#\s?[\"'`]"
    r"|^\s*#\s[^\[]*[\"'][^\"']+[\"']\s*$"
    r"|^\s*#\s.*\b(?:will|would|may|might|can) (?:(?:fail|crash|die|error|exit) with|result in|raise|throw)\b"
    r"|^\s*[-*•] ``?[^`]{3,}``? ?(?:[:–—-] |indicates |means )|^#{2,6} \d+[.)] "
    r"|^[+-]\s*(?:#\s?define |(?:set|if) ?\()"
    r"|\(#\d{2,6}\)\.?\s*$|\.so\.[XYN]\b|<\.\.\.>/"
    r"|^[^`]*\bgrep (?:-\S+ )*[\"']|^\s*(?:[A-Z][\w.]*|\w+_\w+)=[\"']"
    r"|^\s*(?:(?:export|const|let|var|final|static|public|private|readonly|local) )+\w+(?: ?: ?\w+)? ?= ?(?:[\"'`(]|$)"
    r"|(?i:\bif it (?:shows|says|prints|returns|fails with)\b)"
    r"|^\s*(?:[-*] )?[Tt]his (?:PR|MR|pull request|merge request|commit|patch) [a-z]"
    r"|^(?:Fix|Fixed|Fixes|Resolved|Resolves|Addressed) [a-z]|[{,] ?[\"']\w+[\"']: (?:True|False|None)\b"
    # IPython shows the lines around the one that raised, with their numbers
    r"|^\s*(?:-{1,5}> ?)?\d{1,5}\s{2,}[rfb]{0,2}(?:\"[^\"]*\"|'[^']*')(?: [+%]|\)|$)"
    # a piece of a string: it ends with an escape or a blank, or the next piece is added; a whole log has more lines
    r"|^\s*[rfbu]{0,2}(?:\"(?:[^\"\\]|\\[^n])*|'(?:[^'\\]|\\[^n])*)(?:\\n|\s)[\"'][,;)+]*\s*$"
    r"|^\s*[rfbu]{0,2}[\"'].*[\"']\s*\+\s*$"
    r"|\]\(https?://[^)]{4,}\)\)?\.?\s*$"
    # an enumerator, a field, a statement, a call, a comparison, a struct, a macro
    r"|^\s*(?:const )?[\w.]*\w(?: +\w+)? ?= ?(?:-?\d+|0x[\da-fA-F]+)[,;]?\s*(?:[,;]|//.*|/\*.*)$"
    r"|^\s*[A-Z][A-Z\d_]{5,}(?: +\w+)? ?= ?-?\d+\s*$"
    r"|^\s*\w+: +(?:\w+\.)+[A-Z]\w+(?:,|\s//)|[\w\])]\+\+\s*$|^\s*\{? ?[A-Z\d_]{6,}(?:, ?[A-Z\d_]{6,})*(?: ?[})]+,?|,)$"
    r"|^\s*\w+: +(?:true|false|\d+|nil|null),$|^\s*(?:\w+\.)+\w+ = (?:true|false|\d+|nil|None)$"
    r"|^\s*(?:\w+\.)+[a-z_]\w*\(.*\)$|^\s*\"[^\"]*\",\s*(?:(?:#|//).*)?$|^\s*[a-z_]+ \"[^\"]*\" \"[^\"]*\""
    r"|^\s*(?:\w+: +)?(?:\w+\.)*\w+\(.*\),$|^\s*(?:\w+\.)+[a-z]\w*\([rfbu]{0,2}[\"']|= [^\"]* in \(|^\s*\w+\)+;$"
    r"|^\s*[\w.:>*\[\]-]+ ?=[^=].*;\s*(?://.*|\\)?$"
    # what a C++ program prints of an exception, `what():  … call();`, is no statement
    r"|^\s*(?:\w+(?:::|\.|->))*\w+\((?:[^)].*|\)[^:].*)?\)\s*;\s*(?://.*|\\)?$"
    r"|^\s*(?:std::)?(?:cout|cerr|os|ss|oss|\w+_cerr) ?<<"
    r"|^\s*(?:\}? ?(?:if|else ?if|while|when|unless|for|switch)) ?[(!\w.]+.*(?:==|!=|===) |^\s*(?:&&|\|\|) "
    r"|^\s*\{(?:\w+: |\"[^\"]+\", ).*\},?\s*$|^\s*#!?\[|^\s*(?:message|set)\s?\(|\$\((?:error|warning) "
    r"|^\s*(?:assert|require|expect|test|self|mock)\w*\.\w+\(|^\s*(?:else |return )?[rf]{1,2}[\"']"
    r"|^\s*\*\s+[@\\]\w|^\s*<(?:td|th|tr|dt|dd|[A-Z]\w+)\b.*>\s*$"
    # a question or a folded chapter that quotes an error, what is said about one, a pattern that looks for one
    r"|^\s*<summary>[^\"“`]*[\"“`][^\"”`]+[\"”`][^\"“`]*</summary>|^\s*(?:[-*] )?\*\*Q\d*[:：.]"
    r"|^\s*(?:This|The) (?:error|warning)(?: message)? (?:is (?:due|because|caused|usually|harmless)|means|indicates"
    r"|occurs|happens|appears|usually)\b|^\s*If \w+ detects? |\|\| \{ "
    r"|[\"']\(?\.\*\w.*\.\*|^\s*(?:pattern|regexp?|match|test): ?/.*/[a-z]*,?\s*$"
    r"|^\s*\([\"'].*[\"']\s*$|^\s*\(?[\"'].*[\"'], (?:True|False|None|\d+)\),?\s*$|[\"]\.to_string\(\),$"
    r"|^\s*(?:[-*] )?(?:[✅❌✓✗] )?Should (?:not )?(?:show|fail|print|return|be)\b|^\s*[-*] `[^`]+`:\s*$"
    r"|(?i:\bif (?:the|your|you)\b[^`\"]{0,50}\b(?:shows?|says?|prints?|reports?|fails? with|sees?|gets?)\b"
    r"[^`\"]{0,20}[`\"])"
    # advice on an error by its words; an index of a tracker
    r"|^\s*(?:[-*] )?For [\"“`][^\"”`]{8,}[\"”`],? [a-z]|^\s*[-*] \*\*#\d+: "
    # an object of JavaScript, a struct of Go: what programs print of theirs has quotes or no blanks
    r"|\{ ?[a-z]\w*: '[^']*', ?[a-z]\w*: |\w\{[A-Z]\w*: [^,{}]+, [A-Z]\w*: "
    # a record of a collection of errors
    r"|^\s*\"(?:signature\w*|regexp?|patterns?|root_cause|workarounds?|dead_ends)\": ?[\"\[]"
    # what a function is documented to raise, a comment in words
    r"|^\s*\w+(?:Error|Exception|Warning): (?:If|When|Whenever|Raised|Thrown) .*[a-z.]$"
    r"|^\s*# [a-z'-]+ (?:[A-Za-z'()-]+[,.:]? ){4}"
)
# Lines that source code and documents are made of.
CODE = (
    r"[;{}]\s*(?://.*)?$|(?:&&|\|\|)$"
    # the lines of a block comment are indented by one, a list's are not
    r"|^\s+\*\s+(?:[^\sA-Z]|[A-Z]\S*(?: \S|\s*$))"
    rf"|^\s*(?:{COMMENT}|/\*|\*/|#include|#define|#if|#endif|#\s*\[|func |def |class |return\b|if \(|if .*:$|for \("
    r"|for .*:$|elif |else:|case |default:|import |await |from \S+ import|package |var |const |static |struct |enum "
    r"|switch|try:|except|with .*:$|elseif |end$|function |local |fi$|done$"
    r"|@\w+|self\.|assert |raise |\"\"\"|'''|[)\]}],?$)"
    r"|^\s*(?:\"[^\"]*\"|'[^']*'),\s*$"
    r"|^\s*[A-Za-z_]\w*\s*=\s*\S.*$"
    r"|^\s*\('?\w+'?,\s.+\),?$|\"\$\{?[A-Z_]+\}?\""
    r"|^\s*(?:FROM|RUN|COPY|ENV|ARG|ADD|WORKDIR|ENTRYPOINT|CMD|LABEL|EXPOSE|USER|SHELL) \S"
)
# Lines of Markdown: tables, links, headings, lists of code words.
MARKUP = (
    r"^\|.*[`*].*\|.*\|?\s*$|^\|[ :|-]+\|$"
    r"|\]\((?:https?://|#|\.{1,2}/)"
    r"|^#{1,5} [A-Z`]"
    r"|^\s*[-*] (?:\*\*|`|\[).*$"
)
# Lines that a program prints as it fails, whatever stands around them; a traceback shows source on purpose.
PRINTED = (
    r"^\s*(?:\w+\.){0,6}\w*(?:Error|Exception|Warning|Failure): "
    r"|^\s*(?:docker|podman|nvidia-container-cli|Error|ERROR|FATAL|FAILED|INFO|WARNING|DEBUG|CRITICAL|FATA|ERRO)\b"
    r"[:\s\[]"
    r"|^\[?\d{4}[-/]\d\d[-/]\d\d[ T]|^\[? *\d+\.\d{3,}\]|^[EWIF]\d{4} |^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d"
    r"|^CUDA[ _]SETUP: |error while loading shared libraries|^\s*[A-Za-z]\w{1,20} (?:error:? |Error: )|^E {2,}\S"
    r"|with CUDA capability sm_\d+ is not compatible with the current|^\s*The current PyTorch install supports"
)
# The line before an error that a manual then explains.
ADVICE = (
    r"(?i)\bif (?:you|your [\w ]{1,30}) (?:see|get|have|encounter|hit|receive|run into|are getting)\b[^.]{0,60}:\s*$"
    r"|\byou (?:will|may|might|can|could) (?:see|get|receive|encounter) [^.]{0,40}(?:error|message)[^.]{0,30}[:.]\s*$"
    r"|\bwhich (?:should|will) (?:output|print|show)\b"
    r"|\bis an example of (?:a|an|the|such)\b[^.:]{0,60}:\s*$"
    r"|^\s*(?:[-*] )?\*\*(?:symptom\w*|s[íi]ntomas?|симптомы?|症状|症狀|现象|現象|증상)[:：]?\*\*[:：]?\s*$"
    r"|^\s*(?:symptoms?|error_snippets?): "
)
# Words of somebody who tells of an own error.
OWN = (
    r"^\W*(?i:\[bug\])|\bI\b|(?i:\berror messages?: )|(?i:\bbut (?:still|now|always) (?:get|see|have|fail|show))"
    r"|(?i:\bhere(?:'s| is) +(?:from|my|what i|the (?:output|log|result|error)\b))"
    r"|(?i:\b(?:i (?:get|got|have|see|am|try|tried|run|use|used)|my|we|our|got|gives?|gave|getting|fails? with"
    r"|failed with|mention(?:s|ed)?|does this (?:error )?means?"
    r"|show(?:s|ed|ing)?|return(?:s|ed)?|output|following|report(?:s|ed)|raise[sd]?|throws?|threw"
    r"|receive[sd]?|print(?:s|ed)?|sa(?:ys|id)|dies|died|crash(?:es|ed)|errors? (?:when|while))\b)"
)
# A program's whole message, with the word that it begins with; who only speaks of an error names it in fewer words.
WHOLE = (
    r"^(?:Reason: )?(?:(?:\w+\.)*\w*(?:Error|Exception)(?:: | \()|(?:docker|podman): Error |ERROR:? |\[ ?FAILED ?\])"
)
# What is said about an error to those who may meet it.
ADVISING = (
    r"(?i)\b(?:if|when you|may|might|can|could|would|should|must|will|to (?:fix|avoid|solve|resolve|prevent)|install"
    r"|fix(?:e[sd]|ing)?|solved?|resolved?|avoid(?:s|ed)?|prevent(?:s|ed)?|handle[sd]?|known|common|e\.g\.|for example"
    r"|such as|means|indicates|instead of|like|used to|no longer)\b"
)
# Sentences and headings about errors, which look like a program's own line.
ABOUT = (
    r"^\s*(?:(?:This|That|These|The|An?|Any|Each|Common|Known) (?:\w+ )?errors? [a-z]"
    r"|Errors? (?:messages?|codes?|handling)\s*$)"
)
TRACEBACK = r"Traceback \(most recent call last\)|^\s*File \"|^\s*at [\w.$]+\("
# The end of a traceback whose lines were joined: what was raised stands behind the statement.
RAISED = r"^\s*raise \w+\(\s*(?:\w+\.)*\w*(?:Error|Exception): "
# Lines that only logs and terminals have.
LOGGED = (
    r"Traceback \(most recent call last\)|^\s*File \"[^\"]+\", line \d+"
    r"|^\[?(?:INFO|WARN|WARNING|ERROR|DEBUG|FATAL|FATA|ERRO)\b"
    r"|^\W{0,3}\w{0,12}\W{0,3}(?:\d{4}-\d\d-\d\d|\w{3} +\d+ )?[T ]?\d\d:\d\d:\d\d"
    r"|^(?:[a-z_]+\.)*\w*(?:Error|Exception): |^g?make\[\d+\]: (?:\*\*\* |[EL]\w+ing )"
    r"|^\s*\$ \w|^>>> |^\S+@\S+[:~]|^\[?rank\d|^=   [A-Z]{2}"
    # a record of Google's or Elastic's logs, or of the journal, as JSON over several lines
    r"|^\s*\"(?:textPayload|insertId|@?timestamp|receiveTimestamp|MESSAGE|_HOSTNAME)\": \""
    r"|^(?:modprobe|insmod|depmod): (?:FATAL|ERROR)\b|^\S+\.py:\d+: (?:\w+\.)*\w*Warning: "
)
CODE_SHARE, SHORT_SHARE, LOG_SHARE = 0.35, 0.7, 0.03
PARTED = r"^\s*(?:```.*|~~~.*|\$ .*)?$"
"""A line that ends a paragraph."""
FEWEST, LINES = 12, 2000
"""Lines below which a text must be nearly all code to be called so, and lines that are looked at."""
# Docker, containerd, Ollama and others write time="…" level=error msg="…", or a JSON object a line, and
# Kubernetes and Docker tell how a container ended as JSON: no source code.
LOGFMT = (
    r"(?i)^\s*\S{0,80}\s*(?:(?:time|ts|timestamp)=\"?\d{4}-\d\d-\d\d|level=\"?(?:debug|info|warn|error|fatal))"
    r"|^\s*(?:\w+=\S+ ){1,4}msg=\""
    r"|^\s*\{\"[@\w.-]+\": ?.*\}\s*$|^\s*\"(?:reason|OOMKilled|exitCode|textPayload|MESSAGE)\": "
)
JSON_BEGINS, JSON_ENDS = r"^\s*(?:\"[\w./-]+\": *)?\{\s*$", r"^\s*\},?\s*$"
JSON = r"^\s*(?:\"[^\"]*\"\s*:\s*)?(?:[{\[]|[\]}]+|\"[^\"]*\"|-?\d[\d.]*|true|false|null|\[.*\])(?:\s*\})?,?\s*$"
FRAGMENT = 4
"""Lines from which on JSON that breaks off is taken for JSON all the same."""
HEADING = r"^#{1,5} (?:\d+(?:\.\d+)*[.)]? )?[A-Z]|^(?:[=-]{6,}|[*#~^]{8,})$|^(?:<h[1-5]|<summary)"
PROSE = r"^(?:[-*] |\d+\. )?[A-Z][a-z']+(?:,? [\w'`(/)-]+,?){10,}.*[a-z`)][.:]$"
PAGE = 3
"""Long sentences that a page has."""
# A page whose lines are wrapped, or that is made of lists: chapters, and lines of many words.
WORDY = r"^(?:[-*>] |\d+\. )?(?:[\w'`*(\"/.&-]+[,;:)]*[`*\"]? ){7,}[\w`*(./-]|^\.\. [\w-]+::|^(?:```|:::)\{"
REPORT = (
    r"(?i)^#{1,5} .*\b(?:bug|issue|expected|actual|reproduc\w*|environment|versions?|logs?|output|happened|problem"
    r"|context|description|error|screenshots?|information|steps)\b"
)
"""Headings of the forms that projects have for reports of faults, which hold logs."""
FORM = (
    r"(?i)^#{1,5} .*\b(?:describe|bug|expected|actual|reproduc\w*|happened|environment|system info|your|behaviou?r"
    r"|screenshots?|report|(?:relevant )?log output|name and version|are you seeing"
    r"|additional (?:context|information))\b"
    r"|^#{1,5} (?:(?:server|relevant|error|console|full|cli|debug) logs?|[\w-]+ version):?\s*$"
)
"""Headings that only such a form has."""
# Answers of a page of troubles or questions, in the languages that such pages are written in.
REMEDY = (
    r"(?i)^\W*(?:solutions?|fix(?:es)?|resolution|workaround|how to fix|lösung|solución|solução|soluzione|решение"
    r"|해결(?: ?방법)?|解决(?:方案|方法|办法)?|解決(?:方法|策)?|対処(?:法|方法)?|回避策)\W*(?:[:：]\W*|\*\*\W*)$"
    r"|^\W{0,4}A\d{1,2}\W{0,2}[:：]"
    # the headings of a page that lost its marks
    r"|^(?:introduction|symptoms?|(?:common|possible|likely|typical|root) causes?|prevention)\s*$"
)
REMEDIES = 2
COMMIT, AUTHOR = r"^commit [0-9a-f]{7,40}\b", r"^Author: .*<\S*@\S*>"
CHAPTERS, PAGE_LINES = 4, 40
"""Headings and lines that a long page has."""
# What stands around the pasted pieces of a manual: sentences that tell the reader what to do, headings, directives.
DIFFERING = ("+", "-", " ", "@@ -", "diff --git ", "index ")
INDENT = ("   ", "\t")
FENCES, INDENTED = ("```", "~~~"), (*INDENT, ">")
WORDS = r"^(?:[\"'(*_`\[]*\pL[\pL'’/-]*[\"')*_`\],.;:!?]*(?: |$))+$"
SENTENCE = r"(?:^|\s)(?:[\"'(*_`\[]*\pL[\pL'’/-]*[\"')*_`\],.;:!?]* +){5}"
STRUCTURE = (
    r"^\s*(?:#{1,6} \S|[-*+•] |\d+[.)] |\.\. |:[\w-]+:|\||</?[a-zA-Z]\w*[ >/]|!?\[[^\]]+\]\(|[=~^\"'*#-]{4,}\s*$"
    r"|\*\*[^*]+\*\*)"
)
GUIDING = (
    r"(?i)\b(?:you|your|should|must|ensure|make sure|refer to|for example|typically|usually|note that|the following"
    r"|this (?:section|page|guide|document|sample|example|option|means|is)|see (?:also|the)|(?:may|might) be"
    r"|in order to|if|when the|will|would|can|could|set|use|run|install|check|verify|add|enable|update|configure"
    r"|allows?|supports?)\b"
)
TELLER = (
    r"\bI\b|\bI'\w+|(?i:\b(?:my|i am|we (?:are|were|have|had|get|got|see|saw|tried|ran|noticed|encounter)|thanks"
    r"|thank you|please help|any (?:ideas?|help|suggestions?)|same (?:issue|problem|error)|to reproduce"
    r"|describe the bug|expected behaviou?r)\b)"
)
# What may happen, as manuals tell it.
POSSIBLE = r"(?i)\b(?:may|might|can|could) (?:\w+ )?(?:fail|crash|die|return|give|raise|throw|report|print)(?: with)?\b"
GUIDES, FRAME, SENTENCES = 2, 4, 9
"""Sentences to the reader and lines around pasted pieces that a manual has; sentences that do without headings."""
ENOUGH = 5
"""Lines of code around a line, of those that are not empty, from which on it is thought part of them."""
NOTHING = "\u200b"
"""Keeps the columns of a line whose code marks became single characters."""


def is_mention(text: str) -> bool:
    """Whether the line is source code or advice that speaks about an error, rather than the error."""
    return bool(_re2(MENTION).search(text)) and not _re2(f"{LOGFMT}|{RAISED}").search(text)


def is_advised(around: Sequence[str]) -> bool:
    """Whether a line of a manual says that what follows is an error that may come."""
    return any(_re2(ADVICE).search(other) for other in around)


def in_code_span(text: str, begin: int, end: int) -> bool:
    """Whether begin:end is `quoted` in a sentence that is not about the writer's own error."""
    for mark in ("``", "<code>", "</code>"):
        text = text.replace(mark, "`".ljust(len(mark), NOTHING))
    if text.lstrip().startswith("`-> "):  # an arrow, as uv draws it on Windows
        text = text.replace("`", NOTHING, 1)
    opened, closed = text.rfind("`", 0, begin), text.find("`", begin)
    if closed < len(text[:end].rstrip("`")) or text.count("`", 0, begin) % 2 == 0:
        return False
    span = text[opened:closed].strip("` ")
    if "  " in span:  # columns: what a program printed
        return False
    rest = " ".join(text[:opened].split("`")[::2] + text[closed + 1 :].split("`")[::2])
    rest = _re2(POSSIBLE).sub(" ", rest)
    if len(_re2(r"\pL{2,}").findall(rest)) < 3 or _re2(OWN).search(rest):
        return False
    return not _re2(WHOLE).search(span) or bool(_re2(ADVISING).search(rest))


def among_source(line: str, around: Sequence[str]) -> bool:
    """Whether a line stands in source code or a document, told by most of the lines around it."""
    if is_advised(around):
        return True
    if (
        _re2(PRINTED).search(line)
        or _re2(LOGFMT).search(line)
        or any(_re2(TRACEBACK).search(other) for other in around)
    ):
        return False
    written = [other for other in _beside(line, around) if other.strip()]
    code = sum(map(is_statement, written))
    return code >= ENOUGH and code * 2 > len(written)


def _beside(line: str, around: Sequence[str]) -> Sequence[str]:
    """The lines of the same paragraph, for what is not indented; none before it where a script ends with it.

    People show an error apart from the script, or under its last line.
    """
    if _is_indented(line) or line not in around:
        return around
    at = around.index(line)
    parted = [number for number, other in enumerate(around) if _re2(PARTED).search(other)]
    begin = max((number + 1 for number in parted if number < at), default=0)
    after = around[at + 1 : min((number for number in parted if number > at), default=len(around))]
    return (*around[begin:at], *after) if any(map(is_statement, after)) else after


def is_source(text: str) -> bool:
    """Whether a whole text is a piece of source code or a document rather than a log."""
    return bool(source_lines(text))


def source_lines(text: str) -> frozenset[int]:
    """The numbers of the lines that belong to source code or a document; none of a log's."""
    every = text.split("\n")
    return frozenset(_in_diffs(every)) | _source_lines(every)


def _in_diffs(lines: Sequence[str]) -> Iterator[int]:
    """The numbers of the lines between the fences of a diff that shows where it belongs."""
    begun: list[int] = []
    for number, line in enumerate(lines, 1):
        if not line.startswith(FENCES):
            begun += [number] if begun else []
        elif begun:
            yield from begun if any(lines[one - 1].startswith("@@ -") for one in begun) else ()
            begun = []
        elif line.strip().endswith("diff"):
            begun = [number]


def _source_lines(every: Sequence[str]) -> frozenset[int]:
    """The lines of a text that is source code or a document but for what it printed.

    A script is told by a share of code-shaped lines that no log reaches, and next to no line that only logs have. What
    stands beside it in paragraphs of its own is what it printed: people show the program, and its error.
    """
    lines = [line for line in every if line.strip()][:LINES]
    lines = _without_json(lines) or lines
    if _is_document(lines) or _is_manual(lines) or _is_diff(lines):
        return frozenset(range(1, len(every) + 1))
    if _logged(lines) > LOG_SHARE * len(lines) or _is_told(lines):
        return frozenset()
    is_short = len(lines) < FEWEST
    if is_short and sum(map(is_statement, lines)) < max(ENOUGH, SHORT_SHARE * len(lines)):
        return frozenset()
    if not is_short and sum(map(_is_code, lines)) < CODE_SHARE * len(lines):
        return frozenset()
    return frozenset(_code_lines(every))


def _code_lines(lines: Sequence[str]) -> Iterator[int]:
    """The numbers of the lines in paragraphs of code, but for what a program printed at the end of one."""
    paragraph: list[tuple[int, str]] = []
    for numbered in enumerate((*lines, ""), 1):
        if not _re2(PARTED).search(numbered[1]):
            paragraph.append(numbered)
            continue
        while paragraph and not (is_statement(paragraph[-1][1]) or _is_indented(paragraph[-1][1])):
            paragraph.pop()
        is_code = sum(is_statement(line) for _, line in paragraph) >= CODE_SHARE * len(paragraph)
        yield from (number for number, line in paragraph if is_code or _is_indented(line))
        paragraph = []


def _is_indented(line: str) -> bool:
    """Whether it stands under another line, in a diff too."""
    return line.lstrip("+-").startswith(INDENT)


def _without_json(lines: Sequence[str]) -> list[str]:
    """The lines outside of pasted JSON: a configuration or a state beside a log makes the text no source code."""
    kept: list[str] = []
    begun: list[str] = []
    for line in lines:
        if not begun and not _re2(JSON_BEGINS).search(line):
            kept.append(line)
            continue
        begun.append(line)
        indent = len(begun[0]) - len(begun[0].lstrip())
        if len(begun) > 1 and _re2(JSON_ENDS).search(line) and len(line) - len(line.lstrip()) <= indent:
            begun = []
        elif len(begun) > 1 and not _re2(JSON).search(line):
            kept += [line] if len(begun) > FRAGMENT else begun
            begun = []
    return kept if len(begun) > FRAGMENT else kept + begun


def _logged(lines: Sequence[str]) -> int:
    """How many of the lines only logs and terminals have, or a program prints as it fails."""
    return sum(map(_is_logged, lines))


def _is_logged(line: str) -> bool:
    return bool(_re2(LOGGED).search(line) or (_re2(PRINTED).search(line) and not _re2(ABOUT).search(line)))


def _is_document(lines: Sequence[str]) -> bool:
    """Whether it is a written page: headings, and sentences that no program prints; or a commit with its message."""
    if any(line.startswith("commit ") and _re2(COMMIT).search(line) for line in lines) and any(
        _re2(AUTHOR).search(line) for line in lines
    ):
        return True
    if sum(bool(_re2(REMEDY).search(line)) for line in lines) >= REMEDIES and _logged(lines) * 10 <= len(lines):
        return True
    headings = sum(bool(_re2(HEADING).search(line)) for line in lines)
    if headings == 0:
        return False
    prose = sum(bool(_re2(PROSE).search(line)) for line in lines)
    if prose >= PAGE and prose * 5 >= len(lines):
        logged = sum(bool(_re2(LOGGED).search(line)) for line in lines)
        if logged <= LOG_SHARE * len(lines):
            return True
    if headings < CHAPTERS or len(lines) < PAGE_LINES or _logged(lines) * 100 > len(lines):
        return False
    wordy = sum(bool(_re2(WORDY).search(line)) for line in lines)
    reported = sum(bool(_re2(REPORT).search(line)) for line in lines)
    return wordy * 10 >= len(lines) and reported * 3 <= headings


def _is_told(lines: Sequence[str]) -> bool:
    """Whether somebody tells of an own error around what is pasted between fences."""
    parted = list(_fenced(lines))
    return any(inside for _, inside in parted) and any(
        not inside and _re2(SENTENCE).search(line) and _re2(TELLER).search(line) and not is_statement(line)
        for line, inside in parted
    )


def _is_diff(lines: Sequence[str]) -> bool:
    """Whether it is mostly a unified diff: a hunk's head, and lines that are kept, added or taken away."""
    if not any(line.startswith("@@ -") for line in lines):
        return False
    return sum(line.startswith(DIFFERING) for line in lines) * 10 >= len(lines) * 7


def _is_manual(lines: Sequence[str]) -> bool:
    """Whether what stands around fenced and indented pieces guides the reader, and nobody tells of an own fault."""
    parted = list(_fenced(lines))
    return any(_guides([line for line, inside in parted if inside is begun]) for begun in (False, True))


def _fenced(lines: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """The lines that are not indented, each with whether it stands after an odd number of fences."""
    inside = False
    for line in lines:
        if line.lstrip().startswith(FENCES):
            inside = not inside
        elif not line.startswith(INDENTED):
            yield line, inside


def _guides(frame: Sequence[str]) -> bool:
    if len(frame) < FRAME or any(map(_is_logged, frame)):
        return False
    prose = [line for line in frame if _re2(SENTENCE).search(line)]
    guides = sum(bool(_re2(GUIDING).search(line)) for line in prose)
    if guides < GUIDES or any(_re2(TELLER).search(line) for line in prose):
        return False
    headings = sum(bool(_re2(HEADING).search(line)) for line in frame)
    if (headings == 0 and len(prose) < SENTENCES) or any(_re2(FORM).search(line) for line in frame):
        return False
    others = set(frame).difference(prose)
    written = sum(line in others and not (_re2(STRUCTURE).search(line) or _re2(WORDS).search(line)) for line in frame)
    return written * 10 <= len(frame) * 3


def is_statement(line: str) -> bool:
    """Whether the line is of the kind that source code is made of."""
    return bool(_re2(CODE).search(line)) and not _re2(LOGFMT).search(line)


def _is_code(line: str) -> bool:
    return bool(_re2(f"{CODE}|{MARKUP}").search(line)) and not _re2(LOGFMT).search(line)


@lru_cache(maxsize=16)
def _re2(pattern: str) -> Any:
    import re2

    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)
