"""Requests by their idempotency keys on any SQL database."""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bifrost_adapters.storage import _rows
from bifrost_adapters.storage._database import Database
from bifrost_adapters.storage._tables import IDEMPOTENCY
from bifrost_domain.idempotency import Idempotent

_BEGIN = text("""
    INSERT INTO idempotency (family, key_hash, request_hash, at) VALUES (:family, :key_hash, :request_hash, :at)
    ON CONFLICT (family, key_hash) DO NOTHING
""")


class SqlIdempotency:
    """An IdempotencyRepository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, family: str, key_hash: bytes, request_hash: bytes, at: datetime) -> Idempotent | None:
        row = {
            "family": _rows.storable(family),
            "key_hash": key_hash,
            "request_hash": request_hash,
            "at": _rows.place(at),
        }
        columns = IDEMPOTENCY.c
        found = select(columns.request_hash, columns.resource, columns.at).where(_is(family, key_hash))

        async def work(connection: AsyncConnection) -> Idempotent | None:
            while (await connection.execute(_BEGIN, row)).rowcount != 1:
                stored = (await connection.execute(found)).one_or_none()
                # It may have been abandoned between the two statements.
                if stored is not None:
                    return Idempotent(
                        request_hash=stored.request_hash, resource=stored.resource, at=_rows.moment(stored.at)
                    )
            return None

        return await self._database.write(work)

    async def finish(self, family: str, key_hash: bytes, resource: str) -> None:
        done = update(IDEMPOTENCY).where(_is(family, key_hash)).values(resource=_rows.storable(resource))
        await self._database.write(lambda connection: connection.execute(done))

    async def abandon(self, family: str, key_hash: bytes) -> None:
        gone = delete(IDEMPOTENCY).where(_is(family, key_hash))
        await self._database.write(lambda connection: connection.execute(gone))

    async def forget_before(self, moment: datetime) -> int:
        old = delete(IDEMPOTENCY).where(IDEMPOTENCY.c.at < _rows.place(moment))

        async def work(connection: Any) -> int:
            return int((await connection.execute(old)).rowcount)

        return await self._database.write(work)


def _is(family: str, key_hash: bytes) -> ColumnElement[bool]:
    return (IDEMPOTENCY.c.family == _rows.storable(family)) & (IDEMPOTENCY.c.key_hash == key_hash)
