"""The log of the service on stderr: a JSON object a line, or plain lines on a terminal. Nothing secret is in it."""

import asyncio
import json
import logging
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

from bifrost_domain.logs.cleaning import safe

request_id: ContextVar[str | None] = ContextVar("bifrost_request_id", default=None)
"""The request that this task works for."""

WRITTEN_SECONDS = 0.1
MOST_LINES = 256
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}


class _Formatter(logging.Formatter):
    """`masked` takes secrets out of a text of any number of lines."""

    def __init__(self, masked: Callable[[str], str], *, as_json: bool) -> None:
        super().__init__()
        self._masked = masked
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        extra = {
            name: value if value is None or isinstance(value, bool | int | float) else self._clean(str(value))
            for name, value in extra.items()
        }
        message = self._clean(record.getMessage())
        row: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message,
        }
        if (id := request_id.get()) is not None:
            row["request_id"] = id
        row |= {name: value for name, value in extra.items() if value is not None}
        if record.exc_info:
            row["exception"] = self._clean("".join(traceback.format_exception(*record.exc_info)))
        if self._as_json:
            return json.dumps(row, ensure_ascii=False)
        rest = " ".join(f"{name}={value}" for name, value in row.items() if name not in ("time", "level", "message"))
        return f"{row['time']} {record.levelname:7} {message}  {rest}".rstrip().replace("\n", "\n    ")

    def _clean(self, text: str) -> str:
        return self._masked(safe(text))


class AccessLog:
    """One line for each answer, with nothing in it that a client chose but a request id of safe characters.

    Lines are written together, ten times a second.
    """

    def __init__(self, stream: TextIO, *, as_json: bool) -> None:
        self._stream = stream
        self._line = _ACCESS_JSON if as_json else _ACCESS_TEXT
        self._lines: list[str] = []
        self._second = 0
        self._told = ""

    def note(self, *, id: str, method: str, route: str, status: int, seconds: float, key: str | None) -> None:
        now = time.time()
        if int(now) != self._second:
            self._second = int(now)
            self._told = f"{datetime.fromtimestamp(self._second, UTC):%Y-%m-%dT%H:%M:%S}"
        moment = f"{self._told}.{int(now % 1 * 1000):03}Z"
        if not self._lines:
            asyncio.get_running_loop().call_later(WRITTEN_SECONDS, self.write)
        self._lines.append(self._line % (moment, method, route, status, id, key or "", seconds * 1000))
        if len(self._lines) >= MOST_LINES:
            self.write()

    def write(self) -> None:
        """What is waiting; a stream that takes nothing any more loses it."""
        lines, self._lines = self._lines, []
        if lines:
            with suppress(OSError, ValueError):
                self._stream.write("".join(lines))
                self._stream.flush()


_ACCESS_JSON = (
    '{"time": "%s", "level": "info", "logger": "bifrost.access", "message": "%s %s %d", "request_id": "%s", '
    '"key": "%s", "ms": %.2f}\n'
)
_ACCESS_TEXT = "%s INFO    %s %s %d  request_id=%s key=%s ms=%.2f\n"


def configure(level: str, masked: Callable[[str], str], stream: TextIO | None = None) -> AccessLog | None:
    """Has everything that is logged in this process written to `stream` (stderr), the server's own lines included.

    Gives the log of answers, where the level has it written.
    """
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Formatter(masked, as_json=not stream.isatty()))
    # A wrong call would be told with its arguments as they are.
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("bifrost").setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.INFO)
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate = [], False
    return AccessLog(stream, as_json=not stream.isatty()) if level in ("debug", "info") else None
