"""Batches: many logs under one id, analysed one by one by whichever replica is free. What may become of an item.

                  ┌──────── retried, released ────────┐
                  v                                   │
    accepted ─> queued ──────── claimed ─────────> running ──> done
       │          │                                   ├──────> failed
       └> failed  └──────────> cancelled <────────────┘

An item is run by who claims it. The claim is a lease: `due_at` is the moment at which another one may claim it, and who
lost it can no longer say what becomes of the item. So a lost worker is replaced, and two never end the same item.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct, structs

from bifrost_domain.errors import BifrostError, ModelThrottled, ModelTimeout, ModelUnavailable, StorageUnavailable
from bifrost_domain.history import PromptPin
from bifrost_domain.report import Language

MOST_ITEMS = 1000
MOST_ATTEMPTS = 3


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing changes any more."""
        return self not in (Status.QUEUED, Status.RUNNING)


class Failure(Struct, frozen=True, kw_only=True):
    """Why an item failed: the slug of the error, and its message, which has no log text in it."""

    slug: str
    message: str


class Refused(Struct, frozen=True, kw_only=True):
    """A log that could not be read when the batch was handed in: it is an item of it, and has failed."""

    name: str
    kind: str
    error: Failure


class ItemRef(Struct, frozen=True, order=True):
    """Which item of which batch; items are numbered from 1."""

    batch: str
    number: int


class BatchItem(Struct, frozen=True, kw_only=True):
    """One log of a batch, without its digest.

    `result` is the id that its analysis has in the history, fixed from the beginning: however often the item is run,
    there is one. `attempts` counts the claims. `error` is the last failure, also of an item that is tried again.
    `revision` is the batch's count of changes when the item last changed (0: never). `due_at`: from when on it may be
    claimed, for a running item the end of its lease; None when it is over. `holder`: who runs it.
    """

    batch: str
    number: int
    name: str
    kind: str
    result: str
    status: Status = Status.QUEUED
    attempts: int = 0
    error: Failure | None = None
    changed_at: datetime
    revision: int = 0
    due_at: datetime | None = None
    holder: str | None = None

    @property
    def ref(self) -> ItemRef:
        return ItemRef(self.batch, self.number)

    @property
    def analysis(self) -> str | None:
        """The id of its analysis, where that was made."""
        return self.result if self.status is Status.DONE else None


class BatchOptions(Struct, frozen=True, kw_only=True):
    """How the items are analysed, as it was asked for when the batch was handed in; see `analysis.Request`.

    `prompt` is the wording that was in force then. `timeout` (seconds) and `max_cost` (dollars) are for one item.
    """

    provider: str | None = None
    model: str | None = None
    prompt: PromptPin | None = None
    variables: Mapping[str, str] = {}
    language: Language = Language.EN
    budget: int | None = None
    use_cache: bool = True
    fallback: bool = True
    timeout: float | None = None
    max_cost: float | None = None


class Counts(Struct, frozen=True, kw_only=True):
    """How many items have each status."""

    queued: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        return sum(structs.astuple(self))

    def moved(self, before: Status, after: Status, items: int = 1) -> "Counts":
        """After that many items went from one status to another."""
        less = structs.replace(self, **{before.value: getattr(self, before) - items})
        return structs.replace(less, **{after.value: getattr(less, after) + items})


class Batch(Struct, frozen=True, kw_only=True):
    """`created_by` is the family of the API key that handed it in. `revision` counts the changes of its items."""

    id: str
    created_at: datetime
    created_by: str | None = None
    options: BatchOptions = BatchOptions()
    counts: Counts
    revision: int = 0
    cancelled_at: datetime | None = None

    @property
    def status(self) -> Status:
        """`done` where all items are over, whatever became of them, unless the batch was cancelled before that."""
        if self.cancelled_at is not None:
            return Status.CANCELLED
        if self.over:
            return Status.DONE
        return Status.RUNNING if self.revision else Status.QUEUED

    @property
    def over(self) -> bool:
        return self.counts.queued == self.counts.running == 0


class BatchPage(Struct, frozen=True, kw_only=True):
    """Newest first."""

    items: tuple[Batch, ...]
    next_cursor: str | None = None


class ItemPage(Struct, frozen=True, kw_only=True):
    """By number."""

    items: tuple[BatchItem, ...]
    next_cursor: str | None = None


def claimed(item: BatchItem, holder: str, now: datetime, until: datetime) -> BatchItem | None:
    """The item in the hands of `holder`; None where it may not be claimed now.

    One whose workers were lost as often as it may be tried is put out of the way: it may be what kills them.
    """
    if item.due_at is None or item.due_at > now:
        return None
    if item.attempts >= MOST_ATTEMPTS:
        lost = Failure(slug="worker-lost", message=f"what ran it ended without a word, {item.attempts} times")
        return _ended(item, Status.FAILED, now, lost)
    return structs.replace(
        item, status=Status.RUNNING, attempts=item.attempts + 1, holder=holder, due_at=until, changed_at=now
    )


def done(item: BatchItem, holder: str, now: datetime) -> BatchItem | None:
    """The item with its analysis made; None where it is not `holder`'s, as for all that follow."""
    return _ended(item, Status.DONE, now, None) if item.holder == holder else None


def failed(item: BatchItem, holder: str, now: datetime, failure: Failure) -> BatchItem | None:
    return _ended(item, Status.FAILED, now, failure) if item.holder == holder else None


def retried(item: BatchItem, holder: str, now: datetime, failure: Failure, due_at: datetime) -> BatchItem | None:
    """Queued again for another try at `due_at`, or failed where it has had as many as it may."""
    if item.holder != holder:
        return None
    if item.attempts >= MOST_ATTEMPTS:
        return failed(item, holder, now, failure)
    return structs.replace(item, status=Status.QUEUED, holder=None, due_at=due_at, error=failure, changed_at=now)


def released(item: BatchItem, holder: str, now: datetime) -> BatchItem | None:
    """Given back unfinished through no fault of its own: this try does not count."""
    if item.holder != holder:
        return None
    return structs.replace(
        item, status=Status.QUEUED, attempts=item.attempts - 1, holder=None, due_at=now, changed_at=now
    )


def cancelled(item: BatchItem, now: datetime) -> BatchItem | None:
    """None where it is over."""
    return None if item.status.over else _ended(item, Status.CANCELLED, now, item.error)


def _ended(item: BatchItem, status: Status, now: datetime, failure: Failure | None) -> BatchItem:
    return structs.replace(item, status=status, error=failure, holder=None, due_at=None, changed_at=now)


def failure_of(error: Exception) -> Failure:
    """What is told of an error. One that nobody foresaw is told by its kind alone: its text may quote the log."""
    if isinstance(error, BifrostError):
        return Failure(slug=error.slug, message=error.message)
    return Failure(slug=BifrostError.slug, message=f"an error that nobody foresaw ({type(error).__name__})")


def may_pass(error: Exception) -> bool:
    """Whether another try may end better: a fault of a provider or of the storage, or one that nobody foresaw."""
    if isinstance(error, ModelUnavailable):
        return error.retryable or error.retry_after is not None
    if isinstance(error, BifrostError):
        return isinstance(error, ModelThrottled | ModelTimeout | StorageUnavailable)
    return True
