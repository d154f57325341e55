"""Which lines of a log tell why it failed: every line gets a weight, and a budget is filled with the weightiest.

`weigh` looks at one file's lines in order: how loud each is, how rare, whether it belongs to a traceback, a diff or a
test report, and how near it stands before the place where a step gave up. `select` then covers as much weight as the
budget allows; a line like one that was already taken is worth less each time, and gaps are paid for.
"""

import heapq
import re
from collections import Counter
from collections.abc import Sequence
from functools import cache
from math import exp, inf, log
from operator import mul
from typing import Any, NamedTuple

import re2
from msgspec import Struct

from bifrost_domain.logs.blocks import Block, Kind, is_located
from bifrost_domain.logs.lines import Level

SHOWN_CHARACTERS = 300
"""A line longer than this is shown with its middle cut out."""
GAP = "..."
REPEATED = 0.45
"""What a line is worth after another one with its key was taken."""
MOST_ALIKE = 12
"""More lines with one key are not shown."""
FAMILIAR = 0.5
"""What a line is worth of which every word was shown already."""
_CARRIED, _SPREAD = 0.45, 0.15
"""How much of a chance goes on from line to line, and how much of what comes by counts."""
_LENGTH = 0.35
"""A line's weight is divided by this power of its length: 0 disregards length, 1 looks for weight a character."""

LOUD = frozenset({Level.ERROR, Level.CRITICAL})
_ALARMING = LOUD | {Level.WARNING}
_MARKERS = (
    "##[error]",
    "make: ***",
    "make[",
    "BUILD FAIL",
    "Build failed",
    "FAILURE: Build",
    "rake aborted",
    "npm ERR!",
)


class Reading(Struct, frozen=True, kw_only=True):
    """One file's retained lines in parallel sequences; `keys` are their texts with digits folded, `counts` how often
    such a text occurs in the whole file. `numbers` may have gaps."""

    numbers: Sequence[int]
    texts: Sequence[str]
    levels: Sequence[Level]
    keys: Sequence[str]
    counts: Sequence[int]
    blocks: Sequence[Block]


@cache
def _exit_status() -> Any:
    return re2.compile(
        r"(?i)\bexit(?:ed|ing)?(?:[ _-]?(?:with|code|status|value))*[ :=(]+(?:code |status )?(-?\d+)"
        r"|\b(?:return(?:ed)?|error) (?:code|status)[ :=]+(-?\d+)|\bError (\d+)$|\((?:code|exit) (\d+)\)"
    )


def exit_status(text: str) -> int | None:
    """The exit status that a line reports, None where it reports none."""
    lowered = text.lower()
    if "exit" not in lowered and "error" not in lowered and "code" not in lowered:
        return None
    found = _exit_status().search(text)
    if found is None:
        return None
    number = next(group for group in found.groups() if group is not None)
    return int(number) if len(number) < 12 else None


@cache
def _failures() -> Any:
    return re2.compile(
        r"(?i)\b[1-9]\d* (?:(?:test|example|spec|suite|scenario|assertion|target|task|job|check|file)s? )?"
        r"(?:failed|failures?|failing|errors?|problems?|offenses|violations)\b"
        r"|\b(?:failed|failures?|errors?)[:=] *[1-9]|\b[1-9]\d* of \d+ [a-z ]{0,24}failed"
    )


def is_summary(text: str) -> bool:
    """Whether a line counts failures: `3 failed, 120 passed`, `Found 279 errors in 9 files`, `Failures: 2`."""
    if not any(map(text.lower().__contains__, ("fail", "error", "problem", "offense", "violation"))):
        return False
    return _failures().search(text) is not None


class Signs(NamedTuple):
    """What speaks for or against one line, each sign from 0 to about 1."""

    error: float
    warning: float
    summary: float
    marker: float
    repeated: float
    assertion: float
    diff: float
    diagnostic: float
    error_in_block: float
    shortly_before_marker: float
    well_before_marker: float
    shortly_before_first: float
    in_failing_step: float
    in_first_failing_step: float
    after_markers: float
    after_error: float
    before_error: float
    near_end: float
    first_of_kind: float
    passed: float
    indented: float
    length: float
    verdict: float
    failed: float
    error_near_marker: float
    repeated_error: float
    after_verdict: float
    before_verdict: float
    located: float


_BIAS = -5.47
_COEFFICIENTS = Signs(
    error=-0.23,
    warning=-0.24,
    summary=-0.38,
    marker=-1.27,
    repeated=0.17,
    assertion=-0.36,
    diff=2.25,
    diagnostic=1.54,
    error_in_block=0.78,
    shortly_before_marker=1.01,
    well_before_marker=1.15,
    shortly_before_first=0.71,
    in_failing_step=1.7,
    in_first_failing_step=0.59,
    after_markers=2.27,
    after_error=1.55,
    before_error=1.9,
    near_end=0.68,
    first_of_kind=0.43,
    passed=-0.62,
    indented=0.61,
    length=0.28,
    verdict=-0.1,
    failed=0.59,
    error_near_marker=-1.01,
    repeated_error=-0.64,
    after_verdict=1.34,
    before_verdict=1.29,
    located=0.42,
)
"""Log-odds of each sign, by ridge regression on the lines that people marked in LogChunks (C. Brandt et al., MSR 2020,
doi 10.5281/zenodo.3632351) and in eight cases of LogDx-CI. `benchmarks/digest/fit.py` computes them, and what they are
worth on repositories they were not fitted on."""


