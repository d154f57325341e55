"""`/batch`: many logs at once, one report each, made in the background and told as they come."""

from contextlib import aclosing
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request, Response, get, post
from litestar.types import ASGIApp
from msgspec import Struct

from bifrost_domain.batch import Batch, BatchItem, BatchOptions, Counts, Failure, Refused, Status, failure_of
from bifrost_domain.errors import BifrostError, InvalidInput
from bifrost_domain.keys import Scope
from bifrost_domain.logs.digest import Digest
from bifrost_entrypoints.api.analyses import FILES, chosen, idempotent, request_of, wishes_engine
from bifrost_entrypoints.api.docs import IDEMPOTENCY_KEY, Body, route
from bifrost_entrypoints.api.history import Cursor, Id, Limit
from bifrost_entrypoints.api.intake import FORM, JSON, Given, body_of, many, printable, unpacked
from bifrost_entrypoints.api.service import Service, attended, gone, service_of
from bifrost_entrypoints.api.streaming import Events, EventStream, Frame, StreamFrame
from bifrost_entrypoints.api.visit import Visit, header, visit_of
from bifrost_entrypoints.api.wire import BatchRequest
from bifrost_entrypoints.plain import encoded, plain


class BatchShown(Struct, frozen=True, kw_only=True):
    """A batch: how many of its logs are where. It is over when none is queued or running."""

    id: str
    status: Status
    created_at: datetime
    created_by: str | None
    cancelled_at: datetime | None
    counts: Counts
    total: int


class BatchPageShown(Struct, frozen=True, kw_only=True):
    items: tuple[BatchShown, ...]
    next_cursor: str | None


class BatchItemShown(Struct, frozen=True, kw_only=True):
    """One log of a batch. `analysis` is the id of its report in the history."""

    number: int
    name: str
    status: Status
    attempts: int
    analysis: str | None
    error: Failure | None
    changed_at: datetime


class BatchItemPage(Struct, frozen=True, kw_only=True):
    items: tuple[BatchItemShown, ...]
    next_cursor: str | None


def shown(batch: Batch) -> BatchShown:
    return BatchShown(
        id=batch.id,
        status=batch.status,
        created_at=batch.created_at,
        created_by=batch.created_by,
        cancelled_at=batch.cancelled_at,
        counts=batch.counts,
        total=batch.counts.total,
    )


def item_shown(item: BatchItem) -> BatchItemShown:
    return BatchItemShown(
        number=item.number,
        name=item.name,
        status=item.status,
        attempts=item.attempts,
        analysis=item.analysis,
        error=item.error,
        changed_at=item.changed_at,
    )


BODY = Body(
    content={JSON: BatchRequest, FORM: FILES},
    examples={
        "two logs": {"items": [{"source": "a.log", "logs": "ERROR one"}, {"source": "b.log", "logs": "ERROR two"}]}
    },
)


@post(
    "/batch",
    **route(
        Scope.ANALYZE_WRITE,
        "createBatch",
        "Have many logs analysed, one report each.",
        returns=BatchShown,
        status=202,
        description="The logs are reduced and redacted at once, and only that is kept until they are analysed: the "
        "batch goes on after a restart, and on any replica. With an Idempotency-Key it is made once.",
        errors=(400, 404, 408, 409, 413, 415, 422),
        body=BODY,
        headers={"Idempotency-Key": IDEMPOTENCY_KEY},
        tag="batches",
    ),
)
async def create_batch(request: Request[Any, Any, Any]) -> Response[bytes]:
    service, visit, scope = service_of(request), visit_of(request.scope), request.scope
    async with service.working(visit):
        body = await body_of(scope, request.receive, service.limits)

        async def make() -> str:
            return (await _submitted(service, visit, scope, body)).id

        batches = service.bifrost.batches
        once = header(scope, b"idempotency-key")
        named = service.repeats.key(b"batch", (header(scope, b"content-type") or "").encode("latin-1"), body)
        id = await attended(
            make() if once is None else idempotent(service, visit, once, named, make),
            gone(request.receive),
            service.told_to_stop(),
        )
        if isinstance(id, BifrostError):
            raise id
        batch = await batches.get(id or "")
    headers = {"Location": f"/batch/{batch.id}"}
    return Response(content=encoded(shown(batch)), status_code=202, headers=headers, media_type=JSON)


