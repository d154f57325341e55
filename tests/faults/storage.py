"""Databases that are down, frozen, locked, full, killed, or upgraded by many at once."""

import asyncio
import json
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg

from bifrost_adapters.slots import administer, open_slot
from bifrost_adapters.storage.migrations import HEAD
from bifrost_domain.errors import SchemaMismatch, StorageFull, StorageUnavailable
from bifrost_domain.history import HistoryQuery
from tests.builders import an_analysis
from tests.contract.servers.postgres import Postgres
from tests.faults import Row

ROOT = Path(__file__).parents[2]
ANSWERED_SECONDS = 10.0


async def f17(workdir: Path, quick: bool) -> list[Row]:
    """PostgreSQL is down at the start."""
    server = await asyncio.to_thread(Postgres)
    try:
        url = await _upgraded(server)
        await asyncio.to_thread(server.stop)
        began = time.monotonic()
        told = ""
        try:
            async with open_slot("storage", "postgres", {"url": url}):
                pass
        except StorageUnavailable as error:
            told = error.message
        took = time.monotonic() - began
        await asyncio.to_thread(server.start)
        began = time.monotonic()
        async with open_slot("storage", "postgres", {"url": url}) as storage:
            await storage.analyses.add(an_analysis())
        seen = f"told after {took:.1f} s ({told}); works {time.monotonic() - began:.1f} s after its start"
        return [
            Row("F17 PostgreSQL down at the start", "told at once; works when it is up", seen, bool(told) and took < 10)
        ]
    finally:
        await asyncio.to_thread(server.close)


async def f18(workdir: Path, quick: bool) -> list[Row]:
    """PostgreSQL is frozen, then killed, under ten writes a second."""
    server = await asyncio.to_thread(lambda: Postgres(durable=True))
    rows = []
    try:
        url = await _upgraded(server)
        for name in ("frozen for 15 s", "killed and started again"):
            async with open_slot("storage", "postgres", {"url": url}) as storage:
                ended: list[tuple[float, float, str | None]] = []

                async def write(storage: Any = storage, ended: list[Any] = ended, name: str = name) -> None:
                    began = time.monotonic()
                    made = an_analysis(id=f"{name}-{began}-{random.random()}")
                    try:
                        await storage.analyses.add(made)
                        ended.append((began, time.monotonic() - began, made.id))
                    except StorageUnavailable:
                        ended.append((began, time.monotonic() - began, None))

                async def load(seconds: float, running: set[asyncio.Task[None]], write: Any = write) -> None:
                    until = time.monotonic() + seconds
                    while time.monotonic() < until:
                        running.add(asyncio.create_task(write()))
                        await asyncio.sleep(0.1)

                running: set[asyncio.Task[None]] = set()
                await load(2, running)
                if name.startswith("frozen"):
                    server.send(signal.SIGSTOP)
                    await load(15, running)
                    server.send(signal.SIGCONT)
                else:
                    server.send(signal.SIGKILL)
                    await asyncio.to_thread(server.stop)
                    await load(2, running)
                    await asyncio.to_thread(server.start)
                back = time.monotonic()
                await load(10, running)
                await asyncio.gather(*running)
                lost = 0
                for _, _, id in ended:
                    if id is not None and (await storage.analyses.get(id)).id != id:
                        lost += 1
                longest = max(took for _, took, _ in ended)
                healed = min((began - back for began, _, id in ended if id is not None and began >= back), default=99.0)
                failed = sum(id is None for _, _, id in ended)
            seen = (
                f"{len(ended)} writes, {failed} refused, the longest took {longest:.1f} s, "
                f"works {healed:.1f} s after its return, {lost} acknowledged lost"
            )
            passed = longest <= ANSWERED_SECONDS + 0.5 and healed < 10 and not lost
            rows.append(Row(f"F18 PostgreSQL {name}", "no call over 10 s, works within 10 s, none lost", seen, passed))
        return rows
    finally:
        await asyncio.to_thread(server.close)


