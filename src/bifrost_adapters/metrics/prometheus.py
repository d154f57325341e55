"""Counts for Prometheus, on a registry of their own; right with several processes that share a directory.

Labels come from closed sets: what is not configured, or no member of such a set, counts as `other`, so that no client
can make the number of series grow.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
    values,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.process_collector import ProcessCollector

from bifrost_domain.analysis import HEURISTIC_MODEL
from bifrost_domain.errors import BifrostError, ConfigurationError
from bifrost_domain.metrics import RunOutcome
from bifrost_domain.observations import (
    Analysed,
    Asked,
    Begun,
    Circuit,
    Ended,
    Exposition,
    Jobs,
    Observation,
    Repeated,
    Served,
    Shed,
    Streaming,
)
from bifrost_domain.ports import Metrics

__all__ = ["Options", "open"]

OTHER = "other"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET"})
STATUSES = frozenset({*range(100, 600), *range(1000, 1016), *range(4400, 4600)})
_KIND = re.compile(r"[a-z0-9_-]{1,40}")
MOST_KINDS = 200
"""Kinds of secrets, and routes, that are told apart: those of this program are far fewer."""
ANALYSIS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120)
HTTP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`providers` and `models` are those that are told apart. `directory`: where several processes count together; it
    has to be PROMETHEUS_MULTIPROC_DIR of each of them from its start. `version` is the program's."""

    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    directory: str | None = None
    version: str = ""


@asynccontextmanager
async def open(options: Options) -> AsyncIterator[Metrics]:
    """Raises ConfigurationError for a directory in which this process does not count."""
    shared = options.directory is not None
    if shared and not (
        values.ValueClass._multiprocess and os.environ.get("PROMETHEUS_MULTIPROC_DIR") == options.directory
    ):
        raise ConfigurationError(
            "this process does not count in the directory that others count in",
            hint="set PROMETHEUS_MULTIPROC_DIR before it starts",
        )
    # Their series would double the number of all others.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    try:
        yield _Prometheus(options)
    finally:
        if shared:
            mark_process_dead(os.getpid(), options.directory)  # type: ignore[no-untyped-call]


