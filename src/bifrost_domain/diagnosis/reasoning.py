"""From observations to a verdict: what failed first, what explains it, what only followed, and how sure that is."""

from bisect import bisect_left
from datetime import timedelta
from functools import cache
from math import log2

import re2
from msgspec import Struct

from bifrost_domain.diagnosis.observing import Hit, Observations
from bifrost_domain.diagnosis.signature import MarkKind, Role, Signature, Stage
from bifrost_domain.logs.lines import Level, Line
from bifrost_domain.report import Category

ABSTAINED = 0.3
"""The confidence in a category that only the purpose of the failing step suggests."""
TELLING = 0.4
"""The least score a line needs to name a cause; below it the analyst abstains."""
NEAR = 0.08
"""Candidates this close are rivals. In a service's log the earlier of them is the cause; a build's verdicts stand at
its end, whatever came first, so that there only equals are decided by their order."""
EQUAL = 0.02
RUN_VERDICT = 0.75
"""The least score of a test runner's own verdict; below it an assertion was seen at most."""
DECISIVE = 0.2
"""Outside trouble that outweighs the verdict of a test runner by so much is the cause all the same."""
LOCAL = 45
"""So many lines of the original around a failure count as its surroundings."""
FAR = 150
"""Lines of the original after which the link between a cause and the end of a step is only likely."""
CASCADE = 0.05
"""What it adds to the confidence in a service's cause that its known consequences follow it."""
ROOT = 0.6
"""The least score of a line that explains stronger ones after it."""
LOUD = frozenset({Level.ERROR, Level.CRITICAL})
LEAD = timedelta(minutes=15)
"""Trouble last seen longer before the first line of another is not held to be its cause."""
FEW_LINES = 10
"""Fewer lines than this, none of which has a time or says that something went well, prove no health."""
FEW_TESTS = 6
"""More failing tests than this share something closer than trouble that one of them happened to print."""

_OUTSIDE = frozenset(
    {
        Category.NETWORK,
        Category.DNS,
        Category.TLS,
        Category.RATE_LIMIT,
        Category.TIMEOUT,
        Category.OUT_OF_MEMORY,
        Category.DISK_FULL,
        Category.PERMISSION_OR_SECRET,
        Category.DATABASE,
    }
)
"""Causes that lie outside the program under test."""
_OVERRULES = frozenset({Category.NETWORK, Category.DNS, Category.TLS, Category.RATE_LIMIT, Category.DISK_FULL})
"""Of those, the ones that make a failed test or install their own consequence."""
BESIDE = 10
"""So many lines after the first hit of a signature may still belong to the same message."""
_ALIKE = (
    {Category.LINT_FAILURE, Category.FORMATTING_FAILURE},
    {Category.COMPILE_ERROR, Category.TYPE_ERROR},
    {Category.NETWORK, Category.DNS, Category.TLS, Category.TIMEOUT, Category.RATE_LIMIT},
    {Category.OUT_OF_MEMORY, Category.KUBERNETES, Category.CRASH},
)


_TRACEBACK = "Traceback (most recent call last):"
_PURPOSES = (
    (Category.FORMATTING_FAILURE, r"\b(?:fmt|format|prettier|gofmt|rustfmt|black|isort)\b"),
    (Category.LINT_FAILURE, r"\b(?:\w*lint\w*|clippy|checkstyle|shellcheck|rubocop|vet|pre-commit|codespell)\b"),
    (Category.TYPE_ERROR, r"\b(?:type-?check|tsc|mypy|pyright|phpstan)\b"),
    (Category.TEST_FAILURE, r"\b(?:\w*tests?|\w*unit|r?specs?|e2e|jest|mocha|cypress|playwright|prove|tox)\b"),
    (Category.CONTAINER_BUILD, r"\b(?:docker|buildx|podman|buildah) .*build\b"),
    (
        Category.DEPENDENCY_INSTALL,
        r"\b(?:(?:pip3?|npm|pnpm|yarn|poetry|bundle|composer|apt(?:-get)?) .*install|npm ci|uv sync)\b",
    ),
    (Category.COMPILE_ERROR, r"\b(?:build|compile|make|cmake|ninja)\b"),
)
"""What a step is for, by the words of its command; the first that fits counts."""


