"""Batches on any SQL database.

Whoever changes items of a batch locks its row first: the changes of one batch happen one after the other, and nobody
waits in a circle. Leases are prolonged without that, since no count depends on them. Items are locked by their numbers.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, bindparam, delete, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bifrost_adapters.storage import _rows
from bifrost_adapters.storage._database import Database
from bifrost_adapters.storage._tables import BATCH_ITEMS, BATCHES
from bifrost_domain.batch import (
    Batch,
    BatchItem,
    BatchOptions,
    BatchPage,
    Counts,
    Failure,
    ItemPage,
    ItemRef,
    Status,
    cancelled,
)
from bifrost_domain.logs.digest import Digest

INSERTED_AT_ONCE = 50
"""Items in one statement: their digests are what makes it long, and a statement has its time."""
ERASED_AT_ONCE = 20

_ENDING = (
    update(BATCH_ITEMS)
    .where(BATCH_ITEMS.c.batch == bindparam("of"), BATCH_ITEMS.c.number == bindparam("at"))
    .values({name: bindparam(name) for name in ("status", "changed_at", "revision", "due_at", "holder", "digest")})
)
_ITEM = tuple(column for column in BATCH_ITEMS.c if column.name != "digest")


class SqlBatches:
    """A BatchRepository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, batch: Batch, items: Sequence[tuple[BatchItem, Digest | None]]) -> None:
        rows = await asyncio.to_thread(lambda: [_to_item_row(item, digest) for item, digest in items])

        async def work(connection: AsyncConnection) -> None:
            await connection.execute(insert(BATCHES), _to_row(batch))
            for start in range(0, len(rows), INSERTED_AT_ONCE):
                await connection.execute(insert(BATCH_ITEMS), rows[start : start + INSERTED_AT_ONCE])

        await self._database.write(work)

    async def get(self, id: str) -> Batch:
        rows = await self._database.read(select(BATCHES).where(BATCHES.c.id == _rows.storable(id)))
        if not rows:
            raise _rows.no_batch(id)
        return _to_batch(rows[0])

    async def newest(self, *, family: str | None = None, limit: int = 50, cursor: str | None = None) -> BatchPage:
        statement = select(BATCHES).order_by(BATCHES.c.serial.desc()).limit(limit + 1)
        if family is not None:
            statement = statement.where(BATCHES.c.family == _rows.storable(family))
        if cursor is not None:
            statement = statement.where(BATCHES.c.serial < _rows.from_cursor(cursor))
        rows = await self._database.read(statement)
        shown = rows[:limit]
        return BatchPage(
            items=tuple(map(_to_batch, shown)),
            next_cursor=_rows.to_cursor(shown[-1].serial) if len(rows) > len(shown) else None,
        )

    async def items(self, id: str, *, limit: int = 100, cursor: str | None = None) -> ItemPage:
        after = 0 if cursor is None else _rows.from_cursor(cursor)
        columns = BATCH_ITEMS.c
        rows = await self._database.read(
            select(*_ITEM)
            .where(columns.batch == _rows.storable(id), columns.number > after)
            .order_by(columns.number)
            .limit(limit + 1)
        )
        if not rows:
            await self.get(id)
        shown = rows[:limit]
        return ItemPage(
            items=tuple(map(_to_item, shown)),
            next_cursor=_rows.to_cursor(shown[-1].number) if len(rows) > len(shown) else None,
        )

    async def changed(self, id: str, after: int) -> Sequence[BatchItem]:
        columns = BATCH_ITEMS.c
        rows = await self._database.read(
            select(*_ITEM)
            .where(columns.batch == _rows.storable(id), columns.revision > after)
            .order_by(columns.revision)
        )
        if not rows:
            await self.get(id)
        return list(map(_to_item, rows))

    async def due(self, now: datetime, limit: int) -> Sequence[ItemRef]:
        columns = BATCH_ITEMS.c
        rows = await self._database.read(
            select(columns.batch, columns.number)
            .where(columns.due_at <= _rows.place(now))
            .order_by(columns.number, columns.due_at)
            .limit(limit)
        )
        return [ItemRef(row.batch, row.number) for row in rows]

    async def change(self, ref: ItemRef, transition: Callable[[BatchItem], BatchItem | None]) -> BatchItem | None:
        async def work(connection: AsyncConnection) -> BatchItem | None:
            batch = await _locked(connection, ref.batch)
            if batch is None:
                return None
            row = (await connection.execute(select(*_ITEM).where(_is(ref)).with_for_update())).one_or_none()
            before = None if row is None else _to_item(row)
            after = None if before is None else transition(before)
            if before is None or after is None:
                return None
            after = msgspec.structs.replace(after, revision=batch.revision + 1)
            values = _to_item_row(after)
            if not after.status.over:
                del values["digest"]
            await connection.execute(update(BATCH_ITEMS).where(_is(ref)).values(values))
            await _count(connection, batch, batch.counts.moved(before.status, after.status), after.revision)
            return after

        return await self._database.write(work)

    async def digest(self, ref: ItemRef) -> Digest | None:
        rows = await self._database.read(select(BATCH_ITEMS.c.digest).where(_is(ref)))
        if not rows or rows[0].digest is None:
            return None
        what = f"item {ref.number} of batch {ref.batch}"
        return await asyncio.to_thread(_rows.from_digest, what, rows[0].digest)

    async def prolong(self, refs: Sequence[ItemRef], holder: str, until: datetime) -> Sequence[ItemRef]:
        columns = BATCH_ITEMS.c
        wanted = tuple_(columns.batch, columns.number).in_([(ref.batch, ref.number) for ref in refs])
        held = (
            select(columns.batch, columns.number)
            .where(wanted, columns.holder == holder)
            .order_by(columns.batch, columns.number)
            .with_for_update()
        )

        async def work(connection: AsyncConnection) -> Sequence[ItemRef]:
            mine = [ItemRef(row.batch, row.number) for row in await connection.execute(held)]
            if mine:
                same = tuple_(columns.batch, columns.number).in_([(ref.batch, ref.number) for ref in mine])
                await connection.execute(update(BATCH_ITEMS).where(same).values(due_at=_rows.place(until)))
            return mine

        return await self._database.write(work) if refs else []

    async def cancel(self, id: str, at: datetime) -> Batch:
        async def work(connection: AsyncConnection) -> Batch:
            batch = await _locked(connection, id)
            if batch is None:
                raise _rows.no_batch(id)
            rows = await connection.execute(
                select(*_ITEM)
                .where(BATCH_ITEMS.c.batch == batch.id, BATCH_ITEMS.c.due_at.is_not(None))
                .order_by(BATCH_ITEMS.c.number)
                .with_for_update()
            )
            counts, revision, ended = batch.counts, batch.revision, []
            for before in map(_to_item, rows.all()):
                after = cancelled(before, at)
                if after is not None:
                    revision += 1
                    counts = counts.moved(before.status, after.status)
                    ended.append(_to_item_row(msgspec.structs.replace(after, revision=revision)))
            if not ended:
                return batch
            await connection.execute(_ENDING, [row | {"of": row["batch"], "at": row["number"]} for row in ended])
            await connection.execute(
                update(BATCHES).where(BATCHES.c.id == batch.id).values(cancelled_at=_rows.place(at))
            )
            await _count(connection, batch, counts, revision)
            return msgspec.structs.replace(batch, counts=counts, revision=revision, cancelled_at=at)

        return await self._database.write(work)

    async def forget_before(self, moment: datetime) -> int:
        columns = BATCHES.c
        over = (columns.queued == 0) & (columns.running == 0) & (columns.at < _rows.place(moment))
        oldest = select(columns.id).where(over).order_by(columns.at).limit(ERASED_AT_ONCE)

        async def work(connection: AsyncConnection) -> int:
            ids = list(await connection.scalars(oldest))
            await connection.execute(delete(BATCH_ITEMS).where(BATCH_ITEMS.c.batch.in_(ids)))
            return (await connection.execute(delete(BATCHES).where(columns.id.in_(ids)))).rowcount if ids else 0

        forgotten = 0
        while await self._database.read(oldest.limit(1)):
            forgotten += await self._database.write(work)
        if forgotten:
            self._database.scrub()
        return forgotten


