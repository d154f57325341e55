"""No cache: every question is new."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from msgspec import Struct

from bifrost_domain.caching import CachedReport, CacheKey
from bifrost_domain.ports import Cache

__all__ = ["Options", "open"]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """There is nothing to choose."""


@asynccontextmanager
async def open(options: Options) -> AsyncIterator[Cache]:
    async def ping() -> None:
        pass

    yield Cache(reports=_NoReports(), ping=ping, location="off")


class _NoReports:
    """A ReportCache that keeps nothing."""

    async def get(self, key: CacheKey) -> CachedReport | None:
        return None

    async def put(self, key: CacheKey, report: CachedReport, ttl: timedelta) -> None:
        pass

    async def drop(self, key: CacheKey) -> None:
        pass
