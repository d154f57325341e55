"""From the bytes of a log to its digest, in one pass and bounded memory.

Every line is counted under its digit-folded text, a few C-level passes over a block at a time. The raw lines of the
head and the tail are kept, and windows around lines with alarming words from the middle; all of them where the log
is small. Only kept lines are cleaned, redacted, read and weighed, each once, when a digest is asked for.
"""

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct, structs

from bifrost_domain.logs import evidence, tokens
from bifrost_domain.logs.blocks import Kind, group
from bifrost_domain.logs.census import FOLD, WINDOWS, Sort, Tally, Window, size
from bifrost_domain.logs.cleaning import clean_many
from bifrost_domain.logs.digest import Coverage, Digest, Redactions, Source, SourceFile, Template
from bifrost_domain.logs.evidence import GAP, shown
from bifrost_domain.logs.formats import Reader, detect, infer_level, strip_runner
from bifrost_domain.logs.lines import Level, Line
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.logs.stream import LineStream
from bifrost_domain.logs.templates import TemplateMiner

WIDE_CHARACTERS = 400_000
"""The size of a digest without a budget: for a reader in the same process, who is paid by the line, not the token."""

_HEAD = 128 << 10
_RING = 4 << 20
_TAIL_LINES = 4096
_SHARE = 3
"""One block in so many stays here where there is a shard: reading, cutting and the end are this process's as well."""
_SAMPLE = 200


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


class Shard(Protocol):
    """Another process that tallies blocks of the same log. `add` and `result` raise ShardLost where it is gone."""

    def add(self, first: int, block: bytes) -> None:
        """Hand over whole lines, the first of them numbered `first`."""
        ...

    def result(self) -> Tally:
        """What it tallied; nothing more can be handed over."""
        ...

    def close(self) -> None:
        """Ends it, whatever it is doing."""
        ...


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


