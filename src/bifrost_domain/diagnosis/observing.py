"""Reading the lines of a digest against the catalogue: which line matches what, and in which context it stands."""

import re
from collections.abc import Mapping
from functools import cache

import re2
from msgspec import Struct

from bifrost_domain.diagnosis.signature import Mark, MarkKind, Role, Signature
from bifrost_domain.logs.lines import Level, Line
from bifrost_domain.report import Category

SEARCHED_CHARACTERS = 4000
"""Longer lines are searched in their first part only: no tool states a cause that late in a line."""


CARET_ESCAPE = re.compile(r"\^\[\[[0-9;]*[A-Za-z]")
"""Colours as some viewers save them, the escape character spelt as two. Linear: no part can match where another may."""


class Hit(Struct, frozen=True, kw_only=True):
    """`signature` matched the line at `index` of the digest; `score` is its weight in the context of that line."""

    index: int
    signature: Signature
    score: float
    groups: Mapping[str, str]


class Note(Struct, frozen=True, kw_only=True):
    """A mark of `kind` stands at `index` of the digest."""

    index: int
    kind: MarkKind
    groups: Mapping[str, str]


class Observations(Struct, frozen=True, kw_only=True):
    """What the catalogue sees in a digest. The failing part spans the indexes from `begin` to `end`, both included.

    `pipeline`: the log is that of a build or CI job, which ends with a verdict, other than that of a service.
    `succeeded`: the log reaches the end of its job and its runner reports no failure.
    `echoed`: indexes of lines in which a runner repeats the script and the inputs of a step before it runs it.
    """

    hits: tuple[Hit, ...]
    notes: tuple[Note, ...]
    pipeline: bool
    begin: int
    end: int
    succeeded: bool = False
    echoed: frozenset[int] = frozenset()

    def noted(self, *kinds: MarkKind) -> list[Note]:
        """The notes of these kinds inside the failing part, in order."""
        return [note for note in self.notes if note.kind in kinds and self.begin <= note.index <= self.end]


class _Index(Struct, frozen=True):
    filter: re2.Filter
    meanings: tuple[Signature | Mark, ...]


@cache
def _index() -> _Index:
    """Every pattern of the catalogue in one filter, which looks for their literal parts in one pass over a line."""
    from bifrost_domain.diagnosis.signatures import CATALOGUE, MARKS

    filtered = re2.Filter()
    meanings: list[Signature | Mark] = []
    for meaning in (*CATALOGUE, *MARKS):
        for pattern in meaning.patterns:
            filtered.Add(pattern)
            meanings.append(meaning)
    filtered.Compile()
    return _Index(filtered, tuple(meanings))


class _Contexts(Struct, frozen=True):
    prefix: re2._Regexp
    harmless: re2._Regexp
    warning: re2._Regexp
    calm: re2._Regexp


@cache
def _contexts() -> _Contexts:
    return _Contexts(
        # What a wrapper puts before a tool's own line: BuildKit, Compose, a runner's annotation, npm, Maven, sbt.
        prefix=re2.compile(
            r"^(?:##\[(?:error|warning)\]|#\d+ \d+\.\d+ +|\d+\.\d{3} +|[\w.-]+ +\| |npm (?:ERR!|error) |"
            r"\[(?:ERROR|error|FAIL)\] +|[│┃] +|\[\d+/\d+\] +)+"
        ),
        # A passing test, a source excerpt, a shell's echo of its own script.
        harmless=re2.compile(
            r"^\s*(?:\[gw\d+\].*)?(?:ok \d|ok\b.*\bok$|PASS(?:ED)?\b|✓|✔|√|\[\s+OK \]|XFAIL|XPASS|SKIP(?:PED)?\b)"
            r"|(?:\.\.\. ok|\bPASSED(?: +\[ *\d+%\])?|\bSKIPPED|\bXFAIL)$|^\s*>?\s*\d+ ?\| |^\s*echo |\|\| \(?echo "
        ),
        warning=re2.compile(
            r"(?i)^\W*(?:\[?warn(?:ing)?\b|\S+: warning\b|\S+ warning:|npm warn\b|deprecat)|: warning[: ]"
        ),
        calm=re2.compile(
            r"\b(?:INFO|DEBUG|TRACE)\b|(?i:\"level\": ?\"(?:info|debug|trace)\"|level=(?:info|debug|trace)\b)"
        ),
    )


