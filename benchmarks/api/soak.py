"""Whether the service stays what it is: `python -m benchmarks.api.soak [--minutes 30] [--rate 20]`.

Twenty requests a second, of which some repeat, some stream, some read, with a provider of which one answer in twenty
fails in one way or another. Prints what the process holds every minute, and at the end whether it grew.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

import aiohttp
from benchmarks.api.__main__ import log
from benchmarks.api.stage import Service, asking, bifrost, provider
from msgspec import Struct

SETTLED_MINUTES = 5.0
MOST_GROWTH_MIB = 20.0


class Held(Struct):
    """What a process holds: MiB of memory, open files, threads, and series of metrics."""

    rss: float
    files: int
    threads: int
    series: int
    tasks: int


def process(pid: int) -> tuple[dict[str, str], int]:
    """The fields of its status, and how many files it has open."""
    status = Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":", 1) for line in status.splitlines()), len(list(Path(f"/proc/{pid}/fd").iterdir()))


async def held(http: aiohttp.ClientSession, service: Service) -> Held:
    fields, files = process(service.pid)
    async with http.get(f"{service.url}/metrics/prometheus") as answer:
        lines = [line for line in (await answer.text()).splitlines() if not line.startswith("#")]
    tasks = next((line for line in lines if line.startswith("bifrost_tasks ")), "x 0")
    return Held(
        rss=int(fields["VmRSS"].split()[0]) / 1024,
        files=files,
        threads=int(fields["Threads"]),
        series=len(lines),
        tasks=int(float(tasks.split()[1])),
    )


async def ask(http: aiohttp.ClientSession, service: Service, ids: list[str], seen: Counter[str]) -> None:
    kind = random.choices(("new", "repeat", "stream", "read", "list", "leave"), (30, 20, 15, 20, 10, 5))[0]
    text = f"{log(2000)}2026-11-20T03:07:00Z ERROR {random.getrandbits(40):x}{'gone' * random.randrange(1, 4)}\n"
    if kind == "repeat":
        text = log(2000)
    try:
        match kind:
            case "new" | "repeat":
                async with http.post(f"{service.url}/analyze", json={"logs": text}) as answer:
                    ids.append((await answer.json()).get("id", ""))
                    del ids[:-200]
            case "stream" | "leave":
                async with http.post(f"{service.url}/analyze/stream", json={"logs": text}) as answer:
                    if kind == "stream":
                        await answer.read()
                    else:
                        await answer.content.readany()
            case "read":
                id = random.choice(ids or ["none"])
                async with http.get(f"{service.url}/history/{id}") as answer:
                    await answer.read()
            case _:
                async with http.get(f"{service.url}/history", params={"limit": 20}) as answer:
                    await answer.read()
        seen[f"{kind} {answer.status}"] += 1
    except (aiohttp.ClientError, TimeoutError) as error:
        seen[f"{kind} {type(error).__name__}"] += 1


async def soak(service: Service, minutes: float, rate: float) -> tuple[list[tuple[float, Held]], Counter[str]]:
    seen: Counter[str] = Counter()
    states: list[tuple[float, Held]] = []
    ids: list[str] = []
    running: set[asyncio.Task[None]] = set()
    headers = {"X-API-Key": service.key}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as http:
        began = time.monotonic()
        told = 0.0
        for number in range(int(minutes * 60 * rate)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            task = asyncio.create_task(ask(http, service, ids, seen))
            running.add(task)
            task.add_done_callback(running.discard)
            passed = (time.monotonic() - began) / 60
            if passed >= told:
                told += 1
                state = await held(http, service)
                states.append((passed, state))
                print(f"  {passed:5.1f} min  {state}", flush=True)
        await asyncio.gather(*running)
        await asyncio.sleep(3)
        states.append((minutes, await held(http, service)))
    return states, seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, provider(20, 0.01, 0.05) as url:
        settings = asking(url) | {"BIFROST_LIMITS__IDLE_SECONDS": "5", "BIFROST_LIMITS__FIRST_TOKEN_SECONDS": "5"}
        with bifrost(Path(folder), **settings) as service:
            states, seen = asyncio.run(soak(service, given.minutes, given.rate))
    settled = next(
        (state for passed, state in states if passed >= min(SETTLED_MINUTES, given.minutes / 2)), states[0][1]
    )
    last = states[-1][1]
    for kind, count in sorted(seen.items()):
        print(f"  {kind:24} {count:7,}")
    growth = last.rss - settled.rss
    print(f"memory {settled.rss:.0f} -> {last.rss:.0f} MiB ({growth:+.1f}; goal at most {MOST_GROWTH_MIB:+.0f})")
    for name in ("files", "threads", "series", "tasks"):
        print(f"{name} {getattr(settled, name)} -> {getattr(last, name)}")


if __name__ == "__main__":
    main()
