"""The audit log on any SQL database."""

from typing import Any

import msgspec
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from bifrost_adapters.storage import _rows
from bifrost_adapters.storage._database import Database
from bifrost_adapters.storage._tables import AUDIT_EVENTS
from bifrost_domain.audit import AuditAction, AuditEvent, AuditPage


async def append(connection: AsyncConnection, event: AuditEvent) -> None:
    """Add an event within a transaction, so that it is there exactly if what it tells of is."""
    await connection.execute(insert(AUDIT_EVENTS), _to_row(event))


class SqlAudit:
    """An AuditLog."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, event: AuditEvent) -> None:
        await self._database.write(lambda connection: append(connection, event))

    async def events(self, *, subject: str | None = None, limit: int = 50, cursor: str | None = None) -> AuditPage:
        columns = AUDIT_EVENTS.c
        statement = select(AUDIT_EVENTS).order_by(columns.serial.desc()).limit(limit + 1)
        if subject is not None:
            statement = statement.where(columns.subject == _rows.storable(subject))
        if cursor is not None:
            statement = statement.where(columns.serial < _rows.from_cursor(cursor))
        rows = await self._database.read(statement)
        shown = rows[:limit]
        return AuditPage(
            items=tuple(_to_event(row) for row in shown),
            next_cursor=_rows.to_cursor(shown[-1].serial) if len(rows) > len(shown) else None,
        )


def _to_row(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "at": _rows.place(event.at),
        "actor": _rows.storable(event.actor),
        "action": str(event.action),
        "subject": _rows.storable(event.subject),
        "detail": msgspec.json.encode(event.detail),
    }


def _to_event(row: Any) -> AuditEvent:
    return AuditEvent(
        id=row.id,
        at=_rows.moment(row.at),
        actor=row.actor,
        action=AuditAction(row.action),
        subject=row.subject,
        detail=msgspec.json.decode(row.detail, type=dict[str, str]),
    )
