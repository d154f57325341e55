"""Formats that wrap a line of another one: container runtimes, CI runners, and tools that follow several logs at once.

A wrapper takes its own prefix off, reads the rest as the format that it is, and fills in what the rest does not say.
"""

import re
from datetime import datetime
from functools import cache
from typing import Any

from bifrost_domain.logs.cleaning import clean
from bifrost_domain.logs.formats.headers import Reader
from bifrost_domain.logs.formats.levels import level_of
from bifrost_domain.logs.formats.records import decode_object
from bifrost_domain.logs.formats.times import Clock, parse_epoch, parse_time
from bifrost_domain.logs.lines import Fields, Level

ISO_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)"
_RUNNER_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z(?: |$)"
_GH_COLUMNS = rf"(?P<job>[^\t]{{1,200}})\t(?P<step>[^\t]{{1,200}})\t(?:\\u\{{feff\}})?(?={ISO_TIME})"
_GITLAB = rf"(?P<gitlab>{ISO_TIME}) \d\d[OE][ +]?"
_MARKS = r"(?:travis_(?:fold|time):\w+:[\w.:=,-]+|section_(?:start|end):\d+:[\w.-]+(?:\[[^\]]{0,80}\])?)"
_COMMAND = r"##\[(?P<command>[a-z]{1,12})\]|::(?P<workflow>error|warning|notice|debug)(?: [^:]{0,300})?::"
_COMMAND_LEVELS = {"error": Level.ERROR, "warning": Level.WARNING, "notice": Level.INFO, "debug": Level.DEBUG}


@cache
def _runner() -> re.Pattern[str]:
    return re.compile(rf"(?:{_GH_COLUMNS})?(?P<time>{_RUNNER_TIME})|{_GITLAB}")


@cache
def _marks() -> re.Pattern[str]:
    return re.compile(rf"(?:{_MARKS}\s*+)++(?=\S)")


@cache
def _command() -> re.Pattern[str]:
    return re.compile(_COMMAND)


def strip_runner(text: str) -> str:
    """The line without what only the CI runner put before it; the same line where there is no such thing.

    That is GitHub's and Azure's timestamp, the job and step columns of `gh run view --log`, GitLab's timestamp and
    stream, and the fold, section and timing marks of Travis and GitLab. An empty line behind a timestamp becomes empty.
    """
    if not text:
        return text
    if text[0].isdigit() or "\t" in text:
        match = _runner().match(text)
        return text if match is None else text[match.end() :]
    if text.startswith(("travis_", "section_")):
        match = _marks().match(text)
        if match is not None:
            return text[match.end() :]
    return text


class RunnerReader:
    """GitHub Actions and Azure Pipelines, GitLab and Travis: the runner's prefix off, its commands read as levels."""

    def __init__(self, inner: Reader, name: str) -> None:
        self.name = name
        self._inner = inner

    def reset(self) -> None:
        self._inner.reset()

    def read(self, text: str) -> Fields:
        match = _runner().match(text)
        if match is None:
            marks = _marks().match(text)
            return self._inner.read(text if marks is None else text[marks.end() :])
        written = (match["time"] or match["gitlab"]).rstrip()
        time = parse_time(written)
        source = f"{match['job']}/{match['step']}" if match["job"] else None
        rest = text[match.end() :]
        command = _command().match(rest)
        if command is not None:
            level = _COMMAND_LEVELS.get(command["command"] or command["workflow"])
            return Fields(message=rest[command.end() :] or rest, time=time, level=level, source=source)
        return _under(self._inner.read(rest), time=time, source=source)


class CriReader:
    """The Container Runtime Interface's log (kubernetes.io/docs/concepts/cluster-administration/logging).

    `TIME STREAM P|F TEXT`: after a part (P) comes the rest of the same line, which does not start a record.
    """

    name = "cri"

    def __init__(self, inner: Reader) -> None:
        self._inner = inner
        self._prefix = re.compile(rf"({ISO_TIME}) (stdout|stderr) ([PF])(?::\w+)? ?").match
        self._partial: set[str] = set()

    def reset(self) -> None:
        self._partial.clear()
        self._inner.reset()

    def read(self, text: str) -> Fields:
        match = self._prefix(text)
        if match is None:
            return self._inner.read(text)
        time, stream, tag = parse_time(match[1]), match[2], match[3]
        rest = text[match.end() :]
        continues = stream in self._partial
        if tag == "P":
            self._partial.add(stream)
        else:
            self._partial.discard(stream)
        if continues:
            return Fields(message=rest, time=time, start=False)
        return _under(self._inner.read(rest), time=time)


