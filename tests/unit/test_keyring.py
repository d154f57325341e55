"""The ring of keys under a clock of the test's: what is reused, what never comes back, and who is refused."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from bifrost_adapters.slots import open_slot
from bifrost_domain import keyring as domain
from bifrost_domain import keys
from bifrost_domain.audit import AuditAction
from bifrost_domain.errors import (
    BadOption,
    BifrostError,
    CacheUnavailable,
    ConfigurationError,
    Conflict,
    Forbidden,
    KeyNotFound,
    LimitReached,
    RateLimited,
    StorageUnavailable,
    Unauthenticated,
)
from bifrost_domain.keyring import KeyRing
from bifrost_domain.keys import ApiKey, Limit, Scope
from bifrost_domain.metrics import AnalysisMetric, RunOutcome
from bifrost_domain.ports import Cache, Storage
from tests.builders import START, an_id
from tests.unit.test_keys import PEPPERS, entropy


class World:
    """Time, a storage and a cache that can fail, and as many rings over them as there are replicas."""

    def __init__(self, storage: Storage, cache: Cache) -> None:
        self.storage, self.cache = storage, cache
        self.now = START
        self.storage_down = self.cache_down = False
        self.asked = 0
        self.gate: asyncio.Event | None = None

    def ring(self, **changes: Any) -> KeyRing:
        settings: dict[str, Any] = {
            "peppers": PEPPERS,
            "entropy": entropy(next(_seeds)),
            "clock": lambda: self.now,
        }
        return KeyRing(
            open_storage=self.open_storage,
            open_cache=self.open_cache,
            monotonic=lambda: self.now.timestamp(),
            new_id=an_id,
            **(settings | changes),
        )

    async def open_storage(self) -> Storage:
        self.asked += 1
        if self.storage_down:
            raise StorageUnavailable("down")
        return self.storage

    async def open_cache(self) -> Cache:
        if self.cache_down:
            raise CacheUnavailable("down")
        return self.cache

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


_seeds = iter(range(10**6))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        storage = await stack.enter_async_context(open_slot("storage", "memory", {}))
        made = World(storage, None)  # type: ignore[arg-type]
        made.cache = await stack.enter_async_context(open_slot("cache", "memory", {}, clock=lambda: made.now))
        yield made


@pytest.fixture
def ring(world: World) -> KeyRing:
    return world.ring()


async def test_a_key_is_made_once_shown_once_and_works(world: World, ring: KeyRing) -> None:
    issued = await ring.issue("ci", actor="me")
    assert (await ring.authenticate(issued.text)).id == issued.key.id
    stored = await ring.show(issued.key.id)
    secret = keys.parse(issued.text).secret
    assert secret not in repr(stored) + repr((await world.storage.audit.events()).items)
    assert (stored.scopes, stored.family) == (keys.DEFAULT_SCOPES, stored.id)
    assert stored.expires_at == START + keys.LIFETIME
    (event,) = (await world.storage.audit.events()).items
    assert (event.action, event.actor, event.subject) == (AuditAction.KEY_CREATED, "me", stored.id)


async def test_what_is_malformed_costs_no_look_at_the_storage(world: World, ring: KeyRing) -> None:
    issued = await ring.issue("ci", actor="me")
    world.asked = 0
    flipped = issued.text[:-1] + ("a" if issued.text[-1] != "a" else "b")
    for text in ("", "bfr_live_x", issued.text + "x", flipped, issued.text.upper()):
        with pytest.raises(Unauthenticated):
            await ring.authenticate(text)
    assert world.asked == 0


async def test_every_reason_to_refuse_looks_the_same(world: World, ring: KeyRing) -> None:
    expired = await ring.issue("a", lifetime=timedelta(seconds=1), actor="me")
    revoked = await ring.issue("b", actor="me")
    await ring.revoke(revoked.key.id, actor="me")
    world.advance(2)
    unknown = keys.write("live", "0" * 12, "0" * 32)
    wrong = keys.write("live", expired.key.id, "0" * 32)
    told = set()
    for text in (expired.text, revoked.text, unknown, wrong, "nonsense"):
        with pytest.raises(Unauthenticated) as raised:
            await ring.authenticate(text)
        told.add((raised.value.message, raised.value.hint, raised.value.slug))
    assert len(told) == 1


async def test_a_revoked_key_is_refused_here_at_once_and_elsewhere_within_five_seconds(world: World) -> None:
    """On another replica that has it in its memory and uses it all the time (LiteLLM 9820, Langfuse's sliding TTL)."""
    here, there = world.ring(), world.ring()
    issued = await here.issue("ci", actor="me")
    for _ in range(20):
        await there.authenticate(issued.text)
        world.advance(1)
    await there.authenticate(issued.text)
    await here.revoke(issued.key.id, actor="me")
    with pytest.raises(Unauthenticated):
        await here.authenticate(issued.text)
    world.cache_down = True
    refused_after = None
    for second in range(10):
        try:
            await there.authenticate(issued.text)
        except Unauthenticated:
            refused_after = second
            break
        world.advance(1)
    assert refused_after is not None
    assert refused_after <= 5


@pytest.mark.parametrize("remembered_for", [0.0, 2.0, 4.4])
async def test_however_fresh_the_memory_of_it_a_revoked_key_is_refused_within_five_seconds(
    world: World, remembered_for: float
) -> None:
    here, there = world.ring(), world.ring()
    issued = await here.issue("ci", actor="me")
    await there.authenticate(issued.text)
    world.advance(remembered_for)
    await here.revoke(issued.key.id, actor="me")
    world.advance(5 - remembered_for)
    with pytest.raises(Unauthenticated):
        await there.authenticate(issued.text)


@pytest.mark.parametrize("change", ["revoke", "rotate"])
async def test_a_request_between_the_order_and_its_end_keeps_nothing(world: World, ring: KeyRing, change: str) -> None:
    """Langfuse dropped a key from its cache and then deleted it: a request in between brought it back."""
    issued = await ring.issue("ci", actor="me")
    await ring.authenticate(issued.text)
    update = world.storage.keys.update

    async def with_a_request_before(*arguments: Any, **named: Any) -> ApiKey:
        assert await ring.authenticate(issued.text)
        return await update(*arguments, **named)

    world.storage.keys.update = with_a_request_before  # type: ignore[method-assign]
    if change == "revoke":
        await ring.revoke(issued.key.id, actor="me")
    else:
        await ring.rotate(issued.key.id, overlap=timedelta(0), actor="me")
    with pytest.raises(Unauthenticated):
        await ring.authenticate(issued.text)


async def test_an_admin_key_is_no_exception(world: World, ring: KeyRing) -> None:
    """LiteLLM 35535: a key with every right went past the check once it was in memory."""
    issued = await ring.issue("admin", scopes=tuple(Scope), actor="me")
    await ring.authenticate(issued.text)
    await ring.revoke(issued.key.id, actor="me")
    with pytest.raises(Unauthenticated):
        await ring.authenticate(issued.text)
    with pytest.raises(Unauthenticated):
        await ring.still_valid(issued.key.id)


async def test_a_reading_that_began_before_a_revocation_is_not_kept(world: World, ring: KeyRing) -> None:
    """LiteLLM 25553: a request in flight wrote the stale key back, with a fresh life."""
    issued = await ring.issue("ci", actor="me")
    find, reached, go_on = world.storage.keys.find, asyncio.Event(), asyncio.Event()

    async def slowly(id: str) -> ApiKey | None:
        key = await find(id)
        reached.set()
        await go_on.wait()
        return key

    world.storage.keys.find = slowly  # type: ignore[method-assign]
    in_flight = asyncio.create_task(ring.authenticate(issued.text))
    await reached.wait()
    world.storage.keys.find = find  # type: ignore[method-assign]
    await ring.revoke(issued.key.id, actor="me")
    go_on.set()
    await asyncio.gather(in_flight, return_exceptions=True)
    with pytest.raises(Unauthenticated):
        await ring.authenticate(issued.text)


async def test_a_key_whose_revocation_failed_is_not_dropped_and_one_that_was_revoked_is(world: World) -> None:
    """Langfuse dropped it from the cache first: here nothing is dropped before the storage says that it is done."""
    ring = world.ring()
    issued = await ring.issue("ci", actor="me")
    await ring.authenticate(issued.text)
    world.storage_down = True
    with pytest.raises(StorageUnavailable):
        await ring.revoke(issued.key.id, actor="me")
    assert (await ring.authenticate(issued.text)).id == issued.key.id


async def test_an_unknown_id_that_is_made_later_works_within_two_seconds(world: World) -> None:
    here, there = world.ring(), world.ring()
    issued = await here.issue("ci", actor="me")
    keys_of = world.storage.keys
    hidden, find = True, keys_of.find

    async def not_yet(id: str) -> ApiKey | None:
        return None if hidden else await find(id)

    keys_of.find = not_yet  # type: ignore[method-assign]
    with pytest.raises(Unauthenticated):
        await there.authenticate(issued.text)
    hidden = False
    world.advance(domain.UNKNOWN_SECONDS)
    assert (await there.authenticate(issued.text)).id == issued.key.id


async def test_without_the_storage_a_known_key_works_until_its_five_seconds_are_over(world: World) -> None:
    ring = world.ring()
    issued = await ring.issue("ci", actor="me")
    await ring.authenticate(issued.text)
    world.storage_down = True
    world.advance(domain.KNOWN_SECONDS - 0.1)
    await ring.authenticate(issued.text)
    world.advance(0.2)
    with pytest.raises(StorageUnavailable):
        await ring.authenticate(issued.text)


async def test_what_is_known_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "MOST_KNOWN", 3)
    monkeypatch.setattr(domain, "MOST_UNKNOWN", 5)
    ring = world.ring()
    issued = [await ring.issue("ci", actor="me") for _ in range(10)]
    for one in issued:
        await ring.authenticate(one.text)
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await ring.authenticate(keys.write("live", f"{number:012}", "0" * 32))
    assert (len(ring._known), len(ring._unknown)) == (3, 5)
    world.asked = 0
    for one in issued[-3:]:
        await ring.authenticate(one.text)
    assert world.asked == 0, "ids that somebody made up crowded out keys that are in use"