class Digester:
    """Takes the bytes of one log in, in pieces of any size; gives digests of any size out.

    `since` and `until` bound the time of the lines to show, both included; a line without a time has that of the line
    before it. `minimum` keeps only blocks that have a line at least as loud. What is filtered out is still counted, and
    where time was asked for, `span` holds the earliest and the latest of those that were met, None for none.
    `reference` is a time near which the log was written, for forms of time without a year. With `templates` the whole
    log is mined for templates, without it the lines that are looked at. `shard` takes over two blocks of three.
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
        templates: bool = False,
        shard: Shard | None = None,
    ) -> None:
        self.name = source_name
        self._reference = reference
        self._redactor = redactor
        self._since, self._until, self._minimum = since, until, minimum
        self.span: tuple[datetime, datetime] | None = None
        self._stream = LineStream()
        self._bytes = 0
        self._lines = 0
        self._cut = 0
        self._blocks = 0
        self._shard = shard
        self._tally = Tally(exemplars=templates)
        self._miner = TemplateMiner() if templates else None
        self._reader: Reader | None = None
        self._time: datetime | None = None
        self._head: tuple[int, bytes] | None = None
        self._ring: deque[tuple[int, bytes]] = deque()
        self._ring_size = 0
        self._thinned = False
        self._kept: _Kept | None = None

    @property
    def file(self) -> SourceFile:
        """What was read so far; the last line may still be open. Raises ShardLost."""
        self.end()
        return SourceFile(name=self.name, lines=self._lines, bytes=self._bytes)

    # --- reading ------------------------------------------------------------------------------------------------

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the log. Raises ValueError once a digest was made, ShardLost."""
        for block in self._stream.feed(chunk):
            self._absorb(block)
        self._bytes += len(chunk)

    def end(self) -> None:
        """Counts what was fed, the last line included though no line end follows. Raises ShardLost."""
        if block := self._stream.end():
            self._absorb(block)
        if self._shard is not None:
            shard, self._shard = self._shard, None
            self._tally.merge(shard.result())

    def _absorb(self, block: bytes) -> None:
        """Counts whole lines and keeps them for now, unless all of them are outside the asked time."""
        first = self._lines + 1
        self._lines += block.count(b"\n") + (not block.endswith(b"\n"))
        self._blocks += 1
        inside = self._is_inside(block)
        if self._shard is not None and inside and self._blocks % _SHARE:
            self._shard.add(first, block)
        else:
            self._tally.add(first, block, windows=inside)
            self._mine_forgotten()
        if not inside:
            return
        if self._head is None:
            self._head = first, block if len(block) <= _HEAD else block[: block.rfind(b"\n", 0, _HEAD) + 1]
        self._ring.append((first, block))
        self._ring_size += size(block)
        self._shrink()

    def _is_inside(self, block: bytes) -> bool:
        """Whether a line of `block` may lie within the asked time, judged by the first and the last time in it."""
        if self._since is None and self._until is None:
            return True
        rows = block.split(b"\n")
        first, last = self._time_of(rows[:_SAMPLE]), self._time_of(rows[: -_SAMPLE - 1 : -1])
        times = [time for time in (self._time, first, last) if time is not None]
        self._time = last or first or self._time
        if times:
            known = (*times, *(self.span or ()))
            self.span = min(known), max(known)
        return not times or (
            (self._since is None or max(times) >= self._since) and (self._until is None or min(times) <= self._until)
        )

    def _time_of(self, rows: Sequence[bytes]) -> datetime | None:
        """The first time that one of these lines has, each read by itself."""
        reader = self._reader = self._reader or detect(clean_many(rows).texts, self._reference)
        for text in clean_many(rows).texts:
            reader.reset()
            if (time := reader.read(text).time) is not None:
                return time
        return None

    def _shrink(self) -> None:
        while self._ring_size > _RING and len(self._ring) > 1:
            self._ring_size -= size(self._ring.popleft()[1])
            self._thinned = True

    def merge(self, other: "Digester") -> None:
        """Takes in `other`, which read the part of the same log that follows, from a line's start on. Raises ShardLost.

        What comes out is what one digester of the whole log gives, but for what either of the two had to forget.
        """
        self.end()
        other.end()
        shift = self._lines
        self._tally.merge(other._tally, shift)
        if self._miner is not None and other._miner is not None:
            self._miner.merge(other._miner, shift)
        self._mine_forgotten()
        if self._head is None and other._head is not None:
            self._head = other._head[0] + shift, other._head[1]
        if other._thinned:
            self._ring.clear()
            self._ring_size = 0
            self._thinned = True
        self._ring += [(first + shift, block) for first, block in other._ring]
        self._ring_size += other._ring_size
        self._lines += other._lines
        self._bytes += other._bytes
        self._cut += other._cut + other._stream.cut
        self._kept = None
        self._shrink()

    # --- digesting ----------------------------------------------------------------------------------------------

    def finish(self, budget: Budget) -> Digest:
        """The digest of this one log; may be asked for more than once, with other budgets."""
        return combine([self], Source(name=self.name, kind="file"), budget)

    def _segments(self) -> Iterator[tuple[int, bytes]]:
        """The kept raw lines in order, each with the number of its first line.

        A log that is too long for the ring is read where it matters: its head, the windows, and its tail in full.
        """
        if not self._thinned:
            yield from self._ring
            return
        tail: deque[tuple[int, bytes]] = deque()
        room = _TAIL_LINES
        for first, block in reversed(self._ring):
            surplus = max(0, _count(block) - room)
            tail.appendleft((first + surplus, _lines(block, surplus, surplus + room)))
            room -= _count(block)
            if room <= 0:
                break
        start, end = 1, tail[0][0] if tail else self._lines + 1
        if self._head is not None:
            yield self._head
            start = self._head[0] + _count(self._head[1])
        between = [_clipped(window, start, end) for window in self._tally.windows]
        for window in self._tally.best([window for window in between if window.raw], WINDOWS):
            yield window.first, window.raw
        yield from tail

    def kept(self) -> "_Kept":
        if self._kept is None:
            self.end()
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
        tally = self._tally
        folded = [raw.translate(FOLD) for raw in raws]
        counts = [max(1, tally.counts[key]) for key in folded]
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
        whole = self._miner is not None
        if self._miner is not None:
            miner.merge(self._miner)
            self._mine(tally.known(), miner, reader)
        ids: list[int] = []
        known: dict[str, int] = {}
        for place, key in enumerate(reading.keys):
            if key not in known:
                first = tally.firsts.get(folded[place], numbers[place])
                last = tally.lasts.get(folded[place], numbers[place])
                count = 0 if whole else counts[place]
                known[key] = miner.add(messages[place], count, first, last, reading.levels[place]) if key else -1
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
            truncated=self._cut + self._stream.cut + len(cleaned.truncated),
            redacted=kinds_found,
        )

    def _mine_forgotten(self) -> None:
        if self._miner is not None and self._tally.forgotten:
            forgotten, self._tally.forgotten = self._tally.forgotten, []
            texts = self._redactor.lines(clean_many([line.raw for line in forgotten[:_SAMPLE]]).texts)
            self._reader = self._reader or detect([line.text for line in texts], self._reference)
            self._mine(forgotten, self._miner, self._reader)

    def _mine(self, sorts: Sequence[Sort], miner: TemplateMiner, reader: Reader) -> None:
        """Counts sorts of lines, each by one of its lines, as templates."""
        for sort, redacted in zip(
            sorts, self._redactor.lines(clean_many([sort.raw for sort in sorts]).texts), strict=True
        ):
            reader.reset()
            fields = reader.read(redacted.text)
            if fields.message:
                level = fields.level or infer_level(fields.message) or Level.INFO
                miner.add(fields.message, sort.count, sort.first, sort.last, level)

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


def _count(block: bytes) -> int:
    """Lines of a block, the last of which may have no end."""
    return block.count(b"\n") + (not block.endswith(b"\n"))


def _lines(block: bytes, start: int, end: int) -> bytes:
    """The lines of `block` from the one with index `start` to the one before `end`."""
    if start <= 0 and end >= _count(block):
        return block
    return b"".join(line + b"\n" for line in block.split(b"\n")[max(0, start) : end])


def _clipped(window: Window, start: int, end: int) -> Window:
    """The part of a window from line `start` to the one before `end`."""
    raw = _lines(window.raw, start - window.first, max(0, end - window.first))
    return structs.replace(window, first=max(window.first, start), raw=raw)


_FOLD_TEXT = str.maketrans("123456789", "000000000")


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
            costs.append(evidence.cost(number, part.texts[place]))
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