class DockerReader:
    """Docker's json-file driver: `{"log": "text\\n", "stream": "stdout", "time": "..."}`."""

    name = "docker"

    def __init__(self, inner: Reader) -> None:
        self._inner = inner
        self._partial: set[str] = set()

    def reset(self) -> None:
        self._partial.clear()
        self._inner.reset()

    def read(self, text: str) -> Fields:
        record = docker_record(text)
        if record is None:
            return self._inner.read(text)
        log, stream = record["log"], str(record["stream"])
        raw_time = record.get("time")
        time = parse_time(raw_time) if isinstance(raw_time, str) else None
        continues = stream in self._partial
        if log.endswith("\n"):
            self._partial.discard(stream)
        else:
            self._partial.add(stream)  # the driver cuts lines at 16 KiB and ends only the last part with a line end
        rest = unescape(log)
        if continues:
            return Fields(message=rest, time=time, start=False)
        return _under(self._inner.read(rest), time=time)


def docker_record(text: str) -> dict[str, Any] | None:
    """The record of a json-file line, None where it is something else."""
    if not text.startswith('{"log":'):
        return None
    record = decode_object(text)
    if record is None or not isinstance(record.get("log"), str) or record.get("stream") not in ("stdout", "stderr"):
        return None
    return record


def unescape(log: str) -> str:
    """The one line of text in a `log` field, cleaned as a line is."""
    return clean(log.rstrip("\n").encode("utf-8", "replace"))


class PrefixReader:
    """A fixed sort of prefix before another format's line: a pod, a service, a time.

    Of the pattern's groups `time` and `source` are used where there are such.
    """

    def __init__(self, inner: Reader, name: str, pattern: str) -> None:
        self.name = name
        self._inner = inner
        self._prefix = re.compile(pattern).match

    def reset(self) -> None:
        self._inner.reset()

    def read(self, text: str) -> Fields:
        match = self._prefix(text)
        if match is None:
            return self._inner.read(text)
        groups = match.groupdict()
        written = groups.get("time")
        return _under(
            self._inner.read(text[match.end() :]),
            time=_time(written) if written else None,
            source=groups.get("source"),
        )


def _time(written: str) -> datetime | None:
    return parse_epoch(int(written)) if written.isdecimal() else parse_time(written)


class KlogReader:
    """Kubernetes' own components, and glog: `I0102 15:04:05.000000    1 file.go:12] text`.

    The format is described in github.com/kubernetes/klog, klog.go.
    """

    name = "klog"

    def __init__(self, inner: Reader, clock: Clock) -> None:
        self._inner = inner
        self._clock = clock
        self._prefix = re.compile(
            r"([IWEF])(?:(?P<year>\d{4})(?=\d{4} ))?(?P<month>\d\d)(?P<day>\d\d) "
            r"(?P<clock>\d\d:\d\d:\d\d\.\d{1,9}) +\d+ (?P<source>[^\s\]]{1,200}:\d+)\] ?"
        ).match

    def reset(self) -> None:
        self._inner.reset()

    def read(self, text: str) -> Fields:
        match = self._prefix(text)
        if match is None:
            return self._inner.read(text)
        year = f"{match['year']}-" if match["year"] else ""
        moment = self._clock.at(f"{year}{match['month']}-{match['day']} {match['clock']}")
        return Fields(
            message=text[match.end() :],
            time=moment.at if moment is not None else None,
            level=level_of(match[1]),
            source=match["source"],
        )


class AccessReader:
    """Access logs in the common and combined formats and their extensions (httpd.apache.org/docs, nginx.org/en/docs).

    A server's error (5xx) is an error; a client's (4xx) is the client's business.
    """

    def __init__(self, inner: Reader, name: str) -> None:
        self.name = name
        self._inner = inner
        self._line = access_pattern().match

    def reset(self) -> None:
        self._inner.reset()

    def read(self, text: str) -> Fields:
        match = self._line(text)
        if match is None:
            return self._inner.read(text)
        level = Level.ERROR if match["status"][0] == "5" else Level.INFO
        return Fields(
            message=text[match.start("request") :], time=parse_time(match["time"]), level=level, source=match["host"]
        )


@cache
def access_pattern() -> re.Pattern[str]:
    return re.compile(
        r"(?:(?P<host>[\w.-]{1,200}(?::\d{1,5})) )?\S{1,200} \S{1,200} [^\[\n]{1,200}?"
        r"\[(?P<time>\d\d/[A-Z][a-z]{2}/\d{4}:[^\]]{8,20})\] "
        r'(?P<request>"(?:[^"\\]|\\.)*+") (?P<status>[1-5]\d\d) (?P<size>\d+|-)(?P<rest>.*)'
    )


def _under(fields: Fields, *, time: datetime | None = None, source: str | None = None) -> Fields:
    """The inner line's fields, completed by the wrapper's: its time is the better one where it has one."""
    return Fields(
        message=fields.message,
        time=time if time is not None else fields.time,
        level=fields.level,
        source=fields.source if fields.source is not None else source,
        start=fields.start,
    )
