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

_FOUND_AT_ONCE = 64
"""Items that one look finds: more than this process runs at once, so that it needs few looks to get through many."""

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
        self._running: set[ItemRef] = set()
        self._put = asyncio.Event()

    async def put(self, refs: Sequence[ItemRef], *, after: timedelta = timedelta()) -> None:
        if not after:
            self._put.set()

    @asynccontextmanager
    async def work(self, run: Callable[[ItemRef], Awaitable[None]], at_once: int) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            taking = group.create_task(self._take(group, run, asyncio.Semaphore(at_once)))
            try:
                yield
            finally:
                taking.cancel()

    async def _take(
        self, group: asyncio.TaskGroup, run: Callable[[ItemRef], Awaitable[None]], room: asyncio.Semaphore
    ) -> None:
        async def run_one(ref: ItemRef) -> None:
            try:
                await run(ref)
            finally:
                self._running.discard(ref)
                room.release()

        while True:
            await room.acquire()
            ref = await self._next()
            self._running.add(ref)
            group.create_task(run_one(ref))

    async def _next(self) -> ItemRef:
        """The next item that was due when it was last looked. Who claims it finds out whether it still is.

        What is found is gone through from a place that chance chooses, so that replicas that find the same do not all
        claim the same first.
        """
        while not self._found:
            self._put.clear()
            with suppress(StorageUnavailable):
                found = [ref for ref in await self._due(_FOUND_AT_ONCE) if ref not in self._running]
                first = int(self._chance() * len(found))
                self._found.extend(found[first:] + found[:first])
            if not self._found:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._look_seconds * (0.75 + 0.5 * self._chance())):
                        await self._put.wait()
        return self._found.popleft()
