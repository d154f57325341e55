"""`/api-keys`: the keys of the service."""

from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Request, Response, delete, get, post

from bifrost_domain.keyring import Issued
from bifrost_domain.keys import Scope
from bifrost_entrypoints.api.docs import json_body, route
from bifrost_entrypoints.api.history import Id
from bifrost_entrypoints.api.intake import JSON, body_of, decode_json
from bifrost_entrypoints.api.service import service_of
from bifrost_entrypoints.api.visit import visit_of
from bifrost_entrypoints.api.wire import (
    KeyIssued,
    KeyPage,
    KeyShown,
    KeyWithEvents,
    NewKey,
    Rotation,
    shown,
)
from bifrost_entrypoints.plain import encoded

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def age(text: str) -> timedelta:
    """Of a text that has the form already: 90d, 24h, 0."""
    return timedelta(0) if text == "0" else timedelta(seconds=int(text[:-1]) * _UNITS[text[-1]])


@post(
    "/api-keys",
    **route(
        Scope.KEYS_ADMIN,
        "createKey",
        "Make a key; it is shown this once.",
        returns=KeyIssued,
        status=201,
        errors=(400, 408, 413, 422),
        body=json_body(NewKey, {"for CI": {"name": "ci", "scopes": ["analyze:write"], "expires": "90d"}}),
        tag="keys",
    ),
)
async def create_key(request: Request[Any, Any, Any]) -> Response[bytes]:
    service, visit = service_of(request), visit_of(request.scope)
    new = decode_json(await body_of(request.scope, request.receive, service.limits), NewKey)
    issued = await service.bifrost.keyring.issue(
        new.name,
        **({"scopes": tuple(scope for scope in Scope if scope in new.scopes)} if new.scopes else {}),
        lifetime=None if new.expires == "never" else age(new.expires),
        environment=new.environment,
        limit=new.limit,
        actor=visit.actor,
        granter=visit.key,
    )
    return _issued(issued)


@get("/api-keys", **route(Scope.KEYS_ADMIN, "listKeys", "All keys, newest first.", returns=KeyPage, tag="keys"))
async def list_keys(request: Request[Any, Any, Any]) -> Response[bytes]:
    now = datetime.now(UTC)
    found = await service_of(request).bifrost.keyring.all()
    page = KeyPage(items=tuple(KeyShown(**shown(key, now)) for key in found))
    return Response(content=encoded(page), media_type=JSON)


@get(
    "/api-keys/{id:str}",
    **route(
        Scope.KEYS_ADMIN,
        "getKey",
        "One key, with what was done to it.",
        returns=KeyWithEvents,
        errors=(404,),
        tag="keys",
    ),
)
async def get_key(request: Request[Any, Any, Any], id: Id) -> Response[bytes]:
    bifrost = service_of(request).bifrost
    key = await bifrost.keyring.show(id)
    events = (await (await bifrost.open_storage()).audit.events(subject=key.id)).items
    return Response(content=encoded(KeyWithEvents(**shown(key, datetime.now(UTC)), events=events)), media_type=JSON)


@post(
    "/api-keys/{id:str}/rotate",
    **route(
        Scope.KEYS_ADMIN,
        "rotateKey",
        "Make a successor with the same rights; the old key ends after the overlap.",
        returns=KeyIssued,
        status=201,
        errors=(400, 404, 408, 409, 413, 422),
        body=json_body(Rotation, {"a day": {"overlap": "24h"}}),
        tag="keys",
    ),
)
async def rotate_key(request: Request[Any, Any, Any], id: Id) -> Response[bytes]:
    service, visit = service_of(request), visit_of(request.scope)
    wish = decode_json(await body_of(request.scope, request.receive, service.limits), Rotation)
    issued = await service.bifrost.keyring.rotate(id, overlap=age(wish.overlap), actor=visit.actor, granter=visit.key)
    return _issued(issued)


@delete(
    "/api-keys/{id:str}",
    **route(
        Scope.KEYS_ADMIN,
        "revokeKey",
        "Refuse a key from now on; every replica does within five seconds.",
        status=204,
        errors=(404,),
        tag="keys",
    ),
)
async def revoke_key(request: Request[Any, Any, Any], id: Id) -> None:
    await service_of(request).bifrost.keyring.revoke(id, actor=visit_of(request.scope).actor)


def _issued(issued: Issued) -> Response[bytes]:
    body = KeyIssued(key=issued.text, **shown(issued.key, datetime.now(UTC)))
    headers = {"Location": f"/api-keys/{issued.key.id}"}
    return Response(content=encoded(body), status_code=201, headers=headers, media_type=JSON)


KEYS = [create_key, list_keys, get_key, rotate_key, revoke_key]
