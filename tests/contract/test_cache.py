"""What every cache promises, and what `off` promises instead."""

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, closing
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bifrost_adapters.slots import open_slot
from bifrost_domain.caching import CachedReport, CacheKey, cache_key
from bifrost_domain.errors import CacheUnavailable, ConfigurationError
from bifrost_domain.history import HistoryQuery
from bifrost_domain.ports import Cache, Clock, ReportCache
from bifrost_domain.report import SCHEMA_VERSION
from tests.builders import Ticking, a_cached_report, a_clock, a_report, an_analysis
from tests.contract.choices_cache import CHOICES, CacheChoice
from tests.contract.servers.ports import free_port
from tests.contract.servers.valkey import Valkey

HOUR = timedelta(hours=1)
MOMENT = timedelta(microseconds=1)
REPORT = a_cached_report()

every_keeping = pytest.mark.parametrize(
    "choice",
    [choice for choice in CHOICES.values() if choice.keeps],
    ids=[label for label, choice in CHOICES.items() if choice.keeps],
)
every_lasting = pytest.mark.parametrize(
    "choice",
    [choice for choice in CHOICES.values() if choice.lasting],
    ids=[label for label, choice in CHOICES.items() if choice.lasting],
)


def key(*parts: str) -> CacheKey:
    return cache_key(b"k" * 32, parts)


def opened(
    choice: CacheChoice, directory: Path, clock: Clock | None = None, **options: object
) -> AbstractAsyncContextManager[Cache]:
    context = {} if clock is None else {"clock": clock}
    return open_slot("cache", choice.kind, {**choice.options(directory), **options}, **context)


@pytest.fixture
def clock() -> Ticking:
    return a_clock()


@pytest.fixture(
    params=[choice for choice in CHOICES.values() if choice.keeps],
    ids=[label for label, choice in CHOICES.items() if choice.keeps],
)
async def reports(request: pytest.FixtureRequest, tmp_path: Path, clock: Ticking) -> AsyncIterator[ReportCache]:
    async with opened(request.param, tmp_path, clock) as cache:
        yield cache.reports


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
async def test_every_cache_answers_a_ping_and_says_where_it_is(choice: CacheChoice, tmp_path: Path) -> None:
    async with opened(choice, tmp_path) as cache:
        await cache.ping()
        assert cache.location


async def test_off_keeps_nothing(tmp_path: Path) -> None:
    async with opened(CHOICES["off"], tmp_path) as cache:
        await cache.reports.put(key("a"), REPORT, HOUR)
        assert await cache.reports.get(key("a")) is None
        await cache.reports.drop(key("a"))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=("Cs",))), confidence=st.floats(0, 1))
async def test_a_report_comes_back_as_it_was(reports: ReportCache, text: str, confidence: float) -> None:
    report = a_cached_report(report=a_report(summary=text, confidence=confidence), timeline_quotes=(text,))
    await reports.put(key("a"), report, HOUR)
    assert await reports.get(key("a")) == report


async def test_what_was_not_kept_is_a_miss(reports: ReportCache) -> None:
    await reports.put(key("a"), REPORT, HOUR)
    assert await reports.get(key("b")) is None


async def test_the_later_report_replaces_the_earlier(reports: ReportCache) -> None:
    later = a_cached_report(timeline_quotes=("later",))
    await reports.put(key("a"), REPORT, HOUR)
    await reports.put(key("a"), later, HOUR)
    assert await reports.get(key("a")) == later


async def test_what_is_dropped_is_a_miss(reports: ReportCache) -> None:
    await reports.put(key("a"), REPORT, HOUR)
    await reports.put(key("b"), REPORT, HOUR)
    await reports.drop(key("a"))
    await reports.drop(key("never there"))
    assert await reports.get(key("a")) is None
    assert await reports.get(key("b")) == REPORT


async def test_a_report_is_there_until_its_time_is_over(reports: ReportCache, clock: Ticking) -> None:
    await reports.put(key("a"), REPORT, HOUR)
    clock.advance(HOUR - MOMENT)
    assert await reports.get(key("a")) == REPORT
    clock.advance(MOMENT)
    assert await reports.get(key("a")) is None


