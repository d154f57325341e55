"""The repository on any SQL database. What a database has of its own comes as a `Dialect`."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import msgspec

from msgspec import Struct
from sqlalchemy import ColumnElement, FromClause, Row, Select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, delete, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from bifrost_adapters.storage import _rows
from bifrost_adapters.storage._tables import AnalysisRow
from bifrost_domain.errors import AnalysisNotFound
from bifrost_domain.history import AnalysisSummary, HistoryQuery, Incident, Page, searchable, summarise, words
from bifrost_domain.report import SCHEMA_VERSION, Analysis, Category, Severity

EXPORTED_AT_ONCE = 100
ERASED_AT_ONCE = 500

_AT = col(AnalysisRow.at)


class Search(Struct, frozen=True, kw_only=True):
    """How to walk the analyses newest first: over what, in the order of which column, and where."""

    source: FromClause | type[AnalysisRow]
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
    """An AnalysisRepository. Each call has a session of its own; in one process, writers wait in line."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._line = asyncio.Lock()

    async def add(self, analysis: Analysis) -> None:
        row = _to_row(analysis)
        with self._dialect.translated():
            async with self._line, AsyncSession(self._dialect.writing) as session:
                row.at = await _free_place(session, row.at)
                session.add(row)
                await session.commit()

    async def get(self, id: str) -> Analysis:
        with self._dialect.translated():
            async with AsyncSession(self._dialect.reading) as session:
                found = await session.exec(
                    select(AnalysisRow.schema_version, AnalysisRow.body).where(AnalysisRow.id == id)
                )
                stored = found.one_or_none()
        if stored is None:
            raise _not_found(id)
        return _rows.from_body(id, *stored)

    async def search(self, query: HistoryQuery) -> Page:
        before = None if query.cursor is None else _rows.from_cursor(query.cursor)
        statement, at = self._matching(query, before, select(*_LISTED))
        with self._dialect.translated():
            async with AsyncSession(self._dialect.reading) as session:
                found = await session.exec(statement.order_by(at.desc()).limit(query.limit + 1))
                rows = found.all()
        shown = rows[: query.limit]
        return Page(
            items=tuple(_to_summary(row) for row in shown),
            next_cursor=_rows.to_cursor(shown[-1].at) if len(rows) > len(shown) else None,
        )

    async def export(self, query: HistoryQuery) -> AsyncGenerator[Analysis, None]:
        before: int | None = None
        while True:
            columns = select(_AT, AnalysisRow.id, AnalysisRow.schema_version, AnalysisRow.body)
            statement, at = self._matching(query, before, columns)
            with self._dialect.translated():
                async with AsyncSession(self._dialect.reading) as session:
                    found = await session.exec(statement.order_by(at.desc()).limit(EXPORTED_AT_ONCE))
                    rows = found.all()
            for before, id, schema_version, body in rows:
                yield _rows.from_body(id, schema_version, body)
            if len(rows) < EXPORTED_AT_ONCE:
                return

    async def delete(self, id: str) -> None:
        with self._dialect.translated():
            async with self._line, AsyncSession(self._dialect.writing) as session:
                gone = (await session.exec(delete(AnalysisRow).where(col(AnalysisRow.id) == id))).rowcount
                await session.commit()
        if not gone:
            raise _not_found(id)
        await self._dialect.scrub()

    async def forget_before(self, moment: datetime) -> int:
        oldest = select(AnalysisRow.at).where(_AT < _rows.place(moment)).order_by(_AT).limit(ERASED_AT_ONCE)
        forgotten = 0
        while True:
            with self._dialect.translated():
                async with self._line, AsyncSession(self._dialect.writing) as session:
                    gone = (await session.exec(delete(AnalysisRow).where(_AT.in_(oldest)))).rowcount
                    await session.commit()
            forgotten += gone
            if gone < ERASED_AT_ONCE:
                break
        if forgotten:
            await self._dialect.scrub()
        return forgotten

    async def incident(self, fingerprint: str) -> Incident | None:
        with self._dialect.translated():
            async with AsyncSession(self._dialect.reading) as session:
                found = await session.exec(
                    select(func.count(), func.min(_AT), func.max(_AT)).where(AnalysisRow.fingerprint == fingerprint)
                )
                seen, first, last = found.one()
        if not seen:
            return None
        return Incident(
            fingerprint=fingerprint, seen=seen, first_seen=_rows.moment(first), last_seen=_rows.moment(last)
        )

    def _matching(
        self, query: HistoryQuery, before: int | None, statement: Select[Any]
    ) -> tuple[Select[Any], ColumnElement[int]]:
        """`statement` over what matches `query` and is older than the place `before`; and the column to order by."""
        wanted = words(query.text or "")
        search = self._dialect.find(wanted) if wanted else Search(source=AnalysisRow, at=_AT)
        statement = statement.select_from(search.source).where(*search.where)
        for column, value in (
            (AnalysisRow.severity, query.severity),
            (AnalysisRow.category, query.category),
            (AnalysisRow.provider, query.provider),
            (AnalysisRow.source, query.source),
            (AnalysisRow.fingerprint, query.fingerprint),
            (AnalysisRow.cached, query.cached),
        ):
            if value is not None:
                statement = statement.where(col(column) == value)
        if query.since is not None:
            statement = statement.where(search.at >= _rows.place(query.since))
        if query.until is not None:
            statement = statement.where(search.at < _rows.place(query.until))
        if before is not None:
            statement = statement.where(search.at < before)
        return statement, search.at


async def _free_place(session: AsyncSession, at: int) -> int:
    """The first free place from `at` on. Of a thousand and more in one microsecond, the rest goes to the next."""
    while True:
        found = await session.exec(select(func.max(_AT)).where(_AT >= at, _AT < at + _rows.SAME_MICROSECOND))
        last = found.one()
        if last is None:
            return at
        if last + 1 < at + _rows.SAME_MICROSECOND:
            return int(last) + 1
        at += _rows.SAME_MICROSECOND


_LISTED = (
    _AT,
    *(col(getattr(AnalysisRow, name)) for name in AnalysisSummary.__struct_fields__ if name != "created_at"),
)


def _to_row(analysis: Analysis) -> AnalysisRow:
    listed = msgspec.structs.asdict(summarise(analysis))
    return AnalysisRow(
        at=_rows.place(listed.pop("created_at")),
        **listed,
        schema_version=SCHEMA_VERSION,
        text=searchable(analysis),
        body=_rows.to_body(analysis),
    )


def _to_summary(row: Row[Any]) -> AnalysisSummary:
    listed = dict(row._mapping)
    return AnalysisSummary(
        created_at=_rows.moment(listed.pop("at")),
        severity=Severity(listed.pop("severity")),
        category=Category(listed.pop("category")),
        **listed,
    )


def _not_found(id: str) -> AnalysisNotFound:
    return AnalysisNotFound(f"there is no analysis {id!r}", hint="`bifrost history list` shows those there are")
