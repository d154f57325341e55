"""One analysis as a stream of frames, over server-sent events and over a WebSocket: the same frames in both.

accepted   the request was taken: {request_id, source}
coverage   what was read and what of it a model is shown; again where another engine takes over
token      a piece of a model's answer as it is written: {text, attempt}; unverified
evidence   one verified quote of the report: {number, evidence}
report     the whole analysis, final
error      a problem; with `fatal: false` an engine failed and another one goes on, else the stream ends with it
done       the stream ends: {stored, incident}
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any

import msgspec
from litestar import Request, WebSocket, post, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.types import ASGIApp
from msgspec import Struct

from bifrost_domain import analysis as domain
from bifrost_domain.errors import BadOption, BifrostError, Cancelled, Forbidden, TooSlow
from bifrost_domain.keys import Scope
from bifrost_domain.logs.cleaning import safe
from bifrost_domain.observations import Streaming
from bifrost_entrypoints.api.analyses import BODY, ERRORS, request_of
from bifrost_entrypoints.api.docs import route
from bifrost_entrypoints.api.intake import Given, body_of, decode_json, given, of_request
from bifrost_entrypoints.api.problems import plain_problem, problem
from bifrost_entrypoints.api.service import SCOPE, Service, attended, gone, presented, service_of
from bifrost_entrypoints.api.visit import Visit, header, visit_of
from bifrost_entrypoints.api.wire import AnalyzeRequest
from bifrost_entrypoints.outcomes import outcome
from bifrost_entrypoints.plain import plain

HEARTBEAT_SECONDS = 15.0
"""Proxies cut a connection that is silent for 30 or 60 seconds."""
TAKEN_SECONDS = 30.0
"""A client that takes nothing for so long has left, whatever its connection says."""
START_SECONDS = 10.0

_log = logging.getLogger("bifrost.api")


class Frame(Struct, frozen=True):
    type: str
    seq: int
    data: Any


class StreamFrame(Struct, frozen=True, kw_only=True):
    """The data of one event; the event's name is its type."""

    type: str
    seq: int
    data: dict[str, Any]


class _Frames:
    """Numbers and encodes frames, and hands them to `put` one after the other."""

    def __init__(self, put: Callable[[Frame], Awaitable[None]]) -> None:
        self._put = put
        self._seq = 0

    async def send(self, type: str, data: Any) -> None:
        frame = Frame(type, self._seq, data)
        self._seq += 1
        await self._put(frame)


async def _relay(service: Service, visit: Visit, asked: Given, frames: _Frames) -> None:
    """Sends the frames of one analysis. Raises what it raises before its report."""
    await frames.send("accepted", {"request_id": visit.request_id, "source": asked.name})
    await service.check_budget(visit)
    wish = await request_of(service, visit, asked)
    reported, done, attempt = False, {"stored": False, "incident": None}, 1
    try:
        async with aclosing(service.bifrost.analyst.analyse(wish)) as events:
            async for event in events:
                match event:
                    case domain.Token(text=text):
                        await frames.send("token", {"text": safe(text), "attempt": attempt})
                    case domain.Repairing():
                        attempt += 1
                    case domain.Reduced(digest=digest):
                        await frames.send(
                            "coverage",
                            {
                                "coverage": plain(digest.coverage),
                                "redactions": plain(digest.redactions),
                                "fingerprint": digest.fingerprint,
                            },
                        )
                    case domain.FellBack():
                        attempt += 1
                        await frames.send("error", _fell_back(event, visit))
                    case domain.Finished(analysis=analysis):
                        data = plain(analysis)
                        for number, item in enumerate(data["report"]["evidence"], start=1):
                            await frames.send("evidence", {"number": number, "evidence": item})
                        await frames.send("report", data)
                        reported = True
                    case domain.Remembered(incident=incident):
                        done = {"stored": True, "incident": plain(incident)}
    except BifrostError as error:
        if not reported:
            raise
        await frames.send("error", failed(error, visit, fatal=False))
    await frames.send("done", done)


