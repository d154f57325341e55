"""From observations to a verdict: what failed first, what explains it, what only followed, and how sure that is."""

from math import log2

from msgspec import Struct

from bifrost_domain.diagnosis.observing import Hit, Observations
from bifrost_domain.diagnosis.signature import MarkKind, Role, Signature
from bifrost_domain.logs.lines import Level, Line
from bifrost_domain.report import Category

TELLING = 0.4
"""The least score a line needs to name a cause; below it the analyst abstains."""
NEAR = 0.08
"""Candidates this close are rivals. In a service's log the earlier of them is the cause; a build's verdicts stand at
its end, whatever came first, so that there only equals are decided by their order."""
EQUAL = 0.02
LOCAL = 45
"""So many lines of the original around a failure count as its surroundings."""
FAR = 150
"""Lines of the original after which the link between a cause and the end of a step is only likely."""
LOUD = frozenset({Level.ERROR, Level.CRITICAL})
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
_ALIKE = (
    {Category.LINT_FAILURE, Category.FORMATTING_FAILURE},
    {Category.COMPILE_ERROR, Category.TYPE_ERROR},
    {Category.NETWORK, Category.DNS, Category.TLS, Category.TIMEOUT, Category.RATE_LIMIT},
    {Category.OUT_OF_MEMORY, Category.KUBERNETES, Category.CRASH},
)


class Candidate(Struct, frozen=True, kw_only=True):
    """All hits of one signature that stand near its best score, in order."""

    signature: Signature
    hits: tuple[Hit, ...]
    score: float

    @property
    def first(self) -> int:
        return self.hits[0].index


class Finding(Struct, frozen=True, kw_only=True):
    """The result: `cause` is None where the log does not tell. `underlying` is what lies beneath the
    cause, `others` are tools that reject the same thing, `followed` is what came of it."""

    category: Category
    confidence: float
    cause: Candidate | None = None
    underlying: Candidate | None = None
    others: tuple[Candidate, ...] = ()
    followed: tuple[Candidate, ...] = ()
    failed: bool = False
    recovered: bool = False


def conclude(observations: Observations, lines: tuple[Line, ...]) -> Finding:
    """The most likely first cause among everything the catalogue recognised."""
    candidates = _candidates(observations)
    exits = observations.noted(MarkKind.EXIT)
    errors = [index for index, line in enumerate(lines) if line.level in LOUD]
    telling = [candidate for candidate in candidates if candidate.score >= TELLING]
    if not telling:
        return _silence(observations, bool(exits), len(errors))

    tie = EQUAL if observations.pipeline else NEAR
    strongest = max(telling, key=lambda candidate: candidate.score)
    cause = min(
        (candidate for candidate in telling if candidate.score > strongest.score - tie),
        key=lambda candidate: (candidate.first, -candidate.score),
    )
    underlying = _underlying(cause, telling, observations, lines)
    category = cause.signature.category
    overruled = (
        underlying is not None
        and underlying.signature.category in _OVERRULES
        and category in (Category.TEST_FAILURE, Category.DEPENDENCY_INSTALL)
    )
    if underlying is not None and overruled:
        category = underlying.signature.category
    followed = tuple(
        candidate
        for candidate in sorted(telling, key=lambda candidate: candidate.first)
        if candidate.first > cause.first
        and candidate is not underlying
        and candidate.signature.category is not cause.signature.category
    )
    others = tuple(
        candidate
        for candidate in telling
        if candidate is not cause
        and candidate.signature.category is cause.signature.category
        and candidate.signature.role is Role.VERDICT
        and candidate.score > cause.score - 2 * NEAR
    )
    recovered = not observations.pipeline and any(
        note.kind is MarkKind.RECOVERED and note.index > cause.hits[-1].index for note in observations.notes
    )
    return Finding(
        category=category,
        confidence=_confidence(cause, underlying, telling, observations, lines, overruled),
        cause=cause,
        underlying=underlying,
        others=others[:2],
        followed=followed[:3],
        failed=True,
        recovered=recovered,
    )


