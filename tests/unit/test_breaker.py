"""When a service is left alone, and when it is asked again."""

from hypothesis import given
from hypothesis import strategies as st

from bifrost_domain.breaker import Breaker


def test_it_opens_after_failures_in_a_row_and_lets_one_probe_through() -> None:
    breaker = Breaker(failures=2, pause_seconds=10)
    breaker.failed(0)
    breaker.succeeded()
    breaker.failed(1)
    assert breaker.allows(1)
    breaker.failed(2)
    assert not breaker.allows(2)
    assert not breaker.allows(11.9)
    assert breaker.allows(12)
    assert not breaker.allows(12)
    breaker.succeeded()
    assert breaker.allows(12)
    assert breaker.allows(12)


def test_a_probe_that_fails_or_never_tells_costs_another_pause() -> None:
    breaker = Breaker(failures=1, pause_seconds=10)
    breaker.failed(0)
    assert breaker.allows(10)
    breaker.failed(11)
    assert not breaker.allows(20)
    assert breaker.allows(21)
    assert not breaker.allows(30)
    assert breaker.allows(31)


def test_a_probe_that_is_withdrawn_leaves_its_place_to_the_next_call() -> None:
    breaker = Breaker(failures=1, pause_seconds=10)
    breaker.failed(0)
    assert breaker.allows(10)
    breaker.withdrawn(12)
    assert (breaker.open, breaker.left(12)) == (True, 0.0)
    assert breaker.allows(12)
    assert not breaker.allows(12)


def test_withdrawing_opens_nothing() -> None:
    breaker = Breaker(failures=1, pause_seconds=10)
    breaker.withdrawn(1)
    assert not breaker.open


def test_it_stays_open_for_as_long_as_the_service_asks_at_least() -> None:
    breaker = Breaker(failures=1, pause_seconds=10)
    breaker.failed(0, pause_seconds=30)
    assert breaker.left(1) == 29
    breaker.succeeded()
    breaker.failed(2, pause_seconds=3)
    assert breaker.left(2) == 10


@given(st.lists(st.tuples(st.sampled_from(["call", "wait"]), st.booleans(), st.floats(0, 20)), max_size=40))
def test_while_a_service_fails_it_is_asked_once_in_a_pause(steps: list[tuple[str, bool, float]]) -> None:
    breaker = Breaker(failures=1, pause_seconds=10)
    now, failed_at = 0.0, None
    for step, works, seconds in steps:
        if step == "wait":
            now += seconds
        elif breaker.allows(now):
            assert failed_at is None or now - failed_at >= 10
            if works:
                breaker.succeeded()
                failed_at = None
            else:
                breaker.failed(now)
                failed_at = now
