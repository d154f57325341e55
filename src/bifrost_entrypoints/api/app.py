"""The service: Litestar, its routes, and the edge around it."""

import asyncio
import gc
import logging
import signal
import sys
import threading
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from types import FrameType
from typing import Any

from litestar import Litestar
from litestar.config.cors import CORSConfig
from litestar.exceptions import HTTPException

from bifrost_domain.analysis import Request
from bifrost_domain.application import Application
from bifrost_domain.errors import BifrostError, NotFound, StorageUnavailable
from bifrost_domain.metrics import AnalysisMetric, RunOutcome
from bifrost_domain.observations import Jobs, Observation
from bifrost_domain.ports import Metrics
from bifrost_entrypoints.api.analyses import IDEMPOTENCY_KEPT, analyze
from bifrost_entrypoints.api.batches import BATCHES
from bifrost_entrypoints.api.docs import options_routes, schema_route
from bifrost_entrypoints.api.edge import App, Edge
from bifrost_entrypoints.api.history import HISTORY
from bifrost_entrypoints.api.intake import unpacked
from bifrost_entrypoints.api.keys import KEYS
from bifrost_entrypoints.api.monitoring import MONITORING
from bifrost_entrypoints.api.problems import respond
from bifrost_entrypoints.api.prompts import PROMPTS
from bifrost_entrypoints.api.quick import answer
from bifrost_entrypoints.api.repeats import Repeats, Reply
from bifrost_entrypoints.api.service import Service, authorise
from bifrost_entrypoints.api.streaming import analyze_socket, analyze_stream
from bifrost_entrypoints.api.visit import networks
from bifrost_entrypoints.container import installation_key, open_application, open_metrics, open_traces, uuid7
from bifrost_entrypoints.logs import AccessLog
from bifrost_entrypoints.settings import Settings, cache_ttl, is_loopback

ROUTES = [analyze, analyze_stream, *BATCHES, *HISTORY, *PROMPTS, *KEYS, *MONITORING]
LOOKED_SECONDS = 10.0
LOOKS_BETWEEN_FLUSHES = 6
"""What was counted beside the requests is written down once a minute."""
RETRIED_SECONDS = 1.0
"""How often the storage is looked for while it was never there."""
_log = logging.getLogger("bifrost.api")


def create_app(settings: Settings, *, keys: bool = True, access: AccessLog | None = None, **adapters: object) -> App:
    """The service as an ASGI application. Without `keys` it serves everybody; `access` is told of answers; `adapters`
    replace providers, for tests.

    Raises ConfigurationError.
    """
    limits = settings.server
    trusted = networks(limits.trusted_proxies)
    hosts = limits.allowed_hosts
    if not hosts and not keys and is_loopback(limits.host):
        hosts = ("localhost", "127.0.0.1", "[::1]", limits.host)

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncGenerator[None, None]:
        async with AsyncExitStack() as stack:
            metrics = await stack.enter_async_context(open_metrics(settings))
            traces = await stack.enter_async_context(open_traces(settings))

            def observe(observation: Observation) -> None:
                metrics.observe(observation)
                traces.observe(observation)

            edge.observe = observe
            bifrost = await stack.enter_async_context(open_application(settings, observe=observe, **adapters))
            service = _service(bifrost, settings, metrics=metrics, keys=keys)
            app.state.service = service
            edge.quick = partial(answer, service)
            stack.enter_context(_told_by_signal(service))
            if access is not None:
                stack.callback(access.write)
            _spare_the_collector()
            stack.push_async_callback(_settle, service, asyncio.create_task(_tend(service)))
            yield
            service.closing.set()

    app = Litestar(
        route_handlers=[
            *options_routes(ROUTES),
            *ROUTES,
            schema_route(ROUTES, settings.provider_names()),
            analyze_socket,
        ],
        lifespan=[lifespan],
        guards=[authorise],
        exception_handlers={Exception: respond, HTTPException: respond},
        cors_config=_cors(limits.cors_origins) if limits.cors_origins else None,
        openapi_config=None,
        request_max_body_size=None,
        logging_config=None,
    )
    edge = Edge(app, new_id=uuid7, trusted=trusted, hosts=hosts, access=access)
    return edge


