"""Secrets on a line behind the one that names them: a prompt and its answer, a name and its value, a table's column."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from bifrost_domain.logs.redaction.contexts import PASSWORD_WORDS, SENSITIVE_WORDS, Finding, compiled
from bifrost_domain.logs.redaction.values import is_made_up, is_placeholder, is_random, value_at

_NAME_LINE = rf"(?:^|[{{,\s\"'\\-])(?:name|key|variable|env)\\*[\"']?[ \t]*[:=][ \t]*\\*[\"']?[\w.-]*{SENSITIVE_WORDS}\w*\\*[\"']?,?[ \t]*\r?$"
_PROMPT_LINE = rf"{PASSWORD_WORDS}[^\n:]{{0,80}}:[ \t]*\r?$"
_CHALLENGE = b"UGFzc3dvcmQ6"
"""`Password:` in base64, as SMTP's AUTH LOGIN asks."""
_CHALLENGE_LINE = rf"\b334[ \t]+{_CHALLENGE.decode()}[ \t]*\r?$"
_COLUMN = rf"[ \t]*[\"']?[\w.-]*{SENSITIVE_WORDS}[\w.-]*[\"']?[ \t]*"
_HEADER_LINE = rf"^[ \t\"']*\w[\w .\"'-]*[,;|\t](?:[\w .,;|\t\"'-]*[,;|\t])?{_COLUMN}(?:[,;|\t][\w .,;|\t\"'-]*)?\r?$|^{_COLUMN}[,;|\t][\w .,;|\t\"'-]*\r?$"

_VALUE = re.compile(rb"[ \t-]*\\*[\"']?value\\*[\"']?[ \t]*[:=][ \t]*")
_FIELDS = {
    separator: re.compile(rb'[ \t]*("(?:[^"\n]|"")*"|[^%s\n]*)(%s|$)' % (re.escape(separator), re.escape(separator)))
    for separator in (b",", b";", b"|", b"\t")
}
_RULE = re.compile(rb"[ \t|+=-]+")
_SHELL_PREFIX = re.compile(rb"(?:\w{2,12}:[ \t]*)?[<>][ \t]+")
_PATIENCE = 2


@cache
def _openings() -> Any:
    return compiled(f"(?im){_NAME_LINE}|{_PROMPT_LINE}|{_CHALLENGE_LINE}|{_HEADER_LINE}")


@cache
def _sensitive() -> Any:
    return compiled(f"(?i){SENSITIVE_WORDS}")


class Following:
    """The state between the lines of one file: what the next one may hold."""

    __slots__ = ("_asked", "_columns", "_count", "_separator", "_wait")

    def __init__(self) -> None:
        self._wait = 0
        self._asked = False
        self._separator = b""
        self._columns: frozenset[int] = frozenset()
        self._count = 0

    @property
    def open(self) -> bool:
        return bool(self._wait or self._columns)

    def begins_in(self, data: bytes) -> bool:
        """Whether a line of `data` opens something."""
        return _openings().search(data) is not None

    def findings(self, lines: Sequence[bytes]) -> Iterator[tuple[int, Finding]]:
        """The secrets on consecutive lines, whose placeholders are blanked, with the index of the line."""
        openings = _opening_lines(b"\n".join(lines))
        if not openings and not self.open:
            return
        for index, line in enumerate(lines):
            if self._columns:
                for found in self._row(line):
                    yield index, found
            if self._wait:
                if line.strip():
                    self._wait = 0
                    if (found_here := _answer(line, self._asked)) is not None:
                        yield index, found_here
                else:
                    self._wait -= 1
            if index in openings:
                self._expect(line)

    def _expect(self, line: bytes) -> None:
        for separator in _FIELDS:
            fields = _split(line, separator)
            telling = frozenset(
                place
                for place, (start, end) in enumerate(fields)
                if _sensitive().search(line, start, end) and b" " not in line[start:end].strip()
            )
            if len(fields) > 1 and telling and not any(b":" in line[start:end] for start, end in fields):
                self._separator, self._columns, self._count = separator, telling, len(fields)
                return
        self._wait = _PATIENCE
        self._asked = _CHALLENGE in line

    def _row(self, line: bytes) -> Iterator[Finding]:
        if _RULE.fullmatch(line):
            return
        fields = _split(line, self._separator)
        if len(fields) != self._count:
            self._columns = frozenset()
            return
        for place in self._columns:
            start, end = fields[place]
            text = line[start:end]
            if not is_placeholder(text) and len(text) >= 4 and (is_made_up(text) or is_random(text, least=6)):
                yield Finding(start, end, "password")


def _opening_lines(data: bytes) -> set[int]:
    found: set[int] = set()
    index = position = 0
    while (match := _openings().search(data, position)) is not None:
        end = data.find(b"\n", match.end())
        index += data.count(b"\n", position, match.end())
        found.add(index)
        if end < 0:
            break
        index += 1
        position = end + 1
    return found


def _split(line: bytes, separator: bytes) -> list[tuple[int, int]]:
    """Where the fields of a row begin and end, without their quotes."""
    fields: list[tuple[int, int]] = []
    position = 0
    while field := _FIELDS[separator].match(line, position):
        start, end = field.span(1)
        while end > start and line[end - 1 : end] in b" \t\r":
            end -= 1
        if end - start >= 2 and line[start : start + 1] == b'"' == line[end - 1 : end]:
            start, end = start + 1, end - 1
        fields.append((start, end))
        if not field[2]:
            break
        position = field.end()
    return fields


def _answer(line: bytes, asked: bool) -> Finding | None:
    """A value alone on its line, or behind `value:`; where a protocol `asked`, whatever it looks like."""
    if named := _VALUE.match(line):
        value = value_at(line, named.end())
        text = line[value.start : value.end]
        return None if is_placeholder(text) or len(text) < 3 else Finding(value.start, value.end, "password")
    prefix = _SHELL_PREFIX.match(line)
    start = prefix.end() if prefix else 0
    text = line[start:].strip()
    start = line.index(text, start)
    if b" " in text or b"\t" in text or not 4 <= len(text) <= 256 or is_placeholder(text):
        return None
    if asked or is_made_up(text) or is_random(text, least=6):
        return Finding(start, start + len(text), "password")
    return None
