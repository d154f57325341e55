"""Two replicas over one database: what one of them does to a key holds for the other, whatever it remembers."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import asyncpg
import pytest

from bifrost_adapters.slots import open_slot
from bifrost_domain import keys
from bifrost_domain.errors import Conflict, RateLimited, Unauthenticated
from bifrost_domain.keyring import KNOWN_SECONDS, Issued, KeyRing
from bifrost_domain.keys import Limit, Scope
from bifrost_domain.ports import Cache, Storage
from tests.builders import START, an_id
from tests.contract.choices_storage import CHOICES

LASTING = {label: choice for label, choice in CHOICES.items() if choice.lasting}
PROMISED = timedelta(seconds=5)


def _files(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def _dumped(url: str) -> bytes:
    """Every table as PostgreSQL writes it for itself, in which text and bytes stand as they are."""
    connection = await asyncpg.connect(url)
    try:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        written = BytesIO()
        for row in names:
            await connection.copy_from_table(row["tablename"], output=written, format="binary")
        return written.getvalue()
    finally:
        await connection.close()


class Replicas:
    """Two rings, each with connections and a cache of its own, so that nothing but the database is between them."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.rings: list[KeyRing] = []

    def add(self, storage: Storage, cache: Cache) -> None:
        async def open_storage() -> Storage:
            return storage

        async def open_cache() -> Cache:
            return cache

        self.rings.append(
            KeyRing(
                open_storage=open_storage,
                open_cache=open_cache,
                peppers={1: b"p" * 32},
                clock=lambda: self.now,
                monotonic=lambda: self.now.timestamp(),
                entropy=os.urandom,
                new_id=an_id,
            )
        )

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    async def refused_after(self, ring: KeyRing, issued: Issued, *, step: float = 0.25) -> timedelta:
        """How long a key that is used all the time is still let in."""
        began = self.now
        for _ in range(100):
            try:
                await ring.authenticate(issued.text)
            except Unauthenticated:
                return self.now - began
            self.advance(step)
        raise AssertionError("it was never refused")


@pytest.fixture(params=LASTING.values(), ids=LASTING.keys())
def options(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, object]]:
    return request.param.kind, request.param.options(tmp_path)


@pytest.fixture
async def replicas(options: tuple[str, dict[str, object]]) -> AsyncIterator[Replicas]:
    kind, place = options
    made = Replicas(START)
    async with AsyncExitStack() as stack:
        for _ in range(2):
            storage = await stack.enter_async_context(open_slot("storage", kind, place))
            cache = await stack.enter_async_context(open_slot("cache", "memory", {}, clock=lambda: made.now))
            made.add(storage, cache)
        yield made


@pytest.mark.parametrize("scopes", [keys.DEFAULT_SCOPES, tuple(Scope)], ids=["usual", "admin"])
@pytest.mark.parametrize("used_for", [0.0, 1.0, 4.4, 20.0])
async def test_a_revoked_key_that_another_replica_uses_all_the_time_is_refused_within_five_seconds(
    replicas: Replicas, scopes: tuple[Scope, ...], used_for: float
) -> None:
    """LiteLLM 9820 and 35535, and Langfuse's time to live that begins anew with each use."""
    here, there = replicas.rings
    issued = await here.issue("ci", scopes=scopes, actor="me")
    ended = replicas.now + timedelta(seconds=used_for)
    await there.authenticate(issued.text)
    while replicas.now < ended:
        replicas.advance(min(0.5, (ended - replicas.now).total_seconds()))
        await there.authenticate(issued.text)
    await here.revoke(issued.key.id, actor="me")
    assert await replicas.refused_after(here, issued) == timedelta(0)
    assert await replicas.refused_after(there, issued) <= PROMISED
    replicas.advance(3600)
    for ring in replicas.rings:
        with pytest.raises(Unauthenticated):
            await ring.authenticate(issued.text)


