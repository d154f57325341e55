"""How a long history answers, on SQLite and on PostgreSQL: `python -m benchmarks.storage [ROWS] [--only sqlite]`.

Prints medians in milliseconds, and each as a ratio to the first page of 50. A million rows unless told. They are written
straight into the tables, as the adapters would write them, since a million single commits say nothing about reading.
PostgreSQL is that of the tests, from a wheel, with its own default settings.
"""

import argparse
import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import asyncpg
import msgspec
from tests.builders import START, an_analysis, an_evidence
from tests.contract.servers.postgres import Postgres

from bifrost_adapters.slots import administer, open_slot
from bifrost_adapters.storage import _analyses, _rows
from bifrost_domain.history import HistoryQuery
from bifrost_domain.ports import Storage
from bifrost_domain.report import Analysis, Category, Severity

ROUNDS = 9
WORDS = (
    "connection",
    "refused",
    "timeout",
    "upstream",
    "연결풀이",
    "고갈되었습니다",
    "pod",
    "evicted",
    "kernel",
    "signal",
)


def analyses(rows: int) -> Iterator[Analysis]:
    chance = random.Random(7)
    for number in range(rows):
        quote = " ".join(chance.choices(WORDS, k=12)) + f" {chance.getrandbits(64):016x}"
        yield an_analysis(
            id=f"id-{number}",
            created_at=START + timedelta(seconds=number),
            severity=Severity.CRITICAL if number % 1000 == 0 else chance.choice([Severity.ERROR, Severity.WARNING]),
            category=chance.choice(list(Category)),
            fingerprint=f"{chance.randrange(rows // 10 + 1):016x}",
            root_cause="a needle øż in it" if number == rows // 2 else "a cause",
            evidence=(an_evidence(quote=quote),),
        )


INCIDENTS = (
    "INSERT INTO incidents (fingerprint, seen, first_at, last_at) "
    "SELECT fingerprint, count(*), min(at), max(at) FROM analyses GROUP BY fingerprint"
)


def rows_of(count: int) -> Iterator[dict[str, object]]:
    return map(_analyses.to_row, analyses(count))


