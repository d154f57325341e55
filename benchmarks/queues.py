"""The queues beside each other on one PostgreSQL: `python -m benchmarks.queues [--seconds 60]`, about four minutes.

Two replicas, processes of their own, run items offline, so that nothing but the queue and the storage costs time. Shown:
what an idle replica costs the database and the processors, how long an item waits until another process takes it, and
what an item of a batch of 300 costs. Times are wall clock but for the processor's, which are those of all processes
together, PostgreSQL's included.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import asyncpg
from tests.contract.servers.postgres import Postgres, database_of, shared
from tests.faults.batch import work
from tests.faults.stage import LOG, Text, environment

from bifrost_domain.analysis import Request
from bifrost_domain.application import Application
from bifrost_domain.batch import BatchOptions
from bifrost_domain.logs.digest import Digest
from bifrost_entrypoints.container import open_application
from bifrost_entrypoints.settings import load

REPLICAS = 2
SINGLES = 40
ITEMS = 300


async def measure(kind: str, seconds: float, workdir: Path) -> dict[str, str]:
    url = database_of(workdir)
    variables = environment(
        workdir,
        "http://127.0.0.1:1",
        BIFROST_PROVIDER="heuristic",
        BIFROST_DATABASE_URL=url,
        BIFROST_QUEUE__KIND=kind,
    )
    os.environ["XDG_DATA_HOME"] = variables["XDG_DATA_HOME"]
    async with AsyncExitStack() as stack:
        bifrost = await stack.enter_async_context(open_application(load(environment=variables).settings))
        pids = [await stack.enter_async_context(_replica(variables)) for _ in range(REPLICAS)]
        reader = await asyncpg.connect(url)
        stack.push_async_callback(reader.close)
        digest = await bifrost.analyst.prepare(Request(name="app.log", kind="file", logs=(Text(LOG),)))
        await _done(bifrost, [digest] * 20)
        await asyncio.sleep(5)

        commits, busy = await _commits(reader), _busy(pids)
        await asyncio.sleep(seconds)
        idle_commits, idle_busy = await _commits(reader) - commits, _busy(pids) - busy

        waits = sorted([await _wait(bifrost, digest) for _ in range(SINGLES)])

        await asyncio.sleep(3)
        commits, busy, began = await _commits(reader), _busy(pids), time.perf_counter()
        await _done(bifrost, [digest] * ITEMS)
        took = time.perf_counter() - began
        await asyncio.sleep(2)
        spent, committed = _busy(pids) - busy, await _commits(reader) - commits
    return {
        "idle: transactions a minute and replica": f"{idle_commits / REPLICAS * 60 / seconds:.0f}",
        "idle: processor ms a minute and replica": f"{idle_busy / REPLICAS * 60 / seconds * 1000:.0f}",
        "until another process takes an item: median ms": f"{statistics.median(waits):.0f}",
        "the same, the worst but one in twenty: ms": f"{waits[-SINGLES // 20]:.0f}",
        f"a batch of {ITEMS}: items a second": f"{ITEMS / took:.0f}",
        "the same: transactions an item": f"{committed / ITEMS:.1f}",
        "the same: processor ms an item": f"{spent / ITEMS * 1000:.1f}",
    }


async def _done(bifrost: Application, digests: list[Digest]) -> str:
    """A batch of these, over; gives its id."""
    batch = await bifrost.batches.submit(digests, BatchOptions())
    async with aclosing(bifrost.batches.changes(batch.id)) as changes:
        async for _ in changes:
            pass
    return batch.id


async def _wait(bifrost: Application, digest: Digest) -> float:
    """Milliseconds from handing in a batch of one item to the beginning of its analysis in another process."""
    await asyncio.sleep(random.uniform(0.1, 1.0))
    id = await _done(bifrost, [digest])
    batch, (item,) = await bifrost.batches.get(id), (await bifrost.batches.items(id)).items
    analysis = await (await bifrost.open_storage()).analyses.get(item.result)
    begun = analysis.created_at - timedelta(milliseconds=analysis.duration_ms)
    return (begun - batch.created_at) / timedelta(milliseconds=1)


@asynccontextmanager
async def _replica(variables: dict[str, str]) -> AsyncIterator[int]:
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.queues", "--serve", env=variables)
    try:
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def _commits(reader: asyncpg.Connection) -> int:
    await asyncio.sleep(1.5)
    await reader.execute("SELECT pg_stat_clear_snapshot()")
    found: int = await reader.fetchval("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
    return found


def _busy(pids: list[int]) -> float:
    """Processor seconds of the replicas and of PostgreSQL with those of its processes that have ended."""
    server: Postgres = shared()
    assert server._process is not None
    main = server._process.pid
    children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
    ticks = 0
    for pid in (*pids, main, *map(int, children)):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:13])) + (sum(map(int, fields[13:15])) if pid == main else 0)
    return ticks / os.sysconf("SC_CLK_TCK")


async def main(seconds: float) -> None:
    kinds = ("stored", "pgqueuer")
    columns = []
    for kind in kinds:
        with tempfile.TemporaryDirectory(prefix="bifrost-queues-") as workdir:
            columns.append(await measure(kind, seconds, Path(workdir)))
    sys.stdout.write(f"{'':52}{kinds[0]:>10}{kinds[1]:>10}\n")
    for name in columns[0]:
        sys.stdout.write(f"{name:52}{columns[0][name]:>10}{columns[1][name]:>10}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    asyncio.run(work() if given.serve else main(given.seconds))
