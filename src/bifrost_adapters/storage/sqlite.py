"""The history in one SQLite file: the default, with nothing to install or to run.

A search is answered newest first by FTS5's trigram index, of which every hit is looked at again in the text itself; a
word of one or two characters has no trigram and is looked for in the text alone.
"""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from msgspec import Struct
from sqlalchemy import URL, ColumnElement, Connection, Join, column, create_engine, event, func, select, table
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.compiler import SQLCompiler

from bifrost_adapters import _sqlite
from bifrost_adapters.storage._database import Dialect, Read, Search
from bifrost_adapters.storage._sql import repositories
from bifrost_adapters.storage._tables import ANALYSES
from bifrost_adapters.storage.migrations import HEAD, refuse_ahead, run, schema_status
from bifrost_domain.errors import StorageFull, StorageUnavailable
from bifrost_domain.ports import Schema, SchemaStatus, Storage

__all__ = ["Options", "administer", "open"]

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
        one_writer=True,
        contains=_contains,
        searches=_searches,
        index=_by_trigger,
        scrub=scrub,
        translated=translated,
    )
    async with repositories(dialect, str(path)) as storage:
        yield storage


@asynccontextmanager
async def administer(options: Options) -> AsyncIterator[Schema]:
    """Look at the file's tables and bring them up to date. Opening the storage does the same by itself."""
    path = Path(options.path)
    translated = partial(_translated, path)

    def look() -> SchemaStatus:
        if not path.exists():
            return schema_status(str(path), None)
        with closing(_sqlite.connect(path, options.busy_seconds)) as connection:
            return schema_status(str(path), _found_revision(connection))

    async def status() -> SchemaStatus:
        with translated():
            return await asyncio.to_thread(look)

    async def upgrade() -> tuple[str, ...]:
        with translated():
            return await asyncio.to_thread(_upgrade, path, options.busy_seconds)

    yield Schema(status=status, upgrade=upgrade)


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


def _found_revision(connection: sqlite3.Connection) -> str | None:
    """The revision of the tables, None for none yet. Alembic would tell too, at twenty times the cost."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone() is None:
        return None
    found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return found[0] if found else None


def _revision(connection: sqlite3.Connection, path: Path) -> str | None:
    """As above. Raises SchemaMismatch where it is beyond what this program knows."""
    revision = _found_revision(connection)
    refuse_ahead(f"the database {path}", revision)
    return revision


def _upgrade(path: Path, busy_seconds: float) -> tuple[str, ...]:
    """Run the missing revisions in one transaction: who comes second waits for it and finds nothing left to do."""
    engine = create_engine("sqlite://", creator=lambda: _sqlite.connect(path, busy_seconds), poolclass=NullPool)
    event.listen(engine, "begin", _begin)
    with engine.execution_options(begin="IMMEDIATE").begin() as connection:
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return run(connection, _revision(driver, path))


_INDEX = table("analyses_text", column("rowid"), column("analyses_text"))
_TERMS = table("analyses_terms", column("term"))
_NEWEST = 2000
"""Rows that a search for short words looks at first."""
_MOST_TERMS = 400


class _InThisOrder(Join):
    """SQLite's CROSS JOIN: the left side stays on the outside, so that its order is the order of the result."""

    inherit_cache = True


@compiles(_InThisOrder, "sqlite")
def _compile_in_this_order(join: _InThisOrder, compiler: SQLCompiler, **kwargs: Any) -> str:
    inner: str = SQLCompiler.visit_join(compiler, join, **kwargs)  # type: ignore[no-untyped-call]
    return inner.replace(" JOIN ", " CROSS JOIN ", 1)


def _contains(word: str) -> ColumnElement[bool]:
    return func.instr(ANALYSES.c.text, word) > 0


async def _by_trigger(connection: AsyncConnection, at: int, text: str) -> None:
    """Triggers keep the index."""


async def _searches(read: Read, words: Sequence[str], before: int | None) -> AsyncIterator[Search]:
    """By way of the index of trigrams where a word has three characters or more.

    For shorter ones, first the newest rows are looked at. Where those do not do, the word is not common, and the
    trigrams that begin with it are few: then they lead to the rest. The text ends with characters of padding, so that
    every part of it begins a trigram.
    """
    where = tuple(map(_contains, words))
    trigrams = [trigram for word in words for trigram in _trigrams(word)]
    if trigrams:
        yield _matching(" ".join(map(_quoted, dict.fromkeys(trigrams))), where)
        return
    border = await _border(read, before)
    newest = () if border is None else (ANALYSES.c.at >= border,)
    yield Search(source=ANALYSES, at=ANALYSES.c.at, where=(*newest, *where))
    if border is None:
        return
    older = (ANALYSES.c.at < border, *where)
    word = max(words, key=len)
    last = word + chr(sys.maxunicode) * 2
    known = select(_TERMS.c.term).where(_TERMS.c.term >= word, _TERMS.c.term <= last).limit(_MOST_TERMS)
    terms = [row.term for row in await read(known)]
    if len(terms) == _MOST_TERMS:
        yield Search(source=ANALYSES, at=ANALYSES.c.at, where=older)
    elif terms:
        yield _matching(" OR ".join(map(_quoted, terms)), (_INDEX.c.rowid < border, *where))


async def _border(read: Read, before: int | None) -> int | None:
    """The place before which `_NEWEST` rows lie that are older than `before`; None where there are not that many."""
    places = select(ANALYSES.c.at).order_by(ANALYSES.c.at.desc()).offset(_NEWEST).limit(1)
    rows = await read(places if before is None else places.where(ANALYSES.c.at < before))
    return rows[0].at if rows else None


def _matching(query: str, where: tuple[ColumnElement[bool], ...]) -> Search:
    return Search(
        source=_InThisOrder(_INDEX, ANALYSES, _INDEX.c.rowid == ANALYSES.c.at),
        at=_INDEX.c.rowid,
        where=(_INDEX.c.analyses_text.op("MATCH")(query), *where),
    )


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'


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