def _service(bifrost: Application, settings: Settings, *, metrics: Metrics, keys: bool) -> Service:
    async def stands(reply: Reply) -> bool:
        """Whether the analysis is still in the history, and was asked with the wording that is in production now."""
        try:
            if reply.id:
                await (await bifrost.open_storage()).analyses.get(reply.id)
            if reply.prompt is not None:
                reference, version = reply.prompt
                return (await bifrost.find_prompt(reference)).version == version
        except NotFound:
            return False
        except StorageUnavailable:
            return True
        return True

    repeats = Repeats(
        installation_key(settings),
        seconds=cache_ttl(settings).total_seconds(),
        stands=stands,
        monotonic=time.monotonic,
    )
    return Service(bifrost, settings, metrics=metrics, repeats=repeats, keys=keys)


def _spare_the_collector() -> None:
    """What was made so far stays, and is not looked through again; what is made from now on, less often."""
    sys.setswitchinterval(0.001)
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


async def _tend(service: Service) -> None:
    """What goes on beside the requests: the batches are worked on, and what was counted is written down."""
    await _warm_up(service)
    async with AsyncExitStack() as stack:
        while True:
            try:
                await stack.enter_async_context(service.bifrost.batches.serving())
                break
            except BifrostError as error:
                _log.warning("batches wait for the storage: %s", error.message)
                await asyncio.sleep(RETRIED_SECONDS)
        for number in count(1):
            await asyncio.sleep(LOOKED_SECONDS)
            await _look_at_jobs(service)
            if number % LOOKS_BETWEEN_FLUSHES == 0:
                await _write_down(service)


async def _warm_up(service: Service) -> None:
    """Has what the first analysis would import and compile ready before it comes."""
    log = [("warm.log", b"2026-01-01T00:00:00Z ERROR nothing is wrong\n")]
    sources = await unpacked(log, service.limits)
    await service.bifrost.analyst.prepare(Request(name="warm.log", kind="api", logs=sources))


async def _look_at_jobs(service: Service) -> None:
    with suppress(BifrostError):
        queued, running = await service.bifrost.batches.load()
        service.metrics.observe(Jobs(queued=queued, running=running))


async def _settle(service: Service, tending: asyncio.Task[None]) -> None:
    tending.cancel()
    with suppress(asyncio.CancelledError):
        await tending
    await _write_down(service)


async def _write_down(service: Service) -> None:
    """What cannot be written now is kept for the next time."""
    try:
        await service.bifrost.keyring.flush()
        storage = await service.bifrost.open_storage()
        now = datetime.now(UTC)
        await storage.idempotency.forget_before(now - IDEMPOTENCY_KEPT)
        counted = service.repeats.counted
        for (family, provider, model), runs in list(counted.items()):
            metric = AnalysisMetric(
                id=uuid7(),
                at=now,
                outcome=RunOutcome.CACHED,
                provider=provider,
                model=model,
                key=family,
                runs=runs,
            )
            await storage.metrics.add(metric)
            counted[family, provider, model] -= runs
            if not counted[family, provider, model]:
                del counted[family, provider, model]
    except BifrostError as error:
        _log.warning("what was counted cannot be written down now: %s", error.message)


@contextmanager
def _told_by_signal(service: Service) -> Iterator[None]:
    """Has streams end `drain_seconds` after SIGTERM or SIGINT, which the server answers by taking nothing new.

    The server's own handlers are called as before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def tell() -> None:
        loop.call_later(service.limits.drain_seconds, service.closing.set)

    replaced: dict[signal.Signals, Any] = {}

    def on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(tell)
        before = replaced[signal.Signals(number)]
        if callable(before):
            before(number, frame)

    for number in (signal.SIGTERM, signal.SIGINT):
        replaced[number] = signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number, before in replaced.items():
            signal.signal(number, before)


def _cors(origins: Iterable[str]) -> CORSConfig:
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "DELETE"],
        allow_headers=[
            "Authorization",
            "X-API-Key",
            "Content-Type",
            "Content-Encoding",
            "Idempotency-Key",
            "If-None-Match",
            "Last-Event-ID",
            "X-Request-ID",
        ],
        expose_headers=[
            "X-Request-ID",
            "ETag",
            "Location",
            "Retry-After",
            "RateLimit-Limit",
            "RateLimit-Remaining",
            "RateLimit-Reset",
            "RateLimit-Policy",
        ],
        allow_credentials=False,
        max_age=600,
    )
