"""What clients of the service see when a provider, the database, the server or one of them misbehaves.

Each experiment runs against `bifrost serve` in a process of its own.
"""

import asyncio
import json
import random
import signal
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec
import websockets

from bifrost_adapters.slots import administer
from bifrost_domain.report import Analysis
from tests.contract.servers.bedrock import BedrockStub
from tests.contract.servers.bifrost import LIMITS, Served, make_key, served
from tests.contract.servers.ports import free_port
from tests.contract.servers.postgres import Postgres
from tests.contract.servers.wire import Behaviour
from tests.faults import Row
from tests.faults.stage import ANSWER, LOG, answering, environment, percentile

GOOD = Behaviour(pieces=(ANSWER[:40], ANSWER[40:]))
UPSTREAM = "an upstream detail"
"""What the stubs write into every refusal, and no client may see."""


@asynccontextmanager
async def running(workdir: Path, url: str, **more: str) -> AsyncIterator[Served]:
    """The service, with a key that may do everything, beside an Ollama at `url`."""
    workdir.mkdir(exist_ok=True)
    variables = environment(workdir, url, **more)
    key = await asyncio.to_thread(make_key, variables, "--admin", *LIMITS)
    manager = served(variables, key=key)
    server = await asyncio.to_thread(manager.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


def client(server: Served) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=server.url, headers={"X-API-Key": server.key}, timeout=90, limits=limits)


def log(number: int) -> str:
    """A log that no other number's is taken for."""
    word = "".join("abcdefghij"[int(digit)] * 2 for digit in str(number))
    return f"{LOG}2026-11-20T03:05:56Z ERROR {word} broke\n"


def body(number: int, **wishes: Any) -> dict[str, Any]:
    return {"logs": log(number), "source": "app.log", **wishes}


class Told:
    """One answer to one request: its status, how long it took, and whether another engine made it."""

    def __init__(self, answer: httpx.Response, seconds: float) -> None:
        self.answer = answer
        self.status = answer.status_code
        self.seconds = seconds
        self.data: dict[str, Any] = answer.json()
        self.degraded = self.status == 200 and bool(self.data["engine"]["degraded"])
        self.retry_after = answer.headers.get("retry-after")
        self.slug = str(self.data.get("type", "")).rpartition(":")[2]

    def __str__(self) -> str:
        name = "degraded" if self.degraded else "answered" if self.status == 200 else self.slug
        return f"{self.status} {name} after {self.seconds:.1f} s"


async def ask(http: httpx.AsyncClient, number: int, **wishes: Any) -> Told:
    began = time.perf_counter()
    answer = await http.post("/analyze", json=body(number, **wishes))
    return Told(answer, time.perf_counter() - began)


async def frames(server: Served, door: str, number: int, **wishes: Any) -> list[tuple[float, dict[str, Any]]]:
    """All frames of one stream, each with the moment at which it came."""
    told = _events if door == "SSE" else _messages
    return [(time.perf_counter(), json.loads(frame)) async for frame in told(server, body(number, **wishes))]


async def _events(server: Served, wish: dict[str, Any]) -> AsyncIterator[str]:
    async with client(server) as http, http.stream("POST", "/analyze/stream", json=wish) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                yield line.removeprefix("data: ")


async def _messages(server: Served, wish: dict[str, Any]) -> AsyncIterator[str | bytes]:
    async with socket(server) as connection:
        await connection.send(json.dumps({"type": "start", "request": wish}))
        with suppress(websockets.ConnectionClosed):
            async for message in connection:
                yield message


def socket(server: Served, key: str | None = None) -> websockets.connect:
    headers = {"X-API-Key": server.key if key is None else key}
    return websockets.connect(server.url.replace("http://", "ws://") + "/ws/analyze", additional_headers=headers)


async def eventually(holds: Any, seconds: float) -> float:
    """How long it took until `holds`; more than `seconds` where it did not."""
    began = time.perf_counter()
    while not holds() and time.perf_counter() - began <= seconds:
        await asyncio.sleep(0.01)
    return time.perf_counter() - began


def resident(server: Served) -> float:
    """MiB of memory that the server has."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def stored(http: httpx.AsyncClient) -> list[Analysis]:
    """Everything in the history, each read by the report's own schema."""
    page = (await http.get("/history", params={"limit": 200})).json()
    found = [await http.get(f"/history/{item['id']}") for item in page["items"]]
    return [msgspec.json.decode(answer.content, type=Analysis) for answer in found]


