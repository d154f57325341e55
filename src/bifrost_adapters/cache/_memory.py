"""Leases and counters in this process."""

from datetime import datetime, timedelta

from bifrost_domain.caching import CacheKey
from bifrost_domain.ports import Clock

KEPT = 10_000
"""Counters; past that, those that are over are dropped, and then the oldest."""


class MemoryLeases:
    """Leases."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[CacheKey, tuple[str, datetime]] = {}

    async def acquire(self, key: CacheKey, holder: str, ttl: timedelta) -> bool:
        now = self._clock()
        held_by, until = self._held.get(key, (holder, now))
        if held_by != holder and until > now:
            return False
        self._held[key] = (holder, now + ttl)
        return True

    async def release(self, key: CacheKey, holder: str) -> None:
        if self._held.get(key, ("", None))[0] == holder:
            del self._held[key]


class MemoryCounters:
    """Counters."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sums: dict[str, tuple[int, datetime]] = {}

    async def add(self, name: str, amount: int, ttl: timedelta) -> int:
        now = self._clock()
        total, until = self._sums.get(name, (0, now))
        if until <= now:
            total, until = 0, now + ttl
        total += amount
        if amount:
            self._sums[name] = (total, until)
        if len(self._sums) > KEPT:
            self._sums = {name: (total, until) for name, (total, until) in self._sums.items() if until > now}
            while len(self._sums) > KEPT:
                del self._sums[next(iter(self._sums))]
        return total
