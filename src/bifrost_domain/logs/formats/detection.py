"""Which format a file is in, from its first lines."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from bifrost_domain.logs.formats.headers import Reader, TextReader, learn
from bifrost_domain.logs.formats.records import JournaldReader, JsonReader, LogfmtReader, decode_object, read_logfmt
from bifrost_domain.logs.formats.times import Clock
from bifrost_domain.logs.formats.wrappers import (
    ISO_TIME,
    AccessReader,
    CriReader,
    DockerReader,
    KlogReader,
    PrefixReader,
    RunnerReader,
    access_pattern,
    docker_record,
    strip_runner,
    unescape,
)
from bifrost_domain.logs.lines import Fields

SAMPLE = 200
"""How many lines of a file are looked at."""

_MAX_WRAPPERS = 3

_KEYS = (
    ("journald", frozenset({"__REALTIME_TIMESTAMP", "_BOOT_ID", "__CURSOR"})),
    ("gcp", frozenset({"insertId", "logName", "jsonPayload", "textPayload", "receiveTimestamp"})),
    (
        "azure",
        frozenset({"operationName", "resourceId", "TimeGenerated", "operationVersion", "severityLevel", "_ResourceId"}),
    ),
    ("cloudwatch", frozenset({"ingestionTime", "logStreamName", "logGroup", "logStream", "searchedLogStreams"})),
    ("mongodb", frozenset({"ctx", "attr", "s", "c"})),
)
_PRETTY_KEY = re.compile(r'\s*+"([^"\\]{1,80})"\s*+:')


@cache
def _shapes() -> tuple[tuple[str, Callable[[str], Any]], ...]:
    """A test for each format that shows in a single line; the first that holds decides."""

    def matcher(pattern: str) -> Callable[[str], Any]:
        return re.compile(pattern).match

    return (
        ("docker", docker_record),
        ("cri", matcher(rf"{ISO_TIME} (?:stdout|stderr) [PF](?::\w+)?(?: |$)")),
        ("github-actions", matcher(
            r"(?:[^\t]{1,200}\t[^\t]{1,200}\t(?:\\u\{feff\})?)?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z(?: |$)")),
        ("gitlab", matcher(rf"{ISO_TIME} \d\d[OE][ +]?|section_(?:start|end):\d+:")),
        ("travis", matcher(r"travis_(?:fold|time):")),
        ("kubectl-prefix", matcher(r"\[pod/[^\]/ ]{1,253}/[^\] ]{1,253}\] ")),
        ("kubectl", matcher(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z(?: |$)")),
        ("compose", matcher(r"[a-z0-9][\w.-]{0,80} +\| ")),
        ("klog", matcher(r"[IWEF](?:\d{4}){1,2} \d\d:\d\d:\d\d\.\d{1,9} +\d+ \S+:\d+\]")),
        ("nginx-error", matcher(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[[a-z]{3,7}\] \d+#\d+: ")),
        ("apache-error", matcher(
            r"\[[A-Z][a-z]{2} [A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d(?:\.\d+)? \d{4}\] \[(?:[a-z_0-9]+:)?[a-z0-9]+\] ")),
        ("access", access_pattern().match),
        ("cloudwatch-tail", matcher(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|\+00:00) \S*(?:\[\$?\w+\]|/)\S*[0-9a-f]{8,}\S* ")),
        ("cloudwatch-csv", matcher(r'"?@?timestamp"?,"?@?message"?|\d{13},')),
        ("journald-export", matcher(r"__CURSOR=|__REALTIME_TIMESTAMP=|_BOOT_ID=")),
        ("syslog", matcher(
            r"<\d{1,3}>(?:\d )?\S|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ \S"
            rf"|{ISO_TIME} [\w.-]+ [\w./@-]+\[\d+\]: ")),
        ("logfmt", read_logfmt),
    )  # fmt: skip


def detect(sample: Sequence[str], reference: datetime | None = None) -> Reader:
    """The reader for a file that begins with `sample`, its first cleaned lines (up to 200 are looked at).

    `reference` is a time near which the log was written, for the forms of time that have no year; without one these
    are no times. A line that is not of the file's format is read as what it is, so a mixed file is no error.
    """
    return _detect([text for text in sample[:SAMPLE] if text.strip()], reference, 0)


def _detect(lines: Sequence[str], reference: datetime | None, depth: int) -> Reader:
    shape = _shape(lines) if lines and depth < _MAX_WRAPPERS else "text"

    def inner(rest: Sequence[str]) -> Reader:
        return _detect([text for text in rest if text.strip()], reference, depth + 1)

    def stripped(pattern: str) -> list[str]:
        prefix = re.compile(pattern)
        return [text[match.end() :] for text in lines if (match := prefix.match(text))]

    match shape:
        case "docker":
            return DockerReader(inner([unescape(record["log"]) for text in lines if (record := docker_record(text))]))
        case "cri":
            return CriReader(inner(stripped(rf"{ISO_TIME} \w+ [PF](?::\w+)? ?")))
        case "github-actions" | "gitlab" | "travis":
            return RunnerReader(_inside_runner([strip_runner(text) for text in lines], reference), shape)
        case "kubectl-prefix":
            pattern = r"\[pod/(?P<source>[^\]/ ]{1,253}/[^\] ]{1,253})\] "
            return PrefixReader(inner(stripped(pattern)), "kubectl", pattern)
        case "kubectl":
            pattern = rf"(?P<time>{ISO_TIME})(?: |$)"
            return PrefixReader(inner(stripped(pattern)), "kubectl", pattern)
        case "compose":
            pattern = r"(?P<source>[a-z0-9][\w.-]{0,80}) +\| "
            return PrefixReader(inner(stripped(pattern)), "compose", pattern)
        case "cloudwatch-tail":
            pattern = rf"(?P<time>{ISO_TIME}) (?P<source>\S{{1,300}}) "
            return PrefixReader(inner(stripped(pattern)), "cloudwatch", pattern)
        case "cloudwatch-csv":
            pattern = r'(?P<time>\d{13}),"?'
            return PrefixReader(inner(stripped(pattern)), "cloudwatch", pattern)
        case "klog":
            return KlogReader(_text(lines, reference), Clock(reference))
        case "nginx-access" | "apache-access":
            return AccessReader(_text(lines, reference), shape)
        case "journald-export":
            return JournaldReader(_text(lines, reference))
        case "logfmt":
            return LogfmtReader(_mixed(lines, reference))
        case "nginx-error" | "apache-error" | "syslog":
            return _mixed(lines, reference, shape)
        case "text":
            return _mixed(lines, reference)
        case _:
            return JsonReader(_text(lines, reference), shape)


def _text(lines: Sequence[str], reference: datetime | None, name: str = "text") -> TextReader:
    return TextReader(reference, learn(lines, reference), name)


def _mixed(lines: Sequence[str], reference: datetime | None, name: str = "text") -> Reader:
    return MixedReader(_text(lines, reference, name))


def _inside_runner(lines: Sequence[str], reference: datetime | None) -> Reader:
    """A runner's log is many programs' output: each line by its own form, nothing learned from the others."""
    return MixedReader(TextReader(reference))


class MixedReader:
    """Text with a structured line here and there."""

    def __init__(self, text: TextReader) -> None:
        self.name = text.name
        self._text = text
        self._json = JsonReader(text)

    def reset(self) -> None:
        self._json.reset()

    def read(self, text: str) -> Fields:
        first = text[:1]
        if first == "{" and text[-1:] == "}":
            return self._json.read(text)
        if first in ("t", "l", "m") and text.startswith(("time=", "level=", "ts=", "lvl=", "msg=", "t=")):
            return read_logfmt(text) or self._text.read(text)
        return self._text.read(text)


def _shape(lines: Sequence[str]) -> str:
    votes: Counter[str] = Counter()
    keys: Counter[str] = Counter()
    inside = 0
    for text in lines:
        bare = text.strip()
        if bare[0] == "{" or inside or bare in ("[", "[{"):
            record = decode_object(bare)
            if record is not None and docker_record(text) is None:
                votes["json"] += 1
                keys.update(_names(record))
                continue
            if inside or bare in ("{", "[", "[{"):
                inside += bare.count("{") + bare.count("[") - bare.count("}") - bare.count("]")
                votes["json"] += 1
                if key := _PRETTY_KEY.match(text):
                    keys[key[1]] += 1
                continue
        if bare[0] == "[" and bare[-1] == "]" and '{"' in bare[:80]:
            votes["json"] += 1
            keys.update(key for key in _all_keys() if f'"{key}"' in bare)
            continue
        for name, test in _shapes():
            if test(text):
                votes[name] += 1
                break
    if not votes:
        return "text"
    name, count = votes.most_common(1)[0]
    if name == "journald-export":
        return name
    if name == "travis" or name == "gitlab":
        return name
    if count * 10 < len(lines) * 3:
        return "text"
    if name == "json":
        return _dialect(keys)
    if name == "access":
        return _access(lines)
    return name


def _names(record: dict[str, Any]) -> set[str]:
    names = set(record)
    for value in record.values():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            names |= set(value[0])
    return names


@cache
def _all_keys() -> frozenset[str]:
    return frozenset().union(*(keys for _, keys in _KEYS))


def _dialect(keys: Counter[str]) -> str:
    for name, known in _KEYS:
        if len(known & keys.keys()) >= (3 if name == "mongodb" else 1):
            return name
    return "json"


def _access(lines: Sequence[str]) -> str:
    """Nginx writes the combined format by default; Apache's common format ends after the size, or has a host first."""
    matches = [match for text in lines if (match := access_pattern().match(text))]
    combined = sum(bool(match["rest"].strip()) and match["host"] is None for match in matches)
    return "nginx-access" if combined * 2 >= len(matches) else "apache-access"