def seconds(quick: bool) -> dict[str, str]:
    """Patience with a silent provider: the usual one, or a tenth of it."""
    if not quick:
        return {}
    return {"BIFROST_LIMITS__FIRST_TOKEN_SECONDS": "2", "BIFROST_LIMITS__IDLE_SECONDS": "1.5"}


async def f1(workdir: Path, quick: bool) -> list[Row]:
    """Nobody listens where the provider should be."""
    async with running(workdir, f"http://127.0.0.1:{free_port()}") as server, client(server) as http:
        fell_back, refused = await ask(http, 1), await ask(http, 2, fallback=False)
    passed = (
        fell_back.degraded
        and (refused.status, refused.slug) == (503, "model-unavailable")
        and refused.retry_after is not None
        and max(fell_back.seconds, refused.seconds) < 5
    )
    seen = f"{fell_back}; without fallback {refused}, Retry-After {refused.retry_after}"
    return [Row("F1 the provider is down", "200 degraded, or 503 with Retry-After; within 5 s", seen, passed)]


async def f2(workdir: Path, quick: bool) -> list[Row]:
    """The provider takes the request and says nothing."""
    patience = 2.0 if quick else 20.0
    async with (
        answering() as model,
        running(workdir, model.url, **seconds(quick)) as server,
        client(server) as http,
    ):
        await ask(http, 0)
        model.expect(Behaviour(fault="hang_first"))
        fell_back, refused = await asyncio.gather(ask(http, 1), ask(http, 2, fallback=False))
        called_off = await eventually(lambda: model.live == 0, 1.0)
    passed = (
        fell_back.degraded
        and (refused.status, refused.slug) == (504, "model-timeout")
        and max(fell_back.seconds, refused.seconds) <= patience + 1
        and called_off <= 1.0
    )
    seen = f"{fell_back}; without fallback {refused}; {model.live} calls open"
    expected = f"degraded or 504 within {patience + 1:g} s, no call left open"
    return [Row("F2 silence before the first token", expected, seen, passed)]


async def _broken_streams(workdir: Path, quick: bool, name: str, fault: str, status: int, patience: float) -> list[Row]:
    rows = []
    for place, door in enumerate(("SSE", "WebSocket")):
        async with (
            answering(fault=fault, pieces=GOOD.pieces) as model,
            running(workdir / f"{fault}-{door}", model.url, **seconds(quick)) as server,
            client(server) as http,
        ):
            strict = await frames(server, door, place, fallback=False)
            calls = model.calls
            before = len(await stored(http))
            lenient = await frames(server, door, place)
            model.expect(GOOD)
            again = await ask(http, place)
        last_token = max(at for at, frame in strict if frame["type"] == "token")
        at, error = strict[-1]
        report = next(frame["data"] for _, frame in lenient if frame["type"] == "report")
        passed = (
            (error["type"], error["data"].get("fatal"), error["data"].get("status")) == ("error", True, status)
            and at - last_token <= patience + 1
            and calls == 1
            and before == 0
            and report["engine"]["degraded"]
            and again.status == 200
            and not (again.degraded or again.data["cache"]["hit"])
            and model.calls == 1
        )
        seen = (
            f"error {error['data'].get('status')} {at - last_token:.1f} s after the last token, {calls} call, "
            f"{before} stored; with fallback degraded={report['engine']['degraded']}; "
            f"then {again}, {model.calls} call"
        )
        expected = f"error {status} within {patience + 1:g} s, 1 call, 0 stored; degraded; then answered by 1 call"
        rows.append(Row(f"{name}, {door}", expected, seen, bool(passed)))
    return rows


async def f3(workdir: Path, quick: bool) -> list[Row]:
    """The provider falls silent in the middle of its answer."""
    patience = 1.5 if quick else 15.0
    return await _broken_streams(workdir, quick, "F3 silence in the middle", "hang_middle", 504, patience)


async def f4(workdir: Path, quick: bool) -> list[Row]:
    """The connection ends in the middle of the answer."""
    cut = await _broken_streams(workdir, quick, "F4 cut in the middle", "cut", 503, 0.0)
    return cut + await _broken_streams(workdir, quick, "F4 reset in the middle", "reset", 503, 0.0)


_INVALID = {
    "no JSON": Behaviour(pieces=("I could ", "not say.")),
    "another schema": Behaviour(pieces=('{"severity": "dire"', ', "summary": 7}')),
    "not UTF-8": Behaviour(raw=b'{"message": {"content": "\xff\xfe"}, "done": false}\n'),
    "HTML": Behaviour(fault="html"),
    "nothing": Behaviour(fault="empty"),
}