class Candidate(Struct, frozen=True, kw_only=True):
    """All hits of one signature that stand near its best score, in order. `deciding` is the one that tells most."""

    signature: Signature
    hits: tuple[Hit, ...]
    score: float
    deciding: Hit

    @property
    def first(self) -> int:
        return self.hits[0].index


class Finding(Struct, frozen=True, kw_only=True):
    """The result: `cause` is None where the log does not tell; `step` is then the command that failed, if known.
    `underlying` is what lies beneath the cause, and `overruled` that it gives the whole its category; `others` are
    tools that reject the same thing, `followed` is what came of it, `elsewhere` what other files of a folder tell of
    other incidents, `recovery` the index of the line that says it passed."""

    category: Category
    confidence: float
    cause: Candidate | None = None
    underlying: Candidate | None = None
    overruled: bool = False
    others: tuple[Candidate, ...] = ()
    followed: tuple[Candidate, ...] = ()
    elsewhere: tuple[Candidate, ...] = ()
    failed: bool = False
    recovery: int | None = None
    step: str = ""


def conclude(observations: Observations, lines: tuple[Line, ...]) -> Finding:
    """The most likely first cause among everything the catalogue recognised."""
    candidates = _candidates(observations, lines)
    exits = observations.noted(MarkKind.EXIT)
    errors = [index for index, line in enumerate(lines) if line.level in LOUD and index not in observations.echoed]
    telling = [candidate for candidate in candidates if candidate.score >= TELLING]
    if observations.succeeded or not telling:
        return _silence(observations, bool(exits), len(errors), lines)

    tie = EQUAL if observations.pipeline else NEAR
    strongest = max(telling, key=lambda candidate: candidate.score)
    cause = min(
        (candidate for candidate in telling if candidate.score > strongest.score - tie),
        key=lambda candidate: (candidate.first, -candidate.score),
    )
    cause = _verdict_on_tests(cause, telling, observations) or cause
    if not observations.pipeline:
        cause = _first_cause(cause, telling, lines)
    cause = _specific(cause, telling, lines) or cause
    underlying = _holder(cause, telling, observations, lines) or _underlying(cause, telling, observations, lines)
    category = cause.signature.category
    overruled = underlying is not None and _overrules(underlying, cause)
    if underlying is not None and overruled:
        category = underlying.signature.category
    elif category is Category.CI_CONFIGURATION and not observations.pipeline:
        category = Category.CONFIGURATION
    followed = () if overruled else _followed(cause, underlying, telling, observations, lines)
    others = tuple(
        candidate
        for candidate in telling
        if candidate is not cause
        and candidate.signature.category is cause.signature.category
        and candidate.signature.role is Role.VERDICT
        and candidate.score > cause.score - 2 * NEAR
    )
    recovery = None if observations.pipeline else _recovery(cause, underlying, observations)
    return Finding(
        category=category,
        confidence=_confidence(cause, underlying, telling, observations, lines, overruled),
        cause=cause,
        underlying=underlying,
        overruled=overruled,
        others=others[:2],
        followed=followed[:3],
        elsewhere=_elsewhere(cause, (underlying, *others, *followed), telling, lines)[:3],
        failed=True,
        recovery=recovery,
    )


def _verdict_on_tests(cause: Candidate, telling: list[Candidate], observations: Observations) -> Candidate | None:
    """The verdict of a test runner that came to its end, in place of outside trouble that some test printed.

    Tests provoke such trouble, and a run that is really out of disk or memory seldom gets as far as its totals. Where
    it did befall a failing test, it stands near that one and is found to lie beneath."""
    if cause.signature.role is not Role.CAUSE or cause.signature.category not in _OUTSIDE or not observations.pipeline:
        return None
    if not observations.noted(MarkKind.TEST):
        return None
    verdicts = [
        candidate
        for candidate in telling
        if candidate.signature.category is Category.TEST_FAILURE
        and candidate.signature.role is Role.VERDICT
        and candidate.score > max(RUN_VERDICT, cause.score - DECISIVE)
        and candidate.hits[-1].index > cause.first >= observations.begin
    ]
    return max(verdicts, key=lambda candidate: candidate.score, default=None)


