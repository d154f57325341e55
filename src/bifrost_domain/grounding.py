"""Whether what a model says stands in the log: claims go in, only what code found comes out."""

import re
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
"""The most confidence a model may claim of whose quotes none was found."""
MOST_CONFIDENCE = 0.95
"""Agreement raises no confidence beyond this: two readers of one log can share a mistake."""
HEURISTIC_MARK = "[heuristic] "
"""Begins what a merged report takes from the heuristic analyst; what does not begin with it is the model's."""

_WORD = re.compile(r"[^\W_]+")  # linear, and a hundred times as fast as RE2's own findall
_SAYING_NOTHING = """
a an and are as at be been by can cannot could did do does due for from has have in into is it its may no none not of on
or so that the there this to was were which will with
answer category cause caused causes confidence described determined error errors evidence excerpt failed failure
failures following found given identified issue json known line lines log logs main null object problem provided quote
reason report reported root schema severity shown specified stated string summary system text told unclear undefined
undetermined unknown unspecified value
"""
_EMPTY_WORDS = frozenset(_SAYING_NOTHING.split())

_NUMBERED = re2.compile(r"^\s*\d+: ")
_CUT = re2.compile(r" ?\.\.\.\[\d+ characters\]\.\.\. ?| ?\[x\d+\]\s*$")
_DANGEROUS = re2.compile(
    r"(?i)https?://|\|\s*(?:sudo\s+)?(?:ba|z|da|k|fi)?sh\b|\|\s*(?:python|perl|ruby|node)\d?\b|\brm\s+-\w*[rf]|\bmkfs"
    r"|\bdd\s.*\bof=|>\s*/dev/(?:sd|nvme|vd|xvd)|\bshutdown\b|\breboot\b|\bhalt\b|\bdrop\s+(?:table|database|schema)\b"
    r"|\btruncate\s+table\b|\bdelete\s+from\b|\bchmod\s+(?:-R\s+)?[0-7]*777\b|\beval\b|\bbase64\s+-d|\bnc\s+-\w*e"
    r"|\bkubectl\s+delete\b|\bflushall\b|\bgit\s+push\s+.*--?f|:\(\)\s*\{|`|\$\("
)
_SMUGGLED = re2.compile(
    r"(?i)\|\s*(?:sudo\s+)?(?:ba|z|da|k|fi)?sh\b|\|\s*(?:python|perl|ruby|node)\d?\b|\brm\s+-\w*[rf]|\bmkfs\."
    r"|\bdd\s.*\bof=|\b(?:curl|wget)\s.*://|\bbase64\s+(?:-d|--decode)\b|:\(\)\s*\{"
)
"""Commands that the prose of a next step may not hold: there they would get past the check of its command."""


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
    """The model's JSON object, after `prompt.answer_schema`; lists may be missing, enumerations may not be off."""

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


_BLANK = {"severity": "ok", "category": "unknown", "summary": "", "root_cause": "", "confidence": 0.0}
_DEEPEST = 32
"""An answer that meets the schema is three brackets deep."""


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


def salvage(text: str) -> Answer:
    """What was complete of an answer that was cut off in its middle. Raises BadAnswer where that is no finding.

    The text is cut behind its last complete value and closed. A missing severity is `ok` and a missing category
    `unknown`, which say nothing against the heuristic's; a missing root cause is empty, which `merge` fills.
    """
    start = text.find("{", max(0, text.rfind("</think>")))
    if start < 0:
        raise BadAnswer("there is no JSON object in it")
    try:
        found = msgspec.json.decode(_closed(text[start:]).encode())
        answer = msgspec.convert({**_BLANK, **found}, Answer)
    except (msgspec.MsgspecError, UnicodeEncodeError, TypeError, RecursionError) as error:
        raise BadAnswer("it was cut off, and what is left does not meet the schema") from error
    if not 0 <= answer.confidence <= 1 or not (answer.evidence or answer.root_cause.strip()):
        raise BadAnswer("it was cut off before it found anything")
    return answer


def _closed(text: str) -> str:
    """The JSON object that begins `text`, without what comes after its last complete member or item, and closed.

    One pass. A place to cut is in front of a comma and behind a closing bracket, but for those within an item: half an
    item proves nothing.
    """
    open_brackets: list[str] = []
    cut, closers = 0, ""
    in_string = escaped = False
    for at, character in enumerate(text):
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "{[":
            open_brackets.append("}" if character == "{" else "]")
            if len(open_brackets) > _DEEPEST:
                break
        elif character in "}]," and open_brackets:
            if character != ",":
                open_brackets.pop()
            if "}" not in open_brackets[1:]:
                cut = at if character == "," else at + 1
                closers = "".join(reversed(open_brackets))
            if not open_brackets:
                break
    return text[:cut] + closers


