"""Analyses as they go, with a model behind: server-sent events and WebSocket, and clients who leave."""

import asyncio
import gzip
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets

from tests.contract.servers.bifrost import LIMITS, Served, make_key, served
from tests.contract.servers.wire import Behaviour
from tests.faults.stage import ANSWER, LOG, Model, answering, environment

TYPES = ["accepted", "coverage", "token", "evidence", "report", "done"]


@asynccontextmanager
async def running(workdir: Path, model: Model, **more: str) -> AsyncIterator[Served]:
    variables = environment(workdir, model.url, **more)
    key = await asyncio.to_thread(make_key, variables, "--admin", *LIMITS)
    manager = served(variables, key=key)
    server = await asyncio.to_thread(manager.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


class Stage:
    """A server, and the model that it asks, which lives in a thread of its own as long as all tests."""

    def __init__(self, workdir: Path) -> None:
        self._workdir = workdir
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        self._ready.wait()

    async def _run(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        patient = {"BIFROST_LIMITS__BREAKER_FAILURES": "1000"}
        async with answering() as self.model, running(self._workdir, self.model, **patient) as self.server:
            self._ready.set()
            await self._over.wait()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def answering(self, *, pause: float = 0.0, **behaviour: Any) -> tuple[Model, Served]:
        """The model, which behaves so from now on, and the server."""
        self.model.pause = pause
        self.model.expect(Behaviour(**({"pieces": (ANSWER,)} | behaviour)))
        return self.model, self.server


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("streaming"))
    yield stage
    stage.close()


def client(server: Served) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, headers={"X-API-Key": server.key}, timeout=60)


