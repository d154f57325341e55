"""Traces, as a collector gets them: from the adapter, and from a whole server."""

import asyncio
import gzip
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from bifrost_adapters.slots import open_slot
from bifrost_domain.metrics import AnalysisMetric, RunOutcome
from bifrost_domain.observations import Analysed, Arrived, Asked, Begun, Ended, Served
from bifrost_domain.ports import Observer
from tests.builders import START
from tests.contract.servers.ports import free_port
from tests.contract.test_streaming import running
from tests.faults.stage import ANSWER, LOG, answering


class Collector:
    """Takes spans over OTLP/HTTP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        outer.spans += scope.spans
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def named(self, start: str) -> list[Span]:
        return [span for span in self.spans if span.name.startswith(start)]


def attributes(span: Span) -> dict[str, object]:
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in span.attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


def one_request(traces: Observer, model: str, traceparent: str | None = None) -> None:
    metric = AnalysisMetric(id="m", at=START, outcome=RunOutcome.ANSWERED, provider="local", model=model, calls=1)
    traces.observe(Arrived(method="POST", traceparent=traceparent))
    traces.observe(Begun())
    traces.observe(
        Asked(provider="bedrock", model=model, outcome="answered", seconds=0.5, input_tokens=7, output_tokens=3)
    )
    traces.observe(Analysed(metric=metric))
    traces.observe(Ended())
    traces.observe(Served(method="POST", route="/analyze", status=200, seconds=0.6))


async def test_spans_of_requests_that_interleave_keep_to_their_own(collector: Collector) -> None:
    async with open_slot("traces", "otlp", {"endpoint": collector.url}) as traces:

        async def request(model: str) -> None:
            traces.observe(Arrived(method="POST"))
            await asyncio.sleep(0.01)
            traces.observe(Begun())
            await asyncio.sleep(0.01)
            traces.observe(Asked(provider="local", model=model, outcome="model-timeout", seconds=0.01))
            await asyncio.sleep(0.01)
            traces.observe(Ended())
            traces.observe(Served(method="POST", route=f"/{model}", status=504, seconds=0.1))

        await asyncio.gather(*(asyncio.create_task(request(name)) for name in ("a", "b", "c")))
    for name in ("a", "b", "c"):
        (served,), (chat,) = collector.named(f"POST /{name}"), collector.named(f"chat {name}")
        (analysis,) = [span for span in collector.named("analyse") if span.span_id == chat.parent_span_id]
        assert analysis.parent_span_id == served.span_id
        assert chat.trace_id == served.trace_id
        assert attributes(chat)["error.type"] == "model-timeout"
        assert attributes(served)["error.type"] == "504"


async def test_names_and_attributes_are_those_of_the_conventions(collector: Collector) -> None:
    async with open_slot("traces", "otlp", {"endpoint": collector.url}) as traces:
        await asyncio.create_task(
            asyncio.to_thread(one_request, traces, "m-1", "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01")
        )
    (served,), (chat,) = collector.named("POST"), collector.named("chat")
    assert (served.name, served.kind, chat.kind) == ("POST /analyze", Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert served.trace_id.hex() == "ab" * 16
    assert served.parent_span_id.hex() == "cd" * 8
    assert attributes(served)["http.response.status_code"] == 200
    assert attributes(chat) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "aws.bedrock",
        "gen_ai.request.model": "m-1",
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 3,
    }
    assert chat.end_time_unix_nano - chat.start_time_unix_nano == pytest.approx(5e8, rel=0.01)


@pytest.mark.parametrize("kind", ["off", "otlp"])
async def test_a_collector_that_is_not_there_costs_nothing(kind: str) -> None:
    options = {"endpoint": f"http://127.0.0.1:{free_port()}"} if kind == "otlp" else {}
    async with open_slot("traces", kind, options) as traces:
        for number in range(1000):
            one_request(traces, f"m{number}")


async def test_a_server_sends_what_it_does_and_no_text(collector: Collector, tmp_path: Path) -> None:
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
    async with (
        answering() as model,
        running(tmp_path, model, **settings) as server,
        httpx.AsyncClient(base_url=server.url, headers={"X-API-Key": server.key}) as http,
    ):
        assert (await http.post("/analyze", json={"logs": LOG})).status_code == 200
        async with http.stream("POST", "/analyze/stream", json={"logs": LOG + "ERROR more\n"}) as answer:
            await answer.aread()
    for route in ("POST /analyze", "POST /analyze/stream"):
        (served,) = [span for span in collector.spans if span.name == route]
        inside = {span.name for span in collector.spans if span.trace_id == served.trace_id}
        assert inside == {route, "analyse", "chat small:1b"}
    sent = "".join(str(span) for span in collector.spans)
    assert "too many clients" not in sent
    assert ANSWER[20:60] not in sent