async def test_a_report_that_is_written_again_lives_anew(reports: ReportCache, clock: Ticking) -> None:
    await reports.put(key("a"), REPORT, HOUR)
    clock.advance(HOUR / 2)
    await reports.put(key("a"), REPORT, HOUR)
    clock.advance(HOUR * 3 / 4)
    assert await reports.get(key("a")) == REPORT


async def test_a_report_of_another_version_is_a_miss(reports: ReportCache) -> None:
    await reports.put(key("a"), a_cached_report(schema_version=SCHEMA_VERSION + 1), HOUR)
    assert await reports.get(key("a")) is None


@every_keeping
async def test_past_its_size_the_one_written_first_goes(choice: CacheChoice, tmp_path: Path) -> None:
    async with opened(choice, tmp_path, max_entries=3) as cache:
        for name in "abcad":
            await cache.reports.put(key(name), REPORT, HOUR)
        kept = [name for name in "abcd" if await cache.reports.get(key(name)) is not None]
        assert kept == ["a", "c", "d"]


async def test_many_at_once_do_not_hurt_each_other(reports: ReportCache) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(reports.put(key(str(number)), a_cached_report(timeline_quotes=(str(number),)), HOUR))
    for number in range(20):
        found = await reports.get(key(str(number)))
        assert found is not None
        assert found.timeline_quotes == (str(number),)


async def test_a_cancelled_call_does_not_hurt_the_next(reports: ReportCache) -> None:
    for steps in range(20):
        task = asyncio.create_task(reports.put(key(str(steps)), REPORT, HOUR))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await reports.put(key("a"), REPORT, HOUR)
    assert await reports.get(key("a")) == REPORT


@every_lasting
async def test_a_report_is_there_when_it_is_opened_again(choice: CacheChoice, tmp_path: Path) -> None:
    async with opened(choice, tmp_path) as cache:
        await cache.reports.put(key("a"), REPORT, HOUR)
    async with opened(choice, tmp_path) as cache, opened(choice, tmp_path) as other:
        assert await cache.reports.get(key("a")) == REPORT
        await other.reports.drop(key("a"))
        assert await cache.reports.get(key("a")) is None


# --- leases and counters --------------------------------------------------------------------------------------------

every = pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
every_on_our_time = pytest.mark.parametrize(
    "choice",
    [choice for choice in CHOICES.values() if choice.own_time],
    ids=[label for label, choice in CHOICES.items() if choice.own_time],
)


@every
async def test_of_twenty_who_want_a_lease_one_gets_it(choice: CacheChoice, tmp_path: Path) -> None:
    async with opened(choice, tmp_path) as cache:
        asked = (cache.leases.acquire(key("a"), f"holder {number}", HOUR) for number in range(20))
        assert sorted(await asyncio.gather(*asked)) == [False] * 19 + [True]
        assert await cache.leases.acquire(key("b"), "another", HOUR)


@every
async def test_a_lease_is_prolonged_by_its_holder_and_free_when_given_back(choice: CacheChoice, tmp_path: Path) -> None:
    async with opened(choice, tmp_path) as cache:
        assert await cache.leases.acquire(key("a"), "one", HOUR)
        assert await cache.leases.acquire(key("a"), "one", HOUR)
        await cache.leases.release(key("a"), "two")
        assert not await cache.leases.acquire(key("a"), "two", HOUR)
        await cache.leases.release(key("a"), "one")
        assert await cache.leases.acquire(key("a"), "two", HOUR)


@every_on_our_time
async def test_a_lease_ends_by_itself(choice: CacheChoice, tmp_path: Path, clock: Ticking) -> None:
    async with opened(choice, tmp_path, clock) as cache:
        assert await cache.leases.acquire(key("a"), "one", HOUR)
        clock.advance(HOUR)
        assert await cache.leases.acquire(key("a"), "two", HOUR)
        assert not await cache.leases.acquire(key("a"), "one", HOUR)


@every
async def test_what_many_add_is_summed(choice: CacheChoice, tmp_path: Path) -> None:
    async with opened(choice, tmp_path) as cache:
        sums = await asyncio.gather(*(cache.counters.add("n", 3, HOUR) for _ in range(20)))
        assert sorted(sums) == [3 * number for number in range(1, 21)]
        assert await cache.counters.add("n", 0, HOUR) == 60
        assert await cache.counters.add("m", 0, HOUR) == 0


