"""One model call for many who ask the same at the same time, in this process and in all that share the cache.

The first who asks for a key leads. The others wait, and get what it brings or the model's error that it met; where it
gives up for a reason of its own (its client left, its own limit), one of them leads instead. Between processes the
leader holds a lease, short and prolonged while it works, so that a killed one is soon replaced.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from itertools import chain, repeat

from msgspec import Struct

from bifrost_domain.caching import CachedReport, CacheKey
from bifrost_domain.errors import CacheUnavailable, ModelError
from bifrost_domain.ports import Cache, NewId

LEASE = timedelta(seconds=6)
PROLONGED_SECONDS = 2.0
LOOKED_AGAIN_SECONDS = (0.02, 0.05, 0.1, 0.2)
"""Pauses between looks at what the leader in another process does; the last one is kept."""

Lookup = Callable[[], Awaitable[CachedReport | None]]


class _Failed(Struct, frozen=True):
    error: ModelError


class _GaveUp(Struct, frozen=True):
    pass


_Landing = CachedReport | _Failed | _GaveUp


class Turn:
    """`found` is what another one brought; None for the leader, who hands over its own by `bring`."""

    def __init__(self, found: CachedReport | None = None) -> None:
        self.found = found
        self.brought: CachedReport | None = None

    def bring(self, report: CachedReport) -> None:
        self.brought = report


class Coalescer:
    """Gives turns. `open_cache` gives the leases; where the cache cannot be used, each process leads for itself."""

    def __init__(self, *, open_cache: Callable[[], Awaitable[Cache]], new_id: NewId) -> None:
        self._open_cache = open_cache
        self._new_id = new_id
        self._flights: dict[CacheKey, asyncio.Future[_Landing]] = {}

    @asynccontextmanager
    async def turn(self, key: CacheKey, lookup: Lookup, patience: float) -> AsyncGenerator[Turn, None]:
        """Waits for a turn, `patience` seconds at most (TimeoutError). Raises the ModelError that a leader met.

        `lookup` looks into the cache. A ModelError that leaves the leader's block goes to all who wait as well.
        """
        async with asyncio.timeout(patience):
            found = await self._flown(key)
        if found is not None:
            yield Turn(found)
            return
        flight = self._flights[key] = asyncio.get_running_loop().create_future()
        landing: _Landing = _GaveUp()
        try:
            async with self._leading(key, lookup, patience) as turn:
                landing = turn.found or landing
                yield turn
                landing = turn.brought or landing
        except ModelError as error:
            landing = _Failed(error)
            raise
        finally:
            del self._flights[key]
            flight.set_result(landing)

    async def _flown(self, key: CacheKey) -> CachedReport | None:
        """What the one who leads in this process brings; None where nobody leads."""
        while (flight := self._flights.get(key)) is not None:
            landing = await asyncio.shield(flight)
            if isinstance(landing, _Failed):
                raise landing.error
            if isinstance(landing, CachedReport):
                return landing
        return None

    @asynccontextmanager
    async def _leading(self, key: CacheKey, lookup: Lookup, patience: float) -> AsyncGenerator[Turn, None]:
        """Leads among the processes too, or finds in the cache what the leader of another one put there."""
        holder = self._new_id()
        try:
            async with asyncio.timeout(patience):
                found = await self._elected(key, holder, lookup)
        except CacheUnavailable:
            yield Turn()
            return
        if found is not None:
            yield Turn(found)
            return
        prolonging = asyncio.create_task(self._prolong(key, holder))
        try:
            yield Turn(await lookup())
        finally:
            prolonging.cancel()
            with suppress(CacheUnavailable):
                await (await self._open_cache()).leases.release(key, holder)

    async def _elected(self, key: CacheKey, holder: str, lookup: Lookup) -> CachedReport | None:
        """None with the lease in hand, or what its holder put into the cache. Raises CacheUnavailable."""
        leases = (await self._open_cache()).leases
        for pause in chain(LOOKED_AGAIN_SECONDS, repeat(LOOKED_AGAIN_SECONDS[-1])):
            if await leases.acquire(key, holder, LEASE):
                break
            await asyncio.sleep(pause)
            if (found := await lookup()) is not None:
                return found
        return None

    async def _prolong(self, key: CacheKey, holder: str) -> None:
        while True:
            await asyncio.sleep(PROLONGED_SECONDS)
            with suppress(CacheUnavailable):
                await (await self._open_cache()).leases.acquire(key, holder, LEASE)
