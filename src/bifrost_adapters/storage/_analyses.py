"""The analyses on any SQL database."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, delete, func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bifrost_adapters.storage import _rows
from bifrost_adapters.storage._database import Database, Found, Loader, Search, Statement
from bifrost_adapters.storage._tables import ANALYSES, INCIDENTS
from bifrost_domain.errors import AnalysisNotFound, StorageUnavailable
from bifrost_domain.history import (
    AnalysisSummary,
    HistoryQuery,
    Incident,
    IncidentPage,
    Page,
    Provenance,
    searchable,
    summarise,
    words,
)
from bifrost_domain.report import SCHEMA_VERSION, Analysis, Category, Severity

EXPORTED_AT_ONCE = 100
ERASED_AT_ONCE = 500
FEW = 2000
"""Rows that a filter leaves to be searched one by one, instead of by the index of words."""
TRIES = 50
"""How often a place that another process took meanwhile is looked for again."""

_place = ANALYSES.c.at
_BODIES = select(ANALYSES.c.id, ANALYSES.c.schema_version, ANALYSES.c.body)
_FILTERS = ("severity", "category", "provider", "source", "fingerprint", "cached")

_SEEN_AGAIN = text("""
    INSERT INTO incidents (fingerprint, seen, first_at, last_at) VALUES (:fingerprint, 1, :at, :at)
    ON CONFLICT (fingerprint) DO UPDATE SET
        seen = incidents.seen + 1,
        first_at = CASE WHEN excluded.first_at < incidents.first_at THEN excluded.first_at ELSE incidents.first_at END,
        last_at = CASE WHEN excluded.last_at > incidents.last_at THEN excluded.last_at ELSE incidents.last_at END
""")
_SEEN_LESS = text("UPDATE incidents SET seen = seen - :gone WHERE fingerprint = :fingerprint")
_SEEN_NO_MORE = text("DELETE FROM incidents WHERE fingerprint = :fingerprint AND seen <= 0")
_SEEN_FROM_TO = text("""
    UPDATE incidents SET
        first_at = (SELECT min(at) FROM analyses WHERE fingerprint = :fingerprint),
        last_at = (SELECT max(at) FROM analyses WHERE fingerprint = :fingerprint)
    WHERE fingerprint = :fingerprint
""")


class _Taken(Exception):
    """A row with this place or this id is there."""


class SqlAnalyses:
    """An AnalysisRepository."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._bodies: Loader[str, Found] = Loader(self._read_bodies)

    async def _read_bodies(self, ids: Sequence[str]) -> dict[str, Found]:
        rows = await self._database.read(_BODIES.where(ANALYSES.c.id.in_(ids)))
        return {row.id: row for row in rows}

    async def add(self, analysis: Analysis, provenance: Provenance | None = None) -> None:
        row = to_row(analysis, provenance)

        async def work(connection: AsyncConnection) -> None:
            at = await _free_place(connection, row["at"])
            try:
                await connection.execute(insert(ANALYSES), row | {"at": at})
            except IntegrityError as error:
                raise _Taken from error
            await self._database.dialect.index(connection, at, row["text"])
            await connection.execute(_SEEN_AGAIN, {"fingerprint": row["fingerprint"], "at": at})

        for _ in range(TRIES):
            try:
                return await self._database.write(work)
            except _Taken:
                if await self._database.read(select(_place).where(ANALYSES.c.id == row["id"])):
                    raise StorageUnavailable(f"there is an analysis {analysis.id!r} already") from None
        raise StorageUnavailable("too many analyses are being stored in one moment", hint="try again")

    async def get(self, id: str) -> Analysis:
        row = await self._bodies.get(_rows.storable(id))
        if row is None:
            raise _not_found(id)
        return _rows.from_body(id, row.schema_version, row.body)

    async def provenance(self, id: str) -> Provenance | None:
        row = await self._one(id, ANALYSES.c.provenance)
        return None if row.provenance is None else _rows.from_provenance(id, row.provenance)

    async def search(self, query: HistoryQuery) -> Page:
        before = None if query.cursor is None else _rows.from_cursor(query.cursor)
        rows = await self._newest(_LISTED, query, before, query.limit + 1)
        shown = rows[: query.limit]
        return Page(
            items=tuple(_to_summary(row) for row in shown),
            next_cursor=_rows.to_cursor(shown[-1].at) if len(rows) > len(shown) else None,
        )

    async def export(self, query: HistoryQuery) -> AsyncGenerator[Analysis, None]:
        columns = (_place, ANALYSES.c.id, ANALYSES.c.schema_version, ANALYSES.c.body)
        before: int | None = None
        while True:
            rows = await self._newest(columns, query, before, EXPORTED_AT_ONCE)
            for row in rows:
                yield _rows.from_body(row.id, row.schema_version, row.body)
            if len(rows) < EXPORTED_AT_ONCE:
                return
            before = rows[-1].at

    async def delete(self, id: str) -> None:
        if not await self._erase(ANALYSES.c.id == _rows.storable(id)):
            raise _not_found(id)
        self._database.scrub()

    async def forget_before(self, moment: datetime) -> int:
        oldest = select(_place).where(_place < _rows.place(moment)).order_by(_place).limit(ERASED_AT_ONCE)
        forgotten = 0
        # An erasure finds nothing where another process is erasing the same rows; this one stays until they are gone.
        while await self._database.read(oldest.limit(1)):
            forgotten += await self._erase(_place.in_(oldest))
        if forgotten:
            self._database.scrub()
        return forgotten

    async def incident(self, fingerprint: str) -> Incident | None:
        rows = await self._database.read(_INCIDENTS.where(INCIDENTS.c.fingerprint == _rows.storable(fingerprint)))
        return _to_incident(rows[0]) if rows else None

    async def incidents(self, *, limit: int = 50, cursor: str | None = None) -> IncidentPage:
        statement = _INCIDENTS.order_by(INCIDENTS.c.last_at.desc()).limit(limit + 1)
        if cursor is not None:
            statement = statement.where(INCIDENTS.c.last_at < _rows.from_cursor(cursor))
        rows = await self._database.read(statement)
        shown = rows[:limit]
        return IncidentPage(
            items=tuple(_to_incident(row) for row in shown),
            next_cursor=_rows.to_cursor(shown[-1].last_at) if len(rows) > len(shown) else None,
        )

    async def _one(self, id: str, *columns: ColumnElement[Any]) -> Found:
        rows = await self._database.read(select(*columns).where(ANALYSES.c.id == _rows.storable(id)))
        if not rows:
            raise _not_found(id)
        return rows[0]

    async def _newest(
        self, columns: Sequence[ColumnElement[Any]], query: HistoryQuery, before: int | None, limit: int
    ) -> list[Found]:
        """`columns` of the newest rows that match `query` and are older than the place `before`."""
        dialect, read = self._database.dialect, self._database.read
        if query.until is not None:
            until = _rows.place(query.until)
            before = until if before is None else min(before, until)
        wanted = words(query.text or "")
        if not wanted or await self._leaves_few(query, before):
            everywhere = Search(source=ANALYSES, at=_place, where=tuple(map(dialect.contains, wanted)))
            return list(await read(_walk(everywhere, columns, query, before).limit(limit)))
        rows: list[Found] = []
        async for search in dialect.searches(read, wanted, before):
            rows += await read(_walk(search, columns, query, before).limit(limit - len(rows)))
            if len(rows) >= limit:
                break
        return rows

    async def _leaves_few(self, query: HistoryQuery, before: int | None) -> bool:
        """Whether the filters alone leave so few rows that each can be looked at."""
        if all(getattr(query, name) is None for name in _FILTERS) and query.since is None:
            return False
        everywhere = Search(source=ANALYSES, at=_place)
        few = _walk(everywhere, (_place,), query, before).limit(FEW).subquery()
        ((count,),) = await self._database.read(select(func.count()).select_from(few))
        return int(count) < FEW

    async def _erase(self, condition: ColumnElement[bool]) -> int:
        async def work(connection: AsyncConnection) -> int:
            gone = await connection.execute(delete(ANALYSES).where(condition).returning(ANALYSES.c.fingerprint))
            await _see_less(connection, gone.scalars())
            return gone.rowcount

        return await self._database.write(work)


