"""What every storage promises of the metrics of analyses."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bifrost_adapters.slots import open_slot
from bifrost_domain.metrics import AnalysisMetric, RunOutcome, Spent, Statistics, collected
from bifrost_domain.ports import MetricRepository
from tests.builders import START, an_id
from tests.contract.choices_storage import CHOICES

few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FOREVER = datetime(1980, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

metric = st.builds(
    AnalysisMetric,
    id=st.builds(an_id),
    at=st.integers(0, 4 * 86_400).map(lambda seconds: START + timedelta(seconds=seconds)),
    outcome=st.sampled_from(RunOutcome),
    provider=st.sampled_from(["ollama", "bedrock"]),
    model=st.sampled_from(["m1", "모델"]),
    key=st.sampled_from([None, "one", "two"]),
    duration_ms=st.integers(0, 10**7),
    first_token_ms=st.none() | st.integers(0, 10**6),
    calls=st.integers(0, 3),
    input_tokens=st.integers(0, 2**40),
    output_tokens=st.integers(0, 2**40),
    cost_usd=st.none() | st.integers(0, 2**20).map(lambda cents: cents / 64),
    lines_read=st.integers(0, 2**40),
    bytes_read=st.integers(0, 2**50),
    runs=st.integers(1, 1000),
)


@pytest.fixture(params=CHOICES.values(), ids=CHOICES.keys())
async def metrics(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MetricRepository]:
    async with open_slot("storage", request.param.kind, request.param.options(tmp_path)) as storage:
        yield storage.metrics


@few
@given(made=st.lists(metric, max_size=12), first=st.integers(0, 4), days=st.integers(0, 4))
async def test_sums_are_those_of_what_was_added(
    metrics: MetricRepository, made: list[AnalysisMetric], first: int, days: int
) -> None:
    await metrics.forget_before(FOREVER[1])
    for each in made:
        await metrics.add(each)
    since = START + timedelta(days=first)
    until = since + timedelta(days=days)
    seen = [each for each in made if since <= each.at < until]
    assert await metrics.statistics(since, until) == collected(seen, since, until)
    for family in ("one", "two"):
        used = [each for each in made if each.key == family and each.at >= since]
        assert await metrics.spent(family, since) == Spent(
            tokens=sum(each.input_tokens + each.output_tokens for each in used),
            usd=sum(each.cost_usd or 0.0 for each in used),
        )
    assert await metrics.forget_before(since) == sum(each.at < since for each in made)
    left = [each for each in made if each.at >= since]
    assert await metrics.statistics(*FOREVER) == collected(left, *FOREVER)


async def test_a_day_before_1970_is_that_day(metrics: MetricRepository) -> None:
    at = datetime(1969, 7, 20, 20, 17, tzinfo=UTC)
    made = AnalysisMetric(id=an_id(), at=at, outcome=RunOutcome.FAILED, provider="ollama", model="m", error="timeout")
    await metrics.add(made)
    since, until = at - timedelta(days=3), at + timedelta(days=3)
    assert await metrics.statistics(since, until) == collected([made], since, until)


async def test_nothing_has_no_sums(metrics: MetricRepository) -> None:
    found = await metrics.statistics(*FOREVER)
    assert found == Statistics(since=FOREVER[0], until=FOREVER[1])
    assert found.percentile(0.5) is None
    assert await metrics.spent("nobody", FOREVER[0]) == Spent()
