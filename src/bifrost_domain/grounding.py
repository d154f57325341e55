"""Whether what a model says stands in the log: claims go in, only what code found comes out."""

from collections.abc import Iterable, Sequence

import msgspec
import re2
from msgspec import Struct

from bifrost_domain.errors import BadAnswer
from bifrost_domain.logs.cleaning import safe
from bifrost_domain.logs.digest import Digest
from bifrost_domain.logs.lines import Line
from bifrost_domain.logs.templates import mask
from bifrost_domain.report import (
    Action,
    Category,
    Evidence,
    Grounding,
    Report,
    Severity,
    TimelineEntry,
)

LEAST_QUOTE = 6
"""A quote of fewer characters than this proves nothing unless it is the whole line."""
UNGROUNDED_CONFIDENCE = 0.3
"""The most confidence a report may claim of which no quote was found."""

_NUMBERED = re2.compile(r"^\s*\d+: ")
_CUT = re2.compile(r" ?\.\.\.\[\d+ characters\]\.\.\. ?| ?\[x\d+\]\s*$")
_DANGEROUS = re2.compile(
    r"(?i)https?://|\|\s*(?:sudo\s+)?(?:ba|z|da|k|fi)?sh\b|\|\s*(?:python|perl|ruby|node)\d?\b|\brm\s+-\w*[rf]|\bmkfs"
    r"|\bdd\s.*\bof=|>\s*/dev/(?:sd|nvme|vd|xvd)|\bshutdown\b|\breboot\b|\bhalt\b|\bdrop\s+(?:table|database|schema)\b"
    r"|\btruncate\s+table\b|\bdelete\s+from\b|\bchmod\s+(?:-R\s+)?[0-7]*777\b|\beval\b|\bbase64\s+-d|\bnc\s+-\w*e"
    r"|\bkubectl\s+delete\b|\bflushall\b|\bgit\s+push\s+.*--?f|:\(\)\s*\{|`|\$\("
)


class Claim(Struct, kw_only=True):
    """Evidence as a model states it; nothing of it is believed yet."""

    quote: str
    reason: str = ""
    file: str | None = None
    line: int | None = None
    line_start: int | None = None
    line_end: int | None = None


class Moment(Struct, kw_only=True):
    line: int
    event: str
    at: str | None = None


class Suggestion(Struct, kw_only=True):
    title: str
    command: str | None = None
    why: str | None = ""


class Answer(Struct, kw_only=True):
    """The model's JSON object, after `prompt.ANSWER_SCHEMA`; lists may be missing, enumerations may not be off."""

    severity: Severity
    category: Category
    summary: str
    root_cause: str
    confidence: float
    files: list[str] = []
    tests: list[str] = []
    evidence: list[Claim] = []
    actions: list[Suggestion] = []
    timeline: list[Moment] = []


class Grounded(Struct, frozen=True, kw_only=True):
    report: Report
    grounding: Grounding


def parse(text: str) -> Answer:
    """The answer in `text`, which may be wrapped in a code fence or follow some thinking. Raises BadAnswer."""
    start, end = text.find("{"), text.rfind("}")
    after = text.rfind("</think>")
    if after >= 0:
        start = text.find("{", after)
    if start < 0 or end < start:
        raise BadAnswer("there is no JSON object in it")
    try:
        answer = msgspec.json.decode(text[start : end + 1].encode(), type=Answer)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise BadAnswer(f"it does not meet the schema: {error}") from error
    except RecursionError as error:
        raise BadAnswer("it is nested too deeply") from error
    if not 0 <= answer.confidence <= 1:
        raise BadAnswer("it does not meet the schema: confidence is not between 0 and 1")
    if not answer.summary.strip() or not answer.root_cause.strip():
        raise BadAnswer("it does not meet the schema: summary and root_cause must not be empty")
    return answer


def ground(answer: Answer, digest: Digest, offline: Report) -> Grounded:
    """The report that is left of `answer` when all that `digest` does not bear out is struck.

    `offline` is the heuristic analyst's report on the same log: its severity is a floor, and it fills in where the
    answer leaves evidence or actions out (each item so taken says so in its reason).
    """
    index = Index(digest.lines)
    found: list[Evidence] = []
    for claim in answer.evidence:
        evidence = index.locate(claim)
        if evidence is not None and evidence not in found:
            found.append(evidence)
    verified = len(found)
    confidence = answer.confidence
    if not found:
        found = list(offline.evidence)
        confidence = min(confidence, UNGROUNDED_CONFIDENCE)
    actions = tuple(
        Action(title=safe(item.title), command=_harmless(item.command), why=safe(item.why or ""))
        for item in answer.actions
        if item.title.strip()
    )
    failing = offline.severity >= Severity.ERROR
    category = answer.category
    if category in (Category.NONE, Category.UNKNOWN) and failing and offline.category is not Category.UNKNOWN:
        category = offline.category
    return Grounded(
        report=Report(
            severity=max(answer.severity, offline.severity, key=lambda severity: severity.rank),
            category=category,
            summary=safe(answer.summary.strip()),
            root_cause=safe(answer.root_cause.strip()),
            confidence=round(confidence, 2),
            files=index.mentioned(answer.files) or offline.files,
            tests=index.mentioned(answer.tests) or offline.tests,
            evidence=tuple(found),
            actions=actions or offline.actions,
            timeline=index.moments(answer.timeline) or offline.timeline,
        ),
        grounding=Grounding(claims=len(answer.evidence), verified=verified),
    )