def observe(lines: tuple[Line, ...]) -> Observations:
    contexts, index = _contexts(), _index()
    raw: list[tuple[int, Signature, dict[str, str]]] = []
    notes: list[Note] = []
    steps: list[int] = []
    annotated: list[int] = []
    echoing = False
    echoed: set[int] = set()
    for place, line in enumerate(lines):
        message = line.text[:SEARCHED_CHARACTERS]
        if "^[[" in message:
            message = CARET_ESCAPE.sub("", message)
        if not message or message.isspace():
            continue
        if echoing and (message.startswith("##[endgroup]") or line.number > lines[place - 1].number + 1):
            echoing = False
        if message.startswith("##[group]Run "):
            echoing = True
            steps.append(place)
        elif message.startswith("##[error]"):
            annotated.append(place)
        if echoing:
            echoed.add(place)
        seen: set[int] = set()
        harmless: bool | None = None
        for form in _forms(line, message, contexts):
            for which in index.filter.Match(form) or ():
                meaning = index.meanings[which]
                if id(meaning) in seen:
                    continue
                if harmless is None:
                    harmless = echoing or bool(contexts.harmless.search(message))
                if harmless and not _speaks_when_harmless(meaning):
                    continue
                seen.add(id(meaning))
                found = index.filter.re(which).search(form)
                groups = _groups(found.groupdict()) if found else {}
                if isinstance(meaning, Mark):
                    notes.append(Note(index=place, kind=meaning.kind, groups=groups))
                else:
                    raw.append((place, meaning, groups))
    pipeline = any(note.kind is MarkKind.RUNNER for note in notes)
    exits = [note.index for note in notes if note.kind is MarkKind.EXIT]
    # The runner's own word on how a command ended comes before what programs in it say of theirs.
    ends = annotated or [place for place in exits if lines[place].text.startswith('The command "')] or exits
    begin, end = 0, len(lines) - 1
    if pipeline and ends:
        begin, end = max((step for step in steps if step <= ends[0]), default=0), ends[-1]
    survived = _survived(notes)
    hits = tuple(
        Hit(
            index=place,
            signature=signature,
            groups=groups,
            score=_score(lines[place], signature, contexts, pipeline)
            * _standing(signature, before=place < begin or place in survived, after=place > end),
        )
        for place, signature, groups in raw
    )
    return Observations(
        hits=hits,
        notes=tuple(notes),
        pipeline=pipeline,
        begin=begin,
        end=end,
        succeeded=not annotated and any(note.kind is MarkKind.SUCCEEDED for note in notes),
        echoed=frozenset(echoed),
    )


def _survived(notes: list[Note]) -> frozenset[int]:
    """The places of a job whose command went well in the end, whatever it printed before."""
    places: set[int] = set()
    last = -1
    for note in notes:
        if note.kind is MarkKind.PASSED:
            places.update(range(last + 1, note.index))
        if note.kind in (MarkKind.PASSED, MarkKind.EXIT):
            last = note.index
    return frozenset(places)


def _forms(line: Line, message: str, contexts: _Contexts) -> list[str]:
    """The texts a line is searched in: the whole line, the line without a wrapper's prefix, and the message without
    the header of the log's format. Fields outside the message may carry the cause, a header may hide a line's start."""
    forms = {message: None}
    if message[0] in "#[│┃n0123456789" or " | " in message:
        found = contexts.prefix.search(message)
        if found and found.end() < len(message):
            forms.setdefault(message[found.end() :])
    if line.message and "^[[" not in line.message:
        forms.setdefault(line.message[:SEARCHED_CHARACTERS])
    return list(forms)


def _groups(found: Mapping[str, str | None]) -> dict[str, str]:
    """The groups that took part. RE2 has no two groups of one name, so that alternatives are numbered: subject2."""
    return {name.rstrip("0123456789"): text for name, text in found.items() if text}


def _speaks_when_harmless(meaning: Signature | Mark) -> bool:
    return isinstance(meaning, Mark) and meaning.kind in (
        MarkKind.HEALTHY,
        MarkKind.COMMAND,
        MarkKind.RUNNER,
        MarkKind.TEST_PASSED,
    )


def _standing(signature: Signature, *, before: bool, after: bool) -> float:
    """What is left of a line's weight outside the failing part. What a tool concluded in a step that passed is void;
    trouble that a step survived may have come back later; what follows the end is the clean-up."""
    if after or (before and signature.role is Role.VERDICT):
        return 0.4
    return 0.75 if before else 1.0


def _score(line: Line, signature: Signature, contexts: _Contexts, pipeline: bool) -> float:
    score = signature.weight
    if signature.role is not Role.VERDICT and contexts.warning.search(line.text[:200]):
        if pipeline:
            score *= 0.4
        elif signature.role is Role.SYMPTOM:
            score *= 0.9
    elif line.level is Level.WARNING and not pipeline and signature.category is not Category.KUBERNETES:
        # Of the events of a cluster the type Warning is the loudest.
        score *= 0.9
    elif contexts.calm.search(line.text[:200]) and (signature.role is Role.SYMPTOM or signature.weight < 0.8):
        score *= 0.6
    return score