def _fell_back(event: domain.FellBack, visit: Visit) -> dict[str, Any]:
    return {
        "type": f"urn:bifrost:problem:{event.slug}",
        "title": "Another engine answers",
        "status": 200,
        "detail": safe(event.reason),
        "provider": safe(event.provider),
        "request_id": visit.request_id,
        "fatal": False,
    }


# --- server-sent events -------------------------------------------------------------------------------------------


@post(
    "/analyze/stream",
    **route(
        Scope.ANALYZE_WRITE,
        "analyzeStream",
        "Analyse a log, told as it goes.",
        returns=StreamFrame,
        media_types=["text/event-stream"],
        description=f"Server-sent events; the body is that of POST /analyze.\n\n{__doc__ or ''}",
        errors=ERRORS,
        body=BODY,
        tag="analyses",
    ),
)
async def analyze_stream(request: Request[Any, Any, Any]) -> ASGIApp:
    service, visit = service_of(request), visit_of(request.scope)
    async with service.working(visit):
        # Refused with a status of its own, before the stream begins.
        body = await body_of(request.scope, request.receive, service.limits)
        asked = await given(request.scope, body, service.limits)

    async def tell(events: Events) -> None:
        async with service.working(visit):
            await _relay(service, visit, asked, _Frames(events.send))

    return EventStream(service, visit, tell)


class Events:
    """The open stream of events."""

    def __init__(self, send: Callable[[Any], Awaitable[None]]) -> None:
        self._send = send
        self.last = -1
        self.taking = Taking()

    async def send(self, frame: Frame) -> None:
        self.last = frame.seq
        data = msgspec.json.encode(frame)
        await self.write(b"id: %d\nevent: %s\ndata: %s\n\n" % (frame.seq, frame.type.encode(), data))

    async def write(self, piece: bytes, *, more: bool = True) -> None:
        with self.taking:
            await self._send({"type": "http.response.body", "body": piece, "more_body": more})


class Taking:
    """Whether a client takes what it is sent. A timeout for each small piece would cost more than the piece."""

    def __init__(self) -> None:
        self._since: float | None = None

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._since = None

    async def over(self) -> BifrostError | None:
        """Ends when a piece has waited for `TAKEN_SECONDS`. Raises TimeoutError."""
        while self._since is None or time.monotonic() - self._since < TAKEN_SECONDS:  # noqa: ASYNC110
            await asyncio.sleep(TAKEN_SECONDS / 10)
        raise TimeoutError


class EventStream:
    """A response, as an ASGI application, that `tell` writes.

    It ends when that does, when the client leaves, when its key is over, or when the server is told to stop; an error
    is its last event.
    """

    def __init__(self, service: Service, visit: Visit, tell: Callable[[Events], Coroutine[Any, Any, None]]) -> None:
        self._service = service
        self._visit = visit
        self._tell = tell

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        service, visit = self._service, self._visit
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store, no-transform"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        events, left = Events(send), False

        async def beat() -> None:
            while True:
                await events.write(b":\n\n")
                await asyncio.sleep(HEARTBEAT_SECONDS)

        async def until_gone() -> None:
            nonlocal left
            await gone(receive)
            left = True

        try:
            ended = await _ended(
                service,
                self._tell(events),
                until_gone(),
                beat(),
                events.taking.over(),
                service.told_to_stop(),
                service.key_over(visit.key),
            )
            if ended is not None:
                await events.send(Frame("error", events.last + 1, failed(ended, visit)))
            if not left:
                await events.write(b"", more=False)
        except TimeoutError:
            return


async def _ended(service: Service, work: Coroutine[Any, Any, None], *watchers: Any) -> BifrostError | None:
    """What ended it other than its own end. Raises TimeoutError where the client takes nothing any more, and
    WebSocketDisconnect where it has left."""
    service.metrics.observe(Streaming(change=1))
    try:
        return await attended(work, *watchers)
    except BifrostError as error:
        return error
    except (TimeoutError, WebSocketDisconnect):
        raise
    except Exception as error:  # noqa: BLE001  # a bug ends one stream, with a frame that says so
        _log.exception("a stream failed")
        bug = BifrostError("Bifrost met a bug", hint="the server's log tells more under this request's id")
        bug.__cause__ = error
        return bug
    finally:
        service.metrics.observe(Streaming(change=-1))