async def f19(workdir: Path, quick: bool) -> list[Row]:
    """Another program holds SQLite's lock."""
    path = workdir / "bifrost.db"
    rows = []
    async with open_slot("storage", "sqlite", {"path": str(path)}) as storage:
        await storage.analyses.add(an_analysis())
        for seconds in (3.0, 8.0):
            held = threading.Event()

            def hold(seconds: float = seconds, held: threading.Event = held) -> None:
                with closing(sqlite3.connect(path, isolation_level=None)) as other:
                    other.execute("BEGIN EXCLUSIVE")
                    held.set()
                    time.sleep(seconds)
                    other.execute("COMMIT")

            holding = asyncio.create_task(asyncio.to_thread(hold))
            await asyncio.to_thread(held.wait)
            began = time.monotonic()
            try:
                await storage.analyses.add(an_analysis())
                told = "stored"
            except StorageUnavailable as error:
                told = f"refused ({error.message.rpartition(' is ')[2]})"
            took = time.monotonic() - began
            await holding
            await storage.analyses.add(an_analysis())
            wanted = "stored" if seconds < 5 else "refused"
            rows.append(
                Row(
                    f"F19 SQLite locked for {seconds:.0f} s",
                    f"{wanted} within 6 s, stored afterwards",
                    f"{told} after {took:.1f} s, stored afterwards",
                    told.startswith(wanted) and took < 6,
                )
            )
    return rows


_FILLER = """
import asyncio, resource, sys
from bifrost_adapters.slots import open_slot
from bifrost_domain.errors import StorageFull
from tests.builders import an_analysis

async def main():
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    async with open_slot("storage", "sqlite", {"path": sys.argv[1]}) as storage:
        for number in range(10_000):
            try:
                await storage.analyses.add(an_analysis(id=f"id-{number}", root_cause="x" * 20_000))
            except StorageFull as error:
                print(number, error.slug, (await storage.analyses.get("id-0")).id)
                return

import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
asyncio.run(main())
"""


async def f20(workdir: Path, quick: bool) -> list[Row]:
    """SQLite's file may not grow."""
    path = workdir / "bifrost.db"
    most = 4 << 20
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _FILLER, str(path), str(most)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    written, slug, read = (*done.stdout.split(), "", "", "")[:3]
    with closing(sqlite3.connect(path)) as connection:
        whole = connection.execute("PRAGMA integrity_check").fetchone()[0]
    async with open_slot("storage", "sqlite", {"path": str(path)}) as storage:
        await storage.analyses.add(an_analysis(id="later"))
        kept = sum([1 async for _ in storage.analyses.export(HistoryQuery())])
    seen = f"{slug} after {written} rows, reads {read}, integrity {whole}, {kept} rows with one more afterwards"
    passed = slug == StorageFull.slug and read == "id-0" and whole == "ok" and kept == int(written or 0) + 1
    return [Row("F20 the disk is full", "storage-full, reads work, whole, all rows there, works again", seen, passed)]


