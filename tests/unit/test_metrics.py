"""Buckets of durations, and percentiles from them."""

import math
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from bifrost_domain.metrics import Statistics, bucket, upper_bound

START, END = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)


@given(st.integers(0, 10**9))
def test_a_duration_lies_within_its_bucket(milliseconds: int) -> None:
    number = bucket(milliseconds)
    assert milliseconds <= upper_bound(number) + 1e-6 * milliseconds
    assert number == 0 or milliseconds >= upper_bound(number - 1) * (1 - 1e-9)


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_percentile_is_at_most_nine_percent_too_high(durations: list[int], share: float) -> None:
    buckets: dict[int, int] = {}
    for duration in durations:
        buckets[bucket(duration)] = buckets.get(bucket(duration), 0) + 1
    exact = sorted(durations)[max(1, math.ceil(share * len(durations))) - 1]
    found = Statistics(since=START, until=END, latency_buckets=buckets).percentile(share)
    assert found is not None
    assert exact * (1 - 1e-6) <= found <= exact * 2 ** (1 / 8) * (1 + 1e-6)
