"""Batches whose workers are killed or told to stop in the middle, and items that would kill them."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from bifrost_domain.analysis import Request
from bifrost_domain.application import Application
from bifrost_domain.batch import MOST_ATTEMPTS, BatchItem, BatchOptions, Status
from bifrost_domain.history import HistoryQuery
from bifrost_domain.logs.digest import Digest
from bifrost_domain.ports import Completed, Delta, ModelDescription, ModelEvent, ModelIdentity
from bifrost_domain.prompt import Prompt
from bifrost_entrypoints.container import open_application
from bifrost_entrypoints.settings import load
from tests.contract.servers import postgres
from tests.faults import Row
from tests.faults.stage import ANSWER, LOG, Text, answering, environment, opened

ROOT = Path(__file__).parents[2]
AT_ONCE = 4
ITEMS = 100


async def f23(workdir: Path, quick: bool) -> list[Row]:
    """A worker is killed or told to stop in the middle of a batch, and another one goes on."""
    ways = {"SQLite": None, "PostgreSQL, stored": "stored", "PostgreSQL, pgqueuer": "pgqueuer"}
    signals = (signal.SIGKILL,) if quick else (signal.SIGKILL, signal.SIGTERM)
    return [
        await _stopped(workdir / f"{way}-{number.name}", way, number, queue)
        for way, queue in ways.items()
        for number in signals
    ]


async def _stopped(workdir: Path, way: str, number: signal.Signals, queue: str | None) -> Row:
    workdir.mkdir()
    settings = {"BIFROST_QUEUE__AT_ONCE": str(AT_ONCE)}
    if queue is not None:
        settings |= {"BIFROST_DATABASE_URL": postgres.database_of(workdir), "BIFROST_QUEUE__KIND": queue}
    async with answering(0.1) as stub, opened(workdir, stub, **settings) as bifrost:
        batch = await bifrost.batches.submit(await _digests(bifrost), BatchOptions())
        first = await _worker(workdir, stub.url, settings)
        while stub.calls < 0.4 * ITEMS:
            await asyncio.sleep(0.01)
        first.send_signal(number)
        await first.wait()
        left = (await bifrost.batches.get(batch.id)).counts
        second = await _worker(workdir, stub.url, settings)
        async with aclosing(bifrost.batches.changes(batch.id)) as changes:
            async for _ in changes:
                pass
        second.send_signal(signal.SIGTERM)
        await second.wait()
        items = (await bifrost.batches.items(batch.id, limit=ITEMS)).items
        stored = (await (await bifrost.open_storage()).analyses.search(HistoryQuery(limit=1000))).items
        done = {item.analysis for item in items if item.status is Status.DONE}
    same = len(done) == len(stored) == ITEMS and done == {row.id for row in stored}
    seen = (
        f"{left.done} done and {left.running} running when it ended; then {len(done)} done, {len(stored)} reports in "
        f"the history, {stub.calls} calls"
    )
    return Row(
        f"F23 {number.name} to a batch of {ITEMS}, {way}",
        f"{ITEMS} done, {ITEMS} reports, at most {ITEMS + AT_ONCE} calls",
        seen,
        same and stub.calls <= ITEMS + AT_ONCE,
    )


async def _digests(bifrost: Application) -> list[Digest]:
    wishes = [Request(name=f"{number}.log", kind="file", logs=(Text(_text(number)),)) for number in range(1, ITEMS + 1)]
    return [await bifrost.analyst.prepare(wish) for wish in wishes]


def _text(number: int) -> str:
    """A log that asks a question of its own: digits alone would not make it one."""
    word = "abcdefghij"[number % 10] * (number // 10 + 3)
    return f"{LOG}2026-11-20T03:05:56Z ERROR word{word}\n"


async def _worker(workdir: Path, url: str, settings: dict[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.faults.batch", cwd=ROOT, env=environment(workdir, url, **settings)
    )


async def f24(workdir: Path, quick: bool) -> list[Row]:
    """An item that makes its worker raise, and one that exceeds its time, each try."""
    rows = []
    for what, slug in (("raises", "internal-error"), ("hangs", "timed-out")):
        model = _Poisoned(hang=what == "hangs")
        limits = {"BIFROST_LIMITS__FIRST_TOKEN_SECONDS": "60", "BIFROST_QUEUE__ITEM_SECONDS": "1"}
        variables = environment(workdir / what, "http://127.0.0.1:1", **limits)
        os.environ["XDG_DATA_HOME"] = variables["XDG_DATA_HOME"]
        async with open_application(load(environment=variables).settings, models=model) as bifrost:
            async with bifrost.batches.serving():
                batch = await bifrost.batches.submit(await _digests(bifrost), BatchOptions())
                async with aclosing(bifrost.batches.changes(batch.id)) as changes:
                    async for _ in changes:
                        pass
            items = (await bifrost.batches.items(batch.id, limit=ITEMS)).items
        counted = Counter(item.status.value for item in items)
        rows.append(_quarantined(what, slug, counted, items[model.poison - 1], model.tried))
    return rows


def _quarantined(what: str, slug: str, counted: Counter[str], bad: BatchItem, tried: int) -> Row:
    told = "nothing" if bad.error is None else f"{bad.error.slug}: {bad.error.message}"
    return Row(
        f"F24 an item of {ITEMS} that {what}",
        f"tried at most {MOST_ATTEMPTS} times, failed with its reason, the others done",
        f"tried {tried} times, {dict(counted)}, told {told!r}",
        counted == {"done": ITEMS - 1, "failed": 1} and tried <= MOST_ATTEMPTS and told.startswith(slug),
    )


class _Poisoned:
    """The models of an application, of which one breaks in a way nobody foresaw, or hangs, at one of the logs."""

    poison = 7

    def __init__(self, *, hang: bool) -> None:
        self.identity = ModelIdentity(provider="ollama", model="m")
        self.tried = 0
        self._hang = hang

    async def open(self, name: str, model: str | None) -> Any:
        return self

    async def describe(self) -> ModelDescription:
        return ModelDescription(context_tokens=8192, max_output_tokens=1000, free=True)

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        word = _text(self.poison).split()[-1]
        if any(line.endswith(word) for line in prompt.user.splitlines()):
            self.tried += 1
            await asyncio.sleep(600 if self._hang else 0)
            raise ZeroDivisionError
        yield Delta(ANSWER)
        yield Completed(input_tokens=10, output_tokens=10)


async def work() -> None:
    """The other process: it serves until it is told to stop."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with open_application(load().settings) as bifrost, bifrost.batches.serving():
        await stopping.wait()


if __name__ == "__main__":
    asyncio.run(work())