async def test_what_is_counted_in_this_process_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(domain, "MOST_COUNTED", 7)
    monkeypatch.setattr(domain, "DENIED_PER_MINUTE", 1)
    world.cache_down = True
    ring = world.ring()
    for number in range(50):
        with pytest.raises(Unauthenticated):
            await ring.authenticate("wrong", address=f"10.0.0.{number}")
    assert (len(ring._counters._sums), len(ring._shut_out)) == (7, 7)


async def test_a_reading_that_took_too_long_is_not_relied_on(world: World, ring: KeyRing) -> None:
    """A database that stood still may give what it read before the key was revoked."""
    issued = await ring.issue("ci", actor="me")
    find = world.storage.keys.find

    async def slowly(id: str) -> ApiKey | None:
        key = await find(id)
        world.advance(domain.KNOWN_SECONDS)
        return key

    world.storage.keys.find = slowly  # type: ignore[method-assign]
    for call in (ring.authenticate(issued.text), ring.still_valid(issued.key.id)):
        with pytest.raises(StorageUnavailable, match="too long"):
            await call


async def test_an_older_reading_does_not_replace_a_newer_one(world: World) -> None:
    """Two readings cross on a replica while another one revokes: what was refused once stays refused."""
    here, there = world.ring(), world.ring()
    issued = await here.issue("ci", actor="me")
    find, reached, go_on = world.storage.keys.find, asyncio.Event(), asyncio.Event()

    async def slowly(id: str) -> ApiKey | None:
        key = await find(id)
        reached.set()
        await go_on.wait()
        return key

    world.storage.keys.find = slowly  # type: ignore[method-assign]
    older = asyncio.create_task(there.authenticate(issued.text))
    await reached.wait()
    world.storage.keys.find = find  # type: ignore[method-assign]
    await here.revoke(issued.key.id, actor="me")
    world.advance(1)
    with pytest.raises(Unauthenticated):
        await there.authenticate(issued.text)
    go_on.set()
    await older
    with pytest.raises(Unauthenticated):
        await there.authenticate(issued.text)