@every_on_our_time
async def test_a_counter_ends_its_time_after_it_began(choice: CacheChoice, tmp_path: Path, clock: Ticking) -> None:
    async with opened(choice, tmp_path, clock) as cache:
        await cache.counters.add("n", 1, HOUR)
        clock.advance(HOUR / 2)
        assert await cache.counters.add("n", 1, HOUR) == 2
        clock.advance(HOUR / 2)
        assert await cache.counters.add("n", 0, HOUR) == 0
        assert await cache.counters.add("n", 5, HOUR) == 5


@every_lasting
async def test_two_who_open_one_cache_share_leases_and_counters(choice: CacheChoice, tmp_path: Path) -> None:
    async with opened(choice, tmp_path) as one, opened(choice, tmp_path) as two:
        assert await one.leases.acquire(key("a"), "one", HOUR)
        assert not await two.leases.acquire(key("a"), "two", HOUR)
        await one.counters.add("n", 1, HOUR)
        assert await two.counters.add("n", 1, HOUR) == 2


# --- Redis alone ----------------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[Valkey]:
    server = Valkey()
    yield server
    server.close()


def redis_at(server: Valkey, **options: object) -> AbstractAsyncContextManager[Cache]:
    return open_slot("cache", "redis", {"url": server.url, "pause_seconds": 0.2, **options})


async def test_leases_and_counters_in_redis_end_by_its_clock(server: Valkey) -> None:
    async with redis_at(server) as cache:
        await cache.leases.acquire(key("a"), "one", timedelta(milliseconds=50))
        await cache.counters.add("n", 1, timedelta(milliseconds=50))
        await asyncio.sleep(0.1)
        assert await cache.leases.acquire(key("a"), "two", HOUR)
        assert await cache.counters.add("n", 0, HOUR) == 0


NAIVE = {"expires_at": "2099-01-01T00:00:00", "report": msgspec.to_builtins(REPORT)}


@pytest.mark.parametrize(
    "value",
    [b"xx", b"", b"\xff\x00", b"{}", b"[1]", b'{"x":' + b"[" * 200_000, msgspec.json.encode(NAIVE)],
    ids=["text", "empty", "bytes", "object", "list", "nested", "naive"],
)
async def test_garbage_in_redis_is_a_miss_and_is_dropped(server: Valkey, value: bytes) -> None:
    async with redis_at(server) as cache:
        await cache.reports.put(key("a"), REPORT, HOUR)
        with server.client() as client:
            (place,) = client.keys("*report*")
            client.set(place, value)
            assert await cache.reports.get(key("a")) is None
            assert client.keys("*report*") == []


async def test_another_kind_of_value_in_redis_is_a_miss_and_is_dropped(server: Valkey) -> None:
    async with redis_at(server) as cache:
        await cache.reports.put(key("a"), REPORT, HOUR)
        with server.client() as client:
            (place,) = client.keys("*report*")
            client.delete(place)
            client.lpush(place, "x")
            assert await cache.reports.get(key("a")) is None
            assert client.keys("*report*") == []


@pytest.mark.parametrize("other", ["text", "list"])
async def test_what_others_put_under_the_keys_in_redis_is_dropped_and_all_works_on(server: Valkey, other: str) -> None:
    async with redis_at(server) as cache:

        async def use() -> None:
            await cache.reports.put(key("a"), REPORT, HOUR)
            assert await cache.reports.get(key("a")) == REPORT
            assert await cache.leases.acquire(key("l"), "one", HOUR)
            await cache.leases.release(key("l"), "one")
            assert await cache.counters.add("n", 2, HOUR) == 2

        await use()
        assert await cache.leases.acquire(key("l"), "one", HOUR)
        with server.client() as client:
            places = client.keys("*")
            assert len(places) == 5
            for place in places:
                client.delete(place)
                if other == "list" or b":lease:" not in place:
                    client.lpush(place, "x") if other == "list" else client.set(place, "xx")
        assert await cache.counters.add("n", 0, HOUR) == 0
        await cache.reports.drop(key("a"))
        await use()


async def test_many_more_at_once_than_connections_are_all_served_by_redis(server: Valkey) -> None:
    async with redis_at(server, seconds=30) as cache:
        sums = await asyncio.gather(*(cache.counters.add("n", 1, HOUR) for _ in range(300)))
        assert sorted(sums) == list(range(1, 301))
        with server.client() as client:
            assert len(client.client_list()) < 50