async def f5(workdir: Path, quick: bool) -> list[Row]:
    """What comes is no report."""
    rows = []
    async with answering() as model, running(workdir, model.url) as server, client(server) as http:
        for place, (name, behaviour) in enumerate(_INVALID.items()):
            model.expect(GOOD)
            model.turns = [behaviour]
            once, calls_once = await ask(http, 2 * place), model.calls
            model.expect(behaviour)
            ever, calls_ever = await ask(http, 2 * place + 1), model.calls
            model.expect(GOOD)
            again, calls_again = await ask(http, 2 * place + 1), model.calls
            passed = (
                once.status == ever.status == again.status == 200
                and max(calls_once, calls_ever) <= 2
                and once.degraded == (calls_once == 1)
                and ever.degraded
                and not again.degraded
                and calls_again == 1
            )
            seen = (
                f"once: {'degraded' if once.degraded else 'repaired'}, {calls_once} calls; for ever: "
                f"{'degraded' if ever.degraded else 'answered'}, {calls_ever} calls; then {calls_again} call"
            )
            rows.append(Row(f"F5 {name}", "at most 2 calls; for ever: degraded, not cached", seen, passed))
        kept = await stored(http)
    engines = Counter("degraded" if analysis.engine.degraded else analysis.engine.provider for analysis in kept)
    seen = f"{len(kept)} rows meet the schema: {dict(engines)}"
    rows.append(Row("F5 what is stored", "15 rows, all of them reports", seen, len(kept) == 15))
    return rows


async def f6(workdir: Path, quick: bool) -> list[Row]:
    """An answer without end, and one of many megabytes in one piece."""
    rows = []
    for fault in ("endless", "huge"):
        async with (
            answering() as model,
            running(workdir / fault, model.url) as server,
            client(server) as http,
        ):
            await ask(http, 0)
            model.expect(Behaviour(fault=fault))
            before = resident(server)
            cut = await ask(http, 1)
            called_off = await eventually(model.left.is_set, 2.0)
            grown = resident(server) - before
        passed = cut.degraded and grown < 50 and called_off <= 2.0 and model.calls == 1
        seen = f"{cut}, {grown:.0f} MiB more, {model.calls} call, called off after {called_off:.1f} s"
        rows.append(Row(f"F6 {fault}", "degraded, under 50 MiB more, 1 call, called off", seen, passed))
    return rows


async def f7(workdir: Path, quick: bool) -> list[Row]:
    """429 twice, then an answer."""
    async with answering() as model, running(workdir, model.url) as server, client(server) as http:
        model.turns = [Behaviour(status=429, retry_after="1")] * 2
        told = await ask(http, 1)
    seen = f"{told}, {model.calls} calls"
    passed = told.status == 200 and not told.degraded and model.calls == 3 and told.seconds >= 2
    return [Row("F7 429 twice, Retry-After 1", "answered, 3 calls, 2 s or more", seen, passed)]


async def f8(workdir: Path, quick: bool) -> list[Row]:
    """429 for ever, twenty clients."""
    pause = 3.0 if quick else 15.0
    async with (
        answering() as model,
        running(workdir, model.url, BIFROST_LIMITS__BREAKER_PAUSE_SECONDS=str(pause)) as server,
        client(server) as http,
    ):
        await ask(http, 0)
        model.expect(Behaviour(status=429, retry_after="1"))
        crowd = await asyncio.gather(*(ask(http, 1 + number) for number in range(20)))
        opened = time.perf_counter()
        calls = model.calls
        alone = [await ask(http, 30 + number) for number in range(10)]
        refused = await ask(http, 40, fallback=False)
        calls_alone = model.calls - calls
        ready = (await http.get("/health/ready")).json()
        await asyncio.sleep(max(0.0, pause + 0.5 - (time.perf_counter() - opened)))
        await asyncio.gather(*(ask(http, 50 + number) for number in range(20)))
        probes = model.calls - calls - calls_alone
        model.expect(GOOD)
        await asyncio.sleep(pause + 0.5)
        healed = await asyncio.gather(*(ask(http, 80 + number) for number in range(5)))
        back = await ask(http, 90)
    slowest = max(told.seconds for told in [*alone, refused])
    return [
        Row(
            "F8 429 for ever, 20 at once",
            "all degraded, at most 60 calls",
            f"{sum(told.degraded for told in crowd)} degraded, {calls} calls",
            all(told.degraded for told in crowd) and calls <= 60,
        ),
        Row(
            "F8 while it is left alone",
            "no call, each answer within 0.1 s, 503 with Retry-After, told by /health/ready",
            f"{calls_alone} calls, the slowest {slowest * 1000:.0f} ms, {refused.status} with Retry-After "
            f"{refused.retry_after}, providers {ready['providers']}",
            calls_alone == 0
            and slowest < 0.1
            and (refused.status, refused.retry_after is not None) == (503, True)
            and "ollama" in ready["providers"],
        ),
        Row("F8 after the pause, 20 at once", "1 call", f"{probes} call", probes == 1),
        Row(
            "F8 when it works again",
            "the probe is answered, then all are",
            f"{sum(not told.degraded for told in healed)} of 5 answered at once, then {back}",
            any(not told.degraded for told in healed) and not back.degraded,
        ),
    ]


