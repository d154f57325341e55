"""The repository on any SQL database. What a database has of its own comes as a `Dialect`."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from sqlalchemy import ColumnElement, Row, Select, delete, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.roles import FromClauseRole

from bifrost_adapters.storage import _rows
from bifrost_adapters.storage._tables import ANALYSES
from bifrost_domain.errors import AnalysisNotFound, StorageUnavailable
from bifrost_domain.history import AnalysisSummary, HistoryQuery, Incident, Page, searchable, summarise, words
from bifrost_domain.report import SCHEMA_VERSION, Analysis, Category, Severity

Result = TypeVar("Result")
Statement = Select[*tuple[Any, ...]]
Found = Row[*tuple[Any, ...]]

EXPORTED_AT_ONCE = 100
ERASED_AT_ONCE = 500

_place = ANALYSES.c.at


class Search(Struct, frozen=True, kw_only=True):
    """How to walk the analyses newest first: over what, in the order of which column, and where."""

    source: FromClauseRole
    at: ColumnElement[int]
    where: tuple[ColumnElement[bool], ...] = ()


class Dialect(Struct, frozen=True, kw_only=True):
    """What differs between databases.

    `reading` and `writing` give the transactions; those of `writing` see no other writer between their first read and
    their end. `find` answers a text search by its folded words, `scrub` takes erased rows out of whatever may still
    hold them, and `translated` turns the driver's exceptions into StorageUnavailable.
    """

    reading: AsyncEngine
    writing: AsyncEngine
    find: Callable[[Sequence[str]], Search]
    scrub: Callable[[], Awaitable[None]]
    translated: Callable[[], AbstractContextManager[None]]


class SqlAnalyses:
    """An AnalysisRepository. Each call has a connection of its own; in one process, writers wait in line.

    What was begun in the database is brought to its end, whoever still waits for it: a driver that is cancelled halfway
    may leave a transaction open, and its lock with it. `finish` waits for what is left.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._line = asyncio.Lock()
        self._begun: set[asyncio.Task[Any]] = set()

    async def add(self, analysis: Analysis) -> None:
        row = _to_row(analysis)

        async def work(connection: AsyncConnection) -> None:
            row["at"] = await _free_place(connection, row["at"])
            try:
                await connection.execute(insert(ANALYSES), row)
            except IntegrityError as error:
                raise StorageUnavailable(f"there is an analysis {analysis.id!r} already") from error

        await self._write(work)

    async def get(self, id: str) -> Analysis:
        found = await self._read(select(ANALYSES.c.schema_version, ANALYSES.c.body).where(ANALYSES.c.id == id))
        if not found:
            raise _not_found(id)
        return _rows.from_body(id, found[0].schema_version, found[0].body)

    async def search(self, query: HistoryQuery) -> Page:
        before = None if query.cursor is None else _rows.from_cursor(query.cursor)
        rows = await self._read(_newest_first(self._dialect, _LISTED, query, before).limit(query.limit + 1))
        shown = rows[: query.limit]
        return Page(
            items=tuple(_to_summary(row) for row in shown),
            next_cursor=_rows.to_cursor(shown[-1].at) if len(rows) > len(shown) else None,
        )

    async def export(self, query: HistoryQuery) -> AsyncGenerator[Analysis, None]:
        columns = (_place, ANALYSES.c.id, ANALYSES.c.schema_version, ANALYSES.c.body)
        before: int | None = None
        while True:
            rows = await self._read(_newest_first(self._dialect, columns, query, before).limit(EXPORTED_AT_ONCE))
            for row in rows:
                yield _rows.from_body(row.id, row.schema_version, row.body)
            if len(rows) < EXPORTED_AT_ONCE:
                return
            before = rows[-1].at

    async def delete(self, id: str) -> None:
        if not await self._erase(ANALYSES.c.id == id):
            raise _not_found(id)
        await self._dialect.scrub()

    async def forget_before(self, moment: datetime) -> int:
        oldest = select(_place).where(_place < _rows.place(moment)).order_by(_place).limit(ERASED_AT_ONCE)
        forgotten = 0
        while gone := await self._erase(_place.in_(oldest)):
            forgotten += gone
        if forgotten:
            await self._dialect.scrub()
        return forgotten

    async def incident(self, fingerprint: str) -> Incident | None:
        aggregates = select(func.count(), func.min(_place), func.max(_place))
        ((seen, first, last),) = await self._read(aggregates.where(ANALYSES.c.fingerprint == fingerprint))
        if not seen:
            return None
        return Incident(
            fingerprint=fingerprint, seen=seen, first_seen=_rows.moment(first), last_seen=_rows.moment(last)
        )

    async def ping(self) -> None:
        await self._read(select(_place).limit(1))

    async def finish(self) -> None:
        await asyncio.gather(*self._begun, return_exceptions=True)

    async def _erase(self, condition: ColumnElement[bool]) -> int:
        async def work(connection: AsyncConnection) -> int:
            return (await connection.execute(delete(ANALYSES).where(condition))).rowcount

        return await self._write(work)

    async def _read(self, statement: Statement) -> Sequence[Found]:
        async def run() -> Sequence[Found]:
            async with self._dialect.reading.connect() as connection:
                return (await connection.execute(statement)).all()

        return await self._to_its_end(run())

    async def _write(self, work: Callable[[AsyncConnection], Awaitable[Result]]) -> Result:
        async def run() -> Result:
            async with self._line, self._dialect.writing.begin() as connection:
                return await work(connection)

        return await self._to_its_end(run())

    async def _to_its_end(self, work: Coroutine[Any, Any, Result]) -> Result:
        task = asyncio.create_task(work)
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        with self._dialect.translated():
            return await asyncio.shield(task)