async def _submitted(service: Service, visit: Visit, scope: Any, body: bytes) -> Batch:
    await service.check_budget(visit)
    wishes, files = await many(scope, body, service.limits)
    engine = await chosen(service, wishes_engine(wishes))
    room, logs = service.limits.max_decompressed_bytes, []
    for name, data in files:
        reduced, size = await _reduced(service, visit, wishes, name, data, room)
        room = max(1, room - size)
        logs.append(reduced)
    options = BatchOptions(
        provider=engine["provider"],
        model=engine["model"],
        variables=engine["variables"],
        language=engine["language"],
        budget=wishes.budget,
        use_cache=wishes.cache,
        fallback=wishes.fallback,
    )
    return await service.bifrost.batches.submit(logs, options, prompt=wishes.prompt, key=visit.family)


async def _reduced(
    service: Service, visit: Visit, wishes: Any, name: str, data: bytes, room: int
) -> tuple[Digest | Refused, int]:
    """What is kept of one log, and how large it was; a log that cannot be read is an item that has failed."""
    try:
        limits = msgspec.structs.replace(service.limits, max_decompressed_bytes=room)
        sources = await unpacked([(name, data)], limits)
        wish = await request_of(service, visit, Given(wishes=wishes, name=sources[0].name, logs=sources))
        return await service.bifrost.analyst.prepare(wish), sources[0].size or 0
    except InvalidInput as error:
        return Refused(name=printable(name), kind="api", error=failure_of(error)), 0


@get(
    "/batch",
    **route(
        Scope.RESULTS_READ,
        "listBatches",
        "Batches, newest first.",
        returns=BatchPageShown,
        errors=(422,),
        tag="batches",
    ),
)
async def list_batches(request: Request[Any, Any, Any], limit: Limit = 50, cursor: Cursor = None) -> Response[bytes]:
    page = await service_of(request).bifrost.batches.newest(limit=limit, cursor=cursor)
    body = BatchPageShown(items=tuple(map(shown, page.items)), next_cursor=page.next_cursor)
    return Response(content=encoded(body), media_type=JSON)


@get(
    "/batch/{id:str}",
    **route(Scope.RESULTS_READ, "getBatch", "One batch.", returns=BatchShown, errors=(404,), tag="batches"),
)
async def get_batch(request: Request[Any, Any, Any], id: Id) -> Response[bytes]:
    return Response(content=encoded(shown(await service_of(request).bifrost.batches.get(id))), media_type=JSON)


@get(
    "/batch/{id:str}/items",
    **route(
        Scope.RESULTS_READ,
        "listBatchItems",
        "The logs of a batch, by number, each with its report's id.",
        returns=BatchItemPage,
        errors=(404, 422),
        tag="batches",
    ),
)
async def list_items(
    request: Request[Any, Any, Any], id: Id, limit: Limit = 100, cursor: Cursor = None
) -> Response[bytes]:
    page = await service_of(request).bifrost.batches.items(id, limit=limit, cursor=cursor)
    body = BatchItemPage(items=tuple(map(item_shown, page.items)), next_cursor=page.next_cursor)
    return Response(content=encoded(body), media_type=JSON)


@post(
    "/batch/{id:str}/cancel",
    **route(
        Scope.ANALYZE_WRITE,
        "cancelBatch",
        "Stop what has not ended; what has stays.",
        returns=BatchShown,
        errors=(404,),
        tag="batches",
    ),
)
async def cancel_batch(request: Request[Any, Any, Any], id: Id) -> Response[bytes]:
    batch = await service_of(request).bifrost.batches.cancel(id)
    return Response(content=encoded(shown(batch)), media_type=JSON)


@get(
    "/batch/{id:str}/events",
    **route(
        Scope.RESULTS_READ,
        "streamBatch",
        "A batch as it goes.",
        returns=StreamFrame,
        media_types=["text/event-stream"],
        description="Server-sent events: `batch` with the counts, `item` for each change of a log, and `done` with the "
        "counts at the end. `Last-Event-ID` goes on where a stream broke off.",
        errors=(404,),
        tag="batches",
    ),
)
async def stream_batch(request: Request[Any, Any, Any], id: Id) -> ASGIApp:
    service, visit = service_of(request), visit_of(request.scope)
    last = header(request.scope, b"last-event-id") or "0"
    await service.bifrost.batches.get(id)
    after = int(last) if last.isdecimal() and len(last) < 12 else 0

    async def tell(events: Events) -> None:
        begun = False
        async with aclosing(service.bifrost.batches.changes(id, after=after)) as changes:
            async for change in changes:
                if isinstance(change, BatchItem):
                    await events.send(Frame("item", change.revision, plain(item_shown(change))))
                else:
                    over = change.over and begun
                    await events.send(Frame("done" if over else "batch", change.revision, plain(shown(change))))
                    begun = True

    return EventStream(service, visit, tell)


BATCHES = [create_batch, list_batches, get_batch, list_items, cancel_batch, stream_batch]
