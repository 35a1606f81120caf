"""Secrets and identities out of text: one place, applied before a reading exists and before a file is written.

Secrets (keys, tokens, passwords) never enter a snapshot. Identities (host, user, addresses, serial numbers) are
replaced in files that leave the machine; the same identity keeps the same token, so that relations survive.
What diagnosis needs is kept: namespaces such as c10::Error, versions such as 12.8.4.1, PCI addresses, target ids,
digests. No pattern can know every secret: the person is shown what a file holds before it is written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

KEPT_REGISTRIES = (
    "docker.io", "nvcr.io", "ghcr.io", "quay.io", "gcr.io", "mcr.microsoft.com", "public.ecr.aws", "registry.k8s.io",
    "lscr.io", "localhost",
)  # fmt: skip

SECRETS: tuple[tuple[str, re.Pattern[str]], ...] = (
    (
        "key",
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S),
    ),
    ("token", re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{5,}")),
    (
        "token",
        re.compile(r"\b(?:hf|nvapi|sk|glpat|xox[abprs]|npm|pypi|dop_v1|dckr_pat|ghs|gho|ghp|ghu|ghr)[_-][\w-]{16,}"),
    ),
    ("token", re.compile(r"\bgithub_pat_\w{20,}")),
    ("key", re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("key", re.compile(r"\bAIza[\w-]{30,}")),
    ("token", re.compile(r"\bya29\.[\w-]{20,}|(?<=hooks\.slack\.com/services/)[\w/]+|(?<=[?&;]sig=)[\w%+/=-]+")),
    ("password", re.compile(r"(?<=://)[^\s/:@]{1,256}:[^\s/@]{1,512}(?=@)")),
    ("token", re.compile(r"(?i)(?<=\bbearer )[\w.~+/=-]{8,}|(?<=\bbasic )[\w+/=]{8,}")),
)
NAMES = r"""
    (?:(?P<sure>passwd|password|passphrase|secret|private[_-]?key|access[_-]?key|account[_-]?key|api[_-]?key|credential)
      |token|auth(?:orization)?|cookie|session[_-]?key|signature|pass(?==))
    s?(?:[_-][\w-]{0,32})?