def _overrules(underlying: Candidate, cause: Candidate) -> bool:
    """Whether what lies beneath is the category of the whole: a failed test, install or program was only where outside
    trouble surfaced, and an image that could not be had is told in the line that says why. Of time limits only those
    that a runner itself enforced."""
    category, beneath = cause.signature.category, underlying.signature
    if category is Category.APPLICATION_ERROR:
        return True
    if category in (Category.CONTAINER_BUILD, Category.KUBERNETES) and cause.signature.role is not Role.SYMPTOM:
        told = {hit.index for hit in cause.hits}
        return beneath.category in _OVERRULES and any(hit.index in told for hit in underlying.hits)
    if category not in (Category.TEST_FAILURE, Category.DEPENDENCY_INSTALL):
        return False
    return beneath.category in _OVERRULES or (beneath.category is Category.TIMEOUT and beneath.role is Role.CAUSE)


def _silence(observations: Observations, failed: bool, errors: int, lines: tuple[Line, ...]) -> Finding:
    """No line names a cause: either nothing is wrong, or the log does not say what is."""
    if observations.succeeded:
        return Finding(category=Category.NONE, confidence=0.85)
    if failed or errors:
        step = _failed_step(observations)
        purpose = _purpose(step) if step else None
        if purpose is None:
            return Finding(category=Category.UNKNOWN, confidence=0.2, failed=True, step=step)
        return Finding(category=purpose, confidence=ABSTAINED, failed=True, step=step)
    weak = any(hit.score > TELLING / 2 for hit in observations.hits)
    healthy = any(note.kind is MarkKind.HEALTHY for note in observations.notes)
    if not healthy and len(lines) < FEW_LINES and all(line.time is None for line in lines):
        return Finding(category=Category.NONE, confidence=ABSTAINED)
    return Finding(category=Category.NONE, confidence=0.5 if weak else 0.8 if healthy else 0.65)


def _failed_step(observations: Observations) -> str:
    """The command of the step that failed; empty where the log does not give it."""
    exits = observations.noted(MarkKind.EXIT)
    if not observations.pipeline or not exits:
        return ""
    commands = [note for note in observations.noted(MarkKind.COMMAND) if note.index < exits[0].index]
    own = [note for note in commands if note.index == observations.begin] or commands[-1:]
    return own[0].groups.get("command", "") if own else ""


@cache
def _purposes() -> tuple[tuple[Category, "re2._Regexp"], ...]:
    return tuple((category, re2.compile(pattern)) for category, pattern in _PURPOSES)


def _purpose(command: str) -> Category | None:
    """What kind of failure a step's command can have, `test -f` and the like aside."""
    command = command.replace("test -", "")
    return next((category for category, pattern in _purposes() if pattern.search(command)), None)


def _candidates(observations: Observations, lines: tuple[Line, ...]) -> list[Candidate]:
    grouped: dict[str, list[Hit]] = {}
    for hit in observations.hits:
        grouped.setdefault(hit.signature.name, []).append(hit)
    proofs = [note.index for note in observations.noted(MarkKind.VALUES, MarkKind.FINDING)]
    named = {note.index for note in observations.noted(MarkKind.TEST, MarkKind.FINDING)}
    candidates = []
    for hits in grouped.values():
        signature = hits[0].signature
        best = max(hit.score for hit in hits)
        near = tuple(hit for hit in hits if hit.score > best - NEAR)
        score = best + min(0.03, 0.01 * log2(len(near)))
        deciding = _deciding(near, observations.pipeline or signature.role is Role.VERDICT, lines)
        if proofs and signature.category is Category.TEST_FAILURE and signature.role is Role.VERDICT:
            score += 0.05
            deciding = min(near, key=lambda hit: (hit.index not in named, _distance(hit.index, proofs)))
        candidates.append(Candidate(signature=signature, hits=near, score=score, deciding=deciding))
    return candidates


def _deciding(near: tuple[Hit, ...], tool: bool, lines: tuple[Line, ...]) -> Hit:
    """The line of the first message that names what it is about. A tool's first line often has a code only, and a
    traceback's is a heading: the name stands in one of the next, or in the last where an exception wraps others."""
    first = near[0]
    block = lines[first.index].block
    named = [hit for hit in near if "subject" in hit.groups]
    within = [hit for hit in named if lines[hit.index].block == block]
    if first.signature.nested and within:
        return within[-1]
    if tool:
        within = [hit for hit in named if hit.index <= first.index + BESIDE]
    if within:
        return within[0]
    return _raised(first, lines) if lines[first.index].message.strip() == _TRACEBACK else first


