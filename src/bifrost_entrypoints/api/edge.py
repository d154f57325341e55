"""The outermost layer of the service: what holds for every request, whoever handles it.

Request ids in and out, security headers, rate limit headers, allowed hosts, metrics and the access log; plain ASGI, so
that it also covers what no route matches.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from math import ceil
from typing import Any

from bifrost_domain.errors import BifrostError
from bifrost_domain.observations import Arrived, Observation, Served
from bifrost_domain.ports import NewId
from bifrost_entrypoints.api.problems import MEDIA_TYPE, Problem, encoded, headers_of, problem
from bifrost_entrypoints.api.quick import Quick
from bifrost_entrypoints.api.visit import Network, Visit, accepted_id, begin, caller, header
from bifrost_entrypoints.logs import AccessLog, request_id

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Receive, Send], Awaitable[None]]

_log = logging.getLogger("bifrost.api")
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})
_SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
]
UNMATCHED = "unmatched"
"""The route of what no route matches, in metrics and in the log."""


class Edge:
    """Wraps `app`. `hosts` are the names it may be called by; empty means any. `observe` is told of every answer.

    `quick` may answer without a route; it raises as one would.
    """

    def __init__(
        self,
        app: App,
        *,
        new_id: NewId,
        trusted: tuple[Network, ...],
        hosts: Iterable[str],
        access: AccessLog | None = None,
    ) -> None:
        self._app = app
        self._access = access
        self.observe: Callable[[Observation], None] = lambda _: None
        self.quick: Callable[[Visit, Any, Receive], Awaitable[Quick | None]] | None = None
        self._new_id = new_id
        self._trusted = trusted
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        visit = Visit(accepted_id(header(scope, b"x-request-id")) or self._new_id(), caller(scope, self._trusted))
        begin(scope, visit)
        token = request_id.set(visit.request_id)
        self.observe(Arrived(method=_method(scope), traceparent=header(scope, b"traceparent")))
        status = 0

        async def answer(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_headers(visit, message)]
            elif message["type"] == "websocket.close":
                status = message.get("code", 1000)
            elif message["type"] == "websocket.accept":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", visit.request_id.encode())]
            await send(message)

        try:
            if self._hosts and not self._welcome(scope):
                await _refuse(scope, answer, visit)
            elif not await self._quickly(scope, receive, answer, visit):
                await self._app(scope, receive, answer)
        except Exception:
            if status:
                raise  # half an answer is out: the server ends the connection
            _log.exception("a request failed before its handler")
            await _fail(scope, answer, visit)
        finally:
            seconds = time.perf_counter() - began
            route = scope.get("path_template") or UNMATCHED
            self._note(scope, visit, route, status, seconds)
            request_id.reset(token)

    async def _quickly(self, scope: Any, receive: Receive, send: Send, visit: Visit) -> bool:
        """Answers what needs no route, also by refusing it; False where a route has to."""
        if self.quick is None or scope["type"] != "http":
            return False
        try:
            found = await self.quick(visit, scope, receive)
        except BifrostError as error:
            await _answer(scope, send, problem(error, visit.request_id))
            return True
        if found is not None:
            await _send(send, 200, found.headers, found.body)
        return found is not None

    def _welcome(self, scope: Any) -> bool:
        host = (header(scope, b"host") or "").lower()
        name = host[: host.rfind("]") + 1] if host.startswith("[") else host.partition(":")[0]
        return name in self._hosts

    def _note(self, scope: Any, visit: Visit, route: str, status: int, seconds: float) -> None:
        method = _method(scope)
        self.observe(Served(method=method, route=route, status=status, seconds=seconds))
        if self._access is not None:
            key = visit.key.id if visit.key else None
            self._access.note(id=visit.request_id, method=method, route=route, status=status, seconds=seconds, key=key)


def _method(scope: Any) -> str:
    method: str = scope.get("method", "WEBSOCKET")
    return method if method in METHODS else "OTHER"


def _headers(visit: Visit, message: Any) -> list[tuple[bytes, bytes]]:
    given = {name.lower() for name, _ in message.get("headers", ())}
    headers = [pair for pair in _SECURITY if pair[0] not in given]
    headers.append((b"x-request-id", visit.request_id.encode()))
    if visit.resource:
        headers.append((b"content-location", visit.resource.encode()))
    if visit.quota is not None:
        quota = visit.quota
        headers += [
            (b"ratelimit-limit", b"%d" % quota.limit),
            (b"ratelimit-remaining", b"%d" % max(0, quota.remaining)),
            (b"ratelimit-reset", b"%d" % ceil(quota.reset)),
            (b"ratelimit-policy", b"%d;w=60" % quota.limit),
        ]
    return headers


async def _refuse(scope: Any, send: Send, visit: Visit) -> None:
    await _answer(
        scope,
        send,
        Problem(
            type="urn:bifrost:problem:bad-host",
            title="Bad Request",
            status=400,
            detail="this server is not called by the name in the Host header",
            request_id=visit.request_id,
            hint="add the name to server.allowed_hosts",
        ),
    )


async def _fail(scope: Any, send: Send, visit: Visit) -> None:
    await _answer(scope, send, problem(RuntimeError(), visit.request_id))


async def _answer(scope: Any, send: Send, found: Problem) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4000 + found.status})
        return
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in headers_of(found).items()]
    await _send(send, found.status, headers, encoded(found))


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    headers.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
