"""Providers that fail again and again: what is counted, who is spared, and when they are asked again."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from bifrost_adapters.slots import open_slot
from bifrost_domain import analysis as domain
from bifrost_domain.analysis import Limits, Request
from bifrost_domain.errors import BadAnswer, LimitReached, ModelError, ModelThrottled, ModelTimeout, ModelUnavailable
from bifrost_domain.observations import Asked, Circuit, Observation
from bifrost_domain.ports import ModelDescription, ModelIdentity
from bifrost_domain.report import Analysis
from tests.unit.test_analysis import ANSWER, LOG, Actor, Log, Stage, Step, finished

PAUSE = 15.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Described(Actor):
    """Counts how often it is asked what it is, and fails there by `faults` in turn."""

    def __init__(self, *scenes: Sequence[Step], faults: Sequence[ModelError | None] = (), **more: Any) -> None:
        super().__init__(*scenes, **more)
        self.described = 0
        self._faults = list(faults)

    async def describe(self) -> ModelDescription:
        self.described += 1
        if self._faults and (error := self._faults.pop(0)) is not None:
            raise error
        return await super().describe()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def make(clock: Clock) -> AsyncGenerator[Callable[..., Stage], None]:
    """Stages with limits of their own: `limits` changes them."""
    async with open_slot("storage", "memory", {}) as storage, open_slot("cache", "memory", {}) as cache:

        def made(actor: Actor, *, limits: dict[str, Any] | None = None, **changes: Any) -> Stage:
            usual: dict[str, Any] = {
                "total_seconds": 60,
                "first_token_seconds": 0.05,
                "idle_seconds": 0.05,
                "breaker_pause_seconds": PAUSE,
            }
            settings = {"limits": Limits(**(usual | (limits or {}))), "monotonic": clock} | changes
            return Stage(storage, cache, {"actor": actor}, **settings)

        yield made


def another(number: int) -> str:
    """A log that no other is taken for."""
    return LOG + f"2026-11-20T03:05:56Z ERROR {'abcdefghij'[number % 10] * 3 * (1 + number // 10)} broke\n"


async def crowd(stage: Stage, many: int, **wishes: Any) -> list[Analysis]:
    async with asyncio.timeout(30):
        return await asyncio.gather(*(stage.result(another(number), **wishes) for number in range(many)))


async def fail(stage: Stage, times: int = 5, **wishes: Any) -> None:
    for number in range(times):
        assert (await stage.result(another(number), **wishes)).engine.degraded


async def test_a_crowd_costs_a_throttling_provider_few_calls_then_none_and_then_one_probe(
    make: Any, clock: Clock
) -> None:
    actor = Actor([ModelThrottled("slow down", retry_after=0.01)])
    stage = make(actor)
    assert all(analysis.engine.degraded for analysis in await crowd(stage, 20))
    assert 5 <= len(actor.asked) <= 3 * 20
    assert stage.analyst.left_alone() == ("actor",)
    actor.asked.clear()
    (refused, *_) = await crowd(stage, 20)
    assert actor.asked == []
    assert "actor: it failed 5 times in a row" in str(refused.engine.degraded_reason)
    assert "slow down" in str(refused.engine.degraded_reason)
    for _ in range(3):
        clock.now += PAUSE
        await crowd(stage, 20)
        assert len(actor.asked) == 1
        actor.asked.clear()


async def test_a_probe_that_is_answered_opens_the_way_for_all(make: Any, clock: Clock) -> None:
    actor = Actor(*[[ModelTimeout("gave up")]] * 5, [ANSWER])
    stage = make(actor)
    await fail(stage)
    clock.now += PAUSE
    assert not (await stage.result(another(6))).engine.degraded
    assert not any(analysis.engine.degraded for analysis in await crowd(stage, 20, use_cache=False))
    assert stage.analyst.left_alone() == ()


async def test_without_fallback_the_error_says_when_to_come_back(make: Any, clock: Clock) -> None:
    stage = make(Actor([ModelTimeout("gave up")]))
    await fail(stage)
    clock.now += 5
    with pytest.raises(ModelUnavailable) as refused:
        await stage.run(fallback=False)
    assert refused.value.retry_after == PAUSE - 5


@pytest.mark.parametrize(("asked", "pause"), [(2.0, PAUSE), (100.0, 100.0), (1e6, domain.LONGEST_PAUSE_SECONDS)])
async def test_the_pause_is_at_least_what_the_provider_asks_for_within_reason(
    asked: float, pause: float, make: Any, clock: Clock
) -> None:
    stage = make(Actor([ModelThrottled("slow down", retry_after=asked)]), limits={"retries": 0})
    await fail(stage)
    with pytest.raises(ModelUnavailable) as refused:
        await stage.run(fallback=False)
    assert refused.value.retry_after == pause


async def test_whoever_waits_to_try_again_stops_waiting_when_it_is_left_alone(make: Any) -> None:
    actor = Actor([ModelThrottled("slow down", retry_after=1000.0)])
    stage = make(actor, limits={"total_seconds": 10_000})
    assert all(analysis.engine.degraded for analysis in await crowd(stage, 5))
    assert len(actor.asked) == 5


async def test_whoever_waits_in_line_stops_waiting_when_it_is_left_alone(make: Any) -> None:
    actor = Actor([0.01, ModelTimeout("gave up")])
    stage = make(actor, limits={"at_once": 1, "breaker_failures": 1})
    assert all(analysis.engine.degraded for analysis in await crowd(stage, 20))
    assert len(actor.asked) == 1
    actor._scenes = [[ANSWER]]
    stage.analyst._monotonic.now += PAUSE
    assert not (await stage.result()).engine.degraded


@pytest.mark.parametrize(
    "scene",
    [
        [ModelTimeout("gave up")],
        [ModelThrottled("slow down", retry_after=1e6)],
        [ModelUnavailable("refused the connection", retryable=True)],
        [BadAnswer("not the protocol", malformed=True)],
        ["x" * (1 + domain.MAX_ANSWER_CHARACTERS)],
        [9.0, ANSWER],
        [ANSWER[:9], 9.0],
        [ANSWER[:9], ModelUnavailable("cut", retryable=True)],
        [ANSWER[:9], ModelThrottled("inside the stream")],
    ],
)
async def test_what_the_provider_is_to_blame_for_is_counted(scene: Sequence[Step], make: Any) -> None:
    stage = make(Actor(scene), limits={"retries": 0})
    await fail(stage, 4)
    assert stage.analyst.left_alone() == ()
    await fail(stage, 1)
    assert stage.analyst.left_alone() == ("actor",)


@pytest.mark.parametrize(
    "scene",
    [
        [ModelUnavailable("has not got the model")],
        [BadAnswer("withheld by a guardrail")],
        ["this is no report"],
        [ANSWER.replace("0.9", "9")],
    ],
)
async def test_what_a_log_or_a_request_can_bring_about_is_not_counted(scene: Sequence[Step], make: Any) -> None:
    stage = make(Actor(scene))
    await fail(stage, 8)
    assert stage.analyst.left_alone() == ()


async def test_an_answer_that_is_no_report_shows_that_the_provider_works(make: Any) -> None:
    gave_up = [ModelTimeout("gave up")]
    stage = make(Actor(*[gave_up] * 4, ["no report"], ["no report"], *[gave_up] * 4))
    await fail(stage, 9)
    assert stage.analyst.left_alone() == ()


async def test_a_client_that_leaves_is_not_counted(make: Any) -> None:
    actor = Actor([9.0, ANSWER], price=1.0)
    stage = make(actor, limits={"first_token_seconds": 60})
    for number in range(6):
        actor.begun.clear()
        running = asyncio.create_task(stage.run(another(number)))
        await actor.begun.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert stage.analyst.left_alone() == ()


async def test_a_limit_of_the_user_is_not_counted(make: Any) -> None:
    stage = make(Actor([9.0, ANSWER], price=1e6), limits={"max_cost_usd": 1e9})
    for _ in range(6):
        await stage.until(LimitReached, timeout=0.05)
        await stage.until(LimitReached, max_cost=0.01)
    assert stage.analyst.left_alone() == ()


async def test_a_model_that_writes_until_the_time_is_up_is_slow_and_not_silent(make: Any) -> None:
    loop = asyncio.get_running_loop()
    limits = {"total_seconds": 0.4, "idle_seconds": 0.3, "breaker_failures": 1}
    stage = make(Actor(["word ", 0.01] * 100), limits=limits, monotonic=loop.time)
    (fell_back,) = [event for event in await stage.run() if isinstance(event, domain.FellBack)]
    assert (fell_back.slug, fell_back.reason) == (
        "model-timeout",
        "the time for all of it was up before its answer was complete",
    )
    assert stage.analyst.left_alone() == ()


async def test_an_answer_in_the_cache_is_given_while_the_provider_is_left_alone(make: Any, clock: Clock) -> None:
    actor = Actor([ANSWER], [ModelTimeout("gave up")])
    stage = make(actor, limits={"breaker_pause_seconds": 3 * domain.DESCRIBED_SECONDS})
    await stage.result()
    await fail(stage)
    clock.now += 2 * domain.DESCRIBED_SECONDS
    assert stage.analyst.left_alone() == ("actor",)
    analysis = await stage.result()
    assert (analysis.engine.provider, analysis.cache.hit) == ("actor", True)


async def test_a_hit_takes_no_probe_away(make: Any, clock: Clock) -> None:
    actor = Actor([ANSWER], *[[ModelTimeout("gave up")]] * 5, [ANSWER])
    stage = make(actor)
    await stage.result()
    await fail(stage)
    clock.now += PAUSE
    assert (await stage.result()).cache.hit
    assert not (await stage.result(another(6))).engine.degraded


async def test_where_the_client_of_the_probe_leaves_the_next_one_asks(make: Any, clock: Clock) -> None:
    actor = Actor(*[[ModelTimeout("gave up")]] * 5, ["{", 9.0], [ANSWER])
    stage = make(actor, limits={"idle_seconds": 60})
    await fail(stage)
    clock.now += PAUSE
    wish = Request(name="app.log", kind="file", logs=(Log(another(6)),))
    async with aclosing(stage.analyst.analyse(wish)) as events:
        async for event in events:
            if isinstance(event, domain.Token):
                break
    assert stage.analyst.left_alone() == ("actor",)
    assert not (await stage.result(another(7))).engine.degraded


@pytest.mark.parametrize(
    "fault", [ModelUnavailable("cannot be reached", retryable=True), BadAnswer("HTML", malformed=True)]
)
async def test_a_provider_that_cannot_say_what_it_is_fails_too(fault: ModelError, make: Any, clock: Clock) -> None:
    actor = Described([ANSWER], faults=[fault] * 5)
    stage = make(actor, limits={"retries": 0})
    await fail(stage)
    assert (actor.described, stage.analyst.left_alone()) == (5, ("actor",))
    await fail(stage, 3)
    assert actor.described == 5
    clock.now += PAUSE
    assert not (await stage.result()).engine.degraded
    assert (actor.described, stage.analyst.left_alone()) == (6, ())


async def test_that_it_says_what_it_is_does_not_show_that_it_answers(make: Any, clock: Clock) -> None:
    actor = Described([ModelTimeout("gave up")])
    stage = make(actor)
    for number in range(5):
        clock.now += 2 * domain.DESCRIBED_SECONDS
        await stage.result(another(number))
    assert (actor.described, stage.analyst.left_alone()) == (5, ("actor",))


async def test_a_model_is_asked_what_it_is_once_in_a_while(make: Any, clock: Clock) -> None:
    actor = Described([ANSWER])
    stage = make(actor)
    for number in range(3):
        await stage.result(another(number))
    assert actor.described == 1
    clock.now += domain.DESCRIBED_SECONDS
    await stage.result(another(4))
    assert actor.described == 2


async def test_models_of_one_provider_fail_each_for_itself_and_observers_hear_of_the_provider(
    make: Any, clock: Clock
) -> None:
    seen: list[Observation] = []
    actor = Actor(*[[ModelTimeout("gave up")]] * 10, [ANSWER])
    stage = make(actor, observe=seen.append)
    await fail(stage)
    await fail(stage, model="other")
    assert stage.analyst.left_alone() == ("actor",)
    clock.now += PAUSE
    await stage.result(another(6))
    assert stage.analyst.left_alone() == ("actor",)
    await stage.result(another(7), model="other")
    circuits = [event for event in seen if isinstance(event, Circuit)]
    assert circuits == [Circuit(provider="actor", open=True), Circuit(provider="actor", open=False)]
    assert sum(isinstance(event, Asked) for event in seen) == len(actor.asked)


async def test_a_model_named_by_a_client_pushes_no_failing_one_out_of_memory_unseen(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domain, "MOST_REMOTES", 2)
    seen: list[Observation] = []
    actor = Actor(*[[ModelTimeout("gave up")]] * 5, [ANSWER])
    stage = make(actor, observe=seen.append)
    await fail(stage)
    for name in ("one", "two"):
        assert not (await stage.result(model=name)).engine.degraded
    assert [event for event in seen if isinstance(event, Circuit)] == [
        Circuit(provider="actor", open=True),
        Circuit(provider="actor", open=False),
    ]


async def test_the_next_provider_takes_over_at_once_from_one_that_is_left_alone(make: Any) -> None:
    first, second = Actor([ModelTimeout("gave up")]), Actor([ANSWER])
    second.identity = ModelIdentity(provider="second", model="m")
    stage = make(first)
    stage.models["second"] = second
    stage.analyst._order = ("actor", "second")
    for number in range(7):
        events = await stage.run(another(number))
        assert finished(events).engine.provider == "second"
    assert (len(first.asked), len(second.asked)) == (5, 7)