async def test_what_runs_long_is_told_of_a_revocation_at_its_next_question(world: World) -> None:
    here, there = world.ring(), world.ring()
    issued = await here.issue("ci", actor="me")
    await there.authenticate(issued.text)
    assert (await there.still_valid(issued.key.id)).id == issued.key.id
    await here.revoke(issued.key.id, actor="me")
    with pytest.raises(Unauthenticated):
        await there.still_valid(issued.key.id)
    with pytest.raises(Unauthenticated):
        await there.authenticate(issued.text)
    with pytest.raises(Unauthenticated):
        await there.still_valid("0" * 12)


async def test_a_key_is_in_no_text_but_its_own(
    world: World, ring: KeyRing, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(0)
    issued = await ring.issue("ci", actor="me")
    successor = await ring.rotate(issued.text, actor="me")
    await ring.authenticate(issued.text)
    told: list[object] = [issued, successor, ring, await ring.all()]
    unknown = keys.write("live", "0" * 12, keys.parse(issued.text).secret)
    calls = [ring.authenticate(unknown), ring.show(unknown), ring.show(issued.text[:-3]), ring.issue(unknown, actor="")]
    await ring.revoke(issued.key.id, reason=f"found {issued.text} in a log, password=Tr0ub4dor&3x", actor="me")
    for call in (*calls, ring.authenticate(issued.text), ring.rotate(issued.text, actor="me")):
        with pytest.raises(BifrostError) as raised:
            await call
        told += [raised.value, raised.value.message, raised.value.hint, raised.value.__cause__]
    told += [(await world.storage.audit.events()).items, await ring.all(), vars(ring)]
    captured = capfd.readouterr()
    text = repr(told) + caplog.text + captured.out + captured.err
    for one in (issued.text, successor.text):
        assert keys.parse(one).secret not in text
    assert "Tr0ub4dor" not in text
    assert (await ring.show(issued.key.id)).revoked_reason is not None


async def test_what_a_key_was_refused_is_told_to_the_audit_log_once_a_minute(world: World, ring: KeyRing) -> None:
    key = (await ring.issue("ci", scopes=(Scope.KEYS_ADMIN,), actor="me")).key

    async def denied() -> list[str]:
        await ring.flush()
        events = (await world.storage.audit.events(subject=key.id)).items
        return [event.detail["wanted"] for event in events if event.action is AuditAction.KEY_DENIED]

    ring.require(key, Scope.KEYS_ADMIN)
    assert await denied() == []
    for _ in range(3):
        with pytest.raises(Forbidden):
            ring.require(key, Scope.METRICS_READ)
    assert await denied() == ["metrics:read"]
    with pytest.raises(Forbidden):
        await ring.issue("more", scopes=(Scope.METRICS_READ,), actor=key.id, granter=key)
    with pytest.raises(Forbidden):
        ring.require(key, Scope.METRICS_READ)
    world.storage_down = True
    with pytest.raises(StorageUnavailable):
        await ring.flush()
    world.storage_down = False
    assert await denied() == ["grant", "metrics:read"]
    world.advance(60)
    with pytest.raises(Forbidden):
        ring.require(key, Scope.METRICS_READ)
    assert await denied() == ["metrics:read", "grant", "metrics:read"]


async def test_keys_whose_pepper_is_gone_are_named(world: World) -> None:
    both, newer = world.ring(), world.ring(peppers={2: PEPPERS[2]})
    old = await world.ring(peppers={1: PEPPERS[1]}).issue("old", actor="me")
    over = await world.ring(peppers={1: PEPPERS[1]}).issue("over", actor="me")
    await both.issue("new", actor="me")
    await both.revoke(over.key.id, actor="me")
    assert both.without_pepper(await both.all()) == []
    assert [key.id for key in newer.without_pepper(await newer.all())] == [old.key.id]


async def test_rotation_lets_both_work_for_a_while_and_carries_rights_and_limits_over(world: World) -> None:
    ring = world.ring()
    limit = Limit(per_minute=2, tokens_per_day=100)
    old = await ring.issue("ci", scopes=(Scope.METRICS_READ,), limit=limit, actor="me")
    new = await ring.rotate(old.key.id, overlap=timedelta(hours=1), actor="me")
    assert (new.key.name, new.key.scopes, new.key.limit) == ("ci", (Scope.METRICS_READ,), limit)
    assert new.key.family == old.key.family
    world.advance(3599)
    await ring.throttle(await ring.authenticate(old.text))
    await ring.throttle(await ring.authenticate(new.text))
    with pytest.raises(RateLimited):
        await ring.throttle(await ring.authenticate(new.text))
    world.advance(1)
    with pytest.raises(Unauthenticated):
        await ring.authenticate(old.text)
    await ring.authenticate(new.text)
    with pytest.raises(Conflict):
        await ring.rotate(old.key.id, actor="me")


async def test_a_budget_is_the_familys_and_of_the_day(world: World) -> None:
    ring = world.ring()
    old = await ring.issue("ci", limit=Limit(tokens_per_day=100, usd_per_day=1.0), actor="me")
    new = await ring.rotate(old.key.id, actor="me")
    await ring.check_budget(new.key)

    async def spend(tokens: int, usd: float) -> None:
        metric = AnalysisMetric(
            id=an_id(),
            at=world.now,
            outcome=RunOutcome.ANSWERED,
            provider="p",
            model="m",
            key=old.key.family,
            input_tokens=tokens,
            cost_usd=usd,
        )
        await world.storage.metrics.add(metric)

    await spend(99, 0.5)
    await ring.check_budget(new.key)
    await spend(1, 0.0)
    with pytest.raises(LimitReached, match="tokens"):
        await ring.check_budget(new.key)
    world.advance(86_400)
    await ring.check_budget(new.key)
    await spend(0, 1.0)
    with pytest.raises(LimitReached, match=r"\$1"):
        await ring.check_budget(new.key)


@pytest.mark.parametrize("cache_down", [False, True])
async def test_requests_are_limited_over_any_minute(world: World, cache_down: bool) -> None:
    world.cache_down = cache_down
    ring = world.ring()
    key = (await ring.issue("ci", limit=Limit(per_minute=10), actor="me")).key
    allowed: list[datetime] = []
    waits: list[float] = []
    for _ in range(600):
        try:
            quota = await ring.throttle(key)
            allowed.append(world.now)
            assert 0 <= quota.remaining < quota.limit == 10
        except RateLimited as refused:
            waits.append(refused.retry_after)
        world.advance(0.5)
    for moment in allowed:
        assert sum(moment <= other < moment + timedelta(minutes=1) for other in allowed) <= 20
    assert 45 <= len(allowed) <= 60
    assert all(0 < wait <= 120 for wait in waits)


async def test_the_turn_of_a_minute_does_not_double_the_limit(world: World, ring: KeyRing) -> None:
    key = (await ring.issue("ci", limit=Limit(per_minute=10), actor="me")).key
    world.advance(59 - world.now.timestamp() % 60)
    for _ in range(10):
        await ring.throttle(key)
    world.advance(2)
    with pytest.raises(RateLimited) as raised:
        await ring.throttle(key)
    assert raised.value.retry_after == pytest.approx(5, abs=0.01)


async def test_a_cache_that_fails_in_the_middle_gives_nothing_away(world: World, ring: KeyRing) -> None:
    key = (await ring.issue("ci", limit=Limit(per_minute=1), actor="me")).key
    await ring.throttle(key)
    asked = count()

    async def fail_at_the_third() -> Cache:
        if next(asked) >= 2:
            raise CacheUnavailable("down")
        return world.cache

    world.open_cache = fail_at_the_third  # type: ignore[method-assign]
    ring = world.ring()
    with pytest.raises(RateLimited):
        await ring.throttle(key)
    await ring.throttle(key)
    with pytest.raises(RateLimited):
        await ring.throttle(key)


async def test_after_the_time_that_was_told_one_more_is_let_through(world: World, ring: KeyRing) -> None:
    key = (await ring.issue("ci", limit=Limit(per_minute=5), actor="me")).key
    for start in (0.0, 13.0, 31.0):
        world.advance(start)
        while True:
            try:
                await ring.throttle(key)
            except RateLimited as refused:
                world.advance(refused.retry_after + 0.001)
                await ring.throttle(key)
                break


async def test_so_many_run_at_once_and_no_more(ring: KeyRing) -> None:
    key = (await ring.issue("ci", limit=Limit(at_once=2), actor="me")).key
    async with ring.using(key), ring.using(key):
        with pytest.raises(RateLimited):
            async with ring.using(key):
                raise AssertionError
    async with ring.using(key):
        pass
    assert ring._running == {}


async def test_an_address_that_tries_too_often_has_to_wait(world: World, ring: KeyRing) -> None:
    issued = await ring.issue("ci", actor="me")
    for _ in range(domain.DENIED_PER_MINUTE):
        with pytest.raises(Unauthenticated):
            await ring.authenticate("wrong", address="10.0.0.1")
    with pytest.raises(RateLimited):
        await ring.authenticate(issued.text, address="10.0.0.1")
    assert await ring.authenticate(issued.text, address="10.0.0.2")
    seconds = 60 - world.now.timestamp() % 60
    world.advance(seconds - 1)
    with pytest.raises(RateLimited) as raised:
        await ring.authenticate(issued.text, address="10.0.0.1")
    assert raised.value.retry_after == pytest.approx(1)
    world.advance(1)
    assert await ring.authenticate(issued.text, address="10.0.0.1")


async def test_failures_are_counted_together_and_good_keys_do_not_ask_the_cache(world: World) -> None:
    here, there = world.ring(), world.ring()
    issued = await here.issue("ci", actor="me")
    for _ in range(domain.DENIED_PER_MINUTE):
        with pytest.raises(Unauthenticated):
            await here.authenticate("wrong", address="10.0.0.1")
    with pytest.raises(Unauthenticated):
        await there.authenticate("wrong", address="10.0.0.1")
    with pytest.raises(RateLimited):
        await there.authenticate("wrong", address="10.0.0.1")

    async def fail() -> Cache:
        raise AssertionError

    world.open_cache = fail  # type: ignore[method-assign]
    assert await world.ring().authenticate(issued.text, address="10.0.0.2")


async def test_peppers_change_without_breaking_keys(world: World) -> None:
    old = world.ring(peppers={1: PEPPERS[1]})
    issued = await old.issue("ci", actor="me")
    both = world.ring()
    await both.authenticate(issued.text)
    newer = await both.issue("new", actor="me")
    assert newer.key.pepper_version == 2
    with pytest.raises(Unauthenticated):
        await world.ring(peppers={2: PEPPERS[2]}).authenticate(issued.text)
    with pytest.raises(ConfigurationError, match="no pepper"):
        await world.ring(peppers={}).issue("x", actor="me")


async def test_a_key_gives_no_more_than_it_has(ring: KeyRing) -> None:
    admin = (await ring.issue("a", scopes=(Scope.KEYS_ADMIN, Scope.ANALYZE_WRITE), actor="me")).key
    strong = (await ring.issue("b", scopes=tuple(Scope), actor="me")).key
    with pytest.raises(Forbidden):
        await ring.issue("c", scopes=(Scope.METRICS_READ,), actor="a", granter=admin)
    with pytest.raises(Forbidden):
        await ring.rotate(strong.id, actor="a", granter=admin)
    await ring.issue("d", scopes=(Scope.ANALYZE_WRITE,), actor="a", granter=admin)


async def test_impossible_wishes_are_refused(ring: KeyRing) -> None:
    for wish in ({"name": ""}, {"name": "a", "limit": Limit(per_minute=0)}, {"name": "a", "lifetime": timedelta(0)}):
        with pytest.raises(BadOption):
            await ring.issue(**wish, actor="me")  # type: ignore[arg-type]
    for id in ("x", "0" * 12):
        for call in (ring.show(id), ring.revoke(id, actor="me"), ring.rotate(id, actor="me")):
            with pytest.raises(KeyNotFound):
                await call
    assert await ring.all() == []


async def test_the_last_use_is_written_down_beside_the_requests(world: World, ring: KeyRing) -> None:
    issued = await ring.issue("ci", actor="me")
    await ring.authenticate(issued.text)
    assert (await ring.show(issued.key.id)).last_used_at is None
    await ring.flush()
    assert (await ring.show(issued.key.id)).last_used_at == START
    world.advance(59)
    await ring.authenticate(issued.text)
    await ring.flush()
    assert (await ring.show(issued.key.id)).last_used_at == START
    world.advance(1)
    await ring.authenticate(issued.text)
    await ring.flush()
    assert (await ring.show(issued.key.id)).last_used_at == START + timedelta(seconds=60)


async def test_a_use_while_others_are_written_down_is_not_lost(world: World, ring: KeyRing) -> None:
    first, second = [await ring.issue(name, actor="me") for name in "ab"]
    await ring.authenticate(first.text)
    touch = world.storage.keys.touch

    async def meanwhile(used: Mapping[str, datetime]) -> None:
        world.advance(1)
        await ring.authenticate(second.text)
        await touch(used)

    world.storage.keys.touch = meanwhile  # type: ignore[method-assign]
    await ring.flush()
    world.storage.keys.touch = touch  # type: ignore[method-assign]
    await ring.flush()
    assert (await ring.show(second.key.id)).last_used_at == START + timedelta(seconds=1)


async def test_a_use_that_cannot_be_written_down_is_kept_for_the_next_time(world: World, ring: KeyRing) -> None:
    issued = await ring.issue("ci", actor="me")
    await ring.authenticate(issued.text)
    world.storage_down = True
    with pytest.raises(StorageUnavailable):
        await ring.flush()
    world.storage_down = False
    await ring.flush()
    assert (await ring.show(issued.key.id)).last_used_at == START


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(days=1), timedelta(seconds=-61)], ids=str)
async def test_a_clock_that_jumps_moves_no_promise(world: World, jump: timedelta) -> None:
    """What is remembered ends by the monotonic clock; nothing is negative (F26)."""
    skew = timedelta(0)
    here, there = world.ring(), world.ring(clock=lambda: world.now + skew)
    issued = await here.issue("ci", limit=Limit(per_minute=5), actor="me")
    for _ in range(3):
        await there.throttle(await there.authenticate(issued.text, address="10.0.0.1"))
    skew = jump
    quota = await there.throttle(await there.authenticate(issued.text, address="10.0.0.1"))
    assert 0 <= quota.remaining <= quota.limit
    assert 0 < quota.reset <= 60
    await there.flush()
    await here.revoke(issued.key.id, actor="me")
    world.advance(domain.KNOWN_SECONDS)
    with pytest.raises(Unauthenticated):
        await there.authenticate(issued.text, address="10.0.0.1")