def verify(answer: Answer, digest: Digest) -> Grounded:
    """What `digest` bears out of `answer`: quotes found, names that occur, commands that do no harm. Nothing is added.

    The confidence is the model's own, and at most `UNGROUNDED_CONFIDENCE` + (1 - it) * quotes found / quotes claimed.
    """
    index = Index(digest.lines)
    found: list[Evidence] = []
    for claim in answer.evidence:
        evidence = index.locate(claim)
        if evidence is not None and evidence not in found:
            found.append(evidence)
    share = len(found) / len(answer.evidence) if answer.evidence else 0.0
    most = UNGROUNDED_CONFIDENCE + (1 - UNGROUNDED_CONFIDENCE) * share
    return Grounded(
        report=Report(
            severity=answer.severity,
            category=answer.category,
            summary=_said(answer.summary),
            root_cause=_said(answer.root_cause),
            confidence=round(min(answer.confidence, most), 2),
            files=index.mentioned(answer.files),
            tests=index.mentioned(answer.tests),
            evidence=tuple(found),
            actions=tuple(
                Action(title=_said(item.title), command=_harmless(item.command), why=_said(item.why or ""))
                for item in answer.actions
                if item.title.strip() and not _SMUGGLED.search(f"{item.title}\n{item.why or ''}")
            ),
            timeline=index.moments(answer.timeline),
        ),
        grounding=Grounding(claims=len(answer.evidence), verified=len(found)),
    )


def merge(own: Grounded, offline: Report, instructions: str = "") -> Grounded:
    """The model's verified report `own`, filled in item by item from the heuristic analyst's report on the same log.

    All that the model's report has stays, but for a diagnosis that

    - is without content (see `hollow`),
    - has no quote to stand on and little confidence, or invented all of them where the heuristic is surer,
    - or sees no failure, or none it can name, where the heuristic names one:

    then severity, category, summary and root cause are the heuristic's, together. What is taken from the
    heuristic begins with `HEURISTIC_MARK`; files and tests are facts of the log and carry no mark. The severity is
    never below the heuristic's. `instructions` is the prompt's wording, of which an echo says nothing. `grounding`
    stays that of the model's claims.
    """
    report = own.report
    kept = _diagnoses(own, offline, instructions)
    if kept:
        category, severity = report.category, max(report.severity, offline.severity, key=lambda one: one.rank)
        summary, root_cause = report.summary, report.root_cause
        if hollow(summary, instructions):
            summary = root_cause
    else:
        category, severity = offline.category, offline.severity
        summary, root_cause = HEURISTIC_MARK + offline.summary, HEURISTIC_MARK + offline.root_cause
    return Grounded(
        report=Report(
            severity=severity,
            category=category,
            summary=summary,
            root_cause=root_cause,
            confidence=round(_confidence(report, offline, kept=kept), 2),
            files=tuple(dict.fromkeys((*report.files, *offline.files))),
            tests=tuple(dict.fromkeys((*report.tests, *offline.tests))),
            evidence=(*report.evidence, *_missed_evidence(report.evidence, offline.evidence)),
            actions=(*report.actions, *_missed_actions(report.actions, offline.actions)),
            timeline=_joined(report.timeline, offline.timeline),
        ),
        grounding=own.grounding,
    )


def ground(answer: Answer, digest: Digest, offline: Report, instructions: str = "") -> Grounded:
    """`verify`, then `merge`: the report on `digest` that a model's `answer` and the heuristic's `offline` make."""
    return merge(verify(answer, digest), offline, instructions)


def _confidence(report: Report, offline: Report, *, kept: bool) -> float:
    """How sure both together are, from 0 to 1, where m and h are the model's and the heuristic's confidence.

    - Same category, with a quote that was found: max(m, h) + min(m, h) * (1 - max(m, h)) / 2, and `MOST_CONFIDENCE` at
      the most. That is half of what agreement of independent witnesses adds (1 - (1 - m)(1 - h)): these two read the
      same lines.
    - Same category, but no quote was found: max(m, h), with m at most `UNGROUNDED_CONFIDENCE`. Naming a category proves
      nothing, so it adds nothing.
    - The heuristic abstains: m. It has no opinion to weigh; where both abstain, min(m, h).
    - Other categories: m * (1 - h / 2). The surer the heuristic, the more its dissent counts.
    - The diagnosis is not the model's (not `kept`): h, and h * (1 - m / 2) where the model saw no failure at all.
    """
    model, heuristic = report.confidence, offline.confidence
    if not kept:
        return heuristic * (1 - model / 2) if report.category is Category.NONE else heuristic
    if report.category is offline.category:
        if report.category is Category.UNKNOWN:
            return min(model, heuristic)
        high, low = max(model, heuristic), min(model, heuristic)
        agreed = high + low * (1 - high) / 2 if report.evidence else high
        return max(high, min(agreed, MOST_CONFIDENCE))
    return model if offline.category is Category.UNKNOWN else model * (1 - heuristic / 2)


