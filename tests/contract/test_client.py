"""The Python client, in both its flavours, against a running server."""

import asyncio
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bifrost_domain.errors import (
    AnalysisNotFound,
    BadOption,
    EmptyLog,
    Forbidden,
    NoReadableInput,
    RateLimited,
    Unauthenticated,
    Unreachable,
)
from bifrost_entrypoints.client import AsyncClient, Client
from tests.contract.servers.bifrost import LIMITS, Served, environment, make_key, served
from tests.contract.servers.ports import free_port

LOG = "2026-11-20T03:05:53Z INFO start\n2026-11-20T03:05:54Z FATAL: sorry, too many clients already\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    variables = environment(tmp_path_factory.mktemp("client"))
    with served(variables, key=make_key(variables, "--admin", *LIMITS)) as server:
        yield server


class Flavour:
    """Calls of either client, each brought to its end: a stream becomes a list."""

    def __init__(self, kind: type[Client] | type[AsyncClient], url: str, key: str) -> None:
        self._kind, self._url, self._key = kind, url, key

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            if self._kind is Client:
                with Client(self._url, key=self._key) as client:
                    result = getattr(client, name)(*given, **named)
                    return list(result) if inspect.isgenerator(result) else result

            async def run() -> Any:
                async with AsyncClient(self._url, key=self._key) as client:
                    result = getattr(client, name)(*given, **named)
                    return [item async for item in result] if inspect.isasyncgen(result) else await result

            return asyncio.run(run())

        return call


@pytest.fixture(params=[Client, AsyncClient])
def flavour(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def client(server: Served, flavour: Any) -> Any:
    return Flavour(flavour, server.url, server.key)


def test_a_text_and_a_file_are_analysed(client: Any, tmp_path: Path) -> None:
    analysis = client.analyze(LOG, source="app.log", language="ko")
    assert analysis.report.category == "database"
    assert analysis.source.name == "app.log"
    (tmp_path / "big.log").write_bytes(LOG.encode() * 2000)
    analysis = client.analyze(tmp_path / "big.log")
    assert analysis.coverage.lines_read == 4000
    assert analysis.source.name.endswith("big.log")
    assert client.get(analysis.id) == analysis


def test_a_stream_ends_with_its_report(client: Any) -> None:
    frames = client.stream(f"{LOG}one more\n")
    assert [frame.seq for frame in frames] == list(range(len(frames)))
    assert (frames[0].type, frames[-1].type) == ("accepted", "done")


def test_the_history_is_walked_and_erased(client: Any) -> None:
    made = [client.analyze(f"{LOG}line {number}\n", source="walk", cache=False).id for number in range(3)]
    found = [item.id for item in client.history(source="walk", limit=1)]
    assert found[:3] == made[::-1]
    for id in found:
        client.delete(id)
    with pytest.raises(AnalysisNotFound):
        client.get(made[0])


def test_a_batch_is_waited_for(client: Any, tmp_path: Path) -> None:
    (tmp_path / "b.log").write_text(LOG)
    batch = client.batch([("a.log", LOG), tmp_path / "b.log", ""])
    state = client.wait(batch.id)
    assert (state.counts.done, state.counts.failed, state.total) == (2, 1, 3)
    items = client.batch_items(batch.id)
    assert [item.status for item in items] == ["done", "done", "failed"]
    assert client.get(items[0].analysis).source.name == "a.log"
    assert client.batch_events(batch.id)[-1].type == "done"
    assert client.batch_state(batch.id) == state


def test_figures_are_summed(client: Any) -> None:
    client.analyze(LOG, cache=False)
    assert client.metrics(since="1h").totals.analyses >= 1


def test_errors_are_those_of_bifrost(client: Any, server: Served, flavour: Any, tmp_path: Path) -> None:
    with pytest.raises(EmptyLog):
        client.analyze("")
    with pytest.raises(BadOption) as wrong:
        client.analyze(LOG, provider="nobody")
    assert "nobody" in wrong.value.message
    assert "heuristic" in wrong.value.hint
    with pytest.raises(EmptyLog):
        client.stream("")
    with pytest.raises(NoReadableInput):
        client.analyze(tmp_path / "none")
    with pytest.raises(Unauthenticated):
        Flavour(flavour, server.url, "wrong").history()
    with server.client() as http:
        key = http.post("/api-keys", json={"name": "reader", "scopes": ["results:read"]}).json()["key"]
    with pytest.raises(Forbidden):
        Flavour(flavour, server.url, key).analyze(LOG)


def test_a_server_that_is_not_there_is_told_in_a_sentence(flavour: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bifrost_entrypoints.client.PAUSE_SECONDS", 0.001)
    with pytest.raises(Unreachable, match="cannot be reached"):
        Flavour(flavour, f"http://127.0.0.1:{free_port()}", "x").history()


def test_a_key_that_has_to_wait_waits(server: Served, flavour: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("bifrost_entrypoints.client.LONGEST_WAIT_SECONDS", 1000.0)
    monkeypatch.setattr("bifrost_entrypoints.client.time.sleep", waited.append)
    monkeypatch.setattr("bifrost_entrypoints.client.asyncio.sleep", sleep)
    with server.client() as http:
        made = http.post("/api-keys", json={"name": "slow", "limit": {"per_minute": 1, "at_once": 1}}).json()["key"]
    slow = Flavour(flavour, server.url, made)
    slow.history()
    with pytest.raises(RateLimited, match="requests a minute"):
        slow.history()
    assert len(waited) >= 4
    assert max(waited) >= 1
