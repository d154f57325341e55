"""`POST /analyze`: a log in, its report out."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any

from litestar import Request, Response, post
from msgspec import structs

from bifrost_domain import analysis as domain
from bifrost_domain.errors import BadOption, BifrostError, ConfigurationError, Conflict, InvalidRequest
from bifrost_domain.keys import Scope
from bifrost_domain.observations import Repeated
from bifrost_domain.report import Analysis, CacheUse, Usage
from bifrost_entrypoints.api.docs import IDEMPOTENCY_KEY, Body, route
from bifrost_entrypoints.api.intake import FORM, JSON, TEXT, Given, aside, body_of, given, moment
from bifrost_entrypoints.api.repeats import Reply
from bifrost_entrypoints.api.service import Service, attended, gone, service_of
from bifrost_entrypoints.api.visit import Visit, header, visit_of
from bifrost_entrypoints.api.wire import AnalyzeRequest
from bifrost_entrypoints.plain import encoded
from bifrost_entrypoints.settings import zone_named

EXAMPLES = {
    "a log": {"logs": "2026-11-20T10:00:01Z INFO start\n2026-11-20T10:00:02Z FATAL: too many clients already\n"},
    "with wishes": {"logs": "ERROR disk full", "source": "app.log", "provider": "heuristic", "language": "ko"},
}
FILES: dict[str, Any] = {
    "type": "object",
    "properties": {"logs": {"type": "string", "format": "binary"}},
    "required": ["logs"],
}
FILE: dict[str, Any] = FILES | {"properties": {"logs": {"type": "string", "format": "binary", "minLength": 1}}}
"""Of one analysis: an empty log is refused; of a batch it is an item that has failed."""
BODY = Body(content={JSON: AnalyzeRequest, TEXT: {"type": "string", "minLength": 1}, FORM: FILE}, examples=EXAMPLES)
DESCRIPTION = """What broke, why, the lines that prove it, and what to do next.

The log comes as JSON, as it is (`text/plain`, wishes in the query), or as files of a form. Bodies may be compressed:
`Content-Encoding: gzip` or `zstd`, or files that are. A request that is repeated byte for byte is answered with the
same analysis. `Content-Location` says where the history has it; without that header it was not stored."""
ERRORS = (400, 404, 408, 413, 415, 422, 502, 504)
IDEMPOTENCY_KEPT = timedelta(hours=24)
STALE = timedelta(minutes=10)
"""A request with an Idempotency-Key that has not ended for so long is taken for lost."""


@post(
    "/analyze",
    **route(
        Scope.ANALYZE_WRITE,
        "analyze",
        "Analyse a log.",
        returns=Analysis,
        description=DESCRIPTION,
        errors=(*ERRORS, 409),
        body=BODY,
        headers={"Idempotency-Key": IDEMPOTENCY_KEY},
        tag="analyses",
    ),
)
async def analyze(request: Request[Any, Any, Any]) -> Response[bytes]:
    service, visit, scope = service_of(request), visit_of(request.scope), request.scope
    async with service.working(visit):
        once = header(scope, b"idempotency-key")
        await named(service, visit, scope, request.receive)
        if once is None and (again := await repeated(service, visit)) is not None:
            return _response(again)
        body, key = visit.body or b"", visit.repeat

        async def make() -> Reply:
            return await answered(service, visit, await given(scope, body, service.limits))

        async def work() -> bytes:
            if once is not None:
                return await _once(service, visit, once, key, make)
            reply, first = await service.repeats.once(key, make)
            if not first:
                return _again(service, visit, reply)
            _locate(visit, reply.id)
            return reply.body

        result = await attended(work(), gone(request.receive), service.told_to_stop())
        if isinstance(result, BifrostError):
            raise result
        return _response(result or b"")


async def _once(
    service: Service, visit: Visit, once: str, request: bytes, make: Callable[[], Awaitable[Reply]]
) -> bytes:
    """Raises InvalidRequest where nothing is kept that could be answered with again."""
    if not service.settings.history.enabled:
        raise InvalidRequest("an Idempotency-Key needs the history, which is switched off here")
    made: list[Reply] = []

    async def stored() -> str:
        made.append(await make())
        return made[0].id

    id = await idempotent(service, visit, once, request, stored)
    _locate(visit, id)
    if made:
        return made[0].body
    return encoded(await (await service.bifrost.open_storage()).analyses.get(id))


async def named(service: Service, visit: Visit, scope: Any, receive: Callable[[], Awaitable[Any]]) -> None:
    """Has the request's body, and its name among those that are repeated, in `visit`. Raises what `body_of` raises."""
    if visit.body is None:
        body = visit.body = await body_of(scope, receive, service.limits)
        form = [(header(scope, name) or "").encode("latin-1") for name in (b"content-type", b"content-encoding")]
        family = (visit.family or "").encode()
        visit.repeat = await aside(len(body), lambda: service.repeats.key(family, *form, scope["query_string"], body))


async def repeated(service: Service, visit: Visit) -> bytes | None:
    """The answer to a request that was made before, byte for byte; None for a new one."""
    reply = await service.repeats.find(visit.repeat)
    return None if reply is None else _again(service, visit, reply)


