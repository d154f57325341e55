"""The history in this process: gone with it, and bounded."""

from bisect import bisect_left, insort
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import datetime

from msgspec import Struct

from bifrost_adapters.storage import _rows
from bifrost_domain.errors import AnalysisNotFound, StorageUnavailable
from bifrost_domain.history import AnalysisSummary, HistoryQuery, Incident, Page, matches, summarise
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

    yield Storage(analyses=_MemoryAnalyses(options.max_analyses), ping=ping, location="memory")


class _MemoryAnalyses:
    """An AnalysisRepository. Analyses are immutable, so they are kept as they are."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._places: list[int] = []
        self._at: dict[int, Analysis] = {}
        self._place_of: dict[str, int] = {}

    async def add(self, analysis: Analysis) -> None:
        if analysis.id in self._place_of:
            raise StorageUnavailable(f"there is an analysis {analysis.id!r} already")
        place = _rows.place(analysis.created_at)
        while place in self._at:
            place += 1
        insort(self._places, place)
        self._at[place] = analysis
        self._place_of[analysis.id] = place
        if len(self._places) > self._most:
            self._erase(self._places[0])

    async def get(self, id: str) -> Analysis:
        return self._at[self._found(id)]

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
            del self._place_of[self._at.pop(place).id]
        del self._places[: len(old)]
        return len(old)

    async def incident(self, fingerprint: str) -> Incident | None:
        seen = [place for place in self._places if self._at[place].cache.fingerprint == fingerprint]
        if not seen:
            return None
        return Incident(
            fingerprint=fingerprint,
            seen=len(seen),
            first_seen=_rows.moment(seen[0]),
            last_seen=_rows.moment(seen[-1]),
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
        del self._place_of[self._at.pop(place).id]