async def f9(workdir: Path, quick: bool) -> list[Row]:
    """The provider refuses the request, the key, or the model."""
    rows = []
    secret = "upstream" + "-key-" + "7" * 20
    async with (
        answering() as model,
        running(workdir, model.url, OLLAMA_API_KEY=secret) as server,
        client(server) as http,
    ):
        for place, status in enumerate((400, 401, 403, 404)):
            model.expect(Behaviour(status=status))
            told = await ask(http, place, fallback=False)
            text = told.answer.text + "".join(server.said)
            leaked = [word for word in (UPSTREAM, secret) if word in text]
            seen = f"{told}, {model.calls} call, leaked: {leaked or 'nothing'}"
            passed = (told.status, model.calls, leaked) == (502, 1, []) and told.retry_after is None
            rows.append(Row(f"F9 {status}", "502, 1 call, nothing of the provider's words or key", seen, passed))
    return rows


async def f10(workdir: Path, quick: bool) -> list[Row]:
    """What Bedrock fails with, also inside a stream that began with 200."""
    rows = []
    cases: list[tuple[str, Behaviour, int, int, bool]] = [
        ("throttled after the first token", Behaviour(pieces=GOOD.pieces, fault="throttle_event"), 503, 1, True),
        ("an error after the first token", Behaviour(pieces=GOOD.pieces, fault="error_event"), 503, 1, True),
        ("408", Behaviour(status=408), 503, 3, False),
        ("424", Behaviour(status=424), 503, 3, False),
        ("429", Behaviour(status=429, retry_after="1"), 503, 3, False),
        ("503", Behaviour(status=503), 503, 3, False),
        ("403", Behaviour(status=403), 502, 1, False),
    ]
    aws = {
        "AWS_ACCESS_KEY_ID": "AK" + "IA" + "7" * 16,
        "AWS_SECRET_ACCESS_KEY": "not" + "-a-key",
        "AWS_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
    }
    async with BedrockStub() as stub:
        providers = {"bedrock": {"kind": "bedrock", "endpoint_url": stub.url}}
        more = {
            **aws,
            "BIFROST_PROVIDERS": json.dumps(providers),
            "BIFROST_PROVIDER": "bedrock",
            "BIFROST_LIMITS__BREAKER_FAILURES": "1000",
        }
        async with running(workdir, "http://127.0.0.1:9", **more) as server, client(server) as http:
            for place, (name, behaviour, status, calls, started) in enumerate(cases):
                stub.expect(behaviour)
                seen_frames = await frames(server, "SSE", place, fallback=False)
                error = seen_frames[-1][1]["data"]
                tokens = sum(frame["type"] == "token" for _, frame in seen_frames)
                asked, leaked = len(stub.requests), UPSTREAM in json.dumps(error)
                stub.expect(behaviour)
                lenient = await ask(http, 100 + place)
                seen = (
                    f"{tokens} tokens, error {error.get('status')}, {asked} calls, "
                    f"{'leaked' if leaked else 'nothing leaked'}; with fallback {lenient}"
                )
                passed = (
                    (error.get("status"), asked, leaked) == (status, calls, False)
                    and bool(tokens) == started
                    and lenient.degraded
                )
                rows.append(Row(f"F10 Bedrock: {name}", f"{status} after {calls} calls; degraded", seen, passed))
    return rows


