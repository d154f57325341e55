"""Plain text: the header before a line's message, read column by column, whatever the program that wrote it.

A header is a time, then columns: level, process and thread numbers, names in brackets, a logger, and the rules between
them. What a column is shows in its form and place. Where the form alone does not tell (is `Times:` a logger or the
first word of a message?), a sample of the same file does: see `Habits`.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from bifrost_domain.logs.formats.levels import LEVELS, SYSLOG_LEVELS
from bifrost_domain.logs.formats.times import Clock, Moment
from bifrost_domain.logs.lines import Fields, Level


class Reader(Protocol):
    """Reads one cleaned line after the other. `name` is the format's; a line of another shape is read as what it is."""

    @property
    def name(self) -> str: ...

    def read(self, text: str) -> Fields: ...

    def reset(self) -> None:
        """Forget an unfinished record: the next line does not follow the one before."""
        ...


class Habits(Struct, frozen=True, kw_only=True):
    """What the lines of one file have in common that a single line does not show.

    `lead`: how many columns come before the time. `numbers`: how many columns of digits follow it. `tag`, `dotted`:
    a word with a colon, or a dotted name, after the level is the logger. `plain_level`: a bare lower-case level word
    after the time is a level. `host`: the time is followed by a host and a program. `headed`: a record begins with a
    header, so that an indented line without one belongs to the record before.
    """

    lead: int = 0
    numbers: int = 0
    tag: bool = False
    dotted: bool = False
    plain_level: bool = False
    host: bool = False
    headed: bool = False


class Header(Struct, frozen=True, kw_only=True):
    """A recognised header: the message begins at `end`. `moment` is None for a header without a time."""

    end: int
    moment: Moment | None = None
    level: Level | None = None
    source: str | None = None


_HEADER = 300
"""No header is looked for beyond this column, so that a line costs the same however long it is."""
_MAX_COLUMNS = 10
_MAX_LEAD = 6
_RULES = "-|:,>]=)»–—"

_RULE = r"(?:-{1,3}|::?|\|\|?|,|=?>|[»–—])(?=[\s\[(|<]|$)|[\])|]"
_BOX = r"[\[(<{]((?:[^\[\](){}<>]|\[[^\[\]]{0,80}\]|\([^()]{0,80}\)){0,200}+)[\])>}]:?"
_NUMBER = r"(?:#?\d+(?:[#:.]\d+)*:?|0x[\da-fA-F]+|<\d+\.\d+\.\d+>|(?:pid|tid|thread)[=: ]\d+)(?=[\s|\],]|$)"
_WORD = r"[^\s\[\]|,]+"
_TAG = r"(?P<tag>[\w./@()+-]{1,80})\[\d+\](?: ?\([^()]{1,80}\))?:(?=\s|$)"
_HOST_TAG = (
    r"(?P<host>[\w.:/@%-]{1,100}) +(?:"
    r"(?P<process>[\w./@()+-][\w ./@()+-]{0,60})\[[\w.-]+\](?: ?\([^()]{1,80}\))?:?"
    r"|(?P<program>[\w./@()+-]{1,60}(?: [\d.]+)?):)(?=\s|$)"
)
_HOST = r"(?P<host>[\w.:/@%-]{1,100})(?=\s)"
_RFC5424 = (
    r"<(?P<priority>\d{1,3})>\d (?P<time>\S{1,40}) (?P<host>\S{1,255}) (?P<app>\S{1,48}) "
    r"(?P<process>\S{1,128}) \S{1,32} (?:-|(?:\[(?:[^\]\\\"]|\\.|\"(?:[^\"\\]|\\.)*+\")*+\])++)(?: |$)(?:\\u\{feff\})?"
)
_PRIORITY = r"<(?P<priority>\d{1,3})>"
_PREFIX_LEVEL = (
    r"(?:\[\s?(?P<boxed>[A-Za-z]{3,9})\s{0,4}\]:?|(?P<rails>[DIWEFA]), (?=\[\d)"
    r"|(?P<colon>[A-Z]{4,9}|info|warn|fail|crit|dbug|trce)"
    r"(?::(?P<logger>[\w.]{1,80}):(?=\S)|: {0,5}|\[\d{4}\] )|(?P<logcat>[VDIWEF])/(?P<tag>[^()\s]{1,60}) ?\(\s*\d+\): )"
)
_REDIS = r"(?:(?P<pid>\d+):(?P<role>[MSCX])|\[\d+\]) (?=\d{1,2} [A-Z][a-z]{2} )"
_REDIS_MARKS = {".": Level.DEBUG, "-": Level.DEBUG, "*": Level.INFO, "#": Level.WARNING}
_UPTIME = r"\[ {0,5}\d{1,7}\.\d{3,6}\] "
_PROCESS = r"\( *\d+\):"
_CONNECTION = r"\d+#\d+: "
_LOGGER_END = r" {0,40}(?: [-–:]|:) "
_CALLER = re.compile(r"[\w./@+-]{1,120}\.\w{1,5}:\d+:?")
_DOTTED = re.compile(r"[A-Za-z_][\w$-]*(?:(?:\.|::|\$|/)[\w$<>-]+)+")
_NAME = re.compile(r"[A-Za-z_][\w.$/#@:<>-]*")
_LOGGER_COLON = re.compile(r"\s*[A-Za-z_][\w.$/@-]{0,60}(?:\[[^\[\]]{0,30}\]|\([^()]{0,30}\))?\s{0,20}: ")
_STARTS_DIGITS = re.compile(r"\s*(?:\d+\s+)+")
_COLUMN_START = re.compile(r"\S+\s+")


