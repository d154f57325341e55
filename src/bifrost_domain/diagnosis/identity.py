"""What makes an incident the one it is: its first cause, and the names that tell it from others of its sort.

Where a cause is known, no part counts or orders what the whole log says: unrelated lines would shift it.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import islice
from typing import Any

import re2

from bifrost_domain.diagnosis.observing import CARET_ESCAPE, SEARCHED_CHARACTERS, Hit, Observations
from bifrost_domain.diagnosis.reasoning import LOCAL, LOUD, Candidate, Finding
from bifrost_domain.diagnosis.signature import MarkKind, Role
from bifrost_domain.logs.blocks import is_frame
from bifrost_domain.logs.fingerprint import masked
from bifrost_domain.logs.lines import Line
from bifrost_domain.report import Category

STATEMENT = 4
"""Lines of the original within which the statement stands that a database's message is about."""
LAST_WORDS = 5
"""Where no cause is known, so many last lines before a command gave up name the incident."""
FIRST_FINDINGS = 5
"""Of what a tool objects to, so many of the first name the incident: what comes after often follows from them."""

_WRAPPERS = (
    "npm ERR!",
    "npm error",
    "make:",
    "make[",
    "gmake",
    "error Command failed",
    "##[",
    "travis_",
    "section_",
    "$ ",
    "> ",
)
"""How tools that only started another one report that it failed, what runners print about
themselves, and the echo of commands: these name where a log was written rather than what it tells."""
_REQUEST = ", client: "
"""Here nginx's messages end and what they were about begins (`ngx_http_log_error`): the next request is another."""


def identify(lines: Sequence[Line], observations: Observations, finding: Finding) -> tuple[str, ...]:
    """The parts to take a fingerprint of: the sort of failure first, then what names this one of them.

    `lines` have to be those of a digest whose size does not depend on the user's budget. A log without a failure is
    named by what it mostly says, one with a failure but no known cause by the last words of the command that gave up,
    else by the error that was told most often.
    """
    reader = _Reader(lines, observations)
    if finding.cause is not None:
        return reader.caused(finding, finding.cause)
    return (str(finding.category), *(reader.unexplained() if finding.failed else reader.common(lines)))


@cache
def _exception_name() -> Any:
    return re2.compile(r"\b([A-Z]\w*(?:Error|Exception|Warning|Failure))\b")


