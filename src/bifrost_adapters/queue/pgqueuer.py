"""PgQueuer (https://pgqueuer.readthedocs.io), a queue in PostgreSQL: replicas hear of new items by LISTEN and NOTIFY.

A job of it is an errand: it says which item may be claimed, and is done when somebody tried. Whether the item is still
to be run, and by whom, is in the storage. So a job too many does no harm, and one that is missing is made again by the
look at what is due that every process takes now and then. The tables come with those of the storage.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from typing import Annotated

import asyncpg
import msgspec
from msgspec import Meta, Struct
from pgqueuer import AsyncpgPoolDriver, Job, Queries, QueueManager
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.domain.errors import PgqException, RetryRequested
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.domain.types import Channel

from bifrost_domain.batch import ItemRef
from bifrost_domain.errors import StorageUnavailable
from bifrost_domain.ports import Chance, JobQueue

__all__ = ["Options", "open"]

ENTRYPOINT = "batch-item"
_FOUND_AT_ONCE = 64
_CONNECTIONS = 3
"""One listens, the others are for statements."""
_CONNECT_SECONDS = 4.0
_COMMAND_SECONDS = 10.0
_RESTARTED_SECONDS = 1.0
_LOG_KEPT = timedelta(hours=1)
"""Of PgQueuer's own record of what it did, which it never erases."""

Due = Callable[[int], Awaitable[Sequence[ItemRef]]]


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url` is that of the storage's database. Seconds: every `look_seconds` it is looked for items without a job;
    `lost_seconds` after its last sign a worker is taken for lost, and its jobs go to another one."""

    url: str
    look_seconds: Annotated[float, Meta(gt=0)] = 10.0
    lost_seconds: Annotated[float, Meta(gt=0)] = 15.0


NAMES = DBSettings(
    prefix="bifrost_",
    db_schema=None,
    channel=Channel("bifrost_ch_pgqueuer"),
    function="bifrost_fn_pgqueuer_changed",
    statistics_table="bifrost_pgqueuer_statistics",
    queue_status_type="bifrost_pgqueuer_status",
    queue_table="bifrost_pgqueuer",
    queue_table_log="bifrost_pgqueuer_log",
    trigger="bifrost_tg_pgqueuer_changed",
    schedules_table="bifrost_pgqueuer_schedules",
    durability=Durability.durable,
)
"""Those of the migration, whatever the environment says, so that another user of PgQueuer can share the database."""


@asynccontextmanager
async def open(options: Options, *, due: Due, chance: Chance) -> AsyncIterator[JobQueue]:
    """`due(limit)` looks into the storage for items that may be claimed; it raises StorageUnavailable."""
    pool = asyncpg.create_pool(
        "postgresql://" + options.url.partition("://")[2],
        min_size=0,
        max_size=_CONNECTIONS,
        timeout=_CONNECT_SECONDS,
        command_timeout=_COMMAND_SECONDS,
        server_settings={"application_name": "bifrost-queue"},
    )
    async with pool:
        yield _PgQueuer(options, due, chance, pool)


class _PgQueuer:
    """A JobQueue."""

    def __init__(self, options: Options, due: Due, chance: Chance, pool: asyncpg.Pool) -> None:
        self._options = options
        self._due = due
        self._chance = chance
        self._pool = pool
        self._queries = self._queries_of(pool)

    async def put(self, refs: Sequence[ItemRef], *, after: timedelta = timedelta()) -> None:
        """Low numbers have priority. An item that has a job to be run at once gets no second one."""
        if not refs:
            return
        with _translated():
            await self._queries.enqueue(
                [ENTRYPOINT] * len(refs),
                [msgspec.json.encode(ref) for ref in refs],
                [-ref.number for ref in refs],
                [after] * len(refs),
                [None if after else f"{ref.batch}/{ref.number}" for ref in refs],
                on_conflict="skip",
            )

    @asynccontextmanager
    async def work(self, run: Callable[[ItemRef], Awaitable[None]], at_once: int) -> AsyncIterator[None]:
        stopping = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            looking = group.create_task(self._look())
            group.create_task(self._serve(run, at_once, stopping))
            try:
                yield
            finally:
                stopping.set()
                looking.cancel()

    async def _serve(self, run: Callable[[ItemRef], Awaitable[None]], at_once: int, stopping: asyncio.Event) -> None:
        """Takes jobs. Where the database goes away the manager ends, and a new one listens on new connections."""
        room = asyncio.Semaphore(at_once)

        async def run_one(job: Job) -> None:
            async with room:
                if stopping.is_set():
                    raise RetryRequested
                await run(msgspec.json.decode(job.payload or b"", type=ItemRef))

        while not stopping.is_set():
            manager = QueueManager(self._queries_of(self._pool), NAMES.channel)
            manager.entrypoint(ENTRYPOINT)(run_one)
            told = asyncio.create_task(_tell(stopping, manager.shutdown))
            try:
                with _translated():
                    # It wants room for two batches of jobs; `room` keeps to the number that is asked for.
                    await manager.run(
                        batch_size=max(1, at_once // 2),
                        max_concurrent_tasks=max(2, at_once),
                        dequeue_timeout=timedelta(seconds=self._options.look_seconds),
                        heartbeat_timeout=timedelta(seconds=self._options.lost_seconds),
                        log_aggregation_interval=timedelta(),
                        shutdown_on_listener_failure=True,
                    )
            except StorageUnavailable:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_RESTARTED_SECONDS * (0.5 + self._chance())):
                        await stopping.wait()
            finally:
                told.cancel()

    async def _look(self) -> None:
        """Makes jobs for items that have none, and clears PgQueuer's record."""
        while True:
            with suppress(StorageUnavailable):
                await self.put(await self._due(_FOUND_AT_ONCE))
                await self._clear()
            await asyncio.sleep(self._options.look_seconds * (0.75 + 0.5 * self._chance()))

    async def _clear(self) -> None:
        with _translated():
            for table in (NAMES.queue_table_log, NAMES.statistics_table):
                await self._pool.execute(f"DELETE FROM {table} WHERE created < now() - $1::interval", _LOG_KEPT)

    @staticmethod
    def _queries_of(pool: asyncpg.Pool) -> Queries:
        return Queries(
            AsyncpgPoolDriver(pool),
            qbe=QueryBuilderEnvironment(NAMES),
            qbq=QueryQueueBuilder(NAMES),
            qbs=QuerySchedulerBuilder(NAMES),
        )


async def _tell(stopping: asyncio.Event, shutdown: asyncio.Event) -> None:
    await stopping.wait()
    shutdown.set()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, PgqException, OSError, TimeoutError) as error:
        raise StorageUnavailable(
            f"the queue in the database cannot be used ({type(error).__name__})",
            hint="check the database, and that it is up to date: bifrost db status",
        ) from error