class _Prometheus:
    def __init__(self, options: Options) -> None:
        self._registry = registry = CollectorRegistry()
        self._directory = options.directory
        self._providers = frozenset(options.providers) | {"heuristic"}
        self._models = frozenset(options.models) | {HEURISTIC_MODEL}
        self._kinds: set[str] = set()
        self._routes: set[str] = set()
        self._children: dict[tuple[Any, ...], Any] = {}

        def counter(name: str, told: str, *labels: str) -> Counter:
            return Counter(f"bifrost_{name}", told, labels, registry=registry)

        def gauge(name: str, told: str, *labels: str, mode: Any = "livesum") -> Gauge:
            return Gauge(f"bifrost_{name}", told, labels, registry=registry, multiprocess_mode=mode)

        def histogram(name: str, told: str, *labels: str, buckets: Iterable[float]) -> Histogram:
            return Histogram(f"bifrost_{name}", told, labels, registry=registry, buckets=tuple(buckets))

        self._analyses = counter("analysis_total", "Analyses that ended.", "outcome", "provider", "model", "severity")
        self._seconds = histogram(
            "analysis_duration_seconds", "How long analyses took.", "outcome", "provider", buckets=ANALYSIS_SECONDS
        )
        self._hits = counter("cache_hits_total", "Analyses answered with what was asked before.")
        self._misses = counter("cache_misses_total", "Analyses whose answer was looked for and not found.")
        self._errors = counter("errors_total", "Analyses that failed or gave way, by what went wrong.", "kind")
        self._running = gauge("in_progress", "Analyses that run now.")
        self._tokens = counter("tokens_total", "Tokens as providers count them.", "provider", "direction")
        self._cost = counter("cost_usd_total", "Cost of models in US dollars, where it is known.", "provider")
        self._masked = counter("redactions_total", "Secrets masked in what was shown of logs.", "kind")
        self._lines = counter("lines_read_total", "Lines of logs that were read.")
        self._asked = histogram(
            "provider_request_duration_seconds",
            "How long requests to models took.",
            "provider",
            "outcome",
            buckets=ANALYSIS_SECONDS,
        )
        self._first = histogram(
            "provider_first_token_seconds", "How long models took to begin.", "provider", buckets=ANALYSIS_SECONDS
        )
        self._up = gauge("provider_up", "0 while a provider is left alone.", "provider", mode="livemin")
        self._queue = gauge("queue_waiting", "Logs of batches that wait, counted to 1,000.", mode="livemax")
        self._jobs = gauge("queue_running", "Logs of batches that run in these processes.")
        self._streams = gauge("streams", "Streams that are open now.")
        self._requests = counter("http_requests_total", "Requests that were answered.", "method", "route", "status")
        self._served = histogram(
            "http_request_duration_seconds", "How long answers took.", "route", buckets=HTTP_SECONDS
        )
        self._shed = counter("shed_total", "Requests refused since there was too much to do.", "reason")
        gauge("build_info", "1, with the version as a label.", "version", mode="livemax").labels(options.version).set(1)
        for provider in options.providers:
            self._up.labels(provider).set(1)
        if not self._directory:
            ProcessCollector(registry=registry)
            Gauge("bifrost_tasks", "asyncio tasks of this process.", registry=registry).set_function(_tasks)
        self._observers: dict[type[Any], Callable[[Any], None]] = {
            Begun: lambda _: self._running.inc(),
            Ended: lambda _: self._running.dec(),
            Analysed: self._on_analysed,
            Repeated: self._on_repeated,
            Asked: self._on_asked,
            Circuit: lambda seen: self._child(self._up, self._provider(seen.provider)).set(0 if seen.open else 1),
            Jobs: self._on_jobs,
            Served: self._on_served,
            Shed: lambda seen: self._child(self._shed, self._known(seen.reason, self._kinds)).inc(),
            Streaming: lambda seen: self._streams.inc(seen.change),
        }

    def observe(self, observation: Observation) -> None:
        observer = self._observers.get(type(observation))
        if observer is not None:
            observer(observation)

    def exposition(self) -> Exposition:
        registry = self._registry
        if self._directory:
            _bury(Path(self._directory))
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=self._directory)  # type: ignore[no-untyped-call]
        return Exposition(content_type=CONTENT_TYPE_LATEST, body=generate_latest(registry))

    def _child(self, metric: Any, *labels: str) -> Any:
        """The series of these labels; prometheus_client's own way to it costs several times as much."""
        key = (id(metric), *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child

    def _provider(self, name: str) -> str:
        return name if name in self._providers else OTHER

    def _model(self, name: str) -> str:
        return name if name in self._models else OTHER

    def _known(self, name: str, known: set[str]) -> str:
        """`name`, while there are few enough of its sort."""
        if name in known:
            return name
        if len(known) >= MOST_KINDS or not _KIND.fullmatch(name):
            return OTHER
        known.add(name)
        return name

    def _on_analysed(self, seen: Analysed) -> None:
        metric = seen.metric
        provider = self._provider(metric.provider)
        model = self._model(metric.model)
        outcome, severity = str(metric.outcome), str(seen.severity) if seen.severity is not None else "none"
        self._child(self._analyses, outcome, provider, model, severity).inc(metric.runs)
        self._child(self._seconds, outcome, provider).observe(metric.duration_ms / 1000)
        if metric.outcome is RunOutcome.CACHED:
            self._hits.inc()
        elif seen.sought:
            self._misses.inc()
        if metric.error is not None:
            self._child(self._errors, metric.error if metric.error in _slugs() else OTHER).inc()
        if metric.input_tokens or metric.output_tokens:
            self._child(self._tokens, provider, "input").inc(metric.input_tokens)
            self._child(self._tokens, provider, "output").inc(metric.output_tokens)
        if metric.cost_usd:
            self._child(self._cost, provider).inc(metric.cost_usd)
        self._lines.inc(metric.lines_read)
        for kind, count in seen.masked.items():
            self._child(self._masked, self._known(kind, self._kinds)).inc(count)

    def _on_repeated(self, seen: Repeated) -> None:
        provider = self._provider(seen.provider)
        model = self._model(seen.model)
        self._child(self._analyses, "cached", provider, model, "none").inc()
        self._hits.inc()

    def _on_asked(self, seen: Asked) -> None:
        provider = self._provider(seen.provider)
        outcome = seen.outcome if seen.outcome in _ASKED or seen.outcome in _slugs() else OTHER
        self._child(self._asked, provider, outcome).observe(seen.seconds)
        if seen.first_token_seconds is not None:
            self._child(self._first, provider).observe(seen.first_token_seconds)

    def _on_jobs(self, seen: Jobs) -> None:
        self._queue.set(seen.queued)
        self._jobs.set(seen.running)

    def _on_served(self, seen: Served) -> None:
        route = seen.route if seen.route in self._routes or len(self._routes) < MOST_KINDS else OTHER
        self._routes.add(route)
        method = seen.method if seen.method in METHODS else OTHER
        status = str(seen.status) if seen.status in STATUSES else OTHER
        self._child(self._requests, method, route, status).inc()
        self._child(self._served, route).observe(seen.seconds)


def _bury(directory: Path) -> None:
    """Takes back what processes that were killed said of the present; what they counted stays."""
    for process in {file.stem.rpartition("_")[2] for file in directory.glob("gauge_live*.db")}:
        if not Path("/proc", process).exists():
            mark_process_dead(int(process), str(directory))  # type: ignore[no-untyped-call]


def _tasks() -> float:
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0.0


_ASKED = frozenset({"answered", "left"})


@cache
def _slugs() -> frozenset[str]:
    """Of every error that Bifrost raises on purpose."""
    found: set[str] = set()
    families: list[type[BifrostError]] = [BifrostError]
    while families:
        family = families.pop()
        found.add(family.slug)
        families += family.__subclasses__()
    return frozenset(found)