async def _left(workdir: Path, name: str, doors: tuple[str, ...]) -> list[Row]:
    rows = []
    for when, fault in (("before the first token", "hang_first"), ("after it", "hang_middle")):
        async with (
            answering(fault=fault, pieces=GOOD.pieces) as model,
            running(workdir / fault, model.url) as server,
            client(server) as http,
        ):
            for place, door in enumerate(doors):
                model.expect(model.behaviour)
                leaving = asyncio.create_task(
                    ask(http, place) if door == "POST" else frames(server, door, place)  # type: ignore[arg-type]
                )
                await eventually(lambda model=model: model.live == 1, 10)  # type: ignore[misc]
                await asyncio.sleep(0.3)
                began = model.live
                leaving.cancel()
                with suppress(asyncio.CancelledError):
                    await leaving
                took = await eventually(lambda model=model: model.live == 0 and model.left.is_set(), 2.0)  # type: ignore[misc]
                seen = f"{began} call ran, called off after {took:.2f} s"
                rows.append(
                    Row(f"{name} {door}, {when}", "1 call, called off within 2 s", seen, began == 1 and took <= 2)
                )
            kept = len(await stored(http))
            rows.append(Row(f"{name} {when}: the history", "0 rows", f"{kept} rows", kept == 0))
    return rows


async def f11(workdir: Path, quick: bool) -> list[Row]:
    """A client that reads a stream leaves."""
    return await _left(workdir, "F11", ("SSE",))


async def f12(workdir: Path, quick: bool) -> list[Row]:
    """A client that waits for the whole report leaves, or closes its WebSocket."""
    return await _left(workdir, "F12", ("POST", "WebSocket"))


async def _readiness(server: Served) -> tuple[int, int]:
    async with client(server) as http:
        return (await http.get("/health/live")).status_code, (await http.get("/health/ready")).status_code


@asynccontextmanager
async def _beside_postgres(workdir: Path, server: Postgres, *, down: bool) -> AsyncIterator[Served]:
    """The service over PostgreSQL, which is stopped before the service starts where `down`."""
    url = await asyncio.to_thread(server.database)
    async with administer("storage", "postgres", {"url": url}) as schema:
        await schema.upgrade()
    variables = environment(workdir, "http://127.0.0.1:9", BIFROST_DATABASE_URL=url, BIFROST_PROVIDER="heuristic")
    key = await asyncio.to_thread(make_key, variables, "--admin", *LIMITS)
    if down:
        await asyncio.to_thread(server.stop)
    manager = served(variables, key=key)
    service = await asyncio.to_thread(manager.__enter__)
    try:
        yield service
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


async def f17(workdir: Path, quick: bool) -> list[Row]:
    """PostgreSQL is down when the service starts."""
    server = await asyncio.to_thread(Postgres)
    try:
        async with _beside_postgres(workdir, server, down=True) as service:
            await asyncio.sleep(1 if quick else 10)
            before, alive = await _readiness(service), service.process.poll() is None
            await asyncio.to_thread(server.start)
            began = time.perf_counter()
            while (after := await _readiness(service))[1] != 200 and time.perf_counter() - began < 20:
                await asyncio.sleep(0.1)
            took = time.perf_counter() - began
            async with client(service) as http:
                works = await ask(http, 1)
                kept = len(await stored(http))
    finally:
        await asyncio.to_thread(server.close)
    seen = (
        f"{'alive' if alive else 'gone'}, live {before[0]}, ready {before[1]}; "
        f"ready {after[1]} {took:.1f} s after its start, {works}, {kept} stored"
    )
    passed = alive and before == (200, 503) and after[1] == 200 and took < 10 and works.status == 200 and kept == 1
    expected = "alive, live 200, ready 503; ready within 10 s of its start"
    return [Row("F17 the service without PostgreSQL", expected, seen, passed)]