def _newest_first(
    dialect: Dialect, columns: Sequence[ColumnElement[Any]], query: HistoryQuery, before: int | None
) -> Statement:
    """`columns` of what matches `query` and is older than the place `before`."""
    wanted = words(query.text or "")
    search = dialect.find(wanted) if wanted else Search(source=ANALYSES, at=_place)
    statement = select(*columns).select_from(search.source).where(*search.where).order_by(search.at.desc())
    for name in ("severity", "category", "provider", "source", "fingerprint", "cached"):
        value = getattr(query, name)
        if value is not None:
            statement = statement.where(ANALYSES.c[name] == value)
    if query.since is not None:
        statement = statement.where(search.at >= _rows.place(query.since))
    if query.until is not None:
        statement = statement.where(search.at < _rows.place(query.until))
    if before is not None:
        statement = statement.where(search.at < before)
    return statement


async def _free_place(connection: AsyncConnection, at: int) -> int:
    """The first free place from `at` on. Of a thousand and more in one microsecond, the rest goes to the next."""
    while True:
        last: int | None = await connection.scalar(
            select(func.max(_place)).where(_place >= at, _place < at + _rows.SAME_MICROSECOND)
        )
        if last is None:
            return at
        if last + 1 < at + _rows.SAME_MICROSECOND:
            return last + 1
        at += _rows.SAME_MICROSECOND


_LISTED = (_place, *(ANALYSES.c[name] for name in AnalysisSummary.__struct_fields__ if name != "created_at"))


def _to_row(analysis: Analysis) -> dict[str, Any]:
    listed = msgspec.structs.asdict(summarise(analysis))
    return {
        "at": _rows.place(listed.pop("created_at")),
        **listed,
        "schema_version": SCHEMA_VERSION,
        "text": searchable(analysis),
        "body": _rows.to_body(analysis),
    }


def _to_summary(row: Found) -> AnalysisSummary:
    listed = dict(row._mapping)
    return AnalysisSummary(
        created_at=_rows.moment(listed.pop("at")),
        severity=Severity(listed.pop("severity")),
        category=Category(listed.pop("category")),
        **listed,
    )


def _not_found(id: str) -> AnalysisNotFound:
    return AnalysisNotFound(f"there is no analysis {id!r}", hint="`bifrost history list` shows those there are")