def hollow(text: str, instructions: str = "") -> bool:
    """Whether `text` says nothing about a log. Three ways in which small models do that are told by counting words.

    - No word is left when those of the question and of not answering it (`_EMPTY_WORDS`) are taken away.
    - It turns in a circle: of its runs of three words, at least eight, fewer than half are distinct.
    - It echoes: more than half of its runs of four words stand in `instructions`.
    """
    words = _WORD.findall(text.lower())
    if all(word in _EMPTY_WORDS or word.isdigit() for word in words):
        return True
    threes = list(zip(words, words[1:], words[2:], strict=False))
    if len(threes) >= 8 and 2 * len(set(threes)) < len(threes):
        return True
    asked = _WORD.findall(instructions.lower())
    known = set(zip(asked, asked[1:], asked[2:], asked[3:], strict=False))
    fours = list(zip(words, words[1:], words[2:], words[3:], strict=False))
    return 2 * sum(four in known for four in fours) > len(fours)


def _diagnoses(own: Grounded, offline: Report, instructions: str) -> bool:
    """Whether the model's report has a diagnosis to keep."""
    report = own.report
    if hollow(report.root_cause, instructions):
        return False
    if not report.evidence:
        invented = own.grounding.claims > 0
        surer = offline.category is not Category.UNKNOWN and offline.confidence > report.confidence
        if report.confidence < UNGROUNDED_CONFIDENCE or (invented and surer):
            return False
    named = offline.severity >= Severity.ERROR and offline.category not in (Category.NONE, Category.UNKNOWN)
    return not (named and report.category in (Category.NONE, Category.UNKNOWN))


def _missed_evidence(cited: Sequence[Evidence], offline: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The heuristic's evidence of which the model left at least one line uncited."""
    covered = {(item.file, number) for item in cited for number in range(item.line_start, item.line_end + 1)}
    return tuple(
        msgspec.structs.replace(item, reason=HEURISTIC_MARK + item.reason)
        for item in offline
        if any((item.file, number) not in covered for number in range(item.line_start, item.line_end + 1))
    )


def _missed_actions(given: Sequence[Action], offline: Sequence[Action]) -> tuple[Action, ...]:
    """Of the heuristic's next steps so many, the first ones first, as the model has fewer steps with a command."""
    known = {_fold(item.title).casefold() for item in given} | {item.command for item in given if item.command}
    missed = [item for item in offline if _fold(item.title).casefold() not in known and item.command not in known]
    lacking = len(offline) - sum(item.command is not None for item in given)
    return tuple(msgspec.structs.replace(item, why=HEURISTIC_MARK + item.why) for item in missed[: max(0, lacking)])


def _joined(given: Sequence[TimelineEntry], offline: Sequence[TimelineEntry]) -> tuple[TimelineEntry, ...]:
    """Both timelines in the order of the log; at one line the model's entry stands."""
    known = {entry.line for entry in given}
    missed = (
        msgspec.structs.replace(entry, event=HEURISTIC_MARK + entry.event)
        for entry in offline
        if entry.line not in known
    )
    return tuple(sorted((*given, *missed), key=lambda entry: entry.line))


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
            reason=_said(claim.reason),
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
            TimelineEntry(at=_moment(lines[moment.line]), line=moment.line, event=_said(moment.event))
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


def _said(text: str) -> str:
    """A model's words as they may be shown, without a mark that would pass them off as the heuristic's."""
    words = safe(text).strip()
    while words.startswith(HEURISTIC_MARK.strip()):
        words = words.removeprefix(HEURISTIC_MARK.strip()).lstrip()
    return words


def _moment(line: Line) -> str | None:
    return line.time.isoformat().replace("+00:00", "Z") if line.time else None


def _harmless(command: str | None) -> str | None:
    """The command as text to read, None where it fetches, destroys or hides something: no log may smuggle one in."""
    if command is None or not command.strip() or _DANGEROUS.search(command):
        return None
    return safe(" ".join(command.split()))