async def _see_less(connection: AsyncConnection, fingerprints: Iterable[str]) -> None:
    """Takes erased rows out of the incidents; always in the same order, so that nobody waits in a circle.

    Counting down comes first, in a statement of its own: it locks the incident until the commit, and on PostgreSQL
    only a statement that begins with the lock held sees every row that others have added or erased.
    """
    counted = sorted(Counter(fingerprints).items())
    if counted:
        gone = [{"fingerprint": fingerprint, "gone": count} for fingerprint, count in counted]
        touched = [{"fingerprint": fingerprint} for fingerprint, _ in counted]
        await connection.execute(_SEEN_LESS, gone)
        await connection.execute(_SEEN_NO_MORE, touched)
        await connection.execute(_SEEN_FROM_TO, touched)


def _walk(search: Search, columns: Sequence[ColumnElement[Any]], query: HistoryQuery, before: int | None) -> Statement:
    statement = select(*columns).select_from(search.source).where(*search.where).order_by(search.at.desc())
    for name in _FILTERS:
        value = getattr(query, name)
        if value is not None:
            value = _rows.storable(value) if isinstance(value, str) else value
            statement = statement.where(ANALYSES.c[name] == value)
    if query.since is not None:
        statement = statement.where(search.at >= _rows.place(query.since))
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


_INCIDENTS = select(
    *INCIDENTS.c, *(ANALYSES.c[name] for name in ("id", "severity", "category", "source", "summary"))
).select_from(INCIDENTS.join(ANALYSES, ANALYSES.c.at == INCIDENTS.c.last_at))


def to_row(analysis: Analysis, provenance: Provenance | None = None) -> dict[str, Any]:
    """The values of every column; `at` is the first place of its moment, which may be taken."""
    listed: dict[str, Any] = {
        name: _rows.storable(value) if isinstance(value, str) else value
        for name, value in msgspec.structs.asdict(summarise(analysis)).items()
    }
    return {
        "at": _rows.place(listed.pop("created_at")),
        **listed,
        "schema_version": SCHEMA_VERSION,
        "text": searchable(analysis),
        "body": _rows.to_body(analysis),
        "provenance": None if provenance is None else _rows.to_provenance(provenance),
    }


def _to_incident(row: Found) -> Incident:
    return Incident(
        fingerprint=row.fingerprint,
        seen=row.seen,
        first_seen=_rows.moment(row.first_at),
        last_seen=_rows.moment(row.last_at),
        last_id=row.id,
        severity=Severity(row.severity),
        category=Category(row.category),
        source=row.source,
        summary=row.summary,
    )


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
