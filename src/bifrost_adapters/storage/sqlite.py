"""The history in one SQLite file: the default, with nothing to install or to run.

A search is answered newest first by FTS5's trigram index, of which every hit is looked at again in the text itself; a
word of one or two characters has no trigram and is looked for in the text alone.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import URL, Connection, Join, column, create_engine, event, func, table
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.compiler import SQLCompiler

from bifrost_adapters import _sqlite
from bifrost_adapters.storage._sql import Dialect, Search, SqlAnalyses
from bifrost_adapters.storage._tables import ANALYSES
from bifrost_adapters.storage.migrations import HEAD
from bifrost_domain.errors import SchemaMismatch, StorageFull, StorageUnavailable
from bifrost_domain.ports import Storage

__all__ = ["Options", "open"]

_MERGED_PAGES = 200
"""Pages of the search index that one step of scrubbing writes, some hundredths of a second."""


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`path` is the file. `busy_seconds`: how long to wait for a lock that another program holds."""

    path: str
    busy_seconds: float = _sqlite.BUSY_SECONDS


@asynccontextmanager
async def open(options: Options) -> AsyncIterator[Storage]:
    """The file is made, and its tables brought up to date, where that is needed; its directory too.

    Raises StorageUnavailable, and SchemaMismatch for a file that a newer Bifrost wrote.
    """
    path = Path(options.path)
    translated = partial(_translated, path)
    with translated():
        await asyncio.to_thread(_make_ready, path, options.busy_seconds)
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        connect_args={"timeout": options.busy_seconds, "isolation_level": None},
    )
    event.listen(engine.sync_engine, "connect", _configure)
    event.listen(engine.sync_engine, "begin", _begin)

    async def scrub() -> None:
        with translated():
            await asyncio.to_thread(_scrub, path, options.busy_seconds)

    dialect = Dialect(
        reading=engine,
        writing=engine.execution_options(begin="IMMEDIATE"),
        find=_find,
        scrub=scrub,
        translated=translated,
    )
    analyses = SqlAnalyses(dialect)
    try:
        yield Storage(analyses=analyses, ping=analyses.ping, location=str(path))
    finally:
        await analyses.finish()
        await engine.dispose()


def _configure(connection: DBAPIConnection, _: object) -> None:
    _sqlite.configure(connection)


def _begin(connection: Connection) -> None:
    """The driver is in autocommit mode; one that will write takes its place at the beginning, not in the middle."""
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('begin', 'DEFERRED')}")


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except (DBAPIError, sqlite3.Error, OSError) as error:
        cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
        fault = _sqlite.fault(cause, path)
        kind = StorageFull if fault.kind is _sqlite.FaultKind.FULL else StorageUnavailable
        raise kind(fault.message, hint=fault.hint) from error


def _make_ready(path: Path, busy_seconds: float) -> None:
    """Bring the file's tables to the revision of this program. Raises SchemaMismatch where it is beyond that."""
    with closing(_sqlite.connect(path, busy_seconds)) as connection:
        ready = _revision(connection, path) == HEAD
    if not ready:
        _upgrade(path, busy_seconds)


def _revision(connection: sqlite3.Connection, path: Path) -> str | None:
    """The revision of the tables, None for none yet. Alembic would tell too, at twenty times the cost."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone() is None:
        return None
    found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    revision: str | None = found[0] if found else None
    if revision is not None and revision > HEAD:
        raise SchemaMismatch(
            f"the database {path} is ahead of this program: it has revision {revision}, this program knows {HEAD}",
            hint="upgrade Bifrost, or name another database with BIFROST_DATABASE_URL",
        )
    return revision


def _upgrade(path: Path, busy_seconds: float) -> None:
    """Run the missing revisions in one transaction: who comes second waits for it and finds nothing left to do."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "bifrost_adapters.storage:migrations")
    engine = create_engine("sqlite://", creator=lambda: _sqlite.connect(path, busy_seconds), poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    with engine.execution_options(begin="IMMEDIATE").begin() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        if _revision(driver, path) != HEAD:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


_INDEX = table("analyses_text", column("rowid"), column("analyses_text"))


class _InThisOrder(Join):
    """SQLite's CROSS JOIN: the left side stays on the outside, so that its order is the order of the result."""

    inherit_cache = True


@compiles(_InThisOrder, "sqlite")
def _compile_in_this_order(join: _InThisOrder, compiler: SQLCompiler, **kwargs: Any) -> str:
    inner: str = SQLCompiler.visit_join(compiler, join, **kwargs)  # type: ignore[no-untyped-call]
    return inner.replace(" JOIN ", " CROSS JOIN ", 1)


def _find(words: Sequence[str]) -> Search:
    """Every word in the text; with the words of three characters and more, by way of the index."""
    where = [func.instr(ANALYSES.c.text, word) > 0 for word in words]
    trigrams = [trigram for word in words for trigram in _trigrams(word)]
    if not trigrams:
        return Search(source=ANALYSES, at=ANALYSES.c.at, where=tuple(where))
    matched = " ".join('"' + trigram.replace('"', '""') + '"' for trigram in dict.fromkeys(trigrams))
    return Search(
        source=_InThisOrder(_INDEX, ANALYSES, _INDEX.c.rowid == ANALYSES.c.at),
        at=_INDEX.c.rowid,
        where=(_INDEX.c.analyses_text.op("MATCH")(matched), *where),
    )


def _trigrams(word: str) -> list[str]:
    """Enough trigrams to cover the word, none where it is shorter."""
    if len(word) < 3:
        return []
    return [word[start : start + 3] for start in (*range(0, len(word) - 3, 3), len(word) - 3)]


def _scrub(path: Path, busy_seconds: float) -> None:
    """Take erased rows out of the search index and out of the write-ahead log.

    FTS5 keeps the terms of a deleted row beside a mark that they are gone until it merges its segments; a negative
    first step makes it merge them all (https://sqlite.org/fts5.html#the_merge_command). Every step is a transaction of
    its own, so that others can write in between.
    """
    with closing(_sqlite.connect(path, busy_seconds)) as connection:
        pages = -_MERGED_PAGES
        while True:
            changes = connection.total_changes
            connection.execute("INSERT INTO analyses_text (analyses_text, rank) VALUES ('merge', ?)", (pages,))
            if connection.total_changes - changes < 2:
                break
            pages = _MERGED_PAGES
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