def _raised(heading: Hit, lines: tuple[Line, ...]) -> Hit:
    """The exception that a Python traceback ends with, of whatever name: its first line that is not indented."""
    for place in range(heading.index + 1, len(lines)):
        line, before = lines[place], lines[place - 1]
        text = line.message
        if (line.file, line.number) != (before.file, before.number + 1):
            break
        if text.strip() and not text[0].isspace():
            name = text.partition(":")[0]
            if not all(part.isidentifier() for part in name.strip().split(".")):
                break
            return Hit(index=place, signature=heading.signature, score=heading.score, groups={"subject": text.strip()})
    return heading


def _distance(index: int, proofs: list[int]) -> int:
    """How far the nearest proof is: a runner names a failed test as it goes by, and again where it says why."""
    place = bisect_left(proofs, index)
    return min(abs(index - proof) for proof in proofs[max(0, place - 1) : place + 1])


def _first_cause(cause: Candidate, telling: list[Candidate], lines: tuple[Line, ...]) -> Candidate:
    """The deepest trouble that stands before `cause` and brings such trouble about, or `cause` itself."""
    before = [
        candidate
        for candidate in telling
        if candidate.score >= ROOT and _brings_about(candidate, cause, lines) and not candidate.signature.late
    ]
    return min(before, key=lambda candidate: (candidate.signature.stage, candidate.first), default=cause)


def _specific(cause: Candidate, telling: list[Candidate], lines: tuple[Line, ...]) -> Candidate | None:
    """What the trace of an exception says more closely than that there was one: a missing module or setting."""
    if cause.signature.category is not Category.APPLICATION_ERROR:
        return None
    block = lines[cause.deciding.index].block
    found = [
        _narrowed(candidate, hits, lines)
        for candidate in telling
        if candidate.signature.category not in _OUTSIDE
        and candidate.signature.category is not Category.APPLICATION_ERROR
        and (hits := tuple(hit for hit in candidate.hits if lines[hit.index].block == block))
    ]
    return max(found, key=lambda candidate: candidate.score, default=None)


def _narrowed(candidate: Candidate, hits: tuple[Hit, ...], lines: tuple[Line, ...]) -> Candidate:
    """The candidate with some of its hits only."""
    deciding = _deciding(hits, candidate.signature.role is Role.VERDICT, lines)
    return Candidate(signature=candidate.signature, hits=hits, score=candidate.score, deciding=deciding)


def _brings_about(first: Candidate, second: Candidate, lines: tuple[Line, ...]) -> bool:
    """Whether `first` is of a deeper stage of a cascade than `second`, and led it by no more than is plausible."""
    if not _later(first, second):
        return False
    then = lines[second.first]
    before = [line for hit in first.hits if _precedes(line := lines[hit.index], then)]
    if not before:
        return False
    seen = before[-1].time
    return then.time is None or seen is None or then.time - seen <= LEAD


def _precedes(one: Line, other: Line) -> bool:
    """Whether `one` was written before `other`: by their places in a file, by their times in different ones. Where
    nothing tells the order of two files, each may have been first."""
    if one.file == other.file:
        return one.number < other.number
    return one.time is None or other.time is None or one.time <= other.time


def _followed(
    cause: Candidate,
    underlying: Candidate | None,
    telling: list[Candidate],
    observations: Observations,
    lines: tuple[Line, ...],
) -> tuple[Candidate, ...]:
    """What came of the cause, in order: later stages of a cascade, or trouble of another sort in a build. What stands
    in another file came of it only if the cascade says so; what a failed test printed is that failure itself."""
    tested = cause.signature.category is Category.TEST_FAILURE and cause.signature.role is Role.VERDICT
    found = {note.index for note in observations.noted(MarkKind.FINDING)} if tested else set()
    later = [
        candidate
        for candidate in sorted(telling, key=lambda candidate: candidate.first)
        if candidate is not underlying
        and candidate.signature is not cause.signature
        and not _reports(candidate, cause, lines)
        and not all(hit.index in found for hit in candidate.hits)
        and (
            _brings_about(cause, candidate, lines)
            if lines[candidate.first].file != lines[cause.first].file
            else candidate.first > cause.first
            and (
                _later(cause, candidate)
                if cause.signature.stage is not None and candidate.signature.stage is not None
                else candidate.signature.category is not cause.signature.category
            )
        )
    ]
    # An exception that nobody handled is how the others were printed; it is news only where it stands alone.
    own = [one for one in later if one.signature.category is not Category.APPLICATION_ERROR]
    # Of several readings of one line the strongest tells what it is.
    best = {one.first: one for one in sorted(own, key=lambda one: one.score)}
    own = [one for one in own if best[one.first] is one]
    if own or (observations.pipeline and cause.signature.role is Role.VERDICT):
        return tuple(own)
    return tuple(later[:1])