async def f18(workdir: Path, quick: bool) -> list[Row]:
    """PostgreSQL is frozen, then killed, under ten requests a second."""
    server = await asyncio.to_thread(lambda: Postgres(durable=True))
    rows = []
    frozen = 3.0 if quick else 15.0
    try:
        for name in ("frozen", "killed and started again"):
            folder = workdir / name.partition(" ")[0]
            folder.mkdir()
            async with _beside_postgres(folder, server, down=False) as service, client(service) as http:
                ended: list[tuple[float, Told]] = []

                async def one(number: int, http: Any = http, ended: Any = ended) -> None:
                    began = time.perf_counter()
                    ended.append((began, await ask(http, number, fallback=number % 2 == 0)))

                sent = 0
                tasks: list[asyncio.Task[None]] = []

                async def load(lasting: float, tasks: Any = tasks, one: Any = one) -> None:
                    nonlocal sent
                    until = time.perf_counter() + lasting
                    while time.perf_counter() < until:
                        sent += 1
                        tasks.append(asyncio.create_task(one(sent)))
                        await asyncio.sleep(0.1)

                await load(2)
                if name == "frozen":
                    server.send(signal.SIGSTOP)
                    await load(frozen)
                    server.send(signal.SIGCONT)
                else:
                    server.send(signal.SIGKILL)
                    await asyncio.to_thread(server.stop)
                    await load(2)
                    await asyncio.to_thread(server.start)
                back = time.perf_counter()
                await load(10)
                await asyncio.gather(*tasks)
                statuses = Counter(told.status for _, told in ended)
                longest = max(told.seconds for _, told in ended)
                healed = min(
                    (
                        began - back
                        for began, told in ended
                        if told.status == 200 and told.answer.headers.get("content-location") and began >= back
                    ),
                    default=99.0,
                )
                lost = 0
                for _, told in ended:
                    if location := told.answer.headers.get("content-location"):
                        lost += (await http.get(location)).status_code != 200
                unstored = sum(
                    told.status == 200 and "content-location" not in told.answer.headers for _, told in ended
                )
            seen = (
                f"{dict(statuses)}, the slowest took {longest:.1f} s, {unstored} reports told as not stored, "
                f"stored again {healed:.1f} s after its return, {lost} lost"
            )
            passed = set(statuses) <= {200, 503} and longest <= 10.5 and healed < 10 and not lost
            rows.append(
                Row(f"F18 PostgreSQL {name}", "200 and 503 only, within 10 s, stored again, none lost", seen, passed)
            )
    finally:
        await asyncio.to_thread(server.close)
    return rows


async def f22(workdir: Path, quick: bool) -> list[Row]:
    """SIGTERM under twenty streams: half of them would end in time, half never."""
    drain = 4.0 if quick else 20.0
    async with (
        answering(fault="hang_middle", pieces=GOOD.pieces) as model,
        running(
            workdir,
            model.url,
            BIFROST_LIMITS__IDLE_SECONDS="120",
            BIFROST_LIMITS__AT_ONCE="64",
            BIFROST_LIMITS__TOTAL_SECONDS="120",
            BIFROST_SERVER__DRAIN_SECONDS=str(drain),
        ) as server,
    ):
        doors = [("SSE", number) for number in range(10)] + [("WebSocket", number) for number in range(10, 20)]
        streams = [asyncio.create_task(frames(server, door, number)) for door, number in doors]
        await eventually(lambda: model.live == 20, 20)
        live = model.live
        began = time.perf_counter()
        server.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        refused = ""
        try:
            async with client(server) as http:
                refused = str((await http.get("/health/live")).status_code)
        except httpx.TransportError as error:
            refused = type(error).__name__
        ended = await asyncio.gather(*streams, return_exceptions=True)
        code = await asyncio.to_thread(server.process.wait, 40)
        took = time.perf_counter() - began
    told = sum(
        not isinstance(seen, BaseException) and seen[-1][1]["data"].get("type", "").endswith("shutting-down")
        for seen in ended
    )
    seen_text = f"{live} streams; new: {refused}; {told} told after at most {took:.1f} s, exit {code}"
    passed = (live, told, code) == (20, 20, 0) and took <= drain + 5 and refused == "ConnectError"
    expected = f"new ones refused, 20 told within {drain + 5:g} s, exit 0"
    return [Row("F22 SIGTERM under 20 streams", expected, seen_text, passed)]


async def f28(workdir: Path, quick: bool) -> list[Row]:
    """What failed or was degraded is never served later."""
    faults = ("hang_first", "hang_middle", "cut", "reset", "html", "empty", "error_event")
    more = {"BIFROST_LIMITS__FIRST_TOKEN_SECONDS": "0.5", "BIFROST_LIMITS__IDLE_SECONDS": "0.5"}
    rows = []
    async with answering() as model, running(workdir, model.url, **more) as server, client(server) as http:
        for place, fault in enumerate(faults):
            model.expect(Behaviour(pieces=GOOD.pieces, fault=fault))
            degraded = await ask(http, place)
            model.expect(GOOD)
            good = await ask(http, place)
            again = await ask(http, place)
            seen = f"{degraded}; then {good}, {model.calls} call; then hit={again.data['cache']['hit']}"
            passed = (
                degraded.degraded
                and not good.degraded
                and not good.data["cache"]["hit"]
                and model.calls == 1
                and bool(again.data["cache"]["hit"])
            )
            rows.append(Row(f"F28 {fault}, over HTTP", "degraded; answered, 1 call; a hit", seen, passed))
    return rows


