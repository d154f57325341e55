"""The cache in Redis or Valkey: for replicas that share it.

It is never needed: where it is down, slow or full, every call raises CacheUnavailable soon, and for some seconds after
a failure at once, without asking it. All keys carry one hash tag, so that scripts may touch several in a cluster.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import BusyLoadingError, OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeout

from bifrost_domain.breaker import Breaker
from bifrost_domain.caching import CachedReport, CacheKey
from bifrost_domain.errors import CacheUnavailable, ConfigurationError
from bifrost_domain.ports import Cache, Clock
from bifrost_domain.report import SCHEMA_VERSION

__all__ = ["Options", "open"]

Result = TypeVar("Result")

_MILLISECOND = timedelta(milliseconds=1)
_TRIMMED_AT_ONCE = 20
"""Entries over the limit that one write takes out."""
_AT_ONCE = 16
"""Commands at once, each on a connection of its own; the others wait in line."""
_NOT_OURS = ("WRONGTYPE ", "value is not an integer")
"""How an error's message begins where another kind of value lies under a key; the client takes `ERR` off."""

_PUT = """
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local serial = redis.call('INCR', KEYS[3])
redis.call('ZADD', KEYS[2], serial, KEYS[1])
local over = redis.call('ZCARD', KEYS[2]) - tonumber(ARGV[3])
if over > 0 then
    local oldest = redis.call('ZPOPMIN', KEYS[2], math.min(over, tonumber(ARGV[4])))
    for place = 1, #oldest, 2 do redis.call('DEL', oldest[place]) end
end
return serial
"""
_ACQUIRE = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""
_COUNT = """
if ARGV[1] == '0' and redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return sum
"""


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`url`: `redis://`, `rediss://`, `unix://` or `valkey://`. `max_entries`: past it, the one written first goes.

    `prefix` comes before every key. `seconds`: how long to wait for a connection or an answer. `pause_seconds`: how
    long Redis is left alone after a failure.
    """

    url: str
    max_entries: int = 10_000
    prefix: str = "bifrost"
    seconds: float = 0.2
    pause_seconds: float = 2.0


@asynccontextmanager
async def open(options: Options, *, clock: Clock = lambda: datetime.now(UTC)) -> AsyncIterator[Cache]:
    """Needs no server: one that is not there is told by the first call. Raises ConfigurationError for a wrong URL."""
    server = _Server(options)
    try:
        yield Cache(
            reports=_RedisReports(server, options.max_entries, clock),
            leases=_RedisLeases(server),
            counters=_RedisCounters(server),
            ping=server.ping,
            location=server.location,
        )
    finally:
        await server.close()


class _Server:
    """Redis behind a breaker. `key(kind, name)` is where a thing of ours lies."""

    def __init__(self, options: Options) -> None:
        pool, self.location = _pool(options)
        self._redis = Redis.from_pool(pool)
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._breaker = Breaker(failures=1, pause_seconds=options.pause_seconds)
        self._prefix = f"{{{options.prefix}}}"

    def key(self, kind: str, name: str = "") -> str:
        return f"{self._prefix}:{kind}:{name}"

    async def ping(self) -> None:
        await self.call(lambda redis: redis.ping(), probing=True)

    async def script(self, script: str, keys: list[str], *arguments: str | int | bytes) -> Any:

        async def run(redis: Redis) -> Any:
            return await redis.eval(script, len(keys), *keys, *arguments)

        return await self.call(run, *keys)

    async def call(self, work: Callable[[Redis], Awaitable[Result]], *keys: str, probing: bool = False) -> Result:
        """What `work` gives. Where another kind of value lies under its `keys`, they are deleted and it runs again.

        Raises CacheUnavailable; without asking where Redis is left alone, unless `probing`.
        """
        async with self._room:
            # Asked here, not before the line: one failure turns all away who wait.
            if not self._breaker.allows(time.monotonic()) and not probing:
                raise CacheUnavailable(f"the cache {self.location} failed a moment ago and is left alone for a while")
            try:
                try:
                    result = await work(self._redis)
                except ResponseError as error:
                    if not str(error).startswith(_NOT_OURS):
                        raise
                    await self._redis.delete(*keys)
                    result = await work(self._redis)
            except (RedisError, OSError, TimeoutError, UnicodeError) as error:
                self._breaker.failed(time.monotonic())
                raise CacheUnavailable(
                    f"the cache {self.location} cannot be used: {_reason(error)}",
                    hint="check that it runs, and cache.url; answers come without it, only anew each time",
                ) from error
            self._breaker.succeeded()
            return result

    async def close(self) -> None:
        await self._redis.aclose()


def _pool(options: Options) -> tuple[ConnectionPool, str]:
    """Connections, and where they lead to, without credentials. Raises ConfigurationError."""
    try:
        scheme, _, rest = options.url.partition("://")
        url = urlsplit(f"{scheme.replace('valkey', 'redis')}://{rest}")
        if "@" in f"{url.path}{url.query}{url.fragment}":
            raise ValueError("a password that is not percent-encoded would end up in the location")
        settings: dict[str, Any] = {
            **parse_url(url.geturl()),
            "max_connections": _AT_ONCE,
            "socket_timeout": options.seconds,
            "socket_connect_timeout": options.seconds,
            "retry": Retry(NoBackoff(), 0),
            "client_name": "bifrost",
            "decode_responses": False,
        }
        pool = ConnectionPool(**settings)
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError):
        # The cause is left out: it may quote the password.
        raise ConfigurationError(
            "the address of the cache in Redis cannot be meant",
            hint="write redis://USER:PASSWORD@HOST:PORT/NUMBER, in the password %40 for @ and %2F for /",
        ) from None
    return pool, f"{scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def _reason(error: BaseException) -> str:
    """In words of ours: a server's message may hold a user's name."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return "it cannot be reached, or refuses us"