def _elsewhere(
    cause: Candidate,
    explained: tuple[Candidate | None, ...],
    telling: list[Candidate],
    lines: tuple[Line, ...],
) -> tuple[Candidate, ...]:
    """The strongest trouble of each other file that the cause does not explain, in order."""
    known = {one.signature.name for one in (cause, *explained) if one is not None}
    home = {lines[hit.index].file for hit in cause.hits}
    best: dict[str, Candidate] = {}
    for candidate in sorted(telling, key=lambda candidate: -candidate.score):
        if candidate.score < ROOT or candidate.signature.name in known or _brings_about(cause, candidate, lines):
            continue
        for file in dict.fromkeys(lines[hit.index].file for hit in candidate.hits):
            if file not in home and file not in best:
                hits = tuple(hit for hit in candidate.hits if lines[hit.index].file == file)
                best[file] = _narrowed(candidate, hits, lines)
    return tuple(sorted(best.values(), key=lambda candidate: candidate.first))


def _later(first: Candidate, second: Candidate) -> bool:
    stages = first.signature.stage, second.signature.stage
    return stages[0] is not None and stages[1] is not None and stages[0] < stages[1]


def _recovery(cause: Candidate, underlying: Candidate | None, observations: Observations) -> int | None:
    last = max(candidate.hits[-1].index for candidate in (cause, underlying) if candidate is not None)
    return next(
        (note.index for note in observations.notes if note.kind is MarkKind.RECOVERED and note.index > last), None
    )


def _holder(
    cause: Candidate, telling: list[Candidate], observations: Observations, lines: tuple[Line, ...]
) -> Candidate | None:
    """What kept the others waiting, where a line tells it of the process that they waited for."""
    if cause.signature.stage is not Stage.CONTENTION:
        return None
    holders = {note.groups["holder"] for note in observations.noted(MarkKind.HOLDER)}
    for candidate in telling:
        if candidate.signature.stage is not Stage.HOLD:
            continue
        hits = tuple(
            hit
            for hit in candidate.hits
            if not holders or any(f"[{holder}]" in lines[hit.index].text for holder in holders)
        )
        if hits:
            return Candidate(signature=candidate.signature, hits=hits, score=candidate.score, deciding=hits[0])
    return None


def _underlying(
    cause: Candidate, telling: list[Candidate], observations: Observations, lines: tuple[Line, ...]
) -> Candidate | None:
    """The outside trouble that stands in the surroundings of the failure itself and explains it."""
    if cause.signature.role is Role.CAUSE and cause.signature.category not in (
        Category.CONTAINER_BUILD,
        Category.DEPENDENCY_INSTALL,
        Category.KUBERNETES,
    ):
        return None
    # The events of a cluster stand side by side, whatever they are about; only one that says why explains another.
    stated = cause.signature.role is Role.CAUSE and cause.signature.category is Category.KUBERNETES
    passed = [lines[note.index].number for note in observations.noted(MarkKind.TEST_PASSED)]
    numbers = [lines[hit.index].number for hit in cause.hits]
    if cause.signature.category is Category.TEST_FAILURE:
        tests = {note.groups["test"] for note in observations.noted(MarkKind.TEST)}
        if len(tests) > FEW_TESTS:
            return None
        failed = [lines[note.index].number for note in observations.noted(MarkKind.TEST)]
        findings = [lines[note.index].number for note in observations.noted(MarkKind.FINDING)]
        numbers += failed
        numbers += [finding for finding in findings if _with_any(finding, failed, passed, lines[-1].number)]
    best: Candidate | None = None
    for candidate in telling:
        if candidate.signature.category not in _OUTSIDE or candidate.signature.category is cause.signature.category:
            continue
        if _later(cause, candidate):
            continue
        local = tuple(
            hit
            for hit in candidate.hits
            if observations.begin <= hit.index <= observations.end
            and _with_any(lines[hit.index].number, numbers, passed, 0 if stated else LOCAL)
        )
        if local and (best is None or candidate.score > best.score):
            best = Candidate(signature=candidate.signature, hits=local, score=candidate.score, deciding=local[0])
    return best