def _silence(observations: Observations, failed: bool, errors: int) -> Finding:
    """No line names a cause: either nothing is wrong, or the log does not say what is."""
    if failed or errors:
        return Finding(category=Category.UNKNOWN, confidence=0.2, failed=True)
    weak = any(hit.score > TELLING / 2 for hit in observations.hits)
    healthy = any(note.kind is MarkKind.HEALTHY for note in observations.notes)
    return Finding(category=Category.NONE, confidence=0.5 if weak else 0.8 if healthy else 0.65)


def _candidates(observations: Observations) -> list[Candidate]:
    grouped: dict[str, list[Hit]] = {}
    for hit in observations.hits:
        grouped.setdefault(hit.signature.name, []).append(hit)
    proven = bool(observations.noted(MarkKind.VALUES, MarkKind.FINDING))
    candidates = []
    for hits in grouped.values():
        signature = hits[0].signature
        best = max(hit.score for hit in hits)
        near = tuple(hit for hit in hits if hit.score > best - NEAR)
        score = best + min(0.03, 0.01 * log2(len(near)))
        if proven and signature.category is Category.TEST_FAILURE and signature.role is Role.VERDICT:
            score += 0.05
        candidates.append(Candidate(signature=signature, hits=near, score=score))
    return candidates


def _underlying(
    cause: Candidate, telling: list[Candidate], observations: Observations, lines: tuple[Line, ...]
) -> Candidate | None:
    """The outside trouble that stands in the surroundings of the failure itself and explains it."""
    if cause.signature.role is Role.CAUSE and cause.signature.category not in (
        Category.CONTAINER_BUILD,
        Category.DEPENDENCY_INSTALL,
    ):
        return None
    numbers = [lines[hit.index].number for hit in cause.hits]
    if cause.signature.category is Category.TEST_FAILURE:
        tests = {note.groups["test"] for note in observations.noted(MarkKind.TEST)}
        if len(tests) > FEW_TESTS:
            return None
        numbers += [lines[note.index].number for note in observations.noted(MarkKind.TEST, MarkKind.FINDING)]
    best: Candidate | None = None
    for candidate in telling:
        if candidate.signature.category not in _OUTSIDE or candidate.signature.category is cause.signature.category:
            continue
        local = tuple(
            hit
            for hit in candidate.hits
            if observations.begin <= hit.index <= observations.end
            and any(abs(lines[hit.index].number - number) <= LOCAL for number in numbers)
        )
        if local and (best is None or candidate.score > best.score):
            best = Candidate(signature=candidate.signature, hits=local, score=candidate.score)
    return best


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
    ]
    rival = max(rivals, default=0.0)
    if rival > score - NEAR:
        confidence -= 0.2
    elif rival > score - 2 * NEAR:
        confidence -= 0.1
    if observations.pipeline and not observations.noted(MarkKind.EXIT):
        confidence -= 0.1
    elif observations.pipeline and _far(cause, observations, lines):
        confidence -= 0.12
    if cause.signature.role is Role.VERDICT and not observations.noted(
        MarkKind.TEST, MarkKind.FINDING, MarkKind.VALUES, MarkKind.PLACE, MarkKind.COUNTS, MarkKind.LISTED
    ):
        confidence -= 0.15
    if overruled:
        confidence = min(confidence, 0.65)
    if underlying is not None and not overruled:
        confidence -= 0.05
    return round(min(0.95, max(0.1, confidence)), 2)


def _far(cause: Candidate, observations: Observations, lines: tuple[Line, ...]) -> bool:
    """Whether much was printed between the last line of the cause and the end it is to explain."""
    last = lines[cause.hits[-1].index].number
    ends = [lines[note.index].number for note in observations.noted(MarkKind.EXIT)]
    return all(not 0 <= end - last <= FAR for end in ends)


def _alike(first: Category, second: Category) -> bool:
    return first is second or any({first, second} <= group for group in _ALIKE)
