"""Structured records: JSON lines of any logger or cloud, logfmt, journald's export, exports spread over many lines."""

import re
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from typing import Any, Protocol

import msgspec

from bifrost_domain.logs.cleaning import safe
from bifrost_domain.logs.formats.levels import SYSLOG_LEVELS, level_of, opentelemetry_level, python_level
from bifrost_domain.logs.formats.times import parse_epoch, parse_time
from bifrost_domain.logs.lines import Fields, Level

_TIME_KEYS = (
    "time", "timestamp", "@timestamp", "ts", "@t", "datetime", "eventTime", "timeUnixNano", "__REALTIME_TIMESTAMP",
    "asctime", "date", "t", "TimeGenerated", "observedTimeUnixNano", "receiveTimestamp", "Timestamp", "time_local",
    "created",
)  # fmt: skip
_LEVEL_KEYS = (
    "level", "severity", "log.level", "lvl", "levelname", "loglevel", "logLevel", "log_level", "severityText",
    "severity_text",
    "SeverityText", "@l", "s", "Level", "LogLevel", "severity_label", "severityLevel", "PRIORITY", "priority",
    "LEVEL", "Severity",
)  # fmt: skip
_MESSAGE_KEYS = (
    "message", "msg", "MESSAGE", "@m", "@mt", "textPayload", "short_message", "body", "log", "event",
    "resultDescription",
    "LogMessage", "Message", "RenderedMessage", "MessageTemplate", "text", "Body", "description", "exception",
)  # fmt: skip
_SOURCE_KEYS = (
    "logger", "logger_name", "log.logger", "name", "component", "service.name", "service", "module",
    "SYSLOG_IDENTIFIER", "c",
    "SourceContext", "Category", "_COMM", "category", "operationName", "caller", "logStreamName", "source",
)  # fmt: skip
_ERROR_KEYS = (
    "error",
    "err",
    "exception",
    "@x",
    "Exception",
    "exc_info",
    "stack_trace",
    "error.message",
    "cause",
    "reason",
)
_NESTED = (
    "jsonPayload",
    "log",
    "error",
    "properties",
    "fields",
    "Properties",
    "protoPayload",
    "data",
    "resource",
    "attributes",
)
_WRAPPERS = (
    "events", "logEvents", "records", "entries", "value", "logs", "resourceLogs", "scopeLogs", "logRecords", "results",
    "hits", "Records",
)  # fmt: skip
_MAX_DEPTH = 4
_MAX_RECORDS = 1000

# Azure numbers levels from the worst: `Level` of Windows events, `severityLevel` of Application Insights' traces
# (learn.microsoft.com/azure/azure-monitor).
_WINDOWS_LEVELS = (Level.INFO, Level.CRITICAL, Level.ERROR, Level.WARNING, Level.INFO, Level.DEBUG)
_TRACE_LEVELS = (Level.DEBUG, Level.INFO, Level.WARNING, Level.ERROR, Level.CRITICAL)


class Inner(Protocol):
    def read(self, text: str) -> Fields: ...


@cache
def _decoder() -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder()


def decode(text: str) -> Any:
    """The JSON value of `text`, None where it is none, or one too deep or too large to be a log record."""
    try:
        return _decoder().decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None


def decode_object(text: str) -> dict[str, Any] | None:
    stripped = text.strip().rstrip(",")
    if stripped[:1] != "{" or stripped[-1:] != "}":
        return None
    value = decode(stripped)
    return value if isinstance(value, dict) else None