_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (OutOfMemoryError, "it is full"),
    (ReadOnlyError, "it is a read-only replica"),
    (BusyLoadingError, "it is still loading"),
    (ResponseError, "it refuses the command"),
    (RedisTimeout, "it does not answer"),
    (TimeoutError, "it does not answer"),
)


class _RedisReports:
    """A ReportCache. A value carries its own end beside the server's, which a clock of ours decides."""

    def __init__(self, server: _Server, most: int, clock: Clock) -> None:
        self._server = server
        self._most = most
        self._clock = clock

    async def get(self, key: CacheKey) -> CachedReport | None:
        place = self._server.key("report", key)

        async def find(redis: Redis) -> Any:
            return await redis.get(place)

        value = await self._server.call(find, place)
        if value is None:
            return None
        entry = _readable(value)
        if entry is None or entry.expires_at <= self._clock() or entry.report.schema_version != SCHEMA_VERSION:
            await self.drop(key)
            return None
        return entry.report

    async def put(self, key: CacheKey, report: CachedReport, ttl: timedelta) -> None:
        value = msgspec.json.encode(_Entry(expires_at=self._clock() + ttl, report=report))
        keys = [self._server.key("report", key), self._server.key("order"), self._server.key("serial")]
        await self._server.script(_PUT, keys, value, _milliseconds(ttl), self._most, _TRIMMED_AT_ONCE)

    async def drop(self, key: CacheKey) -> None:
        place, order = self._server.key("report", key), self._server.key("order")

        async def erase(redis: Redis) -> None:
            await redis.delete(place)
            await redis.zrem(order, place)

        await self._server.call(erase, order)


class _RedisLeases:
    """Leases, by the server's clock."""

    def __init__(self, server: _Server) -> None:
        self._server = server

    async def acquire(self, key: CacheKey, holder: str, ttl: timedelta) -> bool:
        return bool(await self._server.script(_ACQUIRE, [self._server.key("lease", key)], holder, _milliseconds(ttl)))

    async def release(self, key: CacheKey, holder: str) -> None:
        await self._server.script(_RELEASE, [self._server.key("lease", key)], holder)


class _RedisCounters:
    """Counters, by the server's clock."""

    def __init__(self, server: _Server) -> None:
        self._server = server

    async def add(self, name: str, amount: int, ttl: timedelta) -> int:
        place = self._server.key("count", name)
        return int(await self._server.script(_COUNT, [place], amount, _milliseconds(ttl)))


class _Entry(Struct, frozen=True, kw_only=True):
    expires_at: Annotated[datetime, Meta(tz=True)]
    report: CachedReport


def _readable(value: bytes) -> _Entry | None:
    try:
        return msgspec.json.decode(value, type=_Entry)
    except (msgspec.DecodeError, RecursionError):
        return None


def _milliseconds(ttl: timedelta) -> int:
    return max(1, ttl // _MILLISECOND)
