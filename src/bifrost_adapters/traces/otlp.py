"""Traces over OTLP/HTTP: a span for each request, each analysis in it, and each call of a model in that.

Names follow OpenTelemetry's semantic conventions for HTTP servers and for generative AI clients. Spans hold numbers and
names; no line of a log, no prompt and no answer gets into one. They are sent in the background: a collector that is
slow or gone costs no request anything, and is complained of once.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Annotated, Any

from msgspec import Meta, Struct
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from bifrost_domain.observations import Analysed, Arrived, Asked, Begun, Ended, Observation, Served
from bifrost_domain.ports import Observer

__all__ = ["Options", "open"]

_log = logging.getLogger("bifrost.traces")
_request: ContextVar[Span | None] = ContextVar("bifrost_request_span", default=None)
_analysis: ContextVar[Span | None] = ContextVar("bifrost_analysis_span", default=None)
SENT_SECONDS = 5.0


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`endpoint` is the collector's base URL, as http://collector:4318. `share` of the requests are traced, unless who
    asks says otherwise (traceparent). `version` is the program's."""

    endpoint: str
    share: Annotated[float, Meta(ge=0, le=1)] = 1.0
    version: str = ""


@asynccontextmanager
async def open(options: Options, *, exporter: SpanExporter | None = None) -> AsyncIterator[Observer]:
    """Needs no collector. What is waiting is sent at the end, for a few seconds at the most."""
    url = f"{options.endpoint.rstrip('/')}/v1/traces"
    sending = _Telling(exporter or OTLPSpanExporter(endpoint=url, timeout=SENT_SECONDS), options.endpoint)
    resource = Resource.create({"service.name": "bifrost", "service.version": options.version})
    provider = TracerProvider(
        resource=resource, sampler=ParentBased(TraceIdRatioBased(options.share)), shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(sending, schedule_delay_millis=1000))
    # The exporter complains of every try.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    try:
        yield _Traces(provider, options.version)
    finally:
        # A daemon: a collector that is gone holds up neither the end of this nor that of the process.
        closing = threading.Thread(target=provider.shutdown, daemon=True)
        closing.start()
        await asyncio.to_thread(closing.join, SENT_SECONDS)


class _Telling(SpanExporter):
    """Says once that the collector cannot be reached, and once that it can again."""

    def __init__(self, inner: SpanExporter, place: str) -> None:
        self._inner = inner
        self._place = place
        self._lost = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        lost = result is not SpanExportResult.SUCCESS
        if lost != self._lost:
            self._lost = lost
            _log.warning("traces cannot be sent to %s" if lost else "traces are sent to %s again", self._place)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


class _Traces:
    """Begins and ends spans by what is observed, which happens in the task of its request."""

    def __init__(self, provider: TracerProvider, version: str) -> None:
        self._tracer = provider.get_tracer("bifrost", version)
        self._carried = TraceContextTextMapPropagator()
        self._observers: dict[type[Any], Callable[[Any], None]] = {
            Arrived: self._on_arrived,
            Served: self._on_served,
            Begun: self._on_begun,
            Analysed: self._on_analysed,
            Ended: self._on_ended,
            Asked: self._on_asked,
        }

    def observe(self, observation: Observation) -> None:
        observer = self._observers.get(type(observation))
        if observer is not None:
            observer(observation)

    def _on_arrived(self, seen: Arrived) -> None:
        context = self._carried.extract({"traceparent": seen.traceparent}) if seen.traceparent else None
        span = self._tracer.start_span(seen.method, context=context, kind=SpanKind.SERVER)
        _request.set(span)
        _analysis.set(None)

    def _on_served(self, seen: Served) -> None:
        span = _request.get()
        if span is None:
            return
        method = "GET" if seen.method == "WEBSOCKET" else seen.method
        span.set_attributes({"http.request.method": method, "http.response.status_code": seen.status})
        if seen.route.startswith("/"):
            span.update_name(f"{method} {seen.route}")
            span.set_attribute("http.route", seen.route)
        if 500 <= seen.status < 600:
            _fail(span, str(seen.status))
        span.end()
        _request.set(None)

    def _on_begun(self, _: Begun) -> None:
        parent = _request.get()
        context = None if parent is None else set_span_in_context(parent)
        _analysis.set(self._tracer.start_span("analyse", context=context))

    def _on_analysed(self, seen: Analysed) -> None:
        span, metric = _analysis.get(), seen.metric
        if span is None:
            return
        span.set_attributes(
            {
                "bifrost.outcome": str(metric.outcome),
                "bifrost.provider": metric.provider,
                "bifrost.severity": str(seen.severity or "none"),
                "bifrost.lines_read": metric.lines_read,
                "bifrost.model_calls": metric.calls,
            }
        )
        if metric.error is not None:
            _fail(span, metric.error)

    def _on_ended(self, _: Ended) -> None:
        span = _analysis.get()
        if span is not None:
            span.end()
            _analysis.set(None)

    def _on_asked(self, seen: Asked) -> None:
        now = time.time_ns()
        parent = _analysis.get()
        span = self._tracer.start_span(
            f"chat {seen.model}",
            context=None if parent is None else set_span_in_context(parent),
            kind=SpanKind.CLIENT,
            start_time=now - round(seen.seconds * 1e9),
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": _KNOWN.get(seen.provider, seen.provider),
                "gen_ai.request.model": seen.model,
            },
        )
        if seen.outcome == "answered":
            span.set_attributes(
                {"gen_ai.usage.input_tokens": seen.input_tokens, "gen_ai.usage.output_tokens": seen.output_tokens}
            )
        elif seen.outcome != "left":
            _fail(span, seen.outcome)
        if seen.first_token_seconds is not None:
            span.set_attribute("bifrost.time_to_first_token", seen.first_token_seconds)
        span.end(now)


_KNOWN = {"bedrock": "aws.bedrock"}
"""Names that the conventions have for providers."""


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))