def flatten(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """The records in an export: those of its list, or of the lists under its wrapper's names; else itself."""
    if isinstance(value, list):
        for item in value[:_MAX_RECORDS]:
            yield from flatten(item, depth)
    elif isinstance(value, dict):
        for name in _WRAPPERS if depth < _MAX_DEPTH else ():
            inner = value.get(name)
            if isinstance(inner, list) and inner and isinstance(inner[0], dict):
                yield from flatten(inner, depth + 1)
                return
        yield value


def read_record(record: dict[str, Any], inner: Inner | None = None, depth: int = 0) -> Fields | None:
    """The fields of one JSON record, None where nothing in it is known as a time, a level or a message.

    A message that is a record itself is read as one. The text of an error beside the message is appended to it.
    """
    message = _text(_first(record, _MESSAGE_KEYS, depth))
    level = _level(record)
    time = _time(record)
    source = _source(record)
    if message is None and level is None and time is None:
        return None
    if message is None or not message:
        message = _text(_first(record, _ERROR_KEYS, depth)) or ""
    else:
        # A record with a level of its own says in its message what happened, and not in yet another header.
        header = inner if level is None else None
        if depth < _MAX_DEPTH and (within := _within(message, header, depth)) is not None:
            message = within.message
            level, time, source = level or within.level, time or within.time, within.source or source
        error = _text(_first(record, _ERROR_KEYS, depth))
        if error and error not in message:
            message = f"{message}: {error}"
    return Fields(
        message=safe(message).strip(), time=time, level=level, source=None if source is None else safe(source)
    )


def _within(message: str, inner: Inner | None, depth: int) -> Fields | None:
    if message[:1] == "{" and (record := decode_object(message)) is not None:
        return read_record(record, inner, depth + 1)
    return inner.read(message.rstrip("\n")) if inner is not None and "\n" not in message.rstrip("\n") else None


def _first(record: dict[str, Any], keys: tuple[str, ...], depth: int) -> Any:
    for key in keys:
        value = record.get(key)
        if value is not None and value != "" and not (isinstance(value, dict) and key == "log"):
            return value
    if depth < _MAX_DEPTH and keys is _MESSAGE_KEYS:
        for key in _NESTED:
            inner = record.get(key)
            if isinstance(inner, str) and inner[:1] == "{":
                inner = decode_object(inner)
            if isinstance(inner, dict) and (value := _first(inner, keys, depth + 1)) is not None:
                return value
    return None


def _text(value: Any, depth: int = 0) -> str | None:
    """A message as text: of an object, the part that says what it is."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and depth < _MAX_DEPTH:
        for key in ("message", "msg", "stringValue", "text", "error", "reason", "stack", "$value"):
            if (text := _text(value.get(key), depth + 1)) is not None:
                kind = value.get("type") or value.get("name")
                return f"{kind}: {text}" if isinstance(kind, str) and kind not in text else text
        return None
    if isinstance(value, list) and value and all(isinstance(item, int) and 0 <= item < 256 for item in value):
        return bytes(value).decode("utf-8", "replace")  # journald writes a message that is not plain text as its bytes
    if isinstance(value, list) and value:
        return _text(value[0], depth + 1) if depth < _MAX_DEPTH else None
    return None


def _level(record: dict[str, Any]) -> Level | None:
    number = record.get("severityNumber", record.get("SeverityNumber", record.get("severity_number")))
    if isinstance(number, int | float) and 1 <= number <= 24:
        return opentelemetry_level(number)
    if isinstance(number := record.get("levelno"), int | float):
        return python_level(number)
    for key in _LEVEL_KEYS:
        value = record.get(key)
        if value is None:
            continue
        if isinstance(value, int) and key in ("severityLevel", "Level") and 0 <= value <= 5:
            levels = _WINDOWS_LEVELS if key == "Level" else _TRACE_LEVELS
            return levels[min(value, len(levels) - 1)]
        if (level := level_of(value)) is not None:
            return level
    for key in ("log", "jsonPayload", "properties", "Properties", "fields"):
        inner = record.get(key)
        if isinstance(inner, str) and inner[:1] == "{":
            inner = decode_object(inner)
        if isinstance(inner, dict) and (level := level_of(inner.get("level", inner.get("Level")))) is not None:
            return level
    return None


def _time(record: dict[str, Any]) -> datetime | None:
    for key in _TIME_KEYS:
        value = record.get(key)
        if value is not None and (moment := time_of(value)) is not None:
            return moment
    return None


def time_of(value: Any) -> datetime | None:
    """The time of a field: text in any form, or a number since 1970 in any unit, or MongoDB's `$date`."""
    if isinstance(value, str):
        if value.isdecimal():
            return parse_epoch(int(value)) if len(value) < 20 else None
        return parse_time(value)
    if isinstance(value, dict):
        inner = value.get("$date")
        return None if inner is None or isinstance(inner, dict) else time_of(inner)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return parse_epoch(value)
    return None


def _source(record: dict[str, Any]) -> str | None:
    for key in _SOURCE_KEYS:
        value = record.get(key)
        if isinstance(value, str) and value:
            return value
        if isinstance(value, dict) and isinstance(name := value.get("name"), str):
            return name
    kubernetes = record.get("kubernetes")
    if isinstance(kubernetes, dict) and isinstance(pod := kubernetes.get("pod_name"), str):
        return pod
    resource = record.get("resource")
    if isinstance(resource, dict) and isinstance(labels := resource.get("labels"), dict):
        for key in ("container_name", "service_name", "function_name", "pod_name"):
            if isinstance(name := labels.get(key), str):
                return name
    name = record.get("logName")
    return name if isinstance(name, str) else None


def read_export(text: str) -> Fields | None:
    """A line that holds many records, as a wrapper or a list: the fields of the loudest, the first of those."""
    stripped = text.strip()
    if stripped[:1] not in ("{", "["):
        return None
    value = decode(stripped)
    loudest: Fields | None = None
    for record in flatten(value):
        fields = read_record(record)
        if fields is not None and (loudest is None or _rank(fields.level) > _rank(loudest.level)):
            loudest = fields
    return loudest


def _rank(level: Level | None) -> int:
    return -1 if level is None else level.rank


class JsonReader:
    """One JSON record a line, or an export spread over many lines; other lines are `inner`'s.

    A record that spans lines starts at its `{`. Each later line of it has `start` False and carries what the record
    has said so far, so that the line with the message knows the level where that came before.
    """

    def __init__(self, inner: Inner, name: str = "json") -> None:
        self.name = name
        self._inner = inner
        self._pretty = re.compile(r'\s*+"([^"\\]{1,80})"\s*+:\s*+(.*?)\s*+,?\s*+$').match
        self._open: list[str] = []
        self._seen = Fields(message="")

    def reset(self) -> None:
        self._open = []
        self._seen = Fields(message="")

    def read(self, text: str) -> Fields:
        stripped = text.strip()
        first, last = stripped[:1], stripped[-1:]
        if first in ("{", "[") and stripped.rstrip(",")[-1:] == ("}" if first == "{" else "]") and len(stripped) > 2:
            record = decode_object(stripped)
            if record is not None and not self._open:
                fields = self._line(record, stripped)
                return fields if fields is not None else self._inner.read(text)
            if record is not None:
                fields = read_record(record, self._inner)
                return fields if fields is not None else Fields(message=text, start=False)
            if not self._open and (export := read_export(stripped)) is not None:
                return export
        if self._open or (stripped in ("{", "[", "[{") and text[:1] == first):
            return self._part(text, stripped, last)
        return self._inner.read(text)

    def _line(self, record: dict[str, Any], text: str) -> Fields | None:
        for name in _WRAPPERS:
            if isinstance(record.get(name), list):
                return read_export(text)
        return read_record(record, self._inner)

    def _part(self, text: str, stripped: str, last: str) -> Fields:
        bare = stripped.rstrip(",")
        starts = not self._open
        match = self._pretty(text)
        if not self._open or match is not None or bare in ("{", "}", "[", "]", "},{", "}, {", "[{", "}]", "[]", "{}"):
            if bare in ("{", "},{", "}, {", "[{"):
                if bare[0] == "}" and self._open:
                    self._open.pop()
                starts = self._record_begins()
                self._open.extend(character for character in bare if character in "[{")
                if bare in ("},{", "}, {"):
                    self._open = self._open[:-1] or ["{"]
            elif bare == "[":
                self._open.append("[")
            elif match is not None and match[2] in ("{", "["):
                self._open.append(match[2])
            else:
                for character in bare if bare in ("}", "]", "}]") else "":
                    if self._open and self._open[-1] == ("{" if character == "}" else "["):
                        self._open.pop()
        else:
            self.reset()
            return self._inner.read(text)
        if starts or not self._open:
            seen, self._seen = self._seen, Fields(message="")
            if not starts:
                return Fields(message=text, time=seen.time, level=seen.level, source=seen.source, start=False)
        message = text
        if match is not None and (value := decode(match[2])) is not None and not isinstance(value, dict | list):
            said = read_record({match[1]: value}, self._inner)
            if said is not None:
                self._seen = Fields(
                    message="",
                    time=self._seen.time or said.time,
                    level=self._seen.level or said.level,
                    source=self._seen.source or said.source,
                )
                message = said.message or text
        seen = self._seen
        return Fields(message=message, time=seen.time, level=seen.level, source=seen.source, start=starts)

    def _record_begins(self) -> bool:
        """A `{` begins a record at the top and in a list near it, where exports have theirs."""
        return not self._open or (self._open[-1] == "[" and len(self._open) <= 2)


class LogfmtReader:
    """`key=value key="quoted value"` lines (brandur.org/logfmt); a line without such pairs is `inner`'s."""

    name = "logfmt"

    def __init__(self, inner: Inner) -> None:
        self._inner = inner

    def reset(self) -> None:
        pass

    def read(self, text: str) -> Fields:
        return read_logfmt(text) or self._inner.read(text)


@cache
def _pairs() -> re.Pattern[str]:
    return re.compile(r'(?:^|(?<=\s))([A-Za-z_@][\w.@/-]{0,80})=(?:"((?:[^"\\]|\\.)*+)"|([^\s"]*+))(?=\s|$)')


def read_logfmt(text: str) -> Fields | None:
    """The fields of a logfmt line, None where it has not at least a message or a level and two pairs."""
    if "=" not in text:
        return None
    pairs = {key: quoted.replace('\\"', '"') or bare for key, quoted, bare in _pairs().findall(text)}
    if len(pairs) < 2 or not (pairs.keys() & {"msg", "message", "level", "lvl", "severity", "ts", "time"}):
        return None
    level = level_of(pairs.get("level") or pairs.get("lvl") or pairs.get("severity") or "")
    message = pairs.get("msg") or pairs.get("message") or pairs.get("event")
    if message is None and level is None:
        return None
    time = time_of(pairs.get("time") or pairs.get("ts") or pairs.get("timestamp") or pairs.get("t") or "")
    if message is None:
        message = text
    else:
        error = pairs.get("err") or pairs.get("error")
        if error and error not in message and error not in ("null", "nil", "<nil>"):
            message = f"{message}: {error}"
    source = pairs.get("logger") or pairs.get("component") or pairs.get("caller") or pairs.get("source") or None
    return Fields(message=message, time=time, level=level, source=source)


class JournaldReader:
    """`journalctl -o export`: a block of KEY=VALUE lines, ended by an empty one (systemd.io/JOURNAL_EXPORT_FORMATS).

    A value with a line end in it comes as its key alone, then eight bytes of length and the text.
    """

    name = "journald"

    def __init__(self, inner: Inner) -> None:
        self._inner = inner
        self._field = re.compile(r"([A-Z_][A-Z0-9_]{0,63})=(.*)", re.DOTALL).fullmatch
        self._length = re.compile(r"(?:\\x[0-9a-f]{2}|[^\\]){8}").match
        self.reset()

    def reset(self) -> None:
        self._inside = False
        self._binary: str | None = None
        self._seen = Fields(message="")

    def read(self, text: str) -> Fields:
        if not text:
            self.reset()
            return Fields(message="")
        if self._binary is not None:
            length = self._length(text)
            key, self._binary = self._binary, None
            if length is not None:
                return self._take(key, text[length.end() :])
        match = self._field(text)
        if match is not None:
            return self._take(match[1], match[2], text)
        if self._inside and text.isascii() and text.replace("_", "").isalnum() and text.isupper():
            self._binary = text
        elif not self._inside:
            return self._inner.read(text)
        return self._fields(text)

    def _take(self, key: str, value: str, text: str | None = None) -> Fields:
        start = not self._inside
        self._inside = True
        seen = self._seen
        if key == "__REALTIME_TIMESTAMP" or (key == "_SOURCE_REALTIME_TIMESTAMP" and seen.time is None):
            seen = Fields(message="", time=time_of(value), level=seen.level, source=seen.source)
        elif key == "PRIORITY" and value in "01234567" and value:
            seen = Fields(message="", time=seen.time, level=SYSLOG_LEVELS[int(value)], source=seen.source)
        elif key == "SYSLOG_IDENTIFIER" or (key == "_COMM" and seen.source is None):
            seen = Fields(message="", time=seen.time, level=seen.level, source=value)
        self._seen = seen
        return self._fields(value if key == "MESSAGE" else text or value, start)

    def _fields(self, message: str, start: bool = False) -> Fields:
        seen = self._seen
        return Fields(message=message, time=seen.time, level=seen.level, source=seen.source, start=start)
