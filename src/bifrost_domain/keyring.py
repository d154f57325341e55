"""The ring of API keys: issue, authenticate, rotate, revoke, throttle.

What was read of a key is reused for less than five seconds from the moment the reading began, however often it is used
meanwhile. So a revoked key is refused within five seconds on every replica, whatever becomes of the cache between them,
and at once where it was revoked. Nothing but a fresh reading ever puts a key there, and none that began before a change
does.
"""

from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from msgspec import Struct

from bifrost_domain import keys
from bifrost_domain.audit import AuditAction, AuditEvent
from bifrost_domain.errors import (
    CacheUnavailable,
    ConfigurationError,
    Forbidden,
    KeyNotFound,
    LimitReached,
    RateLimited,
    StorageUnavailable,
    Unauthenticated,
)
from bifrost_domain.keys import ApiKey, Entropy, Environment, Limit, Scope, Status
from bifrost_domain.logs.redaction import Redactor
from bifrost_domain.ports import Cache, Clock, Monotonic, NewId, Storage

KNOWN_SECONDS = 4.5
"""Half a second of the promised five is left for the way."""
UNKNOWN_SECONDS = 2.0
MOST_KNOWN = 10_000
MOST_UNKNOWN = 1_000
"""Ids that are not there, apart from those that are: who makes ids up cannot crowd out keys."""
MOST_COUNTED = 100_000
"""Counters and addresses that one process remembers."""
WINDOW = timedelta(minutes=1)
DENIED_PER_MINUTE = 20
"""Failed attempts of one address."""
TOUCHED = timedelta(minutes=1)
"""How often the last use of a key, or its want of a scope, is written down, at the most."""
MOST_REASON = 500


TOLD_SECONDS = 1.0
"""How long requests are counted in one process alone, at the most."""

Remembered = TypeVar("Remembered")


class _Window(Struct, kw_only=True):
    """The requests of a family in a minute, as far as this process knows: `counted` together with all replicas, and
    `untold` by it alone since `told`."""

    minute: int
    before: int = 0
    counted: int = 0
    untold: int = 0
    told: float = float("-inf")


class Issued(Struct, frozen=True, kw_only=True):
    """A new key, and its text: shown once, stored nowhere."""

    key: ApiKey
    text: str

    def __repr__(self) -> str:
        return f"Issued({self.key.id!r})"


class Quota(Struct, frozen=True, kw_only=True):
    """What is left of a key's requests: `remaining` of `limit` a minute; the minute that runs ends in `reset` seconds.

    The fields of the RateLimit headers of draft-ietf-httpapi-ratelimit-headers.
    """

    limit: int
    remaining: int
    reset: float


