"""The history in PostgreSQL: for replicas that share it.

A search is answered by an index (GIN) over the trigrams of each text, kept as a tsvector that is made here: words are
found by their parts, as Korean needs it, and in any collation. Every hit is looked at again in the text itself. The
newest rows are searched first and then ever larger parts of the older ones, so that a common word is answered by the
first part, and no part needs its hits sorted beyond its size.
"""

import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import asyncpg
from msgspec import Struct
from sqlalchemy import BigInteger, ColumnElement, cast, column, func, join, select, text
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from bifrost_adapters.storage._database import Dialect, Read, Search
from bifrost_adapters.storage._sql import repositories
from bifrost_adapters.storage._tables import ANALYSES
from bifrost_adapters.storage.migrations import HEAD, refuse_ahead, run, schema_status
from bifrost_domain.errors import ConfigurationError, SchemaMismatch, StorageFull, StorageUnavailable
from bifrost_domain.ports import Schema, SchemaStatus, Storage

__all__ = ["Options", "administer", "open"]

_PARTS = (2_000, 20_000, 200_000)
"""Rows of the parts in which a search goes back, newest first; all that is left is the last part."""
_MOST_INDEXED = 80_000
"""Characters of a text that its index holds. Each begins a trigram of up to 12 bytes; a tsvector takes a megabyte."""
_DDL_SECONDS = 10
"""How long an upgrade waits for a table that others use, while those who come later wait behind it."""
_MIGRATION = 0x42696672
"""The number of the advisory lock under which tables are changed: "Bifr"."""


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url`: `postgresql://USER:PASSWORD@HOST/DATABASE`, with libpq's parameters such as sslmode.

    `pool_size` connections at most are open at once. Seconds: `connect_seconds` to connect or to wait for one of them,
    `command_seconds` for any one statement.
    """

    url: str
    pool_size: int = 10
    connect_seconds: float = 4.0
    command_seconds: float = 5.0


@asynccontextmanager
async def open(options: Options) -> AsyncIterator[Storage]:
    """Raises StorageUnavailable, and SchemaMismatch for tables of another revision.

    They are never changed here, since another replica may be using them.
    """
    location = _location(options.url)
    engine = _engine(options)
    translated = partial(_translated, location)
    try:
        with translated():
            async with engine.connect() as connection:
                current = await _revision(connection)
        refuse_ahead(f"the database {location}", current)
        if current != HEAD:
            found = "has no tables of Bifrost's" if current is None else f"has revision {current}"
            raise SchemaMismatch(
                f"the database {location} {found}, this program needs {HEAD}", hint="run: bifrost db upgrade"
            )
    except BaseException:
        await engine.dispose()
        raise
    dialect = Dialect(
        reading=engine.execution_options(isolation_level="AUTOCOMMIT"),
        writing=engine,
        one_writer=False,
        contains=_contains,
        searches=_searches,
        index=_index,
        scrub=_nothing_is_left,
        translated=translated,
    )
    async with repositories(dialect, location) as storage:
        yield storage


@asynccontextmanager
async def administer(options: Options) -> AsyncIterator[Schema]:
    """Look at the tables and bring them up to date. A lock in the database lets one at a time do so; a statement may
    take as long as it needs."""
    location = _location(options.url)
    engine = _engine(options, patient=True)
    translated = partial(_translated, location)

    async def status() -> SchemaStatus:
        with translated():
            async with engine.connect() as connection:
                return schema_status(location, await _revision(connection))

    async def upgrade() -> tuple[str, ...]:
        with translated():
            async with engine.begin() as connection:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _MIGRATION})
                current = await _revision(connection)
                refuse_ahead(f"the database {location}", current)
                await connection.execute(text(f"SET LOCAL lock_timeout = '{_DDL_SECONDS}s'"))
                return await connection.run_sync(run, current)

    try:
        yield Schema(status=status, upgrade=upgrade)
    finally:
        await engine.dispose()


def _engine(options: Options, *, patient: bool = False) -> AsyncEngine:
    dsn = "postgresql://" + options.url.partition("://")[2]

    async def connect() -> Any:
        try:
            return await asyncpg.connect(
                dsn,
                timeout=options.connect_seconds,
                command_timeout=None if patient else options.command_seconds,
                server_settings={"application_name": "bifrost"},
            )
        except ValueError:
            # Not chained: the driver quotes what it could not read, which may be a part of the password.
            raise ConfigurationError(
                f"the URL of the database {_location(options.url)} cannot be read",
                hint="write postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in a password, write / as %2F, ? as %3F, "
                "# as %23 and @ as %40",
            ) from None

    pool: dict[str, Any] = {"poolclass": NullPool}
    if not patient:
        pool = {
            "pool_size": options.pool_size,
            "max_overflow": 0,
            "pool_timeout": options.connect_seconds,
            "pool_pre_ping": True,
        }
    return create_async_engine("postgresql+asyncpg://", async_creator=connect, hide_parameters=True, **pool)


def _location(url: str) -> str:
    """The URL without what is secret in it: no password, no parameters.

    Nothing at all of one with an @ beyond the host, or with a port that is no number: there a password may have one
    of / ? # in it and go on, or the host is missing.
    """
    rest = url.partition("://")[2]
    end = min((index for index in map(rest.find, "/?#") if index >= 0), default=len(rest))
    credentials, at, hosts = rest[:end].rpartition("@")
    database, _, _ = rest[end:].partition("?")
    ports = (host.rpartition("]")[2].partition(":")[2] for host in hosts.split(","))
    if "@" in rest[end:] or not all(port.isdecimal() for port in ports if port):
        return "postgresql://..."
    return f"postgresql://{credentials.partition(':')[0]}{at}{hosts}{database.partition('#')[0]}"


@contextmanager
def _translated(location: str) -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise StorageUnavailable(
            f"the database {location} is busy: no connection became free in time", hint="raise its pool_size"
        ) from error
    except (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, ssl.SSLError) as error:
        raise _fault(error, location) from error


def _fault(error: BaseException, location: str) -> StorageUnavailable:
    """What an error of the driver means. Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html"""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    code: str = getattr(cause, "sqlstate", None) or getattr(cause.__cause__, "sqlstate", None) or ""
    if code == "53100":
        return StorageFull(
            f"the database {location} cannot grow: its disk is full", hint="free some space on its server"
        )
    for prefix, what, hint in _FAULTS:
        if code.startswith(prefix):
            return StorageUnavailable(f"the database {location} {what}", hint=hint)
    if isinstance(cause, TimeoutError):
        return StorageUnavailable(f"the database {location} does not answer", hint="check the server and the network")
    if isinstance(cause, OSError) or "connection" in type(cause).__name__.lower():
        return StorageUnavailable(
            f"the database {location} cannot be reached",
            hint="check that it runs, and the host and port of database.url",
        )
    name = code or type(cause).__name__
    return StorageUnavailable(f"the database {location} reports an error ({name})", hint="see the log of its server")


_FAULTS = (
    ("28", "refuses the user or the password", "check the credentials in database.url"),
    ("3D000", "does not exist", "make it with: createdb NAME, then run: bifrost db upgrade"),
    ("42501", "does not let this user do that", "grant the user its rights on the tables"),
    ("42P01", "lacks a table", "run: bifrost db upgrade"),
    ("25006", "is read-only", "name the primary server in database.url"),
    ("53300", "has no connection left", "raise max_connections, or lower pool_size of each replica"),
    ("53", "is out of a resource", "see the log of its server"),
    ("57P03", "is starting up or shutting down", "try again in a moment"),
    ("57", "stopped the statement", "see the log of its server"),
    ("55P03", "is being changed by another program", "wait for it to finish"),
    ("40", "gave way to another transaction", "try again"),
    ("08", "broke the connection off", "check the server and the network"),
)
"""Beginnings of codes, the more exact ones first; what is wrong, and what to do."""


async def _revision(connection: AsyncConnection) -> str | None:
    if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
        return None
    revision: str | None = await connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


_FIRST, _LAST = -(1 << 63), (1 << 63) - 1
_INDEXING = text("INSERT INTO analyses_text (at, trigrams) VALUES (:at, array_to_tsvector(CAST(:trigrams AS text[])))")


def _contains(word: str) -> ColumnElement[bool]:
    return func.strpos(ANALYSES.c.text, word) > 0


async def _index(connection: AsyncConnection, at: int, text: str) -> None:
    head = text[:_MOST_INDEXED]
    trigrams = sorted({head[start : start + 3] for start in range(len(head) - 2)})
    await connection.execute(_INDEXING, {"at": at, "trigrams": trigrams})


async def _nothing_is_left() -> None:
    """Erased rows go out of the index with them; PostgreSQL takes them out of its files when it vacuums."""


async def _searches(read: Read, words: Sequence[str], before: int | None) -> AsyncIterator[Search]:
    """Part after part. In each, the index is asked first and for all it has, and the texts are looked at after that."""
    query = " & ".join(dict.fromkeys(term for word in words for term in _terms(word)))
    contained = tuple(map(_contains, words))
    upper = before
    for size in (*_PARTS, None):
        lower = None if size is None else await _border(read, upper, size)
        found = func.analyses_found(
            cast(query, TSQUERY),
            cast(_FIRST if lower is None else lower, BigInteger),
            cast(_LAST if upper is None else upper, BigInteger),
        ).table_valued(column("at", BigInteger))
        hits = select(found.c.at).cte("hits").prefix_with("MATERIALIZED")
        yield Search(source=join(hits, ANALYSES, hits.c.at == ANALYSES.c.at), at=hits.c.at, where=contained)
        if lower is None:
            return
        upper = lower


async def _border(read: Read, before: int | None, rows: int) -> int | None:
    """The place before which `rows` rows lie that are older than `before`; None where there are not that many."""
    places = select(ANALYSES.c.at).order_by(ANALYSES.c.at.desc()).offset(rows).limit(1)
    found = await read(places if before is None else places.where(ANALYSES.c.at < before))
    return found[0].at if found else None


def _terms(word: str) -> list[str]:
    """What a text with this word has among its trigrams, in the language of tsquery."""
    if len(word) < 3:
        return [_quoted(word) + ":*"]
    return [_quoted(word[start : start + 3]) for start in (*range(0, len(word) - 3, 3), len(word) - 3)]


def _quoted(term: str) -> str:
    return "'" + term.replace("\\", "\\\\").replace("'", "''") + "'"