def _again(service: Service, visit: Visit, reply: Reply) -> bytes:
    service.repeats.counted[visit.family, reply.provider, reply.model] += 1
    service.metrics.observe(Repeated(provider=reply.provider, model=reply.model))
    _locate(visit, reply.id)
    return reply.again


def _locate(visit: Visit, id: str) -> None:
    """Tells the client where the report can be read again; of one that could not be stored, that it cannot."""
    visit.resource = f"/history/{id}" if id else ""


def _response(body: bytes) -> Response[bytes]:
    return Response(content=body, media_type=JSON, status_code=200)


async def idempotent(
    service: Service, visit: Visit, once: str, request: bytes, make: Callable[[], Awaitable[str]]
) -> str:
    """The id of what the first request with this Idempotency-Key made; `make` makes it where this is the first.

    Raises BadOption for a key that is none or came with another request, Conflict while the first one runs.
    """
    if not 1 <= len(once) <= 255 or not all("!" <= character <= "~" for character in once):
        raise BadOption("an Idempotency-Key has 1 to 255 printable ASCII characters without spaces")
    records, family = (await service.bifrost.open_storage()).idempotency, visit.family or ""
    name = hashlib.sha256(once.encode()).digest()
    now = datetime.now(UTC)
    found = await records.begin(family, name, request, now)
    if found is not None and found.resource is None and now - found.at > STALE:
        await records.abandon(family, name)
        found = await records.begin(family, name, request, now)
    if found is not None:
        if found.request_hash != request:
            raise BadOption("this Idempotency-Key was used with another request", hint="use a new one for each request")
        if found.resource is None:
            raise Conflict("the first request with this Idempotency-Key is still running", hint="try again soon")
        return found.resource
    made = ""
    try:
        made = await make()
    finally:
        await (records.finish(family, name, made) if made else records.abandon(family, name))
    return made


async def answered(service: Service, visit: Visit, asked: Given) -> Reply:
    """The finished analysis. Raises what `Analyst.analyse` raises before its report."""
    await service.check_budget(visit)
    wish = await request_of(service, visit, asked)
    finished: domain.Finished | None = None
    stored = False
    try:
        async with aclosing(service.bifrost.analyst.analyse(wish)) as events:
            async for event in events:
                if isinstance(event, domain.Finished):
                    finished = event
                elif isinstance(event, domain.Remembered):
                    stored = True
    except BifrostError:
        if finished is None:
            raise
    if finished is None:
        raise AssertionError("an analysis ends with a report or an error")
    analysis = finished.analysis
    again = structs.replace(analysis, cache=CacheUse(hit=True, fingerprint=analysis.cache.fingerprint), usage=Usage())
    lasting = (
        stored == wish.remember
        and not analysis.engine.degraded
        and wish.use_cache
        and asked.wishes.since is None
        and asked.wishes.until is None
    )
    return Reply(
        id=analysis.id if stored else "",
        provider=analysis.engine.provider,
        model=analysis.engine.model,
        prompt=None if analysis.engine.prompt is None else (asked.wishes.prompt, analysis.engine.prompt.version),
        body=encoded(analysis),
        again=encoded(again),
        lasting=lasting,
    )


async def request_of(service: Service, visit: Visit, asked: Given) -> domain.Request:
    """Raises BadOption, PromptNotFound."""
    settings, wishes = service.settings, asked.wishes
    return domain.Request(
        name=asked.name,
        kind="api",
        logs=asked.logs,
        remember=settings.history.enabled and wishes.store,
        fallback=wishes.fallback,
        **await chosen(service, wishes_engine(wishes)),
        **_window(service, wishes),
        minimum=wishes.severity,
        budget=wishes.budget,
        use_cache=wishes.cache,
        key=visit.family,
    )


def wishes_engine(wishes: Any) -> Mapping[str, Any]:
    return {name: getattr(wishes, name) for name in ("provider", "model", "prompt", "variables", "language")}


async def chosen(service: Service, engine: Mapping[str, Any]) -> dict[str, Any]:
    """Who is asked, with which wording, for prose in which language. Raises BadOption, PromptNotFound."""
    settings, provider, prompt = service.settings, engine["provider"], engine["prompt"]
    if provider is not None and provider not in settings.provider_names():
        raise BadOption(
            f"there is no provider {provider[:80]!r}", hint=f"known: {', '.join(settings.provider_names())}"
        )
    return {
        "provider": provider,
        "model": engine["model"],
        "prompt": None if prompt is None else await service.bifrost.find_prompt(prompt),
        "variables": engine["variables"],
        "language": engine["language"] or service.language,
    }


def _window(service: Service, wishes: Any) -> dict[str, Any]:
    try:
        zone = service.zone if wishes.time_zone is None else zone_named(wishes.time_zone)
    except ConfigurationError as error:
        raise BadOption(error.message, hint=error.hint) from error
    now = datetime.now(zone)
    start, end = moment("since", wishes.since, now), moment("until", wishes.until, now)
    if start is not None and end is not None and start > end:
        raise BadOption("since is after until: nothing can lie between")
    return {"since": start, "until": end, "zone": zone}
