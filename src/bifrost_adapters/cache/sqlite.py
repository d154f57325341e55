"""The cache in a SQLite file, by default the history's own: reports are reused between runs and processes.

What is in it can be made again, so its table has no history of revisions: one of another shape is thrown away.
"""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
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

_COLUMNS = ["serial", "key", "expires_at", "value"]
_CREATE = (
    "DROP TABLE IF EXISTS report_cache",
    """
    CREATE TABLE report_cache (
        serial INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, expires_at INTEGER NOT NULL,
        value BLOB NOT NULL
    )
    """,
    "CREATE INDEX ix_report_cache_expires_at ON report_cache (expires_at)",
)


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`path` is the file. `max_entries`: past it, the one that was written first goes.

    `busy_seconds`: how long to wait for a lock that another program holds.
    """

    path: str
    max_entries: int = 10_000
    busy_seconds: float = _sqlite.BUSY_SECONDS


@asynccontextmanager
async def open(options: Options, *, clock: Clock = lambda: datetime.now(UTC)) -> AsyncIterator[Cache]:
    """The file and the table are made where they are missing. Raises CacheUnavailable."""
    reports = _SqliteReports(options, clock)
    try:
        await reports.open()
        yield Cache(reports=reports, ping=reports.ping, location=options.path)
    finally:
        await reports.close()


class _SqliteReports:
    """A ReportCache on one connection, which the threads that do the work use in turn. Times are in microseconds."""

    def __init__(self, options: Options, clock: Clock) -> None:
        self._options = options
        self._path = Path(options.path)
        self._clock = clock
        self._turn = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    async def open(self) -> None:
        def make_ready() -> None:
            with self._turn:
                self._connection = connection = _sqlite.connect(self._path, self._options.busy_seconds)
                if _shape(connection) != _COLUMNS:
                    with _transaction(connection):
                        if _shape(connection) != _COLUMNS:
                            for statement in _CREATE:
                                connection.execute(statement)

        await self._in_thread(make_ready)

    async def close(self) -> None:
        def close() -> None:
            with self._turn:
                if self._connection is not None:
                    self._connection.close()
                    self._connection = None

        await asyncio.shield(asyncio.to_thread(close))

    async def ping(self) -> None:
        await self._run(lambda connection: connection.execute("SELECT serial FROM report_cache LIMIT 1").fetchone())

    async def get(self, key: CacheKey) -> CachedReport | None:
        now = _microseconds(self._clock())

        def find(connection: sqlite3.Connection) -> CachedReport | None:
            select = "SELECT serial, expires_at, value FROM report_cache WHERE key = ?"
            found = connection.execute(select, (key,)).fetchone()
            if found is None:
                return None
            serial, expires_at, value = found
            report = _readable(value) if expires_at > now else None
            if report is None:
                connection.execute("DELETE FROM report_cache WHERE serial = ?", (serial,))
            return report

        return await self._run(find)

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
                connection.execute(
                    "DELETE FROM report_cache WHERE serial <= "
                    "(SELECT serial FROM report_cache ORDER BY serial DESC LIMIT 1 OFFSET ?)",
                    (self._options.max_entries,),
                )

        await self._run(keep)

    async def drop(self, key: CacheKey) -> None:
        await self._run(lambda connection: connection.execute("DELETE FROM report_cache WHERE key = ?", (key,)))

    async def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        def in_turn() -> Result:
            with self._turn:
                if self._connection is None:
                    raise sqlite3.ProgrammingError("the cache is closed")
                return work(self._connection)

        return await self._in_thread(in_turn)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.to_thread(work)
        except (sqlite3.Error, OSError) as error:
            fault = _sqlite.fault(error, self._path)
            raise CacheUnavailable(fault.message, hint=fault.hint) from error


def _readable(value: object) -> CachedReport | None:
    if not isinstance(value, bytes):
        return None
    try:
        report = msgspec.json.decode(value, type=CachedReport)
    except msgspec.DecodeError:
        return None
    return report if report.schema_version == SCHEMA_VERSION else None


def _shape(connection: sqlite3.Connection) -> list[str]:
    return [name for (name,) in connection.execute("SELECT name FROM pragma_table_info('report_cache')")]


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
