"""How a route is declared, and the OpenAPI document made of it.

Litestar finds the paths and their parameters; what is sent and answered is documented by msgspec, which also reads and
writes it, and the errors by the one table of outcomes.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Litestar, Response, get
from litestar import route as options_of
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from msgspec import Struct

from bifrost_domain.keys import Scope
from bifrost_entrypoints.api.problems import MEDIA_TYPE, Problem
from bifrost_entrypoints.api.service import OPEN, SCOPE

DOCUMENT = "document"
JSON = "application/json"
EVENTS = "text/event-stream"
IDEMPOTENCY_KEY = {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}

_TEXT = {"type": "string"}
_STREAMED = {
    "type": "object",
    "properties": {"id": _TEXT, "event": _TEXT, "data": {"type": "string", "contentMediaType": JSON}},
}
"""One event."""
_REFERENCE = "#/components/schemas/{name}"
_TOLD = {
    400: "The request cannot be read, or there is no log in it.",
    401: "No valid API key.",
    403: "The key lacks the scope.",
    404: "There is no such thing.",
    405: "The path has not got this method.",
    408: "The request did not arrive in time.",
    409: "Somebody else was first.",
    413: "The request goes beyond a limit.",
    415: "There is no reader for this form.",
    422: "A field or a parameter has an impossible value.",
    429: "Too many requests, or a budget is used up.",
    500: "A bug in Bifrost.",
    502: "The model's answer was no report.",
    503: "The storage, the provider or the server cannot serve now.",
    504: "The model took too long.",
}
_ALWAYS = (400, 429, 500, 503)
"""400 also answers a request that HTTP itself does not allow."""
TAGS = {
    "analyses": "A log in, its report out: at once, or told as it goes.",
    "batches": "Many logs at once, in the background.",
    "history": "Past analyses and incidents.",
    "prompts": "What models are asked: versions and labels.",
    "keys": "API keys.",
    "monitoring": "Health and figures.",
}
DESCRIPTION = """Turns raw logs into a cited root cause.

Errors are problem details (RFC 9457). A key is sent as `Authorization: Bearer KEY` or `X-API-Key: KEY`. Every answer
has an `X-Request-ID`: the one that was sent, or a new one. `/ws/analyze` streams the frames of `POST /analyze/stream`
over a WebSocket: its first frame is `{"type": "start", "key": KEY, "request": BODY}`, and `{"type": "cancel"}` stops
it."""


class Body(Struct, frozen=True, kw_only=True):
    """A request's body: by media type the struct it is, or a JSON Schema; and examples of the JSON, by name."""

    content: Mapping[str, type[Struct] | dict[str, Any]]
    examples: Mapping[str, Any] = {}


class Documented(Struct, frozen=True, kw_only=True):
    """What the document says of a route, beside its path and parameters; `headers`: of requests, by name."""

    scope: Scope | None
    status: int
    returns: type[Struct] | None
    media_types: Sequence[str]
    errors: Sequence[int]
    body: Body | None
    headers: Mapping[str, dict[str, Any]]


def json_body(kind: type[Struct], examples: Mapping[str, Any] = {}) -> Body:
    return Body(content={JSON: kind}, examples=examples)


def route(
    scope: Scope | None,
    operation_id: str,
    summary: str,
    *,
    tag: str,
    returns: type[Struct] | None = None,
    status: int = 200,
    media_types: Sequence[str] = (JSON,),
    description: str = "",
    errors: Sequence[int] = (),
    body: Body | None = None,
    headers: Mapping[str, dict[str, Any]] = {},
) -> dict[str, Any]:
    """The keyword arguments of a Litestar route. Without a scope it is open to all."""
    documented = Documented(
        scope=scope,
        status=status,
        returns=returns,
        media_types=media_types,
        errors=sorted({*errors, *_ALWAYS, *((401, 403) if scope is not None else ())}),
        body=body,
        headers=headers,
    )
    return {
        "status_code": status,
        "operation_id": operation_id,
        "summary": summary,
        "description": description or summary,
        "tags": [tag],
        "opt": {SCOPE: OPEN if scope is None else scope, DOCUMENT: documented},
    }


def schema_route(handlers: Sequence[HTTPRouteHandler], providers: Sequence[str]) -> HTTPRouteHandler:
    """Serves the document of these handlers, open to all."""

    @cache
    def rendered() -> bytes:
        return msgspec.json.encode(document(handlers, providers))

    @get("/schema/openapi.json", opt={SCOPE: OPEN}, include_in_schema=False)
    async def openapi() -> Response[bytes]:
        return Response(content=rendered(), media_type="application/vnd.oai.openapi+json")

    return openapi


