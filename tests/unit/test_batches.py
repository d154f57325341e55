"""Batches in one process and over two: every item ends once, and no model is asked twice."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

import pytest
from msgspec import structs

from bifrost_adapters.slots import open_slot
from bifrost_domain import batch as states
from bifrost_domain import batches as domain
from bifrost_domain.analysis import Limits, Request
from bifrost_domain.archive import Archive
from bifrost_domain.batch import (
    MOST_ATTEMPTS,
    MOST_ITEMS,
    Batch,
    BatchItem,
    BatchOptions,
    Failure,
    ItemRef,
    Refused,
    Status,
)
from bifrost_domain.batches import Batches
from bifrost_domain.errors import (
    BadAnswer,
    BadOption,
    BatchNotFound,
    LimitReached,
    ModelThrottled,
    ModelUnavailable,
    PromptNotFound,
    StorageUnavailable,
)
from bifrost_domain.history import HistoryQuery
from bifrost_domain.logs.digest import Digest
from bifrost_domain.ports import JobQueue, Storage
from tests.builders import an_id
from tests.unit.test_analysis import ANSWER, LOG, Actor, Log, Stage


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "RETRIED_SECONDS", 0.02)
    monkeypatch.setattr(domain, "RECORDED_SECONDS", (0.01, 0.02))
    monkeypatch.setattr(domain, "WATCHED_SECONDS", 0.05)


class Replica:
    """A process that serves: an analyst and batches of its own, over a storage and a cache that others share."""

    def __init__(self, stage: Stage, **changes: Any) -> None:
        self.stage = stage
        self.late = timedelta()
        self.queue: JobQueue
        self.told: list[tuple[ItemRef, Exception]] = []
        settings: dict[str, Any] = {"lease": timedelta(seconds=0.6), "grace_seconds": 0.05}
        self.batches = Batches(
            analyst=stage.analyst,
            open_storage=stage.open_storage,
            open_queue=self.open_queue,
            find_prompt=stage.find_prompt,
            clock=self.clock,
            new_id=an_id,
            chance=Random(7).random,
            told=lambda ref, error: self.told.append((ref, error)),
            **(settings | changes),
        )

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.late

    async def open_queue(self) -> JobQueue:
        return self.queue

    async def due(self, limit: int) -> Sequence[ItemRef]:
        return await (await self.stage.open_storage()).batches.due(self.clock(), limit)

    async def digests(self, many: int) -> list[Digest]:
        """Of logs that ask different questions."""
        texts = [f"{LOG}2026-11-20T03:05:56Z ERROR word{'x' * (number + 3)}\n" for number in range(many)]
        wishes = [
            Request(name=f"{number}.log", kind="file", logs=(Log(text),)) for number, text in enumerate(texts, start=1)
        ]
        return [await self.stage.analyst.prepare(wish) for wish in wishes]

    async def submitted(self, many: int, **options: Any) -> Batch:
        return await self.batches.submit(await self.digests(many), BatchOptions(**options))

    async def items(self, batch: Batch) -> tuple[BatchItem, ...]:
        return (await self.batches.items(batch.id)).items

    async def over(self, batch: Batch) -> tuple[BatchItem, ...]:
        """The items of a batch when it is over."""
        async with asyncio.timeout(20), aclosing(self.batches.changes(batch.id)) as changes:
            async for _ in changes:
                pass
        return await self.items(batch)


@pytest.fixture
async def replica(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """Makes replicas with a model that answers; all share what they keep."""
    async with open_slot("storage", "memory", {}) as storage, open_slot("cache", "memory", {}) as cache:

        @asynccontextmanager
        async def make(model: Actor | None = None, *, analyst: Any = None, **changes: Any) -> AsyncIterator[Replica]:
            made = Replica(Stage(storage, cache, {"actor": model or Actor([ANSWER])}, **(analyst or {})), **changes)
            async with open_slot(
                "queue", "stored", {"look_seconds": 0.02}, due=made.due, chance=Random(7).random
            ) as queue:
                made.queue = queue
                yield made

        yield make


async def test_every_log_gets_its_report_in_the_history(replica: Any) -> None:
    model = Actor([ANSWER])
    async with replica(model) as one, one.batches.serving():
        batch = await one.submitted(7)
        assert (batch.status, batch.counts.queued, batch.created_by) == (Status.QUEUED, 7, None)
        items = await one.over(batch)
        assert [item.status for item in items] == [Status.DONE] * 7
        assert [item.name for item in items] == [f"{number}.log" for number in range(1, 8)]
        for item in items:
            analysis = await one.stage.storage.analyses.get(item.analysis)
            assert (analysis.source.name, analysis.engine.provider) == (item.name, "actor")
            assert analysis.coverage.lines_read == 4
        assert len(await one.stage.stored()) == len(model.asked) == 7
        assert (await one.batches.get(batch.id)).status is Status.DONE
        assert await one.stage.storage.batches.digest(items[0].ref) is None


async def test_a_batch_has_one_log_at_least_and_a_bounded_number(replica: Any) -> None:
    async with replica() as one:
        (digest,) = await one.digests(1)
        for logs in ([], [digest] * (MOST_ITEMS + 1)):
            with pytest.raises(BadOption, match=f"1 to {MOST_ITEMS}"):
                await one.batches.submit(logs, BatchOptions())
        with pytest.raises(PromptNotFound):
            await one.batches.submit([digest], BatchOptions(), prompt="nothing@9")
        assert (await one.batches.newest()).items == ()
        with pytest.raises(BatchNotFound):
            await one.batches.get("nowhere")
        for limit in (0, 1001):
            with pytest.raises(BadOption):
                await one.batches.newest(limit=limit)
            with pytest.raises(BadOption):
                await one.batches.items("nowhere", limit=limit)


async def test_a_log_that_could_not_be_read_is_an_item_that_has_failed(replica: Any) -> None:
    async with replica() as one, one.batches.serving():
        refused = Refused(name="bad.log", kind="file", error=Failure(slug="empty-log", message="bad.log is empty"))
        batch = await one.batches.submit([*(await one.digests(1)), refused], BatchOptions(), key="family")
        assert (batch.counts.queued, batch.counts.failed, batch.status) == (1, 1, Status.QUEUED)
        done, failed = await one.over(batch)
        assert (done.status, failed.status, failed.error, failed.attempts) == (
            Status.DONE,
            Status.FAILED,
            refused.error,
            0,
        )
        assert (await one.batches.newest(family="family")).items == (await one.batches.get(batch.id),)
        spent = await one.stage.storage.metrics.spent("family", datetime(2020, 1, 1, tzinfo=UTC))
        assert spent.tokens == 1100


async def test_the_wording_is_that_of_the_day_it_was_handed_in(replica: Any) -> None:
    model = Actor([ANSWER])
    async with replica(model) as one:
        batch = await one.submitted(2)
        in_force = one.stage.prompts[-1]
        assert batch.options.prompt is not None
        assert batch.options.prompt.checksum == in_force.checksum
        changed = structs.replace(in_force, version=in_force.version + 1, system=in_force.system + "\nBe brief.")
        one.stage.prompts = (*one.stage.prompts, changed)
        async with one.batches.serving():
            items = await one.over(batch)
        assert {prompt.system for prompt in model.asked} != {changed.system}
        analysis = await one.stage.storage.analyses.get(items[0].analysis)
        assert analysis.engine.prompt.version == in_force.version


async def test_a_wording_that_is_no_longer_the_same_is_not_asked_with(replica: Any) -> None:
    model = Actor([ANSWER])
    async with replica(model) as one:
        batch = await one.submitted(1)
        one.stage.prompts = tuple(structs.replace(each, system=each.system + "!") for each in one.stage.prompts)
        async with one.batches.serving():
            (item,) = await one.over(batch)
        assert item.error is not None
        assert (item.status, item.error.slug, item.attempts, model.asked) == (Status.FAILED, "invalid-request", 1, [])


async def test_secrets_in_variables_are_masked_before_they_are_kept(replica: Any) -> None:
    secret = "ghp_" + "a1B2c3D4e5" * 4
    async with replica() as one:
        batch = await one.batches.submit(
            await one.digests(1), BatchOptions(variables={"team": "web", "note": f"token={secret}"})
        )
        kept = (await one.batches.get(batch.id)).options
        assert kept.variables["team"] == "web"
        assert secret not in kept.variables["note"]


async def test_a_fault_that_passes_is_tried_again(replica: Any) -> None:
    down = ModelUnavailable("refused", provider="actor", retryable=True)
    model = Actor([down], [down], [ANSWER])
    patience = limits(retries=0)
    async with replica(model, analyst={"limits": patience}) as one, one.batches.serving():
        (item,) = await one.over(await one.submitted(1, fallback=False))
        assert (item.status, item.attempts, item.error) == (Status.DONE, 3, None)
        assert [error for _, error in one.told] == [down, down]


async def test_a_fault_that_stays_ends_after_so_many_tries_with_its_reason(replica: Any) -> None:
    model = Actor([ModelUnavailable("refused", provider="actor", retryable=True)])
    async with replica(model, analyst={"limits": limits(retries=0)}) as one, one.batches.serving():
        (item,) = await one.over(await one.submitted(1, fallback=False))
        assert item.error == Failure(slug="model-unavailable", message="refused")
        assert (item.status, item.attempts, len(model.asked)) == (Status.FAILED, MOST_ATTEMPTS, MOST_ATTEMPTS)


async def test_a_provider_is_given_the_time_it_asks_for(replica: Any) -> None:
    busy = ModelThrottled("busy", provider="actor", retry_after=40.0)
    model = Actor([busy], [ANSWER])
    async with replica(model, analyst={"limits": limits(retries=0)}) as one:
        batch = await one.submitted(1, fallback=False)
        await one.batches.run(ItemRef(batch.id, 1))
        (item,) = await one.items(batch)
        assert item.due_at is not None
        assert (item.status, item.error) == (Status.QUEUED, Failure(slug="model-throttled", message="busy"))
        assert timedelta(seconds=38) < item.due_at - one.clock() < timedelta(seconds=42)


@pytest.mark.parametrize("error", [BadAnswer("no report", provider="actor"), ModelUnavailable("no such model")])
async def test_what_does_not_pass_is_not_tried_again(replica: Any, error: Exception) -> None:
    async with replica(Actor([error])) as one, one.batches.serving():
        (item,) = await one.over(await one.submitted(1, fallback=False))
        assert (item.status, item.attempts) == (Status.FAILED, 1)


async def test_with_fallback_the_heuristic_answers_for_a_model_that_fails(replica: Any) -> None:
    model = Actor([ModelUnavailable("no such model", provider="actor")])
    async with replica(model) as one, one.batches.serving():
        (item,) = await one.over(await one.submitted(1))
        analysis = await one.stage.storage.analyses.get(item.analysis)
        assert (item.attempts, analysis.engine.provider, analysis.engine.degraded) == (1, "heuristic", True)


async def test_a_report_that_a_limit_cut_short_is_kept_and_the_item_done(replica: Any) -> None:
    async with replica(Actor([ANSWER], price=1000.0)) as one, one.batches.serving():
        (item,) = await one.over(await one.submitted(1, max_cost=0.0001))
        assert (item.status, item.attempts) == (Status.DONE, 1)
        assert (await one.stage.storage.analyses.get(item.analysis)).engine.degraded
    async with replica(Actor([ANSWER], price=1000.0)) as one, one.batches.serving():
        (item,) = await one.over(await one.submitted(1, max_cost=0.0001, fallback=False))
        assert item.error is not None
        assert (item.status, item.attempts, item.error.slug) == (Status.FAILED, 1, LimitReached.slug)


class Poisonous(Actor):
    """A model that breaks in a way that nobody foresaw, or hangs, where the log has a word."""

    def __init__(self, *, hang: bool = False) -> None:
        super().__init__([ANSWER])
        self._hang = hang
        self.poisoned = 0

    async def stream(self, prompt: Any) -> AsyncGenerator[Any, None]:
        if "wordxxx\n" in prompt.user:
            self.poisoned += 1
            await asyncio.sleep(30.0 if self._hang else 0.0)
            raise ZeroDivisionError("wordxxx")
        async with aclosing(super().stream(prompt)) as events:
            async for event in events:
                yield event


@pytest.mark.parametrize("hang", [False, True])
async def test_a_poison_item_is_put_out_of_the_way_and_the_others_finish(replica: Any, hang: bool) -> None:
    model = Poisonous(hang=hang)
    patience = limits(total_seconds=60, first_token_seconds=60)
    async with replica(model, analyst={"limits": patience}, item_seconds=0.3, at_once=2) as one, one.batches.serving():
        first, *others = await one.over(await one.submitted(9))
        assert [item.status for item in others] == [Status.DONE] * 8
        assert (first.status, first.attempts, model.poisoned) == (Status.FAILED, MOST_ATTEMPTS, MOST_ATTEMPTS)
        assert first.error is not None
        assert first.error.slug == ("timed-out" if hang else "internal-error")
        assert "wordxxx" not in first.error.message


async def test_cancelling_stops_what_runs_and_what_waits(replica: Any) -> None:
    model = Actor([0.05, 30.0])
    async with replica(model, at_once=2, grace_seconds=60.0, analyst={"limits": patient()}) as one:
        async with asyncio.timeout(10), one.batches.serving():
            batch = await one.submitted(5)
            await model.begun.wait()
            cancelled = await one.batches.cancel(batch.id)
            assert (cancelled.status, cancelled.counts.cancelled) == (Status.CANCELLED, 5)
        assert {item.status for item in await one.over(batch)} == {Status.CANCELLED}
        assert model.closed == len(model.asked) <= 2
        assert await one.batches.cancel(batch.id) == cancelled
        assert await one.stage.stored() == []
        with pytest.raises(BatchNotFound):
            await one.batches.cancel("nowhere")


async def test_another_replica_hears_of_a_cancelled_batch(replica: Any) -> None:
    model = Actor([30.0])
    async with replica(model, grace_seconds=60.0, analyst={"limits": patient()}) as one, replica() as other:
        async with asyncio.timeout(10), one.batches.serving():
            batch = await one.submitted(1)
            await model.begun.wait()
            await other.batches.cancel(batch.id)
        (item,) = await one.items(batch)
        assert (item.status, item.analysis, model.closed) == (Status.CANCELLED, None, 1)


async def test_what_runs_when_serving_ends_is_given_back_and_done_by_another(replica: Any) -> None:
    slow, quick = Actor([30.0]), Actor([ANSWER])
    async with replica(slow, analyst={"limits": patient()}, at_once=2) as one, replica(quick) as other:
        async with one.batches.serving():
            batch = await one.submitted(3)
            await slow.begun.wait()
        items = await one.items(batch)
        assert {(item.status, item.attempts) for item in items} == {(Status.QUEUED, 0)}
        assert slow.closed == len(slow.asked)
        async with other.batches.serving():
            assert {item.status for item in await other.over(batch)} == {Status.DONE}
        assert len(quick.asked) == 3


async def test_what_ends_in_time_when_serving_ends_is_not_given_back(replica: Any) -> None:
    model = Actor([0.1, ANSWER])
    async with replica(model, grace_seconds=5.0, at_once=1) as one:
        async with one.batches.serving():
            batch = await one.submitted(2)
            await model.begun.wait()
        assert sorted(item.status for item in await one.items(batch)) == [Status.DONE, Status.QUEUED]


async def test_serving_that_is_cancelled_lets_what_runs_end_in_time(replica: Any) -> None:
    model = Actor([0.1, ANSWER])
    async with replica(model, grace_seconds=60.0, at_once=1) as one:
        batch = await one.submitted(2)

        async def serve() -> None:
            async with one.batches.serving():
                await asyncio.sleep(60)

        serving = asyncio.create_task(serve())
        await model.begun.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        assert sorted(item.status for item in await one.items(batch)) == [Status.DONE, Status.QUEUED]


async def test_serving_that_is_cancelled_again_gives_back_at_once(replica: Any) -> None:
    model = Actor([60.0, ANSWER])
    async with replica(model, grace_seconds=60.0, analyst={"limits": patient()}) as one:
        batch = await one.submitted(1)

        async def serve() -> None:
            async with one.batches.serving():
                await asyncio.sleep(60)

        serving = asyncio.create_task(serve())
        await model.begun.wait()
        serving.cancel()
        await asyncio.wait({serving}, timeout=0.1)
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
        (item,) = await one.items(batch)
        assert (item.status, item.attempts, model.closed) == (Status.QUEUED, 0, 1)


async def test_an_error_beside_serving_is_raised_when_what_runs_has_ended(replica: Any) -> None:
    model = Actor([0.1, ANSWER])
    async with replica(model, grace_seconds=60.0, at_once=1) as one:
        batch = await one.submitted(1)

        async def serve() -> None:
            async with one.batches.serving():
                await model.begun.wait()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await serve()
        assert [item.status for item in await one.items(batch)] == [Status.DONE]


async def test_a_queue_that_breaks_ends_the_serving(replica: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with replica() as one:

        async def broken(limit: int) -> Sequence[ItemRef]:
            raise ZeroDivisionError

        monkeypatch.setattr(one.queue, "_due", broken)
        with pytest.raises(ExceptionGroup) as raised:
            async with asyncio.timeout(10), one.batches.serving():
                await asyncio.sleep(60)
        assert raised.group_contains(ZeroDivisionError)


async def test_a_worker_that_is_cancelled_gives_its_item_back(replica: Any) -> None:
    model = Actor([30.0])
    async with replica(model, analyst={"limits": patient()}) as one:
        batch = await one.submitted(1)
        running = asyncio.create_task(one.batches.run(ItemRef(batch.id, 1)))
        await model.begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        (item,) = await one.items(batch)
        assert (item.status, item.attempts, model.closed) == (Status.QUEUED, 0, 1)


async def test_an_item_of_a_lost_worker_is_taken_over_when_its_lease_ends(replica: Any) -> None:
    async with replica() as one:
        batch = await one.submitted(1)
        ref, now = ItemRef(batch.id, 1), one.clock()
        claim = partial(states.claimed, holder="lost", now=now, until=now + timedelta(seconds=60))
        await one.stage.storage.batches.change(ref, claim)
        await one.batches.run(ref)
        assert (await one.items(batch))[0].holder == "lost"
        one.late = timedelta(seconds=61)
        async with one.batches.serving():
            (item,) = await one.over(batch)
        assert (item.status, item.attempts) == (Status.DONE, 2)
        late = partial(states.done, holder="lost", now=one.clock())
        assert await one.stage.storage.batches.change(ref, late) is None


async def test_leases_are_prolonged_while_an_item_runs(replica: Any) -> None:
    slow = Actor([0.9, ANSWER])
    async with replica(slow, analyst={"limits": patient()}) as one, replica() as other:
        async with one.batches.serving(), other.batches.serving():
            batch = await one.submitted(1)
            await one.batches.run(ItemRef(batch.id, 1))
            (item,) = await one.over(batch)
        assert (item.status, item.attempts) == (Status.DONE, 1)


async def test_an_analysis_that_was_stored_before_its_worker_was_lost_is_not_made_again(replica: Any) -> None:
    model = Actor([ANSWER])
    async with replica(model) as one:
        batch = await one.submitted(1, use_cache=False)
        ref = ItemRef(batch.id, 1)
        lose_one_end(one.stage.storage, times=3)
        await one.batches.run(ref)
        (item,) = await one.items(batch)
        assert (item.status, len(model.asked), len(await one.stage.stored())) == (Status.RUNNING, 1, 1)
        assert isinstance(one.told[-1][1], StorageUnavailable)
    async with replica(model) as other:
        other.late = timedelta(seconds=60)
        async with other.batches.serving():
            (item,) = await other.over(batch)
        assert (item.status, item.attempts, len(model.asked)) == (Status.DONE, 2, 1)
        assert [item.analysis] == await other.stage.stored()


async def test_what_became_of_an_item_is_said_again_where_the_storage_was_away(replica: Any) -> None:
    async with replica() as one, one.batches.serving():
        batch = await one.submitted(1)
        lose_one_end(one.stage.storage, times=2)
        (item,) = await one.over(batch)
        assert (item.status, item.attempts) == (Status.DONE, 1)


async def test_a_report_that_could_not_be_stored_is_made_again_from_the_cache(
    replica: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Actor([ANSWER])
    async with replica(model) as one, one.batches.serving():
        analyses, failures = one.stage.storage.analyses, iter((StorageUnavailable("full"), StorageUnavailable("full")))
        add = analyses.add

        async def unsure(*arguments: Any) -> None:
            if error := next(failures, None):
                raise error
            await add(*arguments)

        monkeypatch.setattr(analyses, "add", unsure)
        (item,) = await one.over(await one.submitted(1))
        assert (item.status, item.attempts, len(model.asked)) == (Status.DONE, 3, 1)
        assert (await analyses.get(item.analysis)).cache.hit


async def test_two_replicas_share_a_batch_and_ask_once_for_each_item(replica: Any) -> None:
    first, second = Actor([0.01, ANSWER]), Actor([0.01, ANSWER])
    async with replica(first) as one, replica(second) as other:
        async with one.batches.serving(), other.batches.serving():
            items = await one.over(await one.submitted(40))
        assert {item.status for item in items} == {Status.DONE}
        assert {item.attempts for item in items} == {1}
        assert len(first.asked) + len(second.asked) == 40
        assert first.asked
        assert second.asked
        page = await one.stage.storage.analyses.search(HistoryQuery(limit=100))
        assert {row.id for row in page.items} == {item.analysis for item in items}


async def test_a_small_batch_does_not_wait_for_a_large_one(replica: Any) -> None:
    async with replica(Actor([0.001, ANSWER]), at_once=1) as one, one.batches.serving():
        large = await one.submitted(120, use_cache=False)
        small = await one.submitted(2, use_cache=False)
        await one.over(small)
        assert (await one.batches.get(large.id)).counts.queued > 60


async def test_batches_go_with_the_history_when_they_are_over(replica: Any) -> None:
    async with replica() as one:
        archive = Archive(open_storage=one.stage.open_storage, clock=one.clock, new_id=an_id)
        over, waiting = await one.submitted(1), await one.submitted(1)
        await one.batches.cancel(over.id)
        await archive.erase_before(one.clock() + timedelta(seconds=1), actor="me")
        assert [batch.id for batch in (await one.batches.newest()).items] == [waiting.id]


async def test_changes_come_in_order_and_can_be_taken_up_again(replica: Any) -> None:
    async with replica() as one, replica() as other, one.batches.serving():
        batch = await one.submitted(4)
        seen: list[Batch | BatchItem] = []
        async with asyncio.timeout(10), aclosing(other.batches.changes(batch.id)) as changes:
            seen += [change async for change in changes]
        first, *items, last = seen
        assert isinstance(first, Batch)
        assert isinstance(last, Batch)
        assert (last.status, last.over) == (Status.DONE, True)
        revisions = [item.revision for item in items if isinstance(item, BatchItem)]
        assert revisions == sorted(set(revisions))
        assert len(revisions) == len(items)
        ends = {item.number for item in items if isinstance(item, BatchItem) and item.status is Status.DONE}
        assert ends == {1, 2, 3, 4}
        rest = [change async for change in one.batches.changes(batch.id, after=revisions[-2])]
        assert [change.revision for change in rest if isinstance(change, BatchItem)] == revisions[-1:]
        with pytest.raises(BatchNotFound):
            await anext(one.batches.changes("nowhere"))


async def test_an_item_that_is_not_there_or_over_is_left_alone(replica: Any) -> None:
    model = Actor([ANSWER])
    async with replica(model) as one:
        batch = await one.submitted(1)
        for ref in (ItemRef("nowhere", 1), ItemRef(batch.id, 2)):
            await one.batches.run(ref)
        await one.batches.run(ItemRef(batch.id, 1))
        await one.batches.run(ItemRef(batch.id, 1))
        assert len(model.asked) == 1


def limits(**changes: Any) -> Limits:
    return Limits(**({"total_seconds": 5, "first_token_seconds": 0.5, "idle_seconds": 0.5} | changes))


def patient() -> Limits:
    return limits(total_seconds=60, first_token_seconds=60, idle_seconds=60)


def lose_one_end(storage: Storage, times: int) -> None:
    """From now on the storage goes away as often when it is told that an item is done."""
    change = storage.batches.change
    left = iter(range(times))

    async def unsure(ref: ItemRef, transition: Any) -> BatchItem | None:
        if getattr(transition, "func", None) is states.done and next(left, None) is not None:
            raise StorageUnavailable("gone")
        return await change(ref, transition)

    storage.batches.change = unsure  # type: ignore[method-assign]
