"""All repositories over one SQL database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select

from bifrost_adapters.storage._analyses import SqlAnalyses
from bifrost_adapters.storage._audit import SqlAudit
from bifrost_adapters.storage._batches import SqlBatches
from bifrost_adapters.storage._database import Database, Dialect
from bifrost_adapters.storage._idempotency import SqlIdempotency
from bifrost_adapters.storage._keys import SqlKeys
from bifrost_adapters.storage._metrics import SqlMetrics
from bifrost_adapters.storage._prompts import SqlPrompts
from bifrost_adapters.storage._tables import ANALYSES
from bifrost_domain.ports import Storage


@asynccontextmanager
async def repositories(dialect: Dialect, location: str) -> AsyncIterator[Storage]:
    """The storage that `dialect` leads to; at the end, what was begun is finished and the connections are closed."""
    database = Database(dialect)

    async def ping() -> None:
        await database.read(select(ANALYSES.c.at).limit(1))

    try:
        yield Storage(
            analyses=SqlAnalyses(database),
            metrics=SqlMetrics(database),
            prompts=SqlPrompts(database),
            keys=SqlKeys(database),
            audit=SqlAudit(database),
            batches=SqlBatches(database),
            idempotency=SqlIdempotency(database),
            ping=ping,
            location=location,
        )
    finally:
        await database.finish()
        await dialect.reading.dispose()
