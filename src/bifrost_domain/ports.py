"""Every port on one page: what the core needs of the world, and which errors an adapter owes it.

An adapter translates its vendor's exceptions at its own edge (`raise ModelUnavailable(...) from error`); no foreign
exception passes a port. Every adapter of a port runs through that port's one contract suite in tests/contract.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Protocol

from msgspec import Struct

from bifrost_domain.caching import CachedReport, CacheKey
from bifrost_domain.history import HistoryQuery, Incident, Page
from bifrost_domain.prompt import Prompt
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

    async def add(self, analysis: Analysis) -> None:
        """Keep it, whole or not at all."""
        ...

    async def get(self, id: str) -> Analysis:
        """Raises AnalysisNotFound."""
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


class Storage(Struct, frozen=True, kw_only=True):
    """What a storage adapter opens. `ping` raises StorageUnavailable; `location` is for people, without credentials."""

    analyses: AnalysisRepository
    ping: Callable[[], Awaitable[None]]
    location: str


# --- cache --------------------------------------------------------------------------------------------------------


class ReportCache(Protocol):
    """All raise CacheUnavailable. A value that cannot be read (damaged, other version) is a miss and is dropped."""

    async def get(self, key: CacheKey) -> CachedReport | None: ...

    async def put(self, key: CacheKey, report: CachedReport, ttl: timedelta) -> None: ...

    async def drop(self, key: CacheKey) -> None: ...


class Cache(Struct, frozen=True, kw_only=True):
    """What a cache adapter opens. `ping` raises CacheUnavailable; `location` is for people, without credentials."""

    reports: ReportCache
    ping: Callable[[], Awaitable[None]]
    location: str


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