def failed(error: Exception, visit: Visit, *, fatal: bool = True) -> dict[str, Any]:
    """The data of an error frame."""
    return plain_problem(problem(error, visit.request_id)) | {"fatal": fatal}


# --- WebSocket ----------------------------------------------------------------------------------------------------


class Start(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first frame of a client. `key` is the API key, where no header carries it."""

    type: str
    request: AnalyzeRequest
    key: str | None = None


@websocket("/ws/analyze", opt={SCOPE: Scope.ANALYZE_WRITE})
async def analyze_socket(socket: WebSocket[Any, Any, Any]) -> None:
    service, visit = service_of(socket), visit_of(socket.scope)
    await socket.accept()

    taking = Taking()

    async def put(frame: Frame) -> None:
        with taking:
            try:
                await socket.send_text(msgspec.json.encode(frame).decode())
            except OSError as error:
                raise WebSocketDisconnect(detail="the client has left", code=1006) from error

    frames = _Frames(put)
    try:
        ended = await _serve(service, visit, socket, frames, taking)
        await socket.close(
            code=1000 if ended is None else _close_code(ended), reason="" if ended is None else ended.slug
        )
    except (WebSocketDisconnect, OSError):
        return


def _close_code(error: BifrostError) -> int:
    return 1000 if isinstance(error, Cancelled) else outcome(error).close


async def _serve(
    service: Service, visit: Visit, socket: WebSocket[Any, Any, Any], frames: _Frames, taking: Taking
) -> BifrostError | None:
    try:
        _check_origin(service, socket)
        start = await _start(service, visit, socket)
        asked = await of_request(start.request, service.limits)
    except BifrostError as error:
        await frames.send("error", failed(error, visit))
        return error

    async def work() -> None:
        async with service.working(visit):
            await _relay(service, visit, asked, frames)

    ended = await _ended(
        service, work(), _listen(socket), taking.over(), service.told_to_stop(), service.key_over(visit.key)
    )
    if ended is not None:
        await frames.send("error", failed(ended, visit))
    return ended


def _check_origin(service: Service, socket: WebSocket[Any, Any, Any]) -> None:
    """Raises Forbidden for a page of another site: browsers send no preflight before a WebSocket."""
    origin = header(socket.scope, b"origin")
    if origin is None or "*" in service.limits.cors_origins or origin in service.limits.cors_origins:
        return
    if origin.partition("://")[2].lower() != (header(socket.scope, b"host") or "").lower():
        raise Forbidden("this page may not open a stream here", hint="add its origin to server.cors_origins")


async def _start(service: Service, visit: Visit, socket: WebSocket[Any, Any, Any]) -> Start:
    """Raises Unauthenticated, Forbidden, RateLimited, InvalidInput, InvalidRequest."""
    text = presented(socket.scope)
    if text is not None:
        await service.admit(visit, Scope.ANALYZE_WRITE, text)
    try:
        async with asyncio.timeout(START_SECONDS):
            first = await socket.receive_data(mode="text")
    except TimeoutError as error:
        raise TooSlow(
            f"the first frame did not come within {START_SECONDS:g} s", hint='send {"type": "start"}'
        ) from error
    start = decode_json(first.encode("utf-8", "replace") if isinstance(first, str) else first, Start)
    if start.type != "start":
        raise BadOption("the first frame has to be of the type start")
    if text is None:
        await service.admit(visit, Scope.ANALYZE_WRITE, start.key)
    return start


async def _listen(socket: WebSocket[Any, Any, Any]) -> BifrostError | None:
    """Ends when the client cancels, leaves, or says what cannot be meant."""
    try:
        text = await socket.receive_data(mode="text")
    except WebSocketDisconnect:
        return None
    try:
        frame = decode_json(text.encode("utf-8", "replace") if isinstance(text, str) else text, dict)
    except BifrostError as error:
        return error
    if frame.get("type") != "cancel":
        return BadOption("a frame behind the first one can only be of the type cancel")
    return Cancelled("the client cancelled")
