"""What every storage promises of batches and their items."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from bifrost_adapters.slots import open_slot
from bifrost_adapters.storage import _batches
from bifrost_domain import batch as states
from bifrost_domain.batch import Batch, BatchItem, BatchOptions, Counts, Failure, ItemRef, Status
from bifrost_domain.errors import BadOption, BatchNotFound
from bifrost_domain.history import PromptPin
from bifrost_domain.logs.digest import Digest
from bifrost_domain.ports import BatchRepository
from bifrost_domain.report import Language
from tests.builders import START, a_digest, an_id
from tests.contract.choices_storage import CHOICES, StorageChoice

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
every_lasting = pytest.mark.parametrize(
    "choice",
    [choice for choice in CHOICES.values() if choice.lasting],
    ids=[label for label, choice in CHOICES.items() if choice.lasting],
)
LEASE = timedelta(seconds=15)
FOREVER = START + timedelta(days=365)
FAILURE = Failure(slug="model-timeout", message="너무 오래 걸렸다")


@pytest.fixture(params=CHOICES.values(), ids=CHOICES.keys())
async def batches(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BatchRepository]:
    async with open_slot("storage", request.param.kind, request.param.options(tmp_path)) as storage:
        yield storage.batches


def a_batch(many: int, **changes: object) -> tuple[Batch, list[tuple[BatchItem, Digest | None]]]:
    """A batch with so many items that wait, each with a digest of its own."""
    id = an_id()
    batch = Batch(id=id, created_at=START, counts=Counts(queued=many))
    items: list[tuple[BatchItem, Digest | None]] = [
        (
            BatchItem(
                batch=id,
                number=number,
                name=f"{number}.log",
                kind="file",
                result=an_id(),
                changed_at=START,
                due_at=START,
            ),
            a_digest(f"ERROR number {number}"),
        )
        for number in range(1, many + 1)
    ]
    return structs.replace(batch, **changes), items  # type: ignore[arg-type]


async def added(batches: BatchRepository, many: int, **changes: object) -> Batch:
    batch, items = a_batch(many, **changes)
    await batches.add(batch, items)
    return batch


def claim(holder: str = "a", now: datetime = START) -> Callable[[BatchItem], BatchItem | None]:
    return partial(states.claimed, holder=holder, now=now, until=now + LEASE)


def end(holder: str = "a") -> Callable[[BatchItem], BatchItem | None]:
    return partial(states.done, holder=holder, now=START)


async def test_a_batch_comes_back_as_it_was_kept(batches: BatchRepository) -> None:
    options = BatchOptions(
        provider="ollama",
        model="모델",
        prompt=PromptPin(name="root-cause", version=3, checksum="c" * 64),
        variables={"team": "web"},
        language=Language.KO,
        budget=1000,
        use_cache=False,
        fallback=False,
        timeout=2.5,
        max_cost=0.25,
    )
    batch, items = a_batch(120, options=options, created_by="family")
    refused = structs.replace(items[1][0], status=Status.FAILED, error=FAILURE, due_at=None)
    items[1] = (refused, None)
    batch = structs.replace(batch, counts=Counts(queued=119, failed=1))
    await batches.add(batch, items)
    assert await batches.get(batch.id) == batch
    page = await batches.items(batch.id, limit=1000)
    assert (list(page.items), page.next_cursor) == ([item for item, _ in items], None)
    for item, digest in (items[0], items[1], items[-1]):
        assert await batches.digest(item.ref) == digest


async def test_what_is_not_there_is_not_found(batches: BatchRepository) -> None:
    batch = await added(batches, 1)
    for id in ("nowhere", "\0", batch.id.upper()):
        with pytest.raises(BatchNotFound):
            await batches.get(id)
        with pytest.raises(BatchNotFound):
            await batches.items(id)
        with pytest.raises(BatchNotFound):
            await batches.changed(id, 0)
        with pytest.raises(BatchNotFound):
            await batches.cancel(id, START)
        assert await batches.change(ItemRef(id, 1), claim()) is None
        assert await batches.digest(ItemRef(id, 1)) is None
    assert await batches.change(ItemRef(batch.id, 2), claim()) is None
    assert (await batches.items(batch.id, cursor=(await cursor_of(batches, 99)))).items == ()


async def cursor_of(batches: BatchRepository, number: int) -> str:
    """A cursor after the item of that number."""
    batch = await added(batches, number + 1)
    cursor = (await batches.items(batch.id, limit=number)).next_cursor
    assert cursor is not None
    return cursor


async def test_pages_of_batches_are_newest_first_and_of_one_family(batches: BatchRepository) -> None:
    made = [await added(batches, 1, created_by="one" if number % 2 else None) for number in range(7)]
    seen: list[Batch] = []
    cursor = None
    while True:
        page = await batches.newest(limit=3, cursor=cursor)
        seen += page.items
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
        await added(batches, 1)
    assert seen == made[::-1]
    ours = await batches.newest(family="one", limit=2)
    assert list(ours.items) == [made[5], made[3]]
    assert (await batches.newest(family="one", cursor=ours.next_cursor)).items == (made[1],)
    assert (await batches.newest(family="\0nobody")).items == ()
    with pytest.raises(BadOption):
        await batches.newest(cursor="x")


async def test_pages_of_items_go_by_number(batches: BatchRepository) -> None:
    batch = await added(batches, 11)
    numbers: list[int] = []
    cursor = None
    while True:
        page = await batches.items(batch.id, limit=4, cursor=cursor)
        numbers += [item.number for item in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert numbers == list(range(1, 12))
    with pytest.raises(BadOption):
        await batches.items(batch.id, cursor="x")


async def test_the_digest_goes_when_the_item_is_over(batches: BatchRepository) -> None:
    batch = await added(batches, 2)
    ref = ItemRef(batch.id, 1)
    await batches.change(ref, claim())
    assert await batches.digest(ref) is not None
    item = await batches.change(ref, end())
    assert item is not None
    assert (item.status, item.revision) == (Status.DONE, 2)
    assert await batches.digest(ref) is None
    await batches.cancel(batch.id, START)
    assert await batches.digest(ItemRef(batch.id, 2)) is None


async def test_due_is_what_may_be_claimed_and_a_small_batch_does_not_wait_for_a_large_one(
    batches: BatchRepository,
) -> None:
    large = await added(batches, 5)
    small, items = a_batch(2)
    later = [(structs.replace(item, due_at=START + timedelta(seconds=1)), digest) for item, digest in items]
    await batches.add(small, later)
    now = START + timedelta(seconds=2)
    assert await batches.due(START - timedelta(microseconds=1), 10) == []
    assert [ref.number for ref in await batches.due(START, 10)] == [1, 2, 3, 4, 5]
    first = [ItemRef(large.id, 1), ItemRef(small.id, 1), ItemRef(large.id, 2)]
    assert await batches.due(now, 3) == first
    assert await batches.change(first[0], claim(now=now)) is not None
    assert await batches.change(first[1], claim(now=now)) is not None
    assert await batches.change(first[1], end()) is not None
    assert (await batches.due(now, 10))[0] == first[2]
    assert first[0] in await batches.due(now + LEASE, 10)
    assert first[1] not in await batches.due(FOREVER, 10)


async def test_a_lease_is_prolonged_by_its_holder_alone(batches: BatchRepository) -> None:
    batch = await added(batches, 4)
    refs = [ItemRef(batch.id, number) for number in range(1, 5)]
    await batches.change(refs[0], claim("a"))
    await batches.change(refs[1], claim("b"))
    await batches.change(refs[2], claim("a"))
    await batches.change(refs[2], end("a"))
    before = (await batches.get(batch.id)).revision
    held = await batches.prolong([*refs, ItemRef("nowhere", 1)], "a", START + 2 * LEASE)
    assert list(held) == [refs[0]]
    assert await batches.prolong([], "a", FOREVER) == []
    assert (await batches.get(batch.id)).revision == before
    assert await batches.due(START + LEASE, 10) == [refs[1], refs[3]]
    (item, *_) = (await batches.items(batch.id)).items
    assert (item.due_at, item.holder) == (START + 2 * LEASE, "a")


async def test_cancelling_ends_what_is_not_over(batches: BatchRepository) -> None:
    batch, other = await added(batches, 4), await added(batches, 1)
    refs = [ItemRef(batch.id, number) for number in range(1, 5)]
    await batches.change(refs[0], claim())
    await batches.change(refs[0], end())
    await batches.change(refs[1], claim())
    later = START + timedelta(seconds=5)
    cancelled = await batches.cancel(batch.id, later)
    assert cancelled == await batches.get(batch.id)
    assert (cancelled.status, cancelled.cancelled_at) == (Status.CANCELLED, later)
    assert cancelled.counts == Counts(done=1, cancelled=3)
    assert [item.number for item in await batches.changed(batch.id, 3)] == [2, 3, 4]
    assert await batches.change(refs[1], end()) is None
    assert list(await batches.prolong(refs, "a", FOREVER)) == []
    assert await batches.cancel(batch.id, FOREVER) == cancelled
    assert await batches.get(other.id) == other
    await batches.change(ItemRef(other.id, 1), claim())
    await batches.change(ItemRef(other.id, 1), end())
    assert (await batches.cancel(other.id, later)).status is Status.DONE


async def test_an_error_in_a_transition_changes_nothing(batches: BatchRepository) -> None:
    batch = await added(batches, 1)

    def broken(item: BatchItem) -> BatchItem | None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await batches.change(ItemRef(batch.id, 1), broken)
    assert await batches.get(batch.id) == batch


async def test_batches_that_are_over_are_forgotten_and_others_are_not(batches: BatchRepository) -> None:
    before = START + timedelta(hours=1)
    old = [await added(batches, 2) for _ in range(_batches.ERASED_AT_ONCE + 2)]
    for batch in old[1:]:
        await batches.cancel(batch.id, START)
    young = await added(batches, 1, created_at=before)
    await batches.cancel(young.id, before)
    assert await batches.forget_before(before) == len(old) - 1
    for batch in old[1:]:
        with pytest.raises(BatchNotFound):
            await batches.items(batch.id)
    assert [batch.id for batch in (await batches.newest()).items] == [young.id, old[0].id]
    assert len((await batches.items(old[0].id)).items) == 2
    assert await batches.forget_before(before) == 0


numbers = st.integers(1, 4)
names = st.sampled_from(["a", "b"])
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["claim", "done", "failed", "retried", "released"]), numbers, names),
        st.tuples(st.sampled_from(["cancel", "prolong"]), numbers, names),
        st.tuples(st.just("wait"), st.integers(1, 20), names),
    ),
    max_size=25,
)


@few
@given(steps=steps)
async def test_items_change_as_the_states_say_and_the_counts_follow(
    batches: BatchRepository, steps: list[tuple[str, int, str]]
) -> None:
    batch, given_items = a_batch(4)
    await batches.add(batch, given_items)
    model = {item.number: item for item, _ in given_items}
    revision, now, cancelled = 0, START, False
    for what, number, holder in steps:
        ref = ItemRef(batch.id, number)
        if what == "wait":
            now += timedelta(seconds=number)
        elif what == "cancel":
            await batches.cancel(batch.id, now)
            for each, item in model.items():
                if (after := states.cancelled(item, now)) is not None:
                    revision += 1
                    model[each] = structs.replace(after, revision=revision)
                    cancelled = True
        elif what == "prolong":
            held = await batches.prolong([ref], holder, now + LEASE)
            assert bool(held) == (model[number].holder == holder)
            if held:
                model[number] = structs.replace(model[number], due_at=now + LEASE)
        else:
            more = {"failed": {"failure": FAILURE}, "retried": {"failure": FAILURE, "due_at": now}}.get(what, {})
            transition = claim(holder, now) if what == "claim" else None
            transition = transition or partial(getattr(states, what), holder=holder, now=now, **more)
            after = transition(model[number])
            if after is not None:
                revision += 1
                model[number] = after = structs.replace(after, revision=revision)
            assert await batches.change(ref, transition) == after
    stored = await batches.get(batch.id)
    assert list((await batches.items(batch.id)).items) == list(model.values())
    assert stored.revision == revision
    assert (stored.cancelled_at is not None) == cancelled
    counted = Counter(item.status for item in model.values())
    assert stored.counts == Counts(**{status.value: counted[status] for status in Status})
    for after_revision in {0, revision // 2, revision}:
        expected = sorted((item.revision, item.number) for item in model.values() if item.revision > after_revision)
        found = await batches.changed(batch.id, after_revision)
        assert [(item.revision, item.number) for item in found] == expected
    due = [ref for ref in await batches.due(now, 1000) if ref.batch == batch.id]
    assert due == [item.ref for item in model.values() if item.due_at is not None and item.due_at <= now]
    for item in model.values():
        assert (await batches.digest(item.ref) is None) == item.status.over


async def test_of_many_who_claim_one_item_at_once_one_has_it(batches: BatchRepository) -> None:
    batch = await added(batches, 10)
    refs = [ItemRef(batch.id, number) for number in range(1, 11)]
    claims = [batches.change(ref, claim(holder)) for ref in refs for holder in ("a", "b", "c", "d")]
    won = [item for item in await asyncio.gather(*claims) if item is not None]
    assert sorted(item.number for item in won) == list(range(1, 11))
    assert sorted(item.revision for item in won) == list(range(1, 11))
    assert (await batches.get(batch.id)).counts == Counts(running=10)


@every_lasting
async def test_processes_that_claim_prolong_and_cancel_at_once_do_not_get_in_each_others_way(
    choice: StorageChoice, tmp_path: Path
) -> None:
    options = choice.options(tmp_path)
    async with (
        open_slot("storage", choice.kind, options) as one,
        open_slot("storage", choice.kind, options) as other,
    ):
        made = [await added(one.batches, 12) for _ in range(3)]
        refs = [ItemRef(batch.id, number) for batch in made for number in range(1, 13)]

        async def work(batches: BatchRepository, holder: str, order: list[ItemRef]) -> list[ItemRef]:
            won = []
            for ref in order:
                if await batches.change(ref, claim(holder)) is not None:
                    won.append(ref)
                await batches.prolong(order, holder, START + LEASE)
                if ref.number % 2 and ref in won:
                    await batches.change(ref, end(holder))
            return won

        async with asyncio.timeout(60):
            mine, theirs, _ = await asyncio.gather(
                work(one.batches, "a", refs),
                work(other.batches, "b", refs[::-1]),
                one.batches.cancel(made[1].id, START),
            )
        assert not set(mine) & set(theirs)
        for batch in made:
            stored = await other.batches.get(batch.id)
            items = (await one.batches.items(batch.id)).items
            counted = Counter(item.status for item in items)
            assert stored.counts == Counts(**{status.value: counted[status] for status in Status})
            assert len({item.revision for item in items}) == 12


@every_lasting
async def test_batches_are_there_when_the_storage_is_opened_again(choice: StorageChoice, tmp_path: Path) -> None:
    options = choice.options(tmp_path)
    async with open_slot("storage", choice.kind, options) as storage:
        batch = await added(storage.batches, 2, options=BatchOptions(model="m"))
        await storage.batches.change(ItemRef(batch.id, 1), claim())
    async with open_slot("storage", choice.kind, options) as storage:
        assert (await storage.batches.get(batch.id)).options == BatchOptions(model="m")
        assert await storage.batches.due(START + LEASE, 9) == [ItemRef(batch.id, 1), ItemRef(batch.id, 2)]
        assert await storage.batches.digest(ItemRef(batch.id, 2)) == a_digest("ERROR number 2")


async def test_the_memory_keeps_a_bounded_number_of_items_of_what_is_over() -> None:
    async with open_slot("storage", "memory", {"max_analyses": 10}) as storage:
        running = await added(storage.batches, 6)
        over = [await added(storage.batches, 4) for _ in range(3)]
        for batch in over:
            await storage.batches.cancel(batch.id, START)
        last = await added(storage.batches, 4)
        assert [batch.id for batch in (await storage.batches.newest()).items] == [last.id, running.id]
