"""No cache: every question is new. Leases and counters hold within this process, since limits must."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from bifrost_adapters.cache._memory import MemoryCounters, MemoryLeases
from bifrost_domain.caching import CachedReport, CacheKey
from bifrost_domain.ports import Cache, Clock

__all__ = ["Options", "open"]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """There is nothing to choose."""


@asynccontextmanager
async def open(options: Options, *, clock: Clock = lambda: datetime.now(UTC)) -> AsyncIterator[Cache]:
    async def ping() -> None:
        pass

    yield Cache(
        reports=_NoReports(), leases=MemoryLeases(clock), counters=MemoryCounters(clock), ping=ping, location="off"
    )


class _NoReports:
    """A ReportCache that keeps nothing."""

    async def get(self, key: CacheKey) -> CachedReport | None:
        return None

    async def put(self, key: CacheKey, report: CachedReport, ttl: timedelta) -> None:
        pass

    async def drop(self, key: CacheKey) -> None:
        pass
