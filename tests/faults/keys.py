"""API keys under clocks that differ, and revoked while another replica uses them."""

import asyncio
import json
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bifrost_adapters.slots import open_slot
from bifrost_domain.errors import Unauthenticated
from bifrost_domain.keyring import KeyRing
from bifrost_domain.keys import Limit
from bifrost_domain.ports import Cache, Storage
from tests.contract.servers.valkey import Valkey
from tests.faults import Row

ROOT = Path(__file__).parents[2]
REFUSED_SECONDS = 5.0
PEPPERS = {1: b"pepper" * 6}


def a_ring(storage: Storage, cache: Cache, skew: timedelta = timedelta(0)) -> KeyRing:
    async def open_storage() -> Storage:
        return storage

    async def open_cache() -> Cache:
        return cache

    return KeyRing(
        open_storage=open_storage,
        open_cache=open_cache,
        peppers=PEPPERS,
        clock=lambda: datetime.now(UTC) + skew,
        monotonic=time.monotonic,
        entropy=os.urandom,
        new_id=lambda: os.urandom(16).hex(),
    )


async def f26(workdir: Path, quick: bool) -> list[Row]:
    """A replica whose clock is a day ahead, and one whose clock is a day behind."""
    rows = []
    async with (
        open_slot("storage", "sqlite", {"path": str(workdir / "bifrost.db")}) as storage,
        open_slot("cache", "memory", {}) as cache,
    ):
        here = a_ring(storage, cache)
        issued = await here.issue("ci", lifetime=timedelta(hours=12), actor="me")
        for name, days, good in (("ahead", 1, False), ("behind", -1, True)):
            there = a_ring(storage, cache, timedelta(days=days))
            try:
                await there.authenticate(issued.text)
                seen = "accepted"
            except Unauthenticated:
                seen = "refused"
            quota = await there.throttle(issued.key)
            seen += f", {quota.remaining} requests left, reset in {quota.reset:.0f} s"
            expected = "accepted" if good else "refused: by its clock the key is over"
            passed = seen.startswith("accepted" if good else "refused") and 0 <= quota.reset <= 60
            rows.append(
                Row(f"F26 a clock a day {name}, a key of 12 hours", f"{expected}; no negative times", seen, passed)
            )
        await here.revoke(issued.key.id, actor="me")
        refused = 0
        for days in (-1, 0, 1):
            try:
                await a_ring(storage, cache, timedelta(days=days)).authenticate(issued.text)
            except Unauthenticated:
                refused += 1
        rows.append(
            Row("F26 a revoked key under three clocks", "refused by all", f"refused by {refused}", refused == 3)
        )
    return rows


async def revocation(workdir: Path, quick: bool) -> list[Row]:
    """Two processes share a database; one uses a key all the time, the other revokes it."""
    rows = []
    for name in ("on", "killed", "frozen"):
        server = Valkey()
        try:
            path = workdir / f"{name}.db"
            url = server.url
            async with (
                open_slot("storage", "sqlite", {"path": str(path)}) as storage,
                open_slot("cache", "redis", {"url": url}) as cache,
            ):
                ring = a_ring(storage, cache)
                issued = await ring.issue("ci", limit=Limit(per_minute=10**6), actor="me")
                other = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "tests.faults.keys",
                    str(path),
                    url,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    cwd=ROOT,
                )
                assert other.stdin is not None
                assert other.stdout is not None
                other.stdin.write(issued.text.encode() + b"\n")
                await other.stdin.drain()
                assert (await other.stdout.readline()).strip() == b"accepted"
                if name == "killed":
                    server.stop(signal.SIGKILL)
                elif name == "frozen":
                    server.send(signal.SIGSTOP)
                await ring.revoke(issued.key.id, actor="me")
                began = time.time()
                told = json.loads(await asyncio.wait_for(other.stdout.readline(), 30))
                await other.wait()
                after = told["refused_at"] - began
                seen = f"refused after {after:.1f} s, {told['accepted']} times accepted before"
                rows.append(
                    Row(
                        f"a revoked key elsewhere, Redis {name}",
                        f"refused within {REFUSED_SECONDS:.0f} s",
                        seen,
                        after <= REFUSED_SECONDS,
                    )
                )
        finally:
            server.close()
    return rows


async def use_until_refused(path: str, url: str) -> None:
    """The other process: says when the key that it reads from its input is no longer good.

    Each use counts in Redis too, so that what becomes of Redis is in its way.
    """
    text = sys.stdin.readline().strip()
    async with (
        open_slot("storage", "sqlite", {"path": path}) as storage,
        open_slot("cache", "redis", {"url": url}) as cache,
    ):
        ring = a_ring(storage, cache)
        await ring.throttle(await ring.authenticate(text, address="10.0.0.1"))
        sys.stdout.write("accepted\n")
        sys.stdout.flush()
        accepted = 0
        while True:
            try:
                await ring.throttle(await ring.authenticate(text, address="10.0.0.1"))
                accepted += 1
            except Unauthenticated:
                sys.stdout.write(json.dumps({"refused_at": time.time(), "accepted": accepted}) + "\n")
                return
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(use_until_refused(sys.argv[1], sys.argv[2]))
