"""Errors as clients get them: problem details (RFC 9457), one form for every route, stream and status."""

import logging
from http import HTTPStatus
from math import ceil
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Struct

from bifrost_domain.errors import BifrostError
from bifrost_domain.logs.cleaning import safe
from bifrost_entrypoints.api.visit import visit_of
from bifrost_entrypoints.outcomes import outcome

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 5
"""After how long to try again what is unavailable, where nobody knows better."""
_log = logging.getLogger("bifrost.api")


class FieldError(Struct, frozen=True, kw_only=True):
    """`pointer` is a JSON Pointer (RFC 6901) into the body, or the name of a query parameter."""

    pointer: str
    detail: str


class Problem(Struct, frozen=True, kw_only=True):
    """What went wrong (RFC 9457). `type` is stable, `detail` is for people, `hint` says what to do next.

    `provider` is the model entry that failed; `retry_after` is in seconds.
    """

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    hint: str | None = None
    provider: str | None = None
    retry_after: int | None = None
    errors: tuple[FieldError, ...] = ()


def problem(error: Exception, request_id: str) -> Problem:
    """Any exception as a problem; of one that nobody foresaw, nothing is told but that it happened."""
    match error:
        case BifrostError():
            status = outcome(error).status
            return Problem(
                type=f"urn:bifrost:problem:{error.slug}",
                title=HTTPStatus(status).phrase,
                status=status,
                detail=safe(error.message),
                request_id=request_id,
                hint=safe(error.hint) or None,
                provider=getattr(error, "provider", "") or None,
                retry_after=_retry_after(error, status),
            )
        case HTTPException():
            return _of_http(error, request_id)
        case _:
            return Problem(
                type="urn:bifrost:problem:internal-error",
                title=HTTPStatus.INTERNAL_SERVER_ERROR.phrase,
                status=500,
                detail="Bifrost met a bug",
                request_id=request_id,
                hint="the server's log tells more under this request's id",
            )


def headers_of(found: Problem) -> dict[str, str]:
    headers = {}
    if found.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="bifrost"'
    if found.retry_after is not None:
        headers["Retry-After"] = str(found.retry_after)
    return headers


def respond(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """The handler of every exception."""
    found = problem(error, visit_of(request.scope).request_id)
    if found.status == HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("a request failed", exc_info=error)
    headers = headers_of(found)
    if isinstance(error, HTTPException) and error.headers:
        headers |= {name.title(): value for name, value in error.headers.items()}
    return Response(content=encoded(found), status_code=found.status, headers=headers, media_type=MEDIA_TYPE)


def encoded(found: Problem) -> bytes:
    return msgspec.json.encode(plain_problem(found))


def plain_problem(found: Problem) -> dict[str, Any]:
    """Without the members that have nothing to say."""
    data: dict[str, Any] = msgspec.to_builtins(found)
    return {name: value for name, value in data.items() if value not in (None, (), [])}


def _retry_after(error: BifrostError, status: int) -> int | None:
    seconds: float | None = getattr(error, "retry_after", None)
    if seconds is not None:
        return max(1, ceil(seconds))
    return RETRY_SECONDS if status == HTTPStatus.SERVICE_UNAVAILABLE else None


_SLUGS = {400: "bad-request", 404: "not-found", 405: "method-not-allowed", 413: "too-large", 415: "unsupported-media"}


def _of_http(error: HTTPException, request_id: str) -> Problem:
    """What Litestar itself refuses: no such route or method, a query parameter that is none."""
    status = error.status_code
    errors: tuple[FieldError, ...] = ()
    detail = error.detail
    if isinstance(error, ValidationException):
        status, detail = 422, "a parameter has an impossible value"
        errors = tuple(
            FieldError(pointer=str(item.get("key", "")), detail=safe(str(item.get("message", ""))))
            for item in error.extra or ()
            if isinstance(item, dict)
        )
    return Problem(
        type=f"urn:bifrost:problem:{'bad-option' if status == 422 else _SLUGS.get(status, 'http-error')}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=safe(detail),
        request_id=request_id,
        errors=errors,
    )
