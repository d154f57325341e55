"""The queue without a queue: items are run from what is due in the storage.

What this process puts is run at once. What others put, what a lost worker left, and what is to be tried again is found
by a look at the storage every `look_seconds`, half of which is chance so that replicas do not look in step.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Annotated

from msgspec import Meta, Struct

from bifrost_domain.batch import ItemRef
from bifrost_domain.errors import StorageUnavailable
from bifrost_domain.ports import Chance, JobQueue

__all__ = ["Options", "open"]

_FOUND = 4
"""Items that one look finds, for each that may run at once: some, so that it takes few looks to get through many, and
few, so that a small batch that comes later is not kept waiting by a large one."""

Due = Callable[[int], Awaitable[Sequence[ItemRef]]]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    look_seconds: Annotated[float, Meta(gt=0)] = 2.0


@asynccontextmanager
async def open(options: Options, *, due: Due, chance: Chance) -> AsyncIterator[JobQueue]:
    """`due(limit)` looks into the storage for items that may be claimed; it raises StorageUnavailable."""
    yield _StoredQueue(options.look_seconds, due, chance)


class _StoredQueue:
    """A JobQueue."""

    def __init__(self, look_seconds: float, due: Due, chance: Chance) -> None:
        self._look_seconds = look_seconds
        self._due = due
        self._chance = chance
        self._found: deque[ItemRef] = deque()
        self._stale = 0.0
        self._running: set[ItemRef] = set()
        self._put = asyncio.Event()

    async def put(self, refs: Sequence[ItemRef], *, after: timedelta = timedelta()) -> None:
        if not after:
            self._put.set()

    @asynccontextmanager
    async def work(self, run: Callable[[ItemRef], Awaitable[None]], at_once: int) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            taking = group.create_task(self._take(group, run, at_once))
            try:
                yield
            finally:
                taking.cancel()

    async def _take(self, group: asyncio.TaskGroup, run: Callable[[ItemRef], Awaitable[None]], at_once: int) -> None:
        room = asyncio.Semaphore(at_once)

        async def run_one(ref: ItemRef) -> None:
            try:
                await run(ref)
            finally:
                self._running.discard(ref)
                room.release()

        while True:
            await room.acquire()
            ref = await self._next(_FOUND * at_once)
            self._running.add(ref)
            group.create_task(run_one(ref))

    async def _next(self, most: int) -> ItemRef:
        """The next item that was due when it was last looked, a little while ago at the most. Who claims it finds out
        whether it still is.

        What is found is gone through from a place that chance chooses, so that replicas that find the same do not all
        claim the same first.
        """
        loop = asyncio.get_running_loop()
        if self._put.is_set() or loop.time() >= self._stale:
            self._found.clear()
        while not self._found:
            self._put.clear()
            self._stale = loop.time() + self._look_seconds
            with suppress(StorageUnavailable):
                found = [ref for ref in await self._due(most) if ref not in self._running]
                first = int(self._chance() * len(found))
                self._found.extend(found[first:] + found[:first])
            if not self._found:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._look_seconds * (0.75 + 0.5 * self._chance())):
                        await self._put.wait()
        return self._found.popleft()