class TextReader:
    """Reads any line that has a header in text, and any that has none."""

    def __init__(self, reference: datetime | None = None, habits: Habits | None = None, name: str = "text") -> None:
        self.name = name
        self.habits = habits or Habits()
        self._clock = Clock(reference)
        self._lead_clock = Clock(reference)
        self._rule = re.compile(_RULE).match
        self._box = re.compile(_BOX).match
        self._number = re.compile(_NUMBER).match
        self._word = re.compile(_WORD).match
        self._tag = re.compile(_TAG).match
        self._host_tag = re.compile(_HOST_TAG).match
        self._host = re.compile(_HOST).match
        self._rfc5424 = re.compile(_RFC5424).match
        self._priority = re.compile(_PRIORITY).match
        self._prefix_level = re.compile(_PREFIX_LEVEL).match
        self._redis = re.compile(_REDIS).match
        self._uptime = re.compile(_UPTIME).match
        self._logger_end = re.compile(_LOGGER_END).match
        self._process = re.compile(_PROCESS).match
        self._connection = re.compile(_CONNECTION).match

    def reset(self) -> None:
        pass

    def read(self, text: str) -> Fields:
        header = self.header(text)
        if header is None:
            return Fields(message=text, start=not (self.habits.headed and text[:1] in (" ", "\t", "}", "]", ")")))
        return Fields(
            message=text[header.end :].strip() or text,
            time=header.moment.at if header.moment is not None else None,
            level=header.level,
            source=header.source,
        )

    def header(self, text: str) -> Header | None:
        """The header of a line, None where it has none."""
        if not text or text[0] in " \t":
            return None
        first = text[0]
        if first == "<":
            return self._with_priority(text)
        level: Level | None = None
        source: str | None = None
        position = 0
        rails = False
        if first.isalpha() or first == "[":
            prefix = self._prefix_level(text, 0, _HEADER)
            if prefix is not None and (found := _prefixed_level(prefix)) is not None:
                level, position = found, prefix.end()
                source = prefix["logger"] or prefix["tag"]
                rails = prefix["rails"] is not None
            elif first == "[" and (uptime := self._uptime(text)) is not None:
                return Header(end=uptime.end())
        elif first.isdigit() and (redis := self._redis(text)) is not None:
            moment = self._clock.at(text, redis.end())
            if moment is not None and text[moment.end + 1 : moment.end + 2] in _REDIS_MARKS:
                return Header(end=moment.end + 2, moment=moment, level=_REDIS_MARKS[text[moment.end + 1]])
        found_time = self._time(text, position)
        if found_time is None:
            if level is None:
                return None
            return Header(end=position, level=level, source=source)
        moment, year_less = found_time
        if level is None and (year_less or self.habits.host):
            program = self._program(text, moment.end, year_less)
            if program is not None:
                return replace(program, moment=moment)
        # Ruby's Logger says the level twice: a letter before the time, and the word after the process.
        columns = self._columns(text, moment.end, None if rails else level)
        return Header(end=columns.end, moment=moment, level=columns.level or level, source=source or columns.source)

    def _time(self, text: str, position: int) -> tuple[Moment, bool] | None:
        """The header's time, and whether it is of the form that syslog has, without a year."""
        start = position
        if self.habits.lead and position == 0:
            columns = column_starts(text, self.habits.lead)
            if len(columns) > self.habits.lead:
                moment = self._clock.at(text, columns[self.habits.lead])
                if moment is not None:
                    dated = self._first_time(text, columns)
                    return Moment(moment.end, dated or moment.at), text[columns[self.habits.lead]].isalpha()
        if text[start : start + 1] in ("[", "("):
            start += 1
        moment = self._clock.at(text, start)
        if moment is None:
            return None
        if text[moment.end : moment.end + 1] not in ("", " ", "\t", "]", ")", ",", ":", "|", "[", "-"):
            return None
        return moment, start == position and text[start].isalpha() and text[moment.end - 5 : moment.end - 4] != " "

    def _first_time(self, text: str, columns: Sequence[int]) -> datetime | None:
        for column in columns[:-1]:
            earlier = self._lead_clock.at(text, column)
            if earlier is not None and earlier.at is not None:
                return earlier.at
        return None

    def _with_priority(self, text: str) -> Header | None:
        modern = self._rfc5424(text)
        if modern is not None:
            source = modern["app"] if modern["app"] != "-" else None
            return Header(
                end=modern.end(),
                moment=self._clock.at(modern["time"]),
                level=SYSLOG_LEVELS[int(modern["priority"]) % 8],
                source=source,
            )
        priority = self._priority(text)
        if priority is None or int(priority["priority"]) > 191:
            return None
        level = SYSLOG_LEVELS[int(priority["priority"]) % 8]
        position = priority.end()
        moment = self._clock.at(text, position)
        if moment is None:
            return Header(end=position, level=level)
        program = self._program(text, moment.end, True)
        if program is not None:
            return replace(program, moment=moment, level=level)
        return Header(end=moment.end, moment=moment, level=level)

    def _program(self, text: str, position: int, year_less: bool) -> Header | None:
        """`host program[pid]:` after a time, as syslog has it."""
        position = _skip(text, position)
        word = self._word(text, position, _HEADER)
        if word is None or word[0].rstrip(":").lower() in LEVELS:
            return None
        tag = self._tag(text, position)
        if tag is not None:
            return Header(end=_skip(text, tag.end()), source=tag["tag"])
        both = self._host_tag(text, position, position + _HEADER)
        if both is not None:
            end = _skip(text, both.end())
            source = both["process"] or both["program"]
            if source == "kernel" and (uptime := self._uptime(text, end)) is not None:
                end = uptime.end()
            return Header(end=end, source=source)
        if self.habits.host and (host := self._host(text, position)) is not None:
            return Header(end=_skip(text, host.end()))
        return None

    def _columns(self, text: str, position: int, level: Level | None) -> Header:
        """The columns after a time. Those before a level count only if it comes; `settled` is what surely does."""
        limit = min(len(text), position + _HEADER)
        settled = position
        source: str | None = None
        candidate: str | None = None
        boxes = names = numbers = 0
        boxed_after = piped = lettered = False
        for _ in range(_MAX_COLUMNS):
            gap, position = position, _skip(text, position)
            gap = position - gap
            if position >= limit:
                break
            first = text[position]
            if first in _RULES:
                rule = self._rule(text, position, limit)
                if rule is None:
                    break
                position = rule.end()
                piped = piped or (rule[0] == "|" and names == numbers == boxes == 0)
                if level is not None or candidate is None or (piped and rule[0] == "|"):
                    settled = position
                    source = source or (candidate if piped else None)
                if level is not None and (source is not None or boxed_after) and rule[0] not in ",|])":
                    break
                continue
            if first in "[(<{":
                box = self._box(text, position, limit)
                if box is None:
                    break
                inner = box[1].strip()
                position = box.end()
                if level is None and (found := _level_within(inner)) is not None:
                    level, name = found
                    source, settled, boxes = name or source or candidate, position, 0
                    continue
                if source is not None and first == "(" and _CALLER.fullmatch(inner) is not None:
                    settled = position
                    continue
                if first in "({" or boxes == 3:
                    break
                boxes += 1
                if level is not None and source is not None and candidate is None:
                    settled = position
                    break
                plain = " " not in inner or inner.startswith(("pid ", "req-"))
                if plain:
                    boxed_after = level is not None
                    if any(map(str.isalpha, inner)):
                        candidate = candidate or inner
                if plain and (level is not None or boxes <= 2):
                    settled = position
                continue
            if first in "#0123456789":
                number = self._number(text, position, limit)
                if number is not None:
                    if level is None:
                        numbers += 1
                        position = number.end()
                        if numbers <= self.habits.numbers:
                            settled = position
                        continue
                    if text.startswith(" --- ", number.end()):
                        position = settled = number.end() + 5
                        continue
                    if (connection := self._connection(text, position)) is not None:
                        settled = connection.end()
                    break
            word = self._word(text, position, limit)
            if word is None:
                break
            token, end = word[0], word.end()
            if level is None:
                found_level = self._level_word(token, text, end)
                if found_level is not None:
                    level, name, end = found_level
                    lettered = len(token) == 1
                    source = name or candidate
                    candidate = None
                    settled = position = position + end
                    continue
                tag = self._tag(text, position)
                if tag is not None:
                    return Header(end=tag.end(), source=tag["tag"])
                if _CALLER.fullmatch(token) is not None and token[-1] == ":":
                    return Header(end=end, source=token[:-1])
                if names == 3 or not _column_like(token, text, end):
                    if names == numbers == 0 and self.habits.tag and token[-1] == ":":
                        return Header(end=end, source=token[:-1])
                    break
                if names == 0 and numbers == 0 and text.startswith(" - ", end):
                    settled, source = end + 3, token
                names += 1
                candidate = token.rstrip(":")
                position = end
                continue
            logger = (end, True) if lettered and token[-1] == ":" else self._logger(token, text, end)
            if logger is None:
                if boxed_after and source is None and token.count(".") >= 2 and _DOTTED.fullmatch(token) is not None:
                    settled, source = end, token
                break
            settled, ends = logger
            source = token.rstrip(":")
            position = settled
            candidate = None
            if ends:
                break
        if level is not None and source is None:
            source = candidate
        return Header(end=settled, level=level, source=source)

    def _level_word(self, token: str, text: str, end: int) -> tuple[Level, str | None, int] | None:
        """The level, a name glued to it (`INFO/Worker`), and how many characters of the token they take."""
        bare = token.rstrip(":")
        level = LEVELS.get(bare.lower())
        if level is None:
            word, slash, name = bare.partition("/")
            level = LEVELS.get(word.lower()) if slash and word.isupper() else None
            if level is None:
                if bare[-1:].isdigit() and bare.rstrip("12345") == "DEBUG":
                    return Level.DEBUG, None, len(token)
                return None
            if "(" in name and (process := self._process(text, end - len(token) + token.index("("))) is not None:
                return level, name.partition("(")[0], process.end() - end + len(token)
            return level, name, len(token)
        following = text[end : end + 2]
        if bare.isupper():
            sure = len(bare) > 2 or following[:1] in ("", " ", "\t", "|")
        else:
            sure = (
                self.habits.plain_level
                or token[-1] == ":"
                or following[:1] in (",", "|", "\t", "]")
                or following in ("  ", " [", " |", " -")
            )
        return (level, None, len(token)) if sure else None

    def _logger(self, token: str, text: str, end: int) -> tuple[int, bool] | None:
        """Where a logger's column ends, and whether the header ends with it; None where the token is none."""
        if token[-1] == ":":
            name = token[:-1]
            if self.habits.tag or _DOTTED.fullmatch(name) is not None or _CALLER.fullmatch(name) is not None:
                return end, True
            return None
        if _NAME.match(token) is None:
            return None
        closing = self._logger_end(text, end)
        if closing is not None:
            return closing.end(), True
        if _CALLER.fullmatch(token) is not None:
            return end, False
        following = text[end : end + 2]
        if _DOTTED.fullmatch(token) is not None and (
            self.habits.dotted or following in (" [", " (", "  ") or following[:1] in ("\t", "|", "[")
        ):
            return end, False
        if following[:1] == "]" and following != "]:":
            return end + 1, True
        if following[:1] == "|" or (following == "  " and token.isupper()):
            return end, text[end : end + 1] != "|" and not text[end:].lstrip().startswith("[")
        return None


