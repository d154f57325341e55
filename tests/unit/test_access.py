"""Every route says what a key needs, and one that does not is closed to all."""

from typing import Any

import httpx
import pytest
from litestar import Request, Response, get
from litestar.handlers import HTTPRouteHandler

from bifrost_domain.keys import Scope
from bifrost_entrypoints.api import app as module
from bifrost_entrypoints.api.app import ROUTES, create_app
from bifrost_entrypoints.api.docs import route
from bifrost_entrypoints.api.service import OPEN, SCOPE, presented
from bifrost_entrypoints.settings import Settings


async def answer(planted: HTTPRouteHandler, monkeypatch: pytest.MonkeyPatch) -> httpx.Response:
    monkeypatch.setattr(module, "ROUTES", [planted])
    transport = httpx.ASGITransport(create_app(Settings()))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        return await client.get("/planted")


@pytest.mark.parametrize("opt", [{}, {SCOPE: None}, {SCOPE: "results:read"}, {SCOPE: True}])
async def test_a_route_that_does_not_say_what_it_needs_is_closed(
    opt: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    @get("/planted", **route(None, "planted", "Planted.", tag="monitoring") | {"opt": opt})
    async def planted(request: Request[Any, Any, Any]) -> Response[bytes]:
        raise AssertionError("it was let in")

    found = await answer(planted, monkeypatch)
    assert (found.status_code, found.json()["type"]) == (403, "urn:bifrost:problem:forbidden")


async def test_an_open_route_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    @get("/planted", **route(None, "planted", "Planted.", tag="monitoring"))
    async def planted(request: Request[Any, Any, Any]) -> Response[bytes]:
        return Response(content=b"open")

    assert (await answer(planted, monkeypatch)).content == b"open"


def test_all_routes_need_a_scope_but_those_that_tell_of_health() -> None:
    needed = {path: handler.opt[SCOPE] for handler in ROUTES for path in handler.paths}
    assert {path for path, scope in needed.items() if scope == OPEN} == {"/health/live", "/health/ready"}
    assert {type(scope) for scope in needed.values() if scope != OPEN} == {Scope}


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"authorization": "Bearer abc"}, "abc"),
        ({"authorization": "bearer  abc "}, "abc"),
        ({"authorization": "Basic abc"}, ""),
        ({"authorization": "abc"}, ""),
        ({"authorization": "Bearer"}, ""),
        ({"x-api-key": "abc"}, "abc"),
        ({"authorization": "Basic x", "x-api-key": "abc"}, ""),
    ],
)
def test_a_key_is_shown_in_one_of_two_headers(headers: dict[str, str], key: str | None) -> None:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert presented({"headers": raw}) == key
