"""`/metrics` and `/health`: how the service does."""

from datetime import UTC, datetime
from typing import Any

from litestar import Request, Response, get

from bifrost_domain.errors import BifrostError
from bifrost_domain.keys import Scope
from bifrost_domain.logs.cleaning import safe
from bifrost_entrypoints.api.docs import route
from bifrost_entrypoints.api.history import Moment
from bifrost_entrypoints.api.intake import JSON, moment
from bifrost_entrypoints.api.service import Service, service_of
from bifrost_entrypoints.api.wire import Check, Live, Ready
from bifrost_entrypoints.figures import Figures, figures
from bifrost_entrypoints.plain import encoded


@get(
    "/metrics",
    **route(
        Scope.METRICS_READ,
        "getMetrics",
        "What analyses took: sums, latency, cache hit rate, tokens and cost by provider and day.",
        returns=Figures,
        errors=(422,),
        tag="monitoring",
    ),
)
async def get_metrics(request: Request[Any, Any, Any], since: Moment = "7d", until: Moment = None) -> Response[bytes]:
    now = datetime.now(UTC)
    start, end = moment("since", since, now), moment("until", until, now)
    storage = await service_of(request).bifrost.open_storage()
    found = await storage.metrics.statistics(start or datetime.fromtimestamp(0, UTC), end or now)
    return Response(content=encoded(figures(found)), media_type=JSON)


@get(
    "/metrics/prometheus",
    **route(
        Scope.METRICS_READ,
        "getPrometheus",
        "The same service, as Prometheus scrapes it.",
        media_types=["text/plain"],
        tag="monitoring",
    ),
)
async def get_prometheus(request: Request[Any, Any, Any]) -> Response[bytes]:
    shown = service_of(request).metrics.exposition()
    return Response(content=shown.body, headers={"Content-Type": shown.content_type})


@get("/health/live", **route(None, "live", "Whether the process answers.", returns=Live, tag="monitoring"))
async def live(request: Request[Any, Any, Any]) -> Response[bytes]:
    return Response(content=encoded(Live()), media_type=JSON)


@get("/health/ready", **route(None, "ready", "Whether requests can be served.", returns=Ready, tag="monitoring"))
async def ready(request: Request[Any, Any, Any]) -> Response[bytes]:
    service = service_of(request)
    found = await readiness(service)
    return Response(content=encoded(found), status_code=200 if found.status == "ok" else 503, media_type=JSON)


async def readiness(service: Service) -> Ready:
    storage, cache = await _storage(service), await _cache(service)
    serves = storage.status == "ok" and not service.closing.is_set()
    providers = {
        name: Check(status="open", detail="it failed repeatedly and is left alone for a while")
        for name in service.bifrost.analyst.left_alone()
    }
    return Ready(status="ok" if serves else "unavailable", storage=storage, cache=cache, providers=providers)


async def _storage(service: Service) -> Check:
    try:
        await (await service.bifrost.open_storage()).ping()
    except BifrostError as error:
        return Check(status="down", detail=safe(error.message))
    return Check(status="ok")


async def _cache(service: Service) -> Check:
    try:
        await (await service.bifrost.open_cache()).ping()
    except BifrostError as error:
        return Check(status="down", detail=safe(error.message))
    return Check(status="ok")


MONITORING = [get_metrics, get_prometheus, live, ready]
