"""From the bytes of a log to its digest, in one pass and bounded memory.

Every line is counted under its digit-folded text, a few C-level passes over a block at a time. The raw lines of the
head and the tail are kept, and windows around lines with alarming words from the middle; all of them where the log
is small. Only kept lines are cleaned, redacted, read and weighed, each once, when a digest is asked for.
"""

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import accumulate
from math import log
from typing import Any

import re2
from msgspec import Struct, structs

from bifrost_domain.logs import evidence, tokens
from bifrost_domain.logs.blocks import Kind, group
from bifrost_domain.logs.cleaning import Transcoder, clean_many
from bifrost_domain.logs.digest import Coverage, Digest, Redactions, Source, SourceFile, Template
from bifrost_domain.logs.evidence import GAP, shown
from bifrost_domain.logs.fingerprint import fingerprint
from bifrost_domain.logs.formats import detect, infer_level, strip_runner
from bifrost_domain.logs.lines import Level, Line
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.logs.templates import TemplateMiner

WIDE_CHARACTERS = 400_000
"""The size of a digest without a budget: for a reader in the same process, who is paid by the line, not the token."""

_BLOCK = 512 << 10
_HEAD = 128 << 10
_RING = 4 << 20
_WINDOWS = 3 << 19
_OVERLONG = 256 << 10
_OVERLONG_END = 30 << 10
_TAIL_LINES = 8192
_SAMPLE = 200
_KEYS = 100_000
_KEY_BYTES = 16 << 20
_BEFORE, _AFTER, _WINDOW_LINES, _WINDOWS_EACH = 10, 20, 400, 2
_FOLD = bytes.maketrans(b"123456789", b"000000000")

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


class Budget(Struct, frozen=True, kw_only=True):
    """How large a digest may be, as text: tokens by Bifrost's estimate, or characters; the smaller wins."""

    tokens: int | None = None
    characters: int | None = None

    @property
    def room(self) -> int:
        """In characters; one beyond ASCII has to count as `tokens.CHARACTERS_PER_TOKEN`."""
        bounds = [] if self.tokens is None else [int(self.tokens * tokens.CHARACTERS_PER_TOKEN)]
        if self.characters is not None:
            bounds.append(self.characters)
        return max(0, min(bounds, default=WIDE_CHARACTERS))


