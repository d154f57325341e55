"""The cache in this process: gone with it, and bounded."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from bifrost_adapters.cache._memory import MemoryCounters, MemoryLeases
from bifrost_domain.caching import CachedReport, CacheKey
from bifrost_domain.ports import Cache, Clock
from bifrost_domain.report import SCHEMA_VERSION

__all__ = ["Options", "open"]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`max_entries`: past it, the one that was written first goes."""

    max_entries: int = 10_000


@asynccontextmanager
async def open(options: Options, *, clock: Clock = lambda: datetime.now(UTC)) -> AsyncIterator[Cache]:
    async def ping() -> None:
        pass

    yield Cache(
        reports=_MemoryReports(options.max_entries, clock),
        leases=MemoryLeases(clock),
        counters=MemoryCounters(clock),
        ping=ping,
        location="memory",
    )


class _MemoryReports:
    """A ReportCache. Reports are immutable, so they are kept as they are, oldest first."""

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._entries: OrderedDict[CacheKey, tuple[datetime, CachedReport]] = OrderedDict()

    async def get(self, key: CacheKey) -> CachedReport | None:
        expires, report = self._entries.get(key, (None, None))
        if expires is None or report is None:
            return None
        if expires <= self._clock() or report.schema_version != SCHEMA_VERSION:
            del self._entries[key]
            return None
        return report

    async def put(self, key: CacheKey, report: CachedReport, ttl: timedelta) -> None:
        self._entries.pop(key, None)
        self._entries[key] = (self._clock() + ttl, report)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)

    async def drop(self, key: CacheKey) -> None:
        self._entries.pop(key, None)
