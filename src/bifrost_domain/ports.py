"""Every port on one page: what the core needs of the world, and which errors an adapter owes it.

An adapter translates its vendor's exceptions at its own edge (`raise ModelUnavailable(...) from error`); no foreign
exception passes a port. Every adapter of a port runs through that port's one contract suite in tests/contract.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct

from bifrost_domain.audit import AuditEvent, AuditPage
from bifrost_domain.batch import Batch, BatchItem, BatchPage, ItemPage, ItemRef
from bifrost_domain.caching import CachedReport, CacheKey
from bifrost_domain.history import HistoryQuery, Incident, IncidentPage, Page, Provenance
from bifrost_domain.idempotency import Idempotent
from bifrost_domain.keys import ApiKey
from bifrost_domain.logs.digest import Digest
from bifrost_domain.metrics import AnalysisMetric, Spent, Statistics
from bifrost_domain.observations import Exposition, Observation
from bifrost_domain.prompt import LabelMove, Prompt, PromptVersion
from bifrost_domain.report import Analysis

Clock = Callable[[], datetime]
"""The time now: aware, UTC."""
Monotonic = Callable[[], float]
"""Seconds on a clock that never goes back; only differences mean something."""
NewId = Callable[[], str]
"""A new UUIDv7 as text: unique, and ordered by time of making."""
Chance = Callable[[], float]
"""A random number from 0 up to 1, for jitter."""


# --- models -------------------------------------------------------------------------------------------------------


class ModelIdentity(Struct, frozen=True, kw_only=True):
    """What answers: the entry's name, the model, and as text every option that changes its answer."""

    provider: str
    model: str
    options: Mapping[str, str] = {}


class ModelDescription(Struct, frozen=True, kw_only=True):
    """What the provider says of its model. Prices are in US dollars for a million tokens, None where unknown.

    `free`: nothing is billed, as for a model on the user's own machine.
    """

    context_tokens: int
    max_output_tokens: int
    usd_per_million_input: float | None = None
    usd_per_million_output: float | None = None
    free: bool = False


class Delta(Struct, frozen=True, tag=True):
    """A piece of the answer, in order; together the pieces are the whole text."""

    text: str


class Completed(Struct, frozen=True, tag=True):
    """The end of an answer. `truncated`: it was cut at the output limit."""

    input_tokens: int
    output_tokens: int
    truncated: bool = False


ModelEvent = Delta | Completed


