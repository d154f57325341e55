"""The composition root: the only place that knows settings, adapters and core together."""

import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from inspect import isawaitable
from operator import attrgetter
from pathlib import Path
from random import random
from typing import Any

from dependency_injector import containers, providers

from bifrost_adapters.slots import administer, open_slot
from bifrost_domain.analysis import Analyst
from bifrost_domain.application import Application
from bifrost_domain.archive import Archive
from bifrost_domain.batch import ItemRef
from bifrost_domain.batches import Batches
from bifrost_domain.caching import CachePolicy
from bifrost_domain.errors import ConfigurationError
from bifrost_domain.keyring import KeyRing
from bifrost_domain.keys import derived_pepper
from bifrost_domain.logs.digester import Shard
from bifrost_domain.logs.redaction import Pseudonyms
from bifrost_domain.observations import Observation
from bifrost_domain.ports import Cache, Chance, Clock, JobQueue, LanguageModel, Metrics, Observer, Schema, Storage
from bifrost_domain.prompt import ROOT_CAUSE, PromptVersion
from bifrost_domain.promptbook import PromptBook, in_production
from bifrost_entrypoints.settings import Settings, cache_ttl, data_home, retention

LEAST_KEY = 32
"""Characters of a configured installation key, at the least."""


class Models:
    """The configured model entries, each opened by its first use and kept until the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: dict[tuple[str, str | None], LanguageModel] = {}
        self._stack = AsyncExitStack()

    async def open(self, name: str, model: str | None) -> LanguageModel:
        """Raises ConfigurationError for an unknown entry, kind or option."""
        if (name, model) not in self._open:
            kind, options = self._settings.entry(name)
            if model is not None:
                options["model"] = model
            opening = open_slot("models", kind, options, name=name)
            self._open[name, model] = await self._stack.enter_async_context(opening)
        return self._open[name, model]

    async def close(self) -> None:
        await self._stack.aclose()


@asynccontextmanager
async def open_models(settings: Settings) -> AsyncIterator[Models]:
    models = Models(settings)
    try:
        yield models
    finally:
        await models.close()


@asynccontextmanager
async def open_storage(settings: Settings) -> AsyncIterator[Storage]:
    kind, options = storage_choice(settings)
    async with open_slot("storage", kind, options) as storage:
        yield storage


@asynccontextmanager
async def open_cache(settings: Settings) -> AsyncIterator[Cache]:
    kind, options = cache_choice(settings)
    async with open_slot("cache", kind, options) as cache:
        yield cache


@asynccontextmanager
async def open_queue(
    settings: Settings, storage: Callable[[], Awaitable[Storage]], clock: Clock, chance: Chance
) -> AsyncIterator[JobQueue]:
    async def due(limit: int) -> Sequence[ItemRef]:
        return await (await storage()).batches.due(clock(), limit)

    kind, options = queue_choice(settings)
    async with open_slot("queue", kind, options, due=due, chance=chance) as queue:
        yield queue


@asynccontextmanager
async def open_metrics(settings: Settings) -> AsyncIterator[Metrics]:
    """What the service counts with. Raises ConfigurationError."""
    options: dict[str, Any] = {}
    if settings.metrics.kind == "prometheus":
        entries = [settings.entry(name)[1] for name in settings.provider_names() if name not in ("auto", "heuristic")]
        options = {
            "providers": tuple(name for name in settings.provider_names() if name not in ("auto", "heuristic")),
            "models": tuple({str(entry["model"]) for entry in entries if "model" in entry}),
            "directory": os.environ.get("PROMETHEUS_MULTIPROC_DIR"),
            "version": version("bifrost-logs"),
        }
    async with open_slot("metrics", settings.metrics.kind, options) as metrics:
        yield metrics


@asynccontextmanager
async def open_traces(settings: Settings) -> AsyncIterator[Observer]:
    """Who is told of what happens, to trace it. Raises ConfigurationError."""
    endpoint = settings.traces.endpoint or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    options = {"endpoint": endpoint, "share": settings.traces.share, "version": version("bifrost-logs")}
    async with open_slot("traces", "otlp" if endpoint else "off", options if endpoint else {}) as traces:
        yield traces


def log_item(item: ItemRef, error: Exception) -> None:
    """Says what went wrong with an item of a batch."""
    logging.getLogger("bifrost.batches").warning(
        "item %d of batch %s: %s", item.number, item.batch, getattr(error, "message", type(error).__name__)
    )


def unobserved(observation: Observation) -> None:
    """Nobody counts outside the service."""


def storage_choice(settings: Settings) -> tuple[str, dict[str, Any]]:
    """Kind and options of `database.url`. Raises ConfigurationError for a URL that cannot be meant."""
    url = settings.database.url
    if not url:
        return "sqlite", {"path": str(data_home() / "bifrost.db")}
    kind, path = _scheme(url, "database.url")
    if kind.partition("+")[0] in ("postgresql", "postgres"):
        return "postgres", {"url": url}
    if kind == "sqlite" and not path:
        raise ConfigurationError(f"database.url {url!r} names no file", hint="write sqlite:///PATH")
    return kind, {"path": path} if kind == "sqlite" else {}


def cache_choice(settings: Settings) -> tuple[str, dict[str, Any]]:
    """Kind and options of `cache.url`; `sqlite:` alone shares the database's file where that is SQLite."""
    kind, path = _scheme(settings.cache.url, "cache.url")
    if kind == "off":
        return kind, {}
    options: dict[str, Any] = {"max_entries": settings.cache.max_entries}
    if kind in ("redis", "rediss", "unix", "valkey", "valkeys"):
        return "redis", options | {"url": settings.cache.url}
    if kind == "sqlite":
        storage, where = storage_choice(settings)
        if not path and storage != "sqlite":
            return "memory", options
        options["path"] = path or where["path"]
    return kind, options