def column_starts(text: str, count: int) -> list[int]:
    """Where the first `count` + 1 columns between blanks begin; fewer where there are fewer."""
    starts = [0]
    position = 0
    for _ in range(count):
        column = _COLUMN_START.match(text, position, _HEADER)
        if column is None:
            break
        position = column.end()
        starts.append(position)
    return starts


def learn(sample: Sequence[str], reference: datetime | None = None) -> Habits:
    """What most lines of a sample do, where their forms alone leave a choice."""
    lines = [text for text in sample if text and not text[0].isspace()]
    if len(lines) < 5:
        return Habits()
    habits = Habits(lead=_lead(lines, reference))
    reader = TextReader(reference, habits)
    headers = [(text, header) for text in lines if (header := reader.header(text)) is not None]
    timed = [(text, header) for text, header in headers if header.moment is not None]
    bare = [text[header.end :].lstrip() for text, header in timed if header.level is None and header.source is None]
    if _most(bare, len(timed), lambda rest: rest.partition(" ")[0].lower() in LEVELS):
        return learn_more(lines, reference, replace(habits, plain_level=True, headed=_headed(sample, timed)))
    return learn_more(
        lines,
        reference,
        replace(
            habits,
            numbers=1 if _most(bare, len(timed), lambda rest: _STARTS_DIGITS.match(rest) is not None) else 0,
            headed=_headed(sample, timed),
            host=_syslog_like(reader, timed),
        ),
    )