class LanguageModel(Protocol):
    """A model that streams an answer. Cancelling or closing the iterator closes the connection to the provider."""

    @property
    def identity(self) -> ModelIdentity: ...

    async def describe(self) -> ModelDescription:
        """Ask whether the model is there and how large its context is. Raises ModelUnavailable, ModelThrottled."""
        ...

    def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Deltas, then exactly one Completed. Makes one attempt; who calls decides about retries.

        Raises ModelUnavailable (refused, 4xx, 5xx, cut off), ModelThrottled (429 and its kin, also inside the stream),
        ModelTimeout (the provider itself gave up), BadAnswer (what came back is not the provider's protocol).
        """
        ...


# --- storage ------------------------------------------------------------------------------------------------------


class AnalysisRepository(Protocol):
    """All raise StorageUnavailable (StorageFull where the disk is)."""

    async def add(self, analysis: Analysis, provenance: Provenance | None = None) -> None:
        """Keep it, whole or not at all, with what it was made of."""
        ...

    async def get(self, id: str) -> Analysis:
        """Raises AnalysisNotFound."""
        ...

    async def provenance(self, id: str) -> Provenance | None:
        """What it was made of; None where that was not kept. Raises AnalysisNotFound."""
        ...

    async def search(self, query: HistoryQuery) -> Page:
        """Newest first. Raises BadOption for a cursor it did not make."""
        ...

    def export(self, query: HistoryQuery) -> AsyncGenerator[Analysis, None]:
        """Every analysis that matches, newest first, without holding them all; `limit` and `cursor` play no part."""
        ...

    async def delete(self, id: str) -> None:
        """Raises AnalysisNotFound."""
        ...

    async def forget_before(self, moment: datetime) -> int:
        """Delete everything made before `moment`; returns how many."""
        ...

    async def incident(self, fingerprint: str) -> Incident | None:
        """How often this fingerprint was seen; None where never."""
        ...

    async def incidents(self, *, limit: int = 50, cursor: str | None = None) -> IncidentPage:
        """Every fingerprint, last seen first. Raises BadOption for a cursor it did not make."""
        ...


class MetricRepository(Protocol):
    """All raise StorageUnavailable."""

    async def add(self, metric: AnalysisMetric) -> None: ...

    async def statistics(self, since: datetime, until: datetime) -> Statistics:
        """Sums over `since` (part of it) to `until` (not)."""
        ...

    async def spent(self, family: str, since: datetime) -> Spent:
        """What the keys of a family have used since a moment."""
        ...

    async def forget_before(self, moment: datetime) -> int: ...


class PromptRepository(Protocol):
    """Versions and labels. All raise StorageUnavailable; who writes hands over the event for the audit log, which is
    kept in the same transaction."""

    async def publish(self, version: PromptVersion, event: AuditEvent) -> None:
        """Keep a new version for good. Raises PromptVersionExists where its number is taken."""
        ...

    async def get(self, name: str, version: int) -> PromptVersion:
        """Raises PromptNotFound."""
        ...

    async def names(self) -> Sequence[str]:
        """Sorted."""
        ...

    async def versions(self, name: str) -> Sequence[PromptVersion]:
        """Oldest first; none for a name that is not there."""
        ...

    async def moves(self, name: str) -> Sequence[LabelMove]:
        """The whole history of the labels of a prompt, oldest first."""
        ...

    async def move_label(self, move: LabelMove, event: AuditEvent, *, after: int) -> None:
        """Append to that history, of which the caller has seen `after` moves (all labels of the name counted).

        Raises Conflict where there are more by now, PromptNotFound where there is no such version.
        """
        ...


class KeyRepository(Protocol):
    """API keys, without their secrets. All raise StorageUnavailable; events are kept in the same transaction."""

    async def add(self, key: ApiKey, event: AuditEvent) -> None: ...

    async def find(self, id: str) -> ApiKey | None: ...

    async def update(
        self, id: str, change: Callable[[ApiKey], ApiKey], event: AuditEvent, *, successor: ApiKey | None = None
    ) -> ApiKey:
        """Replace a key by what `change` makes of it, and add its successor, as one step that no other writer sees
        half of. Whatever `change` raises is raised, and nothing is changed. Raises KeyNotFound."""
        ...

    async def all(self) -> Sequence[ApiKey]:
        """Newest first."""
        ...

    async def touch(self, used: Mapping[str, datetime]) -> None:
        """Note when keys were last used: only forward, without waiting for rows that others hold, unknown ids left
        out."""
        ...


class AuditLog(Protocol):
    """All raise StorageUnavailable."""

    async def add(self, event: AuditEvent) -> None: ...

    async def events(self, *, subject: str | None = None, limit: int = 50, cursor: str | None = None) -> AuditPage:
        """Newest first. Raises BadOption for a cursor it did not make."""
        ...


class BatchRepository(Protocol):
    """Batches with their items. All raise StorageUnavailable; `get`, `items`, `changed` and `cancel` BatchNotFound.

    Whatever changes the items of one batch happens in one order, of which `revision` is the count.
    """

    async def add(self, batch: Batch, items: Sequence[tuple[BatchItem, Digest | None]]) -> None:
        """Keep it with all its items and what they are to be analysed from, whole or not at all."""
        ...

    async def get(self, id: str) -> Batch: ...

    async def newest(self, *, family: str | None = None, limit: int = 50, cursor: str | None = None) -> BatchPage:
        """Newest first, those of one family of keys where it is given. Raises BadOption for a cursor it did not
        make."""
        ...

    async def items(self, id: str, *, limit: int = 100, cursor: str | None = None) -> ItemPage:
        """By number. Raises BadOption for a cursor it did not make."""
        ...

    async def changed(self, id: str, after: int) -> Sequence[BatchItem]:
        """The items whose `revision` is greater than `after`, in its order."""
        ...

    async def due(self, now: datetime, limit: int) -> Sequence[ItemRef]:
        """Items that may be claimed. Low numbers come first, so that a small batch need not wait for a large one."""
        ...

    async def change(self, ref: ItemRef, transition: Callable[[BatchItem], BatchItem | None]) -> BatchItem | None:
        """Replace an item by what `transition` makes of it, as one step that no other writer sees half of; the digest
        goes with the end of the item. Gives the item as it is stored now, None where `transition` gave None or there is
        no such item."""
        ...

    async def digest(self, ref: ItemRef) -> Digest | None:
        """What the item is to be analysed from; None where it is over."""
        ...

    async def prolong(self, refs: Sequence[ItemRef], holder: str, until: datetime) -> Sequence[ItemRef]:
        """Move the end of these leases; gives those that are still `holder`'s."""
        ...

    async def cancel(self, id: str, at: datetime) -> Batch:
        """Every item that is not over is cancelled, running ones too: who runs them has lost them."""
        ...

    async def forget_before(self, moment: datetime) -> int:
        """Delete the batches that are over and were made before `moment`; returns how many."""
        ...


class IdempotencyRepository(Protocol):
    """Which requests were made already, by the key that a client gave them. All raise StorageUnavailable."""

    async def begin(self, family: str, key_hash: bytes, request_hash: bytes, at: datetime) -> Idempotent | None:
        """Note a request, as one step. None where it is new; else what was noted before, which is left as it is."""
        ...

    async def finish(self, family: str, key_hash: bytes, resource: str) -> None:
        """Note what the request made."""
        ...

    async def abandon(self, family: str, key_hash: bytes) -> None:
        """It made nothing, so the next one with this key is new again."""
        ...

    async def forget_before(self, moment: datetime) -> int: ...


class Storage(Struct, frozen=True, kw_only=True):
    """What a storage adapter opens. `ping` raises StorageUnavailable; `location` is for people, without credentials."""

    analyses: AnalysisRepository
    metrics: MetricRepository
    prompts: PromptRepository
    keys: KeyRepository
    audit: AuditLog
    batches: BatchRepository
    idempotency: IdempotencyRepository
    ping: Callable[[], Awaitable[None]]
    location: str


class SchemaStatus(Struct, frozen=True, kw_only=True):
    """The revision of a database's tables (None: no tables yet), and the one that this program needs.

    `pending` are the revisions in between, oldest first; `ahead`: a newer program wrote it.
    """

    location: str
    current: str | None
    needed: str
    pending: tuple[str, ...]
    ahead: bool


class Schema(Struct, frozen=True, kw_only=True):
    """What the `administer` of a storage adapter with tables opens. Both raise StorageUnavailable, and `upgrade`
    SchemaMismatch for a database that is ahead."""

    status: Callable[[], Awaitable[SchemaStatus]]
    upgrade: Callable[[], Awaitable[tuple[str, ...]]]
    """Runs what is missing, once, however many upgrade at the same time; gives the revisions that this call ran."""


# --- cache --------------------------------------------------------------------------------------------------------


class ReportCache(Protocol):
    """All raise CacheUnavailable. A value that cannot be read (damaged, other version) is a miss and is dropped."""

    async def get(self, key: CacheKey) -> CachedReport | None: ...

    async def put(self, key: CacheKey, report: CachedReport, ttl: timedelta) -> None: ...

    async def drop(self, key: CacheKey) -> None: ...


class Leases(Protocol):
    """Who may do a thing that only one should do at a time. All raise CacheUnavailable."""

    async def acquire(self, key: CacheKey, holder: str, ttl: timedelta) -> bool:
        """Take the lease unless another holder has it; the own one is prolonged. It ends by itself after `ttl`."""
        ...

    async def release(self, key: CacheKey, holder: str) -> None:
        """Give it back, where it is still the holder's own."""
        ...


class Counters(Protocol):
    """Numbers that are counted up together by all who share the cache. All raise CacheUnavailable."""

    async def add(self, name: str, amount: int, ttl: timedelta) -> int:
        """Add `amount` (0 only reads) and give the sum; the counter ends `ttl` after it began."""
        ...


class Cache(Struct, frozen=True, kw_only=True):
    """What a cache adapter opens. `ping` raises CacheUnavailable; `location` is for people, without credentials."""

    reports: ReportCache
    leases: Leases
    counters: Counters
    ping: Callable[[], Awaitable[None]]
    location: str


# --- queue --------------------------------------------------------------------------------------------------------


class JobQueue(Protocol):
    """Brings the items of batches to those who run them: each at least once, for the storage says who may run one.

    What was lost on the way is found again by looking at what is due in the storage, which every adapter does.
    """

    async def put(self, refs: Sequence[ItemRef], *, after: timedelta = timedelta()) -> None:
        """Have them run soon, or after a time. Raises StorageUnavailable."""
        ...

    def work(self, run: Callable[[ItemRef], Awaitable[None]], at_once: int) -> AbstractAsyncContextManager[None]:
        """Runs items, `at_once` at most at a time, until it is left: then it takes no more, and waits for those that
        run. `run` raises nothing."""
        ...


# --- metrics ------------------------------------------------------------------------------------------------------


class Observer(Protocol):
    """Is told of what happens, where and when it happens. Never blocks, never raises."""

    def observe(self, observation: Observation) -> None: ...


class Metrics(Observer, Protocol):
    """Counts what is observed. `exposition` neither blocks nor raises."""

    def exposition(self) -> Exposition: ...


# --- sources ------------------------------------------------------------------------------------------------------


class LogSource(Protocol):
    """One log. `name` is what reports cite: the path as typed, `-` for standard input, `outer/inner` in a folder."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int | None:
        """Bytes that `chunks` will give, where that is known and it may be called again; None where not."""
        ...

    def chunks(self) -> AsyncGenerator[bytes, None]:
        """The decompressed bytes in order, in pieces that need not end at a line.

        Raises NoReadableInput, also where the input breaks off or is damaged, and LogTooLarge at a configured limit;
        what could be read until then was delivered.
        """
        ...


class Found(Struct, frozen=True, kw_only=True):
    """What a source adapter opens: the logs in reading order, and what was left out with the reason."""

    sources: tuple[LogSource, ...]
    skipped: tuple[tuple[str, str], ...] = ()