class Ring(RuleBasedStateMachine):
    """Keys made, used, rotated and revoked in any order on two replicas, against a plain model of which are good."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        storage = self.run(self.stack.enter_async_context(open_slot("storage", "memory", {})))
        self.world = World(storage, None)  # type: ignore[arg-type]
        clock = {"clock": lambda: self.world.now}
        self.world.cache = self.run(self.stack.enter_async_context(open_slot("cache", "memory", {}, **clock)))
        self.rings = [self.world.ring(), self.world.ring()]
        self.texts: list[str] = []
        self.ends: list[datetime] = []
        self.changed: list[datetime] = []
        self.changed_by: list[int] = []
        self.rotated: set[int] = set()

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def teardown(self) -> None:
        self.run(self.stack.aclose())
        self.loop.close()

    @rule(replica=st.integers(0, 1), hours=st.integers(1, 50))
    def create(self, replica: int, hours: int) -> None:
        lifetime = timedelta(hours=hours)
        issued = self.run(self.rings[replica].issue("k", lifetime=lifetime, actor="me"))
        self.texts.append(issued.text)
        self.ends.append(self.world.now + lifetime)
        self.changed.append(self.world.now)
        self.changed_by.append(replica)

    @rule(seconds=st.sampled_from([0.5, 1, 3, 5, 3600, 40_000]))
    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule(replica=st.integers(0, 1), place=st.integers(0, 50))
    def revoke(self, replica: int, place: int) -> None:
        if self.texts:
            place %= len(self.texts)
            self.run(self.rings[replica].revoke(keys.parse(self.texts[place]).id, actor="me"))
            if self.ends[place] > self.world.now:
                self.ends[place], self.changed[place] = self.world.now, self.world.now
                self.changed_by[place] = replica
            self.rotated.add(place)

    @rule(replica=st.integers(0, 1), place=st.integers(0, 50), hours=st.integers(0, 20))
    def rotate(self, replica: int, place: int, hours: int) -> None:
        if not self.texts:
            return
        place %= len(self.texts)
        rotating = self.rings[replica].rotate(
            keys.parse(self.texts[place]).id, overlap=timedelta(hours=hours), actor="me"
        )
        if place in self.rotated or self.ends[place] <= self.world.now:
            with pytest.raises(Conflict):
                self.run(rotating)
            return
        issued = self.run(rotating)
        self.rotated.add(place)
        self.ends[place] = min(self.ends[place], self.world.now + timedelta(hours=hours))
        self.changed[place], self.changed_by[place] = self.world.now, replica
        self.texts.append(issued.text)
        self.ends.append(issued.key.expires_at)
        self.changed.append(self.world.now)
        self.changed_by.append(replica)

    @rule(replica=st.integers(0, 1), place=st.integers(0, 50))
    def use(self, replica: int, place: int) -> None:
        if not self.texts:
            return
        place %= len(self.texts)
        settled = self._settled(replica, place)
        good = self.world.now < self.ends[place]
        try:
            self.run(self.rings[replica].authenticate(self.texts[place]))
        except Unauthenticated:
            assert not good
        else:
            assert good or not settled

    @rule(replica=st.integers(0, 1), place=st.integers(0, 50))
    def ask_again(self, replica: int, place: int) -> None:
        if not self.texts:
            return
        place %= len(self.texts)
        good = self.world.now < self.ends[place]
        try:
            self.run(self.rings[replica].still_valid(keys.parse(self.texts[place]).id))
        except Unauthenticated:
            assert not good
        else:
            assert good

    @rule(replica=st.integers(0, 1), down=st.booleans())
    def write_down(self, replica: int, down: bool) -> None:
        self.world.cache_down = down
        self.run(self.rings[replica].flush())

    def _settled(self, replica: int, place: int) -> bool:
        """Whether the replica has to know of the last change: its own at once, another's in time."""
        passed = self.world.now - self.changed[place]
        return self.changed_by[place] == replica or passed >= timedelta(seconds=domain.KNOWN_SECONDS)

    @rule(replica=st.integers(0, 1), place=st.integers(0, 50))
    def lose_the_storage(self, replica: int, place: int) -> None:
        """Without it a key is good, or it is not known whether it is: never good for longer than it was."""
        if not self.texts:
            return
        place %= len(self.texts)
        settled = self._settled(replica, place)
        self.world.storage_down = True
        try:
            self.run(self.rings[replica].authenticate(self.texts[place]))
        except (Unauthenticated, StorageUnavailable):
            pass
        else:
            assert self.world.now < self.ends[place] or not settled
        finally:
            self.world.storage_down = False

    @invariant()
    def every_key_is_stored(self) -> None:
        stored: Sequence[ApiKey] = self.run(self.rings[0].all())
        assert {key.id for key in stored} == {keys.parse(text).id for text in self.texts}


def test_keys_are_good_exactly_while_they_should_be() -> None:
    run_state_machine_as_test(Ring, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
