"""A client of the service, for programs: synchronous and asynchronous, over one description of its requests.

    with Client("http://127.0.0.1:8000", key=KEY) as bifrost:
        analysis = bifrost.analyze(Path("app.log"))
        print(analysis.report.root_cause)

Errors are those of `bifrost_domain.errors`, raised again here. What may be asked twice without harm is asked again
where the service says that it is busy or cannot be reached: reads, and analyses, which carry an Idempotency-Key of
their own.
"""

import asyncio
import gzip
import json
import os
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from uuid import uuid4

import httpx
import msgspec
from msgspec import Struct

from bifrost_domain import errors
from bifrost_domain.history import AnalysisSummary
from bifrost_domain.report import Analysis
from bifrost_entrypoints.figures import Figures

__all__ = ["AsyncClient", "Batch", "BatchItem", "Client", "Frame"]

RETRIES = 4
LONGEST_WAIT_SECONDS = 30.0
COMPRESSED_BYTES = 64 << 10
"""From here on a body is worth compressing."""
PAUSE_SECONDS = 0.5
Answer = TypeVar("Answer")
Logs = str | bytes | Path


class Frame(Struct, frozen=True):
    """One frame of a stream; `type` is accepted, coverage, token, evidence, report, error or done."""

    type: str
    seq: int
    data: dict[str, Any]


class Counts(Struct, frozen=True):
    queued: int
    running: int
    done: int
    failed: int
    cancelled: int


class Batch(Struct, frozen=True):
    """How many logs of a batch are where; it is over when none is queued or running."""

    id: str
    status: str
    counts: Counts
    total: int

    @property
    def over(self) -> bool:
        return self.counts.queued == self.counts.running == 0


class BatchItem(Struct, frozen=True):
    """One log of a batch; `analysis` is the id of its report, `error` what went wrong."""

    number: int
    name: str
    status: str
    analysis: str | None = None
    error: dict[str, str] | None = None


class _Page(Struct, frozen=True):
    items: tuple[msgspec.Raw, ...]
    next_cursor: str | None = None


class _Call(Struct, frozen=True, kw_only=True):
    """One request. `repeatable`: asking twice does no harm."""

    method: str
    path: str
    query: Mapping[str, Any] = {}
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    repeatable: bool = False


def _json(method: str, path: str, body: Any, *, once: bool = False) -> _Call:
    data = msgspec.json.encode(body)
    headers = {"Content-Type": "application/json"}
    if once:
        headers["Idempotency-Key"] = str(uuid4())
    if len(data) > COMPRESSED_BYTES:
        data = gzip.compress(data, 5)
        headers["Content-Encoding"] = "gzip"
    return _Call(method=method, path=path, body=data, headers=headers, repeatable=once)


def _get(path: str, **query: Any) -> _Call:
    given = {name: value for name, value in query.items() if value is not None}
    return _Call(method="GET", path=path, query=given, repeatable=True)


def _log(logs: Logs, source: str | None) -> dict[str, Any]:
    """Text with its name; of a file its content and its path. Raises NoReadableInput."""
    if isinstance(logs, Path):
        try:
            data = logs.read_bytes()
        except OSError as error:
            raise errors.NoReadableInput(f"{logs} cannot be read: {error.strerror}") from error
        logs, source = data, source or str(logs)
    text = logs if isinstance(logs, str) else logs.decode("utf-8", "replace")
    return {"logs": text} | ({} if source is None else {"source": source})


def _analysis(logs: Logs, source: str | None, wishes: Mapping[str, Any], path: str = "/analyze") -> _Call:
    return _json("POST", path, _log(logs, source) | dict(wishes), once=path == "/analyze")


def _batch(logs: Sequence[Logs | tuple[str, Logs]], wishes: Mapping[str, Any]) -> _Call:
    items = [_log(each[1], each[0]) if isinstance(each, tuple) else _log(each, None) for each in logs]
    return _json("POST", "/batch", {"items": items} | dict(wishes), once=True)


def _families() -> dict[str, type[errors.BifrostError]]:
    """Every error by its slug."""
    found: dict[str, type[errors.BifrostError]] = {}
    pending: list[type[errors.BifrostError]] = [errors.BifrostError]
    while pending:
        family = pending.pop()
        found[family.slug] = family
        pending += family.__subclasses__()
    return found


def error_of(status: int, body: bytes) -> errors.BifrostError:
    """The error that a problem document tells of, or one by its status where the answer is none."""
    try:
        data = json.loads(body)
        slug, message, hint = data["type"].rpartition(":")[2], str(data["detail"]), str(data.get("hint") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return errors.BifrostError(f"the service answered {status}, and not as Bifrost does", hint="check its address")
    family = _families().get(slug, errors.BifrostError)
    error = family.__new__(family)
    errors.BifrostError.__init__(error, message, hint=hint)
    error.provider = data.get("provider") or ""  # type: ignore[attr-defined]
    error.retry_after = data.get("retry_after")  # type: ignore[attr-defined]
    error.retryable = status == 503  # type: ignore[attr-defined]
    return error


def _wait(call: _Call, attempt: int, status: int | None, after: str | None) -> float | None:
    """Seconds until the next try; None where there is none. `status` is None where nothing was answered."""
    if not call.repeatable or attempt >= RETRIES or status not in (None, 429, 503):
        return None
    asked = float(after) if after is not None and after.isdecimal() else 0.0
    pause = max(asked, PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1.0))
    return pause if pause <= LONGEST_WAIT_SECONDS else None


