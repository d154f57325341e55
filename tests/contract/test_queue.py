"""What every queue promises of the items it brings, with one process and with several, of which one may be killed."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import asyncpg
import msgspec
import pytest

from bifrost_adapters.queue import pgqueuer
from bifrost_adapters.slots import administer, open_slot
from bifrost_domain.analysis import Limits, Request
from bifrost_domain.batch import BatchOptions, ItemRef, Status
from bifrost_domain.batches import Batches
from bifrost_domain.errors import StorageUnavailable
from bifrost_domain.ports import JobQueue
from bifrost_entrypoints.container import uuid7
from tests.contract.choices_queue import CHOICES, QueueChoice
from tests.contract.servers.postgres import Postgres
from tests.unit.test_analysis import ANSWER, LOG, Actor, Log, Stage

ROOT = Path(__file__).parents[2]
SOON = 5.0
"""Seconds in which all that is expected here happens by far."""


class Errands:
    """What is to be run, as the storage would know it: `due` until it ran."""

    def __init__(self) -> None:
        self.due: set[ItemRef] = set()
        self.ran: list[tuple[str, ItemRef]] = []
        self.running = 0
        self.most = 0
        self.hold = asyncio.Event()
        self.hold.set()
        self.changed = asyncio.Condition()
        self.away = False

    async def find(self, limit: int) -> Sequence[ItemRef]:
        if self.away:
            raise StorageUnavailable("away")
        return sorted(self.due)[:limit]

    def worker(self, name: str) -> Callable[[ItemRef], Awaitable[None]]:
        async def run(ref: ItemRef) -> None:
            if ref not in self.due:
                return
            self.due.discard(ref)
            self.running += 1
            self.most = max(self.most, self.running)
            async with self.changed:
                self.ran.append((name, ref))
                self.changed.notify_all()
            await self.hold.wait()
            self.running -= 1

        return run

    async def until(self, many: int, seconds: float = SOON) -> None:
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: len(self.ran) >= many)


@pytest.fixture(params=CHOICES.values(), ids=CHOICES.keys())
def choice(request: pytest.FixtureRequest) -> QueueChoice:
    made: QueueChoice = request.param
    return made


@asynccontextmanager
async def opened(choice: QueueChoice, path: Path, errands: Errands, **options: Any) -> AsyncIterator[JobQueue]:
    settings = choice.options(path) | options
    async with open_slot("queue", choice.kind, settings, due=errands.find, chance=Random(3).random) as queue:
        yield queue


def refs_of(many: int, batch: str = "b1") -> list[ItemRef]:
    return [ItemRef(batch, number) for number in range(1, many + 1)]


async def test_what_is_put_is_run_by_those_who_work(choice: QueueChoice, tmp_path: Path) -> None:
    errands = Errands()
    async with opened(choice, tmp_path, errands) as queue, queue.work(errands.worker("one"), 2):
        errands.due |= set(refs_of(9))
        await queue.put(refs_of(9))
        await queue.put([])
        await errands.until(9)
    assert sorted(ref for _, ref in errands.ran) == refs_of(9)


async def test_what_is_put_while_nobody_works_is_run_later(choice: QueueChoice, tmp_path: Path) -> None:
    errands = Errands()
    async with opened(choice, tmp_path, errands) as queue:
        errands.due |= set(refs_of(3))
        await queue.put(refs_of(3))
    async with opened(choice, tmp_path, errands) as queue, queue.work(errands.worker("one"), 2):
        await errands.until(3)


async def test_what_another_process_puts_is_run_here(choice: QueueChoice, tmp_path: Path) -> None:
    errands = Errands()
    more = {"look_seconds": 60.0} if choice.tells else {}
    async with (
        opened(choice, tmp_path, errands, **more) as here,
        opened(choice, tmp_path, errands, **more) as there,
        here.work(errands.worker("here"), 2),
    ):
        await asyncio.sleep(0.3)
        errands.due |= set(refs_of(3))
        await there.put(refs_of(3))
        await errands.until(3)


async def test_what_nobody_put_is_found_where_it_is_due(choice: QueueChoice, tmp_path: Path) -> None:
    errands = Errands()
    async with opened(choice, tmp_path, errands) as queue, queue.work(errands.worker("one"), 2):
        await asyncio.sleep(0.05)
        errands.due |= set(refs_of(3))
        await errands.until(3)


async def test_no_more_run_at_once_than_were_asked_for(choice: QueueChoice, tmp_path: Path) -> None:
    errands = Errands()
    errands.hold.clear()
    for at_once in (1, 3):
        errands.most = 0
        before = len(errands.ran)
        async with opened(choice, tmp_path, errands) as queue, queue.work(errands.worker("one"), at_once):
            refs = refs_of(7, batch=f"b{at_once}")
            errands.due |= set(refs)
            await queue.put(refs)
            await errands.until(before + at_once)
            await asyncio.sleep(0.3)
            errands.hold.set()
            await errands.until(before + 7)
        assert errands.most == at_once
        errands.hold.clear()


async def test_an_item_may_be_put_for_later(choice: QueueChoice, tmp_path: Path) -> None:
    """The storage would not say that it is due before its time; the queue does not hurry it either."""
    errands = Errands()
    async with opened(choice, tmp_path, errands) as queue, queue.work(errands.worker("one"), 2):
        await queue.put(refs_of(1), after=timedelta(seconds=0.4))
        await asyncio.sleep(0.2)
        assert errands.ran == []
        errands.due |= set(refs_of(1))
        await errands.until(1)


async def test_leaving_waits_for_what_runs_and_takes_no_more(choice: QueueChoice, tmp_path: Path) -> None:
    errands = Errands()
    errands.hold.clear()
    async with opened(choice, tmp_path, errands) as queue:

        async def work() -> None:
            async with queue.work(errands.worker("one"), 2):
                errands.due |= set(refs_of(5))
                await queue.put(refs_of(5))
                await errands.until(2)

        working = asyncio.create_task(work())
        await errands.until(2)
        _, pending = await asyncio.wait({working}, timeout=0.3)
        assert pending
        errands.hold.set()
        async with asyncio.timeout(SOON):
            await working
    assert (len(errands.ran), errands.running, len(errands.due)) == (2, 0, 3)
    async with opened(choice, tmp_path, errands) as queue, queue.work(errands.worker("another"), 2):
        await errands.until(5)


async def test_a_storage_that_goes_away_and_comes_back_stops_nothing(choice: QueueChoice, tmp_path: Path) -> None:
    errands = Errands()
    errands.away = True
    async with opened(choice, tmp_path, errands) as queue, queue.work(errands.worker("one"), 2):
        await asyncio.sleep(0.5)
        errands.away = False
        errands.due |= set(refs_of(2))
        await errands.until(2)


async def test_an_error_beside_the_work_ends_it_at_once(choice: QueueChoice, tmp_path: Path) -> None:
    errands = Errands()
    with pytest.raises(ExceptionGroup) as raised:
        async with opened(choice, tmp_path, errands) as queue, queue.work(errands.worker("one"), 2):
            raise ZeroDivisionError
    assert raised.group_contains(ZeroDivisionError)


async def test_a_queue_without_its_database_says_so(tmp_path: Path) -> None:
    nowhere = {"url": "postgresql://nobody@127.0.0.1:1/nothing"}
    async with open_slot("queue", "pgqueuer", nowhere, due=Errands().find, chance=Random(3).random) as queue:
        with pytest.raises(StorageUnavailable, match="queue"):
            await queue.put(refs_of(1))


async def test_workers_listen_again_after_their_database_was_restarted(tmp_path: Path) -> None:
    server = await asyncio.to_thread(Postgres, durable=True)
    try:
        async with administer("storage", "postgres", {"url": server.url}) as schema:
            await schema.upgrade()
        errands = Errands()
        choice = CHOICES["pgqueuer"]
        async with (
            opened(choice, tmp_path, errands, url=server.url) as queue,
            queue.work(errands.worker("one"), 2),
        ):
            errands.due |= set(refs_of(1))
            await queue.put(refs_of(1))
            await errands.until(1)
            await asyncio.to_thread(server.stop)
            with pytest.raises(StorageUnavailable):
                await queue.put(refs_of(2))
            await asyncio.to_thread(server.start)
            errands.due |= set(refs_of(2))
            await errands.until(3, 20)
    finally:
        await asyncio.to_thread(server.close)


async def test_the_record_that_pgqueuer_keeps_does_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgqueuer, "_LOG_KEPT", timedelta())
    errands = Errands()
    choice = CHOICES["pgqueuer"]
    connection = await asyncpg.connect(choice.options(tmp_path)["url"])
    tables = (pgqueuer.NAMES.queue_table, pgqueuer.NAMES.queue_table_log, pgqueuer.NAMES.statistics_table)
    try:
        async with opened(choice, tmp_path, errands) as queue, queue.work(errands.worker("one"), 2):
            errands.due |= set(refs_of(20))
            await queue.put(refs_of(20))
            await errands.until(20)
            assert await connection.fetchval(f"SELECT count(*) FROM {tables[1]}") > 0
            for _ in range(50):
                left = [await connection.fetchval(f"SELECT count(*) FROM {table}") for table in tables]
                if not any(left):
                    break
                await asyncio.sleep(0.1)
            assert left == [0, 0, 0]
    finally:
        await connection.close()


@asynccontextmanager
async def replica(
    queue: str, queue_options: dict[str, Any], storage: str, storage_options: dict[str, Any], model: Actor
) -> AsyncIterator[tuple[Batches, Stage]]:
    """Batches as a process that serves has them, with leases that end soon, and the analyst behind them."""
    async with open_slot("storage", storage, storage_options) as opened, open_slot("cache", "off", {}) as cache:
        limits = Limits(total_seconds=600, first_token_seconds=600, idle_seconds=600)
        stage = Stage(opened, cache, {"actor": model}, limits=limits)

        async def due(limit: int) -> Sequence[ItemRef]:
            return await opened.batches.due(datetime.now(UTC), limit)

        async with open_slot("queue", queue, queue_options, due=due, chance=Random(3).random) as jobs:

            async def open_queue() -> JobQueue:
                return jobs

            batches = Batches(
                analyst=stage.analyst,
                open_storage=stage.open_storage,
                open_queue=open_queue,
                find_prompt=stage.find_prompt,
                clock=lambda: datetime.now(UTC),
                new_id=uuid7,
                chance=Random(3).random,
                lease=timedelta(seconds=0.9),
                grace_seconds=0.1,
            )
            yield batches, stage


async def test_the_items_of_a_worker_that_is_killed_are_run_by_another_once(
    choice: QueueChoice, tmp_path: Path
) -> None:
    settings = choice.kind, choice.options(tmp_path), choice.storage.kind, choice.storage.options(tmp_path)
    model = Actor([ANSWER])
    async with replica(*settings, model) as (batches, stage):
        logs = [Log(f"{LOG}2026-11-20T03:05:56Z ERROR word{'x' * (number + 3)}\n") for number in range(6)]
        wishes = [Request(name=log.name, kind="file", logs=(log,)) for log in logs]
        digests = [await stage.analyst.prepare(wish) for wish in wishes]
        batch = await batches.submit(digests, BatchOptions())
        arguments = [text if isinstance(text, str) else msgspec.json.encode(text).decode() for text in settings]
        other = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.contract.queue_worker",
            *arguments,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        assert other.stdout is not None
        async with asyncio.timeout(30):
            for _ in range(4):
                assert await other.stdout.readline() == b"running\n"
        other.kill()
        await other.wait()
        assert (await batches.get(batch.id)).counts.running == 4
        async with asyncio.timeout(30), batches.serving():
            async for _ in batches.changes(batch.id):
                pass
        items = (await batches.items(batch.id)).items
    assert {item.status for item in items} == {Status.DONE}
    assert sorted(item.attempts for item in items) == [1, 1, 2, 2, 2, 2]
    assert len(model.asked) == 6