def signs(reading: Reading) -> list[Signs | None]:
    """The signs of each line; None for a blank one."""
    texts, levels = reading.texts, reading.levels
    total = len(texts)
    kinds, loud = [Kind.LINE] * total, [False] * total
    for block in reading.blocks:
        if block.end - block.start > 1:
            alarming = any(map(LOUD.__contains__, levels[block.start : block.end]))
            for place in range(block.start, block.end):
                kinds[place], loud[place] = block.kind, alarming
        else:
            kinds[block.start] = block.kind
    markers = [_fails(text) for text in texts]
    distances, order, step = _before_markers(texts, markers)
    after, before = _around([level in LOUD for level in levels])
    verdicts = [_is_verdict(text) for text in texts]
    after_verdict, before_verdict = _around(verdicts)
    left = sum(map(len, texts)) + total
    seen: set[str] = set()
    found: list[Signs | None] = []
    for place, text in enumerate(texts):
        left -= len(text) + 1
        stripped = text.strip()
        if not stripped:
            found.append(None)
            continue
        level, kind, key = levels[place], kinds[place], reading.keys[place]
        new = key not in seen
        seen.add(key)
        error = level in LOUD
        distance, first = distances[place], order[place] == 1
        found.append(
            Signs(
                error=error,
                warning=level is Level.WARNING,
                summary=is_summary(text),
                marker=markers[place],
                repeated=min(2.0, log(reading.counts[place]) / 3),
                assertion=kind is Kind.ASSERTION,
                diff=kind is Kind.DIFF,
                diagnostic=kind is Kind.DIAGNOSTIC,
                error_in_block=loud[place],
                shortly_before_marker=exp(-distance / 1500),
                well_before_marker=exp(-distance / 8000),
                shortly_before_first=first and exp(-distance / 1500),
                in_failing_step=step[place],
                in_first_failing_step=first and step[place],
                after_markers=order[place] == 0,
                after_error=after[place],
                before_error=before[place],
                near_end=exp(-left / 1500),
                first_of_kind=new,
                passed=_passes(stripped),
                indented=text[0] in " \t",
                length=min(1.0, len(stripped) / 300),
                verdict=verdicts[place],
                failed="ailed" in text or "ailure" in text,
                error_near_marker=error * exp(-distance / 3000),
                repeated_error=error * min(2.0, log(reading.counts[place]) / 3),
                after_verdict=after_verdict[place],
                before_verdict=before_verdict[place],
                located=is_located(stripped),
            )
        )
    return found


def weigh(reading: Reading) -> list[float]:
    """A weight for each line, 0 and up: how likely a person would point at it, or at the lines around it."""
    return spread(
        reading,
        [
            None if sign is None else 1 / (1 + exp(-_BIAS - sum(map(mul, sign, _COEFFICIENTS))))
            for sign in signs(reading)
        ],
    )


def spread(reading: Reading, chances: Sequence[float | None]) -> list[float]:
    """The weight of each line by its own chance and a share of those around it; None is the chance of a blank line.

    The first of the warnings or errors with one key and one surrounding is worth what the best of them is, so that it
    stands for them: what a reader wants to know is when it began. Of a run of equal lines the first two count.
    """
    texts, keys = reading.texts, reading.keys
    own = list(chances)
    for place in range(2, len(texts)):
        if texts[place] == texts[place - 1] == texts[place - 2]:
            own[place] = None
    weights = [chance or 0.0 for chance in own]
    for places in (range(len(own)), range(len(own) - 1, -1, -1)):
        carried = 0.0
        for place in places:
            if (chance := own[place]) is not None:
                weights[place] += _SPREAD * carried
                carried = _CARRIED * (carried + chance)
    firsts: dict[tuple[str, str, str], int] = {}
    for place, alike in enumerate(zip(["", *keys], keys, [*keys[1:], ""], strict=False)):
        if reading.levels[place] in _ALARMING:
            first = firsts.setdefault(alike, place)
            weights[first] = max(weights[first], weights[place])
    return weights


def _fails(text: str) -> bool:
    """Whether a line says that a step gave up."""
    status = exit_status(text)
    if status is not None:
        return status != 0
    return any(mark in text for mark in _MARKERS)


_VERDICTS = ("FAIL", "ERROR", "not ok", "***", "xpected", "ssert", *"\u2715\u2716\u2717\u2718\u274c\u25cf\u00d7")


