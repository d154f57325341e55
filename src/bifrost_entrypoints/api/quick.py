"""What is asked for over and over, answered without the cost of finding a route: a repeated analysis, a stored one.

The routes answer the same with the same functions; whatever is unusual about a request is left to them.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec import Struct

from bifrost_domain.keys import Scope
from bifrost_entrypoints.api.analyses import named, repeated
from bifrost_entrypoints.api.history import stored
from bifrost_entrypoints.api.service import Service, presented
from bifrost_entrypoints.api.visit import Visit

_UNUSUAL = frozenset({b"origin", b"idempotency-key", b"if-none-match"})
"""A page of another site needs more in its answer; the others ask for more than an answer."""
_STORED = re.compile(r"/history/([0-9a-f-]{36})")


class Quick(Struct, frozen=True):
    """`headers` are those that go with the body."""

    headers: list[tuple[bytes, bytes]]
    body: bytes


async def answer(service: Service, visit: Visit, scope: Any, receive: Callable[[], Awaitable[Any]]) -> Quick | None:
    """None where a route has to answer. Raises what that would."""
    path: str = scope["path"]
    if scope["method"] == "POST":
        if path != "/analyze" or _unusual(scope):
            return None
        scope["path_template"] = path
        await service.admit(visit, Scope.ANALYZE_WRITE, presented(scope))
        await named(service, visit, scope, receive)
        body = await repeated(service, visit)
        return None if body is None else Quick([(b"content-type", b"application/json")], body)
    if scope["method"] != "GET" or (found := _STORED.fullmatch(path)) is None or _unusual(scope):
        return None
    scope["path_template"] = "/history/{id}"
    await service.admit(visit, Scope.RESULTS_READ, presented(scope))
    body, tag = await stored(service, found[1])
    headers = [
        (b"content-type", b"application/json"),
        (b"etag", b'"%s"' % tag.encode()),
        (b"cache-control", b"private, no-cache"),
    ]
    return Quick(headers, body)


def _unusual(scope: Any) -> bool:
    return any(name in _UNUSUAL for name, _ in scope["headers"])