def _with_any(number: int, others: list[int], passed: list[int], most: int) -> bool:
    """Whether a line stands `most` lines or less from one of `others` and no test of the sorted `passed` between them,
    to which it would belong."""
    for other in others:
        low, high = min(number, other), max(number, other)
        if high - low <= most:
            place = bisect_left(passed, low + 1)
            if place == len(passed) or passed[place] >= high:
                return True
    return False


def _confidence(
    cause: Candidate,
    underlying: Candidate | None,
    telling: list[Candidate],
    observations: Observations,
    lines: tuple[Line, ...],
    overruled: bool,
) -> float:
    """How sure the structure makes us: the cause's own weight, less doubt from rivals and from missing proof."""
    score = cause.score
    confidence = 0.45 + (score - 0.5) * 0.95
    rivals = [
        candidate.score
        for candidate in telling
        if candidate is not cause
        and (underlying is None or candidate.signature is not underlying.signature)
        and not _alike(candidate.signature.category, cause.signature.category)
        and not _reports(candidate, cause, lines)
        and (observations.pipeline or not _brings_about(cause, candidate, lines))
    ]
    rival = max(rivals, default=0.0)
    if rival > score - NEAR:
        confidence -= 0.2
    elif rival > score - 2 * NEAR:
        confidence -= 0.1
    if observations.pipeline:
        confidence -= _doubt_by_place(cause, observations, lines)
    if cause.signature.role is Role.VERDICT and not _proved(cause, observations, lines):
        confidence -= 0.15
    if overruled:
        confidence = min(confidence, 0.65)
    if underlying is not None and not overruled and underlying.signature.stage is not Stage.HOLD:
        confidence -= 0.05
    if not observations.pipeline and any(_brings_about(cause, candidate, lines) for candidate in telling):
        confidence += CASCADE
    return round(min(0.95, max(0.1, confidence)), 2)


def _reports(candidate: Candidate, cause: Candidate, lines: tuple[Line, ...]) -> bool:
    """Whether `candidate` is but the exception by which a program told of `cause`."""
    if candidate.signature.category is not Category.APPLICATION_ERROR:
        return False
    cited = lines[cause.deciding.index]
    return all(
        line.file == cited.file and (line.block == cited.block or abs(line.number - cited.number) <= BESIDE)
        for line in (lines[hit.index] for hit in candidate.hits)
    )


def _proved(cause: Candidate, observations: Observations, lines: tuple[Line, ...]) -> bool:
    """Whether what a tool's verdict rests on stands near it: the findings, or for tests what one of them said."""
    proofs = [MarkKind.TEST, MarkKind.FINDING, MarkKind.VALUES]
    if cause.signature.category is not Category.TEST_FAILURE:
        proofs += [MarkKind.PLACE, MarkKind.COUNTS, MarkKind.LISTED]
    place = lines[cause.deciding.index].number
    return any(abs(lines[note.index].number - place) <= FAR for note in observations.noted(*proofs))


def _doubt_by_place(cause: Candidate, observations: Observations, lines: tuple[Line, ...]) -> float:
    """What it takes from the confidence in a build's cause that it stands far from an end, or not before the first."""
    exits = observations.noted(MarkKind.EXIT)
    if not exits:
        return 0.1
    last = lines[cause.deciding.index].number
    ends = [lines[note.index].number for note in exits]
    if all(not 0 <= end - last <= FAR for end in ends) or cause.deciding.index > exits[0].index:
        return 0.12
    return 0.06 if ends[-1] - last > FAR else 0.0


def _alike(first: Category, second: Category) -> bool:
    return first is second or any({first, second} <= group for group in _ALIKE)