async def test_one_failure_turns_all_away_who_wait_for_redis(server: Valkey) -> None:
    async with redis_at(server, pause_seconds=600) as cache:
        await cache.ping()
        server.send(signal.SIGSTOP)
        ended = await asyncio.gather(
            *(cache.reports.get(key(str(number))) for number in range(200)), return_exceptions=True
        )
        messages = [end.message for end in ended if isinstance(end, CacheUnavailable)]
        assert len(messages) == 200
        assert sum("left alone" in message for message in messages) >= 200 - 16


@pytest.mark.parametrize(("setting", "reason"), [("maxmemory", "it is full"), ("replicaof", "read-only replica")])
async def test_why_redis_refuses_is_told(server: Valkey, setting: str, reason: str) -> None:
    async with redis_at(server) as cache:
        with server.client() as client:
            if setting == "maxmemory":
                client.config_set("maxmemory", "1")
            else:
                client.replicaof("127.0.0.1", str(free_port()))
        with pytest.raises(CacheUnavailable, match=reason):
            await cache.reports.put(key("a"), REPORT, HOUR)


@pytest.mark.parametrize(
    "rest", ["u:PW@h:port/0", "u:PW@[::1/0", "u:1/PW@h/0", "u:1?PW@h/0", "u:1#PW@h/0", "h/0?password=x@PW", "h/0?no=PW"]
)
async def test_an_address_of_redis_that_cannot_be_meant_is_told_without_its_password(rest: str) -> None:
    secret = "hush" * 3
    with pytest.raises(ConfigurationError) as raised:
        async with open_slot("cache", "redis", {"url": f"redis://{rest.replace('PW', secret)}"}):
            pass
    assert "hush" not in f"{raised.value.message} {raised.value.hint} {raised.value.__cause__}"
    assert raised.value.__suppress_context__


async def test_a_host_that_cannot_be_a_name_is_told() -> None:
    async with open_slot("cache", "redis", {"url": "redis://a..b/0"}) as cache:
        with pytest.raises(CacheUnavailable):
            await cache.ping()


@pytest.mark.parametrize("how", ["stopped", "frozen", "full"])
async def test_redis_that_cannot_be_used_is_told_then_left_alone_then_used_again(server: Valkey, how: str) -> None:
    async with redis_at(server) as cache:
        await cache.reports.put(key("a"), REPORT, HOUR)
        if how == "stopped":
            server.stop(signal.SIGKILL)
        elif how == "frozen":
            server.send(signal.SIGSTOP)
        else:
            with server.client() as client:
                client.config_set("maxmemory", "1")
        with pytest.raises(CacheUnavailable) as raised:
            await cache.reports.put(key("b"), REPORT, HOUR)
        assert "check that it runs" in raised.value.hint
        with pytest.raises(CacheUnavailable, match="left alone"):
            await cache.reports.get(key("a"))
        if how == "stopped":
            server.start()
        elif how == "frozen":
            server.send(signal.SIGCONT)
        else:
            with server.client() as client:
                client.config_set("maxmemory", "0")
        while True:
            try:
                await cache.reports.put(key("c"), REPORT, HOUR)
                break
            except CacheUnavailable:
                await asyncio.sleep(0.05)
        assert await cache.reports.get(key("c")) == REPORT


async def test_redis_is_not_needed_to_open_it_and_its_password_is_never_told() -> None:
    url = f"redis://somebody:{'hush' * 3}@127.0.0.1:{free_port()}/0"
    async with open_slot("cache", "redis", {"url": url}) as cache:
        with pytest.raises(CacheUnavailable) as raised:
            await cache.ping()
    assert "hush" not in f"{cache.location} {raised.value.message} {raised.value.hint}"
    assert "127.0.0.1" in raised.value.message


# --- SQLite alone -------------------------------------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "bifrost.db"


