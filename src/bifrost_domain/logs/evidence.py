"""Which lines of a log tell why it failed: every line gets a weight, and a budget is filled with the weightiest.

`weigh` looks at one file's lines in order: how loud each is, how rare, whether it belongs to a traceback, a diff or a
test report, and how near it stands before the place where a step gave up. `select` then covers as much weight as the
budget allows; a line like one that was already taken is worth less each time, and gaps are paid for.
"""

import heapq
from collections.abc import Sequence
from functools import cache
from math import exp, log
from typing import Any

import re2
from msgspec import Struct

from bifrost_domain.logs.blocks import Block, Kind, is_frame, is_rule
from bifrost_domain.logs.lines import Level

SHOWN_CHARACTERS = 300
"""A line longer than this is shown with its middle cut out."""
GAP = "..."
REPEATED = 0.6
"""What a line is worth after another one like it was taken."""

_MARKERS = ("##[error]", "make: ***", "make[", "BUILD FAIL", "Build failed", "FAILURE: Build", "rake aborted", "npm ERR!")


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
        r"(?i)\b[1-9]\d* (?:(?:tests?|examples?|specs?|suites?|scenarios?|assertions?|targets?|tasks?|jobs?|checks?|files?) )?"
        r"(?:failed|failures?|failing|errors?|problems?|offenses|violations)\b"
        r"|\b(?:failed|failures?|errors?)[:=] *[1-9]|\b[1-9]\d* of \d+ [a-z ]{0,24}failed"
    )


def is_summary(text: str) -> bool:
    """Whether a line counts failures: `3 failed, 120 passed`, `Found 279 errors in 9 files`, `Failures: 2`."""
    lowered = text.lower()
    if not any(word in lowered for word in ("fail", "error", "problem", "offense", "violation")):
        return False
    return _failures().search(text) is not None


def weigh(reading: Reading) -> list[float]:
    """A weight for each line, 0 and up; only ratios mean something."""
    texts, levels = reading.texts, reading.levels
    total = len(texts)
    weights = [0.0] * total
    for place in range(total):
        text = texts[place]
        if not text or text.isspace() or is_rule(text.strip()):
            continue
        level = levels[place]
        weight = 6.0 if level is Level.CRITICAL else 5.0 if level is Level.ERROR else 1.0 if level is Level.WARNING else 0.3
        if is_summary(text):
            weight += 4.0
        weights[place] = weight / (1.0 + log(reading.counts[place]))
    for block in reading.blocks:
        bonus = 2.0 if block.kind in (Kind.TRACEBACK, Kind.ASSERTION, Kind.DIFF, Kind.DIAGNOSTIC) else 0.0
        if block.end - block.start > 1:
            best = max(weights[block.start : block.end])
            for place in range(block.start, block.end):
                if weights[place]:
                    weights[place] = max(weights[place], best * 0.6) + bonus
    _approach(reading, weights)
    _context(weights)
    return weights


def _approach(reading: Reading, weights: list[float]) -> None:
    """What stands shortly before the place where a step gave up is likely why."""
    texts = reading.texts
    markers: list[int] = []
    ended: list[int] = []
    for place, text in enumerate(texts):
        status = exit_status(text)
        if (status is not None and status != 0) or any(mark in text for mark in _MARKERS):
            markers.append(place)
        elif status == 0:
            ended.append(place)
    strength = 6.0
    previous = -1
    for marker in markers[:20]:
        weights[marker] += strength * 0.5
        distance = 0
        for place in range(marker - 1, max(previous, marker - 2000), -1):
            distance += len(texts[place]) + 1
            if weights[place]:
                weights[place] += strength * exp(-distance / 1500)
            if distance > 12000:
                break
        if previous < 0 or marker - previous > 5:
            strength *= 0.6
        previous = marker


def _context(weights: list[float]) -> None:
    """A line next to a weighty one gains from it, more so after it than before."""
    carried = 0.0
    for place in range(len(weights)):
        if weights[place]:
            weights[place] = max(weights[place], carried)
        carried = max(carried, weights[place]) * 0.75
    carried = 0.0
    for place in range(len(weights) - 1, -1, -1):
        if weights[place]:
            weights[place] = max(weights[place], carried)
        carried = max(carried, weights[place]) * 0.6


def shown(text: str, limit: int = SHOWN_CHARACTERS) -> str:
    """`text`, cut in its middle with a mark where it is longer than `limit` characters."""
    if len(text) <= limit:
        return text
    mark = f" ...[{len(text) - limit} characters]... "
    return text[: limit // 2] + mark + text[len(text) - limit + limit // 2 :]


def select(
    keys: Sequence[str],
    weights: Sequence[float],
    costs: Sequence[int],
    joined: Sequence[bool],
    room: int,
    gap: int,
) -> set[int]:
    """Indices of the lines to show: the most weight within `room`, which `costs` and `gap` share the unit of.

    `joined[i]`: line `i` directly follows line `i - 1`, so that no gap is marked between them. Each line taken makes
    the others with its key worth less.
    """
    taken: set[int] = set()
    seen: dict[str, int] = {}
    total = len(weights)
    queue = [(-weights[i] / max(1, costs[i]) ** 0.5, i, 0) for i in range(total) if weights[i] > 0]
    heapq.heapify(queue)
    while queue and room > 0:
        value, place, known = heapq.heappop(queue)
        times = seen.get(keys[place], 0)
        if times > known:
            heapq.heappush(queue, (value * REPEATED ** (times - known), place, times))
            continue
        before = joined[place] and place - 1 in taken
        after = place + 1 < total and joined[place + 1] and place + 1 in taken
        cost = costs[place] + gap - gap * (before + after)
        if cost > room:
            continue
        room -= cost
        taken.add(place)
        seen[keys[place]] = times + 1
    return taken
