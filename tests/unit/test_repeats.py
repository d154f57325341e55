"""Requests that are repeated: one call for many, given up with the last of them, and none kept that does not stand."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bifrost_domain.errors import NoReadableInput
from bifrost_entrypoints.api import repeats as module
from bifrost_entrypoints.api.repeats import CHECKED_SECONDS, Repeats, Reply


def reply(id: str = "one", *, again: bytes = b"again", lasting: bool = True) -> Reply:
    return Reply(id=id, provider="heuristic", model="rules", prompt=None, body=b"first", again=again, lasting=lasting)


class Kept:
    """Repeats with a clock of their own, over a history in which `gone` are erased."""

    def __init__(self, *, seconds: float = 100.0) -> None:
        self.now = 1000.0
        self.gone: set[str] = set()
        self.looked = 0
        self.repeats = Repeats(b"secret", seconds=seconds, stands=self.stands, monotonic=lambda: self.now)

    async def stands(self, found: Reply) -> bool:
        self.looked += 1
        await asyncio.sleep(0)
        return found.id not in self.gone

    async def put(self, key: bytes, made: Reply) -> None:
        async def make() -> Reply:
            return made

        assert await self.repeats.once(key, make) == (made, True)


class Slow:
    """Makes a reply when it is let go."""

    def __init__(self, result: Reply | Exception) -> None:
        self.calls = 0
        self.cancelled = 0
        self.let = asyncio.Event()
        self._result = result

    async def __call__(self) -> Reply:
        self.calls += 1
        try:
            await self.let.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


async def asking(
    repeats: Repeats, many: int, make: Callable[[], Awaitable[Reply]]
) -> list[asyncio.Task[tuple[Reply, bool]]]:
    tasks = [asyncio.create_task(repeats.once(b"key", make)) for _ in range(many)]
    await asyncio.sleep(0.001)
    return tasks


async def test_many_who_ask_at_once_make_one_call_and_one_of_them_leads() -> None:
    kept, slow = Kept(), Slow(reply())
    tasks = await asking(kept.repeats, 20, slow)
    slow.let.set()
    found = await asyncio.gather(*tasks)
    assert slow.calls == 1
    assert [made.id for made, _ in found] == ["one"] * 20
    assert [leads for _, leads in found].count(True) == 1


async def test_what_fails_fails_for_all_who_wait_and_the_next_one_tries_anew() -> None:
    kept, slow = Kept(), Slow(NoReadableInput("damaged"))
    tasks = await asking(kept.repeats, 3, slow)
    slow.let.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(error) for error in found] == [NoReadableInput] * 3
    assert await kept.repeats.find(b"key") is None
    await kept.put(b"key", reply())


@given(many=st.integers(1, 6), order=st.randoms(use_true_random=False), stay=st.integers(0, 3))
@settings(max_examples=20, deadline=None)
def test_it_is_given_up_when_the_last_one_has_left_and_not_before(many: int, order: object, stay: int) -> None:
    async def run() -> None:
        kept, slow = Kept(), Slow(reply())
        tasks = await asking(kept.repeats, many, slow)
        leaving = list(tasks)
        order.shuffle(leaving)  # type: ignore[attr-defined]
        staying = leaving[: min(stay, many)]
        for task in leaving[len(staying) :]:
            assert slow.cancelled == 0
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert slow.cancelled == (0 if staying else 1)
        slow.let.set()
        assert [(await task)[0].id for task in staying] == ["one"] * len(staying)
        assert slow.calls == 1
        assert (await kept.repeats.find(b"key") is None) == (not staying)

    asyncio.run(run())


async def test_who_comes_while_it_is_given_up_gets_a_call_of_its_own() -> None:
    kept, slow = Kept(), Slow(reply())
    (first,) = await asking(kept.repeats, 1, slow)
    first.cancel()
    second = asyncio.create_task(kept.repeats.once(b"key", slow))
    await asyncio.gather(first, return_exceptions=True)
    slow.let.set()
    assert await second == (reply(), True)
    assert (slow.calls, slow.cancelled) == (2, 1)


async def test_one_that_leads_may_leave_while_others_wait() -> None:
    kept, slow = Kept(), Slow(reply())
    first, second = await asking(kept.repeats, 2, slow)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    slow.let.set()
    assert await second == (reply(), False)
    assert (slow.calls, slow.cancelled) == (1, 0)


async def test_what_is_not_lasting_answers_those_who_wait_and_nobody_else() -> None:
    kept = Kept()
    await kept.put(b"key", reply(lasting=False))
    assert await kept.repeats.find(b"key") is None


async def test_it_is_looked_at_again_after_seconds_and_dropped_where_it_does_not_stand() -> None:
    kept = Kept()
    await kept.put(b"key", reply())
    kept.gone = {"one"}
    kept.now += CHECKED_SECONDS - 0.01
    assert await kept.repeats.find(b"key") is not None
    assert kept.looked == 0
    kept.now += 0.02
    assert await kept.repeats.find(b"key") is None
    kept.gone = set()
    assert await kept.repeats.find(b"key") is None
    assert kept.looked == 1


async def test_one_look_is_enough_for_all_who_ask_meanwhile() -> None:
    kept = Kept()
    await kept.put(b"key", reply())
    kept.now += CHECKED_SECONDS
    found = await asyncio.gather(*(kept.repeats.find(b"key") for _ in range(10)))
    assert kept.looked == 1
    assert None not in found


async def test_what_is_erased_while_it_is_looked_at_is_not_served() -> None:
    kept = Kept()
    await kept.put(b"key", reply())
    kept.now += CHECKED_SECONDS
    finding = asyncio.create_task(kept.repeats.find(b"key"))
    await asyncio.sleep(0)
    kept.repeats.forget("one")
    await kept.put(b"key", reply("two"))
    assert await finding is None
    found = await kept.repeats.find(b"key")
    assert found is not None
    assert found.id == "two"


async def test_it_ends_with_what_a_cache_would_keep_it_for_however_often_it_is_asked_for() -> None:
    kept = Kept(seconds=10)
    await kept.put(b"key", reply())
    for _ in range(9):
        kept.now += 1
        assert await kept.repeats.find(b"key") is not None
    kept.now += 1
    assert await kept.repeats.find(b"key") is None


async def test_an_analysis_that_is_forgotten_is_forgotten_under_all_its_names() -> None:
    kept = Kept()
    for key, id in ((b"a", "one"), (b"b", "two"), (b"c", "one")):
        await kept.put(key, reply(id))
    kept.repeats.forget("one")
    assert [await kept.repeats.find(key) is None for key in (b"a", b"b", b"c")] == [True, False, True]


@given(
    st.lists(
        st.tuples(st.sampled_from("abcdef"), st.integers(0, 60), st.sampled_from(["put", "find", "forget"])),
        max_size=40,
    )
)
@settings(max_examples=60, deadline=None)
def test_its_bytes_are_bounded_and_the_longest_unused_go_first(steps: list[tuple[str, int, str]]) -> None:
    most = 100

    async def run() -> None:
        kept, model = Kept(), dict[str, int]()
        for name, size, step in steps:
            match step:
                case "put":
                    await kept.put(name.encode(), reply(name, again=b"x" * size))
                    model.pop(name, None)
                    model[name] = size
                    while sum(model.values()) > most:
                        del model[next(iter(model))]
                case "find":
                    assert (await kept.repeats.find(name.encode()) is not None) == (name in model)
                    if name in model:
                        model[name] = model.pop(name)
                case _:
                    kept.repeats.forget(name)
                    model.pop(name, None)
        found = [await kept.repeats.find(name.encode()) for name in "abcdef"]
        assert {each.id: len(each.again) for each in found if each is not None} == model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_BYTES", most)
        asyncio.run(run())


async def test_what_is_larger_than_all_that_may_be_kept_is_answered_and_not_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    kept = Kept()
    await kept.put(b"small", reply("small", again=b"x"))
    await kept.put(b"large", reply("large", again=b"x" * 11))
    assert await kept.repeats.find(b"large") is None


@given(st.lists(st.lists(st.binary(max_size=4), max_size=4).map(tuple), unique=True, min_size=2, max_size=20))
def test_requests_that_differ_in_any_part_have_names_that_differ(requests: list[tuple[bytes, ...]]) -> None:
    repeats = Kept().repeats
    names = sorted(repeats.key(*parts) for parts in requests)
    assert all(one != other for one, other in pairwise(names))
    assert repeats.key(*requests[0]) == Kept().repeats.key(*requests[0])


def test_who_has_not_got_the_secret_cannot_tell_a_request_by_its_name() -> None:
    async def stands(_: Reply) -> bool:
        return True

    other = Repeats(b"another secret", seconds=1, stands=stands, monotonic=lambda: 0.0)
    assert other.key(b"ERROR x") != Kept().repeats.key(b"ERROR x")
