"""`/history`: past analyses, and the incidents they belong to."""

import hashlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Response, delete, get
from litestar.params import Parameter
from litestar.response import Stream

from bifrost_domain.history import HistoryQuery, IncidentPage, Page
from bifrost_domain.keys import Scope
from bifrost_domain.report import SCHEMA_VERSION, Analysis, Category, Severity
from bifrost_entrypoints.api.docs import route
from bifrost_entrypoints.api.intake import JSON, moment
from bifrost_entrypoints.api.service import Service, service_of
from bifrost_entrypoints.api.visit import header, visit_of
from bifrost_entrypoints.plain import EVIDENCE_COLUMNS, encoded, evidence_rows, plain, table_csv

CSV = "text/csv"
Text = Annotated[str | None, Parameter(max_length=1000)]
Cursor = Annotated[str | None, Parameter(max_length=200, description="The next_cursor of the page before.")]
Limit = Annotated[int, Parameter(ge=1, le=1000)]
Id = Annotated[str, Parameter(max_length=100)]
Moment = Annotated[str | None, Parameter(max_length=100, description="RFC 3339, or 15m, 2h, 3d back from now.")]


@get(
    "/history",
    **route(
        Scope.RESULTS_READ,
        "listHistory",
        "Past analyses, newest first.",
        description="Past analyses, newest first. With `Accept: text/csv` all that match, one row for each quote.",
        media_types=[JSON, CSV],
        returns=Page,
        errors=(304, 422),
        tag="history",
    ),
)
async def list_history(
    request: Request[Any, Any, Any],
    text: Text = None,
    severity: Severity | None = None,
    category: Category | None = None,
    provider: Text = None,
    source: Text = None,
    fingerprint: Text = None,
    cached: bool | None = None,
    since: Moment = None,
    until: Moment = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response[bytes] | Stream:
    service, now = service_of(request), datetime.now(UTC)
    query = HistoryQuery(
        text=text,
        severity=severity,
        category=category,
        provider=provider,
        source=source,
        fingerprint=fingerprint,
        cached=cached,
        since=moment("since", since, now),
        until=moment("until", until, now),
        limit=limit,
        cursor=cursor,
    )
    if _prefers_csv(header(request.scope, b"accept")):
        rows = _csv(service.bifrost.archive.export(query, actor=visit_of(request.scope).actor))
        first = await anext(rows)
        headers = {"Content-Disposition": 'attachment; filename="bifrost-history.csv"'}
        return Stream(_after(first, rows), media_type=f"{CSV}; charset=utf-8; header=present", headers=headers)
    page = await (await service.bifrost.open_storage()).analyses.search(query)
    return tagged(request, encoded(page))


def _prefers_csv(accept: str | None) -> bool:
    return accept is not None and accept.partition(";")[0].partition(",")[0].strip().lower() == CSV


async def _csv(analyses: AsyncGenerator[Analysis, None]) -> AsyncGenerator[bytes, None]:
    """The first piece comes once the storage has answered, so that a failure still has a status of its own."""
    header_row = table_csv(EVIDENCE_COLUMNS, ()).encode()
    first = await anext(analyses, None)
    yield header_row if first is None else header_row + _rows(first)
    async for analysis in analyses:
        yield _rows(analysis)


def _rows(analysis: Analysis) -> bytes:
    return table_csv(EVIDENCE_COLUMNS, evidence_rows(plain(analysis)), header=False).encode()


async def _after(first: bytes, rest: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    yield first
    async for piece in rest:
        yield piece


def tagged(request: Request[Any, Any, Any], body: bytes, tag: str | None = None) -> Response[bytes]:
    """`body` with its ETag, or 304 where the client has it."""
    tag = f'"{tag or hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    wanted = header(request.scope, b"if-none-match")
    if wanted is not None and (
        wanted.strip() == "*" or tag in [part.strip().removeprefix("W/") for part in wanted.split(",")]
    ):
        return Response(content=b"", status_code=304, headers=headers, media_type=JSON)
    return Response(content=body, headers=headers, media_type=JSON)


@get(
    "/history/{id:str}",
    **route(
        Scope.RESULTS_READ,
        "getAnalysis",
        "One analysis, whole.",
        returns=Analysis,
        errors=(304, 404),
        tag="history",
    ),
)
async def get_analysis(request: Request[Any, Any, Any], id: Id) -> Response[bytes]:
    return tagged(request, *await stored(service_of(request), id))


async def stored(service: Service, id: str) -> tuple[bytes, str]:
    """An analysis of the history and its ETag: it never changes. Raises AnalysisNotFound."""
    analysis = await (await service.bifrost.open_storage()).analyses.get(id)
    return encoded(analysis), f"{analysis.id}.{SCHEMA_VERSION}"


@delete(
    "/history/{id:str}",
    **route(Scope.RESULTS_DELETE, "deleteAnalysis", "Erase an analysis.", status=204, errors=(404,), tag="history"),
)
async def delete_analysis(request: Request[Any, Any, Any], id: Id) -> None:
    service = service_of(request)
    await service.bifrost.archive.erase(id, actor=visit_of(request.scope).actor)
    service.repeats.forget(id)


@get(
    "/incidents",
    **route(
        Scope.RESULTS_READ,
        "listIncidents",
        "Analyses grouped by what broke, last seen first.",
        returns=IncidentPage,
        errors=(304, 422),
        tag="history",
    ),
)
async def list_incidents(request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None) -> Response[bytes]:
    storage = await service_of(request).bifrost.open_storage()
    return tagged(request, encoded(await storage.analyses.incidents(limit=limit, cursor=cursor)))


HISTORY = [list_history, get_analysis, delete_analysis, list_incidents]