def queue_choice(settings: Settings) -> tuple[str, dict[str, Any]]:
    """Kind and options of `queue.kind`. Raises ConfigurationError for one that the database cannot carry."""
    kind = settings.queue.kind
    storage, where = storage_choice(settings)
    if kind == "pgqueuer" and storage != "postgres":
        raise ConfigurationError(
            "queue.kind pgqueuer needs PostgreSQL", hint="name one with database.url, or leave queue.kind at stored"
        )
    return kind, {"url": where["url"]} if kind == "pgqueuer" else {}


def _scheme(url: str, setting: str) -> tuple[str, str]:
    """`sqlite:///PATH` -> (sqlite, PATH). An absolute path has four slashes or, as people type it, three."""
    kind, colon, rest = url.partition(":")
    if not colon or not kind:
        raise ConfigurationError(f"{setting} {url!r} is not a URL", hint="write sqlite:///PATH, memory: or off:")
    path = rest.removeprefix("//")
    if path.startswith("//"):
        path = path[1:]
    return kind, str(Path(path).expanduser()) if path else ""


def installation_key(settings: Settings) -> bytes:
    """The key behind placeholders and cache keys: configured, else made once and kept in the data directory (0600).

    Where the directory cannot be written the key lasts as long as the process: placeholders still hide everything, they
    only cannot be compared between runs. Raises ConfigurationError for a configured key that is too short.
    """
    if settings.redaction.key is not None:
        key = settings.redaction.key.value
        if len(key) < LEAST_KEY:
            raise ConfigurationError(
                f"redaction.key has {len(key)} characters, {LEAST_KEY} are needed",
                hint="make one with: python3 -c 'import secrets; print(secrets.token_hex(32))'",
            )
        return key.encode()
    path = data_home() / "key"
    try:
        return path.read_bytes() or _make_key(path)
    except FileNotFoundError:
        return _make_key(path)
    except OSError:
        return secrets.token_bytes(32)


