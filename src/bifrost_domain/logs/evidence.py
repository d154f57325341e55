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
from math import exp, inf, log, sqrt
from operator import mul
from typing import Any, NamedTuple

import re2
from msgspec import Struct

from bifrost_domain.logs.blocks import Block, Kind, is_frame, is_located, is_rule
from bifrost_domain.logs.lines import Level

SHOWN_CHARACTERS = 300
"""A line longer than this is shown with its middle cut out."""
GAP = "..."
REPEATED = 0.8
"""What a line is worth after another one with its key was taken."""
MOST_ALIKE = 12
"""More lines with one key are not shown."""
FAMILIAR = 0.5
"""What a line is worth of which every word was shown already."""
_CARRIED, _SPREAD = 0.6, 0.15

LOUD = frozenset({Level.ERROR, Level.CRITICAL})
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

    critical: float
    error: float
    warning: float
    summary: float
    marker: float
    repeated: float
    traceback: float
    assertion: float
    diff: float
    diagnostic: float
    record: float
    error_in_block: float
    just_before_marker: float
    shortly_before_marker: float
    well_before_marker: float
    first_marker: float
    after_markers: float
    after_error: float
    before_error: float
    near_end: float
    first_of_kind: float
    only_error: float
    first_errors: float
    command: float
    passed: float
    frame: float
    indented: float
    length: float
    ruled: float
    verdict: float
    failed: float
    error_near_marker: float
    error_at_first_marker: float
    repeated_error: float
    after_verdict: float
    before_verdict: float
    located: float


_BIAS = -4.76
_COEFFICIENTS = Signs(
    critical=-0.02,
    error=-0.36,
    warning=-0.15,
    summary=-0.47,
    marker=-1.3,
    repeated=0.2,
    traceback=0.01,
    assertion=-0.17,
    diff=2.72,
    diagnostic=1.72,
    record=-0.13,
    error_in_block=0.76,
    just_before_marker=0.08,
    shortly_before_marker=1.75,
    well_before_marker=1.49,
    first_marker=0.16,
    after_markers=1.33,
    after_error=1.88,
    before_error=2.43,
    near_end=0.58,
    first_of_kind=0.42,
    only_error=-0.06,
    first_errors=-0.23,
    command=0.03,
    passed=-0.28,
    frame=0.05,
    indented=1.07,
    length=0.83,
    ruled=0.01,
    verdict=-0.19,
    failed=0.62,
    error_near_marker=-1.05,
    error_at_first_marker=-0.08,
    repeated_error=-0.74,
    after_verdict=1.59,
    before_verdict=1.39,
    located=0.39,
)
"""Log-odds of each sign, by ridge regression on the lines that people marked in LogChunks (C. Brandt et al., MSR 2020,
doi 10.5281/zenodo.3632351) and in eight cases of LogDx-CI. Signs and constants were chosen on the same logs:
expect less on unseen ones."""


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
    distances, order = _before_markers(texts, markers)
    after, before = _around([level in LOUD for level in levels])
    verdicts = [_is_verdict(text) for text in texts]
    after_verdict, before_verdict = _around(verdicts)
    left = sum(map(len, texts)) + total
    seen: set[str] = set()
    errors = 0
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
        errors += error and new
        distance = distances[place]
        found.append(
            Signs(
                critical=level is Level.CRITICAL,
                error=error,
                warning=level is Level.WARNING,
                summary=is_summary(text),
                marker=markers[place],
                repeated=min(2.0, log(reading.counts[place]) / 3),
                traceback=kind is Kind.TRACEBACK,
                assertion=kind is Kind.ASSERTION,
                diff=kind is Kind.DIFF,
                diagnostic=kind is Kind.DIAGNOSTIC,
                record=kind in (Kind.RECORD, Kind.JSON),
                error_in_block=loud[place],
                just_before_marker=exp(-distance / 300),
                shortly_before_marker=exp(-distance / 1500),
                well_before_marker=exp(-distance / 8000),
                first_marker=order[place] == 1,
                after_markers=order[place] == 0,
                after_error=after[place],
                before_error=before[place],
                near_end=exp(-left / 1500),
                first_of_kind=new,
                only_error=error and reading.counts[place] == 1,
                first_errors=error and errors <= 3,
                command=stripped.startswith(("$ ", "> ", "+ ")),
                passed=_passes(stripped),
                frame=is_frame(stripped),
                indented=text[0] in " \t",
                length=min(1.0, len(stripped) / 300),
                ruled=is_rule(stripped),
                verdict=verdicts[place],
                failed="ailed" in text or "ailure" in text,
                error_near_marker=error * exp(-distance / 3000),
                error_at_first_marker=error and order[place] == 1,
                repeated_error=error * min(2.0, log(reading.counts[place]) / 3),
                after_verdict=after_verdict[place],
                before_verdict=before_verdict[place],
                located=is_located(stripped),
            )
        )
    return found


def weigh(reading: Reading) -> list[float]:
    """A weight for each line, 0 and up: how likely a person would point at it, or at the lines around it."""
    chances = [
        None if sign is None else 1 / (1 + exp(-_BIAS - sum(map(mul, sign, _COEFFICIENTS)))) for sign in signs(reading)
    ]
    texts = reading.texts
    for place in range(2, len(texts)):
        if texts[place] == texts[place - 1] == texts[place - 2]:
            chances[place] = None
    weights = [chance or 0.0 for chance in chances]
    for places in (range(len(chances)), range(len(chances) - 1, -1, -1)):
        carried = 0.0
        for place in places:
            if (chance := chances[place]) is not None:
                weights[place] += _SPREAD * carried
                carried = _CARRIED * (carried + chance)
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


def _before_markers(texts: Sequence[str], markers: Sequence[bool]) -> tuple[list[float], list[int]]:
    """Characters from each line to the next marker, and which marker that is from 1 on; 0 behind the last one.

    Markers close together are one.
    """
    distances, order = [inf] * len(texts), [0] * len(texts)
    groups = 0
    last = -10
    for place, marks in enumerate(markers):
        if marks:
            groups += place - last > 10
            last = place
        order[place] = groups + (not marks or place - last > 10)
    final = groups
    distance = inf
    for place in range(len(texts) - 1, -1, -1):
        if markers[place]:
            distance = 0.0
        distances[place] = distance
        distance += len(texts[place]) + 1
        if order[place] > final:
            order[place] = 0
    return distances, order


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
    density = [weight / sqrt(cost) for weight, cost in zip(weights, costs, strict=True)]
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
        cost = costs[place] + gap - gap * (before + after)
        if cost > room:
            continue
        room -= cost
        taken.add(place)
        shown_keys[keys[place]] = times + 1
        known |= words
    return taken


@cache
def _word_break() -> re.Pattern[str]:
    return re.compile(r"[^\w.:/-]+")
