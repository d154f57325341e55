"""What is counted of a log's lines and kept of its middle, a block at a time, in bounded memory.

Every line is counted under its digit-folded text, in a few passes that run in C. Around the first lines of each
alarming sort a window of raw lines is kept. A `Tally` is a monoid: parts of a log can be tallied apart, in other
processes too, and merged.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import accumulate
from math import log
from typing import Any

import re2
from msgspec import Struct

KEYS = 100_000
"""The most sorts of lines that are counted at once."""
KEY_BYTES = 16 << 20
KEPT = 4
"""One in so many is kept when there are too many."""
WINDOWS = 3 << 19
"""What the windows may cost, by `size`."""
BEFORE, AFTER = 10, 20
"""Lines kept around an alarming one."""
WINDOW_LINES = 400
WINDOWS_EACH = 2
"""A sort of line that alarmed this often opens no more windows."""

FOLD = bytes.maketrans(b"123456789", b"000000000")

_ALARMS: dict[bytes, float] = {
    word: value
    for value, words in (
        (4.0, b"fatal|panic|traceback|##[error]|exited with|exit code|out of memory|segmentation"),
        (3.0, b"error|exception|fail|critical|caused by|abort|killed|core dumped"),
        (2.0, b"refused|denied|timed out|timeout|cannot|unable|not found|undefined|invalid"),
        (1.0, b"warn"),
    )
    for word in words.split(b"|")
}
"""How alarming a line with this word is, before anything else of it is known."""
_SMALL = frozenset(b"abcdefghijklmnopqrstuvwxyz")


class Window(Struct, frozen=True):
    """Consecutive raw lines, the first of them numbered `first`; `keys` are the sorts of lines that opened it."""

    first: int
    raw: bytes
    keys: tuple[bytes, ...]


class Sort(Struct, frozen=True):
    """A sort of line: one raw line of it, how often it occurred, and where first and last."""

    raw: bytes
    count: int
    first: int
    last: int


class Tally:
    """Counts, first and last numbers of the sorts of lines, and windows around the alarming ones.

    When there are more than `KEYS` sorts or `KEY_BYTES` of them, the commonest quarter stays, of equally common ones
    those seen last; the others are forgotten, and one that comes back counts as new. With `exemplars` a raw line of
    each sort is kept, and what is forgotten is put into `forgotten` for the caller to take.
    """

    def __init__(self, *, exemplars: bool = False) -> None:
        self.counts: Counter[bytes] = Counter()
        self.firsts: dict[bytes, int] = {}
        self.lasts: dict[bytes, int] = {}
        self.exemplars: dict[bytes, bytes] | None = {} if exemplars else None
        self.forgotten: list[Sort] = []
        self.windows: list[Window] = []
        self._alarms: dict[bytes, float] = {}
        self._opened: Counter[bytes] = Counter()
        self._size = 0
        self._window_size = 0

    def add(self, first: int, block: bytes, *, windows: bool = True) -> None:
        """Count the whole lines of `block`, the first of them numbered `first`; open windows where asked to."""
        keys = _keys(block)
        numbers = range(first, first + len(keys))
        distinct = set(keys)
        new = distinct.difference(self.firsts)
        if len(distinct) == 1:
            self.lasts[keys[0]] = numbers[-1]
            self.firsts.setdefault(keys[0], first)
        else:
            self.lasts.update(zip(keys, numbers, strict=True))
            if len(new) == len(keys):
                self.firsts.update(zip(keys, numbers, strict=True))
            elif new:
                firsts = dict(zip(reversed(keys), reversed(numbers), strict=True))
                self.firsts.update(zip(new, map(firsts.__getitem__, new), strict=True))
        self.counts.update(keys)
        if new:
            self._size += len(block) if len(new) == len(keys) else sum(map(len, new))
            self._alarms.update(_alarms_of(list(new)))
            if self.exemplars is not None:
                raws = block.split(b"\n")
                self.exemplars.update((key, raws[self.firsts[key] - first]) for key in new)
        if windows:
            self._open(first, block, keys, distinct)
        self._bound()

    def merge(self, other: "Tally", shift: int = 0) -> None:
        """Take in what `other` counted of other lines of the same log; its numbers are `shift` too low."""
        for key, count in other.counts.items():
            if key not in self.firsts:
                self.firsts[key] = other.firsts[key] + shift
                self.lasts[key] = other.lasts[key] + shift
                self._size += len(key)
            else:
                self.firsts[key] = min(self.firsts[key], other.firsts[key] + shift)
                self.lasts[key] = max(self.lasts[key], other.lasts[key] + shift)
            self.counts[key] += count
        self._alarms |= other._alarms
        if self.exemplars is not None and other.exemplars is not None:
            self.exemplars = other.exemplars | self.exemplars
        self.forgotten += [
            Sort(line.raw, line.count, line.first + shift, line.last + shift) for line in other.forgotten
        ]
        for window in other.windows:
            keys = _keys(window.raw)
            self._open(window.first + shift, window.raw, keys, set(keys))
        self._bound()

    def known(self) -> list[Sort]:
        """The sorts that are counted now; without `exemplars` there are none to give."""
        return [
            Sort(raw, self.counts[key], self.firsts[key], self.lasts[key])
            for key, raw in (self.exemplars or {}).items()
        ]

    def _open(self, first: int, block: bytes, keys: list[bytes], distinct: set[bytes]) -> None:
        opened = self._opened
        hot = {key for key in self._alarms.keys() & distinct if opened[key] < WINDOWS_EACH}
        if not hot:
            return
        spans: list[tuple[int, int, list[bytes]]] = []
        for place in [place for place, key in enumerate(keys) if key in hot]:
            key = keys[place]
            if opened[key] >= WINDOWS_EACH:
                continue
            opened[key] += 1
            start, end = max(0, place - BEFORE), min(len(keys), place + AFTER)
            openers = [key]
            if spans and start <= spans[-1][1]:
                if end - spans[-1][0] <= WINDOW_LINES:
                    start, _, openers = spans.pop()
                    openers.append(key)
                else:
                    start = spans[-1][1]
            if start < end:
                spans.append((start, end, openers))
        lines = block.split(b"\n")
        for start, end, openers in spans:
            window = Window(first + start, b"\n".join(lines[start:end]) + b"\n", tuple(openers))
            self._window_size += size(window.raw)
            self.windows.append(window)
        if self._window_size > WINDOWS:
            self.windows = self.best(self.windows, WINDOWS // 2)
            self._window_size = sum(size(window.raw) for window in self.windows)
        if len(opened) > KEYS:
            opened.clear()

    def best(self, windows: Iterable[Window], room: int) -> list[Window]:
        """The most alarming and rarest windows that fit, in reading order; earlier ones first among equals."""
        chosen: list[Window] = []
        for window in sorted(windows, key=lambda window: (-self._value(window), window.first)):
            if (cost := size(window.raw)) <= room:
                room -= cost
                chosen.append(window)
        chosen.sort(key=lambda window: window.first)
        return chosen

    def _value(self, window: Window) -> float:
        return max(self._alarms.get(key, 0.0) / (1.0 + log(max(1, self.counts[key]))) for key in window.keys)

    def _bound(self) -> None:
        if len(self.counts) <= KEYS and self._size <= KEY_BYTES:
            return
        kept = self._commonest(KEYS // KEPT)
        while len(kept) > 1 and sum(len(key) for key, _, _ in kept) > KEY_BYTES // KEPT:
            kept = self._commonest(len(kept) // 2)
        counts, firsts = self.counts, self.firsts
        self.counts = Counter({key: count for key, count, _ in kept})
        if self.exemplars is not None:
            self.forgotten += [
                Sort(raw, counts[key], firsts[key], self.lasts[key])
                for key, raw in self.exemplars.items()
                if key not in self.counts
            ]
            self.exemplars = {key: self.exemplars[key] for key in self.counts}
        self.firsts = {key: firsts[key] for key in self.counts}
        self.lasts = {key: last for key, _, last in kept}
        self._alarms = {key: self._alarms[key] for key in self._alarms.keys() & self.counts.keys()}
        self._size = sum(map(len, self.counts))

    def _commonest(self, most: int) -> list[tuple[bytes, int, int]]:
        """The `most` commonest sorts, with count and last number; among equally common ones those seen last."""
        spread = Counter(self.counts.values())
        room, least = most, 0
        for count in sorted(spread, reverse=True):
            least = count
            if spread[count] > room:
                break
            room -= spread[count]
        # Both dictionaries were filled in the same order: walked side by side they need no look-up.
        pairs = zip(self.counts.values(), self.lasts.values(), strict=True)
        recent = sorted([last for count, last in pairs if count == least], reverse=True)
        since = recent[room] if room < len(recent) else 0
        return [
            (key, count, last)
            for (key, count), last in zip(self.counts.items(), self.lasts.values(), strict=True)
            if count > least or (count == least and last > since)
        ]


def size(raw: bytes) -> int:
    """What it costs to read these lines later on: short ones are no cheaper than others."""
    return len(raw) + 100 * raw.count(b"\n")


def _keys(block: bytes) -> list[bytes]:
    keys = block.translate(FOLD).split(b"\n")
    if not keys[-1]:
        keys.pop()
    return keys


@cache
def _alarm_words() -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = False
    return re2.compile(b"|".join(re2.escape(word) for word in _ALARMS), options)


def _alarms_of(keys: Sequence[bytes]) -> dict[bytes, float]:
    """The alarming ones of some sorts of lines, and how alarming they are.

    A word may have others before it (`TimeoutError`, `exit_code`), but within a run of small letters it means nothing.
    """
    found: dict[bytes, float] = {}
    ends: list[int] = []
    text = b"\n".join(keys)
    for match in _alarm_words().finditer(text):
        if text[match.start()] in _SMALL and match.start() and text[match.start() - 1] in _SMALL:
            continue
        ends = ends or list(accumulate(len(key) + 1 for key in keys))
        key = keys[bisect_right(ends, match.start())]
        found[key] = max(found.get(key, 0.0), _ALARMS[match.group().lower()])
    return found
