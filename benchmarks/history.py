"""How a long history answers: `python -m benchmarks.history [ROWS]` (default 1,000,000).

Prints medians in milliseconds, and each as a ratio to the first page of 50. The rows are written straight into the
table, as the adapter would write them, since a million of single commits say nothing about reading.
"""

import asyncio
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import msgspec
from tests.builders import START, an_analysis, an_evidence

from bifrost_adapters.slots import open_slot
from bifrost_adapters.storage import _rows, _sql
from bifrost_domain.history import HistoryQuery
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
            root_cause="needle" if number == rows // 2 else "a cause",
            evidence=(an_evidence(quote=quote),),
        )


def fill(path: Path, rows: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        made = map(_sql._to_row, analyses(rows))
        first = next(made)
        insert = f"INSERT INTO analyses ({', '.join(first)}) VALUES ({', '.join(':' + name for name in first)})"
        with connection:
            connection.execute(insert, first)
            connection.executemany(insert, made)


async def median(call: Callable[[], Awaitable[object]]) -> float:
    """Of some rounds, in milliseconds."""
    await call()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await call()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


async def main(rows: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "bifrost.db"
        async with open_slot("storage", "sqlite", {"path": str(path)}):
            pass
        began = time.perf_counter()
        await asyncio.to_thread(fill, path, rows)
        print(
            f"{rows:,} rows written in {time.perf_counter() - began:.0f} s, {path.stat().st_size / rows:.0f} bytes each"
        )
        async with open_slot("storage", "sqlite", {"path": str(path)}) as storage:
            deep = START + timedelta(seconds=rows // 10)
            cursor = _rows.to_cursor(_rows.place(deep))
            queries = {
                "first page": HistoryQuery(),
                f"page {rows * 9 // 10:,} rows deep": HistoryQuery(cursor=cursor),
                "severity, rare": HistoryQuery(severity=Severity.CRITICAL),
                "severity, rare, deep": HistoryQuery(severity=Severity.CRITICAL, cursor=cursor),
                "search, common word": HistoryQuery(text="connection"),
                "search, common word, deep": HistoryQuery(text="connection", cursor=cursor),
                "search, two common words": HistoryQuery(text="연결풀이 고갈"),
                "search, common, rare severity": HistoryQuery(text="timeout", severity=Severity.CRITICAL),
                "search, one hit": HistoryQuery(text="needle"),
                "search, no hit": HistoryQuery(text="nowhere-to-be-found"),
                "search, two characters": HistoryQuery(text="풀이"),
                "search, two characters, no hit": HistoryQuery(text="Ωж"),
            }
            base = None
            for name, query in queries.items():
                took = await median(lambda query=query: storage.analyses.search(query))  # type: ignore[misc]
                base = base or took
                print(f"{name:32} {took:9.2f} ms  {took / base:8.2f} x")
            for name, call in {
                "get": lambda: storage.analyses.get(f"id-{rows // 3}"),
                "incident": lambda: storage.analyses.incident(f"{5:016x}"),
            }.items():
                took = await median(call)
                print(f"{name:32} {took:9.2f} ms  {took / base:8.2f} x")
            base_analysis = an_analysis()
            numbers = iter(range(ROUNDS + 1))
            took = await median(
                lambda: storage.analyses.add(msgspec.structs.replace(base_analysis, id=f"new-{next(numbers)}"))
            )
            print(f"{'add':32} {took:9.2f} ms")
            began = time.perf_counter()
            await storage.analyses.delete("new-0")
            print(f"{'delete, erased from the index':32} {(time.perf_counter() - began) * 1000:9.0f} ms")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
