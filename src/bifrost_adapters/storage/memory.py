"""The history in this process: gone with it, and bounded."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime
from operator import itemgetter

from msgspec import Struct

from bifrost_adapters.storage import _rows
from bifrost_adapters.storage._memory_batches import MemoryBatches
from bifrost_adapters.storage._memory_idempotency import MemoryIdempotency
from bifrost_adapters.storage._memory_keys import MemoryAudit, MemoryKeys
from bifrost_adapters.storage._memory_prompts import MemoryPrompts
from bifrost_domain.errors import AnalysisNotFound, StorageUnavailable
from bifrost_domain.history import (
    AnalysisSummary,
    HistoryQuery,
    Incident,
    IncidentPage,
    Page,
    Provenance,
    matches,
    summarise,
)
from bifrost_domain.metrics import AnalysisMetric, Spent, Statistics, collected
from bifrost_domain.ports import Storage
from bifrost_domain.report import Analysis

__all__ = ["Options", "open"]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`max_analyses`: past it, the oldest goes when a new one comes."""

    max_analyses: int = 10_000


@asynccontextmanager
async def open(options: Options) -> AsyncIterator[Storage]:
    async def ping() -> None:
        pass

    audit = MemoryAudit()
    yield Storage(
        analyses=_MemoryAnalyses(options.max_analyses),
        metrics=_MemoryMetrics(options.max_analyses),
        prompts=MemoryPrompts(audit),
        keys=MemoryKeys(audit),
        audit=audit,
        batches=MemoryBatches(options.max_analyses),
        idempotency=MemoryIdempotency(options.max_analyses),
        ping=ping,
        location="memory",
    )


class _MemoryAnalyses:
    """An AnalysisRepository. Analyses are immutable, so they are kept as they are."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: list[int] = []
        self._at: dict[int, Analysis] = {}
        self._place_of: dict[str, int] = {}
        self._provenance: dict[int, Provenance | None] = {}

    async def add(self, analysis: Analysis, provenance: Provenance | None = None) -> None:
        if analysis.id in self._place_of:
            raise StorageUnavailable(f"there is an analysis {analysis.id!r} already")
        place = _rows.place(analysis.created_at)
        while place in self._at:
            place += 1
        insort(self._places, place)
        self._at[place] = analysis
        self._provenance[place] = provenance
        self._place_of[analysis.id] = place
        if len(self._places) > self._most:
            self._erase(self._places[0])

    async def get(self, id: str) -> Analysis:
        return self._at[self._found(id)]

    async def provenance(self, id: str) -> Provenance | None:
        return self._provenance[self._found(id)]

    async def search(self, query: HistoryQuery) -> Page:
        before = None if query.cursor is None else _rows.from_cursor(query.cursor)
        places: list[int] = []
        for place in self._newest_first(before):
            if matches(self._at[place], query):
                if len(places) == query.limit:
                    return Page(items=self._summaries(places), next_cursor=_rows.to_cursor(places[-1]))
                places.append(place)
        return Page(items=self._summaries(places))

    async def export(self, query: HistoryQuery) -> AsyncGenerator[Analysis, None]:
        for place in list(self._newest_first(None)):
            analysis = self._at.get(place)
            if analysis is not None and matches(analysis, query):
                yield analysis

    async def delete(self, id: str) -> None:
        self._erase(self._found(id))

    async def forget_before(self, moment: datetime) -> int:
        old = self._places[: bisect_left(self._places, _rows.place(moment))]
        for place in old:
            del self._place_of[self._at.pop(place).id], self._provenance[place]
        del self._places[: len(old)]
        return len(old)

    async def incident(self, fingerprint: str) -> Incident | None:
        seen = [place for place in self._places if self._at[place].cache.fingerprint == fingerprint]
        return self._incident(seen) if seen else None

    async def incidents(self, *, limit: int = 50, cursor: str | None = None) -> IncidentPage:
        before = None if cursor is None else _rows.from_cursor(cursor)
        seen: dict[str, list[int]] = {}
        for place in self._places:
            seen.setdefault(self._at[place].cache.fingerprint, []).append(place)
        places = sorted(
            (places for places in seen.values() if before is None or places[-1] < before), key=itemgetter(-1)
        )
        shown = places[::-1][:limit]
        return IncidentPage(
            items=tuple(map(self._incident, shown)),
            next_cursor=_rows.to_cursor(shown[-1][-1]) if len(places) > len(shown) else None,
        )

    def _incident(self, places: list[int]) -> Incident:
        last = self._at[places[-1]]
        return Incident(
            fingerprint=last.cache.fingerprint,
            seen=len(places),
            first_seen=_rows.moment(places[0]),
            last_seen=_rows.moment(places[-1]),
            last_id=last.id,
            severity=last.report.severity,
            category=last.report.category,
            source=last.source.name,
            summary=last.report.summary,
        )

    def _newest_first(self, before: int | None) -> Iterator[int]:
        end = len(self._places) if before is None else bisect_left(self._places, before)
        return (self._places[index] for index in range(end - 1, -1, -1))

    def _summaries(self, places: list[int]) -> tuple[AnalysisSummary, ...]:
        return tuple(summarise(self._at[place]) for place in places)

    def _found(self, id: str) -> int:
        place = self._place_of.get(id)
        if place is None:
            raise AnalysisNotFound(f"there is no analysis {id!r}", hint="`bifrost history list` shows those there are")
        return place

    def _erase(self, place: int) -> None:
        del self._places[bisect_left(self._places, place)]
        del self._place_of[self._at.pop(place).id], self._provenance[place]


class _MemoryMetrics:
    """A MetricRepository."""

    def __init__(self, most: int) -> None:
        self._kept: deque[AnalysisMetric] = deque(maxlen=most)

    async def add(self, metric: AnalysisMetric) -> None:
        self._kept.append(metric)

    async def statistics(self, since: datetime, until: datetime) -> Statistics:
        within = [metric for metric in self._kept if since <= metric.at < until]
        return collected(within, since, until)

    async def spent(self, family: str, since: datetime) -> Spent:
        used = [metric for metric in self._kept if metric.key == family and metric.at >= since]
        return Spent(
            tokens=sum(metric.input_tokens + metric.output_tokens for metric in used),
            usd=sum(metric.cost_usd or 0.0 for metric in used),
        )

    async def forget_before(self, moment: datetime) -> int:
        young = [metric for metric in self._kept if metric.at >= moment]
        gone = len(self._kept) - len(young)
        self._kept = deque(young, self._kept.maxlen)
        return gone