def _is_verdict(text: str) -> bool:
    """Whether a line says that one thing failed, or what was expected of it."""
    return any(map(text.__contains__, _VERDICTS)) or text.lstrip().startswith("E  ")


def _passes(stripped: str) -> bool:
    return stripped.startswith(_PASSED) or stripped.endswith(_PASSED_END)


_PASSED = (
    "ok ",
    "PASS",
    "\u2713",
    "\u2714",
    "\u221a",
    "[info]",
    "[INFO]",
    "INFO",
    "--- PASS",
    "Downloading",
    "Installing",
    "Get:",
)
_PASSED_END = (" ok", " PASSED", " OK", " passed", " yes", " done", " PASS")


_STEPS = ("$ ", "##[group]", "##[command]", "[Pipeline] ")
"""How a line opens with which a runner says what it does next."""


def _before_markers(texts: Sequence[str], markers: Sequence[bool]) -> tuple[list[float], list[int], list[bool]]:
    """Characters from each line to the next marker; which marker that is from 1 on, 0 behind the last one; and whether
    no step starts between the two.

    Markers close together are one.
    """
    distances, order, step = [inf] * len(texts), [0] * len(texts), [False] * len(texts)
    groups = 0
    last = -10
    for place, marks in enumerate(markers):
        if marks:
            groups += place - last > 10
            last = place
        order[place] = groups + (not marks or place - last > 10)
    final = groups
    distance = inf
    failing = False
    for place in range(len(texts) - 1, -1, -1):
        if markers[place]:
            distance, failing = 0.0, True
        distances[place], step[place] = distance, failing
        distance += len(texts[place]) + 1
        failing = failing and not texts[place].startswith(_STEPS)
        if order[place] > final:
            order[place] = 0
    return distances, order, step


def _around(flags: Sequence[bool]) -> tuple[list[float], list[float]]:
    """How near each line is behind, and in front of, a flagged one: 1 on it, less with each line."""
    sides: list[list[float]] = []
    for places in (range(len(flags)), range(len(flags) - 1, -1, -1)):
        near = [0.0] * len(flags)
        carried = 0.0
        for place in places:
            carried = 1.0 if flags[place] else carried * 0.8
            near[place] = carried
        sides.append(near)
    return sides[0], sides[1]


def shown(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """`text` without a part of its middle, which a mark stands for, where it is longer than `limit` characters.

    Two thirds of what is kept are the start: it says what happened, the end to what.
    """
    if len(text) <= limit:
        return text
    mark = f" ...[{len(text) - limit} characters]... "
    head = limit * 2 // 3
    return text[:head] + mark + text[len(text) - limit + head :]


def cost(number: int, text: str) -> int:
    """Characters that a line takes in a digest, its number and line end included; one beyond ASCII counts as the token
    that it mostly is."""
    ascii_cost = len(str(number)) + 3 + min(len(text), SHOWN_CHARACTERS + 32)
    return ascii_cost if text.isascii() else ascii_cost + round(1.6 * sum(map("\x7f".__lt__, shown(text))))


def select(
    keys: Sequence[str],
    weights: Sequence[float],
    costs: Sequence[int],
    joined: Sequence[bool],
    room: int,
    gap: int,
) -> set[int]:
    """Indices of the lines to show: the most weight within `room`, which `costs` and `gap` share the unit of.

    `joined[i]`: line `i` directly follows line `i - 1`, so that no gap is marked between them. The value of a line
    falls with every word and every key that was shown before and never rises, so the greedy choice can be lazy
    (M. Minoux, Accelerated greedy algorithms for maximizing submodular set functions, 1978): the first in the queue
    is taken unless its value fell by a tenth since it was queued, which bounds how often a line is looked at.
    """
    taken: set[int] = set()
    known: set[str] = set()
    shown_keys: Counter[str] = Counter()
    density = [weight / cost**_LENGTH for weight, cost in zip(weights, costs, strict=True)]
    queue = [(-value, place) for place, value in enumerate(density) if value > 0]
    heapq.heapify(queue)
    least = min(costs, default=0)
    split = _word_break().split
    while queue and room >= least:
        value, place = heapq.heappop(queue)
        times = shown_keys[keys[place]]
        if times >= MOST_ALIKE:
            continue
        words = set(split(keys[place]))
        novelty = len(words - known) / len(words)
        worth = density[place] * (FAMILIAR + (1 - FAMILIAR) * novelty) * REPEATED**times
        if worth < -value * 0.9:
            heapq.heappush(queue, (-worth, place))
            continue
        before = joined[place] and place - 1 in taken
        after = place + 1 < len(joined) and joined[place + 1] and place + 1 in taken
        price = costs[place] + gap - gap * (before + after)
        if price > room:
            continue
        room -= price
        taken.add(place)
        shown_keys[keys[place]] = times + 1
        known |= words
    return taken


@cache
def _word_break() -> re.Pattern[str]:
    return re.compile(r"[^\w.:/-]+")