def fill_sqlite(path: Path, rows: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        made = rows_of(rows)
        first = next(made)
        insert = f"INSERT INTO analyses ({', '.join(first)}) VALUES ({', '.join(':' + name for name in first)})"
        with connection:
            connection.execute(insert, first)
            connection.executemany(insert, made)
            connection.execute(INCIDENTS)


async def fill_postgres(url: str, rows: int) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TEMP TABLE texts (at BIGINT, trigrams TEXT[])")
    made, left = rows_of(rows), rows
    while left:
        part = [row for _, row in zip(range(min(left, 20_000)), made, strict=False)]
        left -= len(part)
        await connection.copy_records_to_table(
            "analyses", columns=list(part[0]), records=[tuple(row.values()) for row in part]
        )
        texts = [(row["at"], row["text"]) for row in part]
        trigrams = [(at, sorted({text[i : i + 3] for i in range(len(text) - 2)})) for at, text in texts]
        await connection.copy_records_to_table("texts", columns=["at", "trigrams"], records=trigrams)
        await connection.execute("INSERT INTO analyses_text SELECT at, array_to_tsvector(trigrams) FROM texts")
        await connection.execute("TRUNCATE texts")
    await connection.execute(INCIDENTS)
    for table in ("analyses", "analyses_text", "incidents"):
        await connection.execute(f"VACUUM ANALYZE {table}")
    await connection.close()


async def median(call: Callable[[], Awaitable[object]]) -> float:
    """Of some rounds, in milliseconds."""
    await call()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await call()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


async def measure(storage: Storage, rows: int) -> None:
    history = storage.analyses
    deep = START + timedelta(seconds=rows // 10)
    cursor = _rows.to_cursor(_rows.place(deep))
    queries = {
        "first page": HistoryQuery(),
        f"page {rows * 9 // 10:,} rows deep": HistoryQuery(cursor=cursor),
        "severity, rare": HistoryQuery(severity=Severity.CRITICAL),
        "severity, rare, deep": HistoryQuery(severity=Severity.CRITICAL, cursor=cursor),
        "source, category, of a day": HistoryQuery(
            source="app.log", category=Category.DATABASE, since=deep, until=deep + timedelta(days=1)
        ),
        "search, common word": HistoryQuery(text="connection"),
        "search, common word, deep": HistoryQuery(text="connection", cursor=cursor),
        "search, two common words": HistoryQuery(text="연결풀이 고갈"),
        "search, common, rare severity": HistoryQuery(text="timeout", severity=Severity.CRITICAL),
        "search, common, common severity": HistoryQuery(text="timeout", severity=Severity.ERROR),
        "search, one hit": HistoryQuery(text="needle"),
        "search, no hit": HistoryQuery(text="nowhere-to-be-found"),
        "search, two characters": HistoryQuery(text="풀이"),
        "search, two characters, one hit": HistoryQuery(text="øż"),
        "search, two characters, no hit": HistoryQuery(text="Ωж"),
        "search, one character, one hit": HistoryQuery(text="ø"),
    }
    base = None
    for name, query in queries.items():
        took = await median(lambda query=query: history.search(query))  # type: ignore[misc]
        base = base or took
        print(f"{name:34} {took:9.2f} ms  {took / base:8.2f} x", flush=True)
    assert base is not None
    for name, call in {
        "get": lambda: history.get(f"id-{rows // 3}"),
        "incident": lambda: history.incident(f"{5:016x}"),
        "incidents, first page": lambda: history.incidents(),
    }.items():
        took = await median(call)
        print(f"{name:34} {took:9.2f} ms  {took / base:8.2f} x", flush=True)
    analysis = an_analysis()
    numbers = iter(range(ROUNDS + 1))
    took = await median(lambda: history.add(msgspec.structs.replace(analysis, id=f"new-{next(numbers)}")))
    print(f"{'add':34} {took:9.2f} ms  {took / base:8.2f} x", flush=True)
    numbers = iter(range(ROUNDS + 1))
    took = await median(lambda: history.delete(f"new-{next(numbers)}"))
    print(f"{'delete':34} {took:9.2f} ms  {took / base:8.2f} x", flush=True)


async def on_sqlite(rows: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "bifrost.db"
        async with open_slot("storage", "sqlite", {"path": str(path)}):
            pass
        began = time.perf_counter()
        await asyncio.to_thread(fill_sqlite, path, rows)
        took = time.perf_counter() - began
        print(f"SQLite: {rows:,} rows written in {took:.0f} s, {path.stat().st_size / rows:.0f} bytes each", flush=True)
        async with open_slot("storage", "sqlite", {"path": str(path)}) as storage:
            await measure(storage, rows)


async def on_postgres(rows: int) -> None:
    server = await asyncio.to_thread(Postgres)
    try:
        url = await asyncio.to_thread(server.database)
        async with administer("storage", "postgres", {"url": url}) as schema:
            await schema.upgrade()
        began = time.perf_counter()
        await fill_postgres(url, rows)
        took = time.perf_counter() - began
        connection = await asyncpg.connect(url)
        size = await connection.fetchval("SELECT pg_database_size(current_database())")
        await connection.close()
        print(f"PostgreSQL: {rows:,} rows written in {took:.0f} s, {size / rows:.0f} bytes each", flush=True)
        async with open_slot("storage", "postgres", {"url": url}) as storage:
            await measure(storage, rows)
    finally:
        await asyncio.to_thread(server.close)


DATABASES = {"sqlite": on_sqlite, "postgres": on_postgres}


async def main(rows: int, only: str | None) -> None:
    for name, run in DATABASES.items():
        if only in (None, name):
            await run(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--only", choices=list(DATABASES))
    given = parser.parse_args()
    asyncio.run(main(given.rows, given.only))
