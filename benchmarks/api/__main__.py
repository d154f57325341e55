"""How fast the service is, as ratios of one run: `python -m benchmarks.api [--rounds N] [--litellm PYTHON]`.

Needs wrk (Debian: wrk) and two cores: servers run on one, the loader and the provider on the other. What is compared is
measured in turn, round by round, and the medians are printed.
"""

import argparse
import asyncio
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
from benchmarks.api.stage import LOADER_CPU, PYTHON, SERVER_CPU, Service, asking, bifrost, process, provider
from tests.contract.servers.ports import free_port
from tests.contract.servers.postgres import Postgres

SECONDS = 3
CONNECTIONS = 32
STREAMS = 300
STAMP = re.compile(rb"T(\d{10,})T")
LINES = """\
2026-11-20T03:05:{second:02}Z INFO  checkout request 8f{second:02} took 35 ms
2026-11-20T03:05:{second:02}Z ERROR checkout could not obtain a connection from the pool within 30 s
"""
LITELLM_KEY = "sk-" + "benchmark-0123456789abcdef"


def log(size: int) -> str:
    text = "".join(LINES.format(second=second % 60) for second in range(size // 100))
    return (text + "2026-11-20T03:06:00Z FATAL sorry, too many clients already\n")[:size]


def wrk(url: str, headers: dict[str, str], body: str | None = None) -> float:
    """Requests a second, all of them answered with 2xx."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if body is not None:
            script.write(f'wrk.method = "POST"\nwrk.body = {json.dumps(body)}\n')
        for name, value in headers.items():
            script.write(f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}\n")
        script.flush()
        command = [
            "taskset",
            "-c",
            str(LOADER_CPU),
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{SECONDS}",
            "-s",
            script.name,
        ]
        said = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise RuntimeError(f"{url} refused: {said}")
    return float(said.partition("Requests/sec:")[2].split()[0])


@contextmanager
def plain() -> Iterator[str]:
    port = free_port()
    command = [PYTHON, "-m", "uvicorn", "benchmarks.api.plain:app", "--port", str(port)]
    command += ["--no-access-log", "--log-level", "warning"]
    with process(command, f"http://127.0.0.1:{port}/", cpu=SERVER_CPU):
        yield f"http://127.0.0.1:{port}/analyze"


@contextmanager
def litellm(python: str, upstream: str) -> Iterator[str]:
    """A proxy that answers from the cache in its memory, with its own defaults."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "config.yaml"
        settings = {"model": "openai/small", "api_base": upstream, "api_key": "none", "mock_response": "the pool"}
        lines = {
            "model_list": [{"model_name": "small", "litellm_params": settings}],
            "litellm_settings": {"cache": True, "cache_params": {"type": "local"}},
            "general_settings": {"master_key": LITELLM_KEY},
        }
        config.write_text(json.dumps(lines))
        port = free_port()
        command = [str(Path(python).parent / "litellm"), "--config", str(config), "--port", str(port)]
        variables = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_DOCS": "True"}
        url = f"http://127.0.0.1:{port}"
        with process(command, f"{url}/health/liveliness", cpu=SERVER_CPU, variables=variables, seconds=300):
            yield f"{url}/chat/completions"


def requests_a_second(rounds: int, python: str | None) -> dict[str, list[float]]:
    body = json.dumps({"logs": log(4000), "source": "app.log"})
    seen: dict[str, list[float]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        measured: list[tuple[str, Callable[[], float]]] = []

        def add(name: str, url: str, headers: dict[str, str], body: str | None = None) -> None:
            measured.append((name, lambda: wrk(url, headers, body)))

        json_type = {"Content-Type": "application/json"}
        add("plain", stack.enter_context(plain()), json_type, body)
        default = stack.enter_context(bifrost(folder / "default"))
        memory = stack.enter_context(bifrost(folder / "memory", BIFROST_CACHE_URL="memory:"))
        postgres = Postgres()
        stack.callback(postgres.stop)
        on_postgres = stack.enter_context(
            bifrost(folder / "postgres", BIFROST_DATABASE_URL=postgres.url, BIFROST_CACHE_URL="memory:")
        )
        for name, service in (("cached", default), ("cached, memory cache", memory)):
            service.post(body.encode())
            add(name, f"{service.url}/analyze", json_type | {"X-API-Key": service.key}, body)
        for name, service in (("stored, SQLite", default), ("stored, PostgreSQL", on_postgres)):
            id = service.post(body.encode())["id"]
            add(name, f"{service.url}/history/{id}", {"X-API-Key": service.key})
        if python is not None:
            url = stack.enter_context(litellm(python, "http://127.0.0.1:9"))
            chat = json.dumps({"model": "small", "messages": [{"role": "user", "content": log(4000)}]})
            add("LiteLLM", url, json_type | {"Authorization": f"Bearer {LITELLM_KEY}"}, chat)
            time.sleep(15)
        for number in range(rounds + 1):
            for name, measure in measured:
                rate = measure()
                if number:  # the first round warms up
                    seen.setdefault(name, []).append(rate)
                print(f"  {name:22} {rate:9,.0f}", file=sys.stderr)
    return seen


def summary(times: list[float]) -> tuple[float, float]:
    """p50 and p99 of seconds, in milliseconds."""
    ordered = sorted(times)
    return statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.99) - 1] * 1000


async def first_stamp(answer: aiohttp.ClientResponse) -> tuple[float, float]:
    """When the first token was written, and when it was here, in seconds of the monotonic clock."""
    seen = b""
    async for piece in answer.content.iter_any():
        seen += piece
        if found := STAMP.search(seen):
            return int(found[1]) / 1e9, time.monotonic()
    raise RuntimeError(f"no token came: {seen[-500:]!r}")


async def direct(http: aiohttp.ClientSession, url: str) -> tuple[float, float]:
    body = {"model": "small:1b", "messages": [{"role": "user", "content": log(4000)}], "stream": True}
    began = time.monotonic()
    async with http.post(f"{url}/api/chat", json=body) as answer:
        written, here = await first_stamp(answer)
        async for _ in answer.content.iter_any():
            pass
    return here - written, here - began


async def streamed(http: aiohttp.ClientSession, service: Service, text: str) -> tuple[float, float]:
    began = time.monotonic()
    headers = {"X-API-Key": service.key}
    async with http.post(
        f"{service.url}/analyze/stream", json={"logs": text, "cache": False}, headers=headers
    ) as answer:
        written, here = await first_stamp(answer)
        async for _ in answer.content.iter_any():
            pass
    return here - written, here - began


async def over_socket(http: aiohttp.ClientSession, service: Service, text: str) -> tuple[float, float]:
    began = time.monotonic()
    first: tuple[float, float] | None = None
    async with http.ws_connect(f"{service.url}/ws/analyze", headers={"X-API-Key": service.key}) as socket:
        await socket.send_json({"type": "start", "request": {"logs": text, "cache": False}})
        async for message in socket:
            if first is None and (found := STAMP.search(message.data.encode())):
                here = time.monotonic()
                first = here - int(found[1]) / 1e9, here - began
    if first is None:
        raise RuntimeError("no token came")
    return first


async def first_tokens(service: Service, upstream: str, count: int) -> dict[str, list[tuple[float, float]]]:
    found: dict[str, list[tuple[float, float]]] = {"direct": [], "SSE": [], "WebSocket": []}
    async with aiohttp.ClientSession() as http:
        for number in range(count + 5):
            text = log(4000)
            for name, ask in (
                ("direct", direct(http, upstream)),
                ("SSE", streamed(http, service, text)),
                ("WebSocket", over_socket(http, service, text)),
            ):
                taken = await ask
                if number >= 5:
                    found[name].append(taken)
    return found


async def many_streams(service: Service, *, sockets: bool, seconds: float) -> list[tuple[float, float]]:
    """`STREAMS` at once: they begin one after the other within the length of one, and each that ends begins again."""
    ask = over_socket if sockets else streamed
    until = time.monotonic() + seconds
    found: list[tuple[float, float]] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def run(number: int) -> None:
            await asyncio.sleep(number / STREAMS * 4)
            while time.monotonic() < until:
                found.append(await ask(http, service, log(1000)))

        await asyncio.gather(*(run(number) for number in range(STREAMS)))
    return found


async def while_a_large_log(service: Service) -> tuple[list[float], float]:
    """Seconds of /health/live, asked every 5 ms, while a log of 10 MB is analysed; and how long that took."""
    text = "".join(
        f"2026-11-20T03:05:53Z INFO {number} {number * 7919 % 1000003:x} done\n" for number in range(220_000)
    )
    body = json.dumps({"logs": text[:10_000_000], "cache": False})
    times: list[float] = []
    async with aiohttp.ClientSession() as http:
        began = time.monotonic()
        headers = {"X-API-Key": service.key, "Content-Type": "application/json"}
        large = asyncio.create_task(http.post(f"{service.url}/analyze", data=body, headers=headers))
        while not large.done():
            asked = time.monotonic()
            async with http.get(f"{service.url}/health/live") as answer:
                await answer.read()
            times.append(time.monotonic() - asked)
            await asyncio.sleep(0.005)
        (await large).raise_for_status()
    return times, time.monotonic() - began


def row(what: str, goal: str, seen: str, *, met: bool | None = None) -> None:
    mark = "" if met is None else "yes" if met else "NO"
    print(f"{what:62} {goal:>16} {seen:>22}  {mark}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--litellm", metavar="PYTHON", help="of an environment with litellm[proxy]")
    parser.add_argument("--only", choices=["requests", "streams", "lag"])
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is needed: apt-get install wrk")
    row("what", "goal", "seen")
    if given.only in (None, "requests"):
        rates = requests_a_second(given.rounds, given.litellm)
        of = {name: statistics.median(found) for name, found in rates.items()}
        ratio = {
            name: statistics.median(a / b for a, b in zip(found, rates["plain"], strict=True))
            for name, found in rates.items()
        }
        row("plain Litestar handler, 4 KB in", "", f"{of['plain']:,.0f} requests/s")
        for name in ("cached", "cached, memory cache"):
            row(f"{name}, to plain", ">= 0.75", f"{ratio[name]:.2f}", met=ratio[name] >= 0.75)
        for name, goal in (("stored, SQLite", 0.6), ("stored, PostgreSQL", 0.3)):
            to_cached = statistics.median(a / b for a, b in zip(rates[name], rates["cached"], strict=True))
            row(
                f"{name}, to cached (to plain {ratio[name]:.2f})",
                f">= {goal}",
                f"{to_cached:.2f}",
                met=to_cached >= goal,
            )
        if "LiteLLM" in of:
            times = statistics.median(a / b for a, b in zip(rates["cached"], rates["LiteLLM"], strict=True))
            row("cached, to LiteLLM's memory cache", "> 20", f"{times:.0f} times", met=times > 20)
    with tempfile.TemporaryDirectory() as folder:
        if given.only in (None, "streams"):
            with provider(20, 0.0) as url, bifrost(Path(folder) / "first", **asking(url)) as service:
                found = asyncio.run(first_tokens(service, url, 200))
            relay = {name: summary([way for way, _ in taken])[0] for name, taken in found.items()}
            whole = {name: summary([all for _, all in taken])[0] for name, taken in found.items()}
            for name in ("SSE", "WebSocket"):
                added = relay[name] - relay["direct"]
                row(
                    f"{name}: first token, written to seen, over direct (p50)",
                    "<= 1 ms",
                    f"{added:.2f} ms",
                    met=added <= 1,
                )
                row("   the whole way, log reduced and diagnosed first", "", f"{whole[name] - whole['direct']:.1f} ms")
            with provider(120, 1 / 30) as url, bifrost(Path(folder) / "many", **asking(url)) as service:
                for name in ("SSE", "WebSocket"):
                    taken = asyncio.run(many_streams(service, sockets=name == "WebSocket", seconds=20))
                    p50, p99 = summary([way for way, _ in taken])
                    row(
                        f"{STREAMS} streams of 30 tokens/s over {name}: first token p99",
                        "< 250 ms",
                        f"{p99:.0f} ms (p50 {p50:.1f})",
                        met=p99 < 250,
                    )
                    _, asked = summary([all for _, all in taken])
                    row("   from the request on, log reduced first: p99", "", f"{asked:.0f} ms, {len(taken)} streams")
        if given.only in (None, "lag"):
            with bifrost(Path(folder) / "lag") as service:
                times, seconds = asyncio.run(while_a_large_log(service))
            p50, p99 = summary(times)
            row(
                f"/health/live while 10 MB are analysed ({seconds:.1f} s): p99",
                "< 50 ms",
                f"{p99:.1f} ms (p50 {p50:.1f})",
                met=p99 < 50,
            )


if __name__ == "__main__":
    main()