async def sse(server: Served, body: dict[str, Any]) -> list[dict[str, Any]]:
    frames = []
    async with client(server) as http, http.stream("POST", "/analyze/stream", json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                frames.append(json.loads(line.removeprefix("data: ")))  # noqa: PERF401
    return frames


async def socket(server: Served, body: dict[str, Any]) -> list[dict[str, Any]]:
    url = server.url.replace("http://", "ws://") + "/ws/analyze"
    async with websockets.connect(url, additional_headers={"X-API-Key": server.key}) as connection:
        await connection.send(json.dumps({"type": "start", "request": body}))
        frames = []
        with suppress(websockets.ConnectionClosedError):
            async for frame in connection:
                frames.append(json.loads(frame))  # noqa: PERF401  # what came before the end is what matters
        return frames


async def eventually(holds: Any, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # what is waited for happens in another process
            await asyncio.sleep(0.02)


async def until_closed(connection: websockets.ClientConnection) -> None:
    with suppress(websockets.ConnectionClosedError):
        async for _ in connection:
            pass


_numbers = count()


def log(word: str) -> str:
    """A log that was never sent before: a number would be masked, so letters count."""
    letters = "".join("abcdefghij"[int(digit)] for digit in f"{next(_numbers):04}")
    return f"{LOG}2026-11-20T03:05:56Z ERROR {word} {letters}\n"


@pytest.mark.parametrize("stream", [sse, socket])
async def test_the_same_frames_come_over_both_in_one_order(stream: Any, stage: Stage) -> None:
    _, server = stage.answering(pieces=(ANSWER[:40], ANSWER[40:90], ANSWER[90:]))
    frames = await stream(server, {"logs": log("one"), "source": "app.log"})
    assert [frame["seq"] for frame in frames] == list(range(len(frames)))
    assert list(dict.fromkeys(frame["type"] for frame in frames)) == TYPES
    told = "".join(frame["data"]["text"] for frame in frames if frame["type"] == "token")
    assert told == ANSWER
    report = next(frame["data"] for frame in frames if frame["type"] == "report")
    assert report["engine"]["provider"] == "ollama"
    evidence = [frame["data"]["evidence"] for frame in frames if frame["type"] == "evidence"]
    assert evidence == report["report"]["evidence"]
    assert frames[-1]["data"]["stored"] is True


async def test_a_model_that_fails_is_told_and_another_engine_answers(stage: Stage) -> None:
    _, server = stage.answering(fault="cut")
    frames = await sse(server, {"logs": log("two")})
    errors = [frame["data"] for frame in frames if frame["type"] == "error"]
    assert [error["fatal"] for error in errors] == [False]
    assert errors[0]["provider"] == "ollama"
    report = next(frame["data"] for frame in frames if frame["type"] == "report")
    assert (report["engine"]["provider"], report["engine"]["degraded"]) == ("heuristic", True)
    frames = await sse(server, {"logs": log("three"), "fallback": False})
    assert [frame["type"] for frame in frames][-1] == "error"
    assert frames[-1]["data"]["fatal"] is True
    assert frames[-1]["data"]["status"] == 503


async def test_what_cannot_be_analysed_is_refused_before_the_stream_begins(stage: Stage) -> None:
    _, server = stage.answering()
    async with client(server) as http:
        for body in (
            {"json": {"logs": ""}},
            {"files": [("logs", ("a.log", b""))]},
            {"content": gzip.compress(b""), "headers": {"Content-Type": "text/plain"}},
        ):
            answer = await http.post("/analyze/stream", **body)
            assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")


@pytest.mark.parametrize("fault", ["hang_first", "hang_middle"])
class TestLeaving:
    """Whoever leaves, before the first token or after, over whatever door: the model's answer is called off."""

    async def test_a_reader_of_events(self, fault: str, stage: Stage) -> None:
        model, server = stage.answering(fault=fault)
        async with client(server) as http, http.stream("POST", "/analyze/stream", json={"logs": log("a")}):
            await eventually(lambda: model.live == 1)
        await eventually(lambda: model.live == 0, 2)

    async def test_a_socket(self, fault: str, stage: Stage) -> None:
        model, server = stage.answering(fault=fault)
        url = server.url.replace("http://", "ws://") + "/ws/analyze"
        async with websockets.connect(url, additional_headers={"X-API-Key": server.key}) as connection:
            await connection.send(json.dumps({"type": "start", "request": {"logs": log("b")}}))
            await eventually(lambda: model.live == 1)
        await eventually(lambda: model.live == 0, 2)

    async def test_a_caller_who_waits_for_the_whole(self, fault: str, stage: Stage) -> None:
        model, server = stage.answering(fault=fault)
        async with client(server) as http:
            call = asyncio.create_task(http.post("/analyze", json={"logs": log("c")}))
            await eventually(lambda: model.live == 1)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        await eventually(lambda: model.live == 0, 2)

    async def test_one_of_two_who_ask_the_same(self, fault: str, stage: Stage) -> None:
        model, server = stage.answering(fault=fault)
        async with client(server) as http:
            body = {"logs": log("d")}
            calls = [asyncio.create_task(http.post("/analyze", json=body)) for _ in range(2)]
            await eventually(lambda: model.live == 1)
            calls[0].cancel()
            await asyncio.sleep(0.5)
            assert model.live == 1
            calls[1].cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            await eventually(lambda: model.live == 0, 2)
            assert model.calls == 1

    async def test_a_cancel_frame(self, fault: str, stage: Stage) -> None:
        model, server = stage.answering(fault=fault)
        url = server.url.replace("http://", "ws://") + "/ws/analyze"
        async with websockets.connect(url, additional_headers={"X-API-Key": server.key}) as connection:
            await connection.send(json.dumps({"type": "start", "request": {"logs": log("e")}}))
            await eventually(lambda: model.live == 1)
            await connection.send('{"type": "cancel"}')
            last = [json.loads(frame) async for frame in connection][-1]
            assert (last["type"], last["data"]["type"]) == ("error", "urn:bifrost:problem:cancelled")
            assert connection.close_code == 1000
        await eventually(lambda: model.live == 0, 2)


async def test_fifty_who_ask_the_same_get_one_analysis_and_one_call(stage: Stage) -> None:
    model, server = stage.answering(pause=0.3)
    async with client(server) as http:
        body = {"logs": log("f"), "source": "fifty.log"}
        answers = await asyncio.gather(*(http.post("/analyze", json=body) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert model.calls == 1
        page = (await http.get("/history", params={"source": "fifty.log"})).json()
        assert len(page["items"]) == 1


async def test_a_request_that_still_runs_is_told_of_and_one_that_was_left_is_new_again(stage: Stage) -> None:
    model, server = stage.answering(fault="hang_first")
    async with client(server) as http:
        body, headers = {"logs": log("l")}, {"Idempotency-Key": "running"}
        first = asyncio.create_task(http.post("/analyze", json=body, headers=headers))
        await eventually(lambda: model.live == 1)
        refused = await http.post("/analyze", json=body, headers=headers)
        assert (refused.status_code, refused.json()["type"]) == (409, "urn:bifrost:problem:conflict")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await eventually(lambda: model.live == 0, 2)
        model.expect(Behaviour(pieces=(ANSWER,)))
        made, again = [await http.post("/analyze", json=body, headers=headers) for _ in range(2)]
        assert (made.status_code, made.json()) == (200, again.json())


async def test_what_a_model_made_of_another_time_of_the_same_incident_is_a_cache_hit(stage: Stage) -> None:
    model, server = stage.answering()
    async with client(server) as http:
        text = log("g")
        first = (await http.post("/analyze", json={"logs": text})).json()
        later = text.replace("2026-11-20T03", "2026-11-21T04")
        second = (await http.post("/analyze", json={"logs": later})).json()
        assert (first["cache"]["hit"], second["cache"]["hit"]) == (False, True)
        assert first["id"] != second["id"]
        assert model.calls == 1
        figures = (await http.get("/metrics")).json()
        assert 0 < figures["cache_hit_rate"] < 1


async def test_a_degraded_answer_is_not_given_again(stage: Stage) -> None:
    model, server = stage.answering(fault="html")
    async with client(server) as http:
        body = {"logs": log("h")}
        first = (await http.post("/analyze", json=body)).json()
        assert first["engine"]["degraded"] is True
        model.expect(Behaviour(pieces=(ANSWER,)))
        second = (await http.post("/analyze", json=body)).json()
        assert (second["engine"]["provider"], second["engine"]["degraded"]) == ("ollama", False)


async def test_a_revoked_key_ends_its_stream(stage: Stage) -> None:
    model, server = stage.answering(fault="hang_first")
    async with client(server) as http:
        made = (await http.post("/api-keys", json={"name": "streams"})).json()
        url = server.url.replace("http://", "ws://") + "/ws/analyze"
        async with websockets.connect(url, additional_headers={"X-API-Key": made["key"]}) as connection:
            await connection.send(json.dumps({"type": "start", "request": {"logs": log("i")}}))
            await eventually(lambda: model.live == 1)
            await http.delete(f"/api-keys/{made['id']}")
            async with asyncio.timeout(7):
                await until_closed(connection)
            assert connection.close_code == 4401
        await eventually(lambda: model.live == 0, 2)


async def test_no_client_can_talk_into_a_running_socket(stage: Stage) -> None:
    model, server = stage.answering(fault="hang_first")
    url = server.url.replace("http://", "ws://") + "/ws/analyze"
    async with websockets.connect(url, additional_headers={"X-API-Key": server.key}) as connection:
        await connection.send(json.dumps({"type": "start", "request": {"logs": log("j")}}))
        await eventually(lambda: model.live == 1)
        await connection.send('{"type": "start"}')
        await until_closed(connection)
        assert connection.close_code == 4422
    await eventually(lambda: model.live == 0, 2)


@pytest.mark.parametrize("stream", [sse, socket])
async def test_a_server_that_is_told_to_stop_ends_its_streams_and_goes(stream: Any, tmp_path: Path) -> None:
    async with (
        answering(fault="hang_first") as model,
        running(tmp_path, model, BIFROST_SERVER__DRAIN_SECONDS="1") as server,
    ):
        running_stream = asyncio.create_task(stream(server, {"logs": log("k")}))
        await eventually(lambda: model.live == 1)
        server.process.terminate()
        frames = await running_stream
        assert frames[-1]["data"]["type"] == "urn:bifrost:problem:shutting-down"
        assert await asyncio.to_thread(server.process.wait, 20) == 0


async def test_a_stream_that_ends_in_time_is_not_cut_off_by_a_stop(tmp_path: Path) -> None:
    async with answering(pause=1.0) as model, running(tmp_path, model) as server:
        streams = [asyncio.create_task(stream(server, {"logs": log("m")})) for stream in (sse, socket)]
        await eventually(lambda: model.live == 2)
        server.process.terminate()
        for frames in await asyncio.gather(*streams):
            assert frames[-1]["type"] == "done"
        assert await asyncio.to_thread(server.process.wait, 20) == 0


@pytest.mark.parametrize(
    ("noise", "code"), [(b"\x81\x82\x00\x00\x00\x00\xff\xfe", 1007), (b"\xf1\x80\x00\x00\x00\x00", 1002)]
)
async def test_a_frame_that_is_none_closes_the_socket_and_is_no_error_of_the_server(
    noise: bytes, code: int, tmp_path: Path
) -> None:
    async with answering(fault="hang_first") as model, running(tmp_path, model) as server:
        url = server.url.replace("http://", "ws://") + "/ws/analyze"
        async with websockets.connect(url, additional_headers={"X-API-Key": server.key}) as connection:
            await connection.send(json.dumps({"type": "start", "request": {"logs": log("n")}}))
            await eventually(lambda: model.live == 1)
            connection.transport.write(noise)
            await until_closed(connection)
            assert connection.close_code == code
        await eventually(lambda: model.live == 0, 2)
        async with client(server) as http:
            assert (await http.get("/health/live")).status_code == 200
        assert [record for record in server.records() if record["level"] in ("error", "critical")] == []


async def test_workers_count_together(tmp_path: Path) -> None:
    async with answering() as model, running(tmp_path, model, BIFROST_SERVER__WORKERS="2") as server:
        bodies = [{"logs": log(f"word{letter}"), "provider": "heuristic"} for letter in "abcdefghijklmnop"]
        for body in bodies:
            async with client(server) as http:
                assert (await http.post("/analyze", json=body)).status_code == 200
        async with client(server) as http:
            text = (await http.get("/metrics/prometheus")).text
    counted = [line for line in text.splitlines() if line.startswith("bifrost_analysis_total{") and "offline" in line]
    assert sum(float(line.rpartition(" ")[2]) for line in counted) == len(bodies)
