"""API keys on any SQL database, without their secrets."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bifrost_adapters.storage import _audit, _rows
from bifrost_adapters.storage._database import Database
from bifrost_adapters.storage._tables import API_KEYS
from bifrost_domain.audit import AuditEvent
from bifrost_domain.errors import StorageUnavailable
from bifrost_domain.keys import ApiKey, Limit, Scope

_TOUCHED_AT_ONCE = 500
"""Keys in one transaction: a statement has a bounded number of parameters, and other writers get their turn."""


class SqlKeys:
    """A KeyRepository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, key: ApiKey, event: AuditEvent) -> None:
        async def work(connection: AsyncConnection) -> None:
            await _insert(connection, key)
            await _audit.append(connection, event)

        await self._database.write(work)

    async def find(self, id: str) -> ApiKey | None:
        rows = await self._database.read(select(API_KEYS).where(API_KEYS.c.id == _rows.storable(id)))
        return _to_key(rows[0]) if rows else None

    async def update(
        self, id: str, change: Callable[[ApiKey], ApiKey], event: AuditEvent, *, successor: ApiKey | None = None
    ) -> ApiKey:
        async def work(connection: AsyncConnection) -> ApiKey:
            wanted = API_KEYS.c.id == _rows.storable(id)
            row = (await connection.execute(select(API_KEYS).where(wanted).with_for_update())).one_or_none()
            if row is None:
                raise _rows.no_key(id)
            changed = change(_to_key(row))
            await connection.execute(update(API_KEYS).where(wanted), _to_row(changed))
            if successor is not None:
                await _insert(connection, successor)
            await _audit.append(connection, event)
            return changed

        return await self._database.write(work)

    async def all(self) -> Sequence[ApiKey]:
        newest_first = select(API_KEYS).order_by(API_KEYS.c.created_at.desc(), API_KEYS.c.id.desc())
        return [_to_key(row) for row in await self._database.read(newest_first)]

    async def touch(self, used: Mapping[str, datetime]) -> None:
        ids = sorted(used)
        for start in range(0, len(ids), _TOUCHED_AT_ONCE):
            await self._touch({id: used[id] for id in ids[start : start + _TOUCHED_AT_ONCE]})

    async def _touch(self, used: Mapping[str, datetime]) -> None:
        columns = API_KEYS.c

        async def work(connection: AsyncConnection) -> None:
            free = select(columns.id).where(columns.id.in_(list(used))).with_for_update(skip_locked=True)
            for id in (await connection.scalars(free)).all():
                moment = _rows.place(used[id])
                older = columns.last_used_at.is_(None) | (columns.last_used_at < moment)
                await connection.execute(update(API_KEYS).where(columns.id == id, older).values(last_used_at=moment))

        await self._database.write(work)


async def _insert(connection: AsyncConnection, key: ApiKey) -> None:
    try:
        await connection.execute(insert(API_KEYS), _to_row(key))
    except IntegrityError as error:
        raise StorageUnavailable(f"there is an API key {key.id} already") from error


_MOMENTS = ("created_at", "expires_at", "not_before", "revoked_at", "last_used_at")


def _to_row(key: ApiKey) -> dict[str, Any]:
    row = msgspec.structs.asdict(key)
    for name in _MOMENTS:
        row[name] = None if row[name] is None else _rows.place(row[name])
    for name in ("name", "created_by", "revoked_by", "revoked_reason"):
        row[name] = None if row[name] is None else _rows.storable(row[name])
    return row | {"scopes": msgspec.json.encode(key.scopes), "limit": msgspec.json.encode(key.limit)}


def _to_key(row: Any) -> ApiKey:
    stored = dict(row._mapping)
    for name in _MOMENTS:
        stored[name] = None if stored[name] is None else _rows.moment(stored[name])
    scopes = msgspec.json.decode(stored.pop("scopes"), type=tuple[Scope, ...])
    limit = msgspec.json.decode(stored.pop("limit"), type=Limit)
    return ApiKey(scopes=scopes, limit=limit, **stored)