def sqlite_at(path: Path, busy_seconds: float = 5.0) -> AbstractAsyncContextManager[Cache]:
    return open_slot("cache", "sqlite", {"path": str(path), "busy_seconds": busy_seconds})


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"\xff\x00garbage",
        "text",
        7,
        b"{}",
        b"[1]",
        b'{"x":' + b"[" * 200_000,
        msgspec.json.encode(msgspec.structs.replace(REPORT, schema_version=0)),
        msgspec.json.encode({**msgspec.to_builtins(REPORT), "report": {"severity": "no such"}}),
    ],
)
async def test_a_value_that_cannot_be_read_is_a_miss_and_is_dropped(path: Path, value: object) -> None:
    async with sqlite_at(path) as cache:
        await cache.reports.put(key("a"), REPORT, HOUR)
        with closing(sqlite3.connect(path)) as connection:
            with connection:
                connection.execute("UPDATE report_cache SET value = ?", (value,))
            assert await cache.reports.get(key("a")) is None
            assert connection.execute("SELECT count(*) FROM report_cache").fetchone() == (0,)


async def test_what_is_over_is_dropped_by_the_next_write(path: Path, clock: Ticking) -> None:
    async with open_slot("cache", "sqlite", {"path": str(path)}, clock=clock) as cache:
        for name in "abc":
            await cache.reports.put(key(name), REPORT, HOUR)
        clock.advance(HOUR)
        await cache.reports.put(key("d"), REPORT, HOUR)
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT key FROM report_cache").fetchall() == [(key("d"),)]


async def test_a_table_of_another_shape_is_made_anew(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE report_cache (old TEXT)")
    async with sqlite_at(path) as cache:
        await cache.reports.put(key("a"), REPORT, HOUR)
        assert await cache.reports.get(key("a")) == REPORT


@pytest.mark.parametrize("first", ["cache", "storage"])
async def test_it_shares_a_file_with_the_history(path: Path, first: str) -> None:
    second = {"cache": "storage", "storage": "cache"}[first]
    analysis = an_analysis()
    opening = {slot: open_slot(slot, "sqlite", {"path": str(path)}) for slot in (first, second)}
    async with opening[first], opening[second]:
        pass
    async with sqlite_at(path) as cache, open_slot("storage", "sqlite", {"path": str(path)}) as storage:
        await storage.analyses.add(analysis)
        await cache.reports.put(key("a"), REPORT, HOUR)
        assert await cache.reports.get(key("a")) == REPORT
        assert (await storage.analyses.search(HistoryQuery())).items[0].id == analysis.id


async def test_a_locked_file_is_told_and_reading_goes_on(path: Path) -> None:
    async with sqlite_at(path, busy_seconds=0.05) as cache:
        await cache.reports.put(key("a"), REPORT, HOUR)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(CacheUnavailable, match="locked"):
                await cache.reports.put(key("b"), REPORT, HOUR)
            assert await cache.reports.get(key("a")) == REPORT
        await cache.reports.put(key("b"), REPORT, HOUR)


async def test_while_writes_wait_for_a_lock_reading_and_the_other_threads_go_on(path: Path) -> None:
    clock = a_clock()
    async with open_slot("cache", "sqlite", {"path": str(path), "busy_seconds": 5.0}, clock=clock) as cache:
        await cache.reports.put(key("a"), REPORT, HOUR)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writes = [asyncio.create_task(cache.reports.put(key(str(number)), REPORT, HOUR)) for number in range(60)]
            await asyncio.sleep(0.05)
            assert await cache.reports.get(key("a")) == REPORT
            assert await cache.counters.add("n", 0, HOUR) == 0
            await cache.ping()
            assert await asyncio.to_thread(lambda: "free") == "free"
            clock.advance(HOUR)
            assert await cache.reports.get(key("a")) is None
            assert not any(write.done() for write in writes)
            other.execute("ROLLBACK")
        await asyncio.gather(*writes)


async def test_a_file_that_cannot_be_used_is_told(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 100)  # noqa: ASYNC240
    for unusable in (path, path.parent, path / "below"):
        with pytest.raises(CacheUnavailable):
            async with sqlite_at(unusable):
                pass


async def test_a_closed_cache_is_told(path: Path) -> None:
    async with sqlite_at(path) as cache:
        pass
    with pytest.raises(CacheUnavailable):
        await cache.reports.get(key("a"))


def test_a_cached_report_is_read_by_its_own_type() -> None:
    assert msgspec.json.decode(msgspec.json.encode(REPORT), type=CachedReport) == REPORT