def reground(report: Report, timeline_quotes: Sequence[str], digest: Digest) -> Grounded | None:
    """A cached report carried over to `digest`: every quote is looked up again by its masked form.

    Line numbers, quotes and times become the present input's. None where fewer than half of the quotes are found.
    """
    index = MaskedIndex(digest.lines)
    found = [
        Evidence(
            file=lines[0].file,
            line_start=lines[0].number,
            line_end=lines[-1].number,
            quote="\n".join(line.text for line in lines),
            reason=item.reason,
            verified=True,
        )
        for item in report.evidence
        if (lines := index.find(item.quote))
    ]
    if len(found) * 2 < len(report.evidence):
        return None
    timeline = [
        TimelineEntry(at=_moment(lines[0]), line=lines[0].number, event=entry.event)
        for entry, quote in zip(report.timeline, timeline_quotes, strict=False)
        if (lines := index.find(quote))
    ]
    return Grounded(
        report=msgspec.structs.replace(report, evidence=tuple(found), timeline=tuple(timeline)),
        grounding=Grounding(claims=len(report.evidence), verified=len(found)),
    )


def quotes_of(timeline: Iterable[TimelineEntry], digest: Digest) -> tuple[str, ...]:
    """The text behind each entry of a timeline, so that a cached report can find it again elsewhere."""
    texts = {line.number: line.text for line in reversed(digest.lines)}
    return tuple(texts.get(entry.line, "") for entry in timeline)


class Index:
    """The lines that a model was shown, to look quotes up in. A quote is compared with its white space folded."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._folded = [_fold(line.text) for line in lines]
        self._text = "\n".join(self._folded)

    def locate(self, claim: Claim) -> Evidence | None:
        """The claim at the line where its quote stands, the one nearest to where it was claimed. None: nowhere."""
        parts = [part for row in claim.quote.split("\n") if (part := _fold(_NUMBERED.sub("", row)))]
        if not parts:
            return None
        claimed = claim.line or claim.line_start or 0
        places = [place for place in range(len(self._lines)) if self._matches(place, parts)]
        named = [place for place in places if self._lines[place].file == claim.file]
        if not (places := named or places):
            return None
        place = min(places, key=lambda at: abs(self._lines[at].number - claimed))
        first, last = self._lines[place], self._lines[place + len(parts) - 1]
        quote = safe(claim.quote) if len(parts) == 1 else ""
        verbatim = quote if quote and quote in first.text else ""
        return Evidence(
            file=first.file,
            line_start=first.number,
            line_end=last.number,
            quote=verbatim or "\n".join(line.text for line in self._lines[place : place + len(parts)]),
            reason=safe(claim.reason.strip()),
            verified=True,
        )

    def _matches(self, place: int, parts: list[str]) -> bool:
        """Whether `parts` stand in the lines from `place` on, one each, without a gap in the numbering."""
        if place + len(parts) > len(self._lines):
            return False
        for offset, part in enumerate(parts):
            line, folded = self._lines[place + offset], self._folded[place + offset]
            first = self._lines[place]
            if line.file != first.file or line.number != first.number + offset:
                return False
            if not _contains(folded, part):
                return False
        return True

    def mentioned(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of `names` that occur in the lines, cleaned, each once."""
        kept = dict.fromkeys(safe(name.strip()) for name in names)
        return tuple(name for name in kept if len(name) > 1 and _fold(name) in self._text)

    def moments(self, moments: Iterable[Moment]) -> tuple[TimelineEntry, ...]:
        """Those entries whose line was shown, in the order of the log, with the line's own time."""
        lines = {line.number: line for line in reversed(self._lines)}
        entries = [
            TimelineEntry(at=_moment(lines[moment.line]), line=moment.line, event=safe(moment.event))
            for moment in moments
            if moment.line in lines and moment.event.strip()
        ]
        return tuple(sorted(entries, key=lambda entry: entry.line))


class MaskedIndex:
    """The lines by their masked form, in which times, ids and counters of another run look alike."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines
        self._masked = [mask(line.text) for line in lines]
        self._places: dict[str, list[int]] = {}
        for place, text in enumerate(self._masked):
            self._places.setdefault(text, []).append(place)

    def find(self, quote: str) -> Sequence[Line]:
        """The consecutive lines that are `quote` but for variable parts; empty where there are none."""
        parts = [mask(row) for row in quote.split("\n") if row.strip()]
        if not parts:
            return ()
        candidates = self._places.get(parts[0]) or [
            place for place, text in enumerate(self._masked) if len(parts[0]) >= LEAST_QUOTE and parts[0] in text
        ]
        for place in candidates:
            window = self._masked[place : place + len(parts)]
            if len(window) == len(parts) and all(part in text for part, text in zip(parts, window, strict=True)):
                return self._lines[place : place + len(parts)]
        return ()


def _contains(folded: str, part: str) -> bool:
    pieces = [piece for piece in _CUT.split(part) if piece]
    if sum(map(len, pieces)) < LEAST_QUOTE:
        return folded == part
    at = 0
    for piece in pieces:
        at = folded.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return bool(pieces)


def _fold(text: str) -> str:
    return " ".join(text.split())


def _moment(line: Line) -> str | None:
    return line.time.isoformat().replace("+00:00", "Z") if line.time else None


def _harmless(command: str | None) -> str | None:
    """The command as text to read, None where it fetches, destroys or hides something: no log may smuggle one in."""
    if command is None or not command.strip() or _DANGEROUS.search(command):
        return None
    return safe(" ".join(command.split()))
