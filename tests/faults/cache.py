"""Redis refused, killed, frozen, full, evicting, or with garbage in it."""

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path

from bifrost_domain.errors import CacheUnavailable
from tests.contract.servers.ports import free_port
from tests.contract.servers.valkey import Valkey
from tests.faults import Row
from tests.faults.stage import LOG, analysed, answering, compared, opened, percentile

DOWN_SECONDS = 0.25
FROZEN_SECONDS = 0.6
BACK_SECONDS = 10.0


async def f15(workdir: Path, quick: bool) -> list[Row]:
    rounds = 20 if quick else 200

    def freeze(server: Valkey) -> None:
        server.send(signal.SIGSTOP)

    def fill(server: Valkey, policy: str) -> None:
        with server.client() as client:
            client.config_set("maxmemory-policy", policy)
            client.config_set("maxmemory", "1mb")

    breaking: dict[str, tuple[Callable[[Valkey], None], float]] = {
        "killed": (lambda server: server.stop(signal.SIGKILL), DOWN_SECONDS),
        "frozen": (freeze, FROZEN_SECONDS),
        "full": (lambda server: fill(server, "noeviction"), DOWN_SECONDS),
        "evicting": (lambda server: fill(server, "allkeys-lru"), DOWN_SECONDS),
    }
    rows = []
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    async with (
        answering() as stub,
        opened(workdir / "without", stub, BIFROST_CACHE_URL="memory:") as without,
        opened(workdir / "refused", stub, BIFROST_CACHE_URL=nowhere) as bifrost,
    ):
        # The first analysis of a process costs a second that is not Redis'.
        await analysed(without)
        rows.append(_row("F15 Redis refused", await compared(bifrost, without, rounds), DOWN_SECONDS, None))
    for name, (how, most) in breaking.items():
        server = Valkey()
        try:
            async with (
                answering() as stub,
                opened(workdir / f"without-{name}", stub, BIFROST_CACHE_URL="memory:") as without,
                opened(workdir / name, stub, BIFROST_CACHE_URL=server.url) as bifrost,
            ):
                await compared(bifrost, without, 3)
                await asyncio.to_thread(how, server)
                times = await compared(bifrost, without, rounds)
                back = await _until_used(bifrost, server, name)
                rows.append(_row(f"F15 Redis {name}", times, most, back))
        finally:
            server.close()
    return rows


async def _until_used(bifrost: object, server: Valkey, name: str) -> float:
    """Seconds from the return of Redis until an answer comes out of it again."""
    if name == "killed":
        await asyncio.to_thread(server.start)
    elif name == "frozen":
        server.send(signal.SIGCONT)
    else:
        with server.client() as client:
            client.config_set("maxmemory", "0")
    began = time.monotonic()
    number = 0
    while time.monotonic() - began < 2 * BACK_SECONDS:
        number += 1
        text = f"{LOG}2026-11-20T03:05:57Z ERROR back{'y' * (number + 3)}\n"
        await analysed(bifrost, text)  # type: ignore[arg-type]
        if (await analysed(bifrost, text)).cache.hit:  # type: ignore[arg-type]
            break
        await asyncio.sleep(0.2)
    return time.monotonic() - began


def _row(name: str, times: tuple[list[float], list[float]], most: float, back: float | None) -> Row:
    broken, without = times
    added = percentile(broken, 0.99) - percentile(without, 0.99)
    seen = f"{len(broken)} of {len(broken)} answered, p99 {added * 1000:.0f} ms over that without Redis"
    expected = f"none fails, p99 under {most * 1000:.0f} ms more"
    if back is None:
        return Row(name, expected, seen, added < most)
    passed = added < most and back < BACK_SECONDS
    return Row(
        name, f"{expected}, used again within {BACK_SECONDS:.0f} s", f"{seen}, used again after {back:.1f} s", passed
    )


async def f16(workdir: Path, quick: bool) -> list[Row]:
    rows = []
    server = Valkey()
    try:
        async with answering() as stub, opened(workdir, stub, BIFROST_CACHE_URL=server.url) as bifrost:
            for name, value in (("garbage", b"xx"), ("a list", None), ("another version", b'{"v": 99}')):
                await analysed(bifrost)
                before = stub.calls
                with server.client() as client:
                    (place,) = client.keys("*:report:*")
                    client.delete(place)
                    if value is None:
                        client.lpush(place, "x")
                    else:
                        client.set(place, value)
                again = await analysed(bifrost)
                hit = await analysed(bifrost)
                seen = (
                    f"{'a hit' if again.cache.hit else 'a miss'}, {stub.calls - before} call, "
                    f"then {'a hit' if hit.cache.hit else 'a miss'}"
                )
                passed = not again.cache.hit and stub.calls == before + 1 and hit.cache.hit
                rows.append(Row(f"F16 {name} in Redis", "a miss, 1 call, then a hit", seen, passed))
    except CacheUnavailable as error:
        rows.append(Row("F16", "no error", error.message, False))
    finally:
        server.close()
    return rows