async def _locked(connection: AsyncConnection, id: str) -> Batch | None:
    wanted = select(BATCHES).where(BATCHES.c.id == _rows.storable(id)).with_for_update()
    row = (await connection.execute(wanted)).one_or_none()
    return None if row is None else _to_batch(row)


async def _count(connection: AsyncConnection, batch: Batch, counts: Counts, revision: int) -> None:
    values = msgspec.structs.asdict(counts) | {"revision": revision}
    await connection.execute(update(BATCHES).where(BATCHES.c.id == batch.id).values(values))


def _is(ref: ItemRef) -> ColumnElement[bool]:
    return (BATCH_ITEMS.c.batch == _rows.storable(ref.batch)) & (BATCH_ITEMS.c.number == ref.number)


def _to_row(batch: Batch) -> dict[str, Any]:
    return {
        "id": batch.id,
        "at": _rows.place(batch.created_at),
        "family": None if batch.created_by is None else _rows.storable(batch.created_by),
        "options": msgspec.json.encode(batch.options),
        "revision": batch.revision,
        "cancelled_at": None if batch.cancelled_at is None else _rows.place(batch.cancelled_at),
        **msgspec.structs.asdict(batch.counts),
    }


def _to_batch(row: Any) -> Batch:
    return Batch(
        id=row.id,
        created_at=_rows.moment(row.at),
        created_by=row.family,
        options=_rows.from_json(f"the options of batch {row.id}", row.options, BatchOptions),
        counts=Counts(**{name: getattr(row, name) for name in Counts.__struct_fields__}),
        revision=row.revision,
        cancelled_at=None if row.cancelled_at is None else _rows.moment(row.cancelled_at),
    )


def _to_item_row(item: BatchItem, digest: Digest | None = None) -> dict[str, Any]:
    row = msgspec.structs.asdict(item)
    return row | {
        "name": _rows.storable(item.name),
        "kind": _rows.storable(item.kind),
        "status": str(item.status),
        "error": None if item.error is None else msgspec.json.encode(item.error),
        "changed_at": _rows.place(item.changed_at),
        "due_at": None if item.due_at is None else _rows.place(item.due_at),
        "digest": None if digest is None else _rows.to_digest(digest),
    }


def _to_item(row: Any) -> BatchItem:
    stored = dict(row._mapping)
    place = f"item {row.number} of batch {row.batch}"
    return BatchItem(
        status=Status(stored.pop("status")),
        error=None if row.error is None else _rows.from_json(place, stored["error"], Failure),
        changed_at=_rows.moment(stored.pop("changed_at")),
        due_at=None if row.due_at is None else _rows.moment(row.due_at),
        **{name: value for name, value in stored.items() if name not in ("error", "due_at")},
    )
