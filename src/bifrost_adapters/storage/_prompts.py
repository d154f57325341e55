"""Prompts and their labels on any SQL database."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bifrost_adapters.storage import _audit, _rows
from bifrost_adapters.storage._database import Database
from bifrost_adapters.storage._tables import LABEL_MOVES, PROMPT_VERSIONS, PROMPTS
from bifrost_domain.audit import AuditEvent
from bifrost_domain.errors import Conflict, PromptVersionExists
from bifrost_domain.prompt import LabelMove, PromptVersion


class SqlPrompts:
    """A PromptRepository."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def publish(self, version: PromptVersion, event: AuditEvent) -> None:
        async def work(connection: AsyncConnection) -> None:
            known = select(PROMPTS.c.name).where(PROMPTS.c.name == version.name)
            try:
                if await connection.scalar(known) is None:
                    await connection.execute(insert(PROMPTS), {"name": version.name, "moves": 0})
                await connection.execute(insert(PROMPT_VERSIONS), _to_row(version))
            except IntegrityError as error:
                raise PromptVersionExists(f"there is a prompt {version.reference} already") from error
            await _audit.append(connection, event)

        await self._database.write(work)

    async def get(self, name: str, version: int) -> PromptVersion:
        columns = PROMPT_VERSIONS.c
        rows = await self._database.read(
            select(PROMPT_VERSIONS).where(columns.name == _rows.storable(name), columns.version == version)
        )
        if not rows:
            raise _rows.no_prompt(name, version)
        return _to_version(rows[0])

    async def names(self) -> Sequence[str]:
        return [row.name for row in await self._database.read(select(PROMPTS.c.name).order_by(PROMPTS.c.name))]

    async def versions(self, name: str) -> Sequence[PromptVersion]:
        columns = PROMPT_VERSIONS.c
        rows = await self._database.read(
            select(PROMPT_VERSIONS).where(columns.name == _rows.storable(name)).order_by(columns.version)
        )
        return [_to_version(row) for row in rows]

    async def moves(self, name: str) -> Sequence[LabelMove]:
        columns = LABEL_MOVES.c
        rows = await self._database.read(
            select(LABEL_MOVES).where(columns.name == _rows.storable(name)).order_by(columns.serial)
        )
        return [_to_move(row) for row in rows]

    async def move_label(self, move: LabelMove, event: AuditEvent, *, after: int) -> None:
        async def work(connection: AsyncConnection) -> None:
            columns = PROMPT_VERSIONS.c
            known = select(columns.version).where(columns.name == move.name, columns.version == move.version)
            if await connection.scalar(known) is None:
                raise _rows.no_prompt(move.name, move.version)
            seen = (PROMPTS.c.name == move.name) & (PROMPTS.c.moves == after)
            counted = await connection.execute(update(PROMPTS).where(seen).values(moves=after + 1))
            if counted.rowcount != 1:
                raise Conflict(f"a label of prompt {move.name} was moved meanwhile", hint="look again, and try again")
            row = msgspec.structs.asdict(move) | {
                "serial": after + 1,
                "at": _rows.place(move.at),
                "by": _rows.storable(move.by),
            }
            await connection.execute(insert(LABEL_MOVES), row)
            await _audit.append(connection, event)

        await self._database.write(work)


def _to_row(version: PromptVersion) -> dict[str, Any]:
    return {
        "name": version.name,
        "version": version.version,
        "system": version.system,
        "user": version.user,
        "variables": msgspec.json.encode(version.variables),
        "checksum": version.checksum,
        "author": _rows.storable(version.author),
        "message": version.message,
        "created_at": None if version.created_at is None else _rows.place(version.created_at),
    }


def _to_version(row: Any) -> PromptVersion:
    return PromptVersion(
        name=row.name,
        version=row.version,
        system=row.system,
        user=row.user,
        variables=msgspec.json.decode(row.variables, type=dict[str, str]),
        author=row.author,
        message=row.message,
        created_at=None if row.created_at is None else _rows.moment(row.created_at),
    )


def _to_move(row: Any) -> LabelMove:
    return LabelMove(
        name=row.name,
        label=row.label,
        version=row.version,
        at=_rows.moment(row.at),
        by=row.by,
        message=row.message,
        rollback=row.rollback,
    )
