"""A SQL database as the repositories see it: reads, and writes that are brought to their end.

What a database has of its own comes as a `Dialect`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, Generic, TypeVar

from msgspec import Struct
from sqlalchemy import ColumnElement, Row, Select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.roles import FromClauseRole

from bifrost_domain.errors import StorageUnavailable

Result = TypeVar("Result")
Key = TypeVar("Key")
Statement = Select[*tuple[Any, ...]]
Found = Row[*tuple[Any, ...]]


Read = Callable[[Statement], Awaitable[Sequence[Found]]]
LOADED_AT_ONCE = 100


class Loader(Generic[Key, Result]):
    """Rows by their keys: those that are asked for while a reading goes on are read together by the next one.

    `read` gives what there is of some keys. So a row costs a whole reading where one asks at a time, and a small part
    of one where many do.
    """

    def __init__(self, read: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Result]]]) -> None:
        self._read = read
        self._waiting: dict[Key, asyncio.Future[Result | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: Key) -> Result | None:
        """None where there is none. Raises what `read` raises."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            if self._reading is None:
                self._reading = asyncio.create_task(self._run())
        return await asyncio.shield(future)

    async def _run(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting, {}
                keys = list(asked)
                for start in range(0, len(keys), LOADED_AT_ONCE):
                    await self._load({key: asked[key] for key in keys[start : start + LOADED_AT_ONCE]})
        finally:
            self._reading = None

    async def _load(self, asked: Mapping[Key, asyncio.Future[Result | None]]) -> None:
        try:
            found = await self._read(list(asked))
        except Exception as error:  # noqa: BLE001  # each who waits is told
            for future in asked.values():
                future.set_exception(error)
                future.exception()
        else:
            for key, future in asked.items():
                future.set_result(found.get(key))


class Search(Struct, frozen=True, kw_only=True):
    """How to walk the analyses newest first: over what, in the order of which column, and where."""

    source: FromClauseRole
    at: ColumnElement[int]
    where: tuple[ColumnElement[bool], ...] = ()


class Dialect(Struct, frozen=True, kw_only=True):
    """What differs between databases.

    `reading` and `writing` give the transactions; with `one_writer` those of `writing` wait for each other in this
    process too. `contains(word)` holds for a text with that folded word in it. `searches(read, words, before)` leads to
    the rows whose texts may hold all words and that are older than the place `before`: one walk after the other, newest
    first, each over older rows than the one before. `index` takes up a new row's text, `scrub` takes erased rows out of
    whatever may still hold them, and `translated` turns the driver's exceptions into StorageUnavailable.
    """

    reading: AsyncEngine
    writing: AsyncEngine
    one_writer: bool
    contains: Callable[[str], ColumnElement[bool]]
    searches: Callable[[Read, Sequence[str], int | None], AsyncIterator[Search]]
    index: Callable[[AsyncConnection, int, str], Awaitable[None]]
    scrub: Callable[[], Awaitable[None]]
    translated: Callable[[], AbstractContextManager[None]]


class Database:
    """Each call has a connection of its own.

    What was begun in the database is brought to its end, whoever still waits for it: a driver that is cancelled halfway
    may leave a transaction open, and its lock with it. `finish` waits for what is left.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._line = asyncio.Lock() if dialect.one_writer else nullcontext()
        self._begun: set[asyncio.Task[Any]] = set()
        self._scrubbing = False
        self._to_scrub = False

    async def read(self, statement: Statement) -> Sequence[Found]:
        """The rows. Raises StorageUnavailable."""

        async def run() -> Sequence[Found]:
            async with self.dialect.reading.connect() as connection:
                return (await connection.execute(statement)).all()

        return await self._to_its_end(run())

    async def write(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        """What `work` gives, done in one transaction; what it raises is raised and nothing is changed.

        Raises StorageUnavailable.
        """

        async def run() -> Result:
            async with self._line, self.dialect.writing.begin() as connection:
                return await work(connection)

        return await self._to_its_end(run())

    def scrub(self) -> None:
        """Begin to take erased rows out of whatever may still hold them; one pass at a time, `finish` waits for it."""
        self._to_scrub = True
        if not self._scrubbing:
            self._scrubbing = True
            task = asyncio.create_task(self._scrub())
            self._begun.add(task)
            task.add_done_callback(self._begun.discard)

    async def _scrub(self) -> None:
        """A pass that fails is made up for by the next one: what it is for is gone from the tables already."""
        try:
            while self._to_scrub:
                self._to_scrub = False
                with suppress(StorageUnavailable):
                    await self.dialect.scrub()
        finally:
            self._scrubbing = False

    async def finish(self) -> None:
        await asyncio.gather(*self._begun, return_exceptions=True)

    async def _to_its_end(self, work: Coroutine[Any, Any, Result]) -> Result:
        task = asyncio.create_task(work)
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        with self.dialect.translated():
            return await asyncio.shield(task)