class _Census:
    """How often each digit-folded line occurs, and where first and last; what is rare is forgotten when it is full."""

    def __init__(self) -> None:
        self.counts: Counter[bytes] = Counter()
        self.firsts: dict[bytes, int] = {}
        self.lasts: dict[bytes, int] = {}
        self.alarms: dict[bytes, float] = {}
        self._size = 0

    def add(self, keys: list[bytes], base: int) -> None:
        """Count consecutive lines, the first of them numbered `base`."""
        numbers = range(base, base + len(keys))
        distinct = set(keys)
        new = [key for key in distinct if key not in self.counts]
        if len(distinct) == 1:
            self.lasts[keys[0]] = numbers[-1]
            self.firsts.setdefault(keys[0], base)
        else:
            self.lasts.update(zip(keys, numbers, strict=True))
            if new:
                firsts = dict(zip(reversed(keys), reversed(numbers), strict=True))
                self.firsts.update(zip(new, map(firsts.__getitem__, new), strict=True))
        self.counts.update(keys)
        self._size += sum(map(len, new))
        self._bound()

    def merge(self, other: "_Census", shift: int) -> None:
        """Count what `other` counted, its lines following on `shift` lines."""
        for key, count in other.counts.items():
            if key not in self.counts:
                self.firsts[key] = other.firsts[key] + shift
                self._size += len(key)
            self.counts[key] += count
            self.lasts[key] = other.lasts[key] + shift
        self._bound()

    def alarms_of(self, keys: list[bytes]) -> dict[bytes, float]:
        """How alarming each of some lines is; what was found out before is not looked for again."""
        distinct = dict.fromkeys(keys, 0.0)
        unknown = [key for key in distinct if key not in self.alarms]
        found = dict.fromkeys(unknown, 0.0)
        ends = list(accumulate(len(key) + 1 for key in unknown))
        for match in _alarm_words().finditer(b"\n".join(unknown)):
            key = unknown[bisect_right(ends, match.start())]
            found[key] = max(found[key], _ALARMS[match.group().lower()])
        self.alarms.update((key, value) for key, value in found.items() if key in self.counts)
        return {key: found[key] if key in found else self.alarms[key] for key in distinct}

    def _bound(self) -> None:
        """Forgets the rarer and longer unseen half when there is too much; a line that comes back counts as new."""
        if len(self.counts) <= _KEYS and self._size <= _KEY_BYTES:
            return
        ranked = sorted(self.counts, key=self.lasts.__getitem__, reverse=True)
        ranked.sort(key=self.counts.__getitem__, reverse=True)
        sizes = accumulate(map(len, ranked))
        kept = [key for key, size in zip(ranked[: _KEYS // 2], sizes, strict=False) if size <= _KEY_BYTES // 2]
        self.counts = Counter({key: self.counts[key] for key in kept})
        self.firsts = {key: self.firsts[key] for key in kept}
        self.lasts = {key: self.lasts[key] for key in kept}
        self.alarms = {key: self.alarms[key] for key in kept if key in self.alarms}
        self._size = sum(map(len, kept))


class _Window(Struct, frozen=True):
    """Consecutive raw lines from the middle, the first of them numbered `first`; `value` ranks it among the others."""

    value: float
    first: int
    raw: bytes


class _Kept(Struct, frozen=True, kw_only=True):
    """The kept lines of one file, safe to show, in parallel sequences ordered by number."""

    numbers: list[int]
    texts: list[str]
    messages: list[str]
    levels: list[Level]
    times: list[datetime | None]
    sources: list[str | None]
    blocks: list[int]
    kinds: list[Kind]
    keys: list[str]
    counts: list[int]
    weights: list[float]
    ids: list[int]
    miner: TemplateMiner
    truncated: int
    redacted: Counter[str]
    decisive: list[str]


class Digester:
    """Takes the bytes of one log in, in pieces of any size; gives digests of any size out.

    `since` and `until` bound the time of the lines to show, both included; a line without a time has that of the line
    before it. `minimum` keeps only blocks that have a line at least as loud. What is filtered out is still counted.
    `reference` is a time near which the log was written, for forms of time without a year.
    """

    def __init__(
        self,
        source_name: str,
        redactor: Redactor,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        minimum: Level | None = None,
        reference: datetime | None = None,
    ) -> None:
        self.name = source_name
        self._reference = reference
        self._redactor = redactor
        self._since, self._until, self._minimum = since, until, minimum
        self._transcoder: Transcoder | None = Transcoder()
        self._pending: list[bytes] = []
        self._waiting = 0
        self._overlong: tuple[bytes, int] | None = None
        self._bytes = 0
        self._lines = 0
        self._cut = 0
        self._census = _Census()
        self._windowed: Counter[bytes] = Counter()
        self._head: tuple[int, bytes] = (1, b"")
        self._windows: list[_Window] = []
        self._window_bytes = 0
        self._ring: deque[tuple[int, bytes]] = deque()
        self._ring_bytes = 0
        self._thinned = False
        self._kept: _Kept | None = None

    @property
    def file(self) -> SourceFile:
        """What was read so far; the last line may still be open."""
        self._flush()
        return SourceFile(name=self.name, lines=self._lines, bytes=self._bytes)

    # --- reading ------------------------------------------------------------------------------------------------

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the log. Raises ValueError once a digest was made."""
        if self._transcoder is None:
            raise ValueError("this log was already finished")
        self._bytes += len(chunk)
        for start in range(0, len(chunk), _BLOCK):
            piece = chunk if len(chunk) <= _BLOCK else chunk[start : start + _BLOCK]
            self._take(self._transcoder.feed(piece))

    def _take(self, data: bytes) -> None:
        self._pending.append(data)
        self._waiting += len(data)
        if self._waiting < _BLOCK:
            return
        data = b"".join(self._pending)
        cut = data.rfind(b"\n") + 1
        if cut:
            self._absorb(self._closed(data[:cut]))
            data = data[cut:]
        if len(data) > _OVERLONG:
            data = self._shortened(data)
        self._pending, self._waiting = [data], len(data)

    def _shortened(self, data: bytes) -> bytes:
        """An overlong line's end; its start is put aside and its middle counted, whatever is still to come of it."""
        start, missing = self._overlong or (data[:_OVERLONG_END], -_OVERLONG_END)
        self._overlong = (start, missing + len(data) - _OVERLONG_END)
        return data[-_OVERLONG_END:]

    def _closed(self, data: bytes) -> bytes:
        """`data` with the start of an overlong line put back in front of its end."""
        if self._overlong is None:
            return data
        end = data.find(b"\n")
        line = data if end < 0 else data[:end]
        if len(line) > _OVERLONG_END:
            line = self._shortened(line)
        start, missing = self._overlong
        self._overlong = None
        self._cut += 1
        return start + b" ...[%d bytes cut]... " % missing + line + (b"" if end < 0 else data[end:])

    def _flush(self) -> None:
        """Counts what was fed, the last line included though no line end follows."""
        if self._transcoder is None:
            return
        data = b"".join([*self._pending, self._transcoder.finish()])
        self._transcoder = None
        self._pending, self._waiting = [], 0
        if data or self._overlong is not None:
            self._absorb(self._closed(data))

    def _absorb(self, block: bytes) -> None:
        """Counts whole lines and keeps them for now."""
        keys = block.translate(_FOLD).split(b"\n")
        if not keys[-1]:
            keys.pop()
        base = self._lines + 1
        self._lines += len(keys)
        self._census.add(keys, base)
        if base == 1:
            end = len(block) if len(block) <= _HEAD else block.rfind(b"\n", 0, _HEAD) + 1
            self._head = (1, block[:end])
            base += block.count(b"\n", 0, end)
            block = block[end:]
        if block:
            self._ring.append((base, block))
            self._ring_bytes += _size(block)
        while self._ring_bytes > _RING and len(self._ring) > 1:
            first, raw = self._ring.popleft()
            self._ring_bytes -= _size(raw)
            self._thin(first, raw)

    def _thin(self, first: int, raw: bytes) -> None:
        """Keeps of a block from the middle what stands around alarming lines."""
        self._thinned = True
        if len(self._windowed) > _KEYS:
            self._windowed.clear()
        self._windows += _windows(first, raw, self._census, self._windowed)
        self._window_bytes = sum(_size(window.raw) for window in self._windows)
        if self._window_bytes > _WINDOWS:
            self._windows = _best(self._windows, _WINDOWS // 2)

    def merge(self, other: "Digester") -> None:
        """Takes in `other`, which read the part of the same log that follows, from a line's start on."""
        self._flush()
        other._flush()
        shift = self._lines
        self._census.merge(other._census, shift)
        self._windowed += other._windowed
        self._thinned |= other._thinned
        self._lines += other._lines
        self._bytes += other._bytes
        self._cut += other._cut
        self._windows += [_Window(w.value, w.first + shift, w.raw) for w in other._windows]
        parts = [other._head, *other._ring]
        if not self._head[1]:
            self._head, parts = parts[0], parts[1:]
        for first, raw in parts:
            if raw:
                self._ring.append((first + shift, raw))
                self._ring_bytes += _size(raw)
        while self._ring_bytes > _RING and len(self._ring) > 1:
            first, raw = self._ring.popleft()
            self._ring_bytes -= _size(raw)
            self._thin(first, raw)
        self._kept = None

    # --- digesting ----------------------------------------------------------------------------------------------

    def finish(self, budget: Budget) -> Digest:
        """The digest of this one log; may be asked for more than once, with other budgets."""
        return combine([self], Source(name=self.name, kind="file"), budget)

    def _segments(self) -> Iterator[tuple[int, bytes]]:
        """The kept raw lines in order, each with the number of its first line."""
        ring = list(self._ring)
        windows = list(self._windows)
        if self._thinned or self._ring_bytes > _RING:
            # A log this long is read where it matters: the tail in full, the rest of the ring as windows.
            first, raw = ring.pop()
            surplus = raw.count(b"\n") - _TAIL_LINES
            if surplus > 0:
                tail = raw[-sum(len(line) + 1 for line in raw.split(b"\n")[surplus:]) + 1 :]
                ring.append((first, raw[: -len(tail)]))
                first, raw = first + surplus, tail
            windowed = self._windowed.copy()
            for start, earlier in ring:
                windows += _windows(start, earlier, self._census, windowed)
            windows = sorted(_best(windows, _WINDOWS), key=lambda window: window.first)
            ring = [(first, raw)]
        yield self._head
        for window in windows:
            yield window.first, window.raw
        yield from ring

    def kept(self) -> "_Kept":
        if self._kept is None:
            self._flush()
            self._kept = self._prepare()
        return self._kept

    def _prepare(self) -> _Kept:
        numbers: list[int] = []
        raws: list[bytes] = []
        for first, segment in self._segments():
            lines = segment.split(b"\n")
            if not lines[-1]:
                lines.pop()
            numbers += range(first, first + len(lines))
            raws += lines
        census = self._census
        folded = [raw.translate(_FOLD) for raw in raws]
        counts = [max(1, census.counts[key]) for key in folded]
        cleaned = clean_many(raws)
        del raws
        redacted = self._redactor.lines(cleaned.texts)
        kinds_found = Counter(kind for line in redacted if line.kinds for kind in line.kinds)
        full = [line.text for line in redacted]
        texts = [strip_runner(text) for text in full]
        reader = detect(full[:_SAMPLE], self._reference)
        fields = []
        before = 0
        for number, text in zip(numbers, full, strict=True):
            if number != before + 1:
                reader.reset()
            before = number
            fields.append(reader.read(text))
        messages = [field.message for field in fields]
        own = [field.level or infer_level(field.message) for field in fields]
        grouped = group(texts, [field.start for field in fields])
        levels: list[Level] = []
        times: list[datetime | None] = []
        sources: list[str | None] = []
        blocks: list[int] = []
        kinds: list[Kind] = []
        time: datetime | None = None
        for index, block in enumerate(grouped):
            level = own[block.start] or Level.INFO
            source = fields[block.start].source
            for place in range(block.start, block.end):
                time = fields[place].time or time
                times.append(time)
                levels.append(own[place] or level)
                sources.append(fields[place].source or source)
                blocks.append(index)
                kinds.append(block.kind)
        reading = evidence.Reading(
            numbers=numbers,
            texts=texts,
            levels=[level or Level.INFO for level in own],
            keys=[message.translate(_FOLD_TEXT) for message in messages],
            counts=counts,
            blocks=grouped,
        )
        miner = TemplateMiner()
        ids: list[int] = []
        known: dict[str, int] = {}
        for place, key in enumerate(reading.keys):
            if key not in known:
                first = census.firsts.get(folded[place], numbers[place])
                last = census.lasts.get(folded[place], numbers[place])
                level = reading.levels[place]
                known[key] = miner.add(messages[place], counts[place], first, last, level) if key else -1
            ids.append(known[key])
        weights = evidence.weigh(reading)
        self._filter(weights, levels, times, blocks)
        return _Kept(
            numbers=numbers,
            texts=texts,
            messages=messages,
            levels=levels,
            times=times,
            sources=sources,
            blocks=blocks,
            kinds=kinds,
            keys=list(reading.keys),
            counts=counts,
            weights=weights,
            ids=ids,
            miner=miner,
            truncated=self._cut + len(cleaned.truncated),
            redacted=kinds_found,
            decisive=_decisive(messages, reading.levels, weights),
        )

    def _filter(
        self, weights: list[float], levels: Sequence[Level], times: Sequence[datetime | None], blocks: Sequence[int]
    ) -> None:
        """Takes the weight from lines outside the asked time, and from blocks that are not loud enough."""
        if self._since is not None or self._until is not None:
            for place, time in enumerate(times):
                if time is None or (self._since and time < self._since) or (self._until and time > self._until):
                    weights[place] = 0.0
        if self._minimum is not None:
            loud = {block for block, level in zip(blocks, levels, strict=True) if level >= self._minimum}
            for place, block in enumerate(blocks):
                if block not in loud:
                    weights[place] = 0.0


def _decisive(messages: Sequence[str], levels: Sequence[Level], weights: Sequence[float]) -> list[str]:
    """The messages that name the incident: the errors, else the warnings, else the last line."""
    weighty = [(message, level) for message, level, w in zip(messages, levels, weights, strict=True) if w]
    for loudness in (evidence.LOUD, {Level.WARNING}):
        if found := [message for message, level in weighty if level in loudness]:
            return found
    return [message for message, _ in weighty[-1:]]


_FOLD_TEXT = str.maketrans("123456789", "000000000")


@cache
def _alarm_words() -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = False
    return re2.compile(b"|".join(re2.escape(word) for word in _ALARMS), options)


def _windows(first: int, raw: bytes, census: _Census, windowed: Counter[bytes]) -> list[_Window]:
    """The parts of a block that stand around alarming lines; a sort of line that had enough already gets no more."""
    keys = raw.translate(_FOLD).split(b"\n")
    alarms = census.alarms_of(keys)
    loud = {key for key, value in alarms.items() if value and windowed[key] < _WINDOWS_EACH}
    spans: list[tuple[int, int, float]] = []
    for place in [place for place, key in enumerate(keys) if key in loud] if loud else ():
        key = keys[place]
        if windowed[key] >= _WINDOWS_EACH:
            continue
        windowed[key] += 1
        value = alarms[key] / (1.0 + log(max(1, census.counts[key])))
        start, end = max(0, place - _BEFORE), min(len(keys), place + _AFTER)
        if spans and start <= spans[-1][1]:
            if end - spans[-1][0] <= _WINDOW_LINES:
                start, _, best = spans.pop()
                value = max(value, best)
            else:
                start = spans[-1][1]
        if start < end:
            spans.append((start, end, value))
    if not spans:
        return []
    lines = raw.split(b"\n")
    return [_Window(value, first + start, b"\n".join(lines[start:end]) + b"\n") for start, end, value in spans]


def _size(raw: bytes) -> int:
    """What it costs to read these lines later on: short ones are no cheaper than others."""
    return len(raw) + 100 * raw.count(b"\n")


def _best(windows: list[_Window], room: int) -> list[_Window]:
    """The most valuable windows that fit, earlier ones first among equals."""
    chosen: list[_Window] = []
    for window in sorted(windows, key=lambda window: (-window.value, window.first)):
        if (size := _size(window.raw)) <= room:
            room -= size
            chosen.append(window)
    return chosen


def combine(digesters: Sequence[Digester], source: Source, budget: Budget) -> Digest:
    """One digest over several logs, each keeping its own line numbers; `source.files` is filled in.

    The budget goes to the weightiest lines wherever they stand.
    """
    files = tuple(digester.file for digester in digesters)
    kept = [digester.kept() for digester in digesters]
    several = len(kept) > 1
    weights: list[float] = []
    costs: list[int] = []
    keys: list[str] = []
    joined: list[bool] = []
    homes: list[tuple[int, int]] = []
    for index, part in enumerate(kept):
        before = -1
        for place, number in enumerate(part.numbers):
            text = part.texts[place]
            cost = len(str(number)) + 3 + min(len(text), evidence.SHOWN_CHARACTERS + 32)
            if not text.isascii():
                cost += round(1.6 * sum(character > "\x7f" for character in shown(text)))
            costs.append(cost)
            joined.append(number == before + 1)
            homes.append((index, place))
            before = number
        weights += part.weights
        keys += part.keys
    room = budget.room - (sum(len(file.name) + 4 for file in files) if several else 0)
    taken = evidence.select(keys, weights, costs, joined, room, len(GAP) + 1)
    return _assemble(kept, files, source, sorted(homes[place] for place in taken))


def _assemble(
    kept: Sequence[_Kept], files: tuple[SourceFile, ...], source: Source, chosen: Sequence[tuple[int, int]]
) -> Digest:
    lines: list[Line] = []
    shown_of: Counter[tuple[int, str]] = Counter((index, kept[index].keys[place]) for index, place in chosen)
    base: list[int] = []
    total = 0
    for part in kept:
        base.append(total)
        total += part.blocks[-1] + 1 if part.blocks else 0
    for index, place in chosen:
        part = kept[index]
        alike = shown_of.pop((index, part.keys[place]), None)
        lines.append(
            Line(
                file=files[index].name,
                number=part.numbers[place],
                text=part.texts[place],
                level=part.levels[place],
                time=part.times[place],
                source=part.sources[place],
                message=part.messages[place],
                count=1 if alike is None else max(1, part.counts[place] - alike + 1),
                block=base[index] + part.blocks[place],
                kind=part.kinds[place],
            )
        )
    redacted: Counter[str] = sum((part.redacted for part in kept), Counter())
    times = [time for part in kept for time in part.times if time is not None]
    templates: list[Template] = []
    templates_shown = 0
    for index, part in enumerate(kept):
        mined = part.miner.templates()
        offset = len(templates)
        templates += [structs.replace(template, id=template.id + offset) for template in mined] if offset else mined
        seen = {part.ids[place] for home, place in chosen if home == index}
        templates_shown += len({part.miner.final(id) for id in seen if id >= 0})
    text = "\n".join(f"{line.number}: {shown(line.text)}" for line in lines)
    return Digest(
        source=Source(name=source.name, kind=source.kind, files=files),
        lines=tuple(lines),
        coverage=Coverage(
            lines_read=sum(file.lines for file in files),
            bytes_read=sum(file.bytes for file in files),
            templates=len(templates),
            templates_shown=templates_shown,
            lines_shown=len(lines),
            tokens_estimated=tokens.estimate(text),
            lines_truncated=sum(part.truncated for part in kept),
            time_start=min(times, default=None),
            time_end=max(times, default=None),
        ),
        redactions=Redactions(total=redacted.total(), by_kind=dict(redacted)),
        fingerprint=fingerprint(message for part in kept for message in part.decisive),
        templates=tuple(templates),
    )


def render(digest: Digest, max_chars: int | None = None) -> str:
    """The digest as text: `NUMBER: line` each, a heading where the file changes, `...` at a gap.

    All of it stays within `max_chars`; lines that no longer fit are left out from the end.
    """
    several = len({line.file for line in digest.lines}) > 1
    rows: list[str] = []
    used = 0
    file, number = "", 0
    for line in digest.lines:
        lead = f"== {line.file}\n" if several and line.file != file else ""
        if not lead and number and line.number > number + 1:
            lead = GAP + "\n"
        row = f"{lead}{line.number}: {shown(line.text)}\n"
        if max_chars is not None and used + len(row) > max_chars:
            break
        used += len(row)
        rows.append(row)
        file, number = line.file, line.number
    return "".join(rows)