class KeyRing:
    """Use cases over the keys of a storage. All raise StorageUnavailable where it cannot be asked: a key that cannot be
    looked up is never taken for good.

    `peppers` are what hashes are made with, by number; the highest makes new ones. Without any, no key can be made.
    """

    def __init__(
        self,
        *,
        open_storage: Callable[[], Awaitable[Storage]],
        open_cache: Callable[[], Awaitable[Cache]],
        peppers: Mapping[int, bytes],
        clock: Clock,
        monotonic: Monotonic,
        entropy: Entropy,
        new_id: NewId,
    ) -> None:
        self._open_storage = open_storage
        self._open_cache = open_cache
        self._peppers = dict(peppers)
        self._clock = clock
        self._monotonic = monotonic
        self._entropy = entropy
        self._new_id = new_id
        self._known: OrderedDict[str, tuple[ApiKey, float]] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._changes = 0
        self._running: dict[str, int] = {}
        self._used: dict[str, datetime] = {}
        self._noted: dict[str, datetime] = {}
        self._refused: dict[tuple[str, str], AuditEvent] = {}
        self._told: dict[tuple[str, str], datetime] = {}
        self._shut_out: OrderedDict[str, int] = OrderedDict()
        self._windows: OrderedDict[str, _Window] = OrderedDict()
        self._counters = _OwnCounters(monotonic)

    async def issue(
        self,
        name: str,
        *,
        scopes: tuple[Scope, ...] = keys.DEFAULT_SCOPES,
        lifetime: timedelta | None = keys.LIFETIME,
        environment: Environment = "live",
        limit: Limit = keys.DEFAULT_LIMIT,
        actor: str,
        granter: ApiKey | None = None,
    ) -> Issued:
        """A new key. Raises BadOption; Forbidden where `granter` lacks a scope; ConfigurationError without a pepper."""
        self._permit_granting(granter, scopes)
        now = self._clock()
        issued = self._make(
            name=keys.check_name(name),
            environment=environment,
            scopes=scopes,
            limit=keys.check_limit(limit),
            family=None,
            created_at=now,
            created_by=actor,
            expires_at=keys.end(lifetime, now),
        )
        detail = {"name": issued.key.name, "scopes": " ".join(scopes)}
        event = self._event(AuditAction.KEY_CREATED, actor, issued.key.id, detail)
        await (await self._open_storage()).keys.add(issued.key, event)
        return issued

    async def rotate(
        self, id: str, *, overlap: timedelta = timedelta(hours=24), actor: str, granter: ApiKey | None = None
    ) -> Issued:
        """A successor with the same name, scopes and limits and as long a life; the old key ends after `overlap`.

        `id` may be the whole key. Raises KeyNotFound; Conflict where it was rotated or is over; BadOption; Forbidden as
        `issue` does.
        """
        storage = await self._open_storage()
        old = await self.show(id)
        self._permit_granting(granter, old.scopes)
        now = self._clock()
        lifetime = None if old.expires_at is None else old.expires_at - old.created_at
        issued = self._make(
            name=old.name,
            environment=old.environment,
            scopes=old.scopes,
            limit=old.limit,
            family=old.family,
            created_at=now,
            created_by=actor,
            expires_at=None if lifetime is None else now + lifetime,
        )
        successor = issued.key
        event = self._event(AuditAction.KEY_ROTATED, actor, old.id, {"successor": successor.id})
        await storage.keys.update(
            old.id, lambda key: keys.rotated(key, successor.id, overlap, now), event, successor=successor
        )
        self._forget(old.id)
        return issued

    async def revoke(self, id: str, *, reason: str | None = None, actor: str) -> ApiKey:
        """Refused from now on: here at once, on every other replica within five seconds. Its successor is not.

        `id` may be the whole key, as it was found; secrets in `reason` are masked. Raises KeyNotFound.
        """
        id = keys.id_of(id)
        reason = None if reason is None else Redactor(self._entropy(32)).line(reason).text[:MOST_REASON]
        event = self._event(AuditAction.KEY_REVOKED, actor, id, {"reason": reason} if reason else {})
        now = self._clock()
        storage = await self._open_storage()
        key = await storage.keys.update(id, lambda key: keys.revoked(key, actor, reason, now), event)
        self._forget(id)
        return key

    async def show(self, id: str) -> ApiKey:
        """As it is stored; `id` may be the whole key. Raises KeyNotFound."""
        id = keys.id_of(id)
        key = await (await self._open_storage()).keys.find(id)
        if key is None:
            raise KeyNotFound(f"there is no API key {id!r}", hint="`bifrost keys list` shows those there are")
        return key

    async def all(self) -> Sequence[ApiKey]:
        """Newest first."""
        return await (await self._open_storage()).keys.all()

    def without_pepper(self, stored: Sequence[ApiKey]) -> Sequence[ApiKey]:
        """Those that would be good, but cannot be checked, since the pepper of their hash is not here."""
        now = self._clock()
        return [
            key
            for key in stored
            if key.pepper_version not in self._peppers and keys.status(key, now) in (Status.ACTIVE, Status.NOT_YET)
        ]

    async def authenticate(self, text: str, *, address: str | None = None) -> ApiKey:
        """The key whose text this is. Raises Unauthenticated, RateLimited for an address that tries too often.

        What is malformed, or fails its check, is refused without a look at any storage. Failures are counted together
        with all replicas; each shuts an address out, for the rest of the minute, by its own next failure there, so that
        good keys cost no look at the cache.
        """
        minute, passed = divmod(self._clock().timestamp(), WINDOW.total_seconds())
        if address is not None and self._shut_out.get(address) == int(minute):
            raise RateLimited(
                "too many attempts without a valid key",
                retry_after=WINDOW.total_seconds() - passed,
                hint="try again in the next minute",
            )
        try:
            presented = keys.parse(text)
            key = keys.verify(presented, await self._read(presented.id), self._peppers)
            now = self._clock()
            keys.check_active(key, now)
        except Unauthenticated:
            if address is not None:
                failed = await self._count(f"denied:{address}:{int(minute)}", 1)
                if failed >= DENIED_PER_MINUTE:
                    _remember(self._shut_out, address, int(minute), MOST_COUNTED)
            raise
        self._used[key.id] = now
        return key

    def require(self, key: ApiKey, scope: Scope) -> None:
        """Raises Forbidden where the key has not got the scope; `flush` tells the audit log of it."""
        try:
            keys.permit(key, scope)
        except Forbidden:
            self._refuse(key, scope)
            raise

    async def still_valid(self, id: str) -> ApiKey:
        """For what runs long: the key again, read anew, if it still is one. Raises Unauthenticated.

        Asked at least every five seconds, a stream ends within five seconds of its key's revocation.
        """
        key = await self._read(id, anew=True)
        if key is None:
            raise Unauthenticated
        keys.check_active(key, self._clock())
        return key

    async def throttle(self, key: ApiKey) -> Quota:
        """Count a request. Raises RateLimited where the family has no more in this minute.

        A sliding window: the minute before counts with the share of it that is not over yet. What is refused does not
        count. Far from the limit requests are counted here, and told to the other replicas once a second or when they
        are a twentieth of what was left; near it each is told at once. So a family is over its limit by no more than
        that, whoever serves it. Where the shared cache is down, each process counts for itself.
        """
        limit = key.limit.per_minute
        minute, passed = divmod(self._clock().timestamp(), WINDOW.total_seconds())
        share, now = passed / WINDOW.total_seconds(), self._monotonic()
        window = self._windows.get(key.family)
        if window is None or window.minute != minute:
            window = await self._turned(key.family, int(minute), window)
        used = window.before * (1 - share) + window.counted + window.untold + 1
        if now - window.told < TOLD_SECONDS and window.untold < (limit - used) // 20:
            window.untold += 1
        else:
            counting, window.untold, window.told = window.untold + 1, 0, now
            window.counted += counting
            window.counted = await self._count(f"rate:{key.family}:{int(minute)}", counting)
            used = window.before * (1 - share) + window.counted
        if used > limit:
            window.counted = await self._count(f"rate:{key.family}:{int(minute)}", -1)
            wait = _wait(window.before, window.counted, limit, share) * WINDOW.total_seconds()
            raise RateLimited(
                f"API key {key.id} may make {limit} requests a minute", retry_after=wait, hint="try again later"
            )
        return Quota(limit=limit, remaining=int(limit - used), reset=WINDOW.total_seconds() - passed)

    async def _turned(self, family: str, minute: int, last: "_Window | None") -> "_Window":
        """The window of a new minute; what was not told of the last one is told now."""
        window = _Window(minute=minute)
        _remember(self._windows, family, window, MOST_COUNTED)
        if last is not None and last.untold:
            await self._count(f"rate:{family}:{last.minute}", last.untold)
        window.before = await self._count(f"rate:{family}:{minute - 1}", 0)
        return window

    @asynccontextmanager
    async def using(self, key: ApiKey) -> AsyncGenerator[None, None]:
        """While a request of the key runs. Raises RateLimited where as many as it may have are running here."""
        running = self._running.get(key.family, 0)
        if running >= key.limit.at_once:
            raise RateLimited(
                f"API key {key.id} may make {key.limit.at_once} requests at once",
                retry_after=1.0,
                hint="wait for one to end",
            )
        self._running[key.family] = running + 1
        try:
            yield
        finally:
            self._running[key.family] -= 1
            if not self._running[key.family]:
                del self._running[key.family]

    async def check_budget(self, key: ApiKey) -> None:
        """Raises LimitReached where the family has spent what it may in this UTC day."""
        limit = key.limit
        if limit.tokens_per_day is None and limit.usd_per_day is None:
            return
        now = self._clock().astimezone(UTC)
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        spent = await (await self._open_storage()).metrics.spent(key.family, today)
        tomorrow = f"it is filled again at {today + timedelta(days=1):%Y-%m-%dT%H:%MZ}"
        if limit.tokens_per_day is not None and spent.tokens >= limit.tokens_per_day:
            raise LimitReached(f"API key {key.id} has used its {limit.tokens_per_day:,} tokens of today", hint=tomorrow)
        if limit.usd_per_day is not None and spent.usd >= limit.usd_per_day:
            raise LimitReached(f"API key {key.id} has spent its ${limit.usd_per_day:g} of today", hint=tomorrow)

    async def flush(self) -> None:
        """Write down when keys were last used, and what they were refused: to be called now and then, beside the
        requests. What cannot be written now is kept for the next time."""
        due = {
            id: moment
            for id, moment in self._used.items()
            if id not in self._noted or moment - self._noted[id] >= TOUCHED
        }
        if due:
            await (await self._open_storage()).keys.touch(due)
        self._noted |= due
        self._used = {
            id: moment for id, moment in self._used.items() if id not in self._noted or moment > self._noted[id]
        }
        while self._refused:
            place, event = self._refused.popitem()
            try:
                await (await self._open_storage()).audit.add(event)
            except BaseException:
                self._refused.setdefault(place, event)
                raise
            self._told[place] = event.at

    def _permit_granting(self, granter: ApiKey | None, scopes: tuple[Scope, ...]) -> None:
        try:
            keys.permit_granting(granter, scopes)
        except Forbidden:
            if granter is not None:
                self._refuse(granter, "grant")
            raise

    def _refuse(self, key: ApiKey, wanted: str) -> None:
        place, told = (key.id, wanted), self._told.get((key.id, wanted))
        if place not in self._refused and (told is None or self._clock() - told >= TOUCHED):
            self._refused[place] = self._event(AuditAction.KEY_DENIED, key.id, key.id, {"wanted": wanted})

    def _make(self, *, family: str | None, environment: Environment, **fields: object) -> Issued:
        if not self._peppers:
            raise ConfigurationError(
                "there is no pepper to make a key with: the installation's own key cannot be stored",
                hint='set keys.peppers, as in BIFROST_KEYS__PEPPERS=\'{"1": "at least 32 random characters"}\'',
            )
        id = keys.base62(keys.ID_LENGTH, self._entropy)
        secret = keys.base62(keys.SECRET_LENGTH, self._entropy)
        version = max(self._peppers)
        key = ApiKey(
            id=id,
            environment=environment,
            hash=keys.hashed(secret, self._peppers[version]),
            pepper_version=version,
            family=family or id,
            **fields,  # type: ignore[arg-type]
        )
        return Issued(key=key, text=keys.write(environment, id, secret))

    def _event(self, action: AuditAction, actor: str, subject: str, detail: Mapping[str, str]) -> AuditEvent:
        return AuditEvent(
            id=self._new_id(), at=self._clock(), actor=actor, action=action, subject=subject, detail=detail
        )

    async def _read(self, id: str, *, anew: bool = False) -> ApiKey | None:
        began, changes = self._monotonic(), self._changes
        if not anew:
            known = self._known.get(id)
            if known is not None and began < known[1]:
                return known[0]
            if began < self._unknown.get(id, began):
                return None
        key = await (await self._open_storage()).keys.find(id)
        if self._monotonic() >= began + KNOWN_SECONDS:
            raise StorageUnavailable("reading an API key took too long to rely on what was read")
        if changes == self._changes:
            if key is None:
                _remember(self._unknown, id, began + UNKNOWN_SECONDS, MOST_UNKNOWN)
            elif began + KNOWN_SECONDS >= self._known.get(id, (key, began))[1]:
                _remember(self._known, id, (key, began + KNOWN_SECONDS), MOST_KNOWN)
        return key

    def _forget(self, id: str) -> None:
        """After a change: what is known is dropped, and no reading that is on its way is kept."""
        self._changes += 1
        self._known.pop(id, None)
        self._unknown.pop(id, None)

    async def _count(self, name: str, amount: int) -> int:
        try:
            return await (await self._open_cache()).counters.add(name, amount, WINDOW * 2)
        except CacheUnavailable:
            return self._counters.add(name, amount)


class _OwnCounters:
    """Counters of this process alone, each for two windows."""

    def __init__(self, monotonic: Monotonic) -> None:
        self._monotonic = monotonic
        self._sums: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def add(self, name: str, amount: int) -> int:
        now = self._monotonic()
        while self._sums and next(iter(self._sums.values()))[1] <= now:
            self._sums.popitem(last=False)
        counted, until = self._sums.get(name, (0, now + 2 * WINDOW.total_seconds()))
        total = max(0, counted + amount)
        if amount:
            self._sums[name] = total, until
            while len(self._sums) > MOST_COUNTED:
                self._sums.popitem(last=False)
        return total


def _remember(memory: OrderedDict[str, Remembered], name: str, value: Remembered, most: int) -> None:
    memory[name] = value
    memory.move_to_end(name)
    while len(memory) > most:
        memory.popitem(last=False)


def _wait(before: int, now: int, limit: int, share: float) -> float:
    """In windows, how long until one more fits: `before` and `now` were counted in the last and in this one."""
    if now < limit and before:
        return max(0.0, 1 - (limit - 1 - now) / before - share)
    return 1 - share + max(0.0, 1 - (limit - 1) / max(1, now))
