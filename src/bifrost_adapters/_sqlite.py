"""SQLite as Bifrost uses it: one private file in WAL mode, which the storage and the cache adapters share.

Every connection gets the same pragmas here, and every `sqlite3.Error` becomes one `Fault` that says what to do.
"""

import os
import sqlite3
import threading
import time
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from bifrost_domain.errors import ConfigurationError

BUSY_SECONDS = 5.0
"""How long a connection waits for another one's lock before it gives up."""


class FaultKind(Enum):
    UNAVAILABLE = "unavailable"
    FULL = "full"


class Fault(Struct, frozen=True, kw_only=True):
    """What became of the database, in words for its user."""

    message: str
    hint: str
    kind: FaultKind = FaultKind.UNAVAILABLE


class Cursor(Protocol):
    def execute(self, sql: str, /) -> Any: ...
    def close(self) -> Any: ...


class Connection(Protocol):
    """What `sqlite3.Connection` and SQLAlchemy's face of aiosqlite have in common."""

    def cursor(self) -> Cursor: ...


def configure(connection: Connection) -> None:
    """The settings that hold for one connection. Erased content is overwritten with zeros.

    In WAL mode `synchronous = NORMAL` keeps every commit through the death of the process and the file whole through
    the loss of power, which may take the last commits with it (https://sqlite.org/pragma.html#pragma_synchronous).
    """
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def connect(path: Path, busy_seconds: float) -> sqlite3.Connection:
    """A connection in autocommit mode; it may be used from any thread, by one at a time.

    Makes the directory (0700) and the file (0600) where they are missing, and turns WAL mode on. Raises
    `sqlite3.Error` and `OSError`.
    """
    if str(path) == ":memory:":
        raise ConfigurationError("a database in memory is no file of SQLite's", hint="write memory: instead")
    _make(path)
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    try:
        _write_ahead(connection, busy_seconds)
        configure(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _make(path: Path) -> None:
    """Make the file where it is missing, empty and private.

    Closing any descriptor of a file drops all locks that the process has on it (https://sqlite.org/howtocorrupt.html,
    section 2.2), so an existing file is not touched, and two threads do not make one at once.
    """
    with _making:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            return


_making = threading.Lock()


def _write_ahead(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """Turn WAL mode on. SQLite does not wait for a lock here, where two processes make one file at once."""
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
                return
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)


_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_TRUNCATE)


def fault(error: BaseException, path: Path) -> Fault:
    """What an `sqlite3.Error` or an `OSError` means; the codes are those of https://sqlite.org/rescode.html."""
    if isinstance(error, OSError):
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        return Fault(
            message=f"the database {path} cannot be opened: {reason}",
            hint="check the path and its permissions, or name another one with BIFROST_DATABASE_URL",
        )
    code: int = getattr(error, "sqlite_errorcode", None) or sqlite3.SQLITE_ERROR
    if code in _FULL:
        return Fault(
            message=f"the database {path} cannot grow: the disk or the quota is full",
            hint="free some space; what is stored can still be read",
            kind=FaultKind.FULL,
        )
    if code & 0xFF in _LOCKED:
        return Fault(
            message=f"the database {path} is locked by another program",
            hint="wait for it to finish, or find it with: lsof " + str(path),
        )
    if code & 0xFF in _DAMAGED:
        return Fault(
            message=f"the file {path} is damaged or not a SQLite database",
            hint="move it away and run Bifrost again; `sqlite3 FILE .recover` may save what is in it",
        )
    if code & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return Fault(
            message=f"the database {path} cannot be written",
            hint="check the permissions of the file and its directory, or name another one with BIFROST_DATABASE_URL",
        )
    name = getattr(error, "sqlite_errorname", None) or type(error).__name__
    return Fault(message=f"the database {path} failed: {name}", hint="")