async def f21(workdir: Path, quick: bool) -> list[Row]:
    """A writer is killed in the middle, over and over; then PostgreSQL itself is."""
    rounds = 10 if quick else 200
    rows = []
    path = workdir / "bifrost.db"
    rows.append(await _killed("SQLite", "sqlite", {"path": str(path)}, rounds))
    with closing(sqlite3.connect(path)) as connection:
        whole = connection.execute("PRAGMA integrity_check").fetchone()[0]
    left = sorted(file.name for file in workdir.iterdir())
    rows.append(
        Row(
            "F21 SQLite afterwards",
            "integrity ok, no other files",
            f"integrity {whole}, {left}",
            whole == "ok" and set(left) <= {"bifrost.db", "bifrost.db-wal", "bifrost.db-shm"},
        )
    )
    server = await asyncio.to_thread(lambda: Postgres(durable=True))
    try:
        url = await _upgraded(server)
        rows.append(await _killed("PostgreSQL's client", "postgres", {"url": url}, max(5, rounds // 4)))
        rows.append(await _killed("PostgreSQL itself", "postgres", {"url": url}, max(2, rounds // 40), server))
    finally:
        await asyncio.to_thread(server.close)
    return rows


async def _killed(name: str, kind: str, options: dict[str, str], rounds: int, server: Postgres | None = None) -> Row:
    kept: list[str] = []
    lost = half = 0
    for _ in range(rounds):
        command = [sys.executable, "-m", "tests.contract.history_writer", kind, json.dumps(options)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT)
        assert writer.stdout is not None
        first = await asyncio.to_thread(writer.stdout.readline)
        await asyncio.sleep(random.uniform(0, 0.5))
        if server is not None:
            server.send(signal.SIGKILL)
            await asyncio.to_thread(server.stop)
        writer.kill()
        kept += [first.strip(), *(line.strip() for line in writer.stdout if line.endswith("\n"))]
        writer.wait()
        if server is not None:
            await asyncio.to_thread(server.start)
    async with open_slot("storage", kind, options) as storage:
        stored = {analysis.id: analysis async for analysis in storage.analyses.export(HistoryQuery())}
        lost = sum(id not in stored for id in kept)
        for analysis in stored.values():
            incident = await storage.analyses.incident(analysis.cache.fingerprint)
            break
        half = 0 if incident is not None and incident.seen == len(stored) else 1
    seen = f"{len(kept)} acknowledged in {rounds} rounds, {lost} lost; incidents {'right' if not half else 'wrong'}"
    return Row(f"F21 {name} killed while writing", "none lost, no half row", seen, not lost and not half)


_UPGRADE = """
import asyncio, json, sys
from bifrost_adapters.slots import administer

async def main():
    async with administer("storage", sys.argv[1], json.loads(sys.argv[2])) as schema:
        print(" ".join(await schema.upgrade()))

asyncio.run(main())
"""


async def f25(workdir: Path, quick: bool) -> list[Row]:
    """Four upgrades at once, of a fresh database and of one a revision behind; then the one at work is killed."""
    rounds = 3 if quick else 20
    rows = []
    server = await asyncio.to_thread(Postgres)
    try:
        for kind in ("sqlite", "postgres"):
            for state in ("fresh", "one behind"):
                good = 0
                for number in range(rounds):
                    options = await _database(kind, server, workdir / f"{kind}-{state}-{number}.db")
                    if state == "one behind":
                        await _downgrade(kind, options)
                    ran = await _four_upgrades(kind, options)
                    wanted = ["0002"] if state == "one behind" else ["0001", "0002"]
                    good += sorted(" ".join(ran).split()) == wanted
                seen = f"{good} of {rounds} rounds"
                rows.append(
                    Row(
                        f"F25 {kind}, {state}: 4 upgrades at once",
                        f"{rounds} rounds: each revision run once",
                        seen,
                        good == rounds,
                    )
                )
            options = await _database(kind, server, workdir / f"{kind}-killed.db")
            command = [sys.executable, "-c", _UPGRADE, kind, json.dumps(options)]
            for delay in (0.6, 0.9, 1.2):
                victim = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                await asyncio.sleep(delay)
                victim.kill()
                victim.wait()
            began = time.monotonic()
            await _four_upgrades(kind, options)
            async with administer("storage", kind, options) as schema:
                status = await schema.status()
            seen = f"revision {status.current} after {time.monotonic() - began:.1f} s"
            rows.append(
                Row(
                    f"F25 {kind}: the one at work is killed", f"the next finishes: {HEAD}", seen, status.current == HEAD
                )
            )
            await _newer(kind, options)
            try:
                async with open_slot("storage", kind, options):
                    told = "opened"
            except SchemaMismatch as error:
                told = error.message
            rows.append(Row(f"F25 {kind}: a newer schema", "refused as ahead", told, "ahead of this program" in told))
    finally:
        await asyncio.to_thread(server.close)
    return rows


async def _four_upgrades(kind: str, options: dict[str, str]) -> list[str]:
    command = [sys.executable, "-c", _UPGRADE, kind, json.dumps(options)]
    running = [
        await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE) for _ in range(4)
    ]
    outputs = [(await process.communicate())[0].decode() for process in running]
    return [output if process.returncode == 0 else "failed" for process, output in zip(running, outputs, strict=True)]


async def _database(kind: str, server: Postgres, path: Path) -> dict[str, str]:
    return {"path": str(path)} if kind == "sqlite" else {"url": await asyncio.to_thread(server.database)}


async def _upgraded(server: Postgres) -> str:
    url = await asyncio.to_thread(server.database)
    async with administer("storage", "postgres", {"url": url}) as schema:
        await schema.upgrade()
    return url


async def _downgrade(kind: str, options: dict[str, str]) -> None:
    """To the revision before the last one."""
    async with administer("storage", kind, options) as schema:
        await schema.upgrade()
    statements = (
        *(
            f"DROP TABLE {name}"
            for name in (
                "audit_events",
                "api_keys",
                "prompt_label_moves",
                "prompt_versions",
                "prompts",
                "analysis_metrics",
                "incidents",
            )
        ),
        "ALTER TABLE analyses DROP COLUMN provenance",
        "UPDATE alembic_version SET version_num = '0001'",
    )
    if kind == "sqlite":
        statements = ("DROP TABLE analyses_terms", *statements)
    await _execute(kind, options, *statements)


async def _newer(kind: str, options: dict[str, str]) -> None:
    await _execute(kind, options, f"UPDATE alembic_version SET version_num = '{int(HEAD) + 1:04}'")


async def _execute(kind: str, options: dict[str, str], *statements: str) -> None:
    if kind == "sqlite":
        with closing(sqlite3.connect(options["path"])) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        return
    connection = await asyncpg.connect(options["url"])
    for statement in statements:
        await connection.execute(statement)
    await connection.close()