"""
# Up to its closing quote where it is quoted, with the quotes of JSON within JSON.
VALUE = r"""
    (?P<quote>\\*["'])?(?!\s|<|-)(?P<value>(?(quote)(?:(?!(?P=quote))[^\n]){3,4096}|[^\s"',;}&\\]{3,4096}))
"""
# NAME=value, "name": "value", where the name says that the value is secret.
ASSIGNED = re.compile(
    rf"""(?ix) \b(?P<name>[\w.-]{{0,64}}?{NAMES}\\*["']?\s*(?:=|:|%3[ad]|\s(?=\S{{8,}}\s*$))\s*) {VALUE}"""
)
# --name value and "--name", "value", as on a command line.
OPTION = re.compile(rf"""(?ix) (?<![\w-])(?P<name>--[\w.-]{{0,64}}?{NAMES}(?:\\*["'],)?\s+) {VALUE}""")
# curl -u name:password, as a health check often has it; a user and a group of `docker run` look the same.
CURL = re.compile(
    r"""(?P<before>\bcurl\b[^\n|;&]{0,300}?(?<=[\s"',])(?:-u|--user)[\s"',=\\]{1,8})[^\s:"'\\]{1,64}:[^\s"'\\]{1,256}"""
)
NOT_SECRET = re.compile(
    r"(?i)^(?:true|false|null|none|yes|no|\d{1,6}|required|optional|disabled|enabled|failed|error)$"
)

GPU_UUID = re.compile(r"\b(?:GPU|MIG)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?:/\d+/\d+)?")
SERIAL = re.compile(r"(?i)(serial(?: number)?\s*[:=]\s*\"?)([A-Z0-9]{6,32})\b")
MAIL = re.compile(r"\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}\b")
MAC = re.compile(r"(?i)(?<![0-9a-f:])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![0-9a-f:])")
IPV6 = re.compile(
    r"(?i)(?<![\w:])(?:(?:[0-9a-f]{1,4}:){5,7}[0-9a-f]{1,4}|(?:fe80|f[cd][0-9a-f]{2}|2[0-9a-f]{3})(?::[0-9a-f]{0,4}){2,7})(?![\w:])"
)
OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
# A private address, or any address that a port, a mask or a word beside it marks as one: 12.8.4.1 is a version.
IPV4 = re.compile(
    rf"(?<![\w.=~-])(?:(?:10|127)\.{OCTET}|192\.168|172\.(?:1[6-9]|2\d|3[01])|169\.254|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))"
    rf"\.{OCTET}\.{OCTET}(?![\w.])"
    rf"|(?<![\w.=~-]){OCTET}(?:\.{OCTET}){{3}}(?=:\d{{2,5}}\b|/\d\d?\b)"
    rf"|(?i:(?<=\bhost )|(?<=\baddr )|(?<=\bip )|(?<=\bfrom )|(?<=@)|(?<=//)){OCTET}(?:\.{OCTET}){{3}}(?![\w.])"
)
HOME = re.compile(r"(?<![\w.-])(/(?:home|Users)/)([A-Za-z0-9_][\w.-]{0,63})")
IMAGE_HOST = re.compile(
    r"(?<![\w./@-])((?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}(?::\d{2,5})?)(?=/[a-z0-9._-]+(?:/[a-z0-9._-]+)*[:@])"
)
GENERAL = {
    "root", "localhost", "user", "docker", "nvidia", "render", "video",
    "host.docker.internal", "host.containers.internal",
}  # fmt: skip
LOCAL = {"127.0.0.1", "0.0.0.0"}


class Redactor:
    """Replaces secrets and identities by tokens, and counts what it replaced."""

    def __init__(self, host: str = "", user: str = "") -> None:
        self.counts: Counter[str] = Counter()
        self._tokens: dict[tuple[str, str], str] = {}
        self._names: list[tuple[str, re.Pattern[str]]] = []
        self.learn("host", [host])
        self.learn("user", [user])

    def learn(self, kind: str, names: Iterable[str]) -> None:
        """Further names to replace, such as those of a cluster's nodes; short and general ones are let be."""
        for name in names:
            if len(name) >= 3 and name not in GENERAL:
                self._names.append((kind, re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-])")))

    def secrets(self, text: str) -> str:
        """The text without keys, tokens and passwords."""
        for kind, pattern in SECRETS:
            text = pattern.sub(lambda found, kind=kind: self._hidden(kind, found.group()), text)  # type: ignore[misc]
        text = CURL.sub(lambda found: found["before"] + self._hidden("password", "it"), text)
        return OPTION.sub(self._assigned, ASSIGNED.sub(self._assigned, text))

    def identities(self, text: str) -> str:
        """The text without host, user, addresses, serial numbers and private registries."""
        text = GPU_UUID.sub(lambda found: self._token("gpu", found.group()), text)
        text = SERIAL.sub(lambda found: found.group(1) + self._token("serial", found.group(2)), text)
        text = MAIL.sub(lambda found: self._token("mail", found.group()), text)
        text = MAC.sub(lambda found: self._token("mac", found.group().lower()), text)
        text = IPV6.sub(lambda found: self._token("ip", found.group().lower()), text)
        text = IPV4.sub(
            lambda found: found.group() if found.group() in LOCAL else self._token("ip", found.group()), text
        )
        text = HOME.sub(lambda found: found.group(1) + self._token("user", found.group(2)), text)
        text = IMAGE_HOST.sub(self._registry, text)
        for kind, pattern in self._names:
            text = pattern.sub(lambda found, kind=kind: self._token(kind, found.group()), text)  # type: ignore[misc]
        return text

    def _hidden(self, kind: str, text: str) -> str:
        if not text:
            return text
        self.counts[kind] += 1
        return f"<{kind}>"

    def _assigned(self, found: re.Match[str]) -> str:
        name, value, quote = found["name"], found["value"], found["quote"] or ""
        worded = value.isalpha() and (value.islower() or value.istitle()) and not found["sure"]
        if worded or NOT_SECRET.match(value) or value.startswith(("/", "<", "$", "%", "{")):
            return found.group()
        self.counts["secret"] += 1
        return f"{name}{quote}<secret>"

    def _token(self, kind: str, name: str) -> str:
        self.counts[kind] += 1
        number = sum(key[0] == kind for key in self._tokens) + 1
        return self._tokens.setdefault((kind, name), f"<{kind}-{number}>")

    def _registry(self, found: re.Match[str]) -> str:
        host = found.group(1)
        kept = host.split(":")[0] in KEPT_REGISTRIES or host.endswith((".so", ".py", ".md", ".html", ".json"))
        return host if kept else self._token("registry", host)