def learn_more(lines: Sequence[str], reference: datetime | None, habits: Habits) -> Habits:
    """Loggers, which only show once it is known where the level ends."""
    reader = TextReader(reference, habits)
    headers = [(text, header) for text in lines if (header := reader.header(text)) is not None]
    unnamed = [text[header.end :] for text, header in headers if header.moment is not None and header.source is None]
    levelled = sum(header.level is not None for _, header in headers)
    if levelled * 2 < len(headers):
        return habits
    if _most(unnamed, levelled, lambda rest: _LOGGER_COLON.match(rest) is not None):
        return replace(habits, tag=True)
    if _most(
        unnamed, levelled, lambda rest: _DOTTED.fullmatch(rest.split(None, 1)[0] if rest.strip() else "") is not None
    ):
        return replace(habits, dotted=True)
    return habits


def _most(candidates: Sequence[str], of: int, holds: Callable[[str], bool]) -> bool:
    return (
        len(candidates) >= 5 and len(candidates) * 2 >= of and sum(map(holds, candidates)) * 10 >= len(candidates) * 9
    )


def _headed(sample: Sequence[str], timed: Sequence[object]) -> bool:
    filled = sum(bool(text.strip()) for text in sample)
    return len(timed) * 5 >= filled * 2


def _syslog_like(reader: TextReader, timed: Sequence[tuple[str, Header]]) -> bool:
    """Most lines have a host and a program after the time, so that a line without a program still has a host."""
    programs = 0
    for text, header in timed:
        assert header.moment is not None
        rest = _skip(text, header.moment.end)
        match = reader._host_tag(text, rest, rest + _HEADER)
        programs += match is not None and match["host"].lower() not in LEVELS
    return len(timed) >= 5 and programs * 10 >= len(timed) * 7


