"""The cache in a SQLite file, by default the history's own: reports are reused between runs and processes.

What is in it can be made again, so its table has no history of revisions: one of another shape is thrown away.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from bifrost_adapters import _sqlite
from bifrost_domain.caching import CachedReport, CacheKey
from bifrost_domain.errors import CacheUnavailable
from bifrost_domain.ports import Cache, Clock
from bifrost_domain.report import SCHEMA_VERSION

__all__ = ["Options", "open"]

Result = TypeVar("Result")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_TABLES: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "report_cache": (
        ["serial", "key", "expires_at", "value"],
        (
            "DROP TABLE IF EXISTS report_cache",
            """
            CREATE TABLE report_cache (
                serial INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, expires_at INTEGER NOT NULL,
                value BLOB NOT NULL
            )
            """,
            "CREATE INDEX ix_report_cache_expires_at ON report_cache (expires_at)",
        ),
    ),
    "cache_leases": (
        ["key", "holder", "expires_at"],
        (
            "DROP TABLE IF EXISTS cache_leases",
            """
            CREATE TABLE cache_leases (
                key TEXT PRIMARY KEY, holder TEXT NOT NULL, expires_at INTEGER NOT NULL
            ) WITHOUT ROWID
            """,
        ),
    ),
    "cache_counters": (
        ["name", "sum", "expires_at"],
        (
            "DROP TABLE IF EXISTS cache_counters",
            """
            CREATE TABLE cache_counters (
                name TEXT PRIMARY KEY, sum INTEGER NOT NULL, expires_at INTEGER NOT NULL
            ) WITHOUT ROWID
            """,
            "CREATE INDEX ix_cache_counters_expires_at ON cache_counters (expires_at)",
        ),
    ),
}
"""Columns of each table, and how it is made anew."""


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`path` is the file. `max_entries`: past it, the one that was written first goes.

    `busy_seconds`: how long a call waits for a lock that another program holds, its time in line included.
    """

    path: str
    max_entries: int = 10_000
    busy_seconds: float = _sqlite.BUSY_SECONDS


@asynccontextmanager
async def open(options: Options, *, clock: Clock = lambda: datetime.now(UTC)) -> AsyncIterator[Cache]:
    """The file and the table are made where they are missing. Raises CacheUnavailable."""
    async with _connected(options) as writer:
        await writer.run(_make_tables)
        async with _connected(options) as reader:
            yield Cache(
                reports=_SqliteReports(reader, writer, options.max_entries, clock),
                leases=_SqliteLeases(writer, clock),
                counters=_SqliteCounters(reader, writer, clock),
                ping=lambda: reader.run(_ping),
                location=options.path,
            )


@asynccontextmanager
async def _connected(options: Options) -> AsyncIterator["_Connection"]:
    connection = _Connection(options)
    try:
        yield connection
    finally:
        await connection.close()


class _Connection:
    """A connection, made when first used, in a thread of its own: a wait for a lock there holds up no other work.

    One writes and one reads, so that reading goes on while a write waits.
    """

    def __init__(self, options: Options) -> None:
        self._path = Path(options.path)
        self._busy_seconds = options.busy_seconds
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="bifrost-cache")
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    async def close(self) -> None:
        def close() -> None:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

        self._closed = True
        closing = asyncio.get_running_loop().run_in_executor(self._thread, close)
        self._thread.shutdown(wait=False)
        await asyncio.shield(closing)

    async def run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """What `work` gives. Raises CacheUnavailable."""
        if self._closed:
            raise CacheUnavailable(f"the cache {self._path} is closed")
        until = time.monotonic() + self._busy_seconds

        def in_turn() -> Result:
            left = max(0.0, until - time.monotonic())
            if self._connection is None:
                self._connection = _sqlite.connect(self._path, left)
            self._connection.execute(f"PRAGMA busy_timeout = {round(left * 1000)}")
            return work(self._connection)

        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, in_turn)
        except (sqlite3.Error, OSError) as error:
            fault = _sqlite.fault(error, self._path)
            raise CacheUnavailable(fault.message, hint=fault.hint) from error


def _make_tables(connection: sqlite3.Connection) -> None:
    if all(_shape(connection, name) == columns for name, (columns, _) in _TABLES.items()):
        return
    with _transaction(connection):
        for name, (columns, statements) in _TABLES.items():
            if _shape(connection, name) != columns:
                for statement in statements:
                    connection.execute(statement)