def options_routes(handlers: Sequence[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """Answers OPTIONS with the methods of each path: Litestar knows those of one handler only, where each is a
    function of its own."""
    methods: dict[str, set[str]] = {}
    for handler in handlers:
        for path in handler.paths:
            methods.setdefault(path, {"OPTIONS"}).update(handler.http_methods)
    return [_options(path, sorted(found)) for path, found in methods.items()]


def _options(path: str, methods: Sequence[str]) -> HTTPRouteHandler:
    @options_of(path, http_method="OPTIONS", opt={SCOPE: OPEN}, include_in_schema=False, status_code=204)
    async def allowed() -> Response[None]:
        return Response(content=None, status_code=204, headers={"Allow": ", ".join(methods)})

    return allowed


def document(handlers: Sequence[HTTPRouteHandler], providers: Sequence[str]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of these handlers, for requests that may name these providers."""
    config = OpenAPIConfig(title="Bifrost", version=version("bifrost-logs"), description=DESCRIPTION)
    app = Litestar(list(handlers), openapi_config=config, logging_config=None)
    found: dict[str, Any] = app.openapi_schema.to_schema()
    found["paths"] = {path: item for path, item in found["paths"].items() if not path.startswith("/schema")}
    routes = {handler.operation_id: handler.opt[DOCUMENT] for handler in handlers}
    structs: set[type[Struct]] = {Problem}
    for documented in routes.values():
        structs |= {documented.returns} if documented.returns else set()
        structs |= {
            kind for kind in (documented.body.content.values() if documented.body else ()) if isinstance(kind, type)
        }
    ordered = sorted(structs, key=lambda kind: kind.__name__)
    schemas, components = msgspec.json.schema_components(ordered, ref_template=_REFERENCE)
    of = dict(zip(ordered, schemas, strict=True))
    for operations in found["paths"].values():
        for operation in operations.values():
            if (documented := routes.get(operation.get("operationId"))) is not None:
                _complete(operation, documented, of)
    for schema in components.values():
        _narrow(schema.get("properties", {}), providers)
    found["components"] = {
        "schemas": components,
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
            "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "An API key."},
        },
    }
    found["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    return found


def _narrow(properties: dict[str, Any], providers: Sequence[str]) -> None:
    """What a type cannot say: the providers there are, the two forms of a time, and that an empty log is refused."""
    if "fallback" not in properties:
        return
    if "logs" in properties:
        properties["logs"] = properties["logs"] | {"minLength": 1}
    properties["provider"] = {"anyOf": [{"type": "string", "enum": list(providers)}, {"type": "null"}], "default": None}
    for name in ("since", "until"):
        forms = [{"type": "string", "format": "date-time"}, {"type": "string", "pattern": "^[1-9][0-9]{0,3}[smhd]$"}]
        properties[name] = {"anyOf": [*forms, {"type": "null"}], "default": None}


def _complete(operation: dict[str, Any], documented: Documented, of: Mapping[type[Struct], Any]) -> None:
    operation["security"] = [] if documented.scope is None else [{"bearer": []}, {"header": []}]
    if documented.scope is not None:
        operation["description"] += f"\n\nNeeds the scope `{documented.scope}`."
    answer: dict[str, Any] = {"description": operation["summary"], "headers": _headers()}
    if documented.returns is not None:
        answer["content"] = {
            kind: {"schema": _STREAMED if kind == EVENTS else of[documented.returns] if kind == JSON else _TEXT}
            for kind in documented.media_types
        }
    elif documented.status != HTTPStatus.NO_CONTENT:
        answer["content"] = {kind: {"schema": _TEXT} for kind in documented.media_types}
    operation["responses"] = {str(documented.status): answer} | {
        str(status): {
            "description": _TOLD.get(status, HTTPStatus(status).phrase),
            "headers": _headers(status),
            **({"content": {MEDIA_TYPE: {"schema": of[Problem]}}} if status != HTTPStatus.NOT_MODIFIED else {}),
        }
        for status in sorted({*documented.errors, *((422,) if operation.get("parameters") else ())})
    }
    if documented.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(documented.body, of)}
    operation.setdefault("parameters", []).extend(
        {"name": name, "in": "header", "required": False, "schema": schema}
        for name, schema in documented.headers.items()
    )


def _content(body: Body, of: Mapping[type[Struct], Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for kind, shape in body.content.items():
        content[kind] = {"schema": of[shape] if isinstance(shape, type) else shape}
        if kind == JSON and body.examples:
            content[kind]["examples"] = {name: {"value": value} for name, value in body.examples.items()}
    return content


def _headers(status: int = 200) -> dict[str, Any]:
    headers = {"X-Request-ID": {"schema": {"type": "string"}}}
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        headers["Retry-After"] = {"schema": {"type": "integer"}}
    return headers