def _lead(lines: Sequence[str], reference: datetime | None) -> int:
    """The last of the first columns at which nearly every line has a time; 0 where that is the first."""
    clock = Clock(reference)
    support = [0] * (_MAX_LEAD + 1)
    for text in lines:
        covered = 0
        for index, start in enumerate(column_starts(text, _MAX_LEAD)):
            begin = start + 1 if text[start : start + 1] in ("[", "(") else start
            moment = clock.at(text, begin) if start >= covered else None
            if moment is not None:
                covered = moment.end
                support[index] += text[covered : covered + 1] in ("", " ", "\t")
    return max((index for index, lines_with in enumerate(support) if lines_with * 10 >= len(lines) * 9), default=0)


def _skip(text: str, position: int) -> int:
    """The position of the next character that is no blank."""
    while text[position : position + 1] in (" ", "\t"):
        position += 1
    return position


def _prefixed_level(prefix: re.Match[str]) -> Level | None:
    word = prefix["boxed"] or prefix["rails"] or prefix["colon"] or prefix["logcat"]
    return LEVELS.get(word.lower())


def _level_within(inner: str) -> tuple[Level, str | None] | None:
    """The level in brackets: `ERROR`, `core:error`, `error core`."""
    level = LEVELS.get(inner.lower()) if len(inner) > 1 or inner.isupper() else None
    if level is not None:
        return level, None
    name, colon, word = inner.rpartition(":")
    if colon and (level := LEVELS.get(word.lower())) is not None and len(word) > 2:
        return level, name
    return None


def _column_like(token: str, text: str, end: int) -> bool:
    """Whether a token looks like an entry of a column rather than a word of a sentence."""
    if token[-1] in ".!?;\"'":
        return False
    if text.startswith(" - ", end) or text[end : end + 1] == "|":
        return True
    if _NAME.fullmatch(token) is None:
        return False
    return not token.isalpha() or (token.isupper() and len(token) > 1)
