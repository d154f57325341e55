"""What may become of an item of a batch, whoever runs it and whenever."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import structs

from bifrost_domain import batch as states
from bifrost_domain.batch import MOST_ATTEMPTS, Batch, BatchItem, Counts, Failure, Status
from bifrost_domain.errors import (
    BadAnswer,
    BadOption,
    BifrostError,
    ConfigurationError,
    EmptyLog,
    LimitReached,
    ModelThrottled,
    ModelTimeout,
    ModelUnavailable,
    PromptNotFound,
    StorageFull,
    StorageUnavailable,
)
from tests.builders import START

LEASE = timedelta(seconds=15)
FAILURE = Failure(slug="model-unavailable", message="it is not there")
holders = st.sampled_from(["a", "b", "c"])


def an_item(**changes: object) -> BatchItem:
    item = BatchItem(batch="b1", number=1, name="app.log", kind="file", result="r1", changed_at=START, due_at=START)
    return structs.replace(item, **changes)  # type: ignore[arg-type]


class Item(RuleBasedStateMachine):
    """Three workers and a client at one item, as a storage lets them: one transition at a time, at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.item = an_item()
        self.now = START
        self.owner: str | None = None
        self.claims = 0
        self.given_back = 0
        self.ends = 0

    def apply(self, after: BatchItem | None) -> bool:
        if after is None:
            return False
        assert not self.item.status.over, "what is over does not change"
        self.ends += after.status.over
        self.item = after
        return True

    @rule(seconds=st.integers(0, 20))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(holder=holders)
    def claim(self, holder: str) -> None:
        free = self.item.due_at is not None and self.item.due_at <= self.now
        taken = self.apply(states.claimed(self.item, holder, self.now, self.now + LEASE))
        assert taken == free
        if taken and self.item.status is Status.RUNNING:
            self.owner = holder
            self.claims += 1
        self.let_go()

    @rule(holder=holders)
    def finish(self, holder: str) -> None:
        assert self.apply(states.done(self.item, holder, self.now)) == (holder == self.owner)
        self.let_go()

    @rule(holder=holders)
    def fail(self, holder: str) -> None:
        assert self.apply(states.failed(self.item, holder, self.now, FAILURE)) == (holder == self.owner)
        self.let_go()

    @rule(holder=holders, seconds=st.integers(0, 10))
    def try_again(self, holder: str, seconds: int) -> None:
        due_at = self.now + timedelta(seconds=seconds)
        assert self.apply(states.retried(self.item, holder, self.now, FAILURE, due_at)) == (holder == self.owner)
        self.let_go()

    @rule(holder=holders)
    def give_back(self, holder: str) -> None:
        given = self.apply(states.released(self.item, holder, self.now))
        assert given == (holder == self.owner)
        self.given_back += given
        self.let_go()

    @rule()
    def cancel(self) -> None:
        over = self.item.status.over
        assert self.apply(states.cancelled(self.item, self.now)) != over
        self.let_go()

    def let_go(self) -> None:
        if self.item.status is not Status.RUNNING:
            self.owner = None

    @invariant()
    def the_item_makes_sense(self) -> None:
        item = self.item
        assert (item.holder is not None) == (item.status is Status.RUNNING)
        assert item.holder == self.owner
        assert (item.due_at is None) == item.status.over
        assert (item.analysis == "r1") == (item.status is Status.DONE)
        assert item.error is not None or item.status is not Status.FAILED
        assert 0 <= item.attempts <= MOST_ATTEMPTS
        assert item.attempts == self.claims - self.given_back
        assert self.ends <= 1


TestItem = Item.TestCase
TestItem.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_an_item_whose_workers_were_all_lost_is_put_out_of_the_way() -> None:
    item: BatchItem | None = an_item()
    now = START
    for attempt in range(1, MOST_ATTEMPTS + 1):
        assert item is not None
        item = states.claimed(item, "a", now, now + LEASE)
        assert item is not None
        assert (item.status, item.attempts) == (Status.RUNNING, attempt)
        now += LEASE
    assert item is not None
    item = states.claimed(item, "b", now, now + LEASE)
    assert item is not None
    assert item.error is not None
    assert (item.status, item.error.slug, item.attempts) == (Status.FAILED, "worker-lost", MOST_ATTEMPTS)


def test_the_last_try_that_fails_is_the_end() -> None:
    item = an_item(status=Status.RUNNING, attempts=MOST_ATTEMPTS, holder="a", due_at=START + LEASE)
    after = states.retried(item, "a", START, FAILURE, START)
    assert after is not None
    assert (after.status, after.error) == (Status.FAILED, FAILURE)


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (StorageUnavailable("x"), True),
        (StorageFull("x"), True),
        (ModelThrottled("x"), True),
        (ModelTimeout("x"), True),
        (ModelUnavailable("x", retryable=True), True),
        (ModelUnavailable("x", retry_after=30.0), True),
        (ModelUnavailable("x"), False),
        (BadAnswer("x"), False),
        (LimitReached("x"), False),
        (PromptNotFound("x"), False),
        (ConfigurationError("x"), False),
        (EmptyLog("x"), False),
        (BadOption("x"), False),
        (ZeroDivisionError("x"), True),
    ],
)
def test_faults_may_pass_and_refusals_do_not(error: Exception, passes: bool) -> None:
    assert states.may_pass(error) is passes


def test_an_error_that_nobody_foresaw_is_told_without_its_text() -> None:
    assert states.failure_of(ModelTimeout("too slow")) == Failure(slug="model-timeout", message="too slow")
    told = states.failure_of(ValueError("password=hunter2 in line 3"))
    assert told.slug == BifrostError.slug
    assert "ValueError" in told.message
    assert "hunter2" not in told.message


counts = st.builds(Counts, **{name: st.integers(0, 9) for name in Counts.__struct_fields__})


@given(counts=counts, cancelled=st.booleans(), revision=st.integers(0, 1))
def test_the_status_of_a_batch_follows_from_its_items(counts: Counts, cancelled: bool, revision: int) -> None:
    batch = Batch(
        id="b1", created_at=START, counts=counts, cancelled_at=START if cancelled else None, revision=revision
    )
    waiting = counts.queued + counts.running
    assert batch.over == (waiting == 0)
    if cancelled:
        assert batch.status is Status.CANCELLED
    elif waiting == 0:
        assert batch.status is Status.DONE
    else:
        assert batch.status is (Status.RUNNING if revision else Status.QUEUED)


@given(counts=counts, before=st.sampled_from(Status), after=st.sampled_from(Status))
def test_moving_items_changes_two_counts_and_not_the_total(counts: Counts, before: Status, after: Status) -> None:
    moved = counts.moved(before, after)
    assert moved.total == counts.total
    if before is not after:
        assert getattr(moved, before) == getattr(counts, before) - 1
        assert getattr(moved, after) == getattr(counts, after) + 1