def _ping(connection: sqlite3.Connection) -> None:
    connection.execute("SELECT serial FROM report_cache LIMIT 1").fetchone()


class _SqliteReports:
    """A ReportCache. Times are in microseconds."""

    def __init__(self, reader: _Connection, writer: _Connection, most: int, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._most = most
        self._clock = clock

    async def get(self, key: CacheKey) -> CachedReport | None:
        now = _microseconds(self._clock())

        def find(connection: sqlite3.Connection) -> tuple[int, CachedReport | None] | None:
            select = "SELECT serial, value FROM report_cache WHERE key = ? AND expires_at > ?"
            found = connection.execute(select, (key, now)).fetchone()
            return None if found is None else (found[0], _readable(found[1]))

        found = await self._reader.run(find)
        if found is None:
            return None
        serial, report = found
        if report is None:
            erase = "DELETE FROM report_cache WHERE serial = ?"
            await self._writer.run(lambda connection: connection.execute(erase, (serial,)))
        return report

    async def put(self, key: CacheKey, report: CachedReport, ttl: timedelta) -> None:
        now = _microseconds(self._clock())
        value = msgspec.json.encode(report)

        def keep(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.execute("DELETE FROM report_cache WHERE expires_at <= ?", (now,))
                connection.execute(
                    "INSERT OR REPLACE INTO report_cache (key, expires_at, value) VALUES (?, ?, ?)",
                    (key, now + ttl // _MICROSECOND, value),
                )
                # The index is counted: to walk to the first one over the limit would read every report.
                (count,) = connection.execute("SELECT count(*) FROM report_cache").fetchone()
                if count > self._most:
                    connection.execute(
                        "DELETE FROM report_cache WHERE serial IN "
                        "(SELECT serial FROM report_cache ORDER BY serial LIMIT ?)",
                        (count - self._most,),
                    )

        await self._writer.run(keep)

    async def drop(self, key: CacheKey) -> None:
        await self._writer.run(lambda connection: connection.execute("DELETE FROM report_cache WHERE key = ?", (key,)))


class _SqliteLeases:
    """Leases."""

    def __init__(self, writer: _Connection, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock

    async def acquire(self, key: CacheKey, holder: str, ttl: timedelta) -> bool:
        now = _microseconds(self._clock())

        def take(connection: sqlite3.Connection) -> bool:
            with _transaction(connection):
                connection.execute("DELETE FROM cache_leases WHERE expires_at <= ?", (now,))
                taken = connection.execute(
                    "INSERT INTO cache_leases (key, holder, expires_at) VALUES (?, ?, ?) "
                    "ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at WHERE holder = excluded.holder",
                    (key, holder, now + ttl // _MICROSECOND),
                )
                return taken.rowcount == 1

        return await self._writer.run(take)

    async def release(self, key: CacheKey, holder: str) -> None:
        statement = "DELETE FROM cache_leases WHERE key = ? AND holder = ?"
        await self._writer.run(lambda connection: connection.execute(statement, (key, holder)))


class _SqliteCounters:
    """Counters."""

    def __init__(self, reader: _Connection, writer: _Connection, clock: Clock) -> None:
        self._reader = reader
        self._writer = writer
        self._clock = clock

    async def add(self, name: str, amount: int, ttl: timedelta) -> int:
        now = _microseconds(self._clock())

        def read(connection: sqlite3.Connection) -> int:
            select = "SELECT sum FROM cache_counters WHERE name = ? AND expires_at > ?"
            found = connection.execute(select, (name, now)).fetchone()
            return 0 if found is None else int(found[0])

        def count(connection: sqlite3.Connection) -> int:
            with _transaction(connection):
                connection.execute("DELETE FROM cache_counters WHERE expires_at <= ?", (now,))
                added = connection.execute(
                    "INSERT INTO cache_counters (name, sum, expires_at) VALUES (?, ?, ?) "
                    "ON CONFLICT (name) DO UPDATE SET sum = sum + excluded.sum RETURNING sum",
                    (name, amount, now + ttl // _MICROSECOND),
                )
                return int(added.fetchone()[0])

        return await (self._writer.run(count) if amount else self._reader.run(read))


def _readable(value: object) -> CachedReport | None:
    if not isinstance(value, bytes):
        return None
    try:
        report = msgspec.json.decode(value, type=CachedReport)
    except (msgspec.DecodeError, RecursionError):
        return None
    return report if report.schema_version == SCHEMA_VERSION else None


def _shape(connection: sqlite3.Connection, table: str) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,))]


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