def _make_key(path: Path) -> bytes:
    """A new key at `path`, or the one that another process put there first."""
    key = secrets.token_hex(32).encode()
    new = path.with_name(f"key.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
        try:
            os.link(new, path)
        except FileExistsError:
            return path.read_bytes() or key
        finally:
            new.unlink()
    except OSError:
        return key
    return key


def peppers(settings: Settings, key: bytes) -> dict[int, bytes]:
    """What API keys are hashed with, by number: as configured, else derived from the installation's key.

    None where that key lasts no longer than this process. Raises ConfigurationError for a pepper that cannot be meant.
    """
    configured = settings.keys.peppers
    if not configured:
        lasting = settings.redaction.key is not None or _stored(key)
        return {1: derived_pepper(key)} if lasting else {}
    for number, pepper in configured.items():
        if not number.isdecimal() or not 1 <= int(number) <= 9999:
            raise ConfigurationError(f"keys.peppers has the number {number!r}", hint="number them from 1 on")
        if len(pepper.value) < LEAST_KEY:
            raise ConfigurationError(
                f"keys.peppers.{number} has {len(pepper.value)} characters, {LEAST_KEY} are needed",
                hint="make one with: python3 -c 'import secrets; print(secrets.token_hex(32))'",
            )
    return {int(number): pepper.value.encode() for number, pepper in configured.items()}


def _stored(key: bytes) -> bool:
    try:
        return (data_home() / "key").read_bytes() == key
    except OSError:
        return False


def prompt_finder(book: PromptBook, settings: Settings) -> Callable[[str | None], Awaitable[PromptVersion]]:
    async def find(reference: str | None) -> PromptVersion:
        named = None if settings.prompt == ROOT_CAUSE.name else settings.prompt
        return await in_production(book, reference or named)

    return find


@asynccontextmanager
async def administer_storage(settings: Settings) -> AsyncIterator[Schema]:
    """The tables of the configured database. Raises ConfigurationError for a storage that has none."""
    kind, options = storage_choice(settings)
    async with administer("storage", kind, options) as schema:
        yield schema


def open_pseudonyms(settings: Settings, key: bytes) -> Pseudonyms | None:
    return Pseudonyms(key) if settings.redaction.pseudonyms else None


def utc_now() -> datetime:
    return datetime.now(UTC)


def uuid7() -> str:
    """A UUIDv7 (RFC 9562, section 5.7): 48 bits of Unix milliseconds, then random bits."""
    value = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(secrets.token_bytes(10), "big")
    value = value & ~(0xF000 << 64) | 0x7000 << 64
    value = value & ~(0xC000 << 48) | 0x8000 << 48
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def open_shard() -> Shard:
    from bifrost_adapters.shard import ProcessShard

    return ProcessShard()


def opener(provider: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    """A function that opens `provider` on its first call. Only here is it known that a provider may give a Future."""

    async def open() -> Any:
        value = provider()
        return await value if isawaitable(value) else value

    return open


def model_opener(provider: Callable[[], Any]) -> Callable[[str, str | None], Awaitable[LanguageModel]]:
    open_all: Callable[[], Awaitable[Models]] = opener(provider)

    async def open(name: str, model: str | None) -> LanguageModel:
        return await (await open_all()).open(name, model)

    return open


class Container(containers.DeclarativeContainer):
    """What Bifrost is made of. Tests override `models`, `storage` and `cache` on an instance before its first use."""

    settings = providers.Dependency(instance_of=Settings)
    models = providers.Resource(open_models, settings)
    storage = providers.Resource(open_storage, settings)
    cache = providers.Resource(open_cache, settings)
    key = providers.Singleton(installation_key, settings)
    pseudonyms = providers.Singleton(open_pseudonyms, settings, key)
    peppers = providers.Singleton(peppers, settings, key)
    clock = providers.Object(utc_now)
    monotonic = providers.Object(time.monotonic)
    new_id = providers.Object(uuid7)
    chance = providers.Object(random)
    entropy = providers.Object(secrets.token_bytes)
    observe = providers.Object(unobserved)

    open_model = providers.Callable(model_opener, models.provider)
    open_storage = providers.Callable(opener, storage.provider)
    open_cache = providers.Callable(opener, cache.provider)
    queue = providers.Resource(open_queue, settings, open_storage, clock, chance)
    open_queue = providers.Callable(opener, queue.provider)
    archive = providers.Singleton(Archive, open_storage=open_storage, clock=clock, new_id=new_id)
    promptbook = providers.Singleton(PromptBook, open_storage=open_storage, clock=clock, new_id=new_id)
    find_prompt = providers.Callable(prompt_finder, promptbook, settings)
    keyring = providers.Singleton(
        KeyRing,
        open_storage=open_storage,
        open_cache=open_cache,
        peppers=peppers,
        clock=clock,
        monotonic=monotonic,
        entropy=entropy,
        new_id=new_id,
    )
    cache_policy = providers.Factory(CachePolicy, ttl=providers.Callable(cache_ttl, settings))
    analyst = providers.Singleton(
        Analyst,
        open_model=open_model,
        open_storage=open_storage,
        open_cache=open_cache,
        find_prompt=find_prompt,
        # `.provider` of any provider is the provider itself, so this one setting is read by a function.
        provider=providers.Callable(attrgetter("provider"), settings),
        order=settings.provided.order,
        secret=key,
        redact_pii=settings.provided.redaction.pii,
        budget=settings.provided.digest.budget,
        limits=settings.provided.limits,
        cache_policy=cache_policy,
        clock=clock,
        monotonic=monotonic,
        new_id=new_id,
        chance=chance,
        open_shard=providers.Object(open_shard),
        pseudonyms=pseudonyms,
        keep_digest=settings.provided.history.keep_digest,
        retention=providers.Callable(retention, settings),
        observe=observe,
    )
    batches = providers.Singleton(
        Batches,
        analyst=analyst,
        open_storage=open_storage,
        open_queue=open_queue,
        find_prompt=find_prompt,
        clock=clock,
        new_id=new_id,
        chance=chance,
        at_once=settings.provided.queue.at_once,
        item_seconds=settings.provided.queue.item_seconds,
        told=providers.Object(log_item),
    )
    application = providers.Singleton(
        Application,
        analyst=analyst,
        archive=archive,
        promptbook=promptbook,
        keyring=keyring,
        batches=batches,
        find_prompt=find_prompt,
        open_model=open_model,
        open_storage=open_storage,
        open_cache=open_cache,
        pseudonyms=pseudonyms,
    )


@asynccontextmanager
async def open_application(settings: Settings, **adapters: object) -> AsyncIterator[Application]:
    """Bifrost, wired; what was opened is closed at the end. `adapters` replace providers by name, for tests."""
    container = Container(settings=settings)
    for name, adapter in adapters.items():
        container.providers[name].override(providers.Object(adapter))
    try:
        yield container.application()
    finally:
        closing = container.shutdown_resources()
        if isawaitable(closing):
            await closing