async def test_a_rotated_key_without_overlap_is_refused_within_five_seconds(replicas: Replicas) -> None:
    here, there = replicas.rings
    old = await here.issue("ci", actor="me")
    await there.authenticate(old.text)
    new = await here.rotate(old.key.id, overlap=timedelta(0), actor="me")
    assert await replicas.refused_after(here, old) == timedelta(0)
    assert (await there.authenticate(new.text)).family == old.key.id
    assert await replicas.refused_after(there, old) <= PROMISED


async def test_an_overlap_ends_on_every_replica_at_the_same_moment(replicas: Replicas) -> None:
    here = replicas.rings[0]
    old = await here.issue("ci", actor="me")
    await here.rotate(old.key.id, overlap=timedelta(hours=1), actor="me")
    replicas.advance(3599)
    for ring in replicas.rings:
        await ring.authenticate(old.text)
    replicas.advance(1)
    for ring in replicas.rings:
        with pytest.raises(Unauthenticated):
            await ring.authenticate(old.text)


async def test_a_key_that_was_looked_for_too_early_works_within_two_seconds(replicas: Replicas) -> None:
    here, there = replicas.rings
    id, secret = "0" * keys.ID_LENGTH, "1" * keys.SECRET_LENGTH
    chosen = iter([id, secret])
    with pytest.raises(Unauthenticated):
        await there.authenticate(keys.write("live", id, secret))

    def entropy(length: int) -> bytes:
        return bytes(keys.ALPHABET.index(character) for character in next(chosen))

    here._entropy = entropy
    issued = await here.issue("ci", actor="me")
    assert issued.text == keys.write("live", id, secret)
    replicas.advance(2)
    assert (await there.authenticate(issued.text)).id == id


async def test_a_revocation_that_meets_many_requests_leaves_none_behind(replicas: Replicas) -> None:
    """LiteLLM 25553, with real readings in flight."""
    here, there = replicas.rings
    issued = await here.issue("ci", actor="me")

    async def use(ring: KeyRing) -> None:
        for _ in range(10):
            await ring.authenticate(issued.text)
            ring._known.clear()
            await asyncio.sleep(0)

    using = [asyncio.create_task(use(ring)) for ring in (here, there) for _ in range(5)]
    await asyncio.sleep(0)
    await here.revoke(issued.key.id, actor="me")
    with pytest.raises(Unauthenticated):
        await here.authenticate(issued.text)
    outcomes = await asyncio.gather(*using, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {type(None), Unauthenticated}
    replicas.advance(KNOWN_SECONDS)
    for ring in replicas.rings:
        with pytest.raises(Unauthenticated):
            await ring.authenticate(issued.text)


async def test_two_replicas_rotate_a_key_once(replicas: Replicas) -> None:
    here, there = replicas.rings
    issued = await here.issue("ci", actor="me")
    outcomes = await asyncio.gather(
        *(ring.rotate(issued.key.id, actor="me") for ring in (here, there) for _ in range(3)), return_exceptions=True
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict"] * 5 + ["Issued"]
    assert any(isinstance(outcome, Conflict) for outcome in outcomes)
    assert len(await there.all()) == 2


async def test_rates_are_carried_over_a_rotation(replicas: Replicas) -> None:
    here = replicas.rings[0]
    old = await here.issue("ci", limit=Limit(per_minute=3), actor="me")
    for _ in range(3):
        await here.throttle(old.key)
    new = await here.rotate(old.key.id, actor="me")
    with pytest.raises(RateLimited):
        await here.throttle(await here.authenticate(new.text))


async def test_the_plain_key_is_nowhere_in_the_database(
    replicas: Replicas, options: tuple[str, dict[str, object]], tmp_path: Path
) -> None:
    here, there = replicas.rings
    issued = await here.issue("ci", actor="me")
    successor = await here.rotate(issued.text, actor="me")
    await there.authenticate(issued.text)
    await there.flush()
    await there.revoke(issued.text, reason=f"found {issued.text} in a log", actor="me")
    kind, place = options
    if kind == "postgres":
        stored = await _dumped(str(place["url"]))
    else:
        stored = _files(tmp_path)
    assert issued.key.id.encode() in stored
    for text in (issued.text, successor.text):
        assert keys.parse(text).secret.encode() not in stored