def _unreachable(url: str, error: Exception) -> errors.Unreachable:
    return errors.Unreachable(
        f"the service at {url} cannot be reached: {type(error).__name__}", hint="check that it runs, and its address"
    )


def _decoded(body: bytes, kind: type[Answer]) -> Answer:
    return msgspec.json.decode(body, type=kind)


def _framed(lines: Iterator[str]) -> Iterator[Frame]:
    for line in lines:
        if line.startswith("data: "):
            yield msgspec.json.decode(line[6:], type=Frame)


class _Settings:
    """`url` and `key` are taken from BIFROST_URL and BIFROST_API_KEY where they are not given; `timeout` in seconds."""

    def __init__(self, url: str | None = None, *, key: str | None = None, timeout: float = 120.0) -> None:
        self.url = (url or os.environ.get("BIFROST_URL") or "http://127.0.0.1:8000").rstrip("/")
        key = key if key is not None else os.environ.get("BIFROST_API_KEY")
        self._options: dict[str, Any] = {
            "base_url": self.url,
            "headers": {"Authorization": f"Bearer {key}"} if key else {},
            "timeout": httpx.Timeout(timeout, connect=10.0),
        }


class Client(_Settings):
    """Calls that wait for their answer. Raises the errors of `bifrost_domain.errors`."""

    def __init__(self, url: str | None = None, *, key: str | None = None, timeout: float = 120.0) -> None:
        super().__init__(url, key=key, timeout=timeout)
        self._http = httpx.Client(**self._options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def analyze(self, logs: Logs, *, source: str | None = None, **wishes: Any) -> Analysis:
        """What broke. `wishes` are the fields of POST /analyze: provider, model, language, severity, since, ..."""
        return _decoded(self._send(_analysis(logs, source, wishes)), Analysis)

    def stream(self, logs: Logs, *, source: str | None = None, **wishes: Any) -> Generator[Frame, None, None]:
        """The frames of an analysis as it goes; closing the generator calls it off. Raises a fatal error's kind."""
        call = _analysis(logs, source, wishes, "/analyze/stream")
        with closing(self._frames(call)) as frames:
            for frame in frames:
                if frame.type == "error" and frame.data.get("fatal"):
                    raise error_of(int(frame.data.get("status", 500)), msgspec.json.encode(frame.data))
                yield frame

    def history(self, **filters: Any) -> Iterator[AnalysisSummary]:
        """Past analyses, newest first, page after page; `filters` are those of GET /history."""
        for item in self._pages("/history", filters):
            yield _decoded(bytes(item), AnalysisSummary)

    def get(self, id: str) -> Analysis:
        return _decoded(self._send(_get(f"/history/{id}")), Analysis)

    def delete(self, id: str) -> None:
        self._send(_Call(method="DELETE", path=f"/history/{id}"))

    def metrics(self, *, since: str | None = None, until: str | None = None) -> Figures:
        return _decoded(self._send(_get("/metrics", since=since, until=until)), Figures)

    def batch(self, logs: Sequence[Logs | tuple[str, Logs]], **wishes: Any) -> Batch:
        """Have each log analysed in the background; a pair is a name and a log."""
        return _decoded(self._send(_batch(logs, wishes)), Batch)

    def batch_state(self, id: str) -> Batch:
        return _decoded(self._send(_get(f"/batch/{id}")), Batch)

    def batch_items(self, id: str) -> Iterator[BatchItem]:
        for item in self._pages(f"/batch/{id}/items", {}):
            yield _decoded(bytes(item), BatchItem)

    def batch_events(self, id: str) -> Generator[Frame, None, None]:
        """Frames of the types batch, item and done, until the batch is over."""
        yield from self._frames(_get(f"/batch/{id}/events"))

    def wait(self, id: str) -> Batch:
        """The batch, once it is over."""
        while not (state := self.batch_state(id)).over:
            with closing(self.batch_events(id)) as frames:
                for _ in frames:
                    pass
        return state

    def _pages(self, path: str, filters: Mapping[str, Any]) -> Iterator[msgspec.Raw]:
        cursor: str | None = None
        while True:
            page = _decoded(self._send(_get(path, **{**filters, "cursor": cursor})), _Page)
            yield from page.items
            if (cursor := page.next_cursor) is None:
                return

    def _send(self, call: _Call) -> bytes:
        for attempt in range(RETRIES + 1):
            status, after = None, None
            try:
                answer = self._http.request(
                    call.method, call.path, params=dict(call.query), content=call.body, headers=dict(call.headers)
                )
                if answer.is_success:
                    return answer.content
                status, after = answer.status_code, answer.headers.get("retry-after")
                failure: errors.BifrostError = error_of(status, answer.content)
            except httpx.TransportError as error:
                failure = _unreachable(self.url, error)
            if (pause := _wait(call, attempt, status, after)) is None:
                raise failure
            time.sleep(pause)
        raise AssertionError("unreachable")

    def _frames(self, call: _Call) -> Generator[Frame, None, None]:
        try:
            with self._http.stream(
                call.method, call.path, params=dict(call.query), content=call.body, headers=dict(call.headers)
            ) as answer:
                if not answer.is_success:
                    raise error_of(answer.status_code, answer.read())
                yield from _framed(answer.iter_lines())
        except httpx.TransportError as error:
            raise _unreachable(self.url, error) from error


class AsyncClient(_Settings):
    """The calls of `Client`, to be awaited."""

    def __init__(self, url: str | None = None, *, key: str | None = None, timeout: float = 120.0) -> None:
        super().__init__(url, key=key, timeout=timeout)
        self._http = httpx.AsyncClient(**self._options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def analyze(self, logs: Logs, *, source: str | None = None, **wishes: Any) -> Analysis:
        return _decoded(await self._send(await _aside(lambda: _analysis(logs, source, wishes))), Analysis)

    async def stream(self, logs: Logs, *, source: str | None = None, **wishes: Any) -> AsyncGenerator[Frame, None]:
        call = await _aside(lambda: _analysis(logs, source, wishes, "/analyze/stream"))
        async with aclosing(self._frames(call)) as frames:
            async for frame in frames:
                if frame.type == "error" and frame.data.get("fatal"):
                    raise error_of(int(frame.data.get("status", 500)), msgspec.json.encode(frame.data))
                yield frame

    async def history(self, **filters: Any) -> AsyncIterator[AnalysisSummary]:
        async for item in self._pages("/history", filters):
            yield _decoded(bytes(item), AnalysisSummary)

    async def get(self, id: str) -> Analysis:
        return _decoded(await self._send(_get(f"/history/{id}")), Analysis)

    async def delete(self, id: str) -> None:
        await self._send(_Call(method="DELETE", path=f"/history/{id}"))

    async def metrics(self, *, since: str | None = None, until: str | None = None) -> Figures:
        return _decoded(await self._send(_get("/metrics", since=since, until=until)), Figures)

    async def batch(self, logs: Sequence[Logs | tuple[str, Logs]], **wishes: Any) -> Batch:
        return _decoded(await self._send(await _aside(lambda: _batch(logs, wishes))), Batch)

    async def batch_state(self, id: str) -> Batch:
        return _decoded(await self._send(_get(f"/batch/{id}")), Batch)

    async def batch_items(self, id: str) -> AsyncIterator[BatchItem]:
        async for item in self._pages(f"/batch/{id}/items", {}):
            yield _decoded(bytes(item), BatchItem)

    async def batch_events(self, id: str) -> AsyncGenerator[Frame, None]:
        async with aclosing(self._frames(_get(f"/batch/{id}/events"))) as frames:
            async for frame in frames:
                yield frame

    async def wait(self, id: str) -> Batch:
        while not (state := await self.batch_state(id)).over:
            async with aclosing(self.batch_events(id)) as frames:
                async for _ in frames:
                    pass
        return state

    async def _pages(self, path: str, filters: Mapping[str, Any]) -> AsyncIterator[msgspec.Raw]:
        cursor: str | None = None
        while True:
            page = _decoded(await self._send(_get(path, **{**filters, "cursor": cursor})), _Page)
            for item in page.items:
                yield item
            if (cursor := page.next_cursor) is None:
                return

    async def _send(self, call: _Call) -> bytes:
        for attempt in range(RETRIES + 1):
            status, after = None, None
            try:
                answer = await self._http.request(
                    call.method, call.path, params=dict(call.query), content=call.body, headers=dict(call.headers)
                )
                if answer.is_success:
                    return answer.content
                status, after = answer.status_code, answer.headers.get("retry-after")
                failure: errors.BifrostError = error_of(status, answer.content)
            except httpx.TransportError as error:
                failure = _unreachable(self.url, error)
            if (pause := _wait(call, attempt, status, after)) is None:
                raise failure
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    async def _frames(self, call: _Call) -> AsyncGenerator[Frame, None]:
        try:
            async with self._http.stream(
                call.method, call.path, params=dict(call.query), content=call.body, headers=dict(call.headers)
            ) as answer:
                if not answer.is_success:
                    raise error_of(answer.status_code, await answer.aread())
                async for line in answer.aiter_lines():
                    for frame in _framed(iter((line,))):
                        yield frame
        except httpx.TransportError as error:
            raise _unreachable(self.url, error) from error


async def _aside(make: Callable[[], Answer]) -> Answer:
    """What reads a file or compresses a body, beside the event loop."""
    return await asyncio.to_thread(make)