def _frame(opcode: int, payload: bytes, *, final: bool = True, reserved: int = 0) -> bytes:
    """A masked WebSocket frame (RFC 6455, 5.2)."""
    mask = random.randbytes(4)
    head = bytes([final << 7 | reserved << 4 | opcode])
    size = len(payload)
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += bytes([0x80 | 126]) + struct.pack(">H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", size)
    return head + mask + bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def _random_frame() -> bytes:
    kind = random.randrange(6)
    if kind == 0:
        return random.randbytes(random.randrange(1, 200))
    if kind == 1:
        return _frame(random.choice((1, 2, 8, 9, 10)), random.randbytes(random.randrange(300)))
    if kind == 2:
        return _frame(random.randrange(16), b"x" * random.randrange(200), final=False, reserved=random.randrange(8))
    start = {"type": random.choice(["start", "cancel", "", None, 7]), "request": random.choice([{}, [], "x", None])}
    if kind == 3:
        return _frame(1, json.dumps(start).encode())
    if kind == 4:
        nested = "[" * random.randrange(100_000)
        return _frame(1, nested.encode())
    return _frame(1, json.dumps({"type": "start", "request": {"logs": "\ud800", "model": random.random()}}).encode())


async def _raw(server: Served, data: bytes, *, upgrade: bytes = b"", wait: float = 3.0) -> bytes:
    """What the server answers to these bytes, after `upgrade` was answered, until it closes or `wait` seconds are over.

    It is read while the bytes are sent.
    """
    reader, writer = await asyncio.open_connection(server.host, server.port)
    seen = b""

    async def send() -> None:
        with suppress(ConnectionError):
            writer.write(data)
            await writer.drain()

    try:
        if upgrade:
            writer.write(upgrade)
            seen = await reader.readuntil(b"\r\n\r\n")
        sending = asyncio.create_task(send())
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(wait):
                while piece := await reader.read(1 << 16):
                    seen += piece
        sending.cancel()
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return seen


def _upgrade(server: Served, key: str) -> bytes:
    return (
        f"GET /ws/analyze HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nX-API-Key: {key}\r\n\r\n"
    ).encode()


_MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200 + b"\r\n\r\n",
    "no method": b" / HTTP/1.1\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "a header without a name": b"GET /health/live HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n",
    "a NUL in a header": b"GET /health/live HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    "two lengths": b"POST /analyze HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    "a length and chunks": (
        b"POST /analyze HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "a length below zero": b"POST /analyze HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a chunk without a size": b"POST /analyze HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
    "a header of 100 KB": b"GET /health/live HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 100_000 + b"\r\n\r\n",
    "20,000 headers": b"GET /health/live HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
    "an address of 100 KB": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
}