class _Reader:
    """The lines of one digest, and what the catalogue saw in them."""

    def __init__(self, lines: Sequence[Line], observations: Observations) -> None:
        self._lines = lines
        self._observations = observations

    def caused(self, finding: Finding, cause: Candidate) -> tuple[str, ...]:
        """The parts of a known cause: of what lies beneath where that is what the report is about."""
        if finding.underlying is not None and finding.overruled:
            cause = finding.underlying
        told, hits = self._told(cause)
        if cause.signature.role is Role.CAUSE:
            subject = min((hit.groups.get("subject", "") for hit in hits), default="")
            parts = [told, *self._statement(hits), *([subject] if subject not in told else [])]
        elif cause.signature.category is Category.TEST_FAILURE and (tests := self._tests()):
            parts = [*tests, *self._exceptions()]
        elif cause.signature.role is Role.VERDICT:
            first = dict.fromkeys(self._said(hit.index) for hit in cause.hits)
            parts = [*islice(first, FIRST_FINDINGS), *self._findings(cause)]
        else:
            pipeline = self._observations.pipeline
            parts = [told, *((self._findings(cause) or self._before(hits[0].index)) if pipeline else ())]
        return (cause.signature.name, *parts)

    def unexplained(self) -> tuple[str, ...]:
        """The parts of a failure that nothing explains."""
        exits = [note.index for note in self._observations.noted(MarkKind.EXIT)]
        if self._observations.pipeline and exits:
            return (self._said(exits[0]), *self._before(exits[0]))
        errors = [
            line
            for index, line in enumerate(self._lines)
            if line.level in LOUD and index not in exits and not self._wraps(index)
        ]
        return self.common(errors) or tuple(self._said(index) for index in exits[:1])

    def common(self, lines: Iterable[Line]) -> tuple[str, ...]:
        """What most of `lines` say, but for what varies; nothing where there are none."""
        counts: Counter[str] = Counter()
        for line in lines:
            counts[masked(line.message)] += line.count
        return tuple(text for text, _ in sorted(counts.items(), key=lambda it: (-it[1], it[0]))[:1])

    def _said(self, index: int) -> str:
        """What a line says, without the fields that a logger puts after it; with the next line where it ends open."""
        line = self._lines[index]
        text = CARET_ESCAPE.sub("", line.message[:SEARCHED_CHARACTERS]).strip()
        text = text.partition(_REQUEST)[0]
        following = self._lines[index + 1] if index + 1 < len(self._lines) else None
        if text.endswith(":") and following is not None and _place(following) == (line.file, line.number + 1):
            text += " " + CARET_ESCAPE.sub("", following.message[:SEARCHED_CHARACTERS]).strip()
        return text

    def _before(self, index: int) -> list[str]:
        """The last words before a command gave up, and the last of them that is loud."""
        file, end = _place(self._lines[index])
        own = [it for it in range(index - 1, -1, -1) if self._lines[it].file == file and not self._wraps(it)]
        loud = [it for it in own if self._lines[it].level in LOUD and end - self._lines[it].number <= LOCAL]
        return list(dict.fromkeys(self._said(place) for place in (*own[:LAST_WORDS], *loud[:1])))

    def _wraps(self, index: int) -> bool:
        text = self._said(index)
        return not any(map(str.isalpha, text)) or text.startswith(_WRAPPERS) or is_frame(text)

    def _told(self, cause: Candidate) -> tuple[str, tuple[Hit, ...]]:
        """What the lines of a cause say, the loud ones where there are any, and which of its hits say it.

        Of several sayings it is the least as text, not the first: of lines that are alike a digest shows some, and
        which of them depends on all that it shows.
        """
        saying: dict[str, list[Hit]] = {}
        for hit in [hit for hit in cause.hits if self._lines[hit.index].level in LOUD] or cause.hits:
            saying.setdefault(masked(self._said(hit.index)), []).append(hit)
        hits = saying[min(saying)]
        return self._said(hits[0].index), tuple(hits)

    def _statement(self, hits: Iterable[Hit]) -> list[str]:
        """The statement that a database's message is about, the least as text where there are several."""
        details = {_place(self._lines[note.index]): note.index for note in self._observations.noted(MarkKind.DETAIL)}
        found = [
            self._said(details[place])
            for file, number in (_place(self._lines[hit.index]) for hit in hits)
            for step in range(1, STATEMENT + 1)
            if (place := (file, number + step)) in details
        ]
        return sorted(found, key=masked)[:1]

    def _tests(self) -> list[str]:
        return sorted({note.groups["test"].strip() for note in self._observations.noted(MarkKind.TEST)})

    def _exceptions(self) -> list[str]:
        """The sorts of exceptions that the failed tests ended with."""
        found = (
            match[1]
            for note in self._observations.noted(MarkKind.FINDING)
            if (match := _exception_name().search(self._said(note.index))) is not None
        )
        return sorted(set(found))

    def _findings(self, cause: Candidate) -> list[str]:
        """What a tool objected to first, in the surroundings of its verdict."""
        places = sorted(_place(self._lines[hit.index]) for hit in cause.hits)

        def near(line: Line) -> bool:
            file, number = _place(line)
            next_one = bisect_left(places, (file, number - LOCAL))
            return next_one < len(places) and places[next_one] <= (file, number + LOCAL)

        found = (note.index for note in self._observations.noted(MarkKind.FINDING))
        said = dict.fromkeys(self._said(index) for index in found if near(self._lines[index]))
        return list(islice(said, FIRST_FINDINGS))


def _place(line: Line) -> tuple[str, int]:
    return line.file, line.number
