"""Batches as a use case: hand in, watch, cancel, and run the items on every replica that serves.

No model is paid twice for an item. It is run by the holder of its lease alone; what the model answered is in the cache
before the item is over, so that who takes an item over from a lost worker finds it there; and the id of its analysis is
fixed beforehand, so that one that was stored already is recognised.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import timedelta
from functools import partial

from msgspec import structs

from bifrost_domain import batch as states
from bifrost_domain.analysis import LONGEST_PAUSE_SECONDS, Analyst, NotRemembered, Remembered, Request
from bifrost_domain.batch import (
    MOST_ITEMS,
    Batch,
    BatchItem,
    BatchOptions,
    BatchPage,
    Counts,
    Failure,
    ItemPage,
    ItemRef,
    Refused,
    Status,
)
from bifrost_domain.errors import (
    AnalysisNotFound,
    BadOption,
    LimitReached,
    ModelThrottled,
    ModelUnavailable,
    StorageUnavailable,
)
from bifrost_domain.history import MAX_LIMIT, PromptPin
from bifrost_domain.logs.digest import Digest
from bifrost_domain.ports import Chance, Clock, JobQueue, NewId, Storage
from bifrost_domain.prompt import PromptVersion

LEASE = timedelta(seconds=15)
"""After which a lost worker is replaced. The clocks of replicas have to differ by less than that."""
PROLONGED = 6
"""How often a lease is prolonged before it would end; that is also when a replica hears that an item was cancelled."""
WATCHED_SECONDS = 1.0
"""How often what another replica does is looked at by who watches a batch."""
RETRIED_SECONDS = 2.0
"""The wait before the second try; it doubles."""
RECORDED_SECONDS = (0.5, 1.0, 2.0)
"""Waits between tries to say what became of an item; after them its lease ends by itself."""
STOPPED_SECONDS = 5.0
"""How long an analysis that was told to stop is waited for."""

Transition = Callable[[BatchItem], BatchItem | None]


class Batches:
    """Every use case raises StorageUnavailable.

    `at_once` items run here at the same time, each for `item_seconds` at most. When serving ends, those that run have
    `grace_seconds` before they are given back. `told` hears of what went wrong with an item, whatever it was.
    """

    def __init__(
        self,
        *,
        analyst: Analyst,
        open_storage: Callable[[], Awaitable[Storage]],
        open_queue: Callable[[], Awaitable[JobQueue]],
        find_prompt: Callable[[str | None], Awaitable[PromptVersion]],
        clock: Clock,
        new_id: NewId,
        chance: Chance,
        at_once: int = 4,
        lease: timedelta = LEASE,
        item_seconds: float = 600.0,
        grace_seconds: float = 10.0,
        told: Callable[[ItemRef, Exception], None] = lambda ref, error: None,
    ) -> None:
        self._analyst = analyst
        self._open_storage = open_storage
        self._open_queue = open_queue
        self._find_prompt = find_prompt
        self._clock = clock
        self._new_id = new_id
        self._chance = chance
        self._at_once = at_once
        self._lease = lease
        self._item_seconds = item_seconds
        self._grace_seconds = grace_seconds
        self._told = told
        self._holder = new_id()
        self._running: dict[ItemRef, asyncio.Task[None]] = {}
        self._keeping: asyncio.Task[None] | None = None
        self._watchers: dict[str, set[asyncio.Event]] = {}

    async def load(self) -> tuple[int, int]:
        """How many items may be claimed now, counted to MOST_ITEMS, and how many run here."""
        due = await (await self._open_storage()).batches.due(self._clock(), MOST_ITEMS)
        return len(due), len(self._running)

    async def submit(
        self,
        logs: Sequence[Digest | Refused],
        options: BatchOptions,
        *,
        prompt: str | None = None,
        key: str | None = None,
    ) -> Batch:
        """A new batch with an item for each of `logs` (what `Analyst.prepare` made of them), numbered from 1.

        The wording behind `prompt` (None: that in production) is pinned to the batch, and secrets in the variables are
        masked. `key` is the family of the API key. Raises BadOption for no items or more than MOST_ITEMS, and
        PromptNotFound.
        """
        if not 1 <= len(logs) <= MOST_ITEMS:
            raise BadOption(f"a batch has 1 to {MOST_ITEMS} logs, not {len(logs)}")
        version = await self._find_prompt(prompt)
        pin = PromptPin(name=version.name, version=version.version, checksum=version.checksum)
        now, id = self._clock(), self._new_id()
        items = [(self._accepted(id, number, log), log) for number, log in enumerate(logs, start=1)]
        refused = sum(isinstance(log, Refused) for log in logs)
        batch = Batch(
            id=id,
            created_at=now,
            created_by=key,
            options=structs.replace(options, prompt=pin, variables=self._analyst.masked(options.variables)),
            counts=Counts(queued=len(logs) - refused, failed=refused),
        )
        kept = [(item, log if isinstance(log, Digest) else None) for item, log in items]
        await (await self._open_storage()).batches.add(batch, kept)
        await self._put([item.ref for item, _ in items if not item.status.over])
        return batch

    async def get(self, id: str) -> Batch:
        """Raises BatchNotFound."""
        return await (await self._open_storage()).batches.get(id)

    async def newest(self, *, family: str | None = None, limit: int = 50, cursor: str | None = None) -> BatchPage:
        """Newest first, those of one family of keys where it is given. Raises BadOption."""
        return await (await self._open_storage()).batches.newest(family=family, limit=_rows(limit), cursor=cursor)

    async def items(self, id: str, *, limit: int = 100, cursor: str | None = None) -> ItemPage:
        """By number. Raises BatchNotFound, BadOption."""
        return await (await self._open_storage()).batches.items(id, limit=_rows(limit), cursor=cursor)

    async def cancel(self, id: str) -> Batch:
        """No item of it is begun any more, and those that run are stopped, on other replicas within seconds.

        What is over stays as it is, and so does a report that was just being stored. Raises BatchNotFound.
        """
        batch = await (await self._open_storage()).batches.cancel(id, self._clock())
        for ref, work in self._running.items():
            if ref.batch == id:
                work.cancel()
        self._wake(id)
        return batch

    async def changes(self, id: str, *, after: int = 0) -> AsyncGenerator[Batch | BatchItem, None]:
        """The batch as it is now, then every item as it changes, and the batch again when it is over.

        `after` is the `revision` of the last item that was seen; items come in that order, and one that changed twice
        in a moment may come once. Raises BatchNotFound.
        """
        storage = await self._open_storage()
        event = asyncio.Event()
        self._watchers.setdefault(id, set()).add(event)
        try:
            batch = await storage.batches.get(id)
            yield batch
            while True:
                event.clear()
                batch = await storage.batches.get(id)
                if batch.revision > after:
                    for item in await storage.batches.changed(id, after):
                        yield item
                        after = item.revision
                if batch.over:
                    yield batch
                    return
                with suppress(TimeoutError):
                    async with asyncio.timeout(WATCHED_SECONDS):
                        await event.wait()
        finally:
            self._watchers[id].discard(event)
            if not self._watchers[id]:
                del self._watchers[id]

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None, None]:
        """Items of batches are run here while this is held open. At its end, be it by a cancellation, no more are
        taken, and those that do not end in time are given back, for another replica or for later. Cancelled while it
        ends, it gives them back at once."""
        queue = await self._open_queue()
        stopping = asyncio.Event()

        async def work() -> None:
            async with queue.work(self.run, self._at_once):
                await stopping.wait()

        left: BaseException | None = None
        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            try:
                yield
            except BaseException as error:  # noqa: BLE001  # raised again below, when what runs has ended
                left = error
            stopping.set()
            ending = asyncio.get_running_loop().call_later(self._grace_seconds, self._stop)
        ending.cancel()
        if left is not None:
            raise left

    async def run(self, ref: ItemRef) -> None:
        """Run one item, unless it is over or another one runs it. Raises nothing; cancelled, it gives the item back."""
        if ref in self._running:
            return
        try:
            storage = await self._open_storage()
            now = self._clock()
            claim = partial(states.claimed, holder=self._holder, now=now, until=now + self._lease)
            item = await storage.batches.change(ref, claim)
        except StorageUnavailable as error:
            self._told(ref, error)
            return
        self._wake(ref.batch)
        if item is None or item.status.over:
            return
        work = asyncio.create_task(self._analysed(storage, item))
        self._running[ref] = work
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep(storage))
        try:
            await asyncio.wait({work}, timeout=self._item_seconds)
            await self._record(ref, await self._outcome(item, work))
        except asyncio.CancelledError:
            await _stopped(work)
            await self._record(ref, self._mine(states.released))
            raise
        finally:
            del self._running[ref]
            if not self._running:
                self._keeping.cancel()
                self._keeping = None

    async def _analysed(self, storage: Storage, item: BatchItem) -> None:
        """Ends with the analysis in the history. Raises whatever prevents that."""
        if await _is_stored(storage, item.result):
            return
        batch = await storage.batches.get(item.batch)
        digest = await storage.batches.digest(item.ref)
        if digest is None:
            return
        options = batch.options
        request = Request(
            name=item.name,
            kind=item.kind,
            logs=(),
            id=item.result,
            provider=options.provider,
            model=options.model,
            prompt=None if options.prompt is None else await self._analyst.pinned(options.prompt),
            variables=options.variables,
            language=options.language,
            budget=options.budget,
            use_cache=options.use_cache,
            fallback=options.fallback,
            timeout=options.timeout,
            max_cost=options.max_cost,
            key=batch.created_by,
        )
        remembered = False
        try:
            async with aclosing(self._analyst.resume(digest, request)) as events:
                async for event in events:
                    if isinstance(event, NotRemembered):
                        raise StorageUnavailable(event.reason)
                    remembered = remembered or isinstance(event, Remembered)
        except LimitReached:
            if not remembered:
                raise

    async def _outcome(self, item: BatchItem, work: "asyncio.Task[None]") -> Transition:
        """What becomes of an item after its work, which is stopped where it takes too long."""
        if not work.done():
            await _stopped(work)
            failure = Failure(slug="timed-out", message=f"it took longer than {self._item_seconds:g} s")
            return await self._again(item, failure, 0.0)
        if work.cancelled():
            return self._mine(states.released)
        error = work.exception()
        if error is None:
            return self._mine(states.done)
        if not isinstance(error, Exception):
            raise error
        self._told(item.ref, error)
        failure = states.failure_of(error)
        if states.may_pass(error):
            asked = error.retry_after if isinstance(error, ModelThrottled | ModelUnavailable) else None
            return await self._again(item, failure, asked or 0.0)
        return self._mine(states.failed, failure=failure)

    async def _again(self, item: BatchItem, failure: Failure, seconds: float) -> Transition:
        """Another try, `seconds` from now at the earliest, and never many items in one moment."""
        backoff = RETRIED_SECONDS * 2 ** (item.attempts - 1) * (0.5 + self._chance())
        wait = timedelta(seconds=min(seconds, LONGEST_PAUSE_SECONDS) + backoff)
        await self._put([item.ref], after=wait)
        return self._mine(states.retried, failure=failure, due_at=self._clock() + wait)

    def _mine(self, transition: Callable[..., BatchItem | None], **facts: object) -> Transition:
        return partial(transition, holder=self._holder, now=self._clock(), **facts)

    async def _record(self, ref: ItemRef, transition: Transition) -> None:
        for pause in (*RECORDED_SECONDS, None):
            try:
                await (await self._open_storage()).batches.change(ref, transition)
            except StorageUnavailable as error:
                if pause is None:
                    self._told(ref, error)
                    return
                await asyncio.sleep(pause)
            else:
                break
        self._wake(ref.batch)

    async def _keep(self, storage: Storage) -> None:
        """Prolongs the leases of what runs here, and stops what is no longer held."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / PROLONGED)
            refs = tuple(self._running)
            with suppress(StorageUnavailable):
                held = await storage.batches.prolong(refs, self._holder, self._clock() + self._lease)
                for ref in set(refs).difference(held):
                    if ref in self._running:
                        self._running[ref].cancel()

    def _stop(self) -> None:
        for work in self._running.values():
            work.cancel()

    async def _put(self, refs: Sequence[ItemRef], *, after: timedelta = timedelta()) -> None:
        """What is not put now is found later by looking at what is due."""
        with suppress(StorageUnavailable):
            await (await self._open_queue()).put(refs, after=after)

    def _wake(self, id: str) -> None:
        for event in self._watchers.get(id, ()):
            event.set()

    def _accepted(self, batch: str, number: int, log: Digest | Refused) -> BatchItem:
        now = self._clock()
        name, kind = (log.name, log.kind) if isinstance(log, Refused) else (log.source.name, log.source.kind)
        item = BatchItem(
            batch=batch, number=number, name=name, kind=kind, result=self._new_id(), changed_at=now, due_at=now
        )
        if isinstance(log, Refused):
            return structs.replace(item, status=Status.FAILED, error=log.error, due_at=None)
        return item


async def _is_stored(storage: Storage, id: str) -> bool:
    try:
        await storage.analyses.get(id)
    except AnalysisNotFound:
        return False
    return True


async def _stopped(work: "asyncio.Task[None]") -> None:
    work.cancel()
    await asyncio.wait({work}, timeout=STOPPED_SECONDS)


def _rows(limit: int) -> int:
    if not 1 <= limit <= MAX_LIMIT:
        raise BadOption(f"a page has 1 to {MAX_LIMIT} rows, not {limit}")
    return limit