async def f29(workdir: Path, quick: bool) -> list[Row]:
    """Random frames, huge frames, floods and malformed requests."""
    rows = []
    async with answering() as model, running(workdir, model.url) as server, client(server) as http:
        answers = {}
        for name, data in _MALFORMED.items():
            first = (await _raw(server, data)).partition(b"\r\n")[0].decode("latin-1")
            answers[name] = first.split(" ")[1] if first.startswith("HTTP/") else "closed"
        bad = {name: status for name, status in answers.items() if status != "closed" and not status.startswith("4")}
        rows.append(
            Row(
                "F29 malformed HTTP",
                "each is closed or answered with 4xx",
                f"{dict(Counter(answers.values()))}" + (f"; {bad}" if bad else ""),
                not bad,
            )
        )
        many = 50 if quick else 500
        gate = asyncio.Semaphore(20)

        async def fuzz() -> int:
            async with gate:
                noise = b"".join(_random_frame() for _ in range(3))
                said = await _raw(server, noise, upgrade=_upgrade(server, server.key), wait=1.0)
                return _closed_with(said.partition(b"\r\n\r\n")[2])

        codes = Counter(await asyncio.gather(*(fuzz() for _ in range(many))))
        rows.append(
            Row(
                f"F29 {many} sockets of random frames",
                "closed for what they sent, never for a bug, and the server alive",
                f"{dict(codes.most_common())}, {'alive' if server.process.poll() is None else 'gone'}",
                server.process.poll() is None and not codes.keys() & {1011, 4500} and len(codes) > 1,
            )
        )
        big = await _close_of(server, json.dumps({"type": "start", "request": {"logs": "x" * (12 << 20)}}))
        rows.append(Row("F29 a frame over the limit", "closed with 1009", f"closed with {big}", big == 1009))
        async with socket(server) as connection:
            await connection.send(json.dumps({"type": "start", "request": {"logs": log(1) * 12_000}}))
            types = [json.loads(frame)["type"] async for frame in connection]
        rows.append(Row("F29 a frame of 2 MB with a log", "analysed", f"ends with {types[-1]}", types[-1] == "done"))
        anonymous = await _close_of(server, json.dumps({"type": "start", "request": body(2)}), key="")
        rows.append(Row("F29 no key", "closed with 4401", f"closed with {anonymous}", anonymous == 4401))
        flood = b"".join(_frame(9, b"p" * 100) for _ in range(50_000))
        before = resident(server)
        flooding = asyncio.create_task(_raw(server, flood, upgrade=_upgrade(server, server.key), wait=5.0))
        answered = []
        while not flooding.done():
            answered.append(await http.get("/health/live"))
            await asyncio.sleep(0.01)
        pongs = flooding.result().count(b"p" * 100)
        grown = resident(server) - before
        slow = percentile([answer.elapsed.total_seconds() for answer in answered], 0.99)
        rows.append(
            Row(
                "F29 50,000 pings at once",
                "others are served within 1 s, under 50 MiB more",
                f"{pongs} pongs; p99 of {len(answered)} others {slow * 1000:.0f} ms, {grown:.0f} MiB more",
                slow < 1 and grown < 50,
            )
        )
        still = await ask(http, 9)
        broken = [str(record.get("message")) for record in server.records() if record.get("level") == "error"]
        rows.append(
            Row(
                "F29 afterwards",
                "answers, no error in the log",
                f"{still}, {len(broken)} errors {broken[:2]}",
                still.status == 200 and not broken,
            )
        )
    return rows


def _closed_with(said: bytes) -> int:
    """The code of the close frame that these frames of a server end with; 0 where there is none."""
    place, code = 0, 0
    while place + 2 <= len(said):
        opcode, size = said[place] & 15, said[place + 1]
        place += 2
        if size >= 126:
            width = 2 if size == 126 else 8
            size = int.from_bytes(said[place : place + width])
            place += width
        if opcode == 8 and size >= 2:
            code = int.from_bytes(said[place : place + 2])
        place += size
    return code


async def _close_of(server: Served, first: str, key: str | None = None) -> int | None:
    """The code that the server closes with after this first frame."""
    try:
        async with socket(server, key) as connection:
            with suppress(websockets.ConnectionClosed):
                await connection.send(first)
                async for _ in connection:
                    pass
            return connection.close_code
    except websockets.InvalidStatus as error:
        return 4000 + error.response.status_code


async def f30(workdir: Path, quick: bool) -> list[Row]:
    """Two hundred clients that send a byte a second."""
    patience = 3.0 if quick else 10.0
    async with (
        answering() as model,
        running(workdir, model.url, BIFROST_SERVER__HEADER_SECONDS=str(patience)) as server,
        client(server) as http,
    ):
        request = f"POST /analyze HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nX-Slow: ".encode() + b"a" * 100

        async def loris() -> float:
            began = time.perf_counter()
            reader, writer = await asyncio.open_connection(server.host, server.port)
            closed = asyncio.create_task(reader.read())
            try:
                for byte in request:
                    writer.write(bytes([byte]))
                    done, _ = await asyncio.wait({closed}, timeout=1.0)
                    if done:
                        break
            except ConnectionError:
                pass
            finally:
                closed.cancel()
                writer.close()
            return time.perf_counter() - began

        slow = [asyncio.create_task(loris()) for _ in range(200)]
        await asyncio.sleep(0.5)
        others = []
        until = time.perf_counter() + patience - 1
        number = 0
        while time.perf_counter() < until:
            number += 1
            others.append((await ask(http, number % 50, provider="heuristic")).seconds)
            await asyncio.sleep(0.02)
        held = await asyncio.gather(*slow)
    longest, p99 = max(held), percentile(others, 0.99)
    return [
        Row(
            "F30 200 slow clients",
            f"others' p99 under 1 s; closed after {patience:g} s",
            f"p99 of {len(others)} others {p99 * 1000:.0f} ms; the last was closed after {longest:.1f} s",
            p99 < 1 and longest <= patience + 3,
        )
    ]
